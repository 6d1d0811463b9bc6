#!/usr/bin/env bash
# What `make test` runs, and with RACE=-race what `make race` runs: what has goroutines of its own (RACE_PACKAGES), under the race detector, which takes
# several times the processor time. Arguments are packages; without any, all of them. What FLAKY does: hack/again.sh, hack/suites.sh.
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
  hack/again.sh "$go" test $race -timeout "$timeout" $packages || failed=1
  hack/suites.sh || failed=1
  exit "$failed"
fi

# The suites mostly wait, and the others compute: they get what the suites leave of the machine.
out=$(mktemp)
trap 'rm -f "$out"' EXIT
hack/suites.sh >"$out" 2>&1 &
suites=$!
set -m
# Without what only a debugger reads a test program is linked in two thirds of the time.
# shellcheck disable=SC2086
GOGC=${GOGC:-400} nice hack/again.sh "$go" test -vet=off -ldflags=-w -timeout "$timeout" $packages &
others=$!
set +m
stop() {
  trap '' INT TERM
  kill -TERM "$suites" "-$others" 2>/dev/null || true
  wait
  cat "$out"
  exit 143
}
trap stop INT TERM
wait "$others" || failed=1
wait "$suites" || failed=1
cat "$out"
exit "$failed"
