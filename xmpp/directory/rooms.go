package directory

// Keys of chat rooms. A property whose key is RoomServicePrefix and a label makes a chat service of that name, beside "conference": rooms are then found
// at ROOM@LABEL.DOMAIN, and the value is the name that people see.
const (
	KeyRoomCreation     = "xmpp.muc.create"
	KeyRoomsOfUser      = "xmpp.muc.rooms-of-user"
	KeyArchiveRetention = "xmpp.muc.archive.retention"
	KeyArchivePage      = "xmpp.archive.max-page"
	RoomServicePrefix   = "xmpp.muc.service."
)

// Values of KeyRoomCreation.
const (
	RoomCreationAnyone = "anyone"
	RoomCreationAdmins = "admins"
	RoomCreationNobody = "nobody"
)

// roomSettings are the rows of chat rooms.
func roomSettings() []Setting {
	return []Setting{
		{
			Key: KeyRoomCreation, Type: TypeString, Default: RoomCreationAnyone, Live: true,
			Doc:   "Which clients may create rooms, which last for as long as somebody is in them: anyone, admins or nobody.",
			check: oneOf(RoomCreationAnyone, RoomCreationAdmins, RoomCreationNobody),
		},
		{
			Key: KeyRoomsOfUser, Type: TypeInt, Default: "20", Live: true,
			Doc:   "How many rooms made by one user, administrators excepted, may be there at once. 0: any number.",
			check: between(0, maxCount),
		},
		{
			Key: KeyArchiveRetention, Type: TypeDuration, Default: "0s", Live: true,
			Doc: "How long what is said in an archived room is kept: older messages are not given any more, and are deleted within the hour. " +
				"0: for ever, and the database grows without a limit.",
			check: notNegative,
		},
		{
			Key: KeyArchivePage, Type: TypeInt, Default: "100", Live: true,
			Doc:   "How many messages of an archive a client gets at once; it asks again for more.",
			check: between(1, 1000),
		},
	}
}
