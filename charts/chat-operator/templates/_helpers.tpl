{{/* The name of everything in the namespace. A namespace is a chat server, so the chart's own name does. */}}
{{- define "chat-operator.name" -}}
chat-operator
{{- end }}

{{- define "chat-operator.selector" -}}
app.kubernetes.io/name: chat-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Labels that change with the chart's version: not for selectors and templates of claims, which cannot be changed. */}}
{{- define "chat-operator.labels" -}}
{{ include "chat-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "chat-operator.image" -}}
{{ .Values.image.repository }}
{{- with .Values.image.digest }}@{{ . }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{/* Nothing in /tmp is needed on another node, so an autoscaler may take this one away. */}}
{{- define "chat-operator.podAnnotations" -}}
kubectl.kubernetes.io/default-container: chat-operator
cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes: tmp
{{- end }}

{{/* The Secret of the server's certificate; empty when it makes one for itself. */}}
{{- define "chat-operator.tlsSecret" -}}
{{- if eq .Values.tls.source "secret" -}}
{{ required "tls.source is secret: give tls.secretName, the Secret with the certificate of the domain" .Values.tls.secretName }}
{{- else if eq .Values.tls.source "certManager" -}}
{{ .Values.tls.secretName | default "chat-operator-tls" }}
{{- else if .Values.tls.secretName -}}
{{- fail "tls.secretName is given, and tls.source is selfSigned: say tls.source secret or certManager" }}
{{- end -}}
{{- end }}

{{/* The Secret that cert-manager fills. While the server has another certificate, it is not the Secret of that one. */}}
{{- define "chat-operator.orderedSecret" -}}
{{- if eq .Values.tls.source "certManager" -}}
{{ include "chat-operator.tlsSecret" . }}
{{- else if eq .Values.tls.secretName "chat-operator-tls" -}}
{{- fail "tls.certManager.issuerRef.name is given while the server uses the Secret chat-operator-tls, which cert-manager would write to: say tls.source certManager, or give that Secret another name" }}
{{- else -}}
chat-operator-tls
{{- end -}}
{{- end }}

{{/* One declared resource: list context kind entry. */}}
{{- define "chat-operator.declared" -}}
{{- $context := index . 0 -}}
{{- $entry := index . 2 -}}
apiVersion: chat-operator.io/v1alpha1
kind: {{ index . 1 }}
metadata:
  name: {{ $entry.name | quote }}
  labels:
    {{- merge (dict) (include "chat-operator.declaredLabels" $context | fromYaml) (default dict $entry.labels) | toYaml | nindent 4 }}
  {{- with $entry.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- default dict $entry.spec | toYaml | nindent 2 }}
{{- end }}

{{/* Not the chart's version: a new one would change every user. Nor the name, by which the server's own Pod is selected. */}}
{{- define "chat-operator.declaredLabels" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}
