{{- define "gvList" -}}
<!-- Made from the types in api/ by `make generate`. Change those, not this page. -->
# Resources

A namespace is a chat server, and these four kinds declare what is on it. `kubectl explain chatroom.spec` says the same in a terminal, for the
version that is installed.
{{ range . }}
{{- template "gvDetails" . }}
{{ end }}
{{- template "conditions" . }}
{{- end -}}
