package audit

import (
	"strings"

	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// Change is what may become of a declaration.
type Change uint8

// Changes.
const (
	Created Change = iota
	Changed
	Deleted
)

// Summary says, in the wording of Openfire's log, what became of something declared, by its identity.
func Summary(kind directory.Kind, change Change, identity string) string {
	words := [...]string{"created new user ", "edited user ", "deleted user "}
	switch kind {
	case directory.KindGroup:
		words = [...]string{"created new group ", "edited group ", "deleted group "}
	case directory.KindRoom:
		words = [...]string{"created new MUC room ", "updated MUC room ", "destroyed MUC room "}
		identity, _, _ = strings.Cut(identity, "@")
	case directory.KindProperty:
		words = [...]string{"set server property ", "Updated server property ", "deleted server property "}
	case directory.KindUser:
	}
	return words[change] + identity
}

// Service is the line that tells the service of a room, from its identity; none for other kinds.
func Service(kind directory.Kind, identity string) []string {
	if _, service, ok := strings.Cut(identity, "@"); ok && kind == directory.KindRoom {
		return []string{Detail("service", service)}
	}
	return nil
}
