package transfer

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/account"
	"github.com/chat-operator/chat-operator/xmpp/archive"
	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/muc"
	"github.com/chat-operator/chat-operator/xmpp/muc/room"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// Verifiers of the password "pencil": RFC 7677 §3 and RFC 5802 §5 give salts and counts, and what follows from them.
const (
	pencil256 = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
	pencil1   = "SCRAM-SHA-1$4096:QSXCR+Q6sek8bf92$6dlGYMOdZcOPutkcNY8U2g7vK9Y=:D+CSWLOshSulAsxiupA+qs2/fTE="
)

// Every table of the store is carried in an export, or it says why not. Who adds one with a migration adds it to carriers.
func TestEveryTableIsCarriedOrSaysWhyNot(t *testing.T) {
	path := t.TempDir() + "/chat.db"
	s, err := store.Open(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	snapshot, err := store.OpenSnapshot(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	listed := map[string]carrier{}
	for _, c := range carriers() {
		listed[c.table] = c
	}
	for _, table := range snapshot.Tables() {
		c, ok := listed[table.Name]
		delete(listed, table.Name)
		switch {
		case !ok:
			t.Errorf("the table %s is not among the carriers: say there how an export has it, or why it hasn't", table.Name)
		case (c.how == notCarried) != (c.why != ""):
			t.Errorf("the table %s is either carried or says why not", table.Name)
		}
		for _, name := range append(slices.Clone(c.without), c.person, c.room) {
			if name != "" && !slices.ContainsFunc(table.Columns, func(column store.Column) bool { return column.Name == name }) {
				t.Errorf("the table %s has no column %s", table.Name, name)
			}
		}
	}
	for name := range listed {
		t.Errorf("there is no table %s", name)
	}
}

// chatter is an installation with something of everything.
func chatter(t *testing.T) *installation {
	i := newInstallation(t)
	verifiers := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name: "juliet-4fk2", Labels: map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, v1alpha1.UserLabel: "juliet"},
			Annotations: map[string]string{"chat-operator.io/for": "juliet"},
		},
		Type: "chat-operator.io/scram-verifiers",
		Data: map[string][]byte{v1alpha1.ScramSHA256Key: []byte(pencil256), v1alpha1.ScramSHA1Key: []byte(pencil1)},
	}
	i.declare(
		verifiers,
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "romeo"}, Data: map[string][]byte{"password": []byte("R0m30")}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "orchard"}, Data: map[string][]byte{"password": []byte("wherefore")}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "not-ours"}, Data: map[string][]byte{"password": []byte("else")}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "chat-operator"}, Data: map[string][]byte{
			"installation-key": []byte("0123456789abcdef0123456789abcdef"), "rest-secret": []byte("sixteen letters!"),
		}},
		user("juliet", v1alpha1.ChatUserSpec{
			DisplayName: new("Juliet Capulet"), Admin: new(true),
			Credentials: &v1alpha1.UserCredentials{SecretRef: v1alpha1.LocalSecretReference{Name: "juliet-4fk2"}},
			Roster:      []v1alpha1.Contact{{JID: "nurse@chat.example", Nickname: new("Nurse"), Subscription: new(v1alpha1.SubscriptionBoth)}},
		}),
		user("romeo", v1alpha1.ChatUserSpec{Credentials: &v1alpha1.UserCredentials{SecretRef: v1alpha1.LocalSecretReference{Name: "romeo"}}}),
		user("nurse", v1alpha1.ChatUserSpec{}),
		&v1alpha1.ChatGroup{ObjectMeta: metav1.ObjectMeta{Name: "capulets"}, Spec: v1alpha1.ChatGroupSpec{Members: []string{"juliet", "nurse"}}},
		&v1alpha1.ChatRoom{ObjectMeta: metav1.ObjectMeta{Name: "orchard"}, Spec: v1alpha1.ChatRoomSpec{
			PasswordSecretRef: &v1alpha1.LocalSecretReference{Name: "orchard"},
			Affiliations:      []v1alpha1.RoomAffiliation{{JID: "juliet@chat.example", Affiliation: v1alpha1.AffiliationOwner}},
		}},
		&v1alpha1.SystemProperty{ObjectMeta: metav1.ObjectMeta{Name: "site.motto"}, Spec: v1alpha1.SystemPropertySpec{Value: new("be kind")}},
	)
	i.remember(func(s *store.Store) { remembered(t, i, s) })
	return i
}

var when = time.Date(2031, 4, 5, 6, 7, 8, 123456000, time.UTC)

// remembered puts something into every table that is carried.
func remembered(t *testing.T, i *installation, s *store.Store) {
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var declared v1alpha1.ChatRoom
	must(i.Get(ctx, keyIn(i.namespace, "orchard"), &declared))
	must(s.PutIdentities(ctx, []store.Identity{
		{Kind: directory.KindUser.String(), Name: "mercutio", UID: "gone", Resource: "mercutio", DeletionPolicy: "Retain", State: store.Pending, Since: when},
		{Kind: directory.KindUser.String(), Name: "tybalt", UID: "dead", Resource: "tybalt", DeletionPolicy: "Delete", State: store.PurgeNow, Since: when},
		{Kind: directory.KindRoom.String(), Name: "orchard@conference", UID: string(declared.UID), Resource: "orchard", DeletionPolicy: "Delete", State: store.Active, Since: when},
		{Kind: "user references", Name: "valentine", UID: "left", Resource: "valentine", State: store.Leaving, Since: when},
	}))
	must(s.PutItem(ctx, "juliet", account.Item{
		JID: jid.MustParse("romeo@montague.example"), Name: "Romeo & co", Subscription: account.SubscriptionBoth, Groups: []string{"Friends", "Lovers"},
	}))
	must(s.PutItem(ctx, "juliet", account.Item{JID: jid.MustParse("paris@chat.example"), Ask: true}))
	must(s.PutItem(ctx, "juliet", account.Item{
		JID: jid.MustParse("mercutio@montague.example"), Hidden: true, PendingIn: true, Request: []byte("<nick xmlns='http://jabber.org/protocol/nick'>Mercutio</nick>"),
	}))
	must(s.PutItem(ctx, "juliet", account.Item{JID: jid.MustParse("nurse@chat.example"), Hidden: true, Approved: true}))
	must(s.PutItem(ctx, "tybalt", account.Item{JID: jid.MustParse("paris@chat.example")}))
	must(s.PutItem(ctx, "mercutio", account.Item{JID: jid.MustParse("paris@chat.example")}))
	_, err := s.PutOffline(ctx, []account.OfflineMessage{
		{Username: "juliet", ID: 7, Received: when, Stanza: []byte("<message from='romeo@montague.example/orchard' to='juliet@chat.example' type='chat'><body>Neither, fair saint</body></message>")},
		{Username: "juliet", ID: 8, Received: when.Add(time.Second), Stanza: []byte("<message from='romeo@montague.example/orchard' to='juliet@chat.example'><body xml:lang='it'>c'è &lt;3</body><x xmlns='urn:example:x' a='1'/></message>")},
	}, func(string) int { return 100 })
	must(err)
	_, err = s.PutVCard(ctx, "juliet", []byte("<vCard xmlns='vcard-temp'><FN>Juliet Capulet</FN></vCard>"), func() bool { return true })
	must(err)
	must(s.PutLast(ctx, []account.Last{{Username: "juliet", Since: when, Status: "gone to Friar Laurence"}}))
	must(s.Record(ctx, []core.Note{
		{NoteKey: core.NoteKey{Username: "juliet", ID: 7, Session: []byte{0xff, 0x00, 0x80}}, Place: 3, Received: when},
		{NoteKey: core.NoteKey{Username: "juliet", ID: 9}, Place: 4, Received: when, Stanza: []byte("<message><body>on its way</body></message>")},
	}, nil))
	opened, err := s.OpenRoom(ctx, "orchard@conference", string(declared.UID))
	must(err)
	subject := &room.Subject{XML: []byte("<subject>Balconies</subject>"), Plain: "Balconies", From: jid.MustParse("orchard@conference.chat.example/jul"), Time: when}
	must(s.WriteRoom(ctx, opened.Owner, []muc.Write{
		{Message: &archive.Message{ID: 11, Time: when, Peer: "jul", Account: "juliet@chat.example", Recent: true, XML: []byte("<message type='groupchat'><body>O Romeo</body></message>")}},
		{Message: &archive.Message{ID: 12, Time: when.Add(time.Minute), Peer: "", XML: []byte("<message type='groupchat'><subject>Balconies</subject></message>")}},
		{Subject: subject},
		{Nick: &room.ReservedNick{User: jid.MustParse("juliet@chat.example"), Nick: "jul"}},
		{VCard: []byte("<vCard xmlns='vcard-temp'/>")},
	}))
	// A room that comes first by its name and last by its number.
	balcony, err := s.OpenRoom(ctx, "balcony", "nobody's")
	must(err)
	must(s.WriteRoom(ctx, balcony.Owner, []muc.Write{
		{Message: &archive.Message{ID: 10, Time: when, Peer: "r", Account: "romeo@montague.example", XML: []byte("<message type='groupchat'><body>But soft</body></message>")}},
		{Nick: &room.ReservedNick{User: jid.MustParse("romeo@montague.example"), Nick: "r"}},
	}))
	must(s.AppendAudit(ctx,
		store.AuditEntry{Time: when, Username: "admin", Node: "node-1", Summary: "created new user juliet", Details: "name = Juliet\nemail = ", Via: "rest", Address: "192.0.2.1"},
		store.AuditEntry{Time: when, Username: "admin", Node: "node-1", Summary: "created new MUC room orchard", Via: "rest"},
	))
}

func TestExport(t *testing.T) {
	i := chatter(t)
	files := i.export()
	has := func(name string, parts ...string) {
		t.Helper()
		content, ok := files[name]
		if !ok {
			t.Fatalf("the export has no %s, but %v", name, names(files))
		}
		for _, part := range parts {
			if !strings.Contains(content, part) {
				t.Errorf("%s lacks %s:\n%s", name, part, content)
			}
		}
	}
	hasNot := func(name string, parts ...string) {
		t.Helper()
		for _, part := range parts {
			if strings.Contains(files[name], part) {
				t.Errorf("%s has %s:\n%s", name, part, files[name])
			}
		}
	}
	has("export.yaml", "domain: chat.example", "format: 1", "secrets: true")
	has("manifests/chatusers/juliet.yaml", "apiVersion: chat-operator.io/v1alpha1", "kind: ChatUser", "  name: juliet\n", "displayName: Juliet Capulet", "chat-operator.io/created-at:")
	hasNot("manifests/chatusers/juliet.yaml", "uid", "resourceVersion", "namespace", "managedFields", "creationTimestamp", "status", "generation")
	has("manifests/chatusers/nurse.yaml", "spec: {}")
	has("manifests/chatgroups/capulets.yaml", "- juliet")
	has("manifests/chatrooms/orchard.yaml", "affiliation: Owner")
	has("manifests/systemproperties/site.motto.yaml", "value: be kind")
	has("manifests/secrets/juliet-4fk2.yaml", "type: chat-operator.io/scram-verifiers")
	has("manifests/secrets/romeo.yaml")
	has("manifests/secrets/orchard.yaml")
	has("manifests/secrets/chat-operator.yaml")
	if _, ok := files["manifests/secrets/not-ours.yaml"]; ok {
		t.Error("a Secret that nothing names is in the export")
	}

	// XEP-0227 §5.1 and the sections of §4.
	has("personal/server-data.xml", `<server-data xmlns="urn:xmpp:pie:0"`, `<xi:include href="chat.example.xml"/>`)
	has("personal/chat.example.xml", `<host xmlns="urn:xmpp:pie:0"`, `jid="chat.example"`, `<xi:include href="chat.example/juliet.xml"/>`)
	has("personal/chat.example/juliet.xml", `<user xmlns="urn:xmpp:pie:0"`, `name="juliet"`,
		`<scram-credentials xmlns="urn:xmpp:pie:0#scram" mechanism="SCRAM-SHA-1"><iter-count>4096</iter-count><salt>QSXCR+Q6sek8bf92</salt>`+
			`<server-key>D+CSWLOshSulAsxiupA+qs2/fTE=</server-key><stored-key>6dlGYMOdZcOPutkcNY8U2g7vK9Y=</stored-key></scram-credentials>`,
		`<query xmlns="jabber:iq:roster">`,
		`<item jid="romeo@montague.example" name="Romeo &amp; co" subscription="both"><group>Friends</group><group>Lovers</group></item>`,
		`<item jid="paris@chat.example" subscription="none" ask="subscribe"/>`,
		`<item jid="nurse@chat.example" subscription="none" approved="true" o:hidden="true"/>`,
		`<presence xmlns="jabber:client" type="subscribe" from="mercutio@montague.example"><nick xmlns="http://jabber.org/protocol/nick">Mercutio</nick></presence>`,
		`<vCard xmlns="vcard-temp"><FN>Juliet Capulet</FN></vCard>`,
		"<offline-messages>", `type="chat"><body>Neither, fair saint</body></message>`)
	hasNot("personal/chat.example/juliet.xml", `<item jid="mercutio@montague.example"`)
	has("personal/chat.example/romeo.xml", `password="R0m30"`)
	has("personal/chat.example/mercutio.xml", "paris@chat.example")
	if _, ok := files["personal/chat.example/tybalt.xml"]; ok {
		t.Error("what is to be purged at once is in the export")
	}

	has("data/archive-000001.jsonl", `"room":"orchard@conference"`, `"stanza":"<message type='groupchat'><body>O Romeo</body></message>"`, `"id":12`)
	hasNot("data/archive-000001.jsonl", "owner")
	has("data/room-000001.jsonl", `"name":"orchard@conference"`, `"subject_text":"Balconies"`)
	has("data/room_nickname-000001.jsonl", `"nickname":"jul"`)
	has("data/last_activity-000001.jsonl", `"status":"gone to Friar Laurence"`)
	has("data/inflight-000001.jsonl", `"session":{"base64":"/wCA"}`, `"session":""`, `"stanza":null`)
	has("data/audit_log-000001.jsonl", `"summary":"created new user juliet"`)
	has("data/identity-000001.jsonl", `"name":"mercutio"`)
	hasNot("data/identity-000001.jsonl", "tybalt", "valentine", "uid")
	for name, content := range files {
		if strings.Contains(content, "else") && strings.HasPrefix(name, "manifests/secrets") {
			t.Errorf("%s is somebody else's", name)
		}
	}
}

func TestExportWithoutSecrets(t *testing.T) {
	i := chatter(t)
	applied := `{"kind":"SystemProperty","metadata":{"name":"plugin.restapi.secret"},"spec":{"value":"applied in clear"}}`
	i.declare(&v1alpha1.SystemProperty{
		ObjectMeta: metav1.ObjectMeta{Name: "plugin.restapi.secret", Annotations: map[string]string{corev1.LastAppliedConfigAnnotation: applied}},
		Spec:       v1alpha1.SystemPropertySpec{Value: new("written in clear")},
	})
	if with := i.export(); !strings.Contains(with["manifests/systemproperties/plugin.restapi.secret.yaml"], "written in clear") {
		t.Error("an export with secrets lacks one")
	}
	at := filepath.Join(t.TempDir(), "export")
	var messages strings.Builder
	if err := i.command("export", Streams{Err: &messages}, "-o", at, "--without-secrets"); err != nil {
		t.Fatal(err)
	}
	contains(t, messages.String(), "SystemProperty plugin.restapi.secret is left out")
	files := readFolder(t, at)
	if _, ok := files["manifests/systemproperties/site.motto.yaml"]; !ok {
		t.Error("a property that is not secret is missing")
	}
	for name, content := range files {
		for _, secret := range []string{"R0m30", "UjBtMzA", "wherefore", "QSXCR", "sixteen", "in clear"} {
			if strings.Contains(content, secret) {
				t.Errorf("%s has a secret", name)
			}
		}
	}
}

// While a server has the database and writes, an export shows one moment.
func TestExportBesideARunningServer(t *testing.T) {
	i := chatter(t)
	i.remember(func(s *store.Store) {
		before := i.export()
		if err := s.PutItem(context.Background(), "romeo", account.Item{JID: jid.MustParse("rosaline@chat.example")}); err != nil {
			t.Fatal(err)
		}
		after := i.export()
		if strings.Contains(before["personal/chat.example/romeo.xml"], "rosaline") || !strings.Contains(after["personal/chat.example/romeo.xml"], "rosaline") {
			t.Error("the exports do not show what was there when they were made")
		}
	})
}

// However many answers it takes, everything is in the export.
func TestReadPages(t *testing.T) {
	i := chatter(t)
	for _, size := range []int64{1, 2, 500} {
		r, err := readPages(t.Context(), i.Client, i.namespace, size)
		if err != nil || len(r.Users) != 3 || len(r.Groups) != 1 || len(r.Rooms) != 1 || len(r.Properties) != 1 || len(r.Secrets) != 5 {
			t.Errorf("by %d: %d users, %d groups, %d rooms, %d properties, %d Secrets, %v", size, len(r.Users), len(r.Groups), len(r.Rooms), len(r.Properties), len(r.Secrets), err)
		}
	}
}

// What an export that failed has written is taken away: there may be credentials in it.
func TestFailedExportsLeaveNothing(t *testing.T) {
	i := chatter(t)
	empty := t.TempDir()
	for _, at := range []string{filepath.Join(t.TempDir(), "new"), empty} {
		sink, finish, err := newSink(at, nil)
		if err != nil {
			t.Fatal(err)
		}
		e := exporter{
			live: i.Client, namespace: i.namespace, secretName: "chat-operator", database: filepath.Join(i.dataDir, "chat.db"), domain: domain, secrets: true,
			progress: newProgress(io.Discard, true), notes: &notes{}, out: &failing{sink},
		}
		if err := finish(e.run(t.Context())); !errors.Is(err, errFull) || strings.Contains(err.Error(), "credentials") {
			t.Errorf("got %v", err)
		}
		if entries, err := os.ReadDir(at); len(entries) != 0 || (at == empty) != (err == nil) {
			t.Errorf("%s has %v, %v", at, entries, err)
		}
	}
}

var errFull = errors.New("the disk is full")

// failing is a sink that has no place for data.
type failing struct{ sink }

func (f *failing) put(name string, content []byte) error {
	if strings.HasPrefix(name, dataDir) {
		return errFull
	}
	return f.sink.put(name, content)
}
