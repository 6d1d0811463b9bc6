#!/usr/bin/env bash
# config/default with an image: hack/overlay.sh REPOSITORY TAG prints the manifests.
set -euo pipefail
cd "$(dirname "$0")/.."
# Among the files of the repository, for a kustomization leads to another by a relative path.
mkdir -p bin
overlay=$(mktemp -d bin/overlay.XXXXXX)
trap 'rm -r "$overlay"' EXIT
cat >"$overlay/kustomization.yaml" <<END
resources: [../../config/default]
images:
  - name: chat-operator
    newName: "$1"
    newTag: "$2"
END
bin/kustomize build "$overlay"
