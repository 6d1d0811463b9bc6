#!/usr/bin/env bash
# What `make verify` runs: everything that must hold besides the tests. It changes nothing in the working tree.
set -uo pipefail
cd "$(dirname "$0")/.."
root=$PWD
go=${GO:-go}
failed=()
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

check() { # NAME COMMAND...: runs a check and says how it went
  local name=$1
  shift
  if "$@" >"$scratch/out" 2>&1; then
    echo "ok    $name"
  else
    echo "FAIL  $name"
    sed 's/^/      /' "$scratch/out"
    failed+=("$name")
  fi
}

# Generates everything anew in a copy of the tree and compares.
generated() {
  local copy=$scratch/tree
  mkdir "$copy"
  git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' f; do [ -e "$f" ] && printf '%s\0' "$f"; done |
    tar --create --null --files-from=- | tar --extract --directory "$copy"
  ln -s "$root/bin" "$copy/bin"
  make --directory "$copy" --no-print-directory generate GO="$go" || return 1
  local part stale=0
  for part in api config docs charts; do
    diff --unified --recursive --new-file "$root/$part" "$copy/$part" || stale=1
  done
  [ $stale = 0 ] || { echo "Generated files are stale: run 'make generate' and commit what it changes."; return 1; }
}

formatted() {
  local files
  files=$(git ls-files --cached --others --exclude-standard '*.go' | xargs -r ls 2>/dev/null | xargs -r gofmt -l)
  [ -z "$files" ] || { echo "not formatted, run 'make fmt':"; echo "$files"; return 1; }
}

tidy() { # MODULE
  (cd "$1" && "$go" mod tidy -diff)
}

# PROJECT lists exactly the kinds that api/ declares.
project() {
  diff --unified \
    <(sed -n 's/^  kind: //p' PROJECT | sort) \
    <(grep -rhA40 '^// +kubebuilder:object:root=true' api --include='*_types.go' | sed -n 's/^type \([A-Za-z]*\) struct {$/\1/p' | grep -v 'List$' | grep -Ev '(Spec|Status)$' | sort -u)
}

# The oldest Kubernetes is decided in api/, where a test compiles the rules for it; the chart and the README repeat it.
oldest() {
  local version
  version=$(sed -n 's/^const OldestKubernetes = "\(.*\)"$/\1/p' api/v1alpha1/groupversion.go)
  [ -n "$version" ] && [ "$(grep -lF "kubeVersion: \">=$version.0-0\"" charts/*/Chart.yaml | wc -l)" = "$(ls -d charts/*/ | wc -l)" ] && grep -qF "Kubernetes $version" README.md || {
    echo "api/v1alpha1 says Kubernetes '$version'; a Chart.yaml of charts/ or README.md says something else"
    return 1
  }
}

shell() {
  local f
  git ls-files --cached --others --exclude-standard '*.sh' .ci/run | while read -r f; do bash -n "$f" || exit 1; done
}

# A lock file that names the registry it was made with ties everybody to that registry.
lockfiles() {
  ! git grep --line-number '"resolved":' -- '*package-lock.json'
}

check "generated files are fresh" generated
check "Go files are formatted" formatted
for module in ${MODULES:-.}; do check "go.mod of $module is tidy" tidy "$module"; done
check "PROJECT lists the kinds of api/" project
check "the oldest Kubernetes is the same everywhere" oldest
check "shell scripts parse" shell
check "lock files name no registry" lockfiles
check "charts and kustomizations" hack/manifests.sh
check "linters" hack/lint.sh

if [ ${#failed[@]} -gt 0 ]; then
  echo "verify: ${#failed[@]} failed"
  exit 1
fi
echo "verify: all hold"
