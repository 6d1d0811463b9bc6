{{/* A resource of files/ with the chart's labels and further annotations: list context file annotations. */}}
{{- define "chat-operator-crds.resource" -}}
{{- $context := index . 0 -}}
{{- $resource := index . 1 -}}
{{- $labels := dict "app.kubernetes.io/name" "chat-operator" "app.kubernetes.io/instance" $context.Release.Name "app.kubernetes.io/version" $context.Chart.AppVersion "app.kubernetes.io/managed-by" $context.Release.Service "helm.sh/chart" (printf "%s-%s" $context.Chart.Name ($context.Chart.Version | replace "+" "_")) -}}
{{- $_ := set $resource.metadata "labels" (merge $labels (default dict $resource.metadata.labels) $context.Values.labels) -}}
{{- with merge (dict) (index . 2) (default dict $resource.metadata.annotations) $context.Values.annotations -}}
{{- $_ := set $resource.metadata "annotations" . -}}
{{- end -}}
{{ toYaml $resource }}
{{- end }}
