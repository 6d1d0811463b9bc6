package directory

import (
	"errors"
	"strings"

	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// ParseBare prepares an address that stands for somebody, or for everybody of a host.
func ParseBare(text string) (jid.JID, error) {
	j, err := jid.Parse(text)
	if err != nil {
		return jid.JID{}, err
	}
	if !j.IsBare() {
		return jid.JID{}, errors.New("an address without a resource is needed: leave out what follows the slash")
	}
	return j, nil
}

// ParseMember prepares an entry of a group: a username of this server, or a bare address.
func ParseMember(text, domain string) (jid.JID, error) {
	if strings.Contains(text, "@") {
		return ParseBare(text)
	}
	return jid.New(text, domain, "")
}

// FormatMember writes a member as declarations do: the username alone where it is one of this server.
func FormatMember(j jid.JID, domain string) string {
	if j.Domain() == domain && j.Local() != "" {
		return j.Local()
	}
	return j.String()
}
