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
cp LICENSE "$scratch/charts/chat-operator-crds/"
cp LICENSE "$scratch/charts/chat-operator/"
# Helm gives what it packages the times of the files.
find "$scratch/charts" -exec touch --date="@${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}" {} +
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
{
  echo "# A chat server in namespace chat, which has to be there, of the XMPP domain chat.example: that is what stands after the @ of everybody's address. Write yours"
  echo "# in its place (--domain) before you apply this, since it cannot be changed afterwards. chat-operator-cluster-$number.yaml comes first, once a cluster."
  bin/kustomize build "$scratch/config/release"
} >"$folder/chat-operator-$number.yaml"
