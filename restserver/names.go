package restserver

import (
	"net/http"
	"strings"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// prepareUsername makes the username that an account has of what a client wrote: any letter case, and
// with or without this server's domain.
func prepareUsername(name, domain string) (string, bool) {
	if local, host, ok := strings.Cut(name, "@"); ok {
		prepared, err := jid.PrepareDomain(host)
		if err != nil || prepared != domain {
			return "", false
		}
		name = local
	}
	prepared, err := jid.PrepareLocal(name)
	return prepared, err == nil && prepared != ""
}

// user finds the account of the path. What can be no username is simply not there for a GET, and
// a mistake of the caller for everything else.
func (c *call) user() (*directory.User, error) {
	name := c.params["username"]
	username, valid := prepareUsername(name, c.server.Domain)
	if !valid && c.request.Method != http.MethodGet && c.request.Method != http.MethodHead {
		return nil, badRequest("this can be no username: it is empty, too long, of another server, or has a character that usernames cannot have", name)
	}
	if valid {
		if u, ok := c.server.Directory.User(username); ok {
			return u, nil
		}
	}
	return nil, noUser(name)
}

func noUser(name string) *failure {
	return problem(http.StatusNotFound, userNotFound, "Could not get user", name)
}

// memberAddress reads who is or shall be in a group: a username of this server, or an address of any domain. Nobody checks that there is
// such a user.
func (s *Server) memberAddress(text string) (jid.JID, error) {
	text = strings.TrimSpace(text)
	if !strings.Contains(text, "@") {
		return jid.New(text, s.Domain, "")
	}
	j, err := jid.Parse(text)
	if err == nil && j.Local() == "" {
		return jid.JID{}, badRequest("this is nobody's address: it has nothing before the @", text)
	}
	return j.Bare(), err
}

// contactAddress reads a contact's address. A bare name is one of this server's users, though the
// original takes it for a domain; this server's domain and what is below it are domains.
func (s *Server) contactAddress(text string) (jid.JID, error) {
	text = strings.TrimSpace(text)
	host, _, _ := strings.Cut(text, "/")
	lower := strings.ToLower(host)
	if host == "" {
		return jid.JID{}, badRequest("this is no address of a contact: send one such as tobias@"+s.Domain, text)
	}
	if !strings.Contains(host, "@") && lower != s.Domain && !strings.HasSuffix(lower, "."+s.Domain) {
		j, err := jid.New(host, s.Domain, "")
		if err != nil {
			return jid.JID{}, err
		}
		return j, nil
	}
	j, err := jid.Parse(text)
	if err != nil {
		return jid.JID{}, err
	}
	return j.Bare(), nil
}
