package core

import (
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

// rooms is a service at one domain where everybody is present who has sent presence.
type rooms struct {
	present map[jid.JID]bool
	before  func() // when a stanza comes, before it is taken in
	got     []string
}

func (r *rooms) Serves(d string) bool { return d == "rooms."+domain }
func (r *rooms) Items() []HostItem {
	return []HostItem{{JID: jid.MustParse("rooms." + domain), Name: "Rooms"}}
}
func (r *rooms) Holds(who, _ jid.JID) bool {
	return r.present[who]
}

func (r *rooms) Receive(_ *Session, st *stanza.Stanza) {
	if f := r.before; f != nil {
		r.before = nil
		f()
	}
	r.got = append(r.got, string(st.Append(nil)))
	if st.Kind == stanza.Presence {
		r.present[st.From] = st.Type == stanza.PresenceAvailable
	}
}

// A session that somebody ends while its presence is on the way to a service does not stay there for good: what the service hears of the end may
// come before the presence.
func TestHostPresenceOfAnEndedSession(t *testing.T) {
	b := newBoard(t, "mira")
	r := &rooms{present: map[jid.JID]bool{}}
	b.UseHosts(r)
	mira := b.connect("mira", "phone")
	r.before = func() { b.Kick("mira", &stanza.StreamError{Condition: stanza.StreamNotAuthorized}) }
	mira.send("<presence to='lobby@rooms." + domain + "/mira'/>")
	if len(r.got) != 2 || r.present[mira.s.JID()] {
		t.Errorf("the service got %q", r.got)
	}
}
