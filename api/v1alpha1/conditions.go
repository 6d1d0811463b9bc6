package v1alpha1

// Types of conditions in status.conditions. Ready is on every resource that the operator has looked at; CredentialsReady on
// every ChatUser; MembersResolved on every ChatGroup and ChatRoom; Reconciling and Stalled (kstatus) only while they are True.
const (
	// ConditionReady is True when the chat server works by this resource as it stands. Its reason and message are
	// those of the most important thing that keeps it from being so.
	ConditionReady = "Ready"
	// ConditionCredentialsReady is True when the user can log in with what the Secret holds.
	ConditionCredentialsReady = "CredentialsReady"
	// ConditionMembersResolved is True when every local user and group that the resource names exists. False is no
	// fault: an unknown member is kept, and counts from the moment it exists.
	ConditionMembersResolved = "MembersResolved"
	// ConditionReconciling is True while the operator is at work or waits for something that can come by itself.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is True while only a change to this resource, its Secret or a rival resource can help.
	ConditionStalled = "Stalled"
)

// Reasons of conditions.
const (
	// ReasonActive says that the resource is in force.
	ReasonActive = "Active"
	// ReasonUnknownKey says that the key of a system property begins like those of the server, but is none of them. The value is kept for programs that
	// read it, which is all that it does: often the key is misspelled, and the message names the one that it resembles.
	ReasonUnknownKey = "UnknownKey"
	// ReasonPending says that the operator has not finished with this generation yet. Nothing needs to be done.
	ReasonPending = "Pending"
	// ReasonNameConflict says that an older resource of the same kind holds the same chat name. This one is not in force, and takes
	// over when the other is deleted.
	ReasonNameConflict = "NameConflict"
	// ReasonInvalidName says that the chat name is no valid part of an XMPP address (RFC 7622). Names cannot be changed:
	// create another resource and delete this one.
	ReasonInvalidName = "InvalidName"
	// ReasonInvalidValue says that a field's value cannot be used; the message names the field. The rest is in force: of a system
	// property the last good value, of a list what is good in it.
	ReasonInvalidValue = "InvalidValue"
	// ReasonSecretNotFound says that the Secret the resource names, or the key in it, does not exist yet.
	ReasonSecretNotFound = "SecretNotFound"
	// ReasonServiceNotFound says that there is no chat service of the name that the room is in.
	ReasonServiceNotFound = "ServiceNotFound"
	// ReasonSecretInvalid says that the Secret exists, but holds nothing that can be used: neither a password nor
	// well-formed SCRAM verifiers.
	ReasonSecretInvalid = "SecretInvalid"
	// ReasonSecretFound (CredentialsReady) says that the named Secret holds usable credentials.
	ReasonSecretFound = "SecretFound"
	// ReasonSecretGenerated (CredentialsReady) says that the operator made a password; status.binding.name is its Secret.
	ReasonSecretGenerated = "SecretGenerated"
	// ReasonAllResolved (MembersResolved) says that every local user and group named exists.
	ReasonAllResolved = "AllResolved"
	// ReasonUnknownMembers (MembersResolved) says that local users or groups are named that do not exist (yet). The
	// message lists the first of them.
	ReasonUnknownMembers = "UnknownMembers"
)
