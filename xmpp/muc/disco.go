package muc

import (
	"cmp"
	"crypto/rand"
	"slices"
	"strings"

	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

const (
	nsMUC       = "http://jabber.org/protocol/muc"        // XEP-0045
	nsUnique    = "http://jabber.org/protocol/muc#unique" // XEP-0307
	nsOccupants = "urn:xmpp:occupant-id:0"                // XEP-0421
)

// maxItems bounds the rooms of one answer.
const maxItems = 200

// Items implements core.Hosts.
func (s *Service) Items() []core.HostItem {
	hosts := *s.hosts.Load()
	list := make([]core.HostItem, 0, len(hosts))
	for _, h := range hosts {
		if !h.hidden {
			list = append(list, h.HostItem)
		}
	}
	slices.SortFunc(list, func(a, b core.HostItem) int { return a.JID.Compare(b.JID) })
	return list
}

// toService answers what is addressed to a service itself (XEP-0045 §6.1, §6.3).
func (s *Service) toService(st *stanza.Stanza) {
	if st.Kind == stanza.Presence {
		return
	}
	request := st.FirstChild()
	if st.Kind != stanza.IQ || st.Type != stanza.IQGet || st.To.IsFull() {
		s.refuse(st, stanza.NewError(stanza.ConditionServiceUnavailable, ""))
		return
	}
	switch {
	case request.Is(stanza.NSPing, "ping"):
		s.sb.Route(stanza.Result(st, nil))
	case request.Is(stanza.NSDiscoInfo, "query") && len(request.Attr("node")) == 0:
		s.sb.Route(stanza.Result(st, s.info(st.To.Domain())))
	case request.Is(stanza.NSDiscoItems, "query") && len(request.Attr("node")) == 0:
		payload, bad := s.list(st, request)
		if bad != nil {
			s.refuse(st, bad)
			return
		}
		s.sb.Route(stanza.Result(st, payload))
	case request.Is(nsUnique, "unique"):
		if bad := s.mayCreate(st.From); bad != nil {
			s.refuse(st, bad)
			return
		}
		// A name of so much chance is nobody's, now or later.
		s.sb.Route(stanza.Result(st, xmlstream.NewBuilder(nil).Open(nsUnique, "unique").Text(strings.ToLower(rand.Text())).Close().Bytes()))
	case request.Is(stanza.NSDiscoInfo, "query"), request.Is(stanza.NSDiscoItems, "query"):
		s.refuse(st, stanza.NewError(stanza.ConditionItemNotFound, ""))
	default:
		s.refuse(st, stanza.NewError(stanza.ConditionServiceUnavailable, ""))
	}
}

func (s *Service) info(domain string) []byte {
	b := xmlstream.NewBuilder(nil).Open(stanza.NSDiscoInfo, "query")
	b.Open(stanza.NSDiscoInfo, "identity").Attr("category", "conference").Attr("type", "text").Attr("name", (*s.hosts.Load())[domain].Name).Close()
	for _, v := range []string{stanza.NSDiscoInfo, stanza.NSDiscoItems, nsMUC, stanza.NSRSM, stanza.NSPing, nsOccupants, nsUnique} {
		b.Open(stanza.NSDiscoInfo, "feature").Attr("var", v).Close()
	}
	return b.Close().Bytes()
}

// listed is a room as somebody finds it.
type listed struct {
	addr jid.JID
	name string
}

// list gives a page of the rooms that somebody may find, by address (XEP-0045 §6.3, XEP-0059).
func (s *Service) list(st *stanza.Stanza, request xmlstream.Element) ([]byte, *stanza.Error) {
	set := request.Child(stanza.NSRSM, "set")
	p, bad := stanza.ParsePage(set)
	if bad != nil {
		return nil, bad
	}
	most := maxItems
	if p.Max >= 0 {
		most = min(most, p.Max)
	}
	found := s.visible(st.To.Domain(), st.From)
	from, to := min(max(p.Index, 0), len(found)), len(found)
	byAddress := func(l listed, address string) int { return cmp.Compare(l.addr.String(), address) }
	if p.After != "" {
		i, exact := slices.BinarySearchFunc(found, p.After, byAddress)
		if exact {
			i++
		}
		from = i
	}
	if p.Before != "" {
		to, _ = slices.BinarySearchFunc(found, p.Before, byAddress)
	}
	from = min(from, to)
	if p.Backwards {
		from = max(from, to-most)
	} else {
		to = min(to, from+most)
	}
	b := xmlstream.NewBuilder(nil).Open(stanza.NSDiscoItems, "query")
	for _, l := range found[from:to] {
		b.Open(stanza.NSDiscoItems, "item").Attr("jid", l.addr.String()).Attr("name", l.name).Close()
	}
	if set.Valid() || len(found) > to-from {
		page := stanza.Page{Index: from, Count: len(found)}
		if from < to {
			page.First, page.Last = found[from].addr.String(), found[to-1].addr.String()
		}
		page.Append(b)
	}
	return b.Close().Bytes(), nil
}

// visible gives the rooms of a service that somebody may find, by address.
func (s *Service) visible(domain string, who jid.JID) []listed {
	var found []listed
	admin := s.admin(who)
	loaded := make(map[jid.JID]struct{})
	for _, e := range s.all() {
		if e.addr.Domain() != domain {
			continue
		}
		loaded[e.addr] = struct{}{}
		e.mu.Lock()
		if !e.gone && e.room.Lists(who, admin) {
			found = append(found, listed{e.addr, e.room.Name()})
		}
		e.mu.Unlock()
	}
	service := strings.TrimSuffix(domain, "."+s.sb.Domain())
	for _, d := range s.dir.Rooms() {
		if d.Service != service || !(d.Listed || admin || s.belongs(d, who)) {
			continue
		}
		addr, err := jid.New(d.RoomName, domain, "")
		if err != nil {
			continue
		}
		if _, known := loaded[addr]; !known {
			found = append(found, listed{addr, d.DisplayName})
		}
	}
	slices.SortFunc(found, func(a, b listed) int { return cmp.Compare(a.addr.String(), b.addr.String()) })
	return found
}

// belongs reports whether somebody has an affiliation with a declared room, other than being banned.
func (s *Service) belongs(d *directory.Room, who jid.JID) bool {
	named := func(j jid.JID) bool {
		_, found := slices.BinarySearchFunc(d.Affiliations, j, func(a directory.Affiliation, j jid.JID) int { return a.JID.Compare(j) })
		return found
	}
	// Most people belong to few of the rooms that are not listed: for the others, no lists are made.
	return (len(d.GroupAffiliations) > 0 || named(who.Bare()) || named(who.Host())) && s.affiliations(d.Affiliations, d.GroupAffiliations).Of(who) > 0
}
