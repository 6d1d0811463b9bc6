package restserver_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/chat-operator/chat-operator/restserver"
	"github.com/chat-operator/chat-operator/xmpp/directory"
)

func TestBulkGolden(t *testing.T) {
	room := golden(t, "chatroom.json")
	for _, body := range []string{
		`{"chatRooms":[` + room + `]}`, `{"chatRoom":` + room + `}`, `[` + room + `]`,
		`<chatRooms>` + strings.TrimPrefix(golden(t, "chatroom.xml"), prolog) + `</chatRooms>`,
	} {
		w := newWorld(t)
		w.want(200, golden(t, "results.xml"), "POST", "/chatrooms/bulk/", body)
		w = newWorld(t)
		w.want(200, golden(t, "results.json"), "POST", "/chatrooms/bulk", body, accept(formatJSON))
		w.wantAudit("created new MUC room atrium")
	}
}

// Each room is told of, and one that fails does not stop the others. What exists stays as it is.
func TestBulk(t *testing.T) {
	w := newWorld(t)
	w.want(201, "", "POST", "/chatrooms?servicename=workshop", `{"roomName":"old","naturalName":"Old"}`)
	w.local.Refuse = func(method, subject string) error {
		switch {
		case method == "CreateRoom" && subject == "managed@workshop":
			return &directory.ManagedError{Field: "spec.x", Manager: "flux"}
		case method == "CreateRoom" && subject == "odd@workshop":
			return errors.New("disk of 10.9.8.7 on fire")
		}
		return nil
	}
	got := w.send("POST", "/chatrooms/bulk?servicename=WORKSHOP", `{"chatRooms":[{"roomName":"a"},{"roomName":"Old","naturalName":"New"},{"roomName":"b c"},{"roomName":"managed"},{"roomName":""},
{"roomName":"odd"},{"roomName":"twice","naturalName":"First"},{"roomName":"Twice","naturalName":"Second"},{"roomName":"both","owners":["mira"],"members":["mira"]}]}`, accept(formatJSON))
	want := `{"success":[{"roomName":"a","resultType":"Success","message":"Room was successfully created"},` +
		`{"roomName":"Old","resultType":"Success","message":"Room already existed and therefore not created again"},` +
		`{"roomName":"twice","resultType":"Success","message":"Room was successfully created"},` +
		`{"roomName":"Twice","resultType":"Success","message":"Room already existed and therefore not created again"}],` +
		`"failure":[{"roomName":"b c","resultType":"Failure","message":"Room creation failed because of IllegalArgumentException: this can be no name of a room: it is empty, too long, or has a character that such names cannot have"},` +
		`{"roomName":"managed","resultType":"Failure","message":"Room creation failed because of ManagedByOther: spec.x is declared by \"flux\": change it there"},` +
		`{"roomName":"","resultType":"Failure","message":"Room creation failed because of IllegalArgumentException: Could not create the channel, because roomName is missing"},` +
		`{"roomName":"odd","resultType":"Failure","message":"Room creation failed because of InternalServerErrorException: the server failed: its log says why"},` +
		`{"roomName":"both","resultType":"Failure","message":"Room creation failed because of NotAllowedException: Could not create the channel"}],"other":[]}`
	if got.Code != 200 || got.Body.String() != want {
		t.Errorf("%d\n got %s\nwant %s", got.Code, got.Body, want)
	}
	if r := w.room("old@workshop"); r.DisplayName != "Old" {
		t.Errorf("overwritten: %+v", r)
	}
	if r := w.room("twice@workshop"); r.DisplayName != "First" {
		t.Errorf("overwritten: %+v", r)
	}
	if !strings.Contains(w.log.String(), "10.9.8.7") {
		t.Error("the log says nothing")
	}
	w.wantAudit("created MUC service workshop", "created new MUC room old", "created new MUC room a", "created new MUC room twice")
}

func TestBulkRefusals(t *testing.T) {
	const illegal = "IllegalArgumentException"
	w := newWorld(t)
	w.wantError(400, illegal, "the body has to be a list of rooms, called chatRooms", "chatrooms", "POST", "/chatrooms/bulk", "")
	for _, body := range []string{`{}`, `{"chatRooms":null}`, `{"rooms":[]}`} {
		w.wantError(400, illegal, "the body has no list of rooms, called chatRooms", "chatrooms", "POST", "/chatrooms/bulk", body)
	}
	for _, body := range []string{`{`, `<chatRoom/>`, `["a"]`, `"a"`} {
		if got := w.send("POST", "/chatrooms/bulk", body); got.Code != 400 || !entityLike(got.Body.String(), illegal) {
			t.Errorf("%s: %d %s", body, got.Code, got.Body)
		}
	}
	w.want(200, prolog+`<results><success/><failure/><other/></results>`, "POST", "/chatrooms/bulk", `[]`)
	if got := w.send("POST", "/chatrooms/bulk", `[]`, accept("text/plain")); got.Code != 406 {
		t.Errorf("%d", got.Code)
	}
}

// A thousand rooms are a thousand results, in the order of the call.
func TestBulkOfAThousand(t *testing.T) {
	w := newWorld(t)
	rooms := make([]string, 1000)
	for i := range rooms {
		rooms[i] = fmt.Sprintf(`{"roomName":"room%03d"}`, i)
	}
	got := w.send("POST", "/chatrooms/bulk", `{"chatRooms":[`+strings.Join(rooms, ",")+`]}`, accept(formatJSON))
	list := strings.Fields(names(got.Body.String(), "roomName"))
	if len(list) != 1000 || list[0] != "room000" || list[999] != "room999" || strings.Contains(got.Body.String(), "Failure") || len(w.directory.Rooms()) != 1000 {
		t.Errorf("%d results, %d rooms", len(list), len(w.directory.Rooms()))
	}
	if n := len(w.audit.summaries()); n != 1000 {
		t.Errorf("%d audit entries", n)
	}
}

// Of many who create the same thing at once, one does.
func TestCreationsAtOnce(t *testing.T) {
	for path, body := range map[string]string{"/chatrooms": `{"roomName":"atrium"}`, "/chatservices": `{"serviceName":"workshop"}`, "/chatrooms?servicename=lab": `{"roomName":"bench"}`} {
		w := newWorld(t)
		statuses := map[int]int{}
		var mu sync.Mutex
		var calls sync.WaitGroup
		begin := make(chan struct{})
		for range 8 {
			calls.Go(func() {
				<-begin
				code := w.send("POST", path, body).Code
				mu.Lock()
				defer mu.Unlock()
				statuses[code]++
			})
		}
		close(begin)
		calls.Wait()
		if statuses[201] != 1 || statuses[409] != 7 {
			t.Errorf("%s: %v", path, statuses)
		}
	}
}

func TestChatServices(t *testing.T) {
	const could = "Could not create the chat service"
	for _, body := range []string{golden(t, "chatservice.json"), golden(t, "chatservice.xml")} {
		w := newWorld(t)
		w.want(200, prolog+`<chatServices><chatService><serviceName>conference</serviceName><description>Chat rooms</description><hidden>false</hidden></chatService></chatServices>`, "GET", "/chatservices", "")
		w.want(201, "", "POST", "/chatservices", body)
		w.wantError(409, "AlreadyExistsException", could, "workshop", "POST", "/chatservices", body)
		w.want(200, `{"chatService":[{"serviceName":"conference","description":"Chat rooms","hidden":false},`+golden(t, "chatservice.json")+`]}`, "GET", "/chatservices/", "", accept(formatJSON))
		if !w.rooms.Serves("workshop.chat.example") {
			t.Error("the service is not there")
		}
		w.wantAudit("created MUC service workshop")
	}
	w := newWorld(t)
	w.want(201, "", "POST", "/chatservices", `{"serviceName":"Lab","hidden":true}`)
	if got := w.send("GET", "/chatservices?offset=1", "", accept(formatJSON)); got.Body.String() != `{"chatService":[{"serviceName":"lab","description":"lab","hidden":true}]}` || got.Header().Get("X-Total-Count") != "2" {
		t.Errorf("%s", got.Body)
	}
	// Hidden is hidden from those who ask the server what it has.
	if list := w.rooms.Items(); len(list) != 1 || list[0].JID.String() != "conference.chat.example" || !w.rooms.Serves("lab.chat.example") {
		t.Errorf("%v", list)
	}
	w.wantError(409, "AlreadyExistsException", could, "conference", "POST", "/chatservices", `{"serviceName":"CONFERENCE"}`)
	w.wantError(400, "IllegalArgumentException", could+", because the body has none", "chatservices", "POST", "/chatservices", "")
	w.wantError(400, "IllegalArgumentException", could+", because serviceName is missing", "chatservices", "POST", "/chatservices", `{"description":"x"}`)
	for _, name := range []string{"a b", "a.b", "-a", "a-", strings.Repeat("x", 64), "é", "conference.chat.example"} {
		if got := w.send("POST", "/chatservices", `{"serviceName":"`+name+`"}`); got.Code != 400 || !entityLike(got.Body.String(), "IllegalArgumentException") {
			t.Errorf("%q: %d %s", name, got.Code, got.Body)
		}
	}
	w.refuse(&directory.ManagedError{Field: "spec.value", Manager: "flux"})
	w.want(409, errorJSON("ManagedByOther", `spec.value is declared by \"flux\": change it there`, "den"), "POST", "/chatservices", `{"serviceName":"den"}`, accept(formatJSON))
	w.want(409, errorJSON("ManagedByOther", `spec.value is declared by \"flux\": change it there`, "den"), "POST", "/chatrooms?servicename=den", `{"roomName":"a"}`, accept(formatJSON))
}

// A thousand whole rooms in XML, as large as a list may be, are made as they are sent; a byte more, and none is.
func TestBulkOfAThousandAtTheLimit(t *testing.T) {
	const most, each = 8 << 20, 8200
	room := func(i int) string {
		return strings.NewReplacer(
			"<roomName>atrium<", fmt.Sprintf("<roomName>room%03d<", i), "The Atrium", fmt.Sprintf("Räume № %d", i),
			"<member>tobias@chat.example</member>", fmt.Sprintf("<member>m%03d@chat.example</member>", i)+strings.Repeat("<member>tobias@chat.example</member>", 20),
		).Replace(strings.TrimPrefix(golden(t, "chatroom.xml"), prolog))
	}
	list := func(size int) string {
		var b strings.Builder
		b.WriteString(prolog + "<chatRooms>")
		for i := range 1000 {
			one := room(i)
			b.WriteString(strings.Replace(one, "Open floor", strings.Repeat("&#x2665;", (each-len(one))/len("&#x2665;")), 1))
		}
		const end = "</chatRooms>"
		if b.Len()+len(end) > size || b.Len() < size*9/10 {
			t.Fatalf("the list has %d bytes", b.Len())
		}
		return b.String() + strings.Repeat("\n", size-b.Len()-len(end)) + end
	}
	w := newWorld(t)
	w.group("Ops", "tobias")
	w.want(201, "", "POST", "/chatrooms", golden(t, "chatroom.xml"))
	w.wantError(413, "PayloadTooLargeException", "the body is larger than 8388608 bytes", restserver.Base+"/chatrooms/bulk", "POST", "/chatrooms/bulk", list(most+1))
	if rooms := w.directory.Rooms(); len(rooms) != 1 {
		t.Fatalf("%d rooms", len(rooms))
	}
	w.wantAudit("created new MUC room atrium")

	got := w.send("POST", "/chatrooms/bulk", list(most), accept(formatJSON))
	if made := strings.Fields(names(got.Body.String(), "roomName")); got.Code != 200 || len(made) != 1000 || made[0] != "room000" || made[999] != "room999" || strings.Contains(got.Body.String(), "Failure") {
		t.Fatalf("%d, %d results: %.300s", got.Code, len(made), got.Body)
	}
	if rooms, entries := len(w.directory.Rooms()), len(w.audit.summaries()); rooms != 1001 || entries != 1001 {
		t.Errorf("%d rooms, %d audit entries", rooms, entries)
	}
	for _, i := range []int{0, 500, 999} {
		name := fmt.Sprintf("room%03d", i)
		w.dated(name + "@conference")
		sent := room(i)
		want := strings.Replace(sent, "Open floor", strings.Repeat("♥", (each-len(sent))/len("&#x2665;")), 1)
		want = strings.Replace(want, strings.Repeat("<member>tobias@chat.example</member>", 20), "<member>tobias@chat.example</member>", 1)
		w.want(200, prolog+want, "GET", "/chatrooms/"+name, "")
	}
}
