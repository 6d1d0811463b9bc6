{{- define "type" -}}
{{- $type := . -}}
{{- if markdownShouldRenderType $type -}}
{{ if $type.GVK }}## {{ else }}### {{ end }}{{ $type.Name }}

{{ $type.Doc }}
{{ if $type.References }}
Used by {{ range $i, $ref := $type.SortedReferences }}{{ if $i }}, {{ end }}{{ markdownRenderTypeLink $ref }}{{ end }}.
{{ end }}
{{- if $type.Members }}
| field | type | description |
| --- | --- | --- |
{{ range $type.Members -}}
| `{{ .Name }}` | {{ markdownRenderType .Type }} | {{ template "type_members" . }} |
{{ end -}}
{{ end }}
{{- if $type.EnumValues }}
| value | meaning |
| --- | --- |
{{ range $type.EnumValues -}}
| `{{ .Name }}` | {{ .Doc | trimPrefix (printf "%s%s " $type.Name .Name) | markdownRenderFieldDoc | replace "<br />" " " }} |
{{ end -}}
{{ end }}
{{ end -}}
{{- end -}}
