package provision

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"syscall"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// Of a write that failed, it is known whether it may have been made all the same.
func TestUnanswered(t *testing.T) {
	sent := func(err error) error { return &url.Error{Op: "Post", URL: "https://192.0.2.1/apis", Err: err} }
	groups := schema.GroupResource{Resource: "chatgroups"}
	for name, test := range map[string]struct {
		err               error
		unavailable, open bool
	}{
		"the connection breaks off":  {sent(io.EOF), true, true},
		"it is reset":                {sent(&net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}), true, true},
		"the API server gave up":     {apierrors.NewTimeoutError("etcd", 1), true, true},
		"it failed":                  {apierrors.NewInternalError(io.EOF), true, true},
		"no connection":              {sent(&net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}), true, false},
		"it takes no more":           {apierrors.NewTooManyRequests("later", 1), true, false},
		"the name is taken":          {apierrors.NewAlreadyExists(groups, "ops"), false, false},
		"it may not do that":         {apierrors.NewForbidden(groups, "ops", io.EOF), false, false},
		"others changed it meantime": {apierrors.NewConflict(groups, "ops", io.EOF), false, false},
	} {
		err := unanswered(fmt.Errorf("create: %w", test.err))
		if got := explain(err, "ChatGroup", "ops"); Unreachable(err) != test.unavailable || directory.Unanswered(got) != test.open {
			t.Errorf("%s: %v", name, got)
		}
		if got := explain(answered(err), "ChatGroup", "ops"); got == nil || directory.Unanswered(got) {
			t.Errorf("%s, and then found out: %v", name, got)
		}
	}
	if unanswered(nil) != nil {
		t.Error("what was done has an error")
	}
}
