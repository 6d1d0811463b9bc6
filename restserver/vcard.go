package restserver

import (
	"errors"
	"net/http"
	"strings"

	"github.com/chat-operator/chat-operator/restserver/entity"
	"github.com/chat-operator/chat-operator/xmpp/directory"
)

const couldNotParseVCard = "Could not parse the provided data as a vCard"

// checkOwnUser refuses an address of another server, of whose users there are no vCards here.
func (c *call) checkOwnUser() error {
	name := c.params["username"]
	if _, valid := prepareUsername(name, c.server.Domain); !valid && strings.Contains(name, "@") {
		return problem(http.StatusBadRequest, userNotFound, "this service is not for users of other servers", name)
	}
	return nil
}

// getVCard is GET /users/{username}/vcard: no content when there is none, and for a user who doesn't exist.
func getVCard(c *call) (answer, error) {
	if err := c.checkOwnUser(); err != nil {
		return answer{}, err
	}
	name := c.params["username"]
	username, valid := prepareUsername(name, c.server.Domain)
	if !valid {
		return answer{}, noUser(name)
	}
	card, err := c.server.VCards.VCard(c.ctx, username)
	if err != nil {
		return answer{}, err
	}
	if len(card) == 0 {
		return answer{status: http.StatusNoContent}, nil
	}
	e, err := entity.ReadVCard("", card)
	if err != nil {
		// What is kept was read before it was written: the caller has made no mistake.
		return answer{}, &failure{
			status: http.StatusInternalServerError, exception: "InternalServerErrorException",
			message: "the server failed: its log says why", resource: name, cause: err,
		}
	}
	c.format = entity.XML // whatever the request likes better
	return ok(e)
}

// setVCard is PUT /users/{username}/vcard.
func setVCard(c *call) (answer, error) {
	if err := c.checkOwnUser(); err != nil {
		return answer{}, err
	}
	u, err := c.user()
	if err != nil {
		return answer{}, err
	}
	e, err := entity.ReadVCard(c.charset, c.document)
	if err != nil {
		return answer{}, badRequest(couldNotParseVCard+": "+err.Error(), c.params["username"])
	}
	if err := c.putVCard(u.Username, e.Bytes(), "updated vCard of "); err != nil {
		return answer{}, err
	}
	return done()
}

// deleteVCard is DELETE /users/{username}/vcard, also for a user who has none or doesn't exist.
func deleteVCard(c *call) (answer, error) {
	if err := c.checkOwnUser(); err != nil {
		return answer{}, err
	}
	username, valid := prepareUsername(c.params["username"], c.server.Domain)
	if !valid {
		_, err := c.user()
		return answer{}, err
	}
	card, err := c.server.VCards.VCard(c.ctx, username)
	if err != nil {
		return answer{}, err
	}
	if len(card) > 0 {
		if err := c.putVCard(username, nil, "deleted vCard of "); err != nil {
			return answer{}, err
		}
	}
	return done()
}

// putVCard has a vCard kept and records it.
func (c *call) putVCard(username string, card []byte, summary string) error {
	err := c.server.VCards.SetVCard(c.ctx, username, card)
	if took(err) {
		c.record(summary + username)
	}
	if invalid, ok := errors.AsType[*directory.InvalidError](err); ok {
		return badRequest(couldNotParseVCard+": "+invalid.Error(), c.params["username"])
	}
	return c.userTrouble(err)
}
