#!/usr/bin/env bash
# What `make manifests` runs: the Helm charts and the kustomizations of config/ are what Kubernetes takes.
set -euo pipefail
cd "$(dirname "$0")/.."
helm=bin/helm
kustomize=bin/kustomize
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

"$helm" lint --strict charts/chat-operator-crds
"$helm" lint --strict --set domain=chat.example charts/chat-operator
"$helm" template crds charts/chat-operator-crds --kube-version 1.37.0 >"$scratch/chart-crds.yaml"
"$helm" template chat charts/chat-operator --namespace chat --kube-version 1.37.0 --set domain=chat.example >"$scratch/chart.yaml"
for dir in config/*/; do
  "$kustomize" build "$dir" >"$scratch/config-$(basename "$dir").yaml"
done
