package controllers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/controllers/provision"
)

// userList is an answer of an API server, with everything that a user's metadata, spec and status can have of different types.
const userList = `{"kind":"ChatUserList","apiVersion":"chat-operator.io/v1alpha1","metadata":{"resourceVersion":"4711","continue":"","remainingItemCount":null},"items":[
{"apiVersion":"chat-operator.io/v1alpha1","kind":"ChatUser","metadata":{"name":"mira","namespace":"chat","uid":"u-1","resourceVersion":"12","generation":2,
 "creationTimestamp":"2026-01-02T03:04:05Z","labels":{"team":"a"},"annotations":{"a":"}],[{\"\\"},
 "managedFields":[{"manager":"kubectl","operation":"Apply","apiVersion":"chat-operator.io/v1alpha1","time":"2026-01-02T03:04:05Z","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{}}}]},
 "spec":{"username":"mira","displayName":"Mira \u00e4 \ud83d\udc4b","locked":true,"properties":[{"name":"x","value":"1"}]},
 "status":{"jid":"mira@chat.example","conditions":[{"type":"Ready","status":"True","reason":"Active","message":"m","lastTransitionTime":"2026-01-02T03:04:05Z"}]}},
{"apiVersion":"chat-operator.io/v1alpha1","kind":"ChatUser","metadata":{"name":"vera","namespace":"chat"},"spec":{}}
]}` + "\n"

// listing is a streamedList of an API server that answers in the way of f.
func listing(t *testing.T, f http.HandlerFunc) (*streamedList, client.Client) {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	config := &rest.Config{Host: server.URL}
	c, err := NewLiveClient(config)
	if err != nil {
		t.Fatal(err)
	}
	lists, err := newStreamedLists(config, server.Client(), c.Scheme(), "chat", func(o any) (any, error) { return o, nil })
	if err != nil {
		t.Fatal(err)
	}
	return lists[reflect.TypeOf(&v1alpha1.ChatUser{})], c
}

func TestStreamedListIsWhatClientsRead(t *testing.T) {
	var asked []string
	s, usual := listing(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.String())
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, userList)
	})
	got, err := s.list(t.Context(), metav1.ListOptions{ResourceVersion: "0", TimeoutSeconds: new(int64(7))})
	if err != nil {
		t.Fatal(err)
	}
	list := got.(*metainternalversion.List)
	var want v1alpha1.ChatUserList
	if err := usual.List(t.Context(), &want, client.InNamespace("chat")); err != nil {
		t.Fatal(err)
	}
	if list.ResourceVersion != "4711" || list.Continue != "" || len(list.Items) != 2 || len(want.Items) != 2 {
		t.Fatalf("%+v", list)
	}
	for i := range want.Items {
		if !equality.Semantic.DeepEqual(list.Items[i], &want.Items[i]) {
			t.Errorf("read:\n%+v\nwant:\n%+v", list.Items[i], &want.Items[i])
		}
	}
	if want := "/apis/chat-operator.io/v1alpha1/namespaces/chat/chatusers"; asked[0] != want+"?resourceVersion=0&timeoutSeconds=7" || asked[1] != want {
		t.Errorf("asked for %q", asked)
	}
}

// What has come is read while the rest is still being written.
func TestStreamedListIsReadAsItComes(t *testing.T) {
	first, rest, _ := strings.Cut(userList, `{"apiVersion":"chat-operator.io/v1alpha1","kind":"ChatUser","metadata":{"name":"vera"`)
	rest = `{"apiVersion":"chat-operator.io/v1alpha1","kind":"ChatUser","metadata":{"name":"vera"` + rest
	from, to := io.Pipe()
	read := make(chan struct{})
	s := &streamedList{empty: noticed{&v1alpha1.ChatUser{}, read}, keep: keepOfResources()}
	go func() {
		io.WriteString(to, first)
		<-read // never, if the end is waited for
		io.WriteString(to, rest)
		to.Close()
	}()
	list, err := s.read(from)
	if err != nil || len(list.Items) != 2 {
		t.Errorf("%v, %v", list, err)
	}
}

// noticed says when a first resource of it is made.
type noticed struct {
	*v1alpha1.ChatUser
	read chan struct{}
}

func (n noticed) DeepCopyObject() runtime.Object {
	select {
	case <-n.read:
	default:
		close(n.read)
	}
	return n.ChatUser.DeepCopyObject()
}

func TestStreamedListThatFails(t *testing.T) {
	for name, c := range map[string]struct {
		answer  http.HandlerFunc
		patient bool // it is tried again
		says    string
	}{
		"refused": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusForbidden)
			json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Reason: metav1.StatusReasonForbidden, Message: "chatusers is forbidden", Code: 403})
		}, false, "chatusers is forbidden"},
		"expired": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusGone)
			json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Reason: metav1.StatusReasonExpired, Message: "too old", Code: 410})
		}, false, "too old"},
		"cut": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "5000")
			io.WriteString(w, userList[:900])
		}, true, "the list of chatusers in namespace chat cannot be read: unexpected EOF"},
		"ends early":            {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, userList[:900]) }, true, "unexpected EOF"},
		"ends before it begins": {func(http.ResponseWriter, *http.Request) {}, true, "unexpected EOF"},
		"no list":               {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"kind":"Status"}`) }, false, "it has no items"},
		"no JSON":               {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") }, false, "invalid character '<'"},
		"another type": {func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, `{"items":[{"spec":{"username":7}}]}`)
		}, false, "cannot unmarshal number into Go struct field ChatUserSpec.spec.username of type string"},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := listing(t, c.answer)
			list, err := s.list(t.Context(), metav1.ListOptions{})
			if err == nil || !strings.Contains(err.Error(), c.says) || provision.Unreachable(err) != c.patient {
				t.Errorf("%v, %v (tried again: %v)", list, err, provision.Unreachable(err))
			}
			if name == "expired" && !apierrors.IsResourceExpired(err) {
				t.Errorf("%v does not say that it is expired", err)
			}
		})
	}
}

// An empty list, as older API servers write it, has nothing.
func TestStreamedListOfNothing(t *testing.T) {
	for _, text := range []string{`{"metadata":{"resourceVersion":"1"},"items":[]}`, `{"items":null,"metadata":{"resourceVersion":"1"}}`} {
		list, err := (&streamedList{empty: &v1alpha1.ChatUser{}, keep: keepOfResources()}).read(bytes.NewBufferString(text))
		if err != nil || len(list.Items) != 0 || list.ResourceVersion != "1" {
			t.Errorf("%s: %+v, %v", text, list, err)
		}
	}
}

func TestStreamedListIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s, _ := listing(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, userList[:900])
		w.(http.Flusher).Flush()
		cancel()
		<-r.Context().Done()
	})
	if list, err := s.list(ctx, metav1.ListOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, %v", list, err)
	}
}
