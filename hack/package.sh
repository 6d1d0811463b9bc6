#!/usr/bin/env bash
# What `make release` has of charts and manifests: hack/package.sh FOLDER VERSION REPOSITORY, where the version is 1.2.3 and the repository is where
# the image of that version will be pulled from.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$1
number=$2
repository=$3
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

cp -r charts config "$scratch/"
values=$scratch/charts/chat-operator/values.yaml
sed -i "s|^  repository: chat-operator\$|  repository: \"$repository\"|" "$values"
grep -q "^  repository: \"$repository\"\$" "$values" || { echo "the chart's values do not name the image where they did"; exit 1; }
for chart in chat-operator-crds chat-operator; do
  bin/helm package "$scratch/charts/$chart" --version "$number" --app-version "$number" --destination "$folder" >/dev/null
done

# For `kubectl apply --server-side --filename`: what belongs to the cluster, once, and a server.
bin/kustomize build config/cluster >"$folder/chat-operator-cluster-$number.yaml"
mkdir "$scratch/config/release"
cat >"$scratch/config/release/kustomization.yaml" <<END
resources: [../default]
images:
  - name: chat-operator
    newName: "$repository"
    newTag: "$number"
END
bin/kustomize build "$scratch/config/release" >"$folder/chat-operator-$number.yaml"
