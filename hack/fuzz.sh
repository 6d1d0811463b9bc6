#!/usr/bin/env bash
# Every fuzz target of the module, one after the other, FUZZTIME each.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}
for pkg in $("$go" list -f '{{.ImportPath}}' ./...); do
  for target in $("$go" test -list '^Fuzz' "$pkg" | grep '^Fuzz' || true); do
    echo "== $pkg $target"
    "$go" test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-30s}" "$pkg"
  done
done
