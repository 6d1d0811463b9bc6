package transfer

import (
	"strings"
	"testing"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
)

// What a rename under way has written on a user, with who asked for it, means nothing elsewhere.
func TestExportOfARename(t *testing.T) {
	u := user("juliet", v1alpha1.ChatUserSpec{})
	u.Annotations = map[string]string{
		"chat-operator.io/renamed-from": "julia", "chat-operator.io/renamed-by": `{"name":"admin","address":"192.0.2.1"}`, "example.org/kept": "yes",
	}
	r := newResources()
	r.add(u)
	var notes []string
	r.portable(func(note string) { notes = append(notes, note) })
	if len(u.Annotations) != 1 || u.Annotations["example.org/kept"] != "yes" {
		t.Errorf("the annotations are %v", u.Annotations)
	}
	contains(t, strings.Join(notes, " "), "juliet is being renamed")
}
