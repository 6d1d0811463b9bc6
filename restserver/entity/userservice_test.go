package entity_test

import (
	"testing"

	"github.com/chat-operator/chat-operator/restserver/entity"
)

// One line each, whatever is in a name.
func TestUserServiceLines(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{string(entity.UserServiceOK()), "<result>ok</result>\n"},
		{string(entity.UserServiceGroups([]string{"Ops", "Night Shift"})), "<result><groupname>Ops</groupname><groupname>Night Shift</groupname></result>\n"},
		{string(entity.UserServiceGroups(nil)), "<result></result>\n"},
		{string(entity.UserServiceGroups([]string{"<a>&\r\n\x01ж", ""})), "<result><groupname>&lt;a&gt;&amp;&#xD;&#xA;\uFFFDж</groupname><groupname></groupname></result>\n"},
		{string(entity.UserServiceError("SharedGroupException")), "<error>SharedGroupException</error>\n"},
		{string(entity.UserServiceError("a\n<b")), "<error>a&#xA;&lt;b</error>\n"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}
