package transfer

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
)

// bodies are answers of Openfire's REST API 1.12, by path and query.
func bodies() map[string]string {
	const prolog = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>`
	return map[string]string{
		"/system/properties": prolog + `<properties><property key="xmpp.domain" value="old.example"/><property key="admin.authorizedJIDs" value="mira@old.example, x@other.example"/>` +
			`<property key="plugin.restapi.secret" value="hidden0123456789"/><property key="xmpp.offline.max-messages" value="50"/><property key="site.motto" value="be kind"/>` +
			`<property key="ldap.adminPassword" value="hidden"/><property key="xmpp.offline.max-age" value="nonsense"/></properties>`,
		"/users": prolog + `<users><user><username>mira</username><name>Mira Okafor</name><email>mira@mail.example</email><properties><property key="team" value="north"/></properties></user>` +
			`<user><username>tobias</username><name></name><properties/></user></users>`,
		"/users/mira/roster": prolog + `<roster><rosterItem><jid>tobias@old.example</jid><nickname>Tobi</nickname><subscriptionType>3</subscriptionType><groups><group>Friends</group></groups></rosterItem>` +
			`<rosterItem><jid>ines@other.example</jid><subscriptionType>1</subscriptionType><groups/></rosterItem></roster>`,
		"/users/tobias/roster": prolog + `<roster><rosterItem><jid>mira@old.example</jid><nickname>Mira</nickname><subscriptionType>3</subscriptionType><groups/></rosterItem></roster>`,
		"/users/mira/vcard":    `<vCard xmlns="vcard-temp"><FN>Mira Okafor</FN></vCard>`,
		"/groups":              prolog + `<groups><group><name>Ops</name><description>People on call</description><shared>false</shared></group><group><name>Night Shift</name><shared>false</shared></group></groups>`,
		"/groups/Ops": prolog + `<group><name>Ops</name><description>People on call</description><admins><admin>mira@old.example</admin></admins>` +
			`<members><member>tobias@old.example</member><member>x@other.example</member></members><shared>true</shared></group>`,
		"/groups/Night%20Shift": prolog + `<group><name>Night Shift</name><admins/><members/><shared>false</shared></group>`,
		"/chatservices":         prolog + `<chatServices><chatService><serviceName>conference</serviceName><description>Public</description><hidden>false</hidden></chatService><chatService><serviceName>workshop</serviceName><description>Small rooms</description><hidden>true</hidden></chatService></chatServices>`,
		"/chatrooms?servicename=conference&type=all": prolog + `<chatRooms><chatRoom><roomName>atrium</roomName><naturalName>The Atrium</naturalName><description>Open floor</description><password>plants!</password><subject>Plants</subject><creationDate>2031-04-05T06:07:08.123+02:00</creationDate><modificationDate>2031-04-06T09:00:00.500+02:00</modificationDate><maxUsers>40</maxUsers><persistent>true</persistent><publicRoom>true</publicRoom><registrationEnabled>true</registrationEnabled><canAnyoneDiscoverJID>true</canAnyoneDiscoverJID><canOccupantsChangeSubject>false</canOccupantsChangeSubject><canOccupantsInvite>false</canOccupantsInvite><canChangeNickname>true</canChangeNickname><logEnabled>false</logEnabled><loginRestrictedToNickname>false</loginRestrictedToNickname><membersOnly>false</membersOnly><moderated>true</moderated><broadcastPresenceRoles><broadcastPresenceRole>moderator</broadcastPresenceRole><broadcastPresenceRole>participant</broadcastPresenceRole></broadcastPresenceRoles><owners><owner>mira@old.example</owner></owners><admins><admin>a b@old.example</admin></admins><members><member>tobias@old.example</member><member>mira@old.example</member></members><outcasts/><ownerGroups/><adminGroups/><memberGroups><memberGroup>Ops</memberGroup></memberGroups><outcastGroups/><allowPM>moderators</allowPM></chatRoom>` +
			`<chatRoom><roomName>passing</roomName><persistent>false</persistent></chatRoom></chatRooms>`,
		"/chatrooms?servicename=workshop&type=all": prolog + `<chatRooms><chatRoom><roomName>lobby</roomName><naturalName>lobby</naturalName><persistent>true</persistent><publicRoom>true</publicRoom><registrationEnabled>true</registrationEnabled><canChangeNickname>true</canChangeNickname><logEnabled>true</logEnabled><maxUsers>0</maxUsers><broadcastPresenceRoles><broadcastPresenceRole>moderator</broadcastPresenceRole><broadcastPresenceRole>participant</broadcastPresenceRole><broadcastPresenceRole>visitor</broadcastPresenceRole></broadcastPresenceRoles><allowPM>anyone</allowPM></chatRoom></chatRooms>`,
	}
}

// openfireWith serves bodies to who has the secret, and gives its address and the file of the secret.
func openfireWith(t *testing.T, answers map[string]string) (address, secretFile string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "s3cr3t" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		body, ok := answers[strings.TrimPrefix(r.URL.RequestURI(), "/plugins/restapi/v1")]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/xml")
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	secretFile = filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secretFile, []byte("s3cr3t\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return server.URL, secretFile
}

func TestConvertOpenfireREST(t *testing.T) {
	address, secret := openfireWith(t, bodies())
	files, _, err := converted(t, "--from", "openfire-rest", "--url", address, "--secret-file", secret, "--domain", "chat.example")
	if err != nil {
		t.Fatal(err)
	}
	mira := parsed[v1alpha1.ChatUser](t, files, "manifests/chatusers/mira.yaml").Spec
	if *mira.DisplayName != "Mira Okafor" || *mira.Email != "mira@mail.example" || mira.Admin == nil || !*mira.Admin || len(mira.Properties) != 1 ||
		mira.Properties[0].Key != "team" || *mira.Properties[0].Value != "north" || mira.Credentials != nil {
		t.Errorf("mira is %+v", mira)
	}
	if tobias := parsed[v1alpha1.ChatUser](t, files, "manifests/chatusers/tobias.yaml").Spec; tobias.Admin != nil || tobias.DisplayName != nil {
		t.Errorf("tobias is %+v", tobias)
	}
	contains(t, files["personal/chat.example/mira.xml"],
		`<item jid="tobias@chat.example" name="Tobi" subscription="both"><group>Friends</group></item>`,
		`<item jid="ines@other.example" subscription="to"/>`, `<vCard xmlns="vcard-temp"><FN>Mira Okafor</FN></vCard>`)
	if content, ok := files["personal/chat.example/tobias.xml"]; ok {
		t.Errorf("who is in a shared group has a contact of it as one of his own: %s", content)
	}
}

func TestConvertOpenfireRESTGroupsAndRooms(t *testing.T) {
	address, secret := openfireWith(t, bodies())
	files, said, err := converted(t, "--from", "openfire-rest", "--url", address, "--secret-file", secret, "--domain", "chat.example")
	if err != nil {
		t.Fatal(err)
	}
	// docs of the names: EncodeName of "Night Shift" and EncodeRoomName of lobby at workshop.
	night := parsed[v1alpha1.ChatGroup](t, files, "manifests/chatgroups/night-shift-x3grl6u2dpq4kiq5mrqjuf73fqe.yaml")
	if *night.Spec.GroupName != "Night Shift" || night.Spec.SharedRoster != nil {
		t.Errorf("the group is %+v", night.Spec)
	}
	ops := parsed[v1alpha1.ChatGroup](t, files, "manifests/chatgroups/"+v1alpha1.EncodeName("Ops")+".yaml").Spec
	if *ops.Description != "People on call" || strings.Join(ops.Members, " ") != "tobias x@other.example" || strings.Join(ops.Admins, " ") != "mira" ||
		ops.SharedRoster.Mode != v1alpha1.SharedRosterOnlyGroup {
		t.Errorf("the group is %+v", ops)
	}
	atrium := parsed[v1alpha1.ChatRoom](t, files, "manifests/chatrooms/atrium.yaml")
	s := atrium.Spec
	if *s.DisplayName != "The Atrium" || *s.Description != "Open floor" || *s.Subject != "Plants" || *s.MaxOccupants != 40 || *s.Moderated != true || *s.Archived != false ||
		*s.WhoSeesJIDs != v1alpha1.WhoSeesJIDsAnyone || *s.PrivateMessages != v1alpha1.PrivateMessagesModerators || len(s.PresenceBroadcast) != 2 ||
		s.Listed != nil || s.Persistent != nil || s.MembersOnly != nil || atrium.Annotations[v1alpha1.CreatedAtAnnotation] != "2031-04-05T04:07:08Z" {
		t.Errorf("the room is %+v", s)
	}
	if len(s.Affiliations) != 2 || s.Affiliations[0] != (v1alpha1.RoomAffiliation{JID: "mira@chat.example", Affiliation: v1alpha1.AffiliationOwner}) ||
		s.Affiliations[1] != (v1alpha1.RoomAffiliation{JID: "tobias@chat.example", Affiliation: v1alpha1.AffiliationMember}) ||
		len(s.GroupAffiliations) != 1 || s.GroupAffiliations[0] != (v1alpha1.RoomGroupAffiliation{Group: "Ops", Affiliation: v1alpha1.AffiliationMember}) {
		t.Errorf("the affiliations are %+v, %+v", s.Affiliations, s.GroupAffiliations)
	}
	password := parsed[corev1.Secret](t, files, "manifests/secrets/"+s.PasswordSecretRef.Name+".yaml")
	if string(password.Data["password"]) != "plants!" {
		t.Errorf("the password is %v", password.Data)
	}
	lobby := parsed[v1alpha1.ChatRoom](t, files, "manifests/chatrooms/lobby-workshop-xpiidocaumvctkdp2274udoof6i.yaml").Spec
	if *lobby.RoomName != "lobby" || *lobby.Service != "workshop" || lobby.DisplayName != nil || lobby.PresenceBroadcast != nil {
		t.Errorf("the room is %+v", lobby)
	}
	for name, want := range map[string]string{
		"xmpp.muc.service.workshop": "Small rooms", "xmpp.muc.service.workshop.hidden": "true", "xmpp.offline.max-messages": "50",
	} {
		if got := *parsed[v1alpha1.SystemProperty](t, files, "manifests/systemproperties/"+name+".yaml").Spec.Value; got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for name, content := range files {
		if strings.Contains(content, "hidden0123456789") || strings.Contains(name, "ldap") || strings.Contains(name, "motto") || strings.Contains(name, "passing") {
			t.Errorf("%s is there", name)
		}
	}
	contains(t, said, `"passing" is left out, since it is temporary`, `The admin "a b@old.example" of the room "atrium" is left out`, "xmpp.offline.max-age is left out", "plugin.restapi.secret is left out", "neither passwords",
		"passwords of 2 users could not be taken over", "  mira\n  tobias\n", "2 properties of Openfire are left out")

	files, _, err = converted(t, "--from", "openfire-rest", "--url", address, "--secret-file", secret, "--all-properties")
	if err != nil {
		t.Fatal(err)
	}
	contains(t, files["export.yaml"], "domain: old.example")
	if got := *parsed[v1alpha1.SystemProperty](t, files, "manifests/systemproperties/site.motto.yaml").Spec.Value; got != "be kind" {
		t.Errorf("the motto is %q", got)
	}
}

func TestConvertOpenfireRESTFailures(t *testing.T) {
	address, secret := openfireWith(t, bodies())
	wrong := filepath.Join(t.TempDir(), "wrong")
	if err := os.WriteFile(wrong, []byte("not it"), 0o600); err != nil {
		t.Fatal(err)
	}
	page, pageSecret := openfireWith(t, map[string]string{"/system/properties": "<html><body>hello</body></html>"})
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"wrong secret": {[]string{"--url", address, "--secret-file", wrong}, "does not accept"},
		"no address":   {[]string{"--url", "openfire", "--secret-file", secret}, "is no address"},
		"in clear":     {[]string{"--url", "http://openfire.invalid:9090", "--secret-file", secret}, "without encryption"},
		"if it must":   {[]string{"--url", "http://openfire.invalid:9090", "--allow-http", "--secret-file", secret}, "cannot be asked"},
		"not there":    {[]string{"--url", address + "/plugins/other", "--secret-file", secret}, "not there"},
		"not a server": {[]string{"--url", "http://127.0.0.1:1", "--secret-file", secret}, "cannot be asked"},
		"another page": {[]string{"--url", page, "--secret-file", pageSecret}, "is not what Openfire's REST API answers"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := converted(t, append([]string{"--from", "openfire-rest"}, c.args...)...)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "not it") {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// A shared group of many is no more than a list of them.
func TestFellows(t *testing.T) {
	f := fellows{}
	everybody := make([]string, 0, 20_001)
	for i := range 20_000 {
		everybody = append(everybody, strconv.Itoa(i)+"@chat.example")
	}
	f.add(append(everybody, everybody[0]))
	f.add([]string{"0@chat.example", "romeo@montague.example"})
	for _, c := range []struct {
		one, other string
		want       bool
	}{
		{"0@chat.example", "19999@chat.example", true}, {"19999@chat.example", "0@chat.example", true}, {"0@chat.example", "romeo@montague.example", true},
		{"1@chat.example", "romeo@montague.example", false}, {"nobody@chat.example", "0@chat.example", false},
	} {
		if got := f.are(c.one, c.other); got != c.want {
			t.Errorf("%s and %s: %t", c.one, c.other, got)
		}
	}
	if n := len(f["0@chat.example"]); n != 2 {
		t.Errorf("who is in two groups has %d", n)
	}
}
