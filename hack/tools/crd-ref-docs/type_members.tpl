{{- define "type_members" -}}
{{- $field := . -}}
{{- if eq $field.Name "metadata" -}}
The usual metadata of Kubernetes. Its `name` is the chat name, unless the spec says otherwise.
{{- else -}}
{{- range $field.Validation }}{{ if hasPrefix "Required" . }}*Required.* {{ end }}{{ end -}}
{{ markdownRenderFieldDoc $field.Doc | replace "<br /><br />" "\x00" | replace "<br />" " " | replace "\x00" "<br />" }}
{{- end -}}
{{- end -}}
