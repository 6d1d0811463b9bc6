package controllers

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/controllers/provision"
	"github.com/chat-operator/chat-operator/xmpp/auth"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

const testDomain = "chat.example"

func TestTranslateUser(t *testing.T) {
	created := metav1.NewTime(time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC))
	u := &v1alpha1.ChatUser{
		ObjectMeta: metav1.ObjectMeta{
			Name: "mira", UID: "1", Generation: 3, CreationTimestamp: created,
			Labels: map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy},
		},
		Spec: v1alpha1.ChatUserSpec{
			DisplayName: new("Mira"), Locked: new(true),
			Credentials: &v1alpha1.UserCredentials{SecretRef: v1alpha1.LocalSecretReference{Name: "s"}},
			Properties:  []v1alpha1.Property{{Key: "z", Value: new("1")}, {Key: "a"}},
			Roster: []v1alpha1.Contact{
				{JID: "tobias@chat.example", Subscription: new(v1alpha1.SubscriptionBoth), Groups: []string{"Friends"}},
				{JID: "pia@chat.example", Nickname: new("Pia")},
			},
		},
	}
	entry, problems := translateUser(u, testDomain)
	if len(problems) != 0 {
		t.Fatal(problems)
	}
	want := directory.User{
		Ref:      directory.Ref{Name: "mira", UID: "1", Generation: 3, Created: created.Time},
		Username: "mira", DisplayName: "Mira", Locked: true, SecretName: "s", Labels: u.Labels,
		Properties: []directory.Property{{Key: "a"}, {Key: "z", Value: "1"}},
		Contacts: []directory.Contact{
			{JID: jid.MustParse("pia@chat.example"), Name: "Pia"},
			{JID: jid.MustParse("tobias@chat.example"), Subscription: directory.SubscriptionBoth, Groups: []string{"Friends"}},
		},
		DeletionPolicy: directory.DeletionDelete, Managed: true, CreatedAt: created.Time, ModifiedAt: created.Time,
	}
	if !reflect.DeepEqual(entry, want) {
		t.Errorf("got  %+v\nwant %+v", entry, want)
	}

	u.Spec.Credentials = nil
	if entry, _ = translateUser(u, testDomain); entry.SecretName != provision.GeneratedKey("1") {
		t.Errorf("the generated credentials are looked for under %q", entry.SecretName)
	}
}

func TestTranslateUserProblems(t *testing.T) {
	// U+FF11 is a full-width digit: RFC 7622 §3.3 maps it by width, so that both spellings are one address.
	u := &v1alpha1.ChatUser{Spec: v1alpha1.ChatUserSpec{
		Username: new("mira"),
		Roster: []v1alpha1.Contact{
			{JID: "user1@chat.example", Subscription: new(v1alpha1.SubscriptionBoth)},
			{JID: "user１@chat.example", Subscription: new(v1alpha1.SubscriptionTo)},
			{JID: "bad\u2028@chat.example"},
			{JID: "ok@chat.example"},
			{JID: "mira@chat.example"},
		},
	}}
	entry, problems := translateUser(u, testDomain)
	expectProblems(t, problems, v1alpha1.ReasonInvalidValue, "spec.roster[1].jid", "spec.roster[2].jid", "spec.roster[4].jid")
	want := []directory.Contact{
		{JID: jid.MustParse("ok@chat.example")},
		{JID: jid.MustParse("user1@chat.example"), Subscription: directory.SubscriptionTo}, // it shares less
	}
	if !reflect.DeepEqual(entry.Contacts, want) {
		t.Errorf("contacts %+v", entry.Contacts)
	}

	// U+2028 is disallowed by the IdentifierClass (RFC 8264 §4.2.3).
	u.Spec.Username = new("mi\u2028ra")
	if _, problems = translateUser(u, testDomain); !invalidly(problems, v1alpha1.ReasonInvalidName) {
		t.Errorf("problems %v", problems)
	}
}

func expectProblems(t *testing.T, problems []problem, reason string, paths ...string) {
	t.Helper()
	if len(problems) != len(paths) {
		t.Fatalf("problems %v, want %v", problems, paths)
	}
	for i, p := range problems {
		if p.Reason != reason || !strings.HasPrefix(p.Message, paths[i]+": ") || !strings.HasSuffix(p.Message, ".") {
			t.Errorf("problem %d: %+v, want %s at %s", i, p, reason, paths[i])
		}
	}
}

func TestTranslateGroup(t *testing.T) {
	g := &v1alpha1.ChatGroup{ObjectMeta: metav1.ObjectMeta{Name: "night"}, Spec: v1alpha1.ChatGroupSpec{
		GroupName: new("Night Shift"),
		Members:   []string{"mira", "tobias@other.example", "mira@chat.example", "bad\u2028"},
		Admins:    []string{"mira"},
		Selector:  &metav1.LabelSelector{MatchLabels: map[string]string{"team": "night"}},
	}}
	entry, problems := translateGroup(g, testDomain)
	expectProblems(t, problems, v1alpha1.ReasonInvalidValue, "spec.members[2]", "spec.members[3]")
	if want := []jid.JID{jid.MustParse("mira@chat.example"), jid.MustParse("tobias@other.example")}; !sameJIDs(entry.Members, want) {
		t.Errorf("members %v", entry.Members)
	}
	if entry.GroupName != "Night Shift" || entry.DisplayName != "Night Shift" || entry.SharedRoster.Mode != directory.SharedNobody ||
		len(entry.Admins) != 1 || !entry.Selector.Matches(map[string]string{"team": "night"}) {
		t.Errorf("entry %+v", entry)
	}
	g.Spec.DisplayName = new("Nachtschicht")
	g.Spec.SharedRoster = &v1alpha1.SharedRoster{Mode: v1alpha1.SharedRosterOnlyGroup, VisibleTo: []string{"Tagschicht", "夜勤"}}
	entry, _ = translateGroup(g, testDomain)
	want := directory.SharedRoster{Mode: directory.SharedOnlyGroup, VisibleTo: []string{"Tagschicht", "夜勤"}}
	if !reflect.DeepEqual(entry.SharedRoster, want) || entry.DisplayName != "Nachtschicht" {
		t.Errorf("shared %+v as %q, want %+v", entry.SharedRoster, entry.DisplayName, want)
	}
	for api, core := range map[v1alpha1.SharedRosterMode]directory.SharedRosterMode{
		v1alpha1.SharedRosterNobody: directory.SharedNobody, v1alpha1.SharedRosterOnlyGroup: directory.SharedOnlyGroup, v1alpha1.SharedRosterEverybody: directory.SharedEverybody,
	} {
		g.Spec.SharedRoster.Mode = api
		if entry, _ := translateGroup(g, testDomain); entry.SharedRoster.Mode != core {
			t.Errorf("mode %s became %s", api, entry.SharedRoster.Mode)
		}
	}
}

func sameJIDs(a, b []jid.JID) bool {
	slices.SortFunc(b, jid.JID.Compare)
	return slices.Equal(a, b)
}

func TestTranslateRoom(t *testing.T) {
	room := &v1alpha1.ChatRoom{ObjectMeta: metav1.ObjectMeta{Name: "lobby"}}
	entry, problems := translateRoom(room, "chat.example")
	if len(problems) != 0 {
		t.Fatal(problems)
	}
	want := directory.Room{
		Ref: directory.Ref{Name: "lobby"}, RoomName: "lobby", Service: "conference", DisplayName: "lobby",
		Listed: true, Persistent: true, Archived: true, RegistrationEnabled: true, CanChangeNickname: true,
		WhoSeesJIDs: directory.JIDsModerators, PrivateMessages: directory.PrivateAnyone,
		PresenceBroadcast: []directory.RoomRole{directory.RoleModerator, directory.RoleParticipant, directory.RoleVisitor},
		DeletionPolicy:    directory.DeletionDelete,
		CreatedAt:         entry.CreatedAt, ModifiedAt: entry.ModifiedAt,
	}
	if !reflect.DeepEqual(entry, want) {
		t.Errorf("defaults\n got %+v\nwant %+v", entry, want)
	}

	room.Spec.PresenceBroadcast = []v1alpha1.PresenceRole{}
	room.Spec.Affiliations = []v1alpha1.RoomAffiliation{
		{JID: "user1@chat.example", Affiliation: v1alpha1.AffiliationOwner},
		{JID: "user１@chat.example", Affiliation: v1alpha1.AffiliationOutcast},
		{JID: "spam.example", Affiliation: v1alpha1.AffiliationOutcast},
		{JID: "ana", Affiliation: v1alpha1.AffiliationOwner}, // a host, which its author did not mean
	}
	entry, problems = translateRoom(room, "chat.example")
	expectProblems(t, problems, v1alpha1.ReasonInvalidValue, "spec.affiliations[1].jid", "spec.affiliations[3].jid")
	if entry.PresenceBroadcast == nil || len(entry.PresenceBroadcast) != 0 {
		t.Error("an empty list became the default")
	}
	wantAffiliations := []directory.Affiliation{
		{JID: jid.MustParse("spam.example"), Affiliation: directory.AffiliationOutcast},
		{JID: jid.MustParse("user1@chat.example"), Affiliation: directory.AffiliationOutcast}, // the more restrictive
	}
	slices.SortFunc(wantAffiliations, func(a, b directory.Affiliation) int { return a.JID.Compare(b.JID) })
	if !reflect.DeepEqual(entry.Affiliations, wantAffiliations) {
		t.Errorf("affiliations %v", entry.Affiliations)
	}
}

func TestCredential(t *testing.T) {
	derived, err := auth.Derive("pencil", []byte("0123456789abcdef"), 0)
	if err != nil {
		t.Fatal(err)
	}
	v256, v1 := derived.SHA256.String(auth.SHA256), derived.SHA1.String(auth.SHA1)
	data := func(pairs ...string) map[string][]byte {
		m := map[string][]byte{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = []byte(pairs[i+1])
		}
		return m
	}
	for _, tt := range []struct {
		name  string
		data  map[string][]byte
		opens string // the password that opens it; empty: an error
	}{
		{"a password", data("password", "pencil"), "pencil"},
		{"verifiers", data("scram-sha-256", v256, "scram-sha-1", v1), "pencil"},
		{"one verifier", data("scram-sha-256", v256), "pencil"},
		{"verifiers before a password that was left behind", data("scram-sha-256", v256, "scram-sha-1", v1, "password", "old"), "pencil"},
		{"nothing", nil, ""},
		{"other keys", data("username", "mira"), ""},
		{"an empty password", data("password", ""), ""},
		{"a password with a line feed at its end", data("password", "pencil\n"), ""},
		{"a broken verifier", data("scram-sha-256", "SCRAM-SHA-256$4096:x$y:z"), ""},
		{"verifiers swapped", data("scram-sha-256", v1, "scram-sha-1", v256), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := credential(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s"}, Data: tt.data}, []byte("key"))
			if strings.HasSuffix(string(tt.data["password"]), "\n") && (err == nil || !strings.Contains(err.Error(), "line end")) {
				t.Errorf("the error does not name the line end: %v", err)
			}
			if tt.opens == "" {
				if err == nil {
					t.Fatal("no error")
				}
				for _, v := range tt.data {
					if len(v) > 3 && strings.Contains(err.Error(), string(v)) {
						t.Errorf("the error holds the content: %v", err)
					}
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !s.Credential().CheckPassword(tt.opens) {
				t.Error("the password does not open it")
			}
		})
	}
}

func TestSalt(t *testing.T) {
	base := string(salt([]byte("key"), "a", []byte("pw")))
	if base != string(salt([]byte("key"), "a", []byte("pw"))) {
		t.Error("replicas would not agree")
	}
	for _, other := range [][3]string{{"other", "a", "pw"}, {"key", "b", "pw"}, {"key", "a", "pv"}, {"key", "ap", "w"}} {
		if base == string(salt([]byte(other[0]), other[1], []byte(other[2]))) {
			t.Errorf("%v has the same salt", other)
		}
	}
}

func TestKeepOfSecret(t *testing.T) {
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name: "s", Namespace: "chat", UID: "1", ResourceVersion: "7",
			Labels:        map[string]string{"a": "b", v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, v1alpha1.RESTSecretLabel: "true"},
			Annotations:   map[string]string{"kubectl.kubernetes.io/last-applied-configuration": "secret", v1alpha1.ConfirmPurgeAnnotation: "x"},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
		},
		Data: map[string][]byte{"password": []byte("pw"), "tls.key": []byte("key")},
	}
	kept, err := keepOfSecret(s)
	if err != nil {
		t.Fatal(err)
	}
	want := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name: "s", Namespace: "chat", UID: "1", ResourceVersion: "7",
			Labels:      map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, v1alpha1.RESTSecretLabel: "true"},
			Annotations: map[string]string{v1alpha1.ConfirmPurgeAnnotation: "x"},
		},
		Data: map[string][]byte{"password": []byte("pw")},
	}
	if !reflect.DeepEqual(kept, want) {
		t.Errorf("kept %+v", kept)
	}
}

func TestKeepOfResource(t *testing.T) {
	keep := keepOfResources()
	user := func(name string, labels map[string]string) *v1alpha1.ChatUser {
		u := &v1alpha1.ChatUser{ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: labels,
			Annotations: map[string]string{"kubectl.kubernetes.io/last-applied-configuration": "{}", v1alpha1.CreatedAtAnnotation: "2009-05-01T12:00:00Z"},
		}}
		u.Status.Conditions = append(make([]metav1.Condition, 0, 4), metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Message: name})
		kept, err := keep(u)
		if err != nil || kept != any(u) {
			t.Fatal(kept, err)
		}
		return u
	}
	ada, ben := user("ada", map[string]string{"team": "red", "app": "x"}), user("ben", map[string]string{"app": "x", "team": "red"})
	cy := user("cy", map[string]string{"app": "x", "team": "blue"})
	if !reflect.DeepEqual(ada.Annotations, map[string]string{v1alpha1.CreatedAtAnnotation: "2009-05-01T12:00:00Z"}) {
		t.Errorf("annotations kept: %v", ada.Annotations)
	}
	if want := (metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Message: "ada"}); cap(ada.Status.Conditions) != 1 || ada.Status.Conditions[0] != want {
		t.Errorf("conditions kept: %+v", ada.Status.Conditions)
	}
	if reflect.ValueOf(ada.Labels).Pointer() != reflect.ValueOf(ben.Labels).Pointer() || cy.Labels["team"] != "blue" {
		t.Errorf("labels: %v, %v, %v", ada.Labels, ben.Labels, cy.Labels)
	}
}

// A list reduces what it reads, and the cache what it is given: the second time costs nothing and changes nothing.
func TestKeepOfResourceTwice(t *testing.T) {
	keep := keepOfResources()
	at := metav1.Date(2031, 4, 5, 4, 7, 8, 0, time.UTC)
	u := &v1alpha1.ChatUser{ObjectMeta: metav1.ObjectMeta{Name: "ada", Labels: map[string]string{"team": "red"}, ManagedFields: []metav1.ManagedFieldsEntry{
		{Manager: "kubectl", Operation: metav1.ManagedFieldsOperationApply, Time: &at, FieldsType: "FieldsV1", FieldsV1: &metav1.FieldsV1{}},
		{Manager: v1alpha1.FieldManager, Subresource: "status", Time: &at, FieldsType: "FieldsV1", FieldsV1: &metav1.FieldsV1{}},
	}}}
	u.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Message: "Well."}}
	if _, err := keep(u); err != nil {
		t.Fatal(err)
	}
	if want := []metav1.ManagedFieldsEntry{{Manager: "kubectl", Operation: metav1.ManagedFieldsOperationApply, Time: &at}}; !reflect.DeepEqual(u.ManagedFields, want) {
		t.Errorf("writers kept: %+v", u.ManagedFields)
	}
	once := u.DeepCopy()
	if n := testing.AllocsPerRun(10, func() { _, _ = keep(u) }); n > 0 {
		t.Errorf("the second time allocates %v times", n)
	}
	if !reflect.DeepEqual(u, once) {
		t.Errorf("kept once: %+v, twice: %+v", once, u)
	}
}

// What REST shows of a change is the same before and after its status is written: an ETag holds.
func TestModifiedAtOutlivesTheStatus(t *testing.T) {
	created, changed := metav1.Date(2031, 4, 5, 4, 7, 8, 0, time.UTC), metav1.Date(2031, 4, 6, 7, 0, 0, 0, time.UTC)
	later := metav1.NewTime(changed.Add(3 * time.Second))
	r := &v1alpha1.ChatRoom{ObjectMeta: metav1.ObjectMeta{
		Name: "atrium", Generation: 1, CreationTimestamp: created, Annotations: map[string]string{v1alpha1.CreatedAtAnnotation: "2009-05-01T12:00:00Z"},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl", Time: &created}},
	}}
	shown := func() time.Time {
		t.Helper()
		room, problems := translateRoom(r, testDomain)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		return room.ModifiedAt
	}
	for i, want := range []time.Time{created.UTC(), changed.UTC()} {
		if r.Generation = int64(i + 1); i == 1 {
			r.ManagedFields = append(r.ManagedFields, metav1.ManagedFieldsEntry{Manager: v1alpha1.FieldManager, Time: &changed},
				metav1.ManagedFieldsEntry{Manager: v1alpha1.FieldManager, Subresource: "status", Time: &later})
		}
		before := shown()
		report(&r.Status.CommonStatus, r, conditionsOf(active("Well.")), later.Time)
		if after := shown(); !before.Equal(want) || !after.Equal(want) {
			t.Errorf("generation %d: changed at %v, with its status at %v; want %v", r.Generation, before, after, want)
		}
	}
}
