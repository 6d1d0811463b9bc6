package transfer

import (
	"fmt"
	"os"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
)

// The bounds are those of the schemas that the API server checks by.
func TestBoundsAreThoseOfTheSchemas(t *testing.T) {
	for path, want := range map[string]int64{
		"chatusers displayName": maxName, "chatusers email": maxEmail, "chatusers properties": maxUserProperties,
		"chatusers properties[] key": maxPropertyKey, "chatusers properties[] value": maxPropertyValue,
		"chatusers roster": maxDeclaredContacts, "chatusers roster[] nickname": maxDeclaredName, "chatusers roster[] groups": maxDeclaredGroups,
		"chatgroups groupName": maxName, "chatgroups description": maxText, "chatgroups members": maxMembers, "chatgroups admins": maxMembers,
		"chatgroups members[]": maxMember, "chatgroups admins[]": maxMember,
		"chatrooms displayName": maxName, "chatrooms description": maxText, "chatrooms subject": maxText,
		"chatrooms affiliations": maxAffiliations, "chatrooms groupAffiliations": maxGroupAffiliation, "chatrooms groupAffiliations[] group": maxName,
		"systemproperties key": maxPropertyKey, "systemproperties value": maxPropertySize,
	} {
		parts := strings.Fields(path)
		content, err := os.ReadFile("../../config/crd/bases/chat-operator.io_" + parts[0] + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.Unmarshal(content, &crd); err != nil {
			t.Fatal(err)
		}
		at := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
		for _, part := range parts[1:] {
			name, item := strings.CutSuffix(part, "[]")
			if at = at.Properties[name]; item {
				at = *at.Items.Schema
			}
		}
		got := at.MaxLength
		if at.Type == "array" {
			got = at.MaxItems
		}
		if got == nil || *got != want {
			t.Errorf("%s: the schema has %v, and not %d", path, got, want)
		}
	}
}

// What another server has too much of is left out by itself, and nothing else with it.
func TestImportOfWhatIsTooMuch(t *testing.T) {
	text := func(n int) string { return strings.Repeat("é", n) }
	several := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	prolog := `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>`
	property := `<property key="%s" value="%s"/>`
	room := `<chatRooms><chatRoom><roomName>atrium</roomName><naturalName>` + text(256) + `</naturalName><description>` + text(2049) + `</description><subject>` + text(2049) +
		`</subject><persistent>true</persistent><owners><owner>mira@old.example</owner></owners><members>` + several(2001, "<member>m%d@old.example</member>") +
		`</members><memberGroups>` + several(501, "<memberGroup>g%d</memberGroup>") + `<memberGroup>` + text(256) + `</memberGroup></memberGroups></chatRoom></chatRooms>`
	address, secret := openfireWith(t, map[string]string{
		"/system/properties": prolog + `<properties><property key="xmpp.domain" value="old.example"/></properties>`,
		"/users": prolog + `<users><user><username>mira</username><name>` + text(256) + `</name><email>` + text(321) + `</email><properties>` +
			fmt.Sprintf(property, text(256), "x") + fmt.Sprintf(property, "long", text(4097)) + several(129, `<property key="p%d" value="v"/>`) + `</properties></user></users>`,
		"/users/mira/roster": prolog + `<roster/>`,
		"/groups":            prolog + `<groups><group><name>ops</name></group><group><name>` + text(256) + `</name></group></groups>`,
		"/groups/ops": prolog + `<group><name>ops</name><description>` + text(2049) + `</description><admins/><members>` + several(5001, "<member>m%d@old.example</member>") +
			`</members><shared>false</shared></group>`,
		"/groups/" + strings.Repeat("%C3%A9", 256):   prolog + `<group><name>` + text(256) + `</name></group>`,
		"/chatrooms?servicename=conference&type=all": prolog + room,
	})
	to := newInstallation(t)
	report, err := to.importFrom("--from", "openfire-rest", "--url", address, "--secret-file", secret)
	if err != nil {
		t.Fatal(err, report)
	}
	contains(t, report, "ChatUser: 1 made", "ChatGroup: 1 made", "ChatRoom: 1 made",
		"The name of the user mira is cut to 255 characters", "The email address of the user mira is left out", `The property "long" of the user mira is left out`,
		"The properties of the user mira: the first 128 of 129", "The members of the group \"ops\": the first 5000 of 5001", "The description of the group \"ops\" is cut",
		"The description of the room \"atrium\" is cut", "The affiliations of the room \"atrium\": the first 2000 of 2002", "groups of the room \"atrium\": the first 500 of 501")
	var made v1alpha1.ChatRoom
	if err := to.Get(t.Context(), keyIn(to.namespace, "atrium"), &made); err != nil {
		t.Fatal(err)
	}
	if owner := made.Spec.Affiliations[0]; owner.JID != "mira@chat.example" || owner.Affiliation != v1alpha1.AffiliationOwner {
		t.Errorf("the owner is %v", owner)
	}
}

// Contacts of the other server's domain are nobody's here, which is told when nobody has named that domain.
func TestForeignDomainIsRemarked(t *testing.T) {
	_, said, err := converted(t, "--domain", "chat.example", "testdata/openfire-users.xml")
	if err != nil {
		t.Fatal(err)
	}
	contains(t, said, "--source-domain=im.olddomain.example")
	_, said, err = converted(t, "--domain", "chat.example", "--source-domain", "im.olddomain.example", "testdata/openfire-users.xml")
	if err != nil || strings.Contains(said, "--source-domain") {
		t.Errorf("%v: %s", err, said)
	}
}
