#!/usr/bin/env bash
# Runs a command. With FLAKY=FILE, and where it fails, once more: FILE tells of what passes then, and how it failed. Of Go's tests that is what failed; what
# passed is in their cache. What chance does not excuse counts at once: data races, panics, leaks, what does not compile.
set -uo pipefail
log=$(mktemp)
trap 'rm -f "$log"' EXIT
"$@" 2>&1 | tee "$log"
status=$?
[ "$status" != 0 ] && [ -n "${FLAKY:-}" ] || exit "$status"
! grep -qE 'DATA RACE|^(panic|fatal error|signal): |found unexpected goroutines|\[(build|setup) failed\]' "$log" || exit "$status"
echo "== once more: $*"
"$@" || exit
{
  printf 'FLAKY  \t%s\n' "$*"
  grep -E -A 30 '^(--- FAIL|FAIL)|^ *\[FAIL' "$log" || tail -n 30 "$log"
} >>"$FLAKY"
