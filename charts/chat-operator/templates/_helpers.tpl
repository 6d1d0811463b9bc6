{{/* The name of everything in the namespace. A namespace is a chat server, so the chart's own name does. */}}
{{- define "chat-operator.name" -}}
chat-operator
{{- end }}

{{- define "chat-operator.selector" -}}
app.kubernetes.io/name: chat-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "chat-operator.labels" -}}
{{ include "chat-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* A resource of files/ with the chart's labels and, if any, further annotations: list context file annotations. */}}
{{- define "chat-operator.resource" -}}
{{- $context := index . 0 -}}
{{- $resource := index . 1 -}}
{{- $annotations := merge (index . 2) (default dict $resource.metadata.annotations) -}}
{{- $labels := merge (include "chat-operator.labels" $context | fromYaml) (default dict $resource.metadata.labels) -}}
{{- $_ := set $resource.metadata "labels" $labels -}}
{{- if $annotations -}}{{- $_ := set $resource.metadata "annotations" $annotations -}}{{- end -}}
{{ toYaml $resource }}
{{- end }}
