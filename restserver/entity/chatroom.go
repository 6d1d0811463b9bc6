package entity

import (
	"slices"
	"strings"
	"time"
)

// ChatRoom is a chat room: root "chatRoom". Strings that are empty in an answer are left out, all but the name.
type ChatRoom struct {
	RoomName string
	// What is nil was not in the request.
	NaturalName, Description, Password, Subject *string
	CreationDate, ModificationDate              time.Time
	MaxUsers                                    int

	Persistent, PublicRoom, RegistrationEnabled, CanAnyoneDiscoverJID bool
	CanOccupantsChangeSubject, CanOccupantsInvite, CanChangeNickname  bool
	LogEnabled, LoginRestrictedToNickname, MembersOnly, Moderated     bool

	BroadcastPresenceRoles                                []string
	Owners, Admins, Members, Outcasts                     []string
	OwnerGroups, AdminGroups, MemberGroups, OutcastGroups []string
	AllowPM                                               string
}

func (r ChatRoom) fields(w fieldWriter) {
	w.text("roomName", r.RoomName)
	w.optional("naturalName", value(r.NaturalName))
	w.optional("description", value(r.Description))
	w.optional("password", value(r.Password))
	w.optional("subject", value(r.Subject))
	w.date("creationDate", r.CreationDate)
	w.date("modificationDate", r.ModificationDate)
	w.integer("maxUsers", r.MaxUsers)
	w.boolean("persistent", r.Persistent)
	w.boolean("publicRoom", r.PublicRoom)
	w.boolean("registrationEnabled", r.RegistrationEnabled)
	w.boolean("canAnyoneDiscoverJID", r.CanAnyoneDiscoverJID)
	w.boolean("canOccupantsChangeSubject", r.CanOccupantsChangeSubject)
	w.boolean("canOccupantsInvite", r.CanOccupantsInvite)
	w.boolean("canChangeNickname", r.CanChangeNickname)
	w.boolean("logEnabled", r.LogEnabled)
	w.boolean("loginRestrictedToNickname", r.LoginRestrictedToNickname)
	w.boolean("membersOnly", r.MembersOnly)
	w.boolean("moderated", r.Moderated)
	w.strings("broadcastPresenceRoles", "broadcastPresenceRole", r.BroadcastPresenceRoles)
	w.strings("owners", "owner", r.Owners)
	w.strings("admins", "admin", r.Admins)
	w.strings("members", "member", r.Members)
	w.strings("outcasts", "outcast", r.Outcasts)
	w.strings("ownerGroups", "ownerGroup", r.OwnerGroups)
	w.strings("adminGroups", "adminGroup", r.AdminGroups)
	w.strings("memberGroups", "memberGroup", r.MemberGroups)
	w.strings("outcastGroups", "outcastGroup", r.OutcastGroups)
	w.text("allowPM", r.AllowPM)
}

func (r ChatRoom) writeXML(w *xmlWriter) {
	w.start("chatRoom")
	r.fields(w)
	w.end("chatRoom")
}

func (r ChatRoom) writeJSON(w *jsonWriter) {
	w.begin('{')
	r.fields(w)
	w.end('}')
}

// ChatRooms is a list of chat rooms: root "chatRooms".
type ChatRooms []ChatRoom

func (l ChatRooms) writeXML(w *xmlWriter) { xmlList(w, "chatRooms", l) }

func (l ChatRooms) writeJSON(w *jsonWriter) { jsonList(w, "chatRooms", l) }

// ChatRoom reads a chat room.
func (b *Body) ChatRoom() (ChatRoom, error) {
	d := b.decoder()
	r := readChatRoom(d.root("chatRoom"))
	return r, b.finish(d)
}

// ChatRooms reads the rooms of a bulk. present is false when the body has no list of them at all.
func (b *Body) ChatRooms() (list []ChatRoom, present bool, err error) {
	d := b.decoder()
	for _, item := range d.listRoot("chatRooms", "chatRoom") {
		list = append(list, readChatRoom(item))
	}
	present = b.rootIs("chatRooms") || b.value.kind == listValue || slices.ContainsFunc(b.value.members, func(m member) bool {
		return (m.name == "chatRooms" || m.name == "chatRoom") && m.node.kind != nullValue
	})
	return list, present, b.finish(d)
}

func readChatRoom(o *object) ChatRoom {
	r := ChatRoom{
		RoomName:    strings.TrimSpace(value(o.text("roomName"))),
		NaturalName: o.text("naturalName"),
		Description: o.text("description"),
		Password:    o.text("password"),
		Subject:     o.text("subject"),
		MaxUsers:    o.integer("maxUsers"),
		AllowPM:     strings.TrimSpace(value(o.text("allowPM"))),
	}
	r.CreationDate = o.date("creationDate")
	// When it is changed is now.
	o.find("modificationDate")
	r.Persistent = o.boolean("persistent")
	r.PublicRoom = o.boolean("publicRoom")
	r.RegistrationEnabled = o.boolean("registrationEnabled")
	r.CanAnyoneDiscoverJID = o.boolean("canAnyoneDiscoverJID")
	r.CanOccupantsChangeSubject = o.boolean("canOccupantsChangeSubject")
	r.CanOccupantsInvite = o.boolean("canOccupantsInvite")
	r.CanChangeNickname = o.boolean("canChangeNickname")
	r.LogEnabled = o.boolean("logEnabled")
	r.LoginRestrictedToNickname = o.boolean("loginRestrictedToNickname")
	r.MembersOnly = o.boolean("membersOnly")
	r.Moderated = o.boolean("moderated")
	r.BroadcastPresenceRoles, _ = o.strings("broadcastPresenceRoles", "broadcastPresenceRole")
	r.Owners, _ = o.strings("owners", "owner")
	r.Admins, _ = o.strings("admins", "admin")
	r.Members, _ = o.strings("members", "member")
	r.Outcasts, _ = o.strings("outcasts", "outcast")
	r.OwnerGroups, _ = o.strings("ownerGroups", "ownerGroup")
	r.AdminGroups, _ = o.strings("adminGroups", "adminGroup")
	r.MemberGroups, _ = o.strings("memberGroups", "memberGroup")
	r.OutcastGroups, _ = o.strings("outcastGroups", "outcastGroup")
	o.done()
	return r
}
