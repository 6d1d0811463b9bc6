package muc

import (
	"encoding/base64"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/muc/room"
)

// maxHistory is how many messages a room keeps for those who enter.
const maxHistory = 50

// host is a chat service.
type host struct {
	core.HostItem
	hidden bool // from those who ask the server for its services
}

// readHosts makes the list of services of the properties.
func (s *Service) readHosts() {
	hosts := make(map[string]host)
	add := func(label, name string) {
		addr, err := jid.New("", label+"."+s.sb.Domain(), "")
		if err == nil {
			hosts[addr.Domain()] = host{HostItem: core.HostItem{JID: addr, Name: name}}
		}
	}
	add(directory.DefaultRoomService, "Chat rooms")
	properties := s.dir.Properties()
	for _, p := range properties {
		if label, ok := p.RoomService(); ok {
			add(label, p.Value)
		}
	}
	for _, p := range properties {
		label, isOne := strings.CutPrefix(p.Key, directory.RoomServicePrefix)
		label, hides := strings.CutSuffix(label, directory.RoomServiceHidden)
		domain := strings.ToLower(label) + "." + s.sb.Domain()
		if h, there := hosts[domain]; isOne && hides && there && strings.EqualFold(p.Value, "true") {
			h.hidden = true
			hosts[domain] = h
		}
	}
	s.hosts.Store(&hosts)
}

// Watch begins to take note of changed declarations, until cancel is called.
func (s *Service) Watch() (cancel func()) {
	cancel = s.dir.Watch(s.directoryChanged)
	s.readHosts() // what changed before
	return cancel
}

// directoryChanged must not wait for a room, so it takes notes for Run.
func (s *Service) directoryChanged(e directory.Event) {
	switch e.Kind {
	case directory.KindProperty:
		if strings.HasPrefix(e.Identity, directory.RoomServicePrefix) {
			s.readHosts()
			s.dirty.services()
		}
		if e.Identity == directory.KeyArchiveRetention {
			s.retentionChanged()
		}
	case directory.KindRoom:
		s.dirty.room(e.Identity)
	case directory.KindGroup:
		s.dirty.group(e.Identity)
	case directory.KindUser:
		old, next := e.Users()
		if (old != nil && old.Admin) != (next != nil && next.Admin) {
			s.dirty.user(e.Identity)
		}
	}
}

// dirty is what rooms have yet to hear.
type dirty struct {
	signal chan struct{}

	mu sync.Mutex
	news
}

// news are the identities of what has changed.
type news struct {
	rooms, groups, users []string
	hosts                bool // services came or went
}

func (d *dirty) room(identity string) { d.note(func(n *news) { add(&n.rooms, identity) }) }
func (d *dirty) group(name string)    { d.note(func(n *news) { add(&n.groups, name) }) }
func (d *dirty) user(name string)     { d.note(func(n *news) { add(&n.users, name) }) }
func (d *dirty) services()            { d.note(func(n *news) { n.hosts = true }) }

func add(list *[]string, name string) {
	if !slices.Contains(*list, name) || len(*list) > 64 { // short lists are kept free of repetitions; long ones are soon over
		*list = append(*list, name)
	}
}

func (d *dirty) note(one func(*news)) {
	d.mu.Lock()
	one(&d.news)
	d.mu.Unlock()
	select {
	case d.signal <- struct{}{}:
	default: // one signal covers everything
	}
}

func (d *dirty) take() news {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.news
	d.news = news{}
	return n
}

// apply tells rooms in memory what has changed.
func (s *Service) apply() {
	n := s.dirty.take()
	if n.hosts {
		s.closeUnserved()
	}
	for _, identity := range n.rooms {
		s.Follow(identity)
	}
	if len(n.groups) == 0 && len(n.users) == 0 {
		return
	}
	for _, e := range s.all() {
		s.with(e, func(r *room.Room) (out []room.Output) {
			for _, g := range r.Config().Affiliations.Groups() {
				if slices.Contains(n.groups, g.Group) {
					out = r.Reconfigured(r.Config(), out)
					break
				}
			}
			for _, name := range n.users {
				if j, err := jid.New(name, s.sb.Domain(), ""); err == nil {
					out = r.AdminChanged(j, s.admin(j), out)
				}
			}
			return out
		})
	}
}

// Follow brings a room that is in memory in line with its declaration at once. Whoever has changed that, and waits until its occupants have
// been told, need not wait for Run.
func (s *Service) Follow(identity string) {
	addr, err := s.address(identity)
	if err != nil {
		return
	}
	if e := s.find(addr); e != nil && s.adopt(e) {
		s.with(e, func(r *room.Room) []room.Output { return s.redeclare(e, r) })
	}
}

// address is where a room of an identity is.
func (s *Service) address(identity string) (jid.JID, error) {
	local, service, _ := strings.Cut(identity, "@")
	return jid.New(local, service+"."+s.sb.Domain(), "")
}

// closeUnserved ends the stay in memory of rooms whose service is gone: nothing can be sent to them any more, not even that a session has ended.
func (s *Service) closeUnserved() {
	for _, e := range s.all() {
		if !s.Serves(e.addr.Domain()) {
			s.with(e, func(r *room.Room) []room.Output { return r.Shutdown(nil) })
		}
	}
}

// redeclare brings a room in line with its declaration. The room's lock is held.
func (s *Service) redeclare(e *entry, r *room.Room) []room.Output {
	old := e.declared
	next, ok := s.dir.Room(s.identity(e.addr))
	switch {
	case !ok && old == nil, old == nil && s.memory != nil && e.keeping.owner == 0: // adopt comes first
		return nil
	case !ok, old != nil && old.UID != next.UID:
		return r.Destroyed(room.Destruction{Reason: "The room was removed."}, nil)
	}
	if old == nil && e.reload {
		// The name has its data back, which a room that was made meanwhile does not know: whoever enters next finds it.
		return r.Shutdown(nil)
	}
	if old == nil {
		s.mu.Lock()
		s.unmake(e)
		s.mu.Unlock()
		r.Rekey(s.occupantKey(e.addr, next.UID)) // that it will have after a restart as well
	}
	e.declared = next
	if old == nil {
		r.Unlock() // what is declared has been configured
	}
	out := r.Reconfigured(s.config(next), nil)
	if old == nil {
		out = remembered(r, out)
	}
	if next.Subject == nil && old != nil && old.Subject != nil {
		out = append(out, &room.Remember{}) // it has an effect again when it comes back
	}
	if next.Subject != nil && (old == nil || old.Subject == nil || *old.Subject != *next.Subject) {
		out = r.SetSubject(room.Declared{Subject: *next.Subject, Time: s.now(), ID: s.sb.NewID()}, out)
	}
	return out
}

// config makes a room's configuration of its declaration. Without a store no room is archived, so none says that it is.
func (s *Service) config(d *directory.Room) *room.Config {
	cfg := &room.Config{
		Name: d.DisplayName, Description: d.Description, MaxOccupants: d.MaxOccupants,
		Listed: d.Listed, Persistent: d.Persistent, MembersOnly: d.MembersOnly, Moderated: d.Moderated, Archived: d.Archived && s.memory != nil,
		RegistrationEnabled: d.RegistrationEnabled, NicknameRestricted: d.NicknameRestricted,
		CanChangeSubject: d.CanChangeSubject, CanInvite: d.CanInvite,
		CanChangeNickname: d.CanChangeNickname, WhoSeesJIDs: d.WhoSeesJIDs, PrivateMessages: d.PrivateMessages,
		PresenceBroadcast: d.PresenceBroadcast, History: maxHistory, Affiliations: s.affiliations(d.Affiliations, d.GroupAffiliations),
	}
	var ok bool
	if cfg.Password, ok = s.dir.RoomPassword(d); !ok {
		// There is to be a password, and it is not known. A room that is meant to be closed is not left open.
		cfg.Password = base64.RawURLEncoding.EncodeToString(s.derive("closed", d.Identity(), d.UID))
	}
	return cfg
}

func (s *Service) affiliations(declared []directory.Affiliation, byGroup []directory.GroupAffiliation) *room.Affiliations {
	entries := make([]room.Entry, 0, len(declared))
	for _, a := range declared {
		entries = append(entries, room.Entry{JID: a.JID, Affiliation: affiliation(a.Affiliation)})
	}
	groups := make([]room.GroupEntry, 0, len(byGroup))
	for _, a := range byGroup {
		groups = append(groups, room.GroupEntry{Group: a.Group, Affiliation: affiliation(a.Affiliation), Members: members{s.dir, a.Group}})
	}
	return room.NewAffiliations(entries, groups)
}

func affiliation(name directory.AffiliationName) room.Affiliation {
	switch name {
	case directory.AffiliationOwner:
		return room.Owner
	case directory.AffiliationAdmin:
		return room.Admin
	case directory.AffiliationMember:
		return room.Member
	case directory.AffiliationOutcast:
		return room.Outcast
	}
	return room.None
}

// members is a group of the directory, as it is at any time.
type members struct {
	dir   *directory.Directory
	group string
}

func (m members) Contains(bare jid.JID) bool { return m.dir.IsMember(m.group, bare) }
func (m members) All() iter.Seq[jid.JID]     { return slices.Values(m.dir.Members(m.group)) }

// temporary is the configuration that a room has which a client makes: open, semi-anonymous, and the maker's.
func temporary(maker jid.JID) *room.Config {
	return &room.Config{
		Listed: true, CanInvite: true, CanChangeSubject: true, CanChangeNickname: true, RegistrationEnabled: true,
		WhoSeesJIDs: directory.JIDsModerators, PrivateMessages: directory.PrivateAnyone,
		PresenceBroadcast: []directory.RoomRole{directory.RoleModerator, directory.RoleParticipant, directory.RoleVisitor},
		History:           maxHistory,
		Affiliations:      room.NewAffiliations([]room.Entry{{JID: maker, Affiliation: room.Owner}}, nil),
	}
}
