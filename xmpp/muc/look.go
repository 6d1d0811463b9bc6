package muc

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/archive"
	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/muc/room"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

// ServiceInfo is one chat service.
type ServiceInfo struct {
	Name        string // the label of its address
	Description string
	Hidden      bool // from those who ask the server for its services
}

// Services lists the chat services by name.
func (s *Service) Services() []ServiceInfo {
	var list []ServiceInfo
	for domain, h := range *s.hosts.Load() {
		list = append(list, ServiceInfo{Name: strings.TrimSuffix(domain, "."+s.sb.Domain()), Description: h.Name, Hidden: h.hidden})
	}
	slices.SortFunc(list, func(a, b ServiceInfo) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// Info is a room as it is now.
type Info struct {
	// Room is its declaration. That of a room which is temporary, since a client made it, has an empty Ref.
	*directory.Room
	Password string
}

// Temporary says that nobody has declared the room: it is there for as long as somebody is in it.
func (i Info) Temporary() bool { return i.UID == "" }

// Room gives one room, declared or temporary.
func (s *Service) Room(identity string) (Info, bool) {
	addr, err := s.address(identity)
	if err != nil || !s.Serves(addr.Domain()) {
		return Info{}, false
	}
	if d, ok := s.dir.Room(identity); ok {
		return s.declaredInfo(d), true
	}
	if e := s.find(addr); e != nil {
		return s.temporaryInfo(e)
	}
	return Info{}, false
}

// Rooms gives the rooms of a service by name.
func (s *Service) Rooms(service string) []Info {
	var list []Info
	for _, d := range s.dir.Rooms() {
		if d.Service == service {
			list = append(list, s.declaredInfo(d))
		}
	}
	for _, e := range s.all() {
		if s.service(e.addr) != service {
			continue
		}
		if i, ok := s.temporaryInfo(e); ok {
			list = append(list, i)
		}
	}
	slices.SortStableFunc(list, func(a, b Info) int { return cmp.Compare(a.RoomName, b.RoomName) })
	// A temporary room that is declared just now is there once.
	return slices.CompactFunc(list, func(a, b Info) bool { return a.RoomName == b.RoomName })
}

func (s *Service) declaredInfo(d *directory.Room) Info {
	password, _ := s.dir.RoomPassword(d)
	return Info{Room: d, Password: password}
}

// temporaryInfo makes the declaration of a temporary room that it would have.
func (s *Service) temporaryInfo(e *entry) (Info, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.gone || e.declared != nil {
		return Info{}, false
	}
	return s.asDeclared(e), true
}

// asDeclared is temporaryInfo where the room's lock is held.
func (s *Service) asDeclared(e *entry) Info {
	c := e.room.Config()
	r := &directory.Room{
		RoomName: e.addr.Local(), Service: s.service(e.addr), DisplayName: e.room.Name(), Description: c.Description, MaxOccupants: c.MaxOccupants,
		Listed: c.Listed, Persistent: c.Persistent, MembersOnly: c.MembersOnly, Moderated: c.Moderated, Archived: c.Archived,
		RegistrationEnabled: c.RegistrationEnabled, NicknameRestricted: c.NicknameRestricted,
		CanChangeSubject: c.CanChangeSubject, CanInvite: c.CanInvite, CanChangeNickname: c.CanChangeNickname,
		WhoSeesJIDs: c.WhoSeesJIDs, PrivateMessages: c.PrivateMessages, PresenceBroadcast: c.PresenceBroadcast,
		CreatedAt: e.made, ModifiedAt: e.made,
	}
	for _, a := range c.Affiliations.Entries() {
		if name := affiliationName(a.Affiliation); name != "" {
			r.Affiliations = append(r.Affiliations, directory.Affiliation{JID: a.JID, Affiliation: name})
		}
	}
	for _, g := range c.Affiliations.Groups() {
		r.GroupAffiliations = append(r.GroupAffiliations, directory.GroupAffiliation{Group: g.Group, Affiliation: affiliationName(g.Affiliation)})
	}
	return Info{Room: r, Password: c.Password}
}

// Subjects gives the subjects that rooms have now, by their places in the list.
func (s *Service) Subjects(ctx context.Context, rooms []Info) ([]string, error) {
	subjects := make([]string, len(rooms))
	for i := range rooms {
		var err error
		if subjects[i], err = s.subject(ctx, rooms[i]); err != nil {
			return nil, err
		}
	}
	return subjects, nil
}

func (s *Service) subject(ctx context.Context, i Info) (string, error) {
	addr, err := s.address(i.Identity())
	if err != nil {
		return "", err
	}
	if e := s.find(addr); e != nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		return plain(e.room.Subject()), nil
	}
	// It is not opened for that: what is opened stays in memory.
	var remembered Remembered
	if s.memory != nil && !i.Temporary() {
		r, uid, err := s.memory.LookUpRoom(ctx, i.Identity())
		if err == nil && uid != "" && uid != i.UID {
			r, err = s.memory.OpenRoom(ctx, i.Identity(), i.UID) // it is the new room's, or it goes
		}
		if err != nil {
			return "", err
		}
		remembered = r
	}
	if i.Subject != nil && (remembered.Declared == nil || *remembered.Declared != *i.Subject) {
		return *i.Subject, nil // that it will have as soon as somebody enters
	}
	return plain(remembered.Subject), nil
}

func plain(s *room.Subject) string {
	if s == nil {
		return ""
	}
	return s.Plain
}

// Occupants lists who is in a room, in the order they came.
func (s *Service) Occupants(identity string) []room.Occupant {
	addr, err := s.address(identity)
	if err != nil {
		return nil
	}
	e := s.find(addr)
	if e == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.room.Occupants()
}

// Banned picks those of a list who are banned from a room.
func (s *Service) Banned(i Info, list []jid.JID) (banned []jid.JID) {
	a := s.affiliations(i.Affiliations, i.GroupAffiliations)
	for _, j := range list {
		if a.Of(j) == room.Outcast {
			banned = append(banned, j)
		}
	}
	return banned
}

// Said is one message of a room's history.
type Said struct {
	From jid.JID // an occupant's address, or the room's own
	Real jid.JID // of a user, bare; zero where that is nobody's to know, and for what the room itself said
	Time time.Time
	Body string // empty for what is no text, such as a change of the subject
}

// HistoryPage is a part of a room's history: the last messages.
type HistoryPage struct {
	Before time.Time // unless zero, of those that were said earlier
	Skip   int       // passed over at the end
	Most   int       // negative: as many as the room keeps for those who enter
}

// maxPast bounds the messages of one page by their bytes.
const maxPast = 8 << 20

// History gives a part of what was said in a room, the oldest first, and how many messages there are to choose from. A page that begins with a message has
// all of the same millisecond, so that nothing is lost when the next one ends before that.
func (s *Service) History(ctx context.Context, i Info, p HistoryPage) ([]Said, int, error) {
	addr, err := s.address(i.Identity())
	if err != nil {
		return nil, 0, err
	}
	var owner int64
	var kept []room.Past
	e := s.find(addr)
	switch {
	case e != nil:
		// What is under way into the archive is there, or was refused, by then.
		if err := e.settled(ctx); err != nil {
			return nil, 0, err
		}
		e.mu.Lock()
		owner, kept = e.keeping.owner, e.room.History()
		e.mu.Unlock()
	case !i.Temporary():
		var r Remembered
		if r, kept, err = s.open(i.Room, addr); err != nil {
			return nil, 0, err
		}
		owner = r.Owner
	}
	if p.Most < 0 && p.Before.IsZero() || owner == 0 || !i.Archived {
		list, total := cutHistory(kept, p)
		return s.said(i, list), total, nil
	}
	if p.Most < 0 {
		p.Most = maxHistory
	}
	list, total, err := s.archivedPage(ctx, owner, p)
	if err != nil {
		return nil, 0, err
	}
	pasts := make([]room.Past, 0, len(list))
	for n := range list {
		one, err := past(addr, &list[n])
		if err != nil {
			return nil, 0, err
		}
		pasts = append(pasts, one)
	}
	return s.said(i, pasts), total, nil
}

// cutHistory is a page of what a room has in memory.
func cutHistory(kept []room.Past, p HistoryPage) (list []room.Past, total int) {
	if !p.Before.IsZero() {
		kept = kept[:placeIn(kept, p.Before)]
	}
	total = len(kept)
	kept = kept[:max(len(kept)-p.Skip, 0)]
	if p.Most >= 0 && p.Most < len(kept) {
		from := len(kept) - p.Most
		if p.Most > 0 && p.Skip == 0 {
			from = min(from, placeIn(kept, kept[from].Time.Truncate(time.Millisecond)))
		}
		kept = kept[from:]
	}
	return kept, total
}

// placeIn is the place of the first message that was not said before a moment.
func placeIn(kept []room.Past, t time.Time) int {
	i, _ := slices.BinarySearchFunc(kept, t, func(p room.Past, t time.Time) int { return p.Time.Compare(t) })
	return i
}

// archivedPage is a page of an archive.
func (s *Service) archivedPage(ctx context.Context, owner int64, p HistoryPage) ([]archive.Message, int, error) {
	q := archive.Query{Owner: owner, After: max(s.oldest()-1, 0), Last: true, Skip: p.Skip, Most: p.Most, MostBytes: maxPast}
	if !p.Before.IsZero() {
		if q.Before = core.FirstID(p.Before); q.Before <= q.After+1 {
			return nil, 0, nil
		}
	}
	counted := q
	counted.Most = 1 << 30
	total, err := s.memory.CountMessages(ctx, counted)
	if err != nil || p.Most == 0 {
		return nil, total, err
	}
	list, err := s.memory.Messages(ctx, q)
	if err != nil || len(list) == 0 || p.Skip > 0 {
		return list, total, err
	}
	q.After, q.Before, q.Most = max(q.After, core.FirstID(list[0].Time.Truncate(time.Millisecond))-1), list[0].ID, 1000
	more, err := s.memory.Messages(ctx, q)
	return append(more, list...), total, err
}

// said reads messages as a room keeps them.
func (s *Service) said(i Info, list []room.Past) []Said {
	out := make([]Said, 0, len(list))
	for _, p := range list {
		one := Said{From: p.From, Time: p.Time}
		if i.WhoSeesJIDs == directory.JIDsAnyone {
			one.Real = p.Real
		}
		if st, err := core.ReadBack(p.XML); err == nil {
			one.Body = string(st.Root.Child(stanza.NSClient, "body").Text())
		}
		out = append(out, one)
	}
	return out
}
