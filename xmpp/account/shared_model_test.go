package account

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// watcher is a client that keeps what it is told: its roster by pushes alone, and who is there.
type watcher struct {
	*client
	roster map[string]string
	there  map[string]bool
	ver    string
}

// listen asks for the roster as somebody does who knows a version, and becomes available.
func (x *watcher) listen() {
	x.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster' ver='" + x.ver + "'/></iq>")
	x.send("<presence/>")
}

func (x *watcher) hear() {
	for _, xml := range x.raw() {
		st := read(x.t, xml)
		switch {
		case st.Kind == stanza.Presence && (st.Type == stanza.PresenceAvailable || st.Type == stanza.PresenceUnavailable):
			x.there[short(st.From)] = st.Type == stanza.PresenceAvailable
		case st.Kind == stanza.IQ && st.FirstChild().Valid():
			q := st.FirstChild()
			x.ver = string(q.Attr("ver"))
			if st.Type == stanza.IQResult {
				clear(x.roster)
			}
			for it := range q.Children() {
				j := string(it.Attr("jid"))
				if string(it.Attr("subscription")) == "remove" {
					delete(x.roster, j)
				} else {
					x.roster[j] = rosterLine(it)
				}
			}
		}
	}
}

func rosterLine(it xmlstream.Element) string {
	return fmt.Sprint(string(it.Attr("subscription")), " ", string(it.Attr("name")), " ", headings(it))
}

// oracle says what one user is to another, by the definition: nothing is remembered, nothing is compared.
type oracle struct {
	w       *world
	friends map[[2]string]bool
}

func (o oracle) groupsShown(viewer, contact string) (list []string) {
	v, c := jid.MustParse(viewer+"@"+domain), jid.MustParse(contact+"@"+domain)
	for _, g := range o.w.dir.Groups() {
		if !o.w.dir.IsMember(g.GroupName, c) {
			continue
		}
		switch g.SharedRoster.Mode {
		case directory.SharedEverybody:
			list = append(list, g.DisplayName)
		case directory.SharedOnlyGroup:
			if o.w.dir.IsMember(g.GroupName, v) || slices.ContainsFunc(g.SharedRoster.VisibleTo, func(n string) bool { return o.w.dir.IsMember(n, v) }) {
				list = append(list, g.DisplayName)
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func (o oracle) sees(viewer, contact string) bool {
	return o.friends[[2]string{viewer, contact}] || len(o.groupsShown(viewer, contact)) > 0
}

func (o oracle) roster(viewer string, users []string) map[string]string {
	out := map[string]string{}
	for _, c := range users {
		groups, friend := o.groupsShown(viewer, c), o.friends[[2]string{viewer, c}]
		if c == viewer || len(groups) == 0 && !friend {
			continue
		}
		sub := SubscriptionTo
		if o.sees(c, viewer) {
			sub = SubscriptionBoth
		}
		name := ""
		if len(groups) > 0 {
			u, _ := o.w.dir.User(c)
			name = u.DisplayName
		}
		if groups == nil {
			groups = []string{}
		}
		out[c+"@"+domain] = fmt.Sprint(sub, " ", name, " ", groups)
	}
	return out
}

// TestSharedModel changes groups, names, labels and presence at random. In the end everybody's roster, made of pushes alone, is what the
// definition says, and everybody knows who of the contacts is there.
func TestSharedModel(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { shareAtRandom(t, rand.New(rand.NewPCG(seed, 7))) })
	}
}

func shareAtRandom(t *testing.T, rnd *rand.Rand) {
	users := []string{"a", "b", "c", "d", "e", "f"}
	groups := []string{"one", "two", "three", "four"}
	w := newWorld(t, users...)
	o := oracle{w: w, friends: map[[2]string]bool{{"a", "b"}: true, {"b", "a"}: true, {"c", "d"}: true, {"d", "c"}: true}}
	w.befriend("a", "b")
	w.befriend("c", "d")
	clients := map[string]*watcher{}
	some := func(list []string) []string {
		return slices.DeleteFunc(slices.Clone(list), func(string) bool { return rnd.IntN(3) > 0 })
	}
	for range 60 {
		name := users[rnd.IntN(len(users))]
		switch x := clients[name]; rnd.IntN(8) {
		case 0, 1, 2:
			mode := []string{"Nobody", "OnlyGroup", "OnlyGroup", "OnlyGroup " + strings.Join(some(groups), ", "), "Everybody"}[rnd.IntN(5)]
			w.group(groups[rnd.IntN(len(groups))], strings.TrimSpace(mode), some(users)...)
		case 3:
			g := groups[rnd.IntN(len(groups))]
			if _, ok := w.dir.Group(g); ok {
				w.change(g, func(g *directory.Group) {
					g.DisplayName = g.GroupName + []string{"", "!"}[rnd.IntN(2)]
					g.Selector = []*directory.Selector{nil, {MatchLabels: map[string]string{"l": "1"}}}[rnd.IntN(2)]
				})
			}
		case 4:
			w.dir.DeleteGroup(groups[rnd.IntN(len(groups))], "")
		case 5:
			u, _ := w.dir.User(name)
			next := *u
			next.DisplayName, next.Labels = []string{"", "N"}[rnd.IntN(2)], map[string]string{"l": fmt.Sprint(rnd.IntN(2))}
			w.dir.PutUser(next)
		case 6:
			if x == nil || x.client == nil {
				if x == nil {
					x = &watcher{roster: map[string]string{}}
					clients[name] = x
				}
				x.client, x.there = w.connect(name+"@"+domain+"/r"), map[string]bool{}
				x.listen()
			} else if rnd.IntN(2) == 0 {
				x.send("<presence/>")
			}
		case 7:
			if x != nil && x.client != nil {
				x.hear()
				x.s.Closed()
				x.client = nil
			}
		}
	}
	for name, x := range clients {
		if x.client == nil {
			continue
		}
		agree := func() bool {
			x.hear()
			if !maps.Equal(x.roster, o.roster(name, users)) {
				return false
			}
			for _, other := range users {
				on := clients[other] != nil && clients[other].client != nil
				if other != name && x.there[other+"/r"] != (on && o.sees(name, other)) {
					return false
				}
			}
			return true
		}
		eventually(t, "what "+name+" knows to be right", func() bool {
			ok := agree()
			if !ok && testing.Verbose() {
				t.Logf("%s has %v and %v, want %v", name, x.roster, x.there, o.roster(name, users))
			}
			return ok
		})
		// Nothing is left to be told, and a fresh copy says the same.
		told := maps.Clone(x.roster)
		_, ver := x.client.roster()
		if x.ver != "" && x.ver != ver && len(o.roster(name, users)) > 0 {
			// Groups that show nothing may move the version: then all is sent again, which is right as well.
			x.raw()
			x.ver = "none"
			x.listen()
			x.hear()
			if !maps.Equal(told, x.roster) {
				t.Errorf("%s was told %v, and has %v", name, told, x.roster)
			}
		}
	}
	for _, x := range clients {
		if x.client != nil {
			x.s.Closed()
		}
	}
	eventually(t, "everybody to be forgotten", func() bool {
		w.rosters.mu.Lock()
		defer w.rosters.mu.Unlock()
		return len(w.rosters.users) == 0
	})
}
