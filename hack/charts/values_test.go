package charts

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// Values that the schema refuses, each by what is said of it.
func TestSchemaRefuses(t *testing.T) {
	const hash = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for values, says := range map[string]string{
		"domain=":                                                "/domain",
		"domain=Chat.example":                                    "/domain",
		"domain=chat example":                                    "/domain",
		"domain=mira@chat.example":                               "/domain",
		"domian=chat.example":                                    "domian",
		"cluster.install=false":                                  "cluster",
		"replicas=2":                                             "/replicas",
		"replicas=0":                                             "/replicas",
		"image.tags=x":                                           "tags",
		"image.digest=" + hash[:20]:                              "/image/digest",
		"image.pullPolicy=Sometimes":                             "/image/pullPolicy",
		"imagePullSecrets[0]=registry":                           "/imagePullSecrets/0",
		"tls.source=acme":                                        "/tls/source",
		"tls.secretName=Chat TLS":                                "/tls/secretName",
		"tls.certManager.renewBefore=15d":                        "/tls/certManager/renewBefore",
		"tls.certManager.issuer=public":                          "issuer",
		"persistence.size=lots":                                  "/persistence/size",
		"persistence.whenDeleted=Keep":                           "/persistence/whenDeleted",
		"service.type=ExternalName":                              "/service/type",
		"service.xmppPort=70000":                                 "/service/xmppPort",
		"service.xmppPort=xmpp":                                  "/service/xmppPort",
		"service.trustedProxies={all}":                           "/service/trustedProxies/0",
		"service.externalTrafficPolicy=no":                       "/service/externalTrafficPolicy",
		"management.http=yes":                                    "/management/http",
		"management.trustedProxies=10/8":                         "/management/trustedProxies",
		"management.tlsTrustedProxies={all}":                     "/management/tlsTrustedProxies/0",
		"ingress.hosts={a}":                                      "hosts",
		"gateway.rest.parentRefs[0]=gw":                          "/gateway/rest/parentRefs/0",
		"gateway.tlsRouteVersion=v2":                             "/gateway/tlsRouteVersion",
		"networkPolicy.restFrom[0].all=1":                        "/networkPolicy/restFrom/0",
		"networkPolicy.apiServerPorts={}":                        "/networkPolicy/apiServerPorts",
		"monitoring.serviceMonitor.interval=often":               "/monitoring/serviceMonitor/interval",
		"monitoring.alerts.enabled=true":                         "alerts",
		"users[0].spec.admin=true":                               "/users/0",
		"users[0].name=Mira":                                     "/users/0/name",
		"users[0].name=mira,users[0].admin=true":                 "/users/0",
		"users[0].name=mira,users[0].spec.adnim=true":            "/users/0/spec",
		"users[0].name=mira,users[0].spec.admin=yes":             "/users/0/spec/admin",
		"users[0].name=mira,users[0].spec.password=secret":       "/users/0/spec",
		"groups[0].name=a,groups[0].spec.sharedRoster.mode=Some": "/groups/0/spec/sharedRoster/mode",
		"rooms[0].name=a,rooms[0].spec.maxOccupants=many":        "/rooms/0/spec/maxOccupants",
		"properties[0].name=a":                                   "/properties/0",
		"properties[0].name=a,properties[0].spec.value=3":        "/properties/0/spec/value",
		"logLevel=loud":                                          "/logLevel",
		"extraArgs={check}":                                      "/extraArgs/0",
		"resources.limit.memory=1Gi":                             "limit",
		"terminationGracePeriodSeconds=19":                       "/terminationGracePeriodSeconds",
		"test.rest=never":                                        "/test/rest",
		"podSecurityContext=none":                                "/podSecurityContext",
		"nodeSelector.spot=true":                                 "/nodeSelector/spot",
		"podAnnotations=none":                                    "/podAnnotations",
		"serviceAccount.name=other":                              "name",
	} {
		_, err := template(chart, "chat", "chat", "--set", "domain=chat.example", "--set", values)
		if err == nil || !strings.Contains(err.Error(), "schema") || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", values, err)
		}
	}
}

// What is wrong only together is said in a sentence.
func TestContradictions(t *testing.T) {
	for values, says := range map[string]string{
		"tls.source=secret":      "give tls.secretName",
		"tls.secretName=mine":    "say tls.source secret or certManager",
		"tls.source=certManager": "give tls.certManager.issuerRef.name",
		"ingress.enabled=true,management.trustedProxies={10.0.0.0/8}":                         "give ingress.host",
		"ingress.enabled=true,ingress.host=a.example,management.http=false":                   "set management.http to true",
		"ingress.enabled=true,ingress.host=a.example":                                         "management.trustedProxies",
		"gateway.rest.enabled=true,gateway.rest.parentRefs[0].name=gw":                        "management.trustedProxies",
		"extraArgs={--leader-elect}":                                                          "extraArgs has --leader-elect",
		"tls.source=secret,tls.secretName=chat-operator-tls,tls.certManager.issuerRef.name=a": "give that Secret another name",
		"gateway.rest.enabled=true,management.trustedProxies={10.0.0.0/8}":                    "name its gateway in gateway.rest.parentRefs",
		"gateway.xmpps.enabled=true":                                                          "name its gateway in gateway.xmpps.parentRefs",
		"gateway.restTLS.enabled=true,gateway.restTLS.parentRefs[0].name=gw":                  "give gateway.restTLS.hostnames",
	} {
		_, err := template(chart, "chat", "chat", "--set", "domain=chat.example", "--set", values)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", values, err)
		}
	}
	if _, err := template(chart, "chat", "chat"); err == nil || !strings.Contains(err.Error(), "/domain") {
		t.Errorf("without a domain: %v", err)
	}
}

// Every value has its place in values.yaml, which is where people read of it, and the schema takes what values.yaml says.
func TestValuesAndSchemaHaveTheSameKeys(t *testing.T) {
	for _, dir := range []string{chart, crds} {
		content, err := os.ReadFile(filepath.Join(dir, "values.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		var values map[string]any
		if err := yaml.UnmarshalStrict(content, &values); err != nil {
			t.Fatal(err)
		}
		content, err = os.ReadFile(filepath.Join(dir, "values.schema.json"))
		if err != nil {
			t.Fatal(err)
		}
		var schema map[string]any
		if err := json.Unmarshal(content, &schema); err != nil {
			t.Fatal(err)
		}
		definitions, _ := schema["definitions"].(map[string]any)
		compareKeys(t, dir, values, schema, definitions)
	}
}

func compareKeys(t *testing.T, path string, values, schema, definitions map[string]any) {
	t.Helper()
	if ref, ok := schema["$ref"].(string); ok {
		schema, _ = definitions[strings.TrimPrefix(ref, "#/definitions/")].(map[string]any)
	}
	properties, ok := schema["properties"].(map[string]any)
	if !ok {
		return // a map of the user's own
	}
	for key, of := range properties {
		value, found := values[key]
		// global is Helm's own, and claims are for those who know of them.
		if !found && key != "global" && key != "claims" {
			t.Errorf("%s: the schema has %q, and values.yaml has not", path, key)
		}
		if inner, isMap := value.(map[string]any); isMap {
			compareKeys(t, path+"."+key, inner, of.(map[string]any), definitions)
		}
	}
	for key := range values {
		if _, found := properties[key]; !found {
			t.Errorf("%s: values.yaml has %q, and the schema has not", path, key)
		}
	}
}
