package restserver

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/chat-operator/chat-operator/restserver/entity"
	"github.com/chat-operator/chat-operator/xmpp"
)

// readMessage reads the text of a message, which has to be there.
func (c *call) readMessage(resource string) (string, error) {
	empty := badRequest("Message content/body is null or empty", resource)
	if c.body == nil {
		return "", empty
	}
	body, err := c.body.Message()
	switch {
	case err != nil:
		return "", err
	case body == "":
		return "", empty
	}
	return body, nil
}

// broadcast is POST /messages/users: to everybody who is connected.
func broadcast(c *call) (answer, error) {
	body, err := c.readMessage("")
	if err != nil {
		return answer{}, err
	}
	n, err := c.server.Messages.Broadcast(body)
	if err != nil {
		return answer{}, explain(err, refusal{})
	}
	c.record("send server message", detail("sessions", strconv.Itoa(n)))
	return created()
}

// sendMessage is POST /messages/users/{username}: to one user, who gets it later when nobody is there for it. What is said to one person
// is not repeated in the audit log.
func sendMessage(c *call) (answer, error) {
	u, err := c.user()
	if err != nil {
		return answer{}, err
	}
	name := c.params["username"]
	body, err := c.readMessage(name)
	if err != nil {
		return answer{}, err
	}
	err = c.server.Messages.SendMessage(c.ctx, u.Username, body)
	if errors.Is(err, xmpp.ErrNotTaken) {
		f := problem(http.StatusServiceUnavailable, serviceUnavailable, xmpp.ErrNotTaken.Error()+": try again later", name)
		f.retryAfter, f.cause = time.Minute, err
		return answer{}, f
	}
	if err := c.userTrouble(err); err != nil {
		return answer{}, err
	}
	c.record("send server message to " + u.Username)
	return created()
}

// countUnread is GET /archive/messages/unread/{jid}: what waits for a user who is offline.
func countUnread(c *call) (answer, error) {
	name := c.params["jid"]
	j, err := c.server.contactAddress(name)
	if err != nil {
		return answer{}, explain(err, refusal{resource: name})
	}
	count := 0
	if j.Domain() == c.server.Domain && j.Local() != "" {
		if count, err = c.server.Messages.Unread(c.ctx, j.Local()); err != nil {
			return answer{}, err
		}
	}
	return ok(entity.Unread{JID: name, Count: count})
}
