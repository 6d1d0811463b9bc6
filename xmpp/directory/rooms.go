package directory

import (
	"fmt"
	"regexp"
	"strings"
)

// DefaultRoomService is the chat service that is always there.
const DefaultRoomService = "conference"

// Keys of chat rooms. A property whose key is RoomServicePrefix and a label makes a chat service of that name, beside "conference": rooms are then found
// at ROOM@LABEL.DOMAIN, and the value is the name that people see. With RoomServiceHidden behind it and the value true, a key hides that service from those who
// ask the server for its services.
const (
	KeyRoomCreation     = "xmpp.muc.create"
	KeyRoomsOfUser      = "xmpp.muc.rooms-of-user"
	KeyArchiveRetention = "xmpp.muc.archive.retention"
	KeyArchivePage      = "xmpp.archive.max-page"
	RoomServicePrefix   = "xmpp.muc.service."
	RoomServiceHidden   = ".hidden"
)

// Values of KeyRoomCreation.
const (
	RoomCreationAnyone = "anyone"
	RoomCreationAdmins = "admins"
	RoomCreationNobody = "nobody"
)

// RoomService is the chat service that a property makes; false: it makes none.
func (p *SystemProperty) RoomService() (name string, ok bool) {
	name, ok = strings.CutPrefix(p.Key, RoomServicePrefix)
	return name, ok && !p.Secret && serviceName.MatchString(name)
}

// HasRoomService says whether there is a chat service of that name.
func (d *Directory) HasRoomService(name string) bool {
	if name == DefaultRoomService {
		return true
	}
	p, ok := d.Property(RoomServicePrefix + name)
	if !ok {
		return false
	}
	_, ok = p.RoomService()
	return ok
}

// serviceName is one label of a host name (RFC 1123 §2.1), as the schema of ChatRoom has it.
var serviceName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// roomFamilies are the rows of chat rooms whose keys end in a name.
func roomFamilies() []Setting {
	return []Setting{{
		Key: RoomServicePrefix + "NAME", Type: TypeString, Live: true,
		Doc: "Makes a chat service NAME, with rooms at ROOM@NAME.DOMAIN; the value is the name that people see. NAME is one label of a host name: " +
			"lower-case letters, digits and hyphens. The service " + DefaultRoomService + " is always there, and gets another name for people by its own property. When the property " +
			"goes, so does the service.",
	}, {
		Key: RoomServicePrefix + "NAME" + RoomServiceHidden, Type: TypeBool, Default: "false", Live: true,
		Doc: "Whether clients that ask the server for its services are not told of the chat service NAME. Its rooms are reached all the same.",
	}}
}

// validateRoomService says what is wrong with a property of a chat service.
func validateRoomService(key, value string) error {
	name, ok := strings.CutPrefix(key, RoomServicePrefix)
	if of, hidden := strings.CutSuffix(name, RoomServiceHidden); ok && hidden && serviceName.MatchString(of) {
		setting := roomFamilies()[1]
		setting.Key = key
		_, err := setting.parse(value)
		return err
	}
	if ok && !serviceName.MatchString(name) {
		return &InvalidError{Field: key, Message: fmt.Sprintf(
			"%q cannot be the name of a chat service: use one label of a host name, of lower-case letters, digits and hyphens", name)}
	}
	return nil
}

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
