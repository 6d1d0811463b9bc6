#!/usr/bin/env bash
# What `make test` runs. Arguments are packages; without any, all of them, those with goroutines of their own under the race detector.
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

all=$("$go" list ./...)
# Two suites mostly wait, for an API server that is away for a minute: they run side by side, after everything else.
e2e=$(grep '/hack/e2e$' <<<"$all" || true)
controllers=$(grep '/controllers$' <<<"$all" || true)
# shellcheck disable=SC2086
raced=$("$go" list ${RACE_PACKAGES:-} | grep -vxF -e "$e2e" -e "$controllers")
plain=$(comm -23 <(sort <<<"$all") <(sort <<<"$raced"$'\n'"$e2e"$'\n'"$controllers"))

failed=0
# shellcheck disable=SC2086
"$go" test $race -timeout "$timeout" $raced || failed=1
# shellcheck disable=SC2086
"$go" test -timeout "$timeout" $plain || failed=1

out=$(mktemp)
trap 'rm -f "$out"' EXIT
"$go" test $race -timeout "$timeout" "$controllers" >"$out" 2>&1 &
# The program is built by the suite: the cache of test results cannot see it change.
RACE=$race "$go" test -count=1 -timeout "$timeout" "$e2e" || failed=1
wait $! || failed=1
cat "$out"
exit "$failed"
