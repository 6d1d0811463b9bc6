#!/usr/bin/env bash
# The two suites against a real API server side by side, each in several processes that have an API server of their own: mostly they wait.
# With RACE=-race they, and the programs that they build and run, have the race detector.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}
race=${RACE:-}
[ -t 1 ] || export GINKGO_NO_COLOR=TRUE

suite() { # FOLDER PROCESSES
  local begin=$SECONDS result=ok
  # shellcheck disable=SC2086
  "$go" run github.com/onsi/ginkgo/v2/ginkgo run $race -procs="$2" -timeout=20m -succinct "./$1" || result=FAIL
  # As `go test` says it.
  printf '%s  \t%s\t%ss\n' "$result" "./$1" $((SECONDS - begin))
  [ "$result" = ok ]
}

out=$(mktemp)
trap 'rm -f "$out"' EXIT
failed=0
# Under the race detector they compute more than they wait.
if [ -n "$race" ]; then
  controllers=1 e2e=1
else
  controllers=2 e2e=3
fi
suite controllers "$controllers" >"$out" 2>&1 &
suite hack/e2e "$e2e" || failed=1
wait $! || failed=1
cat "$out"
exit "$failed"
