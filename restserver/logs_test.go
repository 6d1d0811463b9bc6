package restserver_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

func TestAuditLog(t *testing.T) {
	w := newWorld(t)
	w.want(200, prolog+`<logs/>`, "GET", "/logs/security", "")
	w.want(200, `{"logs":[]}`, "GET", "/logs/security/", "", accept(formatJSON))
	at := time.UnixMilli(1933128428123)
	w.audit.entries = []store.AuditEntry{
		{Time: at, Username: "mira", Node: "chat1.example", Summary: "locked out user tobias"},
		{Time: at.Add(time.Second), Username: "argocd", Node: "chat1.example", Summary: "edited user tobias", Details: "generation = 3", Via: "Kubernetes"},
		{Time: at.Add(2 * time.Second), Username: "mira", Node: "chat1.example", Summary: "edited user tobias", Details: "name = a <b>", Via: "REST", Address: "192.0.2.7"},
	}
	const (
		first  = `{"logId":1,"username":"mira","timestamp":1933128428,"summary":"locked out user tobias","node":"chat1.example"}`
		second = `{"logId":2,"username":"argocd","timestamp":1933128429,"summary":"edited user tobias","node":"chat1.example","details":"generation = 3\nvia = Kubernetes"}`
		third  = `{"logId":3,"username":"mira","timestamp":1933128430,"summary":"edited user tobias","node":"chat1.example","details":"name = a <b>\nvia = REST\naddress = 192.0.2.7"}`
	)
	for query, c := range map[string]struct {
		total int
		want  []string
	}{
		"":                      {3, []string{third, second, first}}, // newest first
		"?username=mira":        {2, []string{third, first}},
		"?username=Mira":        {0, nil}, // exact
		"?username=":            {3, []string{third, second, first}},
		"?startTime=1933128429": {2, []string{third, second}},
		"?endTime=1933128428":   {1, []string{first}}, // the whole second
		"?startTime=1933128429&endTime=1933128429": {1, []string{second}},
		"?startTime=0&endTime=0":                   {3, []string{third, second, first}},
		"?offset=1":                                {3, []string{second, first}},
		"?offset=1&limit=1":                        {3, []string{second}},
		"?limit=0":                                 {3, nil},
		"?offset=3":                                {3, nil},
		"?offset=9223372036854775807":              {3, nil},
		"?startTime=9223372036854775807":           {0, nil},
		"?endTime=9223372036854775807":             {3, []string{third, second, first}},
		"?username=mira&limit=1&offset=1&startTime=1&endTime=1933128430": {2, []string{first}},
	} {
		got := w.want(200, `{"logs":[`+strings.Join(c.want, ",")+`]}`, "GET", "/logs/security"+query, "", accept(formatJSON))
		if total := got.Header().Get("X-Total-Count"); total != fmt.Sprint(c.total) {
			t.Errorf("%s: X-Total-Count %q, want %d", query, total, c.total)
		}
	}
	w.want(200, prolog+`<logs><log><details>name = a &lt;b&gt;`+"\n"+`via = REST`+"\n"+`address = 192.0.2.7</details><logId>3</logId><node>chat1.example</node>`+
		`<summary>edited user tobias</summary><timestamp>1933128430</timestamp><username>mira</username></log></logs>`, "GET", "/logs/security?limit=1", "")

	// A page has a hundred unless the caller says otherwise.
	w.audit.entries = make([]store.AuditEntry, 101)
	if got := w.send("GET", "/logs/security", "", accept(formatJSON)); strings.Count(got.Body.String(), "logId") != 100 || got.Header().Get("X-Total-Count") != "101" {
		t.Errorf("%d entries of %s", strings.Count(got.Body.String(), "logId"), got.Header().Get("X-Total-Count"))
	}
}

func TestAuditLogErrors(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"offset", "limit", "startTime", "endTime"} {
		for _, value := range []string{"x", "-1", "1.5", "99999999999999999999"} {
			w.wantError(400, "IllegalArgumentException", name+" has to be a whole number that is not negative", name, "GET", "/logs/security?"+name+"="+value, "")
		}
	}
	w.audit.err = errors.New("disk on fire")
	w.wantError(500, "InternalServerErrorException", "the server failed: its log says why", mustPath(t, "/logs/security"), "GET", "/logs/security", "")
}

// What is done through REST can be read there.
func TestAuditLogOfREST(t *testing.T) {
	w := newWorld(t)
	w.send("POST", "/users", `{"username":"mira","password":"s3cr3t!","name":"Mira"}`, from("192.0.2.7"))
	w.send("GET", "/users", "", authorization("Basic bWlyYTp3cm9uZw=="), from("192.0.2.8"))
	got := w.send("GET", "/logs/security", "", accept(formatJSON)).Body.String()
	for _, want := range []string{`"summary":"failed authentication as mira"`, `"details":"method = GET\nvia = REST\naddress = 192.0.2.8"`,
		`"summary":"created new user mira"`, `"details":"name = Mira\nvia = REST\naddress = 192.0.2.7"`, `"node":"chat-0"`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not in %s", want, got)
		}
	}
	if strings.Contains(got, "s3cr3t!") || strings.Contains(got, "wrong") {
		t.Errorf("a secret is in the log: %s", got)
	}
}

// An entry about a deletion says which resource is gone, so that its end is not recorded once more when Kubernetes tells of it.
func TestEntriesOfDeletionsNameTheResource(t *testing.T) {
	w := newWorld(t)
	w.create("mira", "x")
	w.create("tobias", "x")
	w.group("Ops")
	w.set("site.motto", "be kind")
	w.want(201, "", "POST", "/chatrooms", `{"roomName":"atrium","persistent":true}`)
	for _, c := range []struct {
		method, path, body string
		kind               directory.Kind
		identity           string
	}{
		{"PUT", "/users/mira", `{"username":"jana"}`, directory.KindUser, "mira"},
		{"DELETE", "/users/tobias", "", directory.KindUser, "tobias"},
		{"DELETE", "/groups/Ops", "", directory.KindGroup, "Ops"},
		{"DELETE", "/chatrooms/atrium", "", directory.KindRoom, "atrium@conference"},
		{"DELETE", "/system/properties/site.motto", "", directory.KindProperty, "site.motto"},
	} {
		holder, there := w.directory.Holder(c.kind, c.identity)
		if !there {
			t.Fatalf("there is no %s", c.identity)
		}
		w.want(200, "", c.method, c.path, c.body)
		if last := w.audit.entries[len(w.audit.entries)-1]; last.Ended != holder.UID || holder.UID == "" {
			t.Errorf("%s: %+v", c.path, last)
		}
	}
	for _, e := range w.audit.entries[:1] {
		if e.Ended != "" {
			t.Errorf("%+v", e)
		}
	}
}
