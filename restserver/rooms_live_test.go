package restserver_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/muc"
)

// What a call changes, those who are in the room have been told when it is answered.
func TestChangesReachOccupants(t *testing.T) {
	w := newWorld(t)
	w.want(201, "", "POST", "/chatrooms", `{"roomName":"atrium","persistent":true,"publicRoom":true,"owners":["mira"],"broadcastPresenceRoles":["moderator","participant"]}`)
	mira, tobias := w.login(t, "mira", "desk"), w.login(t, "tobias", "phone")
	mira.enter(atrium, "Mira")
	tobias.enter(atrium, "Tobi")
	after := func(part string, call func(), who ...*client) {
		t.Helper()
		for _, c := range who {
			c.forget()
		}
		call()
		for _, c := range who {
			if !c.has(part) {
				t.Errorf("an occupant was not told %s", part)
			}
		}
	}
	const room = `{"roomName":"atrium","persistent":true,"publicRoom":true,"owners":["mira"],"broadcastPresenceRoles":["moderator","participant"]`
	after("<status code='104'/>", func() { w.want(200, "", "PUT", "/chatrooms/atrium", room+`,"maxUsers":12}`) }, mira, tobias)
	after("<subject>Plants</subject>", func() { w.want(200, "", "PUT", "/chatrooms/atrium", room+`,"subject":"Plants"}`) }, mira, tobias)
	after("<item affiliation='admin' role='moderator'", func() { w.want(201, "", "POST", "/chatrooms/atrium/admins/tobias", "") }, mira, tobias)
	after("<item affiliation='none' role='participant'", func() { w.want(200, "", "DELETE", "/chatrooms/atrium/admins/tobias", "") }, mira, tobias)
	after("<body>closing soon</body>", func() { w.want(201, "", "POST", "/messages/rooms/atrium", `{"body":"closing soon"}`) }, mira, tobias)
	after("<status code='301'/>", func() { w.want(201, "", "POST", "/chatrooms/atrium/outcasts", `["tobias"]`) }, tobias)
	w.want(201, "", "PUT", "/chatrooms/atrium/outcasts", `[]`)
	tobias.enter(atrium, "Tobi")
	after("<status code='322'/>", func() { w.want(200, "", "PUT", "/chatrooms/atrium", room+`,"membersOnly":true}`) }, tobias)
	after("<destroy", func() { w.want(200, "", "DELETE", "/chatrooms/atrium", "") }, mira)
	// Who comes back makes a room that knows nothing of it.
	mira.enter(atrium, "Mira")
	if got := w.send("GET", "/chatrooms/atrium", "", accept(formatJSON)).Body.String(); strings.Contains(got, "Plants") || !strings.Contains(got, `"persistent":false`) {
		t.Errorf("%s", got)
	}
}

// The subject of an answer is the one that is in force, and that of a call is in force when it is answered, whatever occupants set in between.
func TestSubjects(t *testing.T) {
	w := newRememberingWorld(t, time.Second, nil)
	const room = `{"roomName":"atrium","logEnabled":true,"canOccupantsChangeSubject":true,"owners":["mira"]`
	subject := func(want string) {
		t.Helper()
		for _, path := range []string{"/chatrooms/atrium", "/chatrooms?type=all"} {
			if got := names(w.send("GET", path, "", accept(formatJSON)).Body.String(), "subject"); got != want {
				t.Errorf("%s: subject %q, want %q", path, got, want)
			}
		}
	}
	w.want(201, "", "POST", "/chatrooms", room+`,"subject":"Plants"}`)
	subject("Plants") // of a room that nobody has entered
	mira := w.login(t, "mira", "desk")
	mira.enter(atrium, "Mira")
	set := func(text string) {
		t.Helper()
		mira.send("<message to='" + atrium + "' type='groupchat'><subject>" + text + "</subject></message>")
		mira.sees("<subject>" + text + "</subject>")
	}
	set("Birds")
	subject("Birds")
	// What was read is written back: it stays, and the declaration, which is another, is not touched.
	w.want(200, "", "PUT", "/chatrooms/atrium", room+`,"subject":"Birds"}`)
	subject("Birds")
	if got := w.room("atrium@conference").Subject; got == nil || *got != "Plants" {
		t.Errorf("declared: %v", got)
	}
	// The declared one again, though it does not change.
	mira.forget()
	w.want(200, "", "PUT", "/chatrooms/atrium", room+`,"subject":"Plants"}`)
	if !mira.has("<subject>Plants</subject>") {
		t.Error("the room was not told")
	}
	subject("Plants")
	set("Fish")
	w.want(200, "", "PUT", "/chatrooms/atrium", room+`}`)
	subject("")
	mira.sees("<subject")
	set("Fish")
	w.want(200, "", "PUT", "/chatrooms/atrium", room+`,"subject":""}`)
	subject("")
}

func TestOccupants(t *testing.T) {
	w := newWorld(t)
	w.want(201, "", "POST", "/chatrooms", `{"roomName":"atrium","persistent":true,"owners":["mira"],"members":["tobias"],"broadcastPresenceRoles":["moderator","participant"]}`)
	w.want(200, prolog+`<participants/>`, "GET", "/chatrooms/atrium/participants", "")
	w.want(200, `{"occupants":[]}`, "GET", "/chatrooms/atrium/occupants", "", accept(formatJSON))
	w.login(t, "tobias", "phone").enter(atrium, "Tobi")
	w.want(200, golden(t, "occupants.xml"), "GET", "/chatrooms/Atrium/occupants", "")
	w.want(200, golden(t, "occupants.json"), "GET", "/chatrooms/atrium/occupants/", "", accept(formatJSON))
	w.want(200, `{"participants":[{"jid":"atrium@conference.chat.example/Tobi","role":"participant","affiliation":"member"}]}`, "GET", "/chatrooms/atrium/participants", "", accept(formatJSON))
	// An owner is a moderator, and no participant; each session of one occupant has its own address.
	w.login(t, "mira", "desk").enter(atrium, "Mira")
	w.login(t, "mira", "tram").enter(atrium, "Mira")
	w.want(200, prolog+`<participants><participant><affiliation>member</affiliation><jid>atrium@conference.chat.example/Tobi</jid><role>participant</role></participant></participants>`,
		"GET", "/chatrooms/atrium/participants", "")
	got := w.send("GET", "/chatrooms/atrium/occupants", "", accept(formatJSON))
	if have := names(got.Body.String(), "userAddress"); have != "tobias@chat.example/phone mira@chat.example/desk mira@chat.example/tram" || got.Header().Get("X-Total-Count") != "3" {
		t.Errorf("%s", got.Body)
	}
	if got := w.send("GET", "/chatrooms/atrium/occupants?offset=1&limit=1", "", accept(formatJSON)); names(got.Body.String(), "userAddress") != "mira@chat.example/desk" {
		t.Errorf("%s", got.Body)
	}
	w.wantError(404, noRoom, noSuchRoom, "den", "GET", "/chatrooms/den/occupants", "")
}

func TestInvitations(t *testing.T) {
	w := newWorld(t)
	w.group("Ops", "ines", "tobias", "vera")
	w.want(201, "", "POST", "/chatrooms", `{"roomName":"atrium","password":"sesame","membersOnly":true,"owners":["mira"],"outcasts":["vera"]}`)
	tobias, ines, vera := w.login(t, "tobias", "phone"), w.login(t, "ines", "desk"), w.login(t, "vera", "desk")
	const (
		reason  = "<reason>Come by</reason></invite><password>sesame</password>" // XEP-0045 §7.8.2
		direct  = "<x xmlns='jabber:x:conference' jid='" + atrium + "' reason='Come by'"
		plain   = "<invite from='" + atrium + "'/>"
		address = "from='" + atrium + "'"
	)
	for _, body := range []string{golden(t, "mucinvitation.json"), golden(t, "mucinvitation.xml")} {
		w.want(200, "", "POST", "/chatrooms/atrium/invite/tobias%40chat.example", body)
		tobias.sees("<message", address, reason, direct)
	}
	for _, body := range []string{"", "{}"} {
		w.want(200, "", "POST", "/chatrooms/atrium/invite/Tobias", body)
		tobias.sees(plain)
	}
	// Clients say that they send XML, and send nothing.
	w.want(200, "", "POST", "/chatrooms/atrium/invite/Tobias", "", header("Content-Type", formatXML))
	tobias.sees(plain)
	// Of a group, those who are not banned.
	w.want(200, "", "POST", "/chatrooms/atrium/invite/Ops", golden(t, "mucinvitation.json"))
	tobias.sees(reason)
	ines.sees(reason)
	lists := []string{golden(t, "mucinvitations.json"), golden(t, "mucinvitations.xml"), strings.ReplaceAll(golden(t, "mucinvitations.xml"), "mucInvitations", "mucInvitation")}
	for _, body := range lists {
		w.want(200, "", "POST", "/chatrooms/atrium/invite", body)
		ines.sees(reason)
	}
	if vera.has("invite") {
		t.Error("somebody was invited who is banned")
	}
	// Nobody has got an affiliation by that.
	if got, want := w.declared("atrium@conference"), "mira@chat.example:Owner vera@chat.example:Outcast"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for i, e := range w.audit.entries[1:6] {
		if e.Summary != "invited tobias@chat.example to MUC room atrium" || e.Details != "service = conference" {
			t.Errorf("%d: %+v", i, e)
		}
	}
	ines.forget()
	w.wantError(403, "NotAllowedException", "Could not invite user", "vera", "POST", "/chatrooms/atrium/invite/vera", "")
	w.wantError(403, "NotAllowedException", "Could not invite user", "vera@chat.example", "POST", "/chatrooms/atrium/invite", `{"jidsToInvite":["ines","vera@chat.example"]}`)
	w.wantError(400, "IllegalArgumentException", "Unable to parse value as jid: a b", "atrium", "POST", "/chatrooms/atrium/invite", `{"jidsToInvite":["ines","a b"]}`)
	w.wantError(400, "IllegalArgumentException", "Unable to parse value as jid: chat.example", "atrium", "POST", "/chatrooms/atrium/invite/chat.example", "")
	w.wantError(400, "IllegalArgumentException", "the body has to say in jidsToInvite who is invited", "atrium", "POST", "/chatrooms/atrium/invite", `{"reason":"Come by"}`)
	if ines.has("invite") {
		t.Error("somebody was invited by a call that was refused")
	}
	w.wantError(404, noRoom, noSuchRoom, "den", "POST", "/chatrooms/den/invite/ines", "")
}

// Who gets an affiliation by a call is invited if that is wanted, and told what it is.
func TestSendInvitations(t *testing.T) {
	w := newWorld(t)
	w.group("Ops", "ines")
	tobias, ines := w.login(t, "tobias", "phone"), w.login(t, "ines", "desk")
	told := func(c *client, what string) {
		t.Helper()
		if !c.has("<reason>You are now " + what + " of the room The Atrium.</reason>") {
			t.Errorf("not told to be %s", what)
		}
		c.forget()
	}
	silent := func() {
		t.Helper()
		if tobias.has("invite") || ines.has("invite") {
			t.Error("an invitation that nobody wanted")
		}
	}
	const room = `{"roomName":"atrium","naturalName":"The Atrium","owners":["mira"],"admins":["tobias"]`
	w.want(201, "", "POST", "/chatrooms?sendInvitations=true", room+`,"memberGroups":["Ops"]}`)
	told(tobias, "an admin")
	told(ines, "a member")
	w.want(200, "", "PUT", "/chatrooms/atrium?sendInvitations=true", room+`,"memberGroups":["Ops"]}`)
	w.want(200, "", "PUT", "/chatrooms/atrium?sendInvitations=yes", room+`}`)
	silent()
	w.want(200, "", "PUT", "/chatrooms/atrium?sendInvitations=TRUE", room+`,"members":["ines"]}`)
	told(ines, "a member")
	w.want(201, "", "POST", "/chatrooms/atrium/owners/ines?sendInvitations=true", "")
	told(ines, "an owner")
	w.want(201, "", "POST", "/chatrooms/atrium/owners/ines?sendInvitations=true", "")
	w.want(201, "", "POST", "/chatrooms/atrium/members/tobias", "")
	silent()
	w.want(201, "", "POST", "/chatrooms/atrium/admins/group/Ops?sendInvitations=true", "")
	told(ines, "an admin")
	w.want(201, "", "PUT", "/chatrooms/atrium/admins?sendInvitations=true", `["tobias"]`)
	told(tobias, "an admin")
	w.want(201, "", "POST", "/chatrooms/atrium/outcasts?sendInvitations=true", `["tobias"]`)
	silent()
	w.want(200, `{"success":[{"roomName":"den","resultType":"Success","message":"Room was successfully created"}],"failure":[],"other":[]}`, "POST", "/chatrooms/bulk?sendInvitations=true",
		`[{"roomName":"den","naturalName":"The Atrium","members":["ines"]}]`, accept(formatJSON))
	told(ines, "a member")
}

func TestRoomMessages(t *testing.T) {
	fails := errors.New("the disk is full")
	broken := &brokenStore{}
	w := newRememberingWorld(t, time.Second, func(m muc.Store) muc.Store { broken.Store = m; return broken })
	w.want(201, "", "POST", "/chatrooms", `{"roomName":"atrium","logEnabled":true,"owners":["mira"]}`)
	mira := w.login(t, "mira", "desk")
	mira.enter(atrium, "Mira")
	w.want(201, "", "POST", "/messages/rooms/Atrium", `{"body":"Back at nine"}`)
	if !mira.has("<body>Back at nine</body>") {
		t.Error("not said yet")
	}
	mira.sees("from='"+atrium+"'", "type='groupchat'", "<body>Back at nine</body>")
	w.want(201, "", "POST", "/messages/rooms/atrium", `<message><body>a &lt; b</body></message>`)
	mira.sees("<body>a &lt; b</body>")
	for _, body := range []string{"", "{}", `{"body":" "}`, `<message/>`} {
		w.wantError(400, "IllegalArgumentException", "Message content/body is null or empty", "", "POST", "/messages/rooms/atrium", body)
	}
	w.wantError(404, noRoom, noSuchRoom, "den", "POST", "/messages/rooms/den", `{"body":"x"}`)
	w.set("xmpp.limits.stanza-bytes", "10000")
	w.wantError(400, "IllegalArgumentException", "body: it has more than the 10000 bytes that a stanza may have (xmpp.limits.stanza-bytes)", "atrium", "POST", "/messages/rooms/atrium",
		`{"body":"`+strings.Repeat("x", 10001)+`"}`)
	// What cannot be kept is not said.
	broken.err = fails
	w.wantError(503, "ServiceUnavailableException", "this cannot be kept at the moment: try again later", "atrium", "POST", "/messages/rooms/atrium", `{"body":"lost"}`)
	if mira.has("lost") {
		t.Error("said, but not kept")
	}
	w.wantAudit("created new MUC room atrium", "send server message", "send server message")
	if want := "room = atrium\nservice = conference"; w.audit.entries[1].Details != want {
		t.Errorf("audit details %q", w.audit.entries[1].Details)
	}
	if strings.Contains(w.audit.text(), "nine") {
		t.Error("the audit log tells what was said")
	}
}

// brokenStore cannot write while there is an err.
type brokenStore struct {
	muc.Store
	err error
}

func (b *brokenStore) WriteRoom(ctx context.Context, owner int64, writes []muc.Write) error {
	if b.err != nil {
		return b.err
	}
	return b.Store.WriteRoom(ctx, owner, writes)
}

// stamps are the times of messages in an answer.
func stamps(body string) []string { return strings.Fields(names(body, "delay_stamp")) }

func TestHistory(t *testing.T) {
	for _, logged := range []string{"true", "false"} {
		w := newRememberingWorld(t, time.Second, nil)
		w.want(201, "", "POST", "/chatrooms", `{"roomName":"atrium","persistent":true,"logEnabled":`+logged+`,"canAnyoneDiscoverJID":true,"owners":["tobias"]}`)
		w.want(200, prolog+`<messages/>`, "GET", "/chatrooms/atrium/chathistory", "")
		tobias := w.login(t, "tobias", "phone")
		tobias.enter(atrium, "Tobi")
		tobias.say(atrium, "tea?")
		got := w.send("GET", "/chatrooms/atrium/chathistory", "", accept(formatJSON)).Body.String()
		at := stamps(got)
		if len(at) != 1 {
			t.Fatalf("%s", got)
		}
		if when, err := time.Parse("2006-01-02T15:04:05.000Z", at[0]); err != nil || when.Year() != 2031 {
			t.Errorf("stamp %q: %v", at[0], err)
		}
		// The archive knows the user, and not which device it was.
		dated := strings.NewReplacer("2031-04-05T04:07:08.123Z", at[0], "tobias@chat.example/phone", "tobias@chat.example")
		w.want(200, dated.Replace(golden(t, "messages.json")), "GET", "/chatrooms/Atrium/chathistory/", "", accept(formatJSON))
		w.want(200, dated.Replace(golden(t, "messages.xml")), "GET", "/chatrooms/atrium/chathistory", "")
		w.want(201, "", "POST", "/messages/rooms/atrium", `{"body":"no"}`)
		got = w.send("GET", "/chatrooms/atrium/chathistory?limit=1", "").Body.String()
		if want := prolog + `<messages><message><from>` + atrium + `</from><type>groupchat</type><body>no</body><delay_stamp>`; !strings.HasPrefix(got, want) || strings.Contains(got, "delay_from") {
			t.Errorf("%s", got)
		}
		// Where only moderators see addresses, nobody's is told.
		w.want(200, "", "PUT", "/chatrooms/atrium", `{"roomName":"atrium","persistent":true,"logEnabled":`+logged+`,"owners":["tobias"]}`)
		if got := w.send("GET", "/chatrooms/atrium/chathistory", "", accept(formatJSON)).Body.String(); names(got, "delay_from") != atrium+"/Tobi" {
			t.Errorf("%s", got)
		}
		for _, q := range []string{"limit=x", "offset=-1", "before=yesterday", "before=-1", "before=99999999999999999"} {
			if got := w.send("GET", "/chatrooms/atrium/chathistory?"+q, ""); got.Code != 400 || !entityLike(got.Body.String(), "IllegalArgumentException") {
				t.Errorf("%s: %d %s", q, got.Code, got.Body)
			}
		}
	}
}

// Going back from page to page by the time of the first message finds each message once, whoever has it, the archive or the room's memory, and though
// several messages were said within a millisecond.
func TestHistoryPages(t *testing.T) {
	for _, c := range []struct {
		logged string
		said   int
	}{{"true", 130}, {"false", 45}} {
		w := newRememberingWorld(t, 150*time.Microsecond, nil)
		w.want(201, "", "POST", "/chatrooms", `{"roomName":"atrium","persistent":true,"logEnabled":`+c.logged+`,"owners":["tobias"]}`)
		tobias := w.login(t, "tobias", "phone")
		tobias.enter(atrium, "Tobi")
		var want []string
		for i := range c.said {
			body := fmt.Sprintf("m%d", i)
			tobias.say(atrium, body)
			want = append(want, body)
		}
		var found []string
		before, pages := "", 0
		for ; pages < 100; pages++ {
			got := w.send("GET", "/chatrooms/atrium/chathistory?limit=20"+before, "", accept(formatJSON))
			page := strings.Fields(names(got.Body.String(), "body"))
			if pages == 0 && got.Header().Get("X-Total-Count") != fmt.Sprint(c.said) {
				t.Errorf("X-Total-Count %q of %d", got.Header().Get("X-Total-Count"), c.said)
			}
			if len(page) == 0 {
				break
			}
			found = append(page, found...)
			before = "&before=" + url.QueryEscape(stamps(got.Body.String())[0])
		}
		if strings.Join(found, " ") != strings.Join(want, " ") || pages < 2 {
			t.Errorf("in %d pages, found %q", pages, found)
		}
		// Without a limit, what the room keeps for those who enter.
		kept := min(c.said, 50)
		got := w.send("GET", "/chatrooms/atrium/chathistory", "", accept(formatJSON)).Body.String()
		if page := names(got, "body"); page != strings.Join(want[c.said-kept:], " ") {
			t.Errorf("kept: %q", page)
		}
		got = w.send("GET", "/chatrooms/atrium/chathistory?offset=2&limit=3", "", accept(formatJSON)).Body.String()
		if page := names(got, "body"); page != strings.Join(want[c.said-5:c.said-2], " ") {
			t.Errorf("offset: %q", page)
		}
		w.want(200, `{"message":[]}`, "GET", "/chatrooms/atrium/chathistory?limit=0", "", accept(formatJSON))
		w.want(200, `{"message":[]}`, "GET", "/chatrooms/atrium/chathistory?before=1000", "", accept(formatJSON))
	}
}

// A room that a client made, for as long as somebody is in it, is seen and can be changed as well.
func TestTemporaryRooms(t *testing.T) {
	const den = "den@conference." + domain
	w := newWorld(t)
	w.group("Ops", "vera")
	mira, tobias := w.login(t, "mira", "desk"), w.login(t, "tobias", "phone")
	enter := func() {
		t.Helper()
		mira.enter(den, "Mira")
		mira.send("<iq type='set' id='c' to='" + den + "'><query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query></iq>")
		mira.sees("type='result'")
		tobias.enter(den, "Tobi")
	}
	enter()
	got := datesOfRooms.ReplaceAllString(w.send("GET", "/chatrooms/den", "", accept(formatJSON)).Body.String(), "")
	if want := `{"roomName":"den","naturalName":"den","maxUsers":0,"persistent":false,"publicRoom":true,`; !strings.HasPrefix(got, want) || !strings.Contains(got, `"owners":["mira@chat.example"]`) {
		t.Errorf("%s", got)
	}
	if got := w.send("GET", "/chatrooms", "", accept(formatJSON)); names(got.Body.String(), "roomName") != "den" {
		t.Errorf("%s", got.Body)
	}
	if got := w.send("GET", "/chatrooms/den/occupants", "", accept(formatJSON)); names(got.Body.String(), "userAddress") != "mira@chat.example/desk tobias@chat.example/phone" {
		t.Errorf("%s", got.Body)
	}
	w.want(201, "", "POST", "/chatrooms/den/admins/tobias", "")
	if !tobias.has("<item affiliation='admin'") {
		t.Error("not told")
	}
	w.want(201, "", "POST", "/chatrooms/den/members/Ops", "")
	w.want(200, `{"admins":["tobias@chat.example"]}`, "GET", "/chatrooms/den/admins", "", accept(formatJSON))
	if got := w.send("GET", "/chatrooms/den", "", accept(formatJSON)).Body.String(); !strings.Contains(got, `"memberGroups":["Ops"]`) {
		t.Errorf("%s", got)
	}
	w.wantError(409, "NotAllowedException", "Could not delete affiliation", "mira", "DELETE", "/chatrooms/den/owners/mira", "")
	w.want(201, "", "POST", "/messages/rooms/den", `{"body":"hello"}`)
	tobias.sees("<body>hello</body>")
	w.wantError(409, "AlreadyExistsException", "Could not create the channel", "den", "POST", "/chatrooms", `{"roomName":"den"}`)
	w.want(200, "", "DELETE", "/chatrooms/den", "")
	if !tobias.has("<destroy") {
		t.Error("not told")
	}
	w.wantError(404, noRoom, noSuchRoom, "den", "GET", "/chatrooms/den", "")
	// It becomes a lasting one, with those who are in it.
	enter()
	w.want(200, "", "PUT", "/chatrooms/den", `{"roomName":"den","naturalName":"The Den","persistent":true,"owners":["tobias"],"subject":"Plants","broadcastPresenceRoles":["moderator","participant"]}`)
	if !tobias.has("<subject>Plants</subject>") || !tobias.has("<item affiliation='owner'") {
		t.Error("not told")
	}
	if r := w.room("den@conference"); r.DisplayName != "The Den" {
		t.Errorf("%+v", r)
	}
	if got := w.send("GET", "/chatrooms/den/occupants", "", accept(formatJSON)); names(got.Body.String(), "userAddress") != "mira@chat.example/desk tobias@chat.example/phone" {
		t.Errorf("%s", got.Body)
	}
	w.wantAudit("set MUC affiliation to admin for tobias@chat.example in den", "set MUC affiliation to member for Ops in den", "send server message",
		"destroyed MUC room den", "created new MUC room den")
}
