package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"
)

const noUser = `404 {"resource":"nobody","message":"Could not get user","exception":"UserNotFoundException"}`

// takes has REST take a call and keeps its body.
func (w *world) takes(call string, status int) *string {
	body := new(string)
	w.answers[call] = func(out http.ResponseWriter, r *http.Request) {
		read, _ := io.ReadAll(r.Body)
		*body = string(read)
		out.WriteHeader(status)
	}
	return body
}

func TestKick(t *testing.T) {
	w := newWorld(t)
	w.objects[pods] = pod
	w.answer("GET /sessions/tobias", `{"sessions":[`+sessionOfTobias+`]}`)
	w.takes("DELETE /sessions/tobias", http.StatusOK)
	w.prints("tobias: 1 session closed\n", "kick", "tobias@chat.example")
	w.answer("GET /sessions/tobias", `{"sessions":[]}`)
	w.answer("GET /users/tobias", `{"username":"tobias","name":""}`)
	w.prints("tobias: was not connected\n", "kick", "tobias")
	w.answer("GET /sessions/nobody", `{"sessions":[]}`)
	w.takes("DELETE /sessions/nobody", http.StatusOK)
	w.answer("GET /users/nobody", noUser)
	w.fails([]string{"kick"}, "nobody is named: give the users")
	w.fails([]string{"kick", "nobody"}, `no user "nobody"`)
	w.fails([]string{"kick", "tobias@chat.example/phone"}, "kubectl chat kick tobias")
}

func TestLock(t *testing.T) {
	w := newWorld(t)
	w.objects[pods] = pod
	locked := map[string]bool{"mira": true}
	for _, name := range []string{"mira", "tobias"} {
		w.answers["GET /lockouts/"+name] = func(out http.ResponseWriter, _ *http.Request) {
			_ = json.NewEncoder(out).Encode(map[string]any{"username": name, "locked": locked[name]})
		}
		w.answers["POST /lockouts/"+name] = func(out http.ResponseWriter, _ *http.Request) {
			locked[name] = true
			out.WriteHeader(http.StatusCreated)
		}
		w.answers["DELETE /lockouts/"+name] = func(http.ResponseWriter, *http.Request) { locked[name] = false }
	}
	w.prints("tobias: locked\nmira: was locked already\n", "lock", "tobias@chat.example", "mira")
	if !locked["tobias"] || !locked["mira"] {
		t.Error(locked)
	}
	w.prints("tobias: unlocked\n", "unlock", "tobias")
	w.prints("tobias: was not locked\n", "unlock", "tobias")
	if locked["tobias"] || !locked["mira"] {
		t.Error(locked)
	}
	w.prints(`
{
  "items": [
    {
      "username": "tobias",
      "locked": true,
      "changed": true
    },
    {
      "username": "mira",
      "locked": true,
      "changed": false
    }
  ]
}
`, "lock", "tobias", "mira", "-o", "json")
	w.prints("tobias\nmira\n", "unlock", "tobias", "mira", "-o", "name")
	w.fails([]string{"lock"}, "nobody is named", "`kubectl chat lock tobias`")
	w.fails([]string{"lock", "mira", "-o", "xml"}, "is no format")
	w.answer("GET /lockouts/nobody", noUser)
	// Who was locked before the failure is told.
	out, _, err := w.run("lock", "tobias", "nobody", "mira", "-o", "name")
	if err == nil || !strings.Contains(err.Error(), `no user "nobody"`) || out != "tobias\n" || locked["mira"] {
		t.Errorf("%v %q %v", err, out, locked)
	}
	w.answer("DELETE /lockouts/tobias", `409 {"resource":"tobias","message":"spec.locked is declared by \"helm\": change it there","exception":"ManagedByOther"}`)
	w.fails([]string{"unlock", "tobias"}, `the lock of "tobias" is not changed from here`, `declared by "helm": change it there`)
}

func TestVersion(t *testing.T) {
	w := newWorld(t)
	for _, words := range [][]string{{"version"}, {"--version"}} {
		w.prints("kubectl chat version "+version+"\n", words...)
	}
}

func TestSend(t *testing.T) {
	w := newWorld(t)
	w.objects[pods] = pod
	// A name stands in the path as what it is, whatever it is made of.
	body := w.takes("POST /messages/users/zo%C3%AB%3F%2F..", http.StatusCreated)
	w.prints("sent to zoë?/..\n", "send", "zoë?/..", "Back", "at nine")
	if *body != `{"body":"Back at nine"}` { // §7.14 of the REST reference
		t.Error(*body)
	}
	w.answer("GET /sessions", sessionsOfTwo)
	body = w.takes("POST /messages/users", http.StatusCreated)
	w.prints("sent to everybody who is connected (2 sessions)\n", "send", "--all", "Back at nine")
	if *body != `{"body":"Back at nine"}` {
		t.Error(*body)
	}
	body = w.takes("POST /messages/rooms/bench?servicename=workshop", http.StatusCreated)
	if out, _, err := w.runWith("from\na file\n", "send", "--room", "bench@workshop", "-"); err != nil || out != "sent into room bench@workshop\n" || *body != `{"body":"from\na file"}` {
		t.Errorf("%v %s %s", err, out, *body)
	}
	w.answer("POST /messages/users/nobody", noUser)
	w.fails([]string{"send", "nobody", "hello"}, `no user "nobody"`)
	w.fails([]string{"send", "mira"}, "the text is missing")
	w.fails([]string{"send"}, "nobody is named")
	w.fails([]string{"send", "--all", "--room=lobby", "hello"}, "give one of them")
}

// Who sits at a terminal and presses Ctrl-C does not first have to end the text.
func TestSendIsInterruptedWhileItReads(t *testing.T) {
	w := newWorld(t)
	w.objects[pods] = pod
	in, typing := io.Pipe()
	defer typing.Close()
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		_, _ = io.WriteString(typing, "half a te")
		interrupt()
	}()
	cmd := newCommand(newOptions(genericiooptions.IOStreams{In: in, Out: io.Discard, ErrOut: io.Discard}))
	cmd.SetArgs([]string{"send", "mira", "-", "--kubeconfig=" + w.kubeconfig})
	if err := cmd.ExecuteContext(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestPasswd(t *testing.T) {
	w := newWorld(t)
	w.objects[pods] = pod
	const secretWord = "a word that nobody prints"
	properties := []any{map[string]any{"key": "console.order", "value": "7"}}
	tag, changed, ifMatch := `"one"`, 0, []string{}
	w.answers["GET /users/tobias"] = func(out http.ResponseWriter, _ *http.Request) {
		out.Header().Set("ETag", tag)
		_, _ = io.WriteString(out, `{"username":"tobias","name":"Tobias Brandt","properties":[{"key":"console.order","value":"7"}]}`)
	}
	w.answers["PUT /users/tobias"] = func(out http.ResponseWriter, r *http.Request) {
		ifMatch = append(ifMatch, r.Header.Get("If-Match"))
		if changed++; changed == 1 { // somebody else was quicker
			tag = `"two"`
			out.WriteHeader(http.StatusPreconditionFailed)
			_, _ = io.WriteString(out, `{"message":"changed in the meantime","exception":"PreconditionFailedException"}`)
			return
		}
		var body map[string]any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		if want := (map[string]any{"password": secretWord, "properties": properties}); !reflect.DeepEqual(body, want) {
			t.Errorf("the server is sent %v", body)
		}
	}
	out, said, err := w.runWith(secretWord+"\nand more\n", "passwd", "tobias", "--stdin")
	if err != nil || out != "tobias: password set\n" || said != "" {
		t.Errorf("%v %q %q", err, out, said)
	}
	if !slices.Equal(ifMatch, []string{`"one"`, `"two"`}) {
		t.Error(ifMatch)
	}
	w.fails([]string{"passwd", "tobias"}, "--stdin")
	w.fails([]string{"passwd", "tobias", "--stdin"}, "no password in its first line")
	w.answer("PUT /users/tobias", `409 {"resource":"tobias","message":"spec.credentials.secretRef is declared by \"argocd-controller\": change it there","exception":"ManagedByOther"}`)
	_, _, err = w.runWith(secretWord, "passwd", "tobias", "--stdin")
	if err == nil || !strings.Contains(err.Error(), `declared by "argocd-controller": change it there`) || strings.Contains(err.Error(), secretWord) {
		t.Error(err)
	}
	w.answer("GET /users/nobody", noUser)
	w.fails([]string{"passwd", "nobody", "--stdin"}, `no user "nobody"`)
}

func TestPurge(t *testing.T) {
	w := newWorld(t)
	w.objects[pods] = pod
	deletions := 0
	w.answer("GET /users/ines", `{"username":"ines","name":""}`)
	w.answers["DELETE /users/ines"] = func(http.ResponseWriter, *http.Request) { deletions++ }
	out, asked, err := w.runWith("Ines\n", "purge", "ines")
	if err == nil || out != "" || deletions != 0 || !strings.Contains(asked, "user ines of namespace chat") {
		t.Errorf("%v %q %q", err, out, asked)
	}
	if out, _, err = w.runWith("ines\n", "purge", "ines"); err != nil || out != "ines: deleted, and its data purged\n" || deletions != 1 {
		t.Errorf("%v %q", err, out)
	}
	w.prints("ines: deleted, and its data purged\n", "purge", "ines", "--yes")
	w.answer("DELETE /users/ines", `409 {"resource":"ines","message":"spec is declared by \"helm\": it has to be deleted there","exception":"ManagedByOther"}`)
	w.fails([]string{"purge", "ines", "--yes"}, `"ines" is not deleted from here`, "it has to be deleted there")
	w.answer("GET /users/nobody", noUser)
	w.fails([]string{"purge", "nobody", "--yes"}, `no user "nobody"`, "accounts.purgeDelay")
}

func TestCompletion(t *testing.T) {
	w := newWorld(t)
	w.declare("chatusers", "ChatUser", declared("mira", `{"displayName":"Mira Okafor"}`), declared("tobias", `{}`))
	w.declare("chatrooms", "ChatRoom", declared("atrium", `{}`))
	w.objects["/api/v1/namespaces"] = `{"kind":"NamespaceList","apiVersion":"v1","metadata":{},"items":[{"metadata":{"name":"chat"}},{"metadata":{"name":"default"}}]}`
	for _, c := range []struct {
		words []string
		want  string
	}{
		{[]string{"kick", ""}, "mira\tMira Okafor\ntobias\n:4\n"},
		{[]string{"kick", "mira", ""}, "tobias\n:4\n"},
		{[]string{"lock", "mira", ""}, "tobias\n:4\n"},
		{[]string{"unlock", ""}, "mira\tMira Okafor\ntobias\n:4\n"},
		{[]string{"passwd", "mira", ""}, ":4\n"},
		{[]string{"rooms", ""}, "atrium\n:4\n"},
		{[]string{"send", "--room", ""}, "atrium\n:4\n"},
		{[]string{"users", "--output", "y"}, "json\nname\nwide\nyaml\n:4\n"},
		{[]string{"users", "--namespace", ""}, "chat\ndefault\n:4\n"},
		{[]string{"users", "--context", ""}, "here\n:4\n"},
		{[]string{"users", "--auth", ""}, "secret\ntoken\n:4\n"},
	} {
		// The flag comes first: the last word is the one to complete.
		var all []string
		all = append(all, "__complete", "--kubeconfig="+w.kubeconfig)
		out := w.complete(append(all, c.words...))
		if out != c.want {
			t.Errorf("%q gives %q, not %q", c.words, out, c.want)
		}
	}
}
