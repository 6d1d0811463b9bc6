// Package meter counts what the server does and what it refuses. Counting takes one atomic addition and no look-up by name, so that it can stand
// on the way of a stanza. Package xmpp makes metrics of the counts.
package meter

import (
	"sync/atomic"
	"time"
)

// Counter counts up. The zero value is ready.
type Counter struct{ n atomic.Uint64 }

// Inc counts one.
func (c *Counter) Inc() { c.n.Add(1) }

// Add counts several.
func (c *Counter) Add(n int) {
	if n > 0 {
		c.n.Add(uint64(n))
	}
}

// Value is how many were counted.
func (c *Counter) Value() uint64 { return c.n.Load() }

// Reason is why something was refused because of a limit.
type Reason uint8

// The reasons. Their names are what metrics call them.
const (
	Connections          Reason = iota // too many connections that have not logged in
	ConnectionsOfAddress               // likewise, from one address
	LoginTime                          // logging in took too long
	LoginTries                         // too many failed logins on one connection
	LoginsOfAccount                    // too many failed logins to an account from one address
	LoginsOfAddress                    // too many failed logins from one address
	StanzaShape                        // a stanza too large, too deep or of too many parts
	Flood                              // a session that sent too fast for too long
	Idle                               // a session on which nothing arrived for too long
	Sessions                           // too many sessions of a user
	RosterEntries                      // too many contacts of a user
	Output                             // a client that did not take what was sent to it
	Unacknowledged                     // a client that did not acknowledge what was sent to it
	ProxyHeader                        // a trusted proxy that did not say where its client is
	Hibernating                        // too many sessions of a user that wait for their clients
	Storage                            // the store could not take it
	Changes                            // too many changes of declared things by a user's clients
	RoomsOfUser                        // too many rooms that a user has made
	reasons
)

// Reasons lists all of them.
func Reasons() []Reason {
	list := make([]Reason, reasons)
	for i := range list {
		list[i] = Reason(i)
	}
	return list
}

// String is the reason's name in metrics.
func (r Reason) String() string {
	return [...]string{"connections", "connections-of-address", "login-time", "login-tries", "logins-of-account", "logins-of-address",
		"stanza-shape", "flood", "idle", "sessions", "roster-entries", "output",
		"unacknowledged", "proxy-header", "hibernating", "storage", "changes", "rooms-of-user"}[r]
}

// Result is how an attempt to log in ended.
type Result uint8

// The results.
const (
	LoggedIn Result = iota
	Refused         // what was proved did not suffice, or the account is locked
	Limited         // not looked at, because too many had failed before
	Failed          // the exchange was not what the mechanism asks for
	results
)

// Results lists all of them.
func Results() []Result { return []Result{LoggedIn, Refused, Limited, Failed} }

// String is the result's name in metrics.
func (r Result) String() string { return [...]string{"success", "refused", "limited", "failed"}[r] }

// otherMechanism stands for all names of mechanisms that the server does not know: they are the client's words.
const otherMechanism = "other"

// Kind is the kind of a stanza.
type Kind uint8

// The kinds.
const (
	Message Kind = iota
	Presence
	IQ
	kinds
)

// Kinds lists all of them.
func Kinds() []Kind { return []Kind{Message, Presence, IQ} }

// String is the element's name.
func (k Kind) String() string { return [...]string{"message", "presence", "iq"}[k] }

// Fate is what became of a stanza that a client sent.
type Fate uint8

// The fates.
const (
	Handled   Fate = iota // answered, broadcast, said in a room, or of no consequence
	Delivered             // handed to a session of its recipient
	Stored                // on its way into a mailbox
	Rejected              // answered with an error, of the stanza or of the stream
	fates
)

// Fates lists all of them.
func Fates() []Fate { return []Fate{Handled, Delivered, Stored, Rejected} }

// String is the fate's name in metrics.
func (f Fate) String() string { return [...]string{"handled", "delivered", "stored", "refused"}[f] }

// Meter holds the counts of one server. A nil Meter counts nothing.
type Meter struct {
	connections, throttled Counter
	refusals               [reasons]Counter
	stanzas                [kinds][fates]Counter
	handling               [kinds]*Histogram
	delivery               *Histogram
	logins                 map[string]*[results]Counter // not changed after New
}

// New makes a Meter that tells these mechanisms apart.
func New(mechanisms ...string) *Meter {
	m := &Meter{logins: map[string]*[results]Counter{otherMechanism: {}}, delivery: Latencies()}
	for k := range m.handling {
		m.handling[k] = Latencies()
	}
	for _, name := range mechanisms {
		m.logins[name] = &[results]Counter{}
	}
	return m
}

// Connection counts a connection that was accepted, refused ones included.
func (m *Meter) Connection() {
	if m != nil {
		m.connections.Inc()
	}
}

// Throttle counts a moment for which a session was not listened to because it sent too fast.
func (m *Meter) Throttle() {
	if m != nil {
		m.throttled.Inc()
	}
}

// Refuse counts a refusal.
func (m *Meter) Refuse(r Reason) {
	if m != nil {
		m.refusals[r].Inc()
	}
}

// Stanza counts a stanza that a client sent, what became of it, and how long that took.
func (m *Meter) Stanza(k Kind, f Fate, took time.Duration) {
	if m != nil {
		m.stanzas[k][f].Inc()
		m.handling[k].Observe(took)
	}
}

// Writing counts a write to a client that begins, by how long the first of what is written has waited for this server: not for the client, which may
// have been busy with what was written before, or nowhere.
func (m *Meter) Writing(waited time.Duration) {
	if m != nil {
		m.delivery.Observe(waited)
	}
}

// Login counts an attempt to log in.
func (m *Meter) Login(mechanism string, r Result) {
	if m == nil {
		return
	}
	c := m.logins[mechanism]
	if c == nil {
		c = m.logins[otherMechanism]
	}
	c[r].Inc()
}

// Connections is how many connections were accepted.
func (m *Meter) Connections() *Counter { return &m.connections }

// Throttled is how often a session was held back.
func (m *Meter) Throttled() *Counter { return &m.throttled }

// Refusals is how many were refused for a reason.
func (m *Meter) Refusals(r Reason) *Counter { return &m.refusals[r] }

// Stanzas is how many stanzas of a kind clients sent that ended so.
func (m *Meter) Stanzas(k Kind, f Fate) *Counter { return &m.stanzas[k][f] }

// Handling is how long stanzas of a kind took, from when they were read to when they were handed on, kept or answered.
func (m *Meter) Handling(k Kind) *Histogram { return m.handling[k] }

// Delivery is how long what is sent to clients waits until it is written, but for the time that a client leaves what was written before.
func (m *Meter) Delivery() *Histogram { return m.delivery }

// Logins calls f with every count of logins.
func (m *Meter) Logins(f func(mechanism string, r Result, c *Counter)) {
	for mechanism, list := range m.logins {
		for _, r := range Results() {
			f(mechanism, r, &list[r])
		}
	}
}
