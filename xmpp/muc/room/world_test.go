package room

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// world runs one room as the service does for a temporary one: it makes wishes come true.
type world struct {
	t   testing.TB
	r   *Room
	now time.Time
	n   int
	// refuse, when set, is what the next wish gets.
	refuse *stanza.Error
	// hold keeps wishes unanswered in held.
	hold bool
	held []*Wish
	got  []delivery
	side []Output // what isn't a delivery or a wish
}

// delivery is one stanza that somebody gets.
type delivery struct {
	to jid.JID
	el xmlstream.Element
}

func (d delivery) String() string { return string(d.el.Append(nil)) }

func coven() jid.JID { return jid.MustParse("coven@chat.shakespeare.lit") }

// plain is the configuration of a room without restrictions, as the resource's defaults have it.
func plain() Config {
	return Config{
		Listed: true, CanChangeSubject: false, CanInvite: true, CanChangeNickname: true, RegistrationEnabled: true,
		WhoSeesJIDs: directory.JIDsModerators, PrivateMessages: directory.PrivateAnyone, History: 20, Persistent: true,
		PresenceBroadcast: []directory.RoomRole{directory.RoleModerator, directory.RoleParticipant, directory.RoleVisitor},
	}
}

func newWorld(t testing.TB, c Config, o Options) *world {
	o.Address, o.Config, o.Key = coven(), &c, []byte("the key of this room, and no other")
	return &world{t: t, r: New(o), now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
}

// do carries out what an event leads to, wishes included.
func (w *world) do(event func(out []Output) []Output) []delivery {
	w.t.Helper()
	w.got = w.got[:0:0]
	w.carryOut(event(nil))
	return w.got
}

func (w *world) carryOut(outs []Output) {
	w.t.Helper()
	var wishes []*Wish
	for _, o := range outs {
		switch o := o.(type) {
		case *Send:
			start := 0
			for _, end := range o.Ends {
				w.deliver(o.To, o.XML[start:end])
				start = end
			}
			if start != len(o.XML) {
				w.t.Fatalf("stanzas end at %d of %d", start, len(o.XML))
			}
		case *Broadcast:
			for _, to := range o.To {
				b := xmlstream.AppendEscapedAttrString(append([]byte(nil), o.Head...), to.String())
				w.deliver(to, append(b, o.Tail...))
			}
		case *Wish:
			wishes = append(wishes, o)
		default:
			w.side = append(w.side, o)
		}
	}
	for _, o := range wishes {
		if w.hold {
			w.held = append(w.held, o)
			continue
		}
		w.answer(o)
	}
}

// answer makes a wish come true, or not.
func (w *world) answer(o *Wish) {
	w.t.Helper()
	if fault := w.refuse; fault != nil {
		w.refuse = nil
		w.carryOut(w.r.WishDone(o.ID, fault, nil))
		return
	}
	if fault := o.Permitted(w.r.Config(), o.Admin); fault != nil {
		w.carryOut(w.r.WishDone(o.ID, fault, nil))
		return
	}
	if o.Destroy {
		w.carryOut(w.r.Destroyed(Destruction{}, nil))
	} else {
		w.carryOut(w.r.Reconfigured(w.r.Config().With(o.Change, o.Affiliations), nil))
	}
	w.carryOut(w.r.WishDone(o.ID, nil, nil))
}

func (w *world) deliver(to jid.JID, xml []byte) {
	w.t.Helper()
	e, err := xmlstream.Parse(xml, xmlstream.DefaultLimits())
	if err != nil {
		w.t.Fatalf("%v: %s", err, xml)
	}
	if string(e.Attr("to")) != to.String() {
		w.t.Fatalf("a stanza to %s goes to %s: %s", e.Attr("to"), to, xml)
	}
	if string(e.Space()) != stanza.NSClient {
		w.t.Fatalf("not of jabber:client: %s", xml)
	}
	w.got = append(w.got, delivery{to, e})
}

// send is what a session sends, as the server hands it on.
func (w *world) send(from, xml string) []delivery { w.t.Helper(); return w.sendAs(from, xml, false) }

func (w *world) sendAs(from, xml string, admin bool) []delivery {
	w.t.Helper()
	e, err := xmlstream.Parse([]byte(xml), xmlstream.DefaultLimits())
	if err != nil {
		w.t.Fatalf("%v: %s", err, xml)
	}
	s, fault := stanza.Parse(e, nil)
	if fault != nil {
		w.t.Fatalf("%v: %s", fault, xml)
	}
	s.From = jid.MustParse(from)
	w.n++
	w.now = w.now.Add(time.Second)
	return w.do(func(out []Output) []Output {
		return w.r.Stanza(Sender{From: s.From, Admin: admin, Time: w.now, ID: fmt.Sprintf("sid-%d", w.n)}, &s, out)
	})
}

func (w *world) join(from, nick string) []delivery {
	w.t.Helper()
	return w.send(from, fmt.Sprintf("<presence to='%s/%s'><x xmlns='%s'/></presence>", coven(), nick, nsMUC))
}

// admin asks for a change by muc#admin.
func (w *world) admin(from, item string) []delivery {
	w.t.Helper()
	return w.send(from, fmt.Sprintf("<iq type='set' id='a' to='%s'><query xmlns='%s'>%s</query></iq>", coven(), nsAdmin, item))
}

// condition is the error that somebody got; empty: none.
func condition(got []delivery, to string) string {
	for _, d := range got {
		if d.to.String() == to && string(d.el.Attr("type")) == "error" {
			for c := range d.el.Child(stanza.NSClient, "error").Children() {
				if string(c.Space()) == stanza.NSStanzas && string(c.Local()) != "text" {
					return string(c.Local())
				}
			}
		}
	}
	return ""
}

// codes are the status codes of a delivery.
func codes(d delivery) string {
	var list []string
	for c := range d.el.Child(nsUser, "x").Children() {
		if c.Is(nsUser, "status") {
			list = append(list, string(c.Attr("code")))
		}
	}
	return strings.Join(list, " ")
}

func entries(list ...string) []Entry {
	var out []Entry
	for i := 0; i < len(list); i += 2 {
		a, ok := ParseAffiliation(list[i+1])
		if !ok {
			panic(list[i+1])
		}
		out = append(out, Entry{jid.MustParse(list[i]), a})
	}
	return out
}
