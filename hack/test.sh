#!/usr/bin/env bash
# What `make test` runs, and with RACE=-race what `make race` runs: what has goroutines of its own (RACE_PACKAGES), under the race detector, which takes
# several times the processor time. Arguments are packages; without any, all of them. With FLAKY=FILE, an absolute path, what fails is tried once more, but
# for data races and panics; FILE tells of what passes then.
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
failed=0 less=0
# plain tests what is no suite, with flags of `go test`.
plain() {
  if [ -z "${FLAKY:-}" ]; then
    # shellcheck disable=SC2086
    nice -n "$less" "$go" test "$@" -timeout "$timeout" $packages
    return
  fi
  local result=0
  # shellcheck disable=SC2086
  nice -n "$less" bin/gotestsum --format=standard-quiet --packages="$(echo $packages)" --rerun-fails=1 --rerun-fails-max-failures=5 --rerun-fails-run-root-test \
    --rerun-fails-abort-on-data-race --rerun-fails-report="$FLAKY.again" -- "$@" -timeout "$timeout" >"$FLAKY.plain" 2>&1 || result=1
  if [ "$result" = 0 ]; then
    sed 's/^\(=== \|--- \|\)FAIL/\1FLAKY/' "$FLAKY.plain"
    [ ! -s "$FLAKY.again" ] || { sed 's/^./FLAKY  \t&/' "$FLAKY.again" && grep -A 20 '^=== FAIL' "$FLAKY.plain"; } >>"$FLAKY"
  else
    cat "$FLAKY.plain"
  fi
  rm -f "$FLAKY.plain" "$FLAKY.again"
  return "$result"
}
if [ -n "$race" ]; then
  # shellcheck disable=SC2086
  plain $race || failed=1
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
less=10
GOGC=${GOGC:-400} plain -vet=off -ldflags=-w &
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
