#!/usr/bin/env bash
# What `make test` runs, and with RACE=-race what `make race` runs: what has goroutines of its own (RACE_PACKAGES), under the race detector, which takes
# several times the processor time. Arguments are packages; without any, all of them.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}
race=${RACE:-}
timeout=20m
[ -t 1 ] || export GINKGO_NO_COLOR=TRUE

if [ $# -gt 0 ]; then
  # shellcheck disable=SC2086
  exec "$go" test $race -timeout "$timeout" "$@"
fi

# shellcheck disable=SC2086
packages=$("$go" list $([ -n "$race" ] && echo ${RACE_PACKAGES:-./...} || echo ./...) | grep -v -e '/hack/e2e$' -e '/controllers$')
failed=0
if [ -n "$race" ]; then
  # shellcheck disable=SC2086
  "$go" test $race -timeout "$timeout" $packages || failed=1
  hack/suites.sh || failed=1
  exit "$failed"
fi

# The suites mostly wait, and the others compute: they get what the suites leave of the machine.
out=$(mktemp)
trap 'rm -f "$out"' EXIT
hack/suites.sh >"$out" 2>&1 &
suites=$!
# shellcheck disable=SC2086
nice "$go" test -timeout "$timeout" $packages || failed=1
wait "$suites" || failed=1
cat "$out"
exit "$failed"
