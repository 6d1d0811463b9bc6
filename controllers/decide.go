package controllers

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/controllers/provision"
	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// Decisions: pure functions from what was gathered to conditions.

// claim is how a resource stands to the chat name that it declares.
type claim struct {
	// Name is the chat name, for messages.
	Name string
	// Holder is the resource that holds it; empty: the projection has not told yet.
	Holder string
	// Own says that it is this one.
	Own bool
}

// findings says what there is to say about a claim; nil: all is well.
func (c claim) findings() []finding {
	switch {
	case c.Own:
		return nil
	case c.Holder == "":
		return []finding{{v1alpha1.ReasonPending, "The operator is taking this resource in. Nothing needs to be done."}}
	}
	return []finding{{v1alpha1.ReasonNameConflict, fmt.Sprintf(
		"The older resource %q holds the name %q, and this one is not in force. Delete one of the two.", c.Holder, c.Name)}}
}

func found(problems []problem) []finding {
	list := make([]finding, 0, len(problems))
	for _, p := range problems {
		list = append(list, finding(p))
	}
	return list
}

// userInputs is what the conditions of a ChatUser follow from.
type userInputs struct {
	Problems []problem
	Claim    claim
	// Address is the user's JID.
	Address string
	Locked  bool
	Secret  secretInputs
	// Awaits says that it takes the place of another account that is there still.
	Awaits bool
	// Forged says that it only pretends to.
	Forged bool
}

// secretInputs is how the Secret of a user stands.
type secretInputs struct {
	// Name is that of the Secret; Generated says that the resource names none.
	Name      string
	Generated bool
	// Found says that it is there; Invalid, why it cannot be used.
	Found   bool
	Invalid error
	// Replaced says that verifiers of another password are in a generated one.
	Replaced bool
	// Deferred says that no password is generated before the name is this resource's.
	Deferred bool
	// Foreign is set when somebody else's Secret is in the way of a generated one.
	Foreign *provision.ForeignSecretError
}

// decideUser makes the conditions of a ChatUser.
func decideUser(in userInputs) []metav1.Condition {
	findings := found(in.Problems)
	if in.Forged {
		findings = append(findings, finding{v1alpha1.ReasonInvalidValue, shorten(fmt.Sprintf("metadata.annotations: %v.", provision.ErrForged), maxMessage)})
	}
	switch {
	case in.Awaits:
		findings = append(findings, finding{v1alpha1.ReasonPending, "An account is being renamed to this one. Nothing needs to be done."})
	case !invalidly(in.Problems, v1alpha1.ReasonInvalidName):
		findings = append(findings, in.Claim.findings()...)
	}
	credentials := in.Secret.finding()
	ready := metav1.Condition{
		Type: v1alpha1.ConditionCredentialsReady, Status: metav1.ConditionFalse, Reason: credentials.Reason, Message: credentials.Message,
	}
	if credentials.Reason == v1alpha1.ReasonSecretFound || credentials.Reason == v1alpha1.ReasonSecretGenerated {
		ready.Status = metav1.ConditionTrue
	} else {
		findings = append(findings, credentials)
	}
	if len(findings) == 0 {
		message := "The account can log in." // one text for thousands, which share it
		if in.Locked {
			message = fmt.Sprintf("%s is locked: nobody can log in. Set spec.locked to false to open it.", in.Address)
		}
		findings = []finding{active(message)}
	}
	return conditionsOf(gravest(findings), ready)
}

func (s secretInputs) finding() finding {
	switch {
	case s.Foreign != nil:
		return finding{v1alpha1.ReasonSecretInvalid, s.Foreign.Error() + "."}
	case !s.Found && s.Generated && s.Deferred:
		return finding{v1alpha1.ReasonPending, "A password is generated once the name is this resource's."}
	case !s.Found && s.Generated:
		return finding{v1alpha1.ReasonPending, fmt.Sprintf("A password is being generated into Secret %q. Nothing needs to be done.", s.Name)}
	case !s.Found:
		return finding{v1alpha1.ReasonSecretNotFound, fmt.Sprintf(
			"Secret %q does not exist yet: create it with a key password, or remove spec.credentials to have a password generated.", s.Name)}
	case s.Invalid != nil && s.Generated:
		return finding{v1alpha1.ReasonSecretInvalid, fmt.Sprintf("Secret %q cannot be used: %v. Correct it, or delete it to have a password generated.", s.Name, s.Invalid)}
	case s.Invalid != nil:
		return finding{v1alpha1.ReasonSecretInvalid, fmt.Sprintf("Secret %q cannot be used: %v. Correct the Secret.", s.Name, s.Invalid)}
	case s.Generated && s.Replaced:
		return finding{v1alpha1.ReasonSecretGenerated, "Another password was set, by REST or by hand, in place of the generated one. The Secret that status.binding names " +
			"holds verifiers of it and no password. Delete that Secret to have a password generated."}
	case s.Generated:
		return finding{v1alpha1.ReasonSecretGenerated, "The Secret that status.binding names holds the generated password."}
	}
	return finding{v1alpha1.ReasonSecretFound, "The Secret holds usable credentials."}
}

// propertyInputs is what the conditions of a SystemProperty follow from.
type propertyInputs struct {
	Claim claim
	// Missing says what the value's Secret lacks; empty: nothing.
	Missing string
	// Invalid says why the value cannot take effect.
	Invalid error
	// Known keys are honoured by the server; Live ones without a restart.
	Known, Live bool
	// Ours says that an unknown key begins like one of the server's; Similar is the known key that it resembles, empty if there is none.
	Ours    bool
	Similar string
}

// decideProperty makes the conditions of a SystemProperty.
func decideProperty(in propertyInputs) []metav1.Condition {
	findings := in.Claim.findings()
	if in.Missing != "" {
		findings = append(findings, finding{v1alpha1.ReasonSecretNotFound, in.Missing})
	} else if in.Invalid != nil {
		findings = append(findings, finding{v1alpha1.ReasonInvalidValue,
			fmt.Sprintf("%v. The last good value stays in force. Correct the value.", in.Invalid)})
	}
	if len(findings) == 0 {
		findings = []finding{in.wellFormed()}
	}
	return conditionsOf(gravest(findings))
}

// wellFormed says what comes of a value that nothing is wrong with.
func (in propertyInputs) wellFormed() finding {
	const kept = "The server does not know this key, and keeps its value for programs that do."
	switch {
	case in.Similar != "":
		return finding{v1alpha1.ReasonUnknownKey, fmt.Sprintf("%s It resembles %s: if that is meant, create a property of that key and delete this one.", kept, in.Similar)}
	case in.Ours:
		return finding{v1alpha1.ReasonUnknownKey, kept + " It begins like a key of the server: if one is meant, docs/reference/properties.md lists them all."}
	case !in.Known:
		return active(kept)
	case !in.Live:
		return active("The value is in force after the next restart.")
	}
	return active("The value is in force.")
}

// namedInputs is what the conditions of a ChatGroup or ChatRoom follow from.
type namedInputs struct {
	Problems []problem
	Claim    claim
	// Secret is how a room's password stands; nil: there is nothing to say.
	Secret *finding
	// NoService names the chat service that a room is in and that is not there; empty: it is.
	NoService string
	// Members are whom the resource names.
	Members members
	// Active is the message of a resource in force.
	Active string
}

// decideNamed makes the conditions of a ChatGroup or ChatRoom.
func decideNamed(in namedInputs) []metav1.Condition {
	findings := found(in.Problems)
	if !invalidly(in.Problems, v1alpha1.ReasonInvalidName) {
		findings = append(findings, in.Claim.findings()...)
	}
	if in.Secret != nil {
		findings = append(findings, *in.Secret)
	}
	if in.NoService != "" {
		findings = append(findings, finding{v1alpha1.ReasonServiceNotFound, fmt.Sprintf(
			"There is no chat service %q, and nobody reaches the room: create a SystemProperty %q whose value is the name that people see.",
			in.NoService, directory.RoomServicePrefix+in.NoService)})
	}
	if len(findings) == 0 {
		findings = []finding{active(in.Active)}
	}
	return conditionsOf(gravest(findings), membersResolved(in.Members))
}

// maxNamed is how many names a message lists.
const maxNamed = 10

// membersResolved reports names that mean nobody yet. They are applied all the same: whoever they mean may come. Of addresses of other domains nothing
// is known; they are told, since one may be meant for a user of this server.
func membersResolved(n members) metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.ConditionMembersResolved, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonAllResolved, Message: "Everybody who is named exists."}
	elsewhere := ""
	if len(n.elsewhere) > 0 {
		elsewhere = fmt.Sprintf(" Nobody looks whether there is anybody of other domains than %s: %s.", n.domain, enumerate(n.elsewhere))
		c.Message = shorten("Everybody of this server who is named exists."+elsewhere, maxMessage)
	}
	if len(n.unknown) == 0 {
		return c
	}
	c.Status, c.Reason = metav1.ConditionFalse, v1alpha1.ReasonUnknownMembers
	c.Message = shorten(fmt.Sprintf("Not there (yet): %s. What is declared of them is in force and acts when they come. Create them, or correct the names.%s",
		enumerate(n.unknown), elsewhere), maxMessage)
	return c
}

// enumerate lists the first of some names, and says how many there are.
func enumerate(names []string) string {
	first := names[:min(len(names), maxNamed)]
	text := strings.Join(first, ", ")
	if rest := len(names) - len(first); rest > 0 {
		text += fmt.Sprintf(" and %d more", rest)
	}
	return text
}

func invalidly(problems []problem, reason string) bool {
	for _, p := range problems {
		if p.Reason == reason {
			return true
		}
	}
	return false
}
