package main

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"
)

func TestSecretOfTheProperty(t *testing.T) {
	w := newWorld(t)
	w.objects[pods] = pod
	w.answer("GET /sessions", sessionsOfTwo)
	const installation = "/api/v1/namespaces/chat/secrets/chat-operator"
	own := w.objects[installation]
	w.objects[installation] = strings.ReplaceAll(own, base64.StdEncoding.EncodeToString([]byte(theSecret)), base64.StdEncoding.EncodeToString([]byte("no longer it")))
	w.fails([]string{"sessions"}, "does not accept the secret of Secret chat/chat-operator", "--rest-secret")
	property := func(name, made, rest string) string {
		return `{"apiVersion":"chat-operator.io/v1alpha1","kind":"SystemProperty","metadata":{"name":"` + name + `","creationTimestamp":"2031-04-0` + made + `T00:00:00Z"},` + rest + `}`
	}
	const (
		right   = `"spec":{"key":"plugin.restapi.secret","value":"` + theSecret + `"}`
		wrong   = `"spec":{"key":"plugin.restapi.secret","value":"another"}`
		inForce = `,"status":{"conditions":[{"type":"Ready","status":"True","reason":"Active"}]}`
		taken   = `,"status":{"conditions":[{"type":"Ready","status":"False","reason":"NameConflict"}]}`
	)
	for name, list := range map[string][]string{
		"named after its key": {property("plugin.restapi.secret", "1", `"spec":{"value":"`+theSecret+`"}`)},
		"another name":        {property("rest-secret", "1", right)},
		"beside other keys":   {property("a", "1", `"spec":{"key":"xmpp.domain","value":"another"}`), property("rest-secret", "2", right)},
		"the oldest":          {property("a", "2", wrong), property("b", "1", right)},
		"the first of one second": {
			property("b", "1", wrong), property("a", "1", right),
		},
		"the one in force": {property("a", "1", wrong+taken), property("b", "2", right+inForce)},
		"not one that is being deleted": {
			strings.Replace(property("a", "1", wrong+inForce), `"metadata":{`, `"metadata":{"deletionTimestamp":"2031-04-05T00:00:00Z",`, 1), property("b", "2", right),
		},
		// A resource of that name declares something else.
		"the name of the key and another key": {property("plugin.restapi.secret", "1", `"spec":{"key":"plugin.restapi.enabled","value":"true"}`), property("b", "2", right)},
	} {
		w.declare("systemproperties", "SystemProperty", list...)
		if _, _, err := w.run("sessions"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.declare("systemproperties", "SystemProperty", property("rest-secret", "1", `"spec":{"key":"plugin.restapi.secret","valueFrom":{"secretKeyRef":{"name":"other","key":"word"}}}`))
	w.fails([]string{"sessions"}, `no Secret "other"`)
	w.objects["/api/v1/namespaces/chat/secrets/other"] = `{"kind":"Secret","apiVersion":"v1","metadata":{"name":"other"},"data":{"word":"` + base64.StdEncoding.EncodeToString([]byte(theSecret+"\n")) + `"}}`
	if _, _, err := w.run("sessions"); err != nil {
		t.Error(err)
	}
}

func TestCredentials(t *testing.T) {
	w := newWorld(t)
	w.objects[pods] = pod
	w.answer("GET /sessions", sessionsOfTwo)
	dir := t.TempDir()
	write := func(name, content string) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	if _, _, err := w.run("sessions", "--rest-secret-file="+write("right", theSecret+"\n")); err != nil {
		t.Error(err)
	}
	w.fails([]string{"sessions", "--rest-secret-file=" + write("empty", "\n")}, "is empty")
	w.fails([]string{"sessions", "--rest-secret-file=" + write("lines", theSecret+"\n"+theSecret)}, "cannot be sent")
	w.fails([]string{"sessions", "--auth=basic"}, "choose secret or token")
	w.fails([]string{"sessions", "--auth=token", "--rest-secret=x"}, "one or the other")
	w.fails([]string{"sessions", "--auth=token"}, "has no token")
	w.configure(`{"token":"my-token"}`)
	if _, _, err := w.run("sessions", "--auth=token"); err != nil {
		t.Error(err)
	}
	w.fails([]string{"sessions", "--auth=token", "--as=mira"}, "--as does not go with --auth=token")
	w.configure(`{"token":"another-token"}`)
	w.fails([]string{"sessions", "--auth=token"}, "does not accept your Kubernetes token", "management.kubernetesTokens")
	w.objects["/api/v1/namespaces/chat/secrets/chat-operator"] = "403"
	w.fails([]string{"sessions"}, "may not read Secret", "--auth=token")
	w.objects[pods] = "403"
	w.fails([]string{"sessions", "--rest-secret-file=" + write("right", theSecret)}, "may not list pods", `namespace "chat"`)
}

// A token that a program gives, as those of cloud providers do, is the same to the server.
func TestTokenOfAProgram(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("from-a-file"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := ownToken(&rest.Config{Host: "https://kube.example", BearerTokenFile: file}); err != nil || got != "Bearer from-a-file" {
		t.Errorf("%q %v", got, err)
	}
	if _, err := ownToken(&rest.Config{Host: "https://kube.example", Username: "mira", Password: "word"}); err == nil || strings.Contains(err.Error(), "word}") {
		t.Error(err)
	}
}

func TestAddress(t *testing.T) {
	w := newWorld(t)
	w.answer("GET /sessions", sessionsOfTwo)
	ca := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.rest.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, flags := range [][]string{
		{"--rest-url=" + w.rest.URL, "--rest-ca-file=" + ca},
		{"--rest-url=" + w.rest.URL + restBase + "/", "--rest-ca-file=" + ca, "--rest-tls-server-name=example.com"},
		{"--rest-url=" + w.rest.URL, "--rest-insecure-skip-tls-verify"},
	} {
		if _, _, err := w.run(append(flags, "sessions")...); err != nil {
			t.Errorf("%q: %v", flags, err)
		}
	}
	w.fails([]string{"sessions", "--rest-url=" + w.rest.URL}, "is not trusted", "--rest-ca-file")
	w.fails([]string{"sessions", "--rest-url=" + w.rest.URL, "--rest-ca-file=" + ca, "--rest-tls-server-name=chat.test"}, "is for another name", "--rest-tls-server-name")
	w.fails([]string{"sessions", "--rest-url=http://chat.example:9090"}, "without encryption", "https")
	w.fails([]string{"sessions", "--rest-url=chat.example"}, "is no address")
	w.fails([]string{"sessions", "--rest-url=https://mira:word@chat.example"}, "leave them out")
	w.fails([]string{"sessions", "--rest-ca-file=" + ca}, "--rest-url")
}

func TestPodThatIsNotThere(t *testing.T) {
	w := newWorld(t)
	w.objects[pods] = strings.ReplaceAll(pod, `"Running"`, `"Pending"`)
	w.fails([]string{"sessions"}, "Pod chat-operator-0", "Pending", "kubectl describe pod")
	// Its program ends as soon as it is started. The Pod runs, for Kubernetes.
	w.objects[pods] = strings.NewReplacer(`"status":"True"`, `"status":"False"`, `"state":{"running":{"startedAt":"2031-04-02T02:00:00Z"}}`,
		`"name":"chat-operator","state":{"waiting":{"reason":"CrashLoopBackOff"}},"lastState":{"terminated":{"exitCode":1}}`).Replace(pod)
	w.fails([]string{"sessions"}, "ends again and again", "`kubectl logs --previous chat-operator-0 --namespace chat`")
	// It runs, and nothing listens on the port yet.
	w.objects[pods] = strings.ReplaceAll(pod, "9091", "9099")
	w.fails([]string{"sessions"}, "Pod chat-operator-0 does not answer", "nothing listens on port 9099")
	w.objects[pods] = strings.ReplaceAll(pod, "rest", "other")
	w.fails([]string{"sessions"}, "no port named rest-tls or rest")
}

// Whoever may create Pods in a namespace gives them what labels and owners they like: no token and no password goes to such a Pod.
func TestPodsOfSomebodyElse(t *testing.T) {
	const theirs = `{"metadata":{"name":"NAME","namespace":"chat","creationTimestamp":"2031-04-05T04:00:00Z","labels":{"app.kubernetes.io/name":"chat-operator"},"ownerReferences":[OWNER]},
		"spec":{"containers":[{"name":"chat-operator","ports":[{"name":"rest-tls","containerPort":9099}]}]},
		"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}`
	const ofTheSet = `{"apiVersion":"apps/v1","kind":"StatefulSet","name":"chat-operator","uid":"uid-of-the-set","controller":true}`
	for name, their := range map[string]string{
		"the same labels":                  strings.NewReplacer("NAME", "collector", "OWNER", "").Replace(theirs),
		"another owner of the same name":   strings.NewReplacer("NAME", "chat-operator-0", "OWNER", strings.Replace(ofTheSet, "uid-of-the-set", "uid-of-theirs", 1)).Replace(theirs),
		"an owner that did not make it":    strings.NewReplacer("NAME", "chat-operator-collector", "OWNER", ofTheSet).Replace(theirs),
		"a number that the set has not":    strings.NewReplacer("NAME", "chat-operator-1", "OWNER", ofTheSet).Replace(theirs),
		"a number as the set writes none":  strings.NewReplacer("NAME", "chat-operator-00", "OWNER", ofTheSet).Replace(theirs),
		"an owner that does not manage it": strings.NewReplacer("NAME", "chat-operator-0", "OWNER", strings.Replace(ofTheSet, "true", "false", 1)).Replace(theirs),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.configure(`{"token":"my-token"}`)
			w.answer("GET /sessions", sessionsOfTwo)
			w.objects[pods] = `{"apiVersion":"v1","kind":"PodList","metadata":{},"items":[` + their + `]}`
			w.fails([]string{"sessions", "--auth=token"}, "has no Pod", "kubectl describe statefulset chat-operator --namespace chat")
			if w.tunnels != 0 {
				t.Error("their Pod was connected to")
			}
			w.objects[pods] = strings.Replace(pod, `"items":[`, `"items":[`+their+",", 1)
			if _, _, err := w.run("sessions", "--auth=token"); err != nil {
				t.Errorf("beside the server's own: %v", err)
			}
		})
	}
	w := newWorld(t)
	delete(w.objects, statefulSet)
	w.objects[pods] = pod
	w.fails([]string{"sessions"}, `namespace "chat" has no chat server`, "--rest-url")
	w.objects[statefulSet] = "403"
	w.fails([]string{"sessions"}, "may not get statefulsets", "ClusterRole view")
}

// A property that cannot be read is passed over where that is for want of a right, and only then.
func TestPropertyThatCannotBeRead(t *testing.T) {
	w := newWorld(t)
	w.objects[pods] = pod
	w.answer("GET /sessions", sessionsOfTwo)
	const property = "/apis/chat-operator.io/v1alpha1/namespaces/chat/systemproperties"
	w.objects[property] = "403"
	if _, _, err := w.run("sessions"); err != nil {
		t.Error(err)
	}
	const installation = "/api/v1/namespaces/chat/secrets/chat-operator"
	own := w.objects[installation]
	delete(w.objects, installation)
	w.fails([]string{"sessions"}, `no Secret "chat-operator"`, "whether property plugin.restapi.secret names another you may not read")
	w.objects[installation] = own
	w.objects[property] = "500"
	w.fails([]string{"sessions"}, "list systemproperties", "etcd is away")
}

// The StatefulSet that the manifests make is the one that this program looks for, and its Pods have the ports that it knows.
func TestManifest(t *testing.T) {
	manifest, err := os.ReadFile("../../config/manager/statefulset.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var set appsv1.StatefulSet
	if err := yaml.Unmarshal(manifest, &set); err != nil {
		t.Fatal(err)
	}
	if set.Name != installation {
		t.Errorf("the StatefulSet is named %s", set.Name)
	}
	ports := portsOf(&corev1.Pod{Spec: set.Spec.Template.Spec})
	for name, port := range map[string]int32{portREST: 9090, portRESTTLS: 9091, portMetrics: 8080} {
		if ports[name] != port {
			t.Errorf("port %s is %d", name, ports[name])
		}
	}
}

func TestClusterWithoutChat(t *testing.T) {
	w := newWorld(t)
	w.objects["/apis/chat-operator.io/v1alpha1/namespaces/chat/chatusers"] = "403"
	w.fails([]string{"users"}, "may not list chatusers", "ClusterRole view")
	delete(w.objects, "/apis/chat-operator.io/v1alpha1/namespaces/chat/chatusers")
	w.withoutChat = true
	w.fails([]string{"users"}, "has no chat resources (chat-operator.io)", "install chat-operator first")
	w.fails([]string{"status"}, "has no chat resources (chat-operator.io)")
}

func TestShow(t *testing.T) {
	for text, want := range map[string]string{
		"Zoë 🌱":             "Zoë 🌱",
		"two\nlines\t":      "two lines ",
		"\x1b]0;title\a":    `\x1b]0;title\a`,
		"user\u202egnp.exe": `user\u202egnp.exe`,
		"bad\xff":           `bad` + "\ufffd",
	} {
		if got := show(text); got != want {
			t.Errorf("%q is shown as %q, not %q", text, got, want)
		}
	}
}

// What a server says may be anything: it commands no terminal, and adds no lines that look like ours.
func TestServerThatCommandsTerminals(t *testing.T) {
	const evil = "\x1b[2Jgone\nerror: all is well"
	w := newWorld(t)
	w.objects[pods] = pod
	said, err := json.Marshal(map[string]string{"message": evil, "exception": "IllegalArgumentException"})
	if err != nil {
		t.Fatal(err)
	}
	w.answer("POST /messages/users/mira", "400 "+string(said))
	var out strings.Builder
	_, _, err = w.run("send", "mira", "hello")
	report(&out, err)
	if want := `error: the chat server in Pod chat-operator-0 says: \x1b[2Jgone error: all is well` + "\n"; out.String() != want {
		t.Errorf("%q is printed, not %q", out.String(), want)
	}
	w.declare("chatusers", "ChatUser", declared("mira", `{}`))
	w.answer("GET /sessions", "400 "+string(said))
	_, warned, err := w.run("users")
	if want := `warning: who is online is unknown: the chat server in Pod chat-operator-0 says: \x1b[2Jgone error: all is well` + "\n"; err != nil || warned != want {
		t.Errorf("%v %q is printed, not %q", err, warned, want)
	}
}

func TestAnswerThatIsTooLong(t *testing.T) {
	const most = 1
	long := strings.Repeat("x", most<<20)
	if answer, err := readAnswer(strings.NewReader(long), most); err != nil || len(answer) != most<<20 {
		t.Errorf("%d bytes: %v", len(answer), err)
	}
	_, err := readAnswer(strings.NewReader(long+"x"), most)
	s := &chatServer{where: "the chat server at https://chat.example:9091"}
	if err = s.unreachable(t.Context(), err); err == nil || !strings.Contains(err.Error(), "answers with more than 1 MiB") || strings.Contains(err.Error(), "does not answer") {
		t.Error(err)
	}
}

func TestRoomNames(t *testing.T) {
	for name, want := range map[string][2]string{
		"lobby":                             {"lobby", "conference"},
		"lobby@workshop":                    {"lobby", "workshop"},
		"lobby@conference.chat.example":     {"lobby", "conference"},
		"lobby@conference.chat.example/ann": {"lobby", "conference"},
	} {
		if room, service := splitRoom(name); [2]string{room, service} != want {
			t.Errorf("%s is %s of %s", name, room, service)
		}
	}
}
