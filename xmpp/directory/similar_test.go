package directory_test

import (
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/directory"
)

func TestSimilarSetting(t *testing.T) {
	for unknown, want := range map[string]struct {
		key  string
		ours bool
	}{
		"xmpp.limits.session":           {"xmpp.limits.sessions", true},
		"xmpp.limits.Sessions":          {"xmpp.limits.sessions", true},
		"xmpp.offline.maxmessages":      {"xmpp.offline.max-messages", true},
		"accounts.purge-delay":          {"accounts.purgeDelay", true},
		"plugin.restapi.allowedIP":      {"plugin.restapi.allowedIPs", true},
		"plugin.restapi.unheard.of":     {"", true},
		"xmpp.domain":                   {"", true},
		"plugin.monitoring.maxAge":      {"", false},
		"Console Order":                 {"", false},
		"xmppish":                       {"", false},
		"":                              {"", false},
		"accounts.":                     {"", true},
		"audit.retentionretentionreten": {"", true},
	} {
		if key, ours := directory.SimilarSetting(unknown); key != want.key || ours != want.ours {
			t.Errorf("%q: %q, %v; want %q, %v", unknown, key, ours, want.key, want.ours)
		}
	}
}
