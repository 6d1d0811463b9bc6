#!/usr/bin/env bash
# What `make test` runs. Arguments are packages; without any, all of them, those with goroutines of their own under the race detector. (The two
# suites against a real API server are without it here: `make race` has them with it.)
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}
race=${RACE:-}
timeout=20m
[ -t 1 ] || export GINKGO_NO_COLOR=TRUE

if [ -z "$race" ]; then
  echo "No C compiler is here: the tests run without the race detector."
fi
if [ $# -gt 0 ]; then
  exec "$go" test $race -timeout "$timeout" "$@"
fi

# The suites mostly wait, and the others compute: they get what the suites leave of the machine.
out=$(mktemp)
trap 'rm -f "$out"' EXIT
RACE='' hack/suites.sh >"$out" 2>&1 &
suites=$!

all=$("$go" list ./... | grep -v -e '/hack/e2e$' -e '/controllers$')
# shellcheck disable=SC2086
raced=$("$go" list ${RACE_PACKAGES:-} | grep -xF "$all")
plain=$(grep -vxF "$raced" <<<"$all")
failed=0
# shellcheck disable=SC2086
nice "$go" test $race -timeout "$timeout" $raced || failed=1
# shellcheck disable=SC2086
nice "$go" test -timeout "$timeout" $plain || failed=1
wait "$suites" || failed=1
cat "$out"
exit "$failed"
