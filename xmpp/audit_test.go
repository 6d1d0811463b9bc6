package xmpp

import (
	"slices"
	"strings"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// What clients change of declarations is in the audit log: who, from where, and what. What only concerns themselves is not.
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

	// A declared contact; one that a client made is its own business.
	contact := directory.Contact{JID: jid.MustParse("wiccarocks@" + domain), Subscription: directory.SubscriptionTo}
	if err := p.local.PutContact(t.Context(), by, "crone1", contact, true); err != nil {
		t.Fatal(err)
	}
	owner.asks("<iq type='set'><query xmlns='jabber:iq:roster'><item jid='~hag66' name='H'/></query></iq>", "result")
	owner.asks("<iq type='set'><query xmlns='jabber:iq:roster'><item jid='~wiccarocks' name='W'/></query></iq>", "result")
	renamed := "crone1 XMPP 127.0.0.1 updated roster item for crone1 (jid = wiccarocks@chat.example, subscription = to)"
	log(changed, admin, destroyed, renamed)
	owner.asks("<iq type='set'><query xmlns='jabber:iq:roster'><item jid='~wiccarocks' subscription='remove'/></query></iq>", "result")
	log(changed, admin, destroyed, renamed, "crone1 XMPP 127.0.0.1 deleted roster item from crone1 (jid = wiccarocks@chat.example)")
}
