{{- define "gvDetails" -}}
{{- $gv := . }}
All are of `apiVersion: {{ $gv.GroupVersionString }}` and live in a namespace; `kubectl get chat` lists them all.
{{ range $gv.SortedKinds }}
- {{ $gv.TypeForKind . | markdownRenderTypeLink }}
{{- end }}

An optional field that is left out has no value of its own: the text says what holds then. Nothing is filled in, so whoever applies a
manifest owns exactly the fields in it.

{{ range $gv.SortedTypes }}{{ if .GVK }}{{ template "type" . }}{{ end }}{{ end }}
## Parts

{{ range $gv.SortedTypes }}{{ if not .GVK }}{{ template "type" . }}{{ end }}{{ end }}
{{- end -}}
