package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Affiliation is a lasting relation of a person to a room (XEP-0045 §5.2).
// +kubebuilder:validation:Enum=Owner;Admin;Member;Outcast
type Affiliation string

const (
	// AffiliationOwner may configure and destroy the room and change every affiliation.
	AffiliationOwner Affiliation = "Owner"
	// AffiliationAdmin may ban, and make members and moderators.
	AffiliationAdmin Affiliation = "Admin"
	// AffiliationMember may enter a members-only room.
	AffiliationMember Affiliation = "Member"
	// AffiliationOutcast is banned from the room.
	AffiliationOutcast Affiliation = "Outcast"
)

// WhoSeesJIDs says who learns the real addresses of a room's occupants.
// +kubebuilder:validation:Enum=Anyone;Moderators
type WhoSeesJIDs string

const (
	// WhoSeesJIDsAnyone makes the room non-anonymous.
	WhoSeesJIDsAnyone WhoSeesJIDs = "Anyone"
	// WhoSeesJIDsModerators makes the room semi-anonymous.
	WhoSeesJIDsModerators WhoSeesJIDs = "Moderators"
)

// PrivateMessages says who may send private messages to occupants through the room.
// +kubebuilder:validation:Enum=Anyone;Participants;Moderators;None
type PrivateMessages string

const (
	// PrivateMessagesAnyone lets every occupant send them.
	PrivateMessagesAnyone PrivateMessages = "Anyone"
	// PrivateMessagesParticipants lets those with a voice send them.
	PrivateMessagesParticipants PrivateMessages = "Participants"
	// PrivateMessagesModerators lets moderators send them.
	PrivateMessagesModerators PrivateMessages = "Moderators"
	// PrivateMessagesNone lets nobody send them.
	PrivateMessagesNone PrivateMessages = "None"
)

// PresenceRole is the role of an occupant whose presence is broadcast to the room.
// +kubebuilder:validation:Enum=Moderator;Participant;Visitor
type PresenceRole string

const (
	// PresenceRoleModerator is the role of who leads the room.
	PresenceRoleModerator PresenceRole = "Moderator"
	// PresenceRoleParticipant is the role of who may speak.
	PresenceRoleParticipant PresenceRole = "Participant"
	// PresenceRoleVisitor is the role of who may only listen, in a moderated room.
	PresenceRoleVisitor PresenceRole = "Visitor"
)

// ChatRoomSpec declares a room.
type ChatRoomSpec struct {
	// roomName is the part before the @ in the room's address. Absent, it is metadata.name. It cannot be changed later.
	//
	// Written in lower case, in any script, at most 1,023 bytes, without blanks and without " & ' / : < > @. Where it can be a
	// resource name (a lower-case DNS subdomain of at most 200 characters) and the room is of service "conference",
	// metadata.name has to be the same. Example: "lobby".
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1023
	// +kubebuilder:validation:XValidation:rule="self.matches('^[^A-Z\\\\x00-\\\\x20\\\\x7f\"&\\'/:<>@]+$')",message="a room name is written in lower case, without blanks and without any of \" & ' / : < > @; use displayName for the name that people see"
	RoomName *string `json:"roomName,omitempty"`

	// service is the chat service that the room belongs to: the first label of its host name, as in lobby@conference.chat.example.
	// Others are made by SystemProperties "xmpp.muc.service.NAME". It cannot be changed later. Default: "conference".
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="a service is one label of a host name: lower-case letters, digits and hyphens, beginning and ending with a letter or digit"
	Service *string `json:"service,omitempty"`

	// displayName is the name that people see, for example "The Lobby". At most 255 characters. Default: the room's name.
	// +optional
	// +kubebuilder:validation:MaxLength=255
	DisplayName *string `json:"displayName,omitempty"`

	// description of the room for people who look for one. At most 2,048 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Description *string `json:"description,omitempty"`

	// subject is set in the room whenever this field changes. What occupants set afterwards stays until it changes again:
	// the current subject is remembered by the room, not declared here. At most 2,048 characters; empty clears it.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Subject *string `json:"subject,omitempty"`

	// maxOccupants is how many people may be in the room at once; owners and admins get in all the same. 0 means no limit.
	// Default: 0.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000
	MaxOccupants *int32 `json:"maxOccupants,omitempty"`

	// passwordSecretRef names a Secret whose key "password" holds what people have to know to enter. Absent: no password.
	// +optional
	PasswordSecretRef *LocalSecretReference `json:"passwordSecretRef,omitempty"`

	// listed shows the room to everybody who asks the service for its rooms. Default: true.
	// +optional
	Listed *bool `json:"listed,omitempty"`

	// persistent keeps the room when nobody is in it. With false, the operator deletes this resource, and the room with
	// it, when the last occupant has left, unless it was declared by an apply or a tool such as Helm, Argo CD or Flux. Default: true.
	// +optional
	Persistent *bool `json:"persistent,omitempty"`

	// membersOnly lets nobody in but those with an affiliation of Member, Admin or Owner. Default: false.
	// +optional
	MembersOnly *bool `json:"membersOnly,omitempty"`

	// moderated lets only those speak who have a voice: members, admins, owners, and whom a moderator gives it.
	// Default: false.
	// +optional
	Moderated *bool `json:"moderated,omitempty"`

	// archived keeps the messages of the room, for occupants to look up later. Default: true.
	// +optional
	Archived *bool `json:"archived,omitempty"`

	// registrationEnabled lets occupants register with the room for a nickname of their own. Default: true.
	// +optional
	RegistrationEnabled *bool `json:"registrationEnabled,omitempty"`

	// nicknameRestricted lets those who registered a nickname enter under no other. Default: false.
	// +optional
	NicknameRestricted *bool `json:"nicknameRestricted,omitempty"`

	// canChangeSubject lets every participant change the subject, not moderators alone. Default: false.
	// +optional
	CanChangeSubject *bool `json:"canChangeSubject,omitempty"`

	// canInvite lets every occupant of a members-only room invite others (and make them members by it), not admins and owners
	// alone. Default: false.
	// +optional
	CanInvite *bool `json:"canInvite,omitempty"`

	// canChangeNickname lets occupants change their nickname while in the room. Default: true.
	// +optional
	CanChangeNickname *bool `json:"canChangeNickname,omitempty"`

	// whoSeesJIDs says who learns the real addresses behind the nicknames. Anyone: every occupant. Moderators: moderators
	// alone. Default: Moderators.
	// +optional
	WhoSeesJIDs *WhoSeesJIDs `json:"whoSeesJIDs,omitempty"`

	// privateMessages says who may send messages to single occupants through the room: Anyone, Participants (who have a voice),
	// Moderators or None. Default: Anyone.
	// +optional
	PrivateMessages *PrivateMessages `json:"privateMessages,omitempty"`

	// presenceBroadcast lists the roles whose coming and going is told to the room: Moderator, Participant, Visitor, each once. An
	// empty list tells nobody's. Default: all three.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=3
	PresenceBroadcast []PresenceRole `json:"presenceBroadcast,omitzero"`

	// affiliations are the lasting relations of people to the room: owners, admins, members, and outcasts, who are banned.
	// Each JID occurs once, at most 2,000. A room may do without an owner: users with spec.admin act as owners of every room.
	// +optional
	// +listType=map
	// +listMapKey=jid
	// +kubebuilder:validation:MaxItems=2000
	Affiliations []RoomAffiliation `json:"affiliations,omitempty"`

	// groupAffiliations give everybody in a ChatGroup an affiliation. Each group occurs once, at most 500. Where a person has
	// several affiliations, an entry of their own in affiliations holds, else Outcast, else the highest.
	// +optional
	// +listType=map
	// +listMapKey=group
	// +kubebuilder:validation:MaxItems=500
	GroupAffiliations []RoomGroupAffiliation `json:"groupAffiliations,omitempty"`

	// inBandPolicy says whether chat clients and the REST API may change this room. Absent: they may change what nobody
	// declared from outside (by kubectl apply, Helm, Argo CD, Flux, ...). Deny: they may change nothing. Force: they may change
	// everything, and the next apply from outside reports a conflict.
	// +optional
	InBandPolicy *InBandPolicy `json:"inBandPolicy,omitempty"`

	// deletionPolicy says what becomes of the room's remembered data (archive, subject, reserved nicknames) when this
	// resource is deleted. Delete: it is purged once the delay in system property accounts.purgeDelay (7 days) has passed; a
	// resource of the same name created before that gets it back. Retain: it is kept. Default: Delete.
	// +optional
	DeletionPolicy *DeletionPolicy `json:"deletionPolicy,omitempty"`
}

// RoomAffiliation gives a person an affiliation with a room.
type RoomAffiliation struct {
	// jid is the person's bare address, such as "mira@chat.example", written in lower case and without a resource. A host name
	// alone ("spam.example") stands for everybody there. At most 2,047 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2047
	// +kubebuilder:validation:Pattern=`^([^\x00-\x20\x7f"&'/:<>@]+@)?[^\x00-\x20\x7f"&'/<>@]+$`
	// +kubebuilder:validation:XValidation:rule="self == self.lowerAscii()",message="write the JID in lower case: capital letters mean the same address"
	JID string `json:"jid,omitempty"`

	// affiliation is Owner (configures the room), Admin (bans, makes members and moderators), Member (may enter a members-only
	// room, has a voice) or Outcast (is banned).
	// +required
	Affiliation Affiliation `json:"affiliation,omitempty"`
}

// RoomGroupAffiliation gives everybody in a group an affiliation with a room.
type RoomGroupAffiliation struct {
	// group is the name of a ChatGroup of this server: its groupName, exact and case-sensitive. It may not exist yet.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	Group string `json:"group,omitempty"`

	// affiliation of everybody in the group: Owner, Admin, Member or Outcast.
	// +required
	Affiliation Affiliation `json:"affiliation,omitempty"`
}

// ChatRoomStatus is what the operator reports about a room.
type ChatRoomStatus struct {
	CommonStatus `json:",inline"`

	// jid is the room's address, such as "lobby@conference.chat.example".
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2047
	JID *string `json:"jid,omitempty"`
}

// ChatRoom is a room of the chat server that this namespace is (XEP-0045): people enter it with any XMPP client at
// ROOMNAME@SERVICE.DOMAIN.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=croom,categories=chat
// +kubebuilder:validation:XValidation:rule="(has(self.spec.roomName) ? self.spec.roomName : self.metadata.name) == (has(oldSelf.spec.roomName) ? oldSelf.spec.roomName : oldSelf.metadata.name) && (has(self.spec.service) ? self.spec.service : 'conference') == (has(oldSelf.spec.service) ? oldSelf.spec.service : 'conference')",message="the name and the service of a room cannot be changed: create another ChatRoom and delete this one",fieldPath=".spec.roomName",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="has(self.spec.roomName) || !self.metadata.name.matches('(^|-)x[a-z2-7]{26}$')",message="a resource name that ends in x and 26 characters is reserved for encoded names: give spec.roomName, or choose another metadata.name",fieldPath=".spec.roomName",reason=FieldValueRequired
// +kubebuilder:validation:XValidation:rule="!has(self.spec.roomName) || has(self.spec.service) && self.spec.service != 'conference' || self.spec.roomName == self.metadata.name || size(self.spec.roomName) > 200 || !self.spec.roomName.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$') || self.spec.roomName.matches('(^|-)x[a-z2-7]{26}$')",message="metadata.name has to be the same as spec.roomName where that can be a resource name: change metadata.name, or leave spec.roomName out",fieldPath=".spec.roomName"
// +kubebuilder:printcolumn:name="JID",type=string,JSONPath=`.status.jid`,description="Address of the room"
// +kubebuilder:printcolumn:name="Display name",type=string,JSONPath=`.spec.displayName`,description="Name that people see",priority=1
// +kubebuilder:printcolumn:name="Listed",type=boolean,JSONPath=`.spec.listed`,description="Whether everybody can find the room",priority=1
// +kubebuilder:printcolumn:name="Members only",type=boolean,JSONPath=`.spec.membersOnly`,description="Whether only those with an affiliation get in"
// +kubebuilder:printcolumn:name="Resolved",type=string,JSONPath=`.status.conditions[?(@.type=="MembersResolved")].status`,description="Whether all that the room names exists"
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,description="Whether the room is in force"
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,description="Why it is, or is not"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ChatRoom struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is standard Kubernetes metadata. Its name is the room's name, unless spec.roomName says otherwise.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec declares the room. An empty one ("spec: {}") makes a lasting, listed room that everybody may enter.
	// +optional
	// +kubebuilder:default:={}
	Spec ChatRoomSpec `json:"spec,omitzero"` //nolint:kubeapilinter // a spec that is left out is an empty one

	// status is what the operator reports.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status ChatRoomStatus `json:"status,omitzero"`
}

// ChatRoomList is a list of ChatRooms.
// +kubebuilder:object:root=true
type ChatRoomList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ChatRoom `json:"items"`
}
