package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SharedRosterMode says in whose contact list the members of a group appear by themselves.
// +kubebuilder:validation:Enum=Nobody;OnlyGroup;Everybody
type SharedRosterMode string

const (
	// SharedRosterNobody puts the members into no contact list.
	SharedRosterNobody SharedRosterMode = "Nobody"
	// SharedRosterOnlyGroup puts the members into each other's contact lists, and into those of the groups of visibleTo.
	SharedRosterOnlyGroup SharedRosterMode = "OnlyGroup"
	// SharedRosterEverybody puts the members into the contact list of every user of this server.
	SharedRosterEverybody SharedRosterMode = "Everybody"
)

// ChatGroupSpec declares a group.
type ChatGroupSpec struct {
	// groupName is the group's name, exact and case-sensitive, in any script, at most 255 characters. Absent, it is metadata.name.
	// It cannot be changed later. Where it can be a resource name (a lower-case DNS subdomain of at most 200
	// characters), metadata.name has to be the same. Example: "Night Shift".
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule="self.matches('^[^\\\\x00-\\\\x1f\\\\x7f]+$')",message="a group name has no control characters such as tabs and line feeds"
	GroupName *string `json:"groupName,omitempty"`

	// displayName is the heading under which the members appear in shared contact lists. At most 255 characters. Default:
	// the group's name.
	// +optional
	// +kubebuilder:validation:MaxLength=255
	DisplayName *string `json:"displayName,omitempty"`

	// description of the group for people. At most 2,048 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Description *string `json:"description,omitempty"`

	// members of the group: usernames of this server ("mira") or bare JIDs ("tobias@other.example"), in lower case, each
	// once, at most 5,000. Users that do not exist yet may be named; condition MembersResolved reports them.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=5000
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=1023
	// +kubebuilder:validation:items:Pattern=`^([^\x00-\x20\x7f"&'/:<>@]+@)?[^\x00-\x20\x7f"&'/<>@]+$`
	// +kubebuilder:validation:items:XValidation:rule="self == self.lowerAscii()",message="write usernames and JIDs in lower case: capital letters mean the same address"
	Members []string `json:"members,omitempty"`

	// admins of the group, written like members, each once, at most 5,000. An admin is a member as well; naming a user in both lists
	// does no harm.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=5000
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=1023
	// +kubebuilder:validation:items:Pattern=`^([^\x00-\x20\x7f"&'/:<>@]+@)?[^\x00-\x20\x7f"&'/<>@]+$`
	// +kubebuilder:validation:items:XValidation:rule="self == self.lowerAscii()",message="write usernames and JIDs in lower case: capital letters mean the same address"
	Admins []string `json:"admins,omitempty"`

	// selector adds every ChatUser of this namespace whose labels match, and keeps following them. Absent: no user is added
	// by label. An empty selector ("{}") matches all users.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`

	// properties are free keys and values that programs keep with the group, at most 128. Each key occurs once.
	// +optional
	// +listType=map
	// +listMapKey=key
	// +kubebuilder:validation:MaxItems=128
	Properties []Property `json:"properties,omitempty"`

	// sharedRoster puts the members into contact lists by themselves. Absent: into nobody's.
	// +optional
	SharedRoster *SharedRoster `json:"sharedRoster,omitempty"`

	// inBandPolicy says whether chat clients and the REST API may change this group. Absent: they may change what nobody
	// declared from outside (by kubectl apply, Helm, Argo CD, Flux, ...). Deny: they may change nothing. Force: they may change
	// everything, and the next apply from outside reports a conflict.
	// +optional
	InBandPolicy *InBandPolicy `json:"inBandPolicy,omitempty"`
}

// SharedRoster says in whose contact list the members of a group appear.
type SharedRoster struct {
	// mode says who has the members as contacts. Nobody: no one. OnlyGroup: the members each other, and the members of the
	// groups in visibleTo. Everybody: every user of this server.
	// +required
	Mode SharedRosterMode `json:"mode,omitempty"`

	// visibleTo lists names of further groups whose members have this group's members as contacts, each once, at most 100. It acts
	// only with mode OnlyGroup.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=255
	VisibleTo []string `json:"visibleTo,omitempty"`
}

// ChatGroupStatus is what the operator reports about a group.
type ChatGroupStatus struct {
	CommonStatus `json:",inline"`

	// groupName is the name of the group as the server knows it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	GroupName *string `json:"groupName,omitempty"`
}

// ChatGroup is a named set of users of the chat server that this namespace is. Rooms admit groups, and a group can put its members into
// each other's contact lists.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=cgroup,categories=chat
// +kubebuilder:validation:XValidation:rule="(has(self.spec.groupName) ? self.spec.groupName : self.metadata.name) == (has(oldSelf.spec.groupName) ? oldSelf.spec.groupName : oldSelf.metadata.name)",message="the name of a group cannot be changed: create another ChatGroup and delete this one",fieldPath=".spec.groupName",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="has(self.spec.groupName) || !self.metadata.name.matches('(^|-)x[a-z2-7]{26}$')",message="a resource name that ends in x and 26 characters is reserved for encoded names: give spec.groupName, or choose another metadata.name",fieldPath=".spec.groupName",reason=FieldValueRequired
// +kubebuilder:validation:XValidation:rule="!has(self.spec.groupName) || self.spec.groupName == self.metadata.name || size(self.spec.groupName) > 200 || !self.spec.groupName.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$') || self.spec.groupName.matches('(^|-)x[a-z2-7]{26}$')",message="metadata.name has to be the same as spec.groupName where that can be a resource name: change metadata.name, or leave spec.groupName out",fieldPath=".spec.groupName"
// +kubebuilder:printcolumn:name="Group",type=string,JSONPath=`.status.groupName`,description="Name of the group"
// +kubebuilder:printcolumn:name="Shared",type=string,JSONPath=`.spec.sharedRoster.mode`,description="In whose contact lists the members appear"
// +kubebuilder:printcolumn:name="Description",type=string,JSONPath=`.spec.description`,description="What the group is for",priority=1
// +kubebuilder:printcolumn:name="Resolved",type=string,JSONPath=`.status.conditions[?(@.type=="MembersResolved")].status`,description="Whether all that the group names exists"
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,description="Whether the group is in force"
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,description="Why it is, or is not"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ChatGroup struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is standard Kubernetes metadata. Its name is the group's name, unless spec.groupName says otherwise.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec declares the group.
	// +optional
	// +kubebuilder:default:={}
	Spec ChatGroupSpec `json:"spec,omitzero"` //nolint:kubeapilinter // a spec that is left out is an empty one

	// status is what the operator reports.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status ChatGroupStatus `json:"status,omitzero"`
}

// ChatGroupList is a list of ChatGroups.
// +kubebuilder:object:root=true
type ChatGroupList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ChatGroup `json:"items"`
}
