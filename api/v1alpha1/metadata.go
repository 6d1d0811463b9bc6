package v1alpha1

// Names that the operator writes into, and reads from, the metadata of resources and Secrets.
const (
	// FieldManager is the one field manager of every write that the operator makes, whoever asked for it.
	FieldManager = "chat-operator"

	// ManagedByLabel marks what the operator made itself, on behalf of a REST or XMPP client: its value there is
	// ManagedBy. Resources without it were declared by somebody else.
	ManagedByLabel = "app.kubernetes.io/managed-by"
	// ManagedBy is the value of ManagedByLabel.
	ManagedBy = "chat-operator"

	// CreatedAtAnnotation carries the time (RFC 3339) at which a user, group or room came into being when that was
	// before its resource was made, as after an import. It is what status.createdAt shows then.
	CreatedAtAnnotation = "chat-operator.io/created-at"

	// RenamedFromAnnotation is on a ChatUser that takes the place of another until everything that named the other names it. Its value is the
	// other's username and uid, and a seal: only the operator can write it.
	RenamedFromAnnotation = "chat-operator.io/renamed-from"

	// RenamedByAnnotation is beside RenamedFromAnnotation. Its value says who asked for it, for the audit log, with a seal.
	RenamedByAnnotation = "chat-operator.io/renamed-by"

	// RenamedToAnnotation is on a ChatUser that another is about to take the place of. Its value is that one's username. Only the operator writes it.
	RenamedToAnnotation = "chat-operator.io/renamed-to"

	// AwaitsAnnotation is on a ChatUser that is not in force yet, since it takes the place of another one that is there still. Its value is that
	// one's name and uid, NAME/UID. Only the operator writes it.
	AwaitsAnnotation = "chat-operator.io/awaits"

	// ConfirmPurgeAnnotation, on the operator's own Secret, releases the purge brake. When more than a tenth of the accounts (and
	// at least ten) are gone and their data falls due, nothing is purged until somebody confirms it. Its value is a time
	// (RFC 3339): what was deleted up to then may be purged. The Event that reports the brake has the whole command. What is deleted
	// later is judged anew, so the annotation may stay.
	ConfirmPurgeAnnotation = "chat-operator.io/confirm-purge"

	// UserLabel is on every Secret that the operator made for a ChatUser; its value is the resource's metadata.name where
	// that fits a label value (63 characters), else a hash of it.
	UserLabel = "chat-operator.io/user"

	// RESTSecretLabel with the value "true" makes a Secret one of the shared secrets of the REST API.
	RESTSecretLabel = "chat-operator.io/rest-secret"
)

// Keys of a Secret's data that the operator reads and writes.
const (
	// PasswordKey holds a plain password as people, ExternalSecrets or SealedSecrets give it.
	PasswordKey = "password"
	// ScramSHA256Key holds a SCRAM-SHA-256 verifier, "SCRAM-SHA-256$4096:<salt>$<stored key>:<server key>".
	ScramSHA256Key = "scram-sha-256"
	// ScramSHA1Key holds a SCRAM-SHA-1 verifier of the same shape.
	ScramSHA1Key = "scram-sha-1"
	// RESTSecretKey holds a shared secret of the REST API: in the operator's own Secret, and in those with RESTSecretLabel.
	RESTSecretKey = "rest-secret"
	// RESTScopeKey says, beside it, what its holder may do: read-only, users, groups, rooms, or several of them with commas; everything without it.
	RESTScopeKey = "rest-scope"
)
