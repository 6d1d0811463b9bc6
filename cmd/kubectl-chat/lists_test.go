package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const active = `"status":{"jid":"%s","conditions":[{"type":"Ready","status":"True","reason":"Active","message":"in force","lastTransitionTime":"2031-04-01T05:00:00Z"}]}`

func declared(username, spec string) string {
	return `{"metadata":{"name":"` + username + `","creationTimestamp":"2031-03-26T05:00:00Z"},"spec":` + spec + `,` + strings.Replace(active, "%s", username+"@chat.example", 1) + `}`
}

// The session of the REST reference, §7.13, and another one.
const sessionsOfTwo = `{"sessions":[` + sessionOfTobias + `,
	{"sessionId":"mira@chat.example/desk","username":"mira","resource":"desk","node":"Local","sessionStatus":"Authenticated","presenceStatus":"Online","priority":0,"creationDate":1933128000000,"lastActionDate":1933131540000,"secure":false}]}`

const sessionOfTobias = `{"sessionId":"tobias@chat.example/phone","username":"tobias","resource":"phone","node":"Local","sessionStatus":"Authenticated","presenceStatus":"Away","presenceMessage":"lunch\u001b[2J","priority":5,"hostAddress":"192.0.2.44","hostName":"192.0.2.44","creationDate":1933128428123,"lastActionDate":1933129800250,"secure":true}`

func TestUsers(t *testing.T) {
	w := newWorld(t)
	w.objects[pods] = pod
	w.declare("chatusers", "ChatUser",
		declared("tobias", `{"displayName":"Tobias Brandt","locked":true}`),
		declared("mira", `{"admin":true}`),
		`{"metadata":{"name":"x4g2","creationTimestamp":"2031-04-05T04:59:00Z"},"spec":{"username":"zoë"}}`)
	w.answer("GET /sessions", sessionsOfTwo)
	w.prints(`
USERNAME   NAME            ADMIN   LOCKED   READY     ONLINE   AGE
mira                       true    false    True      true     10d
tobias     Tobias Brandt   false   true     True      true     10d
zoë                        false   false    Unknown   false    60s
`, "users")
	w.prints(`
USERNAME   NAME            ADMIN   LOCKED   READY   ONLINE   AGE   JID                   SESSIONS   REASON
tobias     Tobias Brandt   false   true     True    true     10d   tobias@chat.example   1          Active
`, "users", "tobias", "-o", "wide")
	w.prints("chatuser.chat-operator.io/mira\nchatuser.chat-operator.io/tobias\nchatuser.chat-operator.io/x4g2\n", "users", "-o", "name")
	w.prints(`
items:
- admin: true
  createdAt: "2031-03-26T05:00:00Z"
  jid: mira@chat.example
  locked: false
  message: in force
  ready: "True"
  reason: Active
  resource: mira
  sessions: 1
  username: mira
`, "users", "mira", "-o", "yaml")
	w.fails([]string{"users", "ines"}, `there is no user "ines"`, "kubectl chat users")
	w.fails([]string{"users", "-o", "csv"}, "json, name, wide, yaml")
}

func TestUsersOfAServerThatCannotBeAsked(t *testing.T) {
	w := newWorld(t)
	w.objects[pods] = `{"apiVersion":"v1","kind":"PodList","metadata":{},"items":[]}`
	w.declare("chatusers", "ChatUser", declared("mira", `{}`))
	out, warned, err := w.run("users")
	if want := "USERNAME   NAME   ADMIN   LOCKED   READY   ONLINE      AGE\nmira              false   false    True    <unknown>   10d\n"; err != nil || out != want {
		t.Errorf("%v\n%s\nnot\n%s", err, out, want)
	}
	if !strings.Contains(warned, "has no Pod") {
		t.Errorf("warned: %s", warned)
	}
	out, _, err = w.run("users", "-o", "json")
	if err != nil || strings.Contains(out, "sessions") {
		t.Errorf("%v %s", err, out)
	}
}

func TestSessions(t *testing.T) {
	w := newWorld(t)
	w.objects[pods] = pod
	w.answer("GET /sessions", sessionsOfTwo)
	w.prints(`
JID                         PRESENCE   PRIORITY   ADDRESS      ENCRYPTED   SINCE   ACTIVE
mira@chat.example/desk      Online     0                       false       60m     60s
tobias@chat.example/phone   Away       5          192.0.2.44   true        52m     29m
`, "sessions")
	if w.tunnels != 1 {
		t.Errorf("%d tunnels were opened", w.tunnels)
	}
	// What would clear the screen is shown instead.
	w.answer("GET /sessions/tobias", `{"sessions":[`+sessionOfTobias+`]}`)
	w.prints(`
JID                         PRESENCE   PRIORITY   ADDRESS      ENCRYPTED   SINCE   ACTIVE   MESSAGE
tobias@chat.example/phone   Away       5          192.0.2.44   true        52m     29m      lunch\x1b[2J
`, "sessions", "tobias@chat.example/phone", "-o", "wide")
	w.answer("GET /sessions", `{"sessions":[]}`)
	w.prints("{\n  \"items\": []\n}\n", "sessions", "-o", "json")
	w.answer("GET /sessions/mira", `{"sessions":[]}`)
	w.answer("GET /users/mira", `{"username":"mira","name":""}`)
	for _, words := range [][]string{{"sessions"}, {"sessions", "mira"}} {
		if out, said, err := w.run(words...); err != nil || out != "" || said != "Nobody is connected.\n" {
			t.Errorf("%v %q %q", err, out, said)
		}
	}
	w.answer("GET /sessions/nobody", `{"sessions":[]}`)
	w.answer("GET /users/nobody", noUser)
	w.fails([]string{"sessions", "mira", "nobody"}, `no user "nobody"`)
}

const (
	services = `{"chatService":[{"serviceName":"conference","hidden":false},{"serviceName":"workshop","hidden":false}]}`
	atrium   = `{"roomName":"atrium","naturalName":"The Atrium","creationDate":1933128428123,"persistent":true,"membersOnly":true}`
	// §7.7 of the REST reference.
	occupantsOfAtrium = `{"occupants":[{"jid":"atrium@conference.chat.example/Tobi","userAddress":"tobias@chat.example/phone","role":"participant","affiliation":"member"}]}`
)

func TestRooms(t *testing.T) {
	w := newWorld(t)
	w.objects[pods] = pod
	w.declare("chatrooms", "ChatRoom",
		declared("atrium", `{"membersOnly":true}`),
		`{"metadata":{"name":"bench-xabcdefghijklmnopqrstuvwxyz","creationTimestamp":"2031-03-26T05:00:00Z"},"spec":{"roomName":"bench","service":"workshop","persistent":false},
		"status":{"conditions":[{"type":"Ready","status":"False","reason":"ServiceNotFound","message":"no such service","lastTransitionTime":"2031-04-01T05:00:00Z"}]}}`)
	w.answer("GET /chatservices", services)
	w.answer("GET /chatrooms?limit=200&offset=0&servicename=conference&type=all", `{"chatRooms":[`+atrium+`,{"roomName":"tea","creationDate":1933131000000,"persistent":false,"membersOnly":false}]}`)
	w.answer("GET /chatrooms?limit=200&offset=0&servicename=workshop&type=all", `404 {"resource":"workshop","message":"no such service","exception":"MUCServiceNotFoundException"}`)
	w.answer("GET /chatrooms/atrium/occupants?servicename=conference", occupantsOfAtrium)
	w.answer("GET /chatrooms/tea/occupants?servicename=conference", `{"occupants":[]}`)
	w.answer("GET /chatrooms/bench/occupants?servicename=workshop", `404 {"resource":"bench","message":"no such service","exception":"MUCServiceNotFoundException"}`)
	w.prints(`
ROOM     SERVICE      OCCUPANTS   MEMBERS-ONLY   PERSISTENT   READY   AGE
atrium   conference   1           true           true         True    10d
bench    workshop     <unknown>   false          false        False   10d
tea      conference   0           false          false        -       10m
`, "rooms")
	w.prints(`
ROOM    SERVICE    OCCUPANTS   MEMBERS-ONLY   PERSISTENT   READY   AGE   NAME   REASON
bench   workshop   <unknown>   false          false        False   10d          ServiceNotFound
`, "rooms", "bench@workshop.chat.example", "-o", "wide")
	w.prints("chatroom.chat-operator.io/atrium\nchatroom.chat-operator.io/bench-xabcdefghijklmnopqrstuvwxyz\n", "rooms", "-o", "name")
	w.fails([]string{"rooms", "tea@workshop"}, `there is no room "tea@workshop"`)
}

// Who may not change all rooms is shown a limited number at once (docs/rest.md): more are asked for in parts.
func TestManyRooms(t *testing.T) {
	w := newWorld(t)
	w.objects[pods] = pod
	w.declareNothing()
	w.answer("GET /chatservices", `{"chatService":[{"serviceName":"conference","hidden":false}]}`)
	var first []string
	for i := range roomsAtOnce {
		name := fmt.Sprintf("r%03d", i)
		first = append(first, `{"roomName":"`+name+`","persistent":true}`)
		w.answer("GET /chatrooms/"+name+"/occupants?servicename=conference", `{"occupants":[]}`)
	}
	w.answer("GET /chatrooms/last/occupants?servicename=conference", `{"occupants":[]}`)
	w.answer("GET /chatrooms?limit=200&offset=0&servicename=conference&type=all", `{"chatRooms":[`+strings.Join(first, ",")+`]}`)
	w.answer("GET /chatrooms?limit=200&offset=200&servicename=conference&type=all", `{"chatRooms":[{"roomName":"last","persistent":true}]}`)
	out, said, err := w.run("rooms", "--no-headers")
	if lines := strings.Count(out, "\n"); err != nil || lines != roomsAtOnce+1 || !strings.Contains(out, "last") {
		t.Errorf("%v %q: %d rooms", err, said, lines)
	}
}

func TestStatus(t *testing.T) {
	w := newWorld(t)
	w.objects[pods] = pod
	w.declareNothing()
	w.declare("chatusers", "ChatUser", declared("mira", `{}`), declared("tobias", `{}`),
		`{"metadata":{"name":"ines","creationTimestamp":"2031-03-26T05:00:00Z"},"spec":{},"status":{"conditions":[{"type":"Ready","status":"False","reason":"SecretNotFound","message":"Secret \"ines-password\" does not exist: create it","lastTransitionTime":"2031-04-05T04:55:00Z"}]}}`)
	w.declare("chatgroups", "ChatGroup", `{"metadata":{"name":"night-shift","creationTimestamp":"2031-03-26T05:00:00Z"},"spec":{},"status":{"conditions":[`+
		`{"type":"Ready","status":"True","reason":"Active","message":"In force.","lastTransitionTime":"2031-03-26T05:00:00Z"},`+
		`{"type":"MembersResolved","status":"False","reason":"UnknownMembers","message":"Not there (yet): mria.","lastTransitionTime":"2031-04-05T03:00:00Z"}]}}`)
	w.declare("systemproperties", "SystemProperty", `{"metadata":{"name":"limit","creationTimestamp":"2031-03-26T05:00:00Z"},"spec":{},"status":{"conditions":[`+
		`{"type":"Ready","status":"True","reason":"UnknownKey","message":"No such key: xmpp.limit.sessions.","lastTransitionTime":"2031-04-05T04:58:00Z"}]}}`)
	w.answer("GET /system/readiness", "")
	w.answer("GET /openapi.yaml", "openapi: 3.0.1\ninfo:\n  title: REST API\n  version: v1.4.0\n")
	w.answer("GET /sessions", sessionsOfTwo)
	w.answer("GET /system/statistics/sessions", `{"localSessions":1,"clusterSessions":1}`)
	w.answer("GET /chatservices", `{"chatService":[{"serviceName":"conference","hidden":false}]}`)
	w.answer("GET /chatrooms?limit=200&offset=0&servicename=conference&type=all", `{"chatRooms":[`+atrium+`]}`)
	w.answer("GET /chatrooms/atrium/occupants?servicename=conference", occupantsOfAtrium)
	out, _, err := w.run("status")
	if err != nil {
		t.Fatal(err)
	}
	// The certificate is that of net/http/httptest, valid until 2084-01-29.
	want := `
Namespace:     chat
Domain:        chat.example
Server:        ready
Version:       v1.4.0
Pod:           chat-operator-0, up for 3d3h, restarted 2 times
Certificate:   valid until 2084-01-29 (19292 days)
Sessions:      2 of 2 users, 1 with available presence
Rooms:         1 with 1 occupant

KIND             TOTAL   READY   REASONS
ChatUser         3       2       Active 2, SecretNotFound 1
ChatGroup        1       1       Active 1
ChatRoom         0       0       -
SystemProperty   1       1       UnknownKey 1

TO LOOK AT              REASON           SINCE   MESSAGE
chatuser/ines           SecretNotFound   5m      Secret "ines-password" does not exist: create it
systemproperty/limit    UnknownKey       2m      No such key: xmpp.limit.sessions.
chatgroup/night-shift   UnknownMembers   120m    Not there (yet): mria.
`
	if out != strings.TrimPrefix(want, "\n") {
		t.Errorf("%s\nnot\n%s", out, want)
	}

	// What /readyz remarks is there too, word for word and without what a terminal would obey.
	w.probes = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if r.URL.RequestURI() != "/readyz?verbose" || r.Header.Get("Authorization") != "" {
			t.Errorf("%s with %v", r.URL, r.Header)
		}
		fmt.Fprint(out, "[+]chat ok\n[!]the TLS certificate is not for the domain chat.example but for wrong.example: clients refuse it\n[!]two\x1b[2Jlines\nreadyz check passed\n")
	}))
	t.Cleanup(w.probes.Close)
	out, _, err = w.run("status")
	if err != nil || !strings.Contains(out, `
Server:        ready, but see what it remarks
Version:       v1.4.0
Pod:           chat-operator-0, up for 3d3h, restarted 2 times
Certificate:   valid until 2084-01-29 (19292 days)
Remark:        the TLS certificate is not for the domain chat.example but for wrong.example: clients refuse it
Remark:        two`) || strings.Contains(out, "\x1b") {
		t.Errorf("%v\n%s", err, out)
	}
	out, _, err = w.run("status", "-o", "json")
	if err != nil || !strings.Contains(out, `"the TLS certificate is not for the domain chat.example but for wrong.example: clients refuse it"`) {
		t.Errorf("%v\n%s", err, out)
	}

	w.answer("GET /system/readiness", `503 {"resource":"","message":"the declared resources have not all been read yet","exception":"ServiceUnavailableException"}`)
	out, _, err = w.run("status")
	if err != nil || !strings.Contains(out, "Server:        not ready: the declared resources have not all been read yet\n") {
		t.Errorf("%v\n%s", err, out)
	}

	// What Kubernetes knows is there without the server, and the exit status tells.
	w.objects[pods] = `{"apiVersion":"v1","kind":"PodList","metadata":{},"items":[]}`
	out, _, err = w.run("status", "-o", "json")
	if err == nil || !strings.Contains(err.Error(), "has no Pod") {
		t.Error(err)
	}
	if !strings.Contains(out, `"trouble": "the chat server of namespace \"chat\" has no Pod`) || !strings.Contains(out, `"SecretNotFound": 1`) {
		t.Error(out)
	}
	w.fails([]string{"status", "-o", "name"}, "json or yaml")
}

// Without users, rooms tell the domain, and without rooms the server's own arguments.
func TestDomainOfAServerWithoutUsers(t *testing.T) {
	const room = `{"metadata":{"name":"atrium","creationTimestamp":"2031-03-26T05:00:00Z"},"spec":{},"status":{"jid":"atrium@conference.rooms.example"}}`
	with := func(args string) string {
		return strings.Replace(theStatefulSet, `"spec":{`, `"spec":{"template":{"spec":{"containers":[{"name":"other","args":["--domain=other.example"]},{"name":"chat-operator","args":[`+
			args+`]}]}},`, 1)
	}
	for _, test := range []struct {
		rooms []string
		set   string
		want  string
	}{
		{nil, with(`"--domain=support.example","--namespace=chat"`), "support.example"},
		{nil, with(`"--log-level=info","-domain","support.example"`), "support.example"},
		{nil, with(`"--domain=support.example","--domain=last.example"`), "last.example"},
		{[]string{room}, with(`"--domain=support.example"`), "rooms.example"},
		{nil, with(`"--domain=$(XMPP_DOMAIN)"`), "not known while there is no user and no room"},
		{nil, with(`"--namespace=domain"`), "not known while there is no user and no room"},
		{nil, "403", "not known while there is no user and no room"},
	} {
		w := newWorld(t)
		w.declareNothing()
		w.declare("chatrooms", "ChatRoom", test.rooms...)
		w.objects[statefulSet] = test.set
		w.objects[pods] = `{"apiVersion":"v1","kind":"PodList","metadata":{},"items":[]}`
		out, _, err := w.run("status")
		if err == nil || !strings.Contains(out, "\nDomain:      "+test.want+"\n") {
			t.Errorf("%s: %v\n%s", test.set, err, out)
		}
	}
}

// Resources in a namespace that no server serves wait for nobody.
func TestStatusOfANamespaceWithoutAServer(t *testing.T) {
	w := newWorld(t)
	w.declareNothing()
	w.declare("chatusers", "ChatUser", `{"metadata":{"name":"ines","creationTimestamp":"2031-03-26T05:00:00Z"},"spec":{}}`)
	delete(w.objects, statefulSet)
	for _, secret := range []bool{true, false} {
		if !secret {
			delete(w.objects, "/api/v1/namespaces/chat/secrets/chat-operator")
		}
		out, _, err := w.run("status")
		if err == nil || !strings.Contains(err.Error(), `namespace "chat" has no chat server`) {
			t.Error(err)
		}
		if !strings.Contains(out, "no chat server serves namespace chat: choose its namespace with --namespace\n") || strings.Contains(out, "is it running") {
			t.Error(out)
		}
	}
}

// What all resources wait for is said once, whether there is a server to wait for or not.
func TestStatusWhileNobodyLooks(t *testing.T) {
	w := newWorld(t)
	w.declareNothing()
	w.objects[pods] = `{"apiVersion":"v1","kind":"PodList","metadata":{},"items":[]}`
	w.declare("chatusers", "ChatUser", `{"metadata":{"name":"ines","creationTimestamp":"2031-03-26T05:00:00Z"},"spec":{}}`,
		`{"metadata":{"name":"noor","creationTimestamp":"2031-03-26T05:00:00Z"},"spec":{}}`)
	w.declare("chatrooms", "ChatRoom", `{"metadata":{"name":"lobby","creationTimestamp":"2031-03-26T05:00:00Z"},"spec":{},
		"status":{"conditions":[{"type":"Ready","status":"False","reason":"NameConflict","message":"another room has this name","lastTransitionTime":"2031-04-04T05:00:00Z"}]}}`)
	const table = `
TO LOOK AT       REASON         SINCE   MESSAGE
chatroom/lobby   NameConflict   24h     another room has this name
chatuser/ines    Pending        10d     
chatuser/noor    Pending        10d     
`
	out, _, _ := w.run("status")
	if want := "\nThe operator has not looked at 2 resources yet: is it running?\n" + table; !strings.HasSuffix(out, want) {
		t.Errorf("%s\ndoes not end with\n%s", out, want)
	}
	if out, _, _ = w.run("status", "-o", "json"); strings.Count(out, notLookedAt) != 2 {
		t.Errorf("programs are not told of each:\n%s", out)
	}
	delete(w.objects, statefulSet)
	out, _, _ = w.run("status")
	if want := "\nNo chat server serves namespace chat, where 2 resources wait: choose its namespace with --namespace\n" + table; !strings.HasSuffix(out, want) {
		t.Errorf("%s\ndoes not end with\n%s", out, want)
	}
}

// Who applies resources into a namespace that has no server is told so by the status of the server, if they may look there.
func TestResourcesElsewhere(t *testing.T) {
	w := newWorld(t)
	w.declareNothing()
	w.objects[pods] = `{"apiVersion":"v1","kind":"PodList","metadata":{},"items":[]}`
	everywhere := func(resource, kind, items string) {
		w.objects["/apis/chat-operator.io/v1alpha1/"+resource] = `{"apiVersion":"chat-operator.io/v1alpha1","kind":"` + kind + `List","metadata":{},"items":[` + items + `]}`
	}
	const ready = `,"status":{"conditions":[{"type":"Ready","status":"True","reason":"Active"}]}`
	everywhere("chatusers", "ChatUser", `{"metadata":{"name":"ines","namespace":"default","creationTimestamp":"2031-04-05T04:00:00Z"},"spec":{},"status":{"observedGeneration":-1}},`+
		`{"metadata":{"name":"noor","namespace":"default","creationTimestamp":"2031-04-05T04:00:00Z"},"spec":{}},`+
		`{"metadata":{"name":"new","namespace":"new","creationTimestamp":"2031-04-05T04:59:30Z"},"spec":{}},`+
		`{"metadata":{"name":"karl","namespace":"support","creationTimestamp":"2031-04-05T04:00:00Z"},"spec":{}`+ready+`}`)
	everywhere("chatgroups", "ChatGroup", "")
	everywhere("chatrooms", "ChatRoom", `{"metadata":{"name":"lobby","namespace":"apps","creationTimestamp":"2031-04-05T04:00:00Z"},"spec":{}}`)
	const of = " that no chat server has looked at: a server serves its own namespace alone, which here is chat.\n"
	out, _, _ := w.run("status")
	if strings.Contains(out, "looked at:") {
		t.Errorf("who may not list properties everywhere sees half of it:\n%s", out)
	}
	everywhere("systemproperties", "SystemProperty", "")
	out, _, _ = w.run("status")
	if want := "\nNamespace apps has 1 chat resource" + of + "\nNamespace default has 2 chat resources" + of + "\nKIND "; !strings.Contains(out, want) {
		t.Errorf("%s\nhas no\n%s", out, want)
	}
	if out, _, _ = w.run("status", "-o", "json"); !strings.Contains(out, `"unserved": [`) {
		t.Error(out)
	}
}

// A server is that of one namespace, whichever way all of them are asked for.
func TestAllNamespaces(t *testing.T) {
	w := newWorld(t)
	for _, flag := range []string{"-A", "--all-namespaces"} {
		w.fails([]string{"users", flag}, "that of one namespace", "--namespace")
	}
	w.fails([]string{"users", "--al"}, "--al")
}

func TestMisspelledWords(t *testing.T) {
	w := newWorld(t)
	for words, want := range map[string]string{
		"users --namepsace=chat": "there is no flag --namepsace; it resembles --namespace. Run `kubectl chat users --help` for what there is",
		"status --outptu json":   "there is no flag --outptu; it resembles --output. Run `kubectl chat status --help` for what there is",
		"--unheard-of":           "there is no flag --unheard-of. Run `kubectl chat --help` for what there is",
		"users -z":               "unknown shorthand flag: 'z' in -z. Run `kubectl chat users --help` for what there is",
		"statsu":                 `there is no command "statsu"; it resembles status. Run ` + "`kubectl chat --help` for what there is",
		"restart mira":           `there is no command "restart". Run ` + "`kubectl chat --help` for what there is",
	} {
		if out, errOut, err := w.run(strings.Fields(words)...); err == nil || err.Error() != want || out+errOut != "" {
			t.Errorf("%s: %v\n%s%s", words, err, out, errOut)
		}
	}
}

// The command that releases held purges is there for whoever comes hours later: an Event is kept for one.
func TestHeldPurges(t *testing.T) {
	held := 12
	s := &server{Ready: true, PurgesHeld: &held}
	var out strings.Builder
	s.write(func(head, format string, args ...any) { fmt.Fprintf(&out, head+": "+format+"\n", args...) },
		&output{now: func() time.Time { return time.Date(2031, 4, 5, 7, 0, 0, 0, time.FixedZone("", 7200)) }}, "support")
	const want = "Purges held: 12, since so many accounts are gone at once. Declare them again if that was a mistake; if it was not: " +
		"kubectl annotate --overwrite --namespace support secret chat-operator chat-operator.io/confirm-purge=2031-04-05T05:00:00Z\n"
	if !strings.Contains(out.String(), want) {
		t.Error(out.String())
	}
}

func TestMetrics(t *testing.T) {
	w := newWorld(t)
	w.answers["GET /metrics"] = func(out http.ResponseWriter, _ *http.Request) {
		_, _ = out.Write([]byte("# HELP chat_operator_purges_held Deleted accounts\n# TYPE chat_operator_purges_held gauge\nchat_operator_purges_held 12\nchat_operator_purges_held_since 7\n"))
	}
	s := &chatServer{client: w.rest.Client(), metrics: w.rest.URL + "/metrics"}
	s.client.Transport = authorized{s.client.Transport}
	values, err := s.readMetrics(t.Context(), "chat_operator_purges_pending", "chat_operator_purges_held")
	if err != nil || values[0] != nil || values[1] == nil || *values[1] != 12 {
		t.Errorf("%v %v", values, err)
	}
}

type authorized struct{ next http.RoundTripper }

func (a authorized) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", theSecret)
	return a.next.RoundTrip(r)
}
