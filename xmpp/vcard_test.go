package xmpp

import (
	"slices"
	"strings"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/stream"
)

const askCard = "><vCard xmlns='vcard-temp'/></iq>"

// card is the card of XEP-0054 §3.3, with the given name in front.
func card(name string) string {
	return "<vCard xmlns='vcard-temp'><FN>" + name + "</FN><N><GIVEN>Jeremie</GIVEN><FAMILY>Miller</FAMILY><MIDDLE/></N><NICKNAME>jer</NICKNAME>" +
		"<EMAIL><INTERNET/><PREF/><USERID>jeremie@jabber.org</USERID></EMAIL><JABBERID>jer@jabber.org</JABBERID></vCard>"
}

// XEP-0054 §3.1: one's own vCard, asked without 'to' or at one's own address; the error before there is one.
func TestXEP0054Section3_1Own(t *testing.T) {
	p := newParlour(t, "mira")
	mira, phone := p.guest("mira/desk"), p.guest("mira/phone")
	for _, to := range []string{"", " to='~mira'"} {
		mira.asks("<iq type='get'"+to+askCard, "cancel item-not-found")
	}
	if got := mira.ask("<iq type='set'>" + card("Jeremie &amp; &lt;co>") + "</iq>"); got.attr("type") != "result" || len(got.Nodes) > 0 {
		t.Errorf("the answer to setting: %+v", got)
	}
	for _, to := range []string{"", " to='~mira'"} {
		for _, g := range []*guest{mira, phone} {
			got := g.ask("<iq type='get'" + to + askCard)
			c := got.child("vCard")
			if got.attr("type") != "result" || c.XMLName.Space != "vcard-temp" || c.child("FN").Text != "Jeremie & <co>" ||
				c.child("N").child("FAMILY").Text != "Miller" || c.child("EMAIL").child("USERID").Text != "jeremie@jabber.org" || len(c.Nodes) != 5 {
				t.Errorf("the card is %+v", got)
			}
		}
	}
}

// XEP-0054 §3.2: a card is replaced whole, and by its owner only; what is kept survives a restart.
func TestXEP0054Section3_2Updating(t *testing.T) {
	p := newParlour(t, "mira", "tobias")
	mira, tobias := p.guest("mira/desk"), p.guest("tobias/desk")
	mira.asks("<iq type='set' to='~mira'>"+card("first")+"</iq>", "result")
	mira.ask("<iq type='set'><vCard xmlns='vcard-temp'><FN>second</FN></vCard></iq>")
	if c := mira.ask("<iq type='get'" + askCard).child("vCard"); len(c.Nodes) != 1 || c.child("FN").Text != "second" {
		t.Errorf("the card is %+v", c)
	}
	for _, to := range []string{"~mira", "~nobody"} {
		tobias.asks("<iq type='set' to='"+to+"'>"+card("forged")+"</iq>", "auth forbidden")
	}
	if c := tobias.ask("<iq type='get' to='~mira'" + askCard).child("vCard"); c.child("FN").Text != "second" {
		t.Errorf("after an attempt of somebody else the card is %+v", c)
	}
	p.stop()
	p.start()
	if c := p.guest("tobias/desk").ask("<iq type='get' to='~mira'" + askCard).child("vCard"); c.child("FN").Text != "second" {
		t.Errorf("after a restart the card is %+v", c)
	}
	// An empty one takes it away.
	mira = p.guest("mira/desk")
	mira.ask("<iq type='set'" + askCard)
	mira.asks("<iq type='get'"+askCard, "cancel item-not-found")
}

// XEP-0054 §3.3: the server answers for the account, also while its client is there, and who has no card is not told from who is not there.
func TestXEP0054Section3_3Another(t *testing.T) {
	p := newParlour(t, "mira", "tobias", "zoe")
	mira, tobias := p.guest("mira/desk"), p.guest("tobias/desk")
	mira.ask("<iq type='set'>" + card("Mira") + "</iq>")
	got := tobias.ask("<iq type='get' to='~mira'" + askCard)
	if got.attr("type") != "result" || short(got.attr("from")) != "~mira" || got.child("vCard").child("FN").Text != "Mira" {
		t.Errorf("the card is %+v", got)
	}
	mira.ping()
	if n := len(mira.take()); n > 0 {
		t.Errorf("%d stanzas came to the one who was asked about", n)
	}
	var answers []*node
	for _, name := range []string{"zoe", "nobody"} {
		tobias.asks("<iq type='get' to='~"+name+"'"+askCard, "cancel service-unavailable")
		answers = append(answers, tobias.ask("<iq type='get' to='~"+name+"'"+askCard))
	}
	if with, without := answers[0].child("error"), answers[1].child("error"); with.describe() != without.describe() || with.Text != without.Text {
		t.Errorf("an account without a card: %+v, no account: %+v", with, without)
	}
	// A deleted account has no card, and neither has the next one of that name.
	if err := p.local.DeleteUser(t.Context(), by, "mira"); err != nil {
		t.Fatal(err)
	}
	tobias.asks("<iq type='get' to='~mira'"+askCard, "cancel service-unavailable")
	if err := p.store.PurgeAccount(t.Context(), "mira"); err != nil {
		t.Fatal(err)
	}
	if err := p.local.CreateUser(t.Context(), by, directory.NewUser{Username: "mira", Password: "other"}); err != nil {
		t.Fatal(err)
	}
	tobias.asks("<iq type='get' to='~mira'"+askCard, "cancel service-unavailable")
}

// XEP-0054 §4: vCards are discovered.
func TestXEP0054Section4Support(t *testing.T) {
	p := newParlour(t, "mira")
	mira := p.guest("mira/desk")
	for _, at := range []string{domain, "~mira"} {
		if vars := mira.ask("<iq type='get' to='"+at+"'><query xmlns='"+discoInfo+"'/></iq>").child("query").all("feature", "var"); !slices.Contains(vars, "vcard-temp") {
			t.Errorf("the features of %s are %q", at, vars)
		}
	}
}

// What is kept is bounded.
func TestXEP0054Bounds(t *testing.T) {
	p := newParlour(t, "mira")
	mira := p.guest("mira/desk")
	picture := func(size int) string {
		return "<iq type='set'><vCard xmlns='vcard-temp'><PHOTO><BINVAL>" + strings.Repeat("A", size) + "</BINVAL></PHOTO></vCard></iq>"
	}
	if got := mira.ask(picture(120 << 10)); got.attr("type") != "result" {
		t.Errorf("a picture of 120 KiB: %+v", got)
	}
	mira.asks(picture(130<<10), "modify not-acceptable")
	if c := mira.ask("<iq type='get'" + askCard).child("vCard"); len(c.child("PHOTO").child("BINVAL").Text) != 120<<10 {
		t.Errorf("after one that was refused, %d bytes are there", len(c.child("PHOTO").child("BINVAL").Text))
	}

}

// Who is in without an account (XEP-0175) reads what others do, and leaves nothing.
func TestXEP0054WithoutAccount(t *testing.T) {
	h := generous(t)
	h.set(directory.KeyAnonymous, "true")
	mira := h.user(t, "mira")
	mira.send("<iq type='set' id='s'>" + card("Mira") + "</iq>")
	mira.expect("id='s'")
	c := entrance{mode: stream.DirectTLS, tls: true}.open(t, h)
	c.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>")
	c.expect("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
	c.send(streamHeader)
	c.expect("</stream:features>")
	c.send(bindMain)
	c.expect("</bind></iq>")
	c.send("<iq type='get' id='m' to='mira@chat.example'" + askCard)
	if got := c.expect("</iq>"); !strings.Contains(got, "<FN>Mira</FN>") {
		t.Errorf("somebody's card: %s", got)
	}
	c.send("<iq type='set' id='o'>" + card("Nobody") + "</iq>")
	if got := c.expect("</iq>"); !strings.Contains(got, "<not-allowed ") {
		t.Errorf("setting a card: %s", got)
	}
	c.send("<iq type='get' id='o'" + askCard)
	if got := c.expect("</iq>"); !strings.Contains(got, "<item-not-found ") {
		t.Errorf("the own card: %s", got)
	}
}
