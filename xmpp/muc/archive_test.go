package muc_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// XEP-0045 §7.2.13, XEP-0313: what was said in an archived room is there after a restart, for those who enter and for those who ask, under the ids that
// it had.
func TestArchiveAcrossRestart(t *testing.T) {
	w := newWorld(t)
	w.declare("lounge", "1", nil)
	w.declare("hall", "2", func(r *directory.Room) { r.Archived = false })
	hall := strings.Replace(lounge, "lounge", "hall", 1)
	mira, tobias := w.login("mira"), w.login("tobias")
	for _, room := range []string{lounge, hall} {
		mira.enter(room, "Mira")
		tobias.enter(room, "Tobias")
	}
	var ids []string
	for i := range 60 {
		text := fmt.Sprint("message ", i)
		mira.say(lounge, text)
		mira.say(hall, "in the hall")
		live := tobias.last(">" + text + "<")
		ids = append(ids, stanzaID.FindStringSubmatch(live)[1])
	}
	mira.until(">message 59<")
	w.restart()

	tobias = w.login("tobias")
	came := tobias.enter(lounge, "Tobias")
	got := bodies(came)
	if len(got) != 50 || got[0] != "message 10" || got[49] != "message 59" {
		t.Errorf("the history is %q", got)
	}
	for _, s := range came {
		if strings.Contains(s, "<body>message 59<") && !(strings.Contains(s, "from='"+lounge+"/Mira'") && strings.Contains(s, "<delay") && strings.Contains(s, ids[59])) {
			t.Errorf("a message of the history is %s", s)
		}
	}
	if got := bodies(tobias.enter(hall, "Tobias")); len(got) > 0 {
		t.Errorf("a room without an archive has the history %q", got)
	}
	results, reply := tobias.ask(lounge, "<set xmlns='http://jabber.org/protocol/rsm'><max>30</max></set>")
	if got := bodies(results); len(got) != 30 || got[0] != "message 0" || !strings.Contains(reply, "<last>"+ids[29]+"</last><count>60</count>") {
		t.Errorf("the first page has %q and %s", got, reply)
	}
	results, reply = tobias.ask(lounge, "<set xmlns='http://jabber.org/protocol/rsm'><max>30</max><after>"+ids[29]+"</after></set>")
	if got := bodies(results); len(got) != 30 || got[29] != "message 59" || !strings.Contains(reply, "complete='true'") {
		t.Errorf("the second page has %q and %s", got, reply)
	}
	if want := "<message from='" + lounge + "' to='" + tobias.s.JID().String() + "'><result xmlns='urn:xmpp:mam:2' id='" + ids[30] + "'>"; !strings.HasPrefix(results[0], want) {
		t.Errorf("a result is %s, want %s", results[0], want)
	}
	// The bound of a page is a property, which acts at once.
	w.property(directory.KeyArchivePage, "7")
	if results, _ := tobias.ask(lounge, ""); len(results) != 7 {
		t.Errorf("a page has %d messages", len(results))
	}
	// What is said now comes after, though the clock was behind when the server started.
	w.mu.Lock()
	w.now = w.now.Add(-time.Hour)
	w.mu.Unlock()
	w.restart()
	tobias = w.login("tobias")
	tobias.enter(lounge, "Tobias")
	tobias.say(lounge, "and on")
	tobias.until(">and on<")
	if results, _ := tobias.ask(lounge, form("after-id", ids[59])); !strings.Contains(strings.Join(results, ""), "and on") {
		t.Errorf("after the last message comes %q", results)
	}
	if results, reply := tobias.ask(hall, ""); len(results) > 0 || !strings.Contains(reply, "service-unavailable") {
		t.Errorf("a room without an archive answers %s", reply)
	}
}

var stanzaID = regexp.MustCompile(`<stanza-id [^>]*id='([^']+)'`)

// XEP-0045 §6.4, XEP-0313 §7: a room says that it is archived, and that entering it is being recorded.
func TestArchivedRoomsSaySo(t *testing.T) {
	w := newWorld(t)
	w.declare("lounge", "1", nil)
	mira := w.login("mira")
	if came := strings.Join(mira.enter(lounge, "Mira"), ""); !strings.Contains(came, "<status code='170'/>") {
		t.Errorf("who enters is told %s", came)
	}
	info := func() string {
		mira.send("<iq type='get' id='info' to='" + lounge + "'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>")
		return mira.last(" id='info'")
	}
	archived := []string{"<feature var='urn:xmpp:mam:2'/>", "<feature var='urn:xmpp:mam:2#extended'/>", "<feature var='urn:xmpp:message-retract:1#tombstone'/>",
		"<field var='muc#roomconfig_enablearchiving' type='boolean' label='What is said is archived'><value>1</value></field>"}
	got := info()
	for _, part := range archived {
		if !strings.Contains(got, part) {
			t.Errorf("%s lacks %s", got, part)
		}
	}
	w.declare("lounge", "1", func(r *directory.Room) { r.Archived = false })
	mira.until("<status code='171'/>")
	got = info()
	for _, part := range archived {
		if strings.Contains(got, part) {
			t.Errorf("%s still has %s", got, part)
		}
	}
	mira.say(lounge, "off the record")
	mira.until("off the record")
	w.declare("lounge", "1", nil)
	mira.until("<status code='170'/>")
	if results, reply := mira.ask(lounge, ""); len(results) > 0 {
		t.Errorf("the archive has %q: %s", results, reply)
	}
	mira.send("<iq type='get' id='meta' to='" + lounge + "'><metadata xmlns='urn:xmpp:mam:2'/></iq>")
	if got := mira.last(" id='meta'"); !strings.Contains(got, "<metadata xmlns='urn:xmpp:mam:2'/>") {
		t.Errorf("an empty archive is %s", got)
	}
}

// XEP-0313 §6.1.2: who may not enter may not read.
func TestWhoMayReadAnArchive(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*directory.Room)
		want   map[string]bool // who reads
	}{
		"open":            {nil, map[string]bool{"mira": true, "tobias": true, "jana": true, "root": true}},
		"members only":    {func(r *directory.Room) { r.MembersOnly = true }, map[string]bool{"mira": false, "tobias": true, "jana": true, "root": true}},
		"with a password": {func(r *directory.Room) { r.PasswordSecret = &directory.SecretKey{} }, map[string]bool{"mira": false, "tobias": true, "jana": true, "root": true}},
		"banned": {func(r *directory.Room) {
			r.Affiliations = append([]directory.Affiliation{{JID: jid.MustParse("mira@" + domain), Affiliation: directory.AffiliationOutcast}}, r.Affiliations...)
		}, map[string]bool{"mira": false, "tobias": true, "jana": true, "root": true}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.declare("lounge", "1", func(r *directory.Room) {
				r.Affiliations = append(r.Affiliations, directory.Affiliation{JID: jid.MustParse("tobias@" + domain), Affiliation: directory.AffiliationMember})
				if tt.change != nil {
					tt.change(r)
				}
			})
			for who, may := range tt.want {
				c := w.login(who)
				for _, request := range []string{"<iq type='set' id='q' to='" + lounge + "'><query xmlns='urn:xmpp:mam:2'/></iq>", "<iq type='get' id='q' to='" + lounge + "'><metadata xmlns='urn:xmpp:mam:2'/></iq>"} {
					c.send(request)
					if got := c.last(" id='q'"); strings.Contains(got, "type='result'") != may || !may && !strings.Contains(got, "<forbidden") {
						t.Errorf("%s gets %s", who, got)
					}
				}
			}
		})
	}
}

// XEP-0313 §6.1.2, §4.1.1: whose a message is learn only those to whom the room tells it.
func TestRealAddressesInAnArchive(t *testing.T) {
	w := newWorld(t)
	w.declare("lounge", "1", nil)
	mira, tobias, jana := w.login("mira"), w.login("tobias"), w.login("jana")
	mira.enter(lounge, "Mira")
	tobias.enter(lounge, "Tobias")
	mira.say(lounge, "of mira")
	tobias.say(lounge, "of tobias")
	tobias.until("of tobias")
	real := "<x xmlns='http://jabber.org/protocol/muc#user'><item jid='mira@chat.example'/></x></message></forwarded>"
	see := func(c *client, want bool) {
		t.Helper()
		results, _ := c.ask(lounge, "")
		if got := strings.Join(results, ""); strings.Contains(got, real) != want || strings.Contains(got, "mira@") != want {
			t.Errorf("%s gets %s", c.s.JID(), got)
		}
	}
	by := func(c *client, with string, want ...string) {
		t.Helper()
		results, reply := c.ask(lounge, form("with", with))
		if len(want) == 1 && want[0] == "forbidden" {
			if !strings.Contains(reply, "<forbidden") {
				t.Errorf("%s, with %s, gets %s", c.s.JID(), with, reply)
			}
			return
		}
		equal(t, c.s.JID().String()+" with "+with, bodies(results), want...)
	}
	see(tobias, false)
	see(jana, true)
	by(tobias, "mira@"+domain, "forbidden")
	by(tobias, "nobody@"+domain, "forbidden")
	by(tobias, "tobias@"+domain, "of tobias")
	by(tobias, lounge+"/Mira", "of mira")
	by(tobias, lounge, "of mira", "of tobias")
	by(jana, "mira@"+domain, "of mira")
	by(jana, "nobody@"+domain)
	by(jana, mira.s.JID().String())
	w.declare("lounge", "1", func(r *directory.Room) { r.WhoSeesJIDs = directory.JIDsAnyone })
	tobias.until("<status code='172'/>")
	see(tobias, true)
	by(tobias, "mira@"+domain, "of mira")
}

// XEP-0424 §5, XEP-0425 §5: what was retracted leaves a tombstone, in its place.
func TestTombstones(t *testing.T) {
	w := newWorld(t)
	w.declare("lounge", "1", nil)
	mira, tobias, jana := w.login("mira"), w.login("tobias"), w.login("jana")
	mira.enter(lounge, "Mira")
	tobias.enter(lounge, "Tobias")
	jana.enter(lounge, "Jana")
	id := map[string]string{}
	for _, text := range []string{"kept", "regretted", "insulting", "unsaid"} {
		mira.say(lounge, text)
		id[text] = stanzaID.FindStringSubmatch(jana.last(">" + text + "<"))[1]
	}
	retract := func(c *client, id string) {
		c.send("<message to='" + lounge + "' type='groupchat' id='r'><retract xmlns='urn:xmpp:message-retract:1' id='" + id + "'/><body>/me retracted</body></message>")
		jana.until("<retract xmlns='urn:xmpp:message-retract:1' id='" + id + "'")
	}
	retract(tobias, id["kept"])
	retract(mira, id["regretted"])
	jana.send("<iq type='set' id='mod' to='" + lounge + "'><moderate xmlns='urn:xmpp:message-moderate:1' id='" + id["insulting"] +
		"'><retract xmlns='urn:xmpp:message-retract:1'/><reason>No &amp; no</reason></moderate></iq>")
	t.Run("in the archive", func(t *testing.T) { tombstones(t, jana, id) })
	w.restart()
	t.Run("after a restart", func(t *testing.T) {
		jana = w.login("jana")
		equal(t, "the history", bodies(jana.enter(lounge, "Jana")), "kept", "unsaid", "/me retracted", "/me retracted")
		tombstones(t, jana, id)
	})
}

func tombstones(t *testing.T, jana *client, id map[string]string) {
	results, _ := jana.ask(lounge, "")
	equal(t, "the archive", bodies(results), "kept", "unsaid", "/me retracted", "/me retracted")
	at := func(text string) string {
		t.Helper()
		results, reply := jana.ask(lounge, form("ids", id[text]))
		if len(results) != 1 {
			t.Fatalf("%s is gone: %s", text, reply)
		}
		return results[0]
	}
	author := regexp.MustCompile(`from='` + lounge + `/Mira' id='regretted' type='groupchat'><occupant-id xmlns='urn:xmpp:occupant-id:0' id='[^']+'/>` +
		`<stanza-id xmlns='urn:xmpp:sid:0' by='` + lounge + `' id='` + id["regretted"] + `'/><retracted xmlns='urn:xmpp:message-retract:1' id='r' stamp='[^']+'/>`)
	if got := at("regretted"); !author.MatchString(got) || strings.Contains(got, "<body") {
		t.Errorf("what its author retracted is %s", got)
	}
	moderator := regexp.MustCompile(`id='insulting' type='groupchat'><occupant-id [^>]+><stanza-id [^>]+><retracted xmlns='urn:xmpp:message-retract:1' stamp='[^']+'>` +
		`<moderated xmlns='urn:xmpp:message-moderate:1' by='` + lounge + `/Jana'><occupant-id [^>]+></moderated><reason>No &amp; no</reason></retracted>`)
	if got := at("insulting"); !moderator.MatchString(got) || strings.Contains(got, "<body") {
		t.Errorf("what was moderated is %s", got)
	}
}

// Who goes over a limit of time is not given any more, at once, and deleted soon.
func TestRetention(t *testing.T) {
	w := newWorld(t)
	w.declare("lounge", "1", nil)
	mira := w.login("mira")
	mira.enter(lounge, "Mira")
	mira.say(lounge, "old")
	mira.until(">old<")
	w.mu.Lock()
	w.now = w.now.Add(48 * time.Hour)
	w.mu.Unlock()
	mira.say(lounge, "new")
	mira.until(">new<")
	results, _ := mira.ask(lounge, "")
	equal(t, "without a limit", bodies(results), "old", "new")
	w.property(directory.KeyArchiveRetention, "24h")
	results, _ = mira.ask(lounge, "")
	equal(t, "with a limit", bodies(results), "new")
	eventually(t, "for the history to be forgotten", func() bool {
		return len(bodies(w.login("tobias").enter(lounge, "Tobias"))) == 1
	})
	// Deleted is deleted, whatever the limit is afterwards.
	w.property(directory.KeyArchiveRetention, "0s")
	eventually(t, "for the message to be deleted", func() bool {
		results, _ = mira.ask(lounge, "")
		return len(results) == 1
	})
	w.restart()
	equal(t, "the history", bodies(w.login("tobias").enter(lounge, "Tobias")), "new")
}
