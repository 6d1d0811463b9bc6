package restserver

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/chat-operator/chat-operator/restserver/entity"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/muc"
)

const (
	// keepRetry is a good time to try again what could not be kept.
	keepRetry          = time.Second
	couldNotCreateRoom = "Could not create the channel"
	couldNotUpdateRoom = "Could not update the channel"
)

// roomName is what a room is called in the body or in the path, prepared.
func roomName(name string) (string, bool) {
	local, err := jid.PrepareLocal(name)
	return local, err == nil && local != ""
}

// room finds the room of the path. What can be no name of a room is simply not there for a GET, and a mistake of the caller for
// everything else.
func (c *call) room() (muc.Info, error) {
	service, err := c.chatService()
	if err != nil {
		return muc.Info{}, err
	}
	name := c.params["roomName"]
	local, valid := roomName(name)
	if !valid && c.request.Method != http.MethodGet && c.request.Method != http.MethodHead {
		return muc.Info{}, noRoomName(name)
	}
	if valid {
		if info, ok := c.server.Rooms.Room(directory.RoomIdentity(local, service)); ok {
			return info, nil
		}
	}
	return muc.Info{}, noRoom(name)
}

func noRoom(name string) *failure {
	return problem(http.StatusNotFound, roomNotFound, "Chat room does not exist or is not accessible.", name)
}

func noRoomName(name string) *failure {
	return badRequest("this can be no name of a room: it is empty, too long, or has a character that such names cannot have", name)
}

// flag reads a parameter that is true or anything else.
func (c *call) flag(name string) bool {
	value, _ := c.query.get(name)
	return strings.EqualFold(strings.TrimSpace(value), "true")
}

// listRooms is GET /chatrooms: by name, those that are listed or all of them, and of these those whose name contains a text.
func listRooms(c *call) (answer, error) {
	service, err := c.chatService()
	if err != nil {
		return answer{}, err
	}
	var rooms []muc.Info
	switch kind, _ := c.query.get("type"); kind {
	case "", "public":
		rooms = filter(c.server.Rooms.Rooms(service), func(i muc.Info) bool { return i.Listed })
	case "all":
		rooms = c.server.Rooms.Rooms(service)
	default: // there are no other types, and so no rooms of one
	}
	if search, _ := c.query.get("search"); search != "" {
		name, text := foldSearch(search), strings.ToLower(search)
		rooms = filter(rooms, func(i muc.Info) bool {
			return strings.Contains(i.RoomName, name) || strings.Contains(strings.ToLower(i.DisplayName), text)
		})
	}
	shown, err := page(c.query, rooms)
	if err != nil {
		return answer{}, err
	}
	// Only of what is shown.
	subjects, err := c.server.Rooms.Subjects(c.ctx, shown)
	if err != nil {
		return answer{}, explain(err, refusal{resource: service})
	}
	list := make(entity.ChatRooms, len(shown))
	for i := range shown {
		if list[i], err = c.roomEntity(shown[i], subjects[i]); err != nil {
			return answer{}, err
		}
	}
	return answer{status: http.StatusOK, entity: list, isList: true, total: len(rooms)}, nil
}

// getRoom is GET /chatrooms/{roomName}.
func getRoom(c *call) (answer, error) {
	info, err := c.room()
	if err != nil {
		return answer{}, err
	}
	subjects, err := c.server.Rooms.Subjects(c.ctx, []muc.Info{info})
	if err != nil {
		return answer{}, explain(err, refusal{resource: c.params["roomName"]})
	}
	e, err := c.roomEntity(info, subjects[0])
	if err != nil {
		return answer{}, err
	}
	return ok(e)
}

// createRoom is POST /chatrooms. A room that is there stays as it is.
func createRoom(c *call) (answer, error) {
	if c.body == nil {
		return answer{}, badRequest(couldNotCreateRoom+", because the body has no room", "chatrooms")
	}
	e, err := c.body.ChatRoom()
	if err != nil {
		return answer{}, explain(err, refusal{resource: "chatrooms"})
	}
	d, err := c.makeRoom(e, couldNotCreateRoom)
	if d.summary != "" {
		c.record(d.summary, d.details...)
	}
	if err != nil {
		return answer{}, err
	}
	return created()
}

// makeRoom declares a room that is not there. What has been done is to be recorded also when there is an error.
func (c *call) makeRoom(e entity.ChatRoom, could string) (deed, error) {
	service := c.serviceName()
	local, valid := roomName(e.RoomName)
	switch {
	case strings.TrimSpace(e.RoomName) == "":
		return deed{}, badRequest(could+", because roomName is missing", "chatrooms")
	case !valid:
		return deed{}, noRoomName(e.RoomName)
	}
	identity := directory.RoomIdentity(local, service)
	now, there := c.server.Rooms.Room(identity)
	taken := problem(http.StatusConflict, alreadyExists, could, e.RoomName)
	// A temporary room that a client made becomes a lasting one by PUT alone.
	if there && (!now.Temporary() || could == couldNotCreateRoom) {
		return deed{}, taken
	}
	w, err := c.readRoom(e, local, nil, could)
	if err != nil {
		return deed{}, err
	}
	if !c.mayCreate(w.firstOwner) {
		return deed{}, problem(http.StatusForbidden, notAllowed, could, e.RoomName)
	}
	if subject := text(e.Subject); subject != "" || there {
		w.update.Subject = &subject
	}
	w.update.CreatedAt = e.CreationDate
	if err := c.ensureChatService(service); err != nil {
		return deed{}, err
	}
	err = c.server.Proposer.CreateRoom(c.ctx, c.actor(), local, service, w.update)
	if !took(err) {
		return deed{}, explain(err, refusal{resource: e.RoomName, room: true, exists: taken})
	}
	c.server.Rooms.Follow(identity)
	if c.flag("sendInvitations") {
		c.inviteAffiliated(identity, w.update)
	}
	done := deed{"created new MUC room " + local, roomDetails(service, &w.update)}
	if err != nil {
		return done, explain(err, refusal{resource: e.RoomName, doing: "created"})
	}
	return done, nil
}

// mayCreate says whether a room may be created for its first owner. Where clients may not create rooms, administrators' are created all the same.
func (c *call) mayCreate(owner jid.JID) bool {
	if c.server.Directory.String(directory.KeyRoomCreation) == directory.RoomCreationAnyone || owner.IsZero() {
		return true
	}
	u, ok := c.server.Directory.User(owner.Local())
	return ok && u.Admin && owner.Domain() == c.server.Domain
}

// updateRoom is PUT /chatrooms/{roomName}: what the body leaves out has its default. A room that is not there is created.
func updateRoom(c *call) (answer, error) {
	name := c.params["roomName"]
	local, valid := roomName(name)
	if !valid {
		return answer{}, noRoomName(name)
	}
	if c.body == nil {
		return answer{}, badRequest(couldNotUpdateRoom+", because the body has no room", name)
	}
	e, err := c.body.ChatRoom()
	if err != nil {
		return answer{}, explain(err, refusal{resource: name})
	}
	if other, valid := roomName(e.RoomName); !valid || other != local {
		return answer{}, badRequest("the room names of the path and of the body differ, and rooms cannot be renamed", name)
	}
	identity := directory.RoomIdentity(local, c.serviceName())
	info, there := c.server.Rooms.Room(identity)
	if !there || info.Temporary() {
		d, err := c.makeRoom(e, couldNotUpdateRoom)
		if d.summary != "" {
			c.record(d.summary, d.details...)
		}
		if f, is := errors.AsType[*failure](err); !is || f.exception != alreadyExists {
			return answer{status: http.StatusOK}, err
		}
		// Somebody was quicker, or the name is not to be had.
		if info, there = c.server.Rooms.Room(identity); !there || info.Temporary() {
			return answer{}, problem(http.StatusForbidden, notAllowed, couldNotUpdateRoom, name)
		}
	}
	if err := c.replaceRoom(info, e); err != nil {
		return answer{}, err
	}
	return done()
}

// replaceRoom makes a declared room what the body says.
func (c *call) replaceRoom(info muc.Info, e entity.ChatRoom) error {
	name, identity := c.params["roomName"], info.Identity()
	w, err := c.readRoom(e, info.RoomName, &info, couldNotUpdateRoom)
	if err != nil {
		return err
	}
	subjects, err := c.server.Rooms.Subjects(c.ctx, []muc.Info{info})
	if err != nil {
		return explain(err, refusal{resource: name})
	}
	// The declared subject acts when it changes. What occupants have set meanwhile goes by the room's own word then.
	subject, again := text(e.Subject), false
	switch {
	case subject == subjects[0]:
	case info.Subject != nil && *info.Subject == subject:
		again = true
	default:
		w.update.Subject = &subject
	}
	err = c.server.Proposer.UpdateRoom(c.ctx, c.actor(), identity, w.update)
	if took(err) {
		c.server.Rooms.Follow(identity)
		if c.flag("sendInvitations") {
			c.inviteAffiliated(identity, news(info, w.update))
		}
		c.record("updated MUC room "+info.RoomName, roomDetails(info.Service, &w.update)...)
	}
	if err != nil {
		return explain(err, refusal{resource: name, room: true, notFound: noRoom(name)})
	}
	if again {
		return c.keptTrouble(c.server.Rooms.SetSubject(c.ctx, identity, subject))
	}
	return nil
}

// keptTrouble words an error of what a room has to keep.
func (c *call) keptTrouble(err error) error {
	name := c.params["roomName"]
	if errors.Is(err, muc.ErrNotKept) {
		f := problem(http.StatusServiceUnavailable, serviceUnavailable, "this cannot be kept at the moment: try again later", name)
		f.retryAfter, f.cause = keepRetry, err
		return f
	}
	if err != nil {
		return explain(err, refusal{resource: name, notFound: noRoom(name)})
	}
	return nil
}

// deleteRoom is DELETE /chatrooms/{roomName}: occupants are told, and what was said goes, too.
func deleteRoom(c *call) (answer, error) {
	info, err := c.room()
	if err != nil {
		return answer{}, err
	}
	name, identity := c.params["roomName"], info.Identity()
	err = muc.ErrDeclared
	if info.Temporary() {
		err = c.server.Rooms.DestroyTemporary(identity)
	}
	if errors.Is(err, muc.ErrDeclared) {
		err = c.server.Proposer.DeleteRoom(c.ctx, c.actor(), identity, nil)
		c.server.Rooms.Follow(identity)
	}
	// What comes after the deletion, the purge of the data, can fail by itself.
	now, there := c.server.Rooms.Room(identity)
	if took(err) || (!there || now.UID != info.UID) && !errors.Is(err, directory.ErrNotFound) && !directory.Unanswered(err) {
		c.recordEnd(info.UID, "destroyed MUC room "+info.RoomName, detail("service", info.Service))
	}
	if err != nil {
		return answer{}, explain(err, refusal{resource: name, notFound: noRoom(name)})
	}
	return done()
}

// roomDetails tells what an entry about a room may tell, which its password is not.
func roomDetails(service string, u *directory.RoomUpdate) []string {
	lines := []string{detail("service", service)}
	for _, field := range []struct {
		name  string
		value *string
	}{{"naturalName", u.DisplayName}, {"description", u.Description}, {"subject", u.Subject}} {
		if field.value != nil && *field.value != "" {
			lines = append(lines, detail(field.name, *field.value))
		}
	}
	if u.Password != nil {
		lines = append(lines, detail("password", "changed"))
	}
	for _, a := range affiliationWords {
		var names []string
		for _, one := range u.Affiliations {
			if one.Affiliation == a.name {
				names = append(names, one.JID.String())
			}
		}
		for _, one := range u.GroupAffiliations {
			if one.Affiliation == a.name {
				names = append(names, one.Group)
			}
		}
		if len(names) > 0 {
			slices.Sort(names)
			lines = append(lines, detail(a.list, strings.Join(names, ", ")))
		}
	}
	return lines
}
