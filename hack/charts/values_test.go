package charts

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"

	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// Values that the schema refuses, each by what is said of it.
func TestSchemaRefuses(t *testing.T) {
	const hash = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for values, says := range map[string]string{
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
		"service.xmppNodePort=-1":                                "/service/xmppNodePort",
		"service.xmppsNodePort=70000":                            "/service/xmppsNodePort",
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
		"networkPolicy.apiServerTo[0].cidr=192.0.2.1/32":         "/networkPolicy/apiServerTo/0",
		"networkPolicy.dnsTo[0]=kube-system":                     "/networkPolicy/dnsTo/0",
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
		"persistence.enabled=false,persistence.existingClaim=mine":                            "set persistence.enabled to true, or leave the claim out",
		"service.xmppNodePort=30522":                                                          "set service.type to NodePort or LoadBalancer",
		"service.type=NodePort,service.xmppNodePort=30522,service.xmppsNodePort=30522":        "give each a port of its own",
		"users[0].name=mira,users[1].name=tobias,users[2].name=mira":                          "users has two entries of the name mira",
		"groups[0].name=a,groups[1].name=a":                                                   "groups has two entries of the name a",
		"rooms[0].name=a,rooms[1].name=a":                                                     "rooms has two entries of the name a",
		"properties[0].name=a,properties[0].spec.key=b,properties[0].spec.value=c,properties[1].name=a,properties[1].spec.key=d,properties[1].spec.value=e":                                       "properties has two entries of the name a",
		"users[0].name=a,users[0].spec.username=müller,users[1].name=b,users[1].spec.username=müller":                                                                                             "users has two entries of the username müller, a and b",
		"users[0].name=a,users[0].spec.username=mira,users[1].name=mira":                                                                                                                          "users has two entries of the username mira, a and mira",
		"groups[0].name=a,groups[0].spec.groupName=Night Shift,groups[1].name=b,groups[1].spec.groupName=Night Shift":                                                                             "groups has two entries of the groupName Night Shift, a and b",
		"rooms[0].name=a,rooms[0].spec.roomName=fête,rooms[1].name=b,rooms[1].spec.roomName=fête,rooms[1].spec.service=conference":                                                                "rooms has two entries of the roomName fête of service conference, a and b",
		"properties[0].name=a,properties[0].spec.key=accounts.purgeDelay,properties[0].spec.value=1h,properties[1].name=b,properties[1].spec.key=accounts.purgeDelay,properties[1].spec.value=2h": "properties has two entries of the key accounts.purgeDelay, a and b",
	} {
		_, err := template(chart, "chat", "chat", "--set", "domain=chat.example", "--set", values)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", values, err)
		}
	}
	for _, values := range []string{
		"rooms[0].name=lobby,rooms[1].name=b,rooms[1].spec.roomName=lobby,rooms[1].spec.service=staff",
		"groups[0].name=a,groups[0].spec.groupName=Night Shift,groups[1].name=b,groups[1].spec.groupName=night shift",
		"users[0].name=mira,groups[0].name=mira,rooms[0].name=mira",
	} {
		if _, err := template(chart, "chat", "chat", "--set", "domain=chat.example", "--set", values); err != nil {
			t.Errorf("%s: %v", values, err)
		}
	}
}

// A domain is refused in a sentence, and just where the program refuses it or has another spelling of it.
func TestDomains(t *testing.T) {
	for domain, says := range map[string]string{
		"":                                "what stands after the @ of everybody's address",
		"Chat.example":                    "write chat.example",
		"chat example":                    `has the character " "`,
		"chat_example":                    `has the character "_"`,
		"chat/example":                    `has the character "/"`,
		"mira@chat.example":               "give what stands after the @",
		"chat.example.com:5222":           "service.xmppPort",
		".chat.example":                   "begins or ends with a dot",
		"chat.example.":                   "begins or ends with a dot",
		"chat..example":                   "two in a row",
		"-chat.example":                   "a hyphen",
		"chat-.example":                   "a hyphen",
		strings.Repeat("a", 64) + ".test": "63 between two dots",
		strings.Repeat("a.", 126) + "abc": "253 characters",
		"chat.1":                          "as only an IP address does",
		"192.0.2.256":                     "as only an IP address does",
		"192.0.2.01":                      "as only an IP address does",
		"chat.example":                    "",
		"localhost":                       "",
		"chät.example":                    "",
		"xn--bcher-kva.example":           "",
		"192.0.2.1":                       "",
		"[2001:db8::1]":                   "",
		strings.Repeat("a.", 125) + "abc": "",
	} {
		_, err := template(chart, "chat", "chat", "--set-string", "domain="+domain)
		if (err == nil) != (says == "") || err != nil && (!strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "schema")) {
			t.Errorf("%q: %v", domain, err)
		}
		prepared, err := jid.PrepareDomain(domain)
		if taken := err == nil && (prepared == domain || strings.HasPrefix(domain, "xn--")); taken != (says == "") {
			t.Errorf("the program has %q, %v for %q", prepared, err, domain)
		}
	}
}

// Whatever the chart tells the program is said by a value, and extraArgs cannot say it otherwise.
func TestExtraArgsDoNotContradict(t *testing.T) {
	list := render(t, "tls.source=secret,tls.secretName=mine,management.trustedProxies={192.0.2.1},service.trustedProxies={192.0.2.1},management.tlsTrustedProxies={192.0.2.1}")
	given := args(get[*appsv1.StatefulSet](t, list, "chat-operator"))
	for i, arg := range append(given, "--secret-name=mine", "--leader-elect", "--kubeconfig=/tmp/config") {
		name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		spelled := []string{"--" + name + "=x", "--" + name, "-" + name + "=x"}[i%3]
		_, err := template(chart, "chat", "chat", "--set", "domain=chat.example", "--set", "extraArgs={"+spelled+"}")
		if name == "host" { // of those in generated Secrets, which may name another one than the Service: the last flag counts
			if err != nil {
				t.Errorf("%s: %v", spelled, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), "extraArgs has --"+name+", which the chart decides: ") {
			t.Errorf("%s: %v", spelled, err)
		}
	}
	for arg, value := range map[string]string{
		"--domain=a.example": "use the value domain", "--data-dir=/tmp": "persistence", "--metrics-bind-address=:1": "management.metricsPort",
		"--xmpp-bind-address=:1": "service.xmppPort", "--secret-name=mine": "the Secret chat-operator",
	} {
		if _, err := template(chart, "chat", "chat", "--set", "domain=chat.example", "--set", "extraArgs={"+arg+"}"); err == nil || !strings.Contains(err.Error(), value) {
			t.Errorf("%s: %v", arg, err)
		}
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
