package audit

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// Clients records what chat clients do that changes no declaration, and who fails to log in. Nobody waits for an entry to be written: Run does
// that, all that came meanwhile in one transaction. A crash in that moment loses them.
type Clients struct {
	cfg      Config
	failures *Failures

	mu      sync.Mutex
	waiting []store.AuditEntry
	missed  int // entries for which there was no room
	signal  chan struct{}
}

// maxWaiting bounds the entries that wait while the store takes none.
const maxWaiting = 4096

// maxBatch bounds the entries of one write.
const maxBatch = 256

// NewClients makes one; its entries are written while Run runs.
func NewClients(c Config) *Clients {
	return &Clients{cfg: c, failures: NewFailures(), signal: make(chan struct{}, 1)}
}

// ContactPut records that a contact that clients keep was added or changed.
func (c *Clients) ContactPut(by directory.Actor, username string, contact directory.Contact, added bool) {
	c.add(by, putContact(username, contact, added))
}

// ContactRemoved records that a contact that clients keep was removed.
func (c *Clients) ContactRemoved(by directory.Actor, username string, contact jid.JID) {
	c.add(by, deleteContact(username, contact))
}

// VCardPut records that a vCard was replaced, or taken away.
func (c *Clients) VCardPut(by directory.Actor, username string, removed bool) {
	summary := "updated vCard of "
	if removed {
		summary = "deleted vCard of "
	}
	c.add(by, deed{summary: summary + username})
}

// LoginFailed records a refused login, as far as that is not too much. username is whom it claimed to be, if there is such an account: people type
// passwords into the wrong box, so other text is repeated nowhere.
func (c *Clients) LoginFailed(username, mechanism, reason, address string) {
	missed, ok := c.failures.Admit(time.Now())
	if !ok {
		return
	}
	d := deed{"failed authentication", []string{Detail("mechanism", mechanism), Detail("reason", reason)}}
	if username != "" {
		d.summary += " as " + username
	}
	if missed > 0 {
		d.details = append(d.details, Detail("further failures before", strconv.Itoa(missed)))
	}
	c.add(directory.Actor{Via: ViaXMPP, Name: username, Address: address}, d)
}

func (c *Clients) add(by directory.Actor, d deed) {
	if by.Via == ViaREST {
		return // its handlers do that themselves
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) >= maxWaiting {
		c.missed++
		return
	}
	c.waiting = append(c.waiting, c.cfg.entry(by, d))
	select {
	case c.signal <- struct{}{}:
	default: // one signal covers all of them
	}
}

// Run writes until ctx ends, and then what is left.
func (c *Clients) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			c.write()
			return
		case <-c.signal:
			c.write()
		}
	}
}

func (c *Clients) write() {
	for {
		c.mu.Lock()
		batch := c.waiting[:min(len(c.waiting), maxBatch)]
		c.waiting = c.waiting[len(batch):]
		missed := c.missed
		c.missed = 0
		if len(c.waiting) == 0 {
			c.waiting = nil
		}
		c.mu.Unlock()
		if missed > 0 && c.cfg.Errors != nil {
			c.cfg.Errors.Error("audit entries about chat clients could not be kept: too many of them waited", "entries", missed)
		}
		if len(batch) == 0 {
			return
		}
		c.cfg.append(context.Background(), batch)
	}
}
