package v1alpha1

import (
	"crypto/sha256"
	"encoding/base32"
	"regexp"
	"strings"
)

// A chat name (username, group name, room name, property key) becomes the metadata.name of its resource by one function, EncodeName: the
// name itself where that can be one, else a readable slug, "-x" and a hash. The CEL rules of the four kinds demand the first half
// of it, so that for plain names etcd itself sees to it that each is held once.

// DefaultRoomService is the chat service of a room that names none.
const DefaultRoomService = "conference"

const (
	maxPlainName = 200 // leaves room for what tools append to names, of the 253 there are
	maxSlug      = 40
	hashBytes    = 16 // 26 characters of base32
)

var (
	dnsSubdomain = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
	encodedName  = regexp.MustCompile(`(^|-)x[a-z2-7]{26}$`)
	hashEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
)

// EncodeName gives the metadata.name of the ChatUser, ChatGroup or SystemProperty of that chat name. Usernames have to be
// prepared (RFC 7622 §3.3) before, so that all spellings of one name come out the same; group names and property keys are exact.
func EncodeName(name string) string {
	if IsPlainName(name) {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	hash := "x" + hashEncoding.EncodeToString(sum[:hashBytes])
	if slug := slug(name); slug != "" {
		return slug + "-" + hash
	}
	return hash
}

// EncodeRoomName gives the metadata.name of the ChatRoom of that (prepared) name and service. An empty service is DefaultRoomService.
func EncodeRoomName(room, service string) string {
	return EncodeName(RoomIdentity(room, service))
}

// RoomIdentity is what tells a room from all others of the server: its name, with "@service" unless that is DefaultRoomService.
// A room name cannot hold an @, so no two rooms share one.
func RoomIdentity(room, service string) string {
	if service == "" || service == DefaultRoomService {
		return room
	}
	return room + "@" + service
}

// IsPlainName says whether a chat name is its own metadata.name: a DNS-1123 subdomain of at most 200 characters that does not
// look as if EncodeName had made it.
func IsPlainName(name string) bool {
	return len(name) <= maxPlainName && dnsSubdomain.MatchString(name) && !LooksEncoded(name)
}

// LooksEncoded says whether a metadata.name has the shape that EncodeName gives to names that cannot be one.
func LooksEncoded(resourceName string) bool {
	return encodedName.MatchString(resourceName)
}

// slug keeps of a name what a resource name may hold: ASCII letters, lowered, and digits; each run of anything else is one hyphen.
func slug(name string) string {
	var b strings.Builder
	for _, r := range name {
		switch {
		case r >= 'A' && r <= 'Z':
			r += 'a' - 'A'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
		default:
			if s := b.String(); s != "" && s[len(s)-1] == '-' {
				continue
			}
			r = '-'
		}
		b.WriteByte(byte(r))
		if b.Len() == maxSlug {
			break
		}
	}
	return strings.Trim(b.String(), "-")
}

// EffectiveUsername is the username that the resource declares: spec.username, else metadata.name. It is not prepared.
func (u *ChatUser) EffectiveUsername() string {
	return orName(u.Spec.Username, u.Name)
}

// EffectiveGroupName is the name of the group that the resource declares: spec.groupName, else metadata.name.
func (g *ChatGroup) EffectiveGroupName() string {
	return orName(g.Spec.GroupName, g.Name)
}

// EffectiveRoomName is the name of the room that the resource declares: spec.roomName, else metadata.name. It is not prepared.
func (r *ChatRoom) EffectiveRoomName() string {
	return orName(r.Spec.RoomName, r.Name)
}

// EffectiveService is the chat service of the room: spec.service, else DefaultRoomService.
func (r *ChatRoom) EffectiveService() string {
	return orName(r.Spec.Service, DefaultRoomService)
}

// EffectiveKey is the key of the property that the resource declares: spec.key, else metadata.name.
func (p *SystemProperty) EffectiveKey() string {
	return orName(p.Spec.Key, p.Name)
}

func orName(given *string, otherwise string) string {
	if given != nil {
		return *given
	}
	return otherwise
}
