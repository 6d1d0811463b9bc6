package restserver

import (
	"crypto/md5" //nolint:gosec // the original's form of group addresses, not a protection of anything
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// target is whom an affiliation or an invitation is for: a user, everybody of a domain, or a group.
type target struct {
	jid   jid.JID // bare
	group string
}

func (t target) String() string {
	if t.group != "" {
		return t.group
	}
	return t.jid.String()
}

// change gives the target an affiliation in an update of a room; empty: none.
func (t target) change(u *directory.RoomUpdate, a directory.AffiliationName) {
	if t.group != "" {
		u.GroupAffiliations = append(u.GroupAffiliations, directory.GroupAffiliation{Group: t.group, Affiliation: a})
		return
	}
	u.Affiliations = append(u.Affiliations, directory.Affiliation{JID: t.jid, Affiliation: a})
}

// in is the affiliation that the target itself has in a room; empty: none.
func (t target) in(r directory.RoomState) directory.AffiliationName {
	if t.group != "" {
		for _, a := range r.GroupAffiliations {
			if a.Group == t.group {
				return a.Affiliation
			}
		}
		return ""
	}
	for _, a := range r.Affiliations {
		if a.JID == t.jid {
			return a.Affiliation
		}
	}
	return ""
}

// targets are those that an update is about.
func targetsOf(u *directory.RoomUpdate) []target {
	list := make([]target, 0, len(u.Affiliations)+len(u.GroupAffiliations))
	for _, a := range u.Affiliations {
		list = append(list, target{jid: a.JID})
	}
	for _, a := range u.GroupAffiliations {
		list = append(list, target{group: a.Group})
	}
	return list
}

// entryTarget reads an entry of a list of addresses: a bare name is completed. have is the room as it is, or nil: what it shows is read back as what
// it is.
func (s *Server) entryTarget(text string, have *directory.Room) (target, error) {
	text = strings.TrimSpace(text)
	if group, ok := s.readGroupAddress(text); ok {
		return target{group: group}, nil
	}
	if !strings.Contains(text, "@") {
		lower := strings.ToLower(text)
		isDomain := lower == s.Domain || have != nil && slices.ContainsFunc(have.Affiliations, func(a directory.Affiliation) bool { return a.JID.String() == lower })
		if !isDomain {
			j, err := jid.New(text, s.Domain, "")
			if err != nil || j.Local() == "" {
				return target{}, noAddress(text)
			}
			return target{jid: j}, nil
		}
	}
	j, err := jid.Parse(text)
	if err != nil {
		return target{}, noAddress(text)
	}
	return target{jid: j.Bare()}, nil
}

func noAddress(text string) error { return fmt.Errorf("Unable to parse value as jid: %s", text) }

// nameTarget reads what paths and invitations name: an address, else a group of that name, else a user of this server.
func (s *Server) nameTarget(text string, have *directory.Room) (target, error) {
	text = strings.TrimSpace(text)
	if !strings.Contains(text, "@") && s.isGroup(text, have) {
		return target{group: text}, nil
	}
	return s.entryTarget(text, have)
}

// groupTarget reads an entry of a list of groups, which people have always used for users as well.
func (s *Server) groupTarget(text string, have *directory.Room) (target, error) {
	if text = strings.TrimSpace(text); s.isGroup(text, have) {
		return target{group: text}, nil
	}
	return s.entryTarget(text, have)
}

// isGroup says whether there is a group of a name, or the room has one of it.
func (s *Server) isGroup(name string, have *directory.Room) bool {
	if _, ok := s.Directory.Group(name); ok {
		return true
	}
	return have != nil && slices.ContainsFunc(have.GroupAffiliations, func(a directory.GroupAffiliation) bool { return a.Group == name })
}

var groupEncoding = base32.HexEncoding.WithPadding(base32.NoPadding)

// groupAddress is how a group stands in a list of addresses: its name in base32hex, and its MD5 hash as the resource.
func (s *Server) groupAddress(group string) string {
	hash := md5.Sum([]byte(group)) //nolint:gosec // see above
	return strings.ToLower(groupEncoding.EncodeToString([]byte(group))) + "@" + s.Domain + "/" + hex.EncodeToString(hash[:])
}

// readGroupAddress reads what groupAddress writes.
func (s *Server) readGroupAddress(text string) (string, bool) {
	local, _, ok := strings.Cut(text, "@")
	if !ok || !strings.Contains(text, "/") {
		return "", false
	}
	name, err := groupEncoding.DecodeString(strings.ToUpper(strings.TrimRight(local, "=")))
	if err != nil || len(name) == 0 || !strings.EqualFold(strings.TrimRight(local, "=")+text[len(local):], s.groupAddress(string(name))) {
		return "", false
	}
	return string(name), true
}

// people are the users that targets stand for, each once.
func (s *Server) people(targets []target) []jid.JID {
	var list []jid.JID
	for _, t := range targets {
		switch {
		case t.group != "":
			list = append(list, s.Directory.Members(t.group)...)
		case t.jid.Local() != "":
			list = append(list, t.jid)
		}
	}
	slices.SortFunc(list, jid.JID.Compare)
	return slices.Compact(list)
}

// hasOwner says whether a room has an owner.
func (s *Server) hasOwner(r directory.RoomState) bool {
	return slices.ContainsFunc(r.Affiliations, func(a directory.Affiliation) bool { return a.Affiliation == directory.AffiliationOwner }) ||
		slices.ContainsFunc(r.GroupAffiliations, func(a directory.GroupAffiliation) bool {
			return a.Affiliation == directory.AffiliationOwner && len(s.Directory.Members(a.Group)) > 0
		})
}

// after is a room's affiliations once an update is made.
func after(r directory.RoomState, u *directory.RoomUpdate) directory.RoomState {
	r.Affiliations, r.GroupAffiliations = slices.Clone(r.Affiliations), slices.Clone(r.GroupAffiliations)
	for _, a := range u.Affiliations {
		r.Affiliations = slices.DeleteFunc(r.Affiliations, func(have directory.Affiliation) bool { return have.JID == a.JID })
		if a.Affiliation != "" {
			r.Affiliations = append(r.Affiliations, a)
		}
	}
	for _, a := range u.GroupAffiliations {
		r.GroupAffiliations = slices.DeleteFunc(r.GroupAffiliations, func(have directory.GroupAffiliation) bool { return have.Group == a.Group })
		if a.Affiliation != "" {
			r.GroupAffiliations = append(r.GroupAffiliations, a)
		}
	}
	return r
}
