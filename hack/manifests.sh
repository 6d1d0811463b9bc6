#!/usr/bin/env bash
# What `make manifests` runs: the Helm charts, in the variants of their folders ci/, and the kustomizations of config/ are what Kubernetes
# takes. Nothing is asked of a network: the schemas are made of what Kubernetes' own source says. Kinds of others are judged by hack/charts.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}
helm=bin/helm
kustomize=bin/kustomize
kubernetes=1.37.0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

judge() { # ARGUMENTS...: kubeconform, as strict as the API server is with `kubectl apply --validate=strict`
  bin/kubeconform -strict -summary -skip Certificate,HTTPRoute,TLSRoute,ServiceMonitor,PrometheusRule \
    -schema-location "$scratch/schemas/{{ .Group }}_{{ .ResourceAPIVersion }}_{{ .ResourceKind }}.json" "$@"
}

(cd hack/controlplane && "$go" mod download k8s.io/kubernetes)
source=$(cd hack/controlplane && "$go" list -m -f '{{.Dir}}' k8s.io/kubernetes)
"$go" run ./hack/schemas kinds --swagger "$source/api/openapi-spec/swagger.json" --output "$scratch/schemas"

mkdir "$scratch/manifests"
"$helm" lint --strict charts/chat-operator-crds
"$helm" template crds charts/chat-operator-crds --kube-version "$kubernetes" >"$scratch/manifests/crds.yaml"
for values in charts/chat-operator/ci/*-values.yaml; do
  "$helm" lint --strict --values "$values" charts/chat-operator
  "$helm" template chat charts/chat-operator --namespace chat --kube-version "$kubernetes" --values "$values" >"$scratch/manifests/$(basename "$values")"
done
for file in config/*/kustomization.yaml; do
  dir=$(dirname "$file")
  "$kustomize" build "$dir" >"$scratch/manifests/config-$(basename "$dir").yaml"
done
judge "$scratch"/manifests/*.yaml

# A judge that lets everything pass would not be noticed otherwise.
if sed 's/podManagementPolicy/podManagmentPolicy/' "$scratch/manifests/config-manager.yaml" | judge >/dev/null; then
  echo "kubeconform takes a StatefulSet with a field that there is not"
  exit 1
fi
