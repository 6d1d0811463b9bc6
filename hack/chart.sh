#!/usr/bin/env bash
# The Helm chart takes the custom resources and the rights from config/, which is where they are maintained.
#   hack/chart.sh          copies them into the chart
#   hack/chart.sh verify   lints the chart and renders it in its main variants
set -euo pipefail
cd "$(dirname "$0")/.."
chart=charts/chat-operator

if [ "${1:-}" = verify ]; then
  helm=bin/helm
  "$helm" lint --strict --set domain=chat.example "$chart"
  for variant in "" "tls.secretName=chat-tls" "persistence.enabled=false" "persistence.existingClaim=mine,cluster.install=false" "service.trustedProxies={10.0.0.0/8}" "management.kubernetesTokens=true,management.http=false,management.trustedProxies={10.0.0.0/8}"; do
    "$helm" template chat "$chart" --namespace chat --kube-version 1.37.0 --set "domain=chat.example${variant:+,$variant}" >/dev/null
  done
  # A chart without its domain has to say so.
  if "$helm" template chat "$chart" --kube-version 1.37.0 >/dev/null 2>&1; then
    echo "the chart renders without a domain"
    exit 1
  fi
  exit
fi

rm -rf "$chart/files"
mkdir -p "$chart/files/crds" "$chart/files/roles" "$chart/files/clusterroles"
cp config/crd/bases/*.yaml "$chart/files/crds/"
cp config/rbac/role.yaml config/rbac/leader_election_role.yaml "$chart/files/roles/"
# One file a role: the chart reads each file as one resource.
awk -v dir="$chart/files/clusterroles" 'BEGIN { n = 1 } /^---$/ { n++; next } { print > (dir "/aggregated-" n ".yaml") }' config/rbac/aggregated_roles.yaml
