package transfer

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/account"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// What clients may send at most when an administrator allows it: docs/reference/properties of xmpp.limits.stanza-bytes and xmpp.limits.stanza-depth.
const (
	mostStanzaBytes = 524288
	mostStanzaDepth = 256
)

// largest are messages as large, as deep and as crowded as clients may send, with what the server adds to them.
func largest() map[string]string {
	const begin = "<message from='romeo@montague.example/orchard' to='juliet@chat.example' type='chat'>"
	const delay = "<delay xmlns='urn:xmpp:delay' from='chat.example' stamp='2031-04-05T06:07:08.123Z'/></message>"
	around := func(inner string) string { return begin + inner + delay }
	fill := func(head, one, tail string) string {
		return head + strings.Repeat(one, (mostStanzaBytes-len(head)-len(tail))/len(one)) + tail
	}
	deep := strings.Repeat("<x xmlns='urn:example:x'>", mostStanzaDepth-1) + strings.Repeat("</x>", mostStanzaDepth-1)
	var attributes strings.Builder
	for i := range 32 {
		attributes.WriteString(" a" + strings.Repeat("b", i) + "='1'")
	}
	return map[string]string{
		"greater-than signs":   around(fill("<body>", ">", "</body>")),
		"quotation marks":      around(fill(`<x xmlns='urn:example:x' a='`, `"`, `'/>`)),
		"elements":             around(fill("<x xmlns='urn:example:x'>", strings.Repeat("<a/>", 8), "</x>")),
		"levels":               around(deep),
		"attributes":           around("<x xmlns='urn:example:x'" + attributes.String() + "/>"),
		"the default's limit":  around("<body>" + strings.Repeat("a", 256<<10) + "</body>"),
		"letters of two bytes": around(fill("<body>", "é", "</body>")),
	}
}

// Nothing of the largest stanzas that the properties allow is lost on the way, and another export is equal.
func TestTheLargestStanzasSurvive(t *testing.T) {
	from := newInstallation(t)
	from.declare(user("juliet", v1alpha1.ChatUserSpec{}))
	stanzas := largest()
	from.remember(func(s *store.Store) {
		id := int64(0)
		for _, text := range stanzas {
			id++
			one := account.OfflineMessage{Username: "juliet", ID: id, Received: when, Stanza: []byte(text)}
			if _, err := s.PutOffline(t.Context(), []account.OfflineMessage{one}, func(string) int { return 100 }); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.PutItem(t.Context(), "juliet", account.Item{
			JID: jid.MustParse("paris@chat.example"), Hidden: true, PendingIn: true,
			Request: []byte(strings.Repeat("<x xmlns='urn:example:x'>", mostStanzaDepth-100) + strings.Repeat("</x>", mostStanzaDepth-100)),
		}); err != nil {
			t.Fatal(err)
		}
		card := "<vCard xmlns='vcard-temp'><NOTE>" + strings.Repeat(">", mostStanzaBytes) + "</NOTE></vCard>"
		if _, err := s.PutVCard(t.Context(), "juliet", []byte(card), func() bool { return true }); err != nil {
			t.Fatal(err)
		}
	})
	want := from.export()
	to := newInstallation(t)
	report, err := to.importFrom(from.exportTo("backup.tar.gz"))
	if err != nil {
		t.Fatal(err, report)
	}
	contains(t, report, "offline messages: 7 made", "contacts: 1 made", "vCards: 1 made")
	if strings.Contains(report, "Note:") {
		t.Errorf("something is told: %s", report)
	}
	equalExports(t, to.export(), want)
	// What was written is what was sent.
	snapshot, err := store.OpenSnapshot(t.Context(), filepath.Join(to.dataDir, "chat.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	found := 0
	if err := snapshot.Rows(t.Context(), tableOffline, "username", "juliet", func(row store.Row) error {
		for _, text := range stanzas {
			if same, err := canonicalElement([]byte(text)); err != nil {
				t.Error(err)
			} else if bytes.Equal(same, row["stanza"].([]byte)) {
				found++
			}
		}
		return nil
	}); err != nil || found != len(stanzas) {
		t.Errorf("%d of %d messages are there, %v", found, len(stanzas), err)
	}
}

// Archived messages and those on their way are as large, and so are their lines.
func TestTheLargestRowsAreTaken(t *testing.T) {
	for name, text := range largest() {
		if err := checkRow(&carrier{table: tableArchive}, store.Row{"stanza": []byte(text)}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if line, err := json.Marshal(map[string]string{"stanza": strings.Repeat("\x00", mostStanzaBytes)}); err != nil || len(line) > maxLine {
		t.Errorf("a line has %d bytes, %v", len(line), err)
	}
}

// What is lost of an export, whoever changed it, is a failure and not a remark.
func TestImportTellsWhatIsLost(t *testing.T) {
	at := chatter(t).exportTo("export")
	file := filepath.Join(at, "personal/chat.example/juliet.xml")
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.NewReplacer(`jid="paris@chat.example"`, `jid="a b@chat.example"`, ` o:id="7"`, "").Replace(string(content))
	if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	to := newInstallation(t)
	report, err := to.importFrom(at)
	if err == nil || !strings.Contains(err.Error(), "could not be read in") {
		t.Errorf("got %v", err)
	}
	contains(t, report, "contacts: 4 made, 1 failed", "Left out among the contacts of juliet", "Left out among the offline messages of juliet", "offline messages: 1 made, 1 failed")
}

// What the database has that cannot be read is left out, and a person who looks at the status alone knows that something is.
func TestExportTellsWhatIsLost(t *testing.T) {
	i := newInstallation(t)
	i.declare(user("juliet", v1alpha1.ChatUserSpec{}))
	i.remember(func(s *store.Store) {
		if _, err := s.PutOffline(t.Context(), []account.OfflineMessage{
			{Username: "juliet", ID: 1, Received: when, Stanza: []byte("<message><body>broken")},
			{Username: "juliet", ID: 2, Received: when, Stanza: []byte("<message><body>whole</body></message>")},
		}, func(string) int { return 100 }); err != nil {
			t.Fatal(err)
		}
	})
	at := filepath.Join(t.TempDir(), "export")
	var said strings.Builder
	if err := i.command("export", Streams{Err: &said}, "-o", at); err == nil || !strings.Contains(err.Error(), "1 row of the database cannot be read") {
		t.Errorf("got %v", err)
	}
	contains(t, said.String(), "an offline message of juliet is left out")
	files := readFolder(t, at)
	contains(t, files["personal/chat.example/juliet.xml"], "<body>whole</body>")
	contains(t, files["export.yaml"], "domain: chat.example")
}
