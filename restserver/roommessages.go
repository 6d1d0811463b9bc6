package restserver

import "strings"

// sendToRoom is POST /messages/rooms/{roomName}: the room itself says something to everybody in it, and keeps it as it keeps what they say.
func sendToRoom(c *call) (answer, error) {
	info, err := c.room()
	if err != nil {
		return answer{}, err
	}
	var body string
	if c.body != nil {
		if body, err = c.body.Message(); err != nil {
			return answer{}, explain(err, refusal{})
		}
	}
	if strings.TrimSpace(body) == "" {
		return answer{}, badRequest("Message content/body is null or empty", "")
	}
	if err := c.server.Rooms.Say(c.ctx, info.Identity(), body); err != nil {
		return answer{}, c.keptTrouble(err)
	}
	c.record("send server message", detail("room", info.RoomName), detail("service", info.Service))
	return created()
}
