#!/usr/bin/env bash
# What `make test` runs. Arguments are packages; without any, all of them: those with goroutines of their own under the race
# detector, and last the end-to-end suite, alone, since it measures times.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}
race=${RACE:-}
timeout=20m

if [ -z "$race" ]; then
  echo "No C compiler is here: the tests run without the race detector."
fi
if [ $# -gt 0 ]; then
  exec "$go" test $race -timeout "$timeout" "$@"
fi

all=$("$go" list ./...)
e2e=$(grep '/hack/e2e$' <<<"$all" || true)
# shellcheck disable=SC2086
raced=$("$go" list ${RACE_PACKAGES:-} | grep -v '/hack/e2e$')
plain=$(comm -23 <(sort <<<"$all") <(sort <<<"$raced"$'\n'"$e2e"))

failed=0
# shellcheck disable=SC2086
"$go" test $race -timeout "$timeout" $raced || failed=1
# shellcheck disable=SC2086
"$go" test -timeout "$timeout" $plain || failed=1
# The program is built by the suite: the cache of test results cannot see it change.
if [ -n "$e2e" ]; then
  RACE=$race "$go" test -count=1 -timeout "$timeout" "$e2e" || failed=1
fi
exit "$failed"
