#!/usr/bin/env bash
# The Helm charts take the custom resources and the rights from config/, which is where they are maintained: this copies them, and makes
# of the former what the schema of the values says of declared users, groups, rooms and properties.
set -euo pipefail
cd "$(dirname "$0")/.."
crds=charts/chat-operator-crds/files
server=charts/chat-operator/files

# Only these folders are copies: the charts have other files beside them.
rm -rf "$crds/crds" "$crds/roles" "$server/roles"
mkdir -p "$crds/crds" "$crds/roles" "$server/roles"
cp config/crd/bases/*.yaml "$crds/crds/"
cp config/rbac/role.yaml "$server/roles/"
# One file a role: the chart reads each file as one resource.
awk -v dir="$crds/roles" 'BEGIN { n = 1 } /^---$/ { n++; next } { print > (dir "/aggregated-" n ".yaml") }' config/cluster/aggregated_roles.yaml
"${GO:-go}" run ./hack/schemas values
