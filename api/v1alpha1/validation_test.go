package v1alpha1_test

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// A rule of admission with an object that it lets pass and one that it refuses, each a metadata.name and the YAML of a spec.
type ruleCase struct {
	what, kind string
	good, bad  [2]string
	message    string // what the refusal has to say
}

// hash is the tail of an encoded name.
var hash = strings.Repeat("a", 26)

const (
	usernameMessage = `a username is written in lower case, without blanks and without any of " & ' / : < > @; use displayName for the name that people see`
	roomNameMessage = `a room name is written in lower case, without blanks and without any of " & ' / : < > @; use displayName for the name that people see`
	encodedMessage  = "a resource name that ends in x and 26 characters is reserved for encoded names: give spec.%[1]s, or choose another metadata.name"
	sameNameMessage = "metadata.name has to be the same as spec.%[1]s where that can be a resource name: change metadata.name, or leave spec.%[1]s out"
	jidMessage      = "write the JID in lower case: capital letters mean the same address"
	memberMessage   = "write usernames and JIDs in lower case: capital letters mean the same address"
	syntaxMessage   = "should match"
)

func nameCases(kind, field, rest string) []ruleCase {
	given := func(name string) string { return fmt.Sprintf("{%s: %q%s}", field, name, rest) }
	none := "{" + strings.TrimPrefix(rest, ", ") + "}"
	return []ruleCase{
		{what: "an encoded-looking name of the resource has to be spelled out", kind: kind,
			good: [2]string{"night-x" + hash, given("дж")}, bad: [2]string{"night-x" + hash, none},
			message: fmt.Sprintf(encodedMessage, field)},
		{what: "so has one that is a hash alone", kind: kind,
			good: [2]string{"x" + hash, given("дж")}, bad: [2]string{"x" + hash, none},
			message: fmt.Sprintf(encodedMessage, field)},
		{what: "a similar one has not", kind: kind,
			good: [2]string{"ax" + hash, none}, bad: [2]string{"a.b-x" + hash, none},
			message: fmt.Sprintf(encodedMessage, field)},
		{what: "a plain name is the resource's name as well", kind: kind,
			good: [2]string{"mira", given("mira")}, bad: [2]string{"somebody", given("mira")},
			message: fmt.Sprintf(sameNameMessage, field)},
		{what: "a plain name may have dots and 200 characters", kind: kind,
			good: [2]string{"a." + strings.Repeat("b", 198), given("a." + strings.Repeat("b", 198))}, bad: [2]string{"c", given("a." + strings.Repeat("b", 198))},
			message: fmt.Sprintf(sameNameMessage, field)},
		{what: "a longer name is not plain", kind: kind,
			good: [2]string{"long", given(strings.Repeat("b", 201))}, bad: [2]string{"long", given(strings.Repeat("b", 200))},
			message: fmt.Sprintf(sameNameMessage, field)},
		{what: "a name with an underscore is not plain, nor one that looks encoded", kind: kind,
			good: [2]string{"of-my-choice", given("mira_o")}, bad: [2]string{"of-my-choice", given("mira-o")},
			message: fmt.Sprintf(sameNameMessage, field)},
		{what: "a chat name that looks encoded goes under another resource name", kind: kind,
			good: [2]string{"of-my-choice", given("x" + hash)}, bad: [2]string{"of-my-choice", given("x" + hash + "a")},
			message: fmt.Sprintf(sameNameMessage, field)},
		{what: "a name is not empty", kind: kind,
			good: [2]string{"mira", none}, bad: [2]string{"mira", given("")},
			message: "should be at least 1 chars long"},
	}
}

func localpartCases(kind, field, message string) []ruleCase {
	var cases []ruleCase
	for _, c := range []string{"A", "Z", " ", "\t", "\x00", "\x7f", `"`, "&", "'", "/", ":", "<", ">", "@"} {
		cases = append(cases, ruleCase{what: fmt.Sprintf("%q is in no %s", c, field), kind: kind,
			good: [2]string{"mi-ra", "{}"}, bad: [2]string{"mi-ra", fmt.Sprintf("{%s: %q}", field, "mi"+c+"ra")}, message: message})
	}
	return append(cases,
		ruleCase{what: "any script is, and what XEP-0106 escapes", kind: kind,
			good: [2]string{"mira", fmt.Sprintf(`{%s: 'мира\20大野'}`, field)}, bad: [2]string{"mira", fmt.Sprintf(`{%s: 'Mира'}`, field)}, message: message},
		ruleCase{what: "no more than 1,023 characters are", kind: kind,
			good: [2]string{"long", fmt.Sprintf("{%s: %s}", field, strings.Repeat("b", 1023))}, bad: [2]string{"long", fmt.Sprintf("{%s: %s}", field, strings.Repeat("b", 1024))},
			message: "may not be more than 1023"})
}

// jidCases are about an address in a list; format has its place.
func jidCases(kind, format string, bareNames bool, message string) []ruleCase {
	spec := func(jid string) string { return fmt.Sprintf(format, fmt.Sprintf("%q", jid)) }
	good := [2]string{"mira", spec(`d\27artagnan@chat.example`)}
	cases := []ruleCase{
		{what: "addresses are in lower case", kind: kind, good: good, bad: [2]string{"mira", spec("tobias@Chat.example")}, message: message},
		{what: "addresses have no resource", kind: kind, good: good, bad: [2]string{"mira", spec("tobias@chat.example/phone")}, message: syntaxMessage},
		{what: "addresses have no blanks", kind: kind, good: good, bad: [2]string{"mira", spec("to bias@chat.example")}, message: syntaxMessage},
		{what: "addresses have a host", kind: kind, good: good, bad: [2]string{"mira", spec("tobias@")}, message: syntaxMessage},
		{what: "addresses have one @", kind: kind, good: good, bad: [2]string{"mira", spec("a@b@chat.example")}, message: syntaxMessage},
		{what: "addresses have a local part before the @", kind: kind, good: good, bad: [2]string{"mira", spec("@chat.example")}, message: syntaxMessage},
		{what: "addresses are not empty", kind: kind, good: good, bad: [2]string{"mira", spec("")}, message: "should be at least 1 chars long"},
		{what: "addresses may be hosts, ports have no place in them", kind: kind,
			good: [2]string{"mira", spec("[::1]")}, bad: [2]string{"mira", spec("a:b@chat.example")}, message: syntaxMessage},
	}
	if bareNames {
		cases = append(cases, ruleCase{what: "members may be usernames", kind: kind,
			good: [2]string{"mira", spec("tobias")}, bad: [2]string{"mira", spec("Tobias")}, message: message})
	}
	return cases
}

func ruleCases() []ruleCase {
	cases := []ruleCase{
		{what: "a group name is exact, and has no control characters", kind: "ChatGroup",
			good: [2]string{"any", `{groupName: 'Night & <Day>: "Дж" @ home/'}`}, bad: [2]string{"any", `{groupName: "Night\nShift"}`},
			message: "a group name has no control characters such as tabs and line feeds"},
		{what: "a key is exact, and has no control characters", kind: "SystemProperty",
			good: [2]string{"any", `{key: "my Key/ü", value: x}`}, bad: [2]string{"any", `{key: "my\tkey", value: x}`},
			message: "a property key has no control characters such as tabs and line feeds"},
		{what: "a service is a label of a host name", kind: "ChatRoom",
			good: [2]string{"lobby", `{service: work-shop1}`}, bad: [2]string{"lobby", `{service: work.shop}`},
			message: "a service is one label of a host name: lower-case letters, digits and hyphens, beginning and ending with a letter or digit"},
		{what: "a room of another service may have any resource name", kind: "ChatRoom",
			good: [2]string{"workshop-lobby", `{roomName: lobby, service: workshop}`}, bad: [2]string{"workshop-lobby", `{roomName: lobby, service: conference}`},
			message: fmt.Sprintf(sameNameMessage, "roomName")},
		{what: "a property has a value", kind: "SystemProperty",
			good: [2]string{"any", `{value: ""}`}, bad: [2]string{"any", `{}`},
			message: "give the property either value or valueFrom.secretKeyRef: exactly one of the two"},
		{what: "a property has one value", kind: "SystemProperty",
			good: [2]string{"any", `{valueFrom: {secretKeyRef: {name: s, key: k}}}`}, bad: [2]string{"any", `{value: x, valueFrom: {secretKeyRef: {name: s, key: k}}}`},
			message: "give the property either value or valueFrom.secretKeyRef: exactly one of the two"},
		{what: "a reference names a Secret", kind: "ChatUser",
			good: [2]string{"mira", `{credentials: {secretRef: {name: s}}}`}, bad: [2]string{"mira", `{credentials: {secretRef: {}}}`}, message: "spec.credentials.secretRef.name: Required value"},
		{what: "credentials say where from", kind: "ChatUser",
			good: [2]string{"mira", `{credentials: {secretRef: {name: s}}}`}, bad: [2]string{"mira", `{credentials: {}}`}, message: "spec.credentials.secretRef: Required value"},
		{what: "a reference names a key", kind: "SystemProperty",
			good: [2]string{"any", `{valueFrom: {secretKeyRef: {name: s, key: k}}}`}, bad: [2]string{"any", `{valueFrom: {secretKeyRef: {name: s}}}`}, message: "spec.valueFrom.secretKeyRef.key: Required value"},
		{what: "a contact is in a roster once", kind: "ChatUser",
			good: [2]string{"mira", `{roster: [{jid: a@b}, {jid: c@b}]}`}, bad: [2]string{"mira", `{roster: [{jid: a@b}, {jid: a@b}]}`}, message: "Duplicate value"},
		{what: "a contact has an address", kind: "ChatUser",
			good: [2]string{"mira", `{roster: [{jid: a@b, groups: [Friends, Work]}]}`}, bad: [2]string{"mira", `{roster: [{nickname: Tobi}]}`}, message: "spec.roster[0].jid: Required value"},
		{what: "a heading is given once", kind: "ChatUser",
			good: [2]string{"mira", `{roster: [{jid: a@b, groups: [Friends, friends]}]}`}, bad: [2]string{"mira", `{roster: [{jid: a@b, groups: [Friends, Friends]}]}`}, message: "Duplicate value"},
		{what: "a user's property has a value each", kind: "ChatUser",
			good: [2]string{"mira", `{properties: [{key: a, value: b}, {key: A}]}`}, bad: [2]string{"mira", `{properties: [{key: a, value: b}, {key: a}]}`}, message: "Duplicate value"},
		{what: "a member is in a group once", kind: "ChatGroup",
			good: [2]string{"g", `{members: [a, b], admins: [a]}`}, bad: [2]string{"g", `{members: [a, a]}`}, message: "Duplicate value"},
		{what: "a person has one affiliation", kind: "ChatRoom",
			good: [2]string{"r", `{affiliations: [{jid: a@b, affiliation: Owner}]}`}, bad: [2]string{"r", `{affiliations: [{jid: a@b, affiliation: Owner}, {jid: a@b, affiliation: Outcast}]}`}, message: "Duplicate value"},
		{what: "a group has one affiliation", kind: "ChatRoom",
			good: [2]string{"r", `{groupAffiliations: [{group: Ops, affiliation: Owner}]}`}, bad: [2]string{"r", `{groupAffiliations: [{group: Ops, affiliation: Owner}, {group: Ops, affiliation: Member}]}`}, message: "Duplicate value"},
		{what: "a room holds so many people at most", kind: "ChatRoom",
			good: [2]string{"r", `{maxOccupants: 0}`}, bad: [2]string{"r", `{maxOccupants: -1}`}, message: "should be greater than or equal to 0"},
		{what: "roles are broadcast each once", kind: "ChatRoom",
			good: [2]string{"r", `{presenceBroadcast: []}`}, bad: [2]string{"r", `{presenceBroadcast: [Visitor, Visitor]}`}, message: "Duplicate value"},
		{what: "a shared roster has a mode", kind: "ChatGroup",
			good: [2]string{"g", `{sharedRoster: {mode: OnlyGroup, visibleTo: [Ops]}}`}, bad: [2]string{"g", `{sharedRoster: {visibleTo: [Ops]}}`}, message: "spec.sharedRoster.mode: Required value"},
	}
	for _, e := range []struct{ kind, field, format, good, bad string }{
		{"ChatUser", "subscription", "{roster: [{jid: a@b, subscription: %s}]}", "None To From Both", "both"},
		{"ChatUser", "inBandPolicy", "{inBandPolicy: %s}", "Deny Force", "deny"},
		{"ChatUser", "deletionPolicy", "{deletionPolicy: %s}", "Delete Retain", "Keep"},
		{"ChatGroup", "mode", "{sharedRoster: {mode: %s}}", "Nobody OnlyGroup Everybody", "nobody"},
		{"ChatGroup", "inBandPolicy", "{inBandPolicy: %s}", "Deny Force", "Allow"},
		{"ChatRoom", "affiliation", "{affiliations: [{jid: a@b, affiliation: %s}]}", "Owner Admin Member Outcast", "None"},
		{"ChatRoom", "affiliation", "{groupAffiliations: [{group: g, affiliation: %s}]}", "Owner Admin Member Outcast", "owner"},
		{"ChatRoom", "whoSeesJIDs", "{whoSeesJIDs: %s}", "Anyone Moderators", "Nobody"},
		{"ChatRoom", "privateMessages", "{privateMessages: %s}", "Anyone Participants Moderators None", "Owners"},
		{"ChatRoom", "presenceBroadcast", "{presenceBroadcast: [%s]}", "Moderator Participant Visitor", "moderator"},
		{"ChatRoom", "inBandPolicy", "{inBandPolicy: %s}", "Deny Force", "''"},
		{"ChatRoom", "deletionPolicy", "{deletionPolicy: %s}", "Delete Retain", "retain"},
		{"SystemProperty", "inBandPolicy", "{value: x, inBandPolicy: %s}", "Deny Force", "none"},
	} {
		for value := range strings.FieldsSeq(e.good) {
			cases = append(cases, ruleCase{what: e.field + " may be " + value, kind: e.kind, good: [2]string{"any", fmt.Sprintf(e.format, value)},
				bad: [2]string{"any", fmt.Sprintf(e.format, e.bad)}, message: "Unsupported value"})
		}
	}
	cases = append(cases, nameCases("ChatUser", "username", "")...)
	cases = append(cases, nameCases("ChatGroup", "groupName", "")...)
	cases = append(cases, nameCases("ChatRoom", "roomName", "")...)
	cases = append(cases, nameCases("SystemProperty", "key", ", value: x")...)
	cases = append(cases, localpartCases("ChatUser", "username", usernameMessage)...)
	cases = append(cases, localpartCases("ChatRoom", "roomName", roomNameMessage)...)
	cases = append(cases, jidCases("ChatUser", "{roster: [{jid: %s}]}", false, jidMessage)...)
	cases = append(cases, jidCases("ChatRoom", "{affiliations: [{jid: %s, affiliation: Owner}]}", false, jidMessage)...)
	cases = append(cases, jidCases("ChatGroup", "{members: [%s]}", true, memberMessage)...)
	return append(cases, jidCases("ChatGroup", "{admins: [%s]}", true, memberMessage)...)
}

// changeCases are about what an update may not change, as the spec before, after a change that passes, and after one that does not.
type changeCase struct {
	kind, name              string
	before, passes, refused string
	message                 string
}

func changeCases() []changeCase {
	const (
		user  = "a username cannot be changed: create another ChatUser and delete this one"
		group = "the name of a group cannot be changed: create another ChatGroup and delete this one"
		room  = "the name and the service of a room cannot be changed: create another ChatRoom and delete this one"
		key   = "the key of a property cannot be changed: create another SystemProperty and delete this one"
	)
	return []changeCase{
		{"ChatUser", "mira", `{}`, `{username: mira, locked: true}`, `{username: mira_o}`, user},
		{"ChatUser", "other", `{username: mira_o}`, `{username: mira_o, locked: true}`, `{}`, user},
		{"ChatUser", "twice", `{username: mira_p}`, `{username: mira_p}`, `{username: mira_q}`, user},
		{"ChatGroup", "ops", `{groupName: Ops}`, `{groupName: Ops, members: [mira]}`, `{groupName: OPS}`, group},
		{"ChatGroup", "plain", `{groupName: plain}`, `{}`, `{groupName: Plain}`, group},
		{"ChatRoom", "lobby", `{}`, `{roomName: lobby, service: conference}`, `{roomName: lobby_}`, room},
		{"ChatRoom", "hall", `{}`, `{subject: Welcome}`, `{service: workshop}`, room},
		{"ChatRoom", "yard", `{service: workshop}`, `{roomName: yard, service: workshop}`, `{}`, room},
		{"SystemProperty", "delay", `{key: accounts.purgeDelay, value: 48h}`, `{key: accounts.purgeDelay, value: 24h}`, `{value: 24h}`, key},
	}
}

func refusal(message string) OmegaMatcher {
	return SatisfyAll(
		WithTransform(apierrors.IsInvalid, BeTrue()),
		MatchError(ContainSubstring(message)))
}

var _ = Describe("Admission", func() {
	for i, c := range ruleCases() {
		It(fmt.Sprintf("of a %s: %s (%d)", c.kind, c.what, i), func(ctx context.Context) {
			Expect(admin.Create(ctx, object(c.kind, c.good[0], c.good[1]), client.DryRunAll)).To(Succeed())
			Expect(admin.Create(ctx, object(c.kind, c.bad[0], c.bad[1]), client.DryRunAll)).To(refusal(c.message))
		})
	}

	for _, c := range changeCases() {
		It(fmt.Sprintf("of a change to %s %s: the identity stays, written out or not", c.kind, c.name), func(ctx context.Context) {
			o := object(c.kind, c.name, c.before)
			Expect(admin.Create(ctx, o)).To(Succeed())
			for spec, matcher := range map[string]OmegaMatcher{c.passes: Succeed(), c.refused: refusal(c.message)} {
				fields := map[string]any{}
				Expect(yaml.Unmarshal([]byte(spec), &fields)).To(Succeed())
				changed := o.DeepCopy()
				changed.Object["spec"] = fields
				Expect(admin.Update(ctx, changed, client.DryRunAll)).To(matcher, spec)
			}
		})
	}

	It("is asked for every rule there is", func() {
		tried := map[string]bool{}
		for _, c := range ruleCases() {
			tried[c.kind+": "+c.message] = true
		}
		for _, c := range changeCases() {
			tried[c.kind+": "+c.message] = true
		}
		for _, crd := range definitions() {
			walkSchema("", rootSchema(crd), func(path string, schema *apiextensionsv1.JSONSchemaProps) {
				for _, rule := range schema.XValidations {
					Expect(rule.Message).NotTo(BeEmpty(), rule.Rule)
					Expect(tried).To(HaveKey(crd.Spec.Names.Kind+": "+rule.Message), "%s: no case in this file breaks the rule at %q", crd.Spec.Names.Kind, path)
				}
			})
		}
	})

	It("needs a spec where there is something to say", func(ctx context.Context) {
		o := object("SystemProperty", "a", "{}")
		delete(o.Object, "spec")
		Expect(admin.Create(ctx, o, client.DryRunAll)).To(refusal("spec: Required value"))
		o = object("ChatUser", "mira", "{}")
		delete(o.Object, "spec")
		Expect(admin.Create(ctx, o, client.DryRunAll)).To(Succeed())
	})
})

var _ = Describe("Lists at their limits", func() {
	long := func(i, size int) string {
		name := fmt.Sprintf("u%d-", i)
		return name + strings.Repeat("a", size-len(name)-len("@chat.example")) + "@chat.example"
	}
	list := func(n int, entry func(int) any) []any {
		entries := make([]any, n)
		for i := range entries {
			entries[i] = entry(i)
		}
		return entries
	}
	// The sizes are as large as etcd takes an object: 1.5 MiB.
	DescribeTable("are taken as long as they may be, and refused when longer",
		func(ctx context.Context, kind, field string, limit int, entry func(int) any) {
			o := object(kind, "large", "{}")
			o.Object["spec"].(map[string]any)[field] = list(limit, entry)
			Expect(admin.Create(ctx, o)).To(Succeed())
			more := object(kind, "larger", "{}")
			more.Object["spec"].(map[string]any)[field] = list(limit+1, entry)
			Expect(admin.Create(ctx, more, client.DryRunAll)).To(refusal(fmt.Sprintf("must have at most %d items", limit)))
		},
		Entry("members of a group", "ChatGroup", "members", 5000, func(i int) any { return long(i, 250) }),
		Entry("admins of a group", "ChatGroup", "admins", 5000, func(i int) any { return long(i, 250) }),
		Entry("affiliations of a room", "ChatRoom", "affiliations", 2000, func(i int) any {
			return map[string]any{"jid": long(i, 600), "affiliation": "Member"}
		}),
		Entry("groups of a room", "ChatRoom", "groupAffiliations", 500, func(i int) any {
			return map[string]any{"group": long(i, 255), "affiliation": "Member"}
		}),
		Entry("contacts of a user", "ChatUser", "roster", 1000, func(i int) any { return map[string]any{"jid": long(i, 1200)} }),
		Entry("properties of a user", "ChatUser", "properties", 128, func(i int) any {
			return map[string]any{"key": long(i, 255), "value": strings.Repeat("v", 4096)}
		}),
		Entry("properties of a group", "ChatGroup", "properties", 128, func(i int) any {
			return map[string]any{"key": long(i, 255), "value": strings.Repeat("v", 4096)}
		}),
	)
})
