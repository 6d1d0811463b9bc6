package room

import (
	"slices"
	"strings"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// TestExamples holds the room to the examples of XEP-0045, written down from the text: what the service sends there has to
// be among what it sends here, apart from ids that the service is free to make.
func TestExamples(t *testing.T) {
	const (
		wicca = "wiccarocks@shakespeare.lit/laptop"
		muc   = "<x xmlns='http://jabber.org/protocol/muc'/>"
		open  = "<x xmlns='http://jabber.org/protocol/muc#user'>"
	)
	presence := func(nick, to, typ, inner string) string {
		if typ != "" {
			typ = " type='" + typ + "'"
		}
		return "<presence from='coven@chat.shakespeare.lit/" + nick + "' to='" + to + "'" + typ + ">" + open + inner + "</x></presence>"
	}
	iqResult := func(to, id string) string {
		return "<iq from='coven@chat.shakespeare.lit' id='" + id + "' to='" + to + "' type='result'/>"
	}
	admin := func(id, item string) string {
		return "<iq id='" + id + "' to='coven@chat.shakespeare.lit' type='set'><query xmlns='http://jabber.org/protocol/muc#admin'>" + item + "</query></iq>"
	}
	tests := []struct {
		name      string
		moderated bool
		hag       Affiliation
		from      string
		send      string
		want      []string
	}{
		{"§7.4 a message to all", false, Member, hag,
			"<message id='hysf1v37' to='coven@chat.shakespeare.lit' type='groupchat'><body>Harpier cries: 'tis time, 'tis time.</body></message>",
			[]string{
				"<message from='coven@chat.shakespeare.lit/thirdwitch' id='hysf1v37' to='crone1@shakespeare.lit/desktop' type='groupchat'><body>Harpier cries: 'tis time, 'tis time.</body></message>",
				"<message from='coven@chat.shakespeare.lit/thirdwitch' id='hysf1v37' to='wiccarocks@shakespeare.lit/laptop' type='groupchat'><body>Harpier cries: 'tis time, 'tis time.</body></message>",
				"<message from='coven@chat.shakespeare.lit/thirdwitch' id='hysf1v37' to='hag66@shakespeare.lit/pda' type='groupchat'><body>Harpier cries: 'tis time, 'tis time.</body></message>",
			}},
		{"§7.5 a private message", false, Member, wicca,
			"<message id='hgn27af1' to='coven@chat.shakespeare.lit/firstwitch' type='chat'><body>I'll give thee a wind.</body><x xmlns='http://jabber.org/protocol/muc#user'/></message>",
			[]string{"<message from='coven@chat.shakespeare.lit/secondwitch' id='hgn27af1' to='crone1@shakespeare.lit/desktop' type='chat'><body>I'll give thee a wind.</body><x xmlns='http://jabber.org/protocol/muc#user'/></message>"}},
		{"§7.6 another nickname", false, Member, hag, "<presence id='ifd1c35' to='coven@chat.shakespeare.lit/oldhag'/>",
			[]string{
				presence("thirdwitch", crone, "unavailable", "<item affiliation='member' jid='hag66@shakespeare.lit/pda' nick='oldhag' role='participant'/><status code='303'/>"),
				presence("thirdwitch", wicca, "unavailable", "<item affiliation='member' jid='hag66@shakespeare.lit/pda' nick='oldhag' role='participant'/><status code='303'/>"),
				presence("thirdwitch", hag, "unavailable", "<item affiliation='member' jid='hag66@shakespeare.lit/pda' nick='oldhag' role='participant'/><status code='303'/><status code='110'/>"),
				presence("oldhag", crone, "", "<item affiliation='member' jid='hag66@shakespeare.lit/pda' role='participant'/>"),
				presence("oldhag", wicca, "", "<item affiliation='member' jid='hag66@shakespeare.lit/pda' role='participant'/>"),
				presence("oldhag", hag, "", "<item affiliation='member' jid='hag66@shakespeare.lit/pda' role='participant'/><status code='110'/>"),
			}},
		{"§7.14 exit", false, Member, hag, "<presence to='coven@chat.shakespeare.lit/thirdwitch' type='unavailable'/>",
			[]string{
				presence("thirdwitch", hag, "unavailable", "<item affiliation='member' jid='hag66@shakespeare.lit/pda' role='none'/><status code='110'/>"),
				presence("thirdwitch", crone, "unavailable", "<item affiliation='member' jid='hag66@shakespeare.lit/pda' role='none'/>"),
				presence("thirdwitch", wicca, "unavailable", "<item affiliation='member' jid='hag66@shakespeare.lit/pda' role='none'/>"),
			}},
		{"§8.1 a new subject", false, Member, wicca,
			"<message id='lh2bs617' to='coven@chat.shakespeare.lit' type='groupchat'><subject>Fire Burn and Cauldron Bubble!</subject></message>",
			[]string{"<message from='coven@chat.shakespeare.lit/secondwitch' id='lh2bs617' to='crone1@shakespeare.lit/desktop' type='groupchat'><subject>Fire Burn and Cauldron Bubble!</subject></message>"}},
		{"§8.2 a kick", false, None, crone, admin("kick1", "<item nick='thirdwitch' role='none'><reason>Avaunt, you cullion!</reason></item>"),
			[]string{
				presence("thirdwitch", hag, "unavailable", "<item affiliation='none' jid='hag66@shakespeare.lit/pda' role='none'><actor nick='firstwitch'/><reason>Avaunt, you cullion!</reason></item><status code='110'/><status code='307'/>"),
				iqResult(crone, "kick1"),
				presence("thirdwitch", wicca, "unavailable", "<item affiliation='none' jid='hag66@shakespeare.lit/pda' role='none'><actor nick='firstwitch'/><reason>Avaunt, you cullion!</reason></item><status code='307'/>"),
			}},
		{"§8.3 voice", true, None, crone, admin("voice1", "<item nick='thirdwitch' role='participant'/>"),
			[]string{
				iqResult(crone, "voice1"),
				presence("thirdwitch", wicca, "", "<item affiliation='none' jid='hag66@shakespeare.lit/pda' role='participant'><actor nick='firstwitch'/></item>"),
			}},
		{"§9.1 a ban", false, None, wicca, admin("ban1", "<item affiliation='outcast' jid='hag66@shakespeare.lit'><reason>Treason</reason></item>"),
			[]string{
				iqResult(wicca, "ban1"),
				presence("thirdwitch", hag, "unavailable", "<item affiliation='outcast' jid='hag66@shakespeare.lit/pda' role='none'><actor nick='secondwitch'/><reason>Treason</reason></item><status code='110'/><status code='301'/>"),
				presence("thirdwitch", crone, "unavailable", "<item affiliation='outcast' jid='hag66@shakespeare.lit/pda' role='none'><actor nick='secondwitch'/><reason>Treason</reason></item><status code='301'/>"),
			}},
		{"§9.3 membership", false, None, crone, admin("member1", "<item affiliation='member' jid='hag66@shakespeare.lit'><reason>A worthy witch indeed!</reason></item>"),
			[]string{
				iqResult(crone, "member1"),
				presence("thirdwitch", wicca, "", "<item affiliation='member' jid='hag66@shakespeare.lit/pda' role='participant'><actor nick='firstwitch'/><reason>A worthy witch indeed!</reason></item>"),
			}},
		{"§10.9 the end", false, None, crone,
			"<iq id='begone' to='coven@chat.shakespeare.lit' type='set'><query xmlns='http://jabber.org/protocol/muc#owner'><destroy jid='heath@chat.shakespeare.lit'><reason>Macbeth doth come.</reason></destroy></query></iq>",
			[]string{
				presence("firstwitch", crone, "unavailable", "<item affiliation='none' jid='crone1@shakespeare.lit/desktop' role='none'/><status code='110'/><destroy jid='heath@chat.shakespeare.lit'><reason>Macbeth doth come.</reason></destroy>"),
				presence("secondwitch", wicca, "unavailable", "<item affiliation='none' jid='wiccarocks@shakespeare.lit/laptop' role='none'/><status code='110'/><destroy jid='heath@chat.shakespeare.lit'><reason>Macbeth doth come.</reason></destroy>"),
				presence("thirdwitch", hag, "unavailable", "<item affiliation='none' jid='hag66@shakespeare.lit/pda' role='none'/><status code='110'/><destroy jid='heath@chat.shakespeare.lit'><reason>Macbeth doth come.</reason></destroy>"),
				iqResult(crone, "begone"),
			}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := plain()
			c.WhoSeesJIDs, c.Moderated = directory.JIDsAnyone, test.moderated
			c.Affiliations = NewAffiliations([]Entry{
				{jid.MustParse("crone1@shakespeare.lit"), Owner}, {jid.MustParse("wiccarocks@shakespeare.lit"), Admin}, {jid.MustParse("hag66@shakespeare.lit"), test.hag},
			}, nil)
			w := newWorld(t, c, Options{})
			w.join(crone, "firstwitch")
			w.join(wicca, "secondwitch")
			// §7.2.2, §7.2.3: the examples of entering.
			got := loose(t, w.send(hag, "<presence id='n13mt3l' to='coven@chat.shakespeare.lit/thirdwitch'>"+muc+"</presence>"))
			role := defaultRole(test.hag, test.moderated).String()
			wantAll(t, got, []string{
				presence("firstwitch", hag, "", "<item affiliation='owner' jid='crone1@shakespeare.lit/desktop' role='moderator'/>"),
				presence("secondwitch", hag, "", "<item affiliation='admin' jid='wiccarocks@shakespeare.lit/laptop' role='moderator'/>"),
				presence("thirdwitch", crone, "", "<item affiliation='"+test.hag.String()+"' jid='hag66@shakespeare.lit/pda' role='"+role+"'/>"),
				presence("thirdwitch", hag, "", "<item affiliation='"+test.hag.String()+"' jid='hag66@shakespeare.lit/pda' role='"+role+"'/><status code='100'/><status code='110'/>"),
				"<message from='coven@chat.shakespeare.lit' to='hag66@shakespeare.lit/pda' type='groupchat'><subject></subject></message>",
			})
			wantAll(t, loose(t, w.send(test.from, test.send)), test.want)
		})
	}
}

// loose are deliveries without what the examples leave out: ids of presence, stanza ids, the order of status codes.
func loose(t *testing.T, got []delivery) []string {
	t.Helper()
	list := make([]string, 0, len(got))
	for _, d := range got {
		list = append(list, loosen(t, string(d.el.Append(nil))))
	}
	return list
}

func loosen(t *testing.T, xml string) string {
	t.Helper()
	e, err := xmlstream.Parse([]byte(xml), xmlstream.DefaultLimits())
	if err != nil {
		t.Fatalf("%v: %s", err, xml)
	}
	s := canonical(e)
	if string(e.Local()) == "presence" {
		s = strings.Replace(s, " id='"+string(e.Attr("id"))+"'", "", 1)
	}
	if i := strings.Index(s, "<stanza-id"); i >= 0 {
		s = s[:i] + s[i+strings.Index(s[i:], "/>")+2:]
	}
	var statuses []string
	for {
		i := strings.Index(s, "<status code=")
		if i < 0 {
			break
		}
		end := i + strings.Index(s[i:], "/>") + 2
		statuses = append(statuses, s[i:end])
		s = s[:i] + s[end:]
	}
	slices.Sort(statuses)
	return s + strings.Join(statuses, "")
}

func wantAll(t *testing.T, got, want []string) {
	t.Helper()
	for _, x := range want {
		if x = loosen(t, x); !slices.Contains(got, x) {
			t.Errorf("missing\n%s\nin\n%s", x, strings.Join(got, "\n"))
		}
	}
}
