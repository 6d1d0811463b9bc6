package transfer

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/auth"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// converted runs an import with --output-dir, which needs no cluster, and gives the files and what the command said.
func converted(t *testing.T, args ...string) (files map[string]string, said string, err error) {
	t.Helper()
	at := filepath.Join(t.TempDir(), "out")
	var out, messages strings.Builder
	connect := func(*rest.Config) (client.Client, error) {
		t.Error("a cluster was asked for")
		return nil, os.ErrInvalid
	}
	err = Commands(connect)["import"](context.Background(), append([]string{"--output-dir", at}, args...), Streams{In: strings.NewReader(""), Out: &out, Err: &messages})
	if err != nil {
		if _, there := os.Lstat(at); there == nil {
			t.Error("what failed has left something")
		}
		return nil, out.String(), err
	}
	return readFolder(t, at), out.String(), nil
}

func parsed[T any](t *testing.T, files map[string]string, name string) *T {
	t.Helper()
	content, ok := files[name]
	if !ok {
		t.Fatalf("there is no %s, but %v", name, names(files))
	}
	into := new(T)
	if err := yaml.UnmarshalStrict([]byte(content), into); err != nil {
		t.Fatal(err)
	}
	return into
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("it lacks %s:\n%s", part, text)
		}
	}
}

func TestConvertOpenfireXML(t *testing.T) {
	files, said, err := converted(t, "--domain", "chat.example", "--source-domain", "im.olddomain.example", "testdata/openfire-users.xml")
	if err != nil {
		t.Fatal(err)
	}
	mira := parsed[v1alpha1.ChatUser](t, files, "manifests/chatusers/mira.yaml")
	if *mira.Spec.DisplayName != "Mira Okafor" || *mira.Spec.Email != "mira@mail.example" || mira.Spec.Locked != nil || mira.Spec.Admin != nil ||
		mira.Annotations[v1alpha1.CreatedAtAnnotation] != "2005-08-30T22:49:14Z" || len(mira.Labels) != 0 {
		t.Errorf("mira is %+v", mira)
	}
	secret := parsed[corev1.Secret](t, files, "manifests/secrets/"+mira.Spec.Credentials.SecretRef.Name+".yaml")
	v, err := auth.ParseVerifier(auth.SHA256, string(secret.Data[v1alpha1.ScramSHA256Key]))
	if err != nil || !(auth.Credential{SHA256: v}).CheckPassword("iamcool") {
		t.Errorf("the password of mira does not fit: %v", err)
	}
	for name, content := range files {
		if strings.Contains(content, "iamcool") || strings.Contains(content, "aWFtY29vb") {
			t.Errorf("%s has a plain password", name)
		}
	}
	contains(t, files["personal/chat.example/mira.xml"],
		`<item jid="tobias@chat.example" name="Tobi" subscription="both"><group>Friends</group><group>Work</group></item>`,
		`<item jid="paul@xyz.example" name="Paul" subscription="none" ask="subscribe"/>`,
		`type="subscribe" from="ines@chat.example"/>`)
	if text := files["personal/chat.example/mira.xml"]; strings.Contains(text, "gone@") || strings.Contains(text, `"mira@`) {
		t.Errorf("contacts that are none: %s", text)
	}
	// Whose password is his name has none: that is what the plugin writes when it cannot tell it.
	tobias := parsed[v1alpha1.ChatUser](t, files, "manifests/chatusers/tobias.yaml")
	if tobias.Spec.Credentials == nil {
		t.Errorf("tobias is %+v", tobias)
	}
	ines := parsed[v1alpha1.ChatUser](t, files, "manifests/chatusers/ines.yaml")
	if ines.Spec.Credentials != nil {
		t.Errorf("ines is %+v", ines)
	}
	pencil := parsed[v1alpha1.ChatUser](t, files, "manifests/chatusers/pencil.yaml")
	secret = parsed[corev1.Secret](t, files, "manifests/secrets/"+pencil.Spec.Credentials.SecretRef.Name+".yaml")
	if got := string(secret.Data[v1alpha1.ScramSHA1Key]); got != pencil1 || len(secret.Data) != 1 {
		t.Errorf("the keys of pencil are %v", secret.Data)
	}
	contains(t, said, `"not a name" is left out`, `another one of that name`, "The password of ines is not in the list", "The password of 1 user could not be taken over", "  ines\n")
}

func TestConvertWithKeysFromTheDatabase(t *testing.T) {
	files, said, err := converted(t, "--domain", "chat.example", "--scram-keys", "testdata/ofuser.csv", "testdata/openfire-users.xml")
	if err != nil {
		t.Fatal(err)
	}
	ines := parsed[v1alpha1.ChatUser](t, files, "manifests/chatusers/ines.yaml")
	secret := parsed[corev1.Secret](t, files, "manifests/secrets/"+ines.Spec.Credentials.SecretRef.Name+".yaml")
	if got := string(secret.Data[v1alpha1.ScramSHA1Key]); got != pencil1 {
		t.Errorf("the keys of ines are %v", secret.Data)
	}
	if strings.Contains(said, "could not be taken over") {
		t.Error(said)
	}
}

func TestConvertAndLock(t *testing.T) {
	files, said, err := converted(t, "--domain", "chat.example", "--without-password", "lock", "--declare-contacts", "testdata/openfire-users.xml")
	if err != nil {
		t.Fatal(err)
	}
	if ines := parsed[v1alpha1.ChatUser](t, files, "manifests/chatusers/ines.yaml"); ines.Spec.Locked == nil || !*ines.Spec.Locked {
		t.Errorf("ines is %+v", ines)
	}
	contains(t, said, "1 user without a password that could be taken over is locked", "  ines\n")
	mira := parsed[v1alpha1.ChatUser](t, files, "manifests/chatusers/mira.yaml")
	if len(mira.Spec.Roster) != 2 || mira.Spec.Roster[0].JID != "tobias@im.olddomain.example" || *mira.Spec.Roster[0].Subscription != v1alpha1.SubscriptionBoth {
		t.Errorf("mira's contacts are %+v", mira.Spec.Roster)
	}
	contains(t, files["personal/chat.example/mira.xml"], "paul@xyz.example", "ines@im.olddomain.example")
}

// The examples of XEP-0227 §§4.2–4.7.
func TestConvertXEP0227(t *testing.T) {
	files, said, err := converted(t, "testdata/xep-0227.xml")
	if err != nil {
		t.Fatal(err)
	}
	contains(t, files["export.yaml"], "domain: capulet.com", "source: xep-0227")
	contains(t, files["personal/capulet.com/juliet.xml"],
		`<item jid="romeo@montague.net" name="Romeo" subscription="both"><group>Friends</group></item>`,
		`from="mercutio@montague.net"><nick xmlns="http://jabber.org/protocol/nick">Mercutio</nick></presence>`,
		`<vCard xmlns="vcard-temp">`, "<FN>Juliet Capulet</FN>",
		// 2021-07-21T00:32:29Z in microseconds, and those since 2020 with twelve bits behind them.
		`o:received="1626827549000000"`, `o:id="200666107904000000"`, "<body>Neither, fair saint, if either thee dislike.</body>")
	nurse := parsed[v1alpha1.ChatUser](t, files, "manifests/chatusers/nurse.yaml")
	secret := parsed[corev1.Secret](t, files, "manifests/secrets/"+nurse.Spec.Credentials.SecretRef.Name+".yaml")
	if got, want := string(secret.Data[v1alpha1.ScramSHA1Key]), "SCRAM-SHA-1$100000:TmFDbE5hQ2xOYUNsTmFDbE5hQ2xOYUNsTmFDbE5hQ2xOYUNsTmFDbE5hQ2wK$"+
		"Q6qT/SbybblGCZz8e8eSfCJOQic=:0pXWGK0GZJ6TR73AIUN3ITYtA1g="; got != want {
		t.Errorf("the keys are %s, want %s", got, want)
	}
	contains(t, said, `the host "montague.net" are left out`, "jabber:iq:privacy")
	if strings.Contains(files["personal/capulet.com/juliet.xml"], "s3crEt") {
		t.Error("a plain password is written")
	}
}

// What waits for somebody is from and for people of this server when it is read in, and so is a reply to it.
func TestConvertToAnotherDomain(t *testing.T) {
	document := filepath.Join(t.TempDir(), "old.xml")
	if err := os.WriteFile(document, []byte(`<server-data xmlns='urn:xmpp:pie:0'><host jid='old.example'><user name='juliet'>
<query xmlns='jabber:iq:roster'><item jid='nurse@old.example' subscription='both'/><item jid='romeo@montague.net' subscription='to'/></query>
<presence xmlns='jabber:client' type='subscribe' from='tybalt@old.example'/>
<vCard xmlns='vcard-temp'><FN>juliet@old.example</FN><JABBERID>juliet@old.example</JABBERID></vCard>
<offline-messages>
<message xmlns='jabber:client' from='nurse@old.example/Kitchen' to='Juliet@old.example/balcony' type='chat' id='a'><body>ask romeo@old.example</body>
<delay xmlns='urn:xmpp:delay' from='old.example' stamp='2021-07-21T00:32:29Z'/><stanza-id xmlns='urn:xmpp:sid:0' by='juliet@old.example' id='1'/></message>
<message xmlns='jabber:client' from='romeo@montague.net/orchard' to='juliet@old.example'><body>Lady</body></message>
<message xmlns='jabber:client' from='hall@conference.old.example' to='juliet@old.example'>
<x xmlns='http://jabber.org/protocol/muc#user'><invite from='nurse@old.example/Kitchen'/></x><x xmlns='jabber:x:conference' jid='hall@conference.old.example'/></message>
<message xmlns='jabber:client' from='nurse@notold.example' to='not@an@address'><body>Sweet</body></message>
</offline-messages></user></host></server-data>`), 0o600); err != nil {
		t.Fatal(err)
	}
	files, _, err := converted(t, "--domain", "new.example", "--source-domain", "old.example", document)
	if err != nil {
		t.Fatal(err)
	}
	juliet := files["personal/new.example/juliet.xml"]
	contains(t, juliet, `jid="nurse@new.example"`, `jid="romeo@montague.net"`, `from="tybalt@new.example"`,
		"<JABBERID>juliet@new.example</JABBERID>", "<FN>juliet@old.example</FN>",
		`from="nurse@new.example/Kitchen" to="juliet@new.example/balcony" type="chat" id="a"><body>ask romeo@old.example</body>`,
		`<delay xmlns="urn:xmpp:delay" from="new.example" `, `by="juliet@old.example"`,
		`from="romeo@montague.net/orchard" to="juliet@new.example"><body>Lady</body>`,
		`from="hall@conference.new.example" to="juliet@new.example"`, `<invite from="nurse@new.example/Kitchen"/>`, `jid="hall@conference.new.example"`,
		`from="nurse@notold.example" to="not@an@address"`)
	if same, _, err := converted(t, "--domain", "old.example", document); err != nil || !strings.Contains(same["personal/old.example/juliet.xml"], `to="Juliet@old.example/balcony"`) {
		t.Errorf("where the domain stays, a message does: %v, %s", err, same["personal/old.example/juliet.xml"])
	}
}

// Everything at once: into a namespace, with what the users remember, and a second time without a change.
func TestImportOpenfireXML(t *testing.T) {
	to := newInstallation(t)
	said, err := to.importFrom("--source-domain", "im.olddomain.example", "testdata/openfire-users.xml")
	if err != nil {
		t.Fatal(err, said)
	}
	var mira v1alpha1.ChatUser
	if err := to.Get(t.Context(), keyIn(to.namespace, "mira"), &mira); err != nil {
		t.Fatal(err)
	}
	// Nobody declared it from outside: REST and clients may change it.
	if mira.Labels[v1alpha1.ManagedByLabel] != v1alpha1.ManagedBy {
		t.Errorf("mira has the labels %v", mira.Labels)
	}
	to.remember(func(s *store.Store) {
		items, err := s.LoadRoster(t.Context(), "mira")
		if err != nil || len(items) != 3 || items[1].JID.String() != "tobias@chat.example" || items[1].Name != "Tobi" {
			t.Errorf("mira's contacts are %v, %v", items, err)
		}
	})
	contains(t, said, "ChatUser: 4 made", "contacts: 3 made")
}

// A message that says it is of a time far from now has a number nevertheless, and those after it larger ones.
func TestNumbersOfMessages(t *testing.T) {
	delayed := func(stamp string) message {
		return message{stanza: []byte(`<message xmlns="jabber:client"><delay xmlns="urn:xmpp:delay" stamp="` + stamp + `"/></message>`)}
	}
	p := &person{messages: []message{delayed("1999-12-31T23:59:59Z"), delayed("2031-04-05T06:07:08Z"), delayed("9999-12-31T23:59:59Z"), delayed("9999-12-31T23:59:59Z")}}
	(&conversion{now: when}).messages(p)
	last := int64(0)
	for i, m := range p.messages {
		if m.id <= last {
			t.Errorf("message %d has the number %d, after %d", i, m.id, last)
		}
		last = m.id
	}
}
