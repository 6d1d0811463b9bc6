package similar_test

import (
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/similar"
)

func TestTo(t *testing.T) {
	known := []string{"namespace", "domain", "user", "o", "rest-bind-address", "rest-tls-bind-address"}
	for unknown, want := range map[string]string{
		"namepsace":             "namespace",
		"name-space":            "namespace",
		"NameSpace":             "namespace",
		"nmspc":                 "", // nearly half of it is missing
		"domian":                "domain",
		"usr":                   "user",
		"users":                 "user",
		"rest-bind-addr":        "rest-bind-address",
		"rest-tsl-bind-address": "rest-tls-bind-address",
		"output":                "",
		"x":                     "", // any letter is as near to any other
		"":                      "",
	} {
		if got := similar.To(unknown, known); got != want {
			t.Errorf("%q resembles %q, want %q", unknown, got, want)
		}
	}
}
