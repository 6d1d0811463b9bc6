#!/usr/bin/env bash
# The two suites against a real API server side by side, each in several processes that have an API server of their own: mostly they wait.
# With FLAKY=FILE a spec that fails is tried once more; FILE tells of those that pass then.
# With RACE=-race they, and the programs that they build and run, have the race detector. Told to end, it ends them first, with the servers that they started.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}
race=${RACE:-}
# Memory is there, processor time is what tests take most of: a sixth of what the API servers compute would be collecting garbage.
export GOGC=${GOGC:-400}
[ -t 1 ] || export GINKGO_NO_COLOR=TRUE

suite() { # FOLDER PROCESSES
  local begin=$SECONDS result=ok
  # shellcheck disable=SC2086
  "$go" run github.com/onsi/ginkgo/v2/ginkgo run $race ${FLAKY:+--flake-attempts=2} -vet=off -ldflags=-w -procs="$2" -timeout=20m -succinct "./$1" || result=FAIL
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
# Each is a process group of its own, which a signal to this script alone does not reach: `go run` passes none on.
set -m
suite controllers "$controllers" >"$out" 2>&1 &
first=$!
suite hack/e2e "$e2e" &
second=$!
set +m
stop() {
  trap '' INT TERM
  kill -TERM -- "-$first" "-$second" 2>/dev/null || true
  wait
  cat "$out"
  exit 143
}
trap stop INT TERM
wait "$second" || failed=1
wait "$first" || failed=1
cat "$out"
exit "$failed"
