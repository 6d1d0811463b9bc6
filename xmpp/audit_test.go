package xmpp

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// What clients change is in the audit log: who, from where, and what.
func TestAuditOfClients(t *testing.T) {
	p, owner, _, _ := lobby(t)
	log := func(want ...string) {
		t.Helper()
		var got []string
		eventually(t, strings.Join(want, ", "), func() bool {
			got = nil
			entries, err := p.store.ListAudit(t.Context(), store.AuditFilter{})
			for _, e := range slices.Backward(entries) {
				got = append(got, e.Username+" "+e.Via+" "+e.Address+" "+e.Summary+" ("+strings.ReplaceAll(e.Details, "\n", ", ")+")")
			}
			return err == nil && slices.Equal(got, want)
		}, func() string { return strings.Join(got, "\n") + "\nwant\n" + strings.Join(want, "\n") })
	}
	owner.configure("$lobby", "muc#roomconfig_roomname", "Lobby", "muc#roomconfig_passwordprotectedroom", "1", "muc#roomconfig_roomsecret", "s3cr3t")
	changed := "crone1 XMPP 127.0.0.1 updated MUC room lobby (service = conference, naturalName = Lobby, password = changed)"
	log(changed)
	owner.admin("set", "$lobby", "<item affiliation='admin' jid='~hag66'/>", "result")
	admin := "crone1 XMPP 127.0.0.1 set MUC affiliation to admin for hag66@chat.example in lobby (service = conference)"
	log(changed, admin)
	owner.asks("<iq type='set' to='$lobby'><query xmlns='"+nsMUC+"#owner'><destroy/></query></iq>", "result")
	destroyed := "crone1 XMPP 127.0.0.1 destroyed MUC room lobby (service = conference)"
	log(changed, admin, destroyed)

	// A declared contact, and one that a client makes.
	contact := directory.Contact{JID: jid.MustParse("wiccarocks@" + domain), Subscription: directory.SubscriptionTo}
	if err := p.local.PutContact(t.Context(), by, "crone1", contact, true); err != nil {
		t.Fatal(err)
	}
	owner.asks("<iq type='set'><query xmlns='jabber:iq:roster'><item jid='~hag66' name='H'/></query></iq>", "result")
	added := "crone1 XMPP 127.0.0.1 added roster item for crone1 (jid = hag66@chat.example, subscription = none)"
	log(changed, admin, destroyed, added)
	owner.asks("<iq type='set'><query xmlns='jabber:iq:roster'><item jid='~wiccarocks' name='W'/></query></iq>", "result")
	renamed := "crone1 XMPP 127.0.0.1 updated roster item for crone1 (jid = wiccarocks@chat.example, subscription = to)"
	log(changed, admin, destroyed, added, renamed)
	owner.asks("<iq type='set'><query xmlns='jabber:iq:roster'><item jid='~wiccarocks' subscription='remove'/></query></iq>", "result")
	gone := "crone1 XMPP 127.0.0.1 deleted roster item from crone1 (jid = wiccarocks@chat.example)"
	log(changed, admin, destroyed, added, renamed, gone)

	owner.asks("<iq type='set'><query xmlns='jabber:iq:roster'><item jid='~hag66' name='Hag'/></query></iq>", "result")
	owner.asks("<iq type='set'><query xmlns='jabber:iq:roster'><item jid='~hag66' subscription='remove'/></query></iq>", "result")
	owner.asks("<iq type='set'>"+card("s3cr3t")+"</iq>", "result")
	owner.asks("<iq type='set'><vCard xmlns='vcard-temp'/></iq>", "result")
	log(changed, admin, destroyed, added, renamed, gone,
		"crone1 XMPP 127.0.0.1 updated roster item for crone1 (jid = hag66@chat.example, subscription = none)",
		"crone1 XMPP 127.0.0.1 deleted roster item from crone1 (jid = hag66@chat.example)",
		"crone1 XMPP 127.0.0.1 updated vCard of crone1 ()", "crone1 XMPP 127.0.0.1 deleted vCard of crone1 ()")
}

// Who fails to log in is in the audit log, by the name of an account only: people type passwords into the wrong box.
func TestAuditOfFailedLogins(t *testing.T) {
	h := newHost(t, "mira")
	for _, name := range []string{"Mira", "s3cr3t"} {
		c := beforeLogin()[0].open(t, h)
		c.send(plain(name, "s3cr3t"))
		c.fails(name, "not-authorized")
		c.tcp.Close()
	}
	var entries []store.AuditEntry
	eventually(t, "two entries", func() bool {
		var err error
		entries, err = h.store.ListAudit(t.Context(), store.AuditFilter{})
		return err == nil && len(entries) == 2
	}, func() string { return fmt.Sprintf("%+v", entries) })
	// Who failed first is not said: each session reports for itself.
	slices.SortFunc(entries, func(a, b store.AuditEntry) int { return strings.Compare(a.Username, b.Username) })
	for i, want := range []struct{ summary, username string }{{"failed authentication", ""}, {"failed authentication as mira", "mira"}} {
		e := entries[i]
		if e.Summary != want.summary || e.Username != want.username || e.Details != "mechanism = PLAIN\nreason = not-authorized" ||
			e.Via != "XMPP" || e.Address != "127.0.0.1" || e.Node != "chat-0" {
			t.Errorf("%+v, want %+v", e, want)
		}
	}
}
