package xmpp

import (
	"fmt"
	"slices"
	"testing"
	"time"

	mjid "mellium.im/xmpp/jid"
	"mellium.im/xmpp/roster"
	"mellium.im/xmpp/stanza"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stream"
)

// share declares a group that is shared.
func (h *host) share(name string, shared directory.SharedRoster, members ...string) {
	g := directory.Group{
		Ref:       directory.Ref{Name: "group", UID: "uid of " + name, Created: time.Unix(1, 0)},
		GroupName: name, DisplayName: name, SharedRoster: shared,
	}
	for _, m := range members {
		g.Members = append(g.Members, jid.MustParse(m+"@"+domain))
	}
	h.dir.PutGroup(g)
}

// grouped is the roster with its groups, as the library reads it.
func (p *peer) grouped() (out []string) {
	p.t.Helper()
	ctx := patient(p.t)
	iter := roster.Fetch(ctx, p.session)
	for iter.Next() {
		it := iter.Item()
		out = append(out, fmt.Sprint(it.JID.Localpart(), " ", it.Subscription, " ", it.Group))
	}
	if err := iter.Close(); err != nil {
		p.t.Fatalf("%s: the roster: %v", p.name, err)
	}
	return out
}

// TestSharedGroups: RFC 6121 §2.1.6, §4.2.2, §4.3 and §4.5.2 with an independent client: the members of a group are each other's contacts the moment the
// group is declared, see each other come and go, and are strangers again when it ends. The group's name has blanks and several scripts.
func TestSharedGroups(t *testing.T) {
	const name = "Ночная смена · 夜勤 & <co>"
	h := newHost(t, "mira", "tobias", "ines")
	mira, tobias := h.login("mira", stream.StartTLS), h.login("tobias", stream.DirectTLS)
	for _, p := range []*peer{mira, tobias} {
		if got := p.contacts(); len(got) > 0 {
			t.Errorf("%s starts with %q", p.name, got)
		}
		p.presence("", "")
		p.awaits("presence " + p.name + "/ available")
	}
	onlyGroup := directory.SharedRoster{Mode: directory.SharedOnlyGroup}
	h.share(name, onlyGroup, "ines", "mira", "tobias")
	mira.awaits("push ines both", "push tobias both", "presence tobias/ available")
	tobias.awaits("push ines both", "push mira both", "presence mira/ available")
	if got, want := mira.grouped(), []string{"ines both [" + name + "]", "tobias both [" + name + "]"}; !slices.Equal(got, want) {
		t.Errorf("the roster is %q, want %q", got, want)
	}
	ines := h.login("ines", stream.StartTLS)
	if got := ines.contacts(); len(got) != 2 {
		t.Errorf("who logs in later has %q", got)
	}
	ines.presence("", "")
	ines.awaits("presence mira/ available", "presence tobias/ available")
	mira.awaits("presence ines/ available")
	ines.leave()
	mira.awaits("presence ines/ unavailable")
	mira.chat(mjid.MustParse("tobias@"+domain), "on call")
	tobias.awaits("message mira/ on call")
	// A subscription is there already, and whoever asks for it has it.
	mira.presence(stanza.SubscribePresence, "tobias")
	mira.awaits("presence tobias subscribed")

	h.share(name, onlyGroup, "ines", "mira")
	mira.awaits("push tobias remove", "presence tobias/ unavailable")
	tobias.awaits("push mira remove", "push ines remove", "presence mira/ unavailable")
	h.share(name, directory.SharedRoster{Mode: directory.SharedEverybody}, "ines", "mira")
	tobias.awaits("push mira to", "push ines to", "presence mira/ available")
	h.dir.DeleteGroup("group", "")
	tobias.awaits("push mira remove", "push ines remove", "presence mira/ unavailable")
	if got := tobias.contacts(); len(got) > 0 {
		t.Errorf("what is left is %q", got)
	}
	if rows, err := h.store.LoadRoster(t.Context(), "mira"); err != nil || len(rows) > 0 {
		t.Errorf("the store has %v, %v", rows, err)
	}
	mira.leave()
	tobias.leave()
}
