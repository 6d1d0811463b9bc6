package controllers

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// secretReader reads one Secret, or fails.
type secretReader struct {
	client.Reader
	data map[string][]byte
	err  error
}

func (r secretReader) Get(_ context.Context, _ client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	into.(*corev1.Secret).Data = r.data
	return r.err
}

// A Secret that cannot be used is not overwritten, which the log says; an API server that fails is asked again.
func TestDamagedInstallationIsLeftAlone(t *testing.T) {
	for name, c := range map[string]struct {
		found secretReader
		again bool
		says  string
	}{
		"a Secret without keys": {secretReader{}, false, "left as it is"},
		"a short key": {secretReader{data: map[string][]byte{InstallationKey: []byte("short"), RESTSecretKey: []byte("of sixteen chars")}},
			false, "left as it is"},
		"no answer": {secretReader{err: errors.New("the API server is away")}, true, "trying again"},
		"a Secret that can be used": {secretReader{data: map[string][]byte{InstallationKey: make([]byte, 32), RESTSecretKey: []byte("of sixteen chars")}},
			false, ""},
	} {
		var logged strings.Builder
		k := &installationKeeper{
			live: c.found, namespace: "chat", name: "chat-operator", key: make([]byte, 32),
			log: funcr.New(func(_, args string) { logged.WriteString(args) }, funcr.Options{}),
		}
		if again := k.remake(t.Context()); again != c.again {
			t.Errorf("%s: it is tried again: %t", name, again)
		}
		if log := logged.String(); c.says == "" && log != "" || !strings.Contains(log, c.says) || strings.Contains(log, "trying again") != c.again {
			t.Errorf("%s: the log is %q, want %q in it", name, log, c.says)
		}
		if strings.Contains(logged.String(), "sixteen") {
			t.Errorf("%s: a secret is in the log: %s", name, &logged)
		}
	}
}
