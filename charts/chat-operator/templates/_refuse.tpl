{{/* Values that the schema takes and that cannot be meant, each with a sentence that says what to do. */}}
{{- define "chat-operator.refuse" -}}
{{- include "chat-operator.refuseDomain" .Values.domain }}
{{- include "chat-operator.refuseArgs" . }}
{{- if and .Values.persistence.existingClaim (not .Values.persistence.enabled) }}
{{- fail (printf "persistence.existingClaim is %s, and persistence.enabled is false, with which all data goes with the Pod: set persistence.enabled to true, or leave the claim out" .Values.persistence.existingClaim) }}
{{- end }}
{{- if and (ne .Values.service.type "ClusterIP") .Values.service.xmppNodePort (eq (int .Values.service.xmppNodePort) (int .Values.service.xmppsNodePort)) }}
{{- fail (printf "service.xmppNodePort and service.xmppsNodePort are both %d: give each a port of its own" (int .Values.service.xmppNodePort)) }}
{{- end }}
{{- if and (eq .Values.service.type "ClusterIP") (or .Values.service.xmppNodePort .Values.service.xmppsNodePort) }}
{{- fail "service.xmppNodePort and service.xmppsNodePort are ports of nodes, which a Service of type ClusterIP has not: set service.type to NodePort or LoadBalancer" }}
{{- end }}
{{- range $list, $field := dict "users" "username" "groups" "groupName" "rooms" "roomName" "properties" "key" }}
{{- $names := dict }}
{{- $claims := dict }}
{{- range index $.Values $list }}
{{- if hasKey $names .name }}
{{- fail (printf "%s has two entries of the name %s, of which the cluster would take one: give each a name of its own" $list .name) }}
{{- end }}
{{- $_ := set $names .name true }}
{{- $spec := .spec | default dict }}
{{- $claim := printf "%s %s" $field (get $spec $field | default .name) }}
{{- if eq $list "rooms" }}
{{- $claim = printf "%s of service %s" $claim (get $spec "service" | default "conference") }}
{{- end }}
{{- if hasKey $claims $claim }}
{{- fail (printf "%s has two entries of the %s, %s and %s, of which the server would take one: leave one out, or give each a %s of its own" $list $claim (get $claims $claim) .name $field) }}
{{- end }}
{{- $_ := set $claims $claim .name }}
{{- end }}
{{- end }}
{{- end }}

{{/* What the program takes for no XMPP domain. What letters beyond ASCII may be, it says itself. */}}
{{- define "chat-operator.refuseDomain" -}}
{{- if not . }}
{{- fail "domain is empty: give the XMPP domain of this server, that is what stands after the @ of everybody's address, such as chat.example.com. It cannot be changed afterwards" }}
{{- end }}
{{- if not (regexMatch "^\\[[0-9a-f:.]+\\]$" .) }}
{{- if regexMatch "[A-Z]" . }}
{{- fail (printf "domain %q has capital letters: write %s" . (lower .)) }}
{{- end }}
{{- if regexMatch "^[^:]*:[0-9]+$" . }}
{{- fail (printf "domain %q has a port, which is no part of addresses: leave it out. Ports are service.xmppPort and service.xmppsPort" .) }}
{{- end }}
{{- if contains "@" . }}
{{- fail (printf "domain %q is an address: give what stands after the @" .) }}
{{- end }}
{{- with regexFind "[\\x00-\\x2c\\x2f\\x3a-\\x60\\x7b-\\x7f]" . }}
{{- fail (printf "domain %q has the character %q: the domain has letters, digits, hyphens and dots, such as chat.example.com" $ .) }}
{{- end }}
{{- if regexMatch "^\\.|\\.\\.|\\.$" . }}
{{- fail (printf "domain %q begins or ends with a dot, or has two in a row: dots stand between names, as in chat.example.com" .) }}
{{- end }}
{{- if regexMatch "(^|\\.)-|-(\\.|$)" . }}
{{- fail (printf "domain %q has a name between dots that begins or ends with a hyphen: no domain has" .) }}
{{- end }}
{{- if or (gt (len .) 253) (regexMatch "[a-z0-9-]{64}" .) }}
{{- fail (printf "domain %q is too long: 253 characters at most, 63 between two dots" .) }}
{{- end }}
{{- if and (regexMatch "(^|\\.)[0-9]+$" .) (not (regexMatch "^((25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(\\.|$)){4}$" .)) }}
{{- fail (printf "domain %q ends with a number, as only an IP address does, and is none" .) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Flags that the chart gives, with the value that decides each: a second one would have the program do what Services, volumes and probes do not. */}}
{{- define "chat-operator.refuseArgs" -}}
{{- $given := dict
  "domain" "use the value domain"
  "namespace" "it is the namespace of the release (helm --namespace)"
  "data-dir" "data is on the volume of the value persistence"
  "secret-name" "rights, notes and the test of the release name the Secret chat-operator"
  "xmpp-bind-address" "use the value service.xmppPort for the port of the Service"
  "xmpps-bind-address" "use the value service.xmppsPort for the port of the Service"
  "rest-bind-address" "use the values management.http and management.restPort"
  "rest-tls-bind-address" "use the value management.restTLSPort for the port of the Service"
  "metrics-bind-address" "use the value management.metricsPort for the port of the Service"
  "health-probe-bind-address" "the probes of the Pod ask there"
  "log-level" "use the value logLevel"
  "rest-trusted-proxies" "use the value management.trustedProxies"
  "rest-tls-trusted-proxies" "use the value management.tlsTrustedProxies"
  "xmpp-trusted-proxies" "use the value service.trustedProxies"
  "tls-cert-file" "use the values tls.source and tls.secretName"
  "tls-key-file" "use the values tls.source and tls.secretName"
  "kubeconfig" "the server uses the rights of its ServiceAccount in its own namespace"
  "leader-elect" "the chart runs one Pod, which owns the database, and gives it no right to Leases" }}
{{- range .Values.extraArgs }}
{{- $flag := regexReplaceAll "^--?([^=]*).*$" . "${1}" }}
{{- with index $given $flag }}
{{- fail (printf "extraArgs has --%s, which the chart decides: %s" $flag .) }}
{{- end }}
{{- end }}
{{- end }}
