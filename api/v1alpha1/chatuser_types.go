package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Subscription says who sees whose presence between a user and a contact (RFC 6121 §2.1.2.5).
// +kubebuilder:validation:Enum=None;To;From;Both
type Subscription string

const (
	// SubscriptionNone means that neither sees the other's presence.
	SubscriptionNone Subscription = "None"
	// SubscriptionTo means that the user sees the contact's presence.
	SubscriptionTo Subscription = "To"
	// SubscriptionFrom means that the contact sees the user's presence.
	SubscriptionFrom Subscription = "From"
	// SubscriptionBoth means that each sees the other's presence.
	SubscriptionBoth Subscription = "Both"
)

// ChatUserSpec declares an account.
type ChatUserSpec struct {
	// username is the part before the @ in the user's address. Absent, it is metadata.name. It cannot be changed later.
	//
	// Written in lower case, in any script, at most 1,023 bytes, without blanks and without " & ' / : < > @. Where it can be a
	// resource name (a lower-case DNS subdomain of at most 200 characters), metadata.name has to be the same.
	// Example: "mira".
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1023
	// +kubebuilder:validation:XValidation:rule="self.matches('^[^A-Z\\\\x00-\\\\x20\\\\x7f\"&\\'/:<>@]+$')",message="a username is written in lower case, without blanks and without any of \" & ' / : < > @; use displayName for the name that people see"
	Username *string `json:"username,omitempty"`

	// displayName is the name that people see, for example "Mira Okafor". At most 255 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=255
	DisplayName *string `json:"displayName,omitempty"`

	// email address of the user, for people and programs to read; the server sends no mail. At most 320 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=320
	Email *string `json:"email,omitempty"`

	// locked shuts the account: all its sessions are closed at once and nobody can log in as this user, while everything that
	// belongs to it is kept. Default: false.
	// +optional
	Locked *bool `json:"locked,omitempty"`

	// admin makes the user an administrator of the chat server: may use the REST API with user name and password,
	// run administrative commands, and act as an owner in every room. Default: false.
	// +optional
	Admin *bool `json:"admin,omitempty"`

	// credentials say where the password comes from. Absent, the operator generates one and puts it into a Secret; its
	// name is then in status.binding.name.
	// +optional
	Credentials *UserCredentials `json:"credentials,omitempty"`

	// properties are free keys and values that programs keep with the user, at most 128. Each key occurs once.
	// +optional
	// +listType=map
	// +listMapKey=key
	// +kubebuilder:validation:MaxItems=128
	Properties []Property `json:"properties,omitempty"`

	// roster lists contacts that the user has without having to add them, at most 1,000. To the user's client they are one
	// list with the contacts added there, which the server remembers itself. Each JID occurs once.
	// +optional
	// +listType=map
	// +listMapKey=jid
	// +kubebuilder:validation:MaxItems=1000
	Roster []Contact `json:"roster,omitempty"`

	// inBandPolicy says whether chat clients and the REST API may change this user. Absent: they may change what nobody
	// declared from outside (by kubectl apply, Helm, Argo CD, Flux, ...). Deny: they may change nothing. Force: they may change
	// everything, and the next apply from outside reports a conflict.
	// +optional
	InBandPolicy *InBandPolicy `json:"inBandPolicy,omitempty"`

	// deletionPolicy says what becomes of the user's remembered data (contacts added by the client, archive, offline messages,
	// ...) when this resource is deleted. Delete: it is purged once the delay in system property accounts.purgeDelay (7
	// days) has passed; a resource of the same name created before that gets it back. Retain: it is kept. Default: Delete.
	// +optional
	DeletionPolicy *DeletionPolicy `json:"deletionPolicy,omitempty"`
}

// UserCredentials say where a user's password comes from.
type UserCredentials struct {
	// secretRef names the Secret that holds the credentials: either the key "password" with the plain password, or
	// SCRAM verifiers under "scram-sha-256" and "scram-sha-1" (RFC 5803), so that no plain password rests anywhere. A change of the
	// Secret's content is picked up at once.
	// +required
	SecretRef LocalSecretReference `json:"secretRef,omitzero"`
}

// Contact is a declared entry of a user's roster.
type Contact struct {
	// jid is the contact's bare address, such as "tobias@chat.example" or "weather.example", written in lower case and without
	// a resource. At most 2,047 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2047
	// +kubebuilder:validation:Pattern=`^([^\x00-\x20\x7f"&'/:<>@]+@)?[^\x00-\x20\x7f"&'/<>@]+$`
	// +kubebuilder:validation:XValidation:rule="self == self.lowerAscii()",message="write the JID in lower case: capital letters mean the same address"
	JID string `json:"jid,omitempty"`

	// nickname is the name under which the user sees the contact. At most 255 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=255
	Nickname *string `json:"nickname,omitempty"`

	// subscription says who sees whose presence. To: the user sees the contact's. From: the contact sees the user's. Both;
	// None. It is in force as declared, nobody is asked. For both sides of a local pair to agree, declare it in
	// both rosters. Default: None.
	// +optional
	Subscription *Subscription `json:"subscription,omitempty"`

	// groups are the headings under which the user's client shows the contact, for example "Friends". At most 32 of at most
	// 255 characters, each once.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=255
	Groups []string `json:"groups,omitempty"`
}

// ChatUserStatus is what the operator reports about a user.
type ChatUserStatus struct {
	CommonStatus `json:",inline"`

	// jid is the user's address, such as "mira@chat.example".
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2047
	JID *string `json:"jid,omitempty"`

	// binding names the Secret with which a program can log in as this user: the one of spec.credentials.secretRef, or the
	// generated one. It follows the "provisioned service" shape of servicebinding.io, so that tools can mount it.
	// +optional
	Binding *Binding `json:"binding,omitempty"`
}

// Binding names a Secret for programs that want to connect (servicebinding.io, "provisioned service").
type Binding struct {
	// name of the Secret, in this namespace.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
}

// ChatUser is an account of the chat server that this namespace is: whoever has its credentials logs in with any XMPP
// client, as USERNAME@DOMAIN.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=cuser,categories=chat
// +kubebuilder:validation:XValidation:rule="(has(self.spec.username) ? self.spec.username : self.metadata.name) == (has(oldSelf.spec.username) ? oldSelf.spec.username : oldSelf.metadata.name)",message="a username cannot be changed: create another ChatUser and delete this one",fieldPath=".spec.username",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="has(self.spec.username) || !self.metadata.name.matches('(^|-)x[a-z2-7]{26}$')",message="a resource name that ends in x and 26 characters is reserved for encoded names: give spec.username, or choose another metadata.name",fieldPath=".spec.username",reason=FieldValueRequired
// +kubebuilder:validation:XValidation:rule="!has(self.spec.username) || self.spec.username == self.metadata.name || size(self.spec.username) > 200 || !self.spec.username.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$') || self.spec.username.matches('(^|-)x[a-z2-7]{26}$')",message="metadata.name has to be the same as spec.username where that can be a resource name: change metadata.name, or leave spec.username out",fieldPath=".spec.username"
// +kubebuilder:printcolumn:name="JID",type=string,JSONPath=`.status.jid`,description="Address of the user"
// +kubebuilder:printcolumn:name="Display name",type=string,JSONPath=`.spec.displayName`,description="Name that people see",priority=1
// +kubebuilder:printcolumn:name="Admin",type=boolean,JSONPath=`.spec.admin`,description="Whether the user administers the server",priority=1
// +kubebuilder:printcolumn:name="Secret",type=string,JSONPath=`.status.binding.name`,description="Secret with the credentials",priority=1
// +kubebuilder:printcolumn:name="Locked",type=boolean,JSONPath=`.spec.locked`,description="Whether the account is shut"
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,description="Whether the user is in force"
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,description="Why it is, or is not"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ChatUser struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is standard Kubernetes metadata. Its name is the username, unless spec.username says otherwise.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec declares the account. An empty one ("spec: {}") is enough: the username is metadata.name then, and a
	// password is generated.
	// +optional
	// +kubebuilder:default:={}
	Spec ChatUserSpec `json:"spec,omitzero"` //nolint:kubeapilinter // a spec that is left out is an empty one

	// status is what the operator reports.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status ChatUserStatus `json:"status,omitzero"`
}

// ChatUserList is a list of ChatUsers.
// +kubebuilder:object:root=true
type ChatUserList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ChatUser `json:"items"`
}
