package restserver

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/chat-operator/chat-operator/restserver/entity"
	"github.com/chat-operator/chat-operator/xmpp/muc"
	"github.com/chat-operator/chat-operator/xmpp/muc/room"
)

// listParticipants is GET /chatrooms/{roomName}/participants: the occupants in the role of a participant.
func listParticipants(c *call) (answer, error) {
	info, err := c.room()
	if err != nil {
		return answer{}, err
	}
	list := filter(c.server.Rooms.Occupants(info.Identity()), func(o room.Occupant) bool { return o.Role == room.Participant })
	return listOf(c, list, func(part []room.Occupant) entity.Entity {
		shown := make(entity.Participants, len(part))
		for i, o := range part {
			shown[i] = entity.Participant{JID: o.Address.String(), Role: o.Role.String(), Affiliation: o.Affiliation.String()}
		}
		return shown
	})
}

// listOccupants is GET /chatrooms/{roomName}/occupants: everybody in the room, each session with its own address.
func listOccupants(c *call) (answer, error) {
	info, err := c.room()
	if err != nil {
		return answer{}, err
	}
	var list entity.Occupants
	for _, o := range c.server.Rooms.Occupants(info.Identity()) {
		for _, session := range o.Sessions {
			list = append(list, entity.Occupant{
				JID: o.Address.String(), UserAddress: session.String(), Role: o.Role.String(), Affiliation: o.Affiliation.String(),
			})
		}
	}
	return listOf(c, list, func(part []entity.Occupant) entity.Entity { return entity.Occupants(part) })
}

// maxHistory is how many messages one answer has.
const maxHistory = 1000

// listHistory is GET /chatrooms/{roomName}/chathistory: what the room keeps for those who enter. With limit, and before, it goes back into the archive
// as far as there is one; offset passes over the last messages.
func listHistory(c *call) (answer, error) {
	info, err := c.room()
	if err != nil {
		return answer{}, err
	}
	p := muc.HistoryPage{}
	if p.Skip, err = natural(c.query, "offset", 0); err != nil {
		return answer{}, err
	}
	if p.Most, err = natural(c.query, "limit", -1); err != nil {
		return answer{}, err
	}
	p.Most = min(p.Most, maxHistory)
	if before, _ := c.query.get("before"); before != "" {
		var valid bool
		if p.Before, valid = moment(before); !valid {
			return answer{}, badRequest("before has to be a date and time such as 2031-04-05T04:07:08.123Z, or milliseconds since 1970", "before")
		}
	}
	said, total, err := c.server.Rooms.History(c.ctx, info, p)
	if err != nil {
		return answer{}, explain(err, refusal{resource: c.params["roomName"]})
	}
	list := make(entity.RoomMessages, len(said))
	for i := range said {
		list[i] = messageEntity(&said[i])
	}
	return answer{status: http.StatusOK, entity: list, isList: true, total: total}, nil
}

// messageEntity shows who said something: the user where the room hides nobody, else the occupant, and nobody where it was the room.
func messageEntity(s *muc.Said) entity.RoomMessage {
	m := entity.RoomMessage{From: s.From.String(), Type: "groupchat", Body: s.Body, DelayStamp: s.Time.UTC().Format("2006-01-02T15:04:05.000Z")}
	switch {
	case !s.Real.IsZero():
		m.DelayFrom = s.Real.String()
	case s.From.IsFull():
		m.DelayFrom = m.From
	}
	return m
}

// moment reads a date and time as answers have it, or as JSON has it: milliseconds since 1970. One without an offset is this server's time.
func moment(text string) (time.Time, bool) {
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil {
		const most = 253402300799999 // the end of the year 9999
		return time.UnixMilli(ms), ms >= 0 && ms <= most
	}
	text = strings.ReplaceAll(text, " ", "+") // a plus that was not escaped
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	t, err := time.ParseInLocation("2006-01-02T15:04:05.999999999", text, time.Local)
	return t, err == nil
}
