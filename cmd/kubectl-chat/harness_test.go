package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
)

// theSecret opens the REST server of the tests. No command prints it.
const theSecret = "a-secret-of-REST"

// now is when the tests take place: 2031-04-05T05:00:00Z.
func now() time.Time { return time.Date(2031, 4, 5, 5, 0, 0, 0, time.UTC) }

// world is an API server and a chat server that know what a test gives them.
type world struct {
	t          *testing.T
	kube, rest *httptest.Server
	kubeconfig string
	// probes answers /readyz; nil: nothing listens there.
	probes *httptest.Server

	mu sync.Mutex
	// objects are the answers of the API server by path, answers those of REST by method and path.
	objects map[string]string
	answers map[string]http.HandlerFunc
	tunnels int
	// withoutChat takes the chat resources away.
	withoutChat bool
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, objects: map[string]string{}, answers: map[string]http.HandlerFunc{}}
	w.rest = httptest.NewTLSServer(http.HandlerFunc(w.serveREST))
	t.Cleanup(w.rest.Close)
	w.kube = httptest.NewTLSServer(http.HandlerFunc(w.serveKubernetes))
	t.Cleanup(w.kube.Close)
	w.kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	w.configure("{}")
	w.objects[statefulSet] = theStatefulSet
	w.declare("systemproperties", "SystemProperty")
	w.objects["/api/v1/namespaces/chat/secrets/chat-operator"] =
		`{"kind":"Secret","apiVersion":"v1","metadata":{"name":"chat-operator"},"data":{"rest-secret":"` + base64.StdEncoding.EncodeToString([]byte(theSecret)) + `"}}`
	return w
}

// configure writes a kubeconfig whose user is the one given.
func (w *world) configure(user string) {
	w.t.Helper()
	config := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"here",
		"clusters":[{"name":"here","cluster":{"server":%q,"certificate-authority-data":%q}}],
		"contexts":[{"name":"here","context":{"cluster":"here","user":"me","namespace":"chat"}}],
		"users":[{"name":"me","user":%s}]}`, w.kube.URL,
		base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.kube.Certificate().Raw})), user)
	if err := os.WriteFile(w.kubeconfig, []byte(config), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// declare has the API server list resources of a kind.
func (w *world) declare(resource, kind string, items ...string) {
	w.objects["/apis/chat-operator.io/v1alpha1/namespaces/chat/"+resource] =
		`{"apiVersion":"chat-operator.io/v1alpha1","kind":"` + kind + `List","metadata":{},"items":[` + strings.Join(items, ",") + `]}`
}

// declareNothing lets lists be empty.
func (w *world) declareNothing() {
	for resource, kind := range map[string]string{"chatusers": "ChatUser", "chatgroups": "ChatGroup", "chatrooms": "ChatRoom", "systemproperties": "SystemProperty"} {
		w.declare(resource, kind)
	}
}

// answer has REST answer a call with a body and status 200, or another status that stands before it: "404 {...}".
func (w *world) answer(call, body string) {
	status := http.StatusOK
	if n, rest, found := strings.Cut(body, " "); found && len(n) == 3 {
		if _, err := fmt.Sscan(n, &status); err == nil {
			body = rest
		}
	}
	w.answers[call] = func(out http.ResponseWriter, _ *http.Request) {
		out.WriteHeader(status)
		_, _ = io.WriteString(out, body)
	}
}

// run runs a command line and gives what it printed. No secret may be in that.
func (w *world) run(args ...string) (stdout, stderr string, err error) { return w.runWith("", args...) }

func (w *world) runWith(stdin string, args ...string) (stdout, stderr string, err error) {
	w.t.Helper()
	var out, errOut bytes.Buffer
	o := newOptions(genericiooptions.IOStreams{In: strings.NewReader(stdin), Out: &out, ErrOut: &errOut})
	o.now = now
	cmd := newCommand(o)
	cmd.SetArgs(append(args, "--kubeconfig="+w.kubeconfig))
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	err = cmd.ExecuteContext(ctx)
	for what, text := range map[string]string{"output": out.String(), "errors": errOut.String(), "failure": fmt.Sprint(err)} {
		if strings.Contains(text, theSecret) {
			w.t.Errorf("%q prints the secret in its %s:\n%s", args, what, text)
		}
	}
	return out.String(), errOut.String(), err
}

// prints checks that a command succeeds and what it prints.
func (w *world) prints(want string, args ...string) {
	w.t.Helper()
	out, errOut, err := w.run(args...)
	if err != nil || errOut != "" {
		w.t.Fatalf("%q: %v\n%s", args, err, errOut)
	}
	if out != strings.TrimPrefix(want, "\n") {
		w.t.Errorf("%q prints\n%s\nnot\n%s", args, out, want)
	}
}

// fails checks that a command fails with all of these in its reason.
func (w *world) fails(args []string, parts ...string) {
	w.t.Helper()
	out, _, err := w.run(args...)
	if err == nil {
		w.t.Fatalf("%q succeeds and prints\n%s", args, out)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			w.t.Errorf("%q fails with\n%s\nwithout %q", args, err, part)
		}
	}
}

func (w *world) serveREST(out http.ResponseWriter, r *http.Request) {
	call := r.Method + " " + strings.TrimPrefix(r.URL.RequestURI(), restBase)
	w.mu.Lock()
	answer := w.answers[call]
	w.mu.Unlock()
	switch {
	case r.URL.Path == restBase+"/openapi.yaml":
	case r.Header.Get("Authorization") != theSecret && r.Header.Get("Authorization") != "Bearer my-token":
		out.WriteHeader(http.StatusUnauthorized)
		return
	}
	if answer == nil {
		w.t.Errorf("nobody expects %s", call)
		out.WriteHeader(http.StatusNotFound)
		return
	}
	answer(out, r)
}

func (w *world) serveKubernetes(out http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/portforward") {
		w.forward(out, r)
		return
	}
	w.mu.Lock()
	object, found := w.objects[r.URL.Path]
	w.mu.Unlock()
	if !found && w.withoutChat && strings.HasPrefix(r.URL.Path, "/apis/") {
		http.NotFound(out, r) // as an API server answers for a group that it does not have
		return
	}
	out.Header().Set("Content-Type", "application/json")
	if !found {
		out.WriteHeader(http.StatusNotFound)
		_ = json.NewEncoder(out).Encode(map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404,
			"message": r.URL.Path + " not found", "details": map[string]string{"name": r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]}})
		return
	}
	if strings.HasPrefix(object, "500") {
		out.WriteHeader(http.StatusInternalServerError)
		_ = json.NewEncoder(out).Encode(map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "InternalError", "code": 500, "message": "etcd is away"})
		return
	}
	if strings.HasPrefix(object, "403") {
		out.WriteHeader(http.StatusForbidden)
		_ = json.NewEncoder(out).Encode(map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403, "message": "forbidden"})
		return
	}
	_, _ = io.WriteString(out, object)
}

// forward is what a kubelet does with a port-forward: each pair of streams becomes a connection, here to the REST server.
func (w *world) forward(out http.ResponseWriter, r *http.Request) {
	if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		http.Error(out, "too old for that", http.StatusBadRequest) // as before Kubernetes 1.30
		return
	}
	if _, err := httpstream.Handshake(r, out, []string{portforward.PortForwardProtocolV1Name}); err != nil {
		return
	}
	streams := make(chan httpstream.Stream, 8)
	conn := spdy.NewResponseUpgrader().UpgradeResponse(out, r, func(s httpstream.Stream, _ <-chan struct{}) error {
		streams <- s
		return nil
	})
	if conn == nil {
		return
	}
	w.mu.Lock()
	w.tunnels++
	w.mu.Unlock()
	defer conn.Close()
	failed := map[string]httpstream.Stream{}
	for {
		select {
		case <-conn.CloseChan():
			return
		case s := <-streams:
			id := s.Headers().Get(corev1.PortForwardRequestIDHeader)
			if s.Headers().Get(corev1.StreamType) == corev1.StreamTypeError {
				failed[id] = s
				continue
			}
			go w.connect(s, failed[id])
		}
	}
}

func (w *world) connect(data, failed httpstream.Stream) {
	defer failed.Close()
	defer data.Close()
	var address string
	switch port := data.Headers().Get(corev1.PortHeader); {
	case port == "9091":
		address = w.rest.Listener.Addr().String()
	case port == "8081" && w.probes != nil:
		address = w.probes.Listener.Addr().String()
	default:
		fmt.Fprintf(failed, "nothing listens on port %s", port)
		return
	}
	server, err := net.Dial("tcp", address)
	if err != nil {
		fmt.Fprint(failed, err)
		return
	}
	defer server.Close()
	go func() { _, _ = io.Copy(server, data) }()
	_, _ = io.Copy(data, server)
}

// theStatefulSet is what the chart makes, and pod the Pod that comes of it.
const theStatefulSet = `{"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"chat-operator","namespace":"chat","uid":"uid-of-the-set"},
	"spec":{"replicas":1,"selector":{"matchLabels":{"app.kubernetes.io/name":"chat-operator"}}}}`

const pod = `{"apiVersion":"v1","kind":"PodList","metadata":{},"items":[{"metadata":{"name":"chat-operator-0","namespace":"chat","labels":{"app.kubernetes.io/name":"chat-operator"},
		"ownerReferences":[{"apiVersion":"apps/v1","kind":"StatefulSet","name":"chat-operator","uid":"uid-of-the-set","controller":true}]},
	"spec":{"containers":[{"name":"chat-operator","ports":[{"name":"rest","containerPort":9090},{"name":"rest-tls","containerPort":9091},{"name":"metrics","containerPort":8080},{"name":"health","containerPort":8081}]}]},
	"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}],
		"containerStatuses":[{"restartCount":2,"state":{"running":{"startedAt":"2031-04-02T02:00:00Z"}}}]}}]}`

const (
	pods        = "/api/v1/namespaces/chat/pods"
	statefulSet = "/apis/apps/v1/namespaces/chat/statefulsets/chat-operator"
)

// complete runs a command line whose last word is the one to complete.
func (w *world) complete(args []string) string {
	w.t.Helper()
	var out bytes.Buffer
	cmd := newCommand(newOptions(genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: io.Discard}))
	cmd.SetArgs(args)
	if err := cmd.ExecuteContext(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return out.String()
}
