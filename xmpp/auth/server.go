// Package auth checks who a client is: credentials, SASL mechanisms (RFC 4422, RFC 5802, RFC 7677, RFC 4616, RFC 4505) and TLS channel
// bindings (RFC 5929, RFC 9266).
//
// It speaks SASL messages only; how they travel is the business of the stream.
package auth

import (
	"time"

	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/meter"
)

// The mechanisms, by their registered names.
const (
	ScramSHA256Plus = "SCRAM-SHA-256-PLUS"
	ScramSHA1Plus   = "SCRAM-SHA-1-PLUS"
	ScramSHA256     = "SCRAM-SHA-256"
	ScramSHA1       = "SCRAM-SHA-1"
	Plain           = "PLAIN"
	Anonymous       = "ANONYMOUS"
)

// Config says whom a Server admits and how.
type Config struct {
	// Domain is the XMPP domain, prepared: the only one whose accounts exist here.
	Domain string
	// Accounts finds the accounts.
	Accounts Accounts
	// InstallationKey is what decoys for unknown names are made from. It has to be the same on every replica and after a restart: a salt that
	// changes tells an account that does not exist. Empty stands for a random one.
	InstallationKey []byte
	// Anonymous is asked at each login whether ANONYMOUS (XEP-0175) is offered; nil means never.
	Anonymous func() bool

	// Attempts is asked at each login how many may fail; nil means any number.
	Attempts func() Attempts
	// Meter counts refusals; nil counts nothing.
	Meter *meter.Meter

	// now replaces the clock in tests.
	now func() time.Time
	// nonce replaces the server's nonce in tests that replay a published exchange.
	nonce func() string
}

// Server checks logins. All it remembers of them is how many have failed, and it may be shared.
type Server struct {
	cfg    Config
	decoys decoys
	guard  *guard
}

// NewServer returns a Server.
func NewServer(cfg Config) *Server {
	return &Server{cfg: cfg, decoys: newDecoys(cfg.InstallationKey), guard: newGuard(cfg)}
}

// Mechanisms returns what is offered over that channel, in order of preference (RFC 6120 §6.3.3).
func (s *Server) Mechanisms(ch Channel) []string {
	list := make([]string, 0, 6)
	if len(ch.Bindings) > 0 {
		list = append(list, ScramSHA256Plus, ScramSHA1Plus)
	}
	list = append(list, ScramSHA256, ScramSHA1)
	if ch.Secure {
		list = append(list, Plain)
	}
	if s.anonymous() {
		list = append(list, Anonymous)
	}
	return list
}

func (s *Server) anonymous() bool { return s.cfg.Anonymous != nil && s.cfg.Anonymous() }

// Exchange is one attempt to log in. It is used by one goroutine and cannot be used again once it is done or has failed.
type Exchange interface {
	// Step takes the client's next message and returns the server's. A nil message says that the client began without an initial response (RFC 6120
	// §6.4.2), an empty one that it sent an empty one. When done, out goes with the success.
	Step(in []byte) (out []byte, done bool, err *SASLError)
	// Username returns the prepared name of who logged in once Step was done; empty for ANONYMOUS.
	Username() string
	// Claimed returns the prepared name of the account that the client says to be, proved or not; empty when there is none of that name.
	Claimed() string
	// Valid says, once Step was done, whether whoever logged in could still do so: an account may have been locked, given another password, or
	// removed and made anew for somebody else while the client took its time.
	Valid() bool
}

// Start begins an exchange with a mechanism that Mechanisms offered for the same channel.
func (s *Server) Start(mechanism string, ch Channel) (Exchange, *SASLError) {
	switch mechanism {
	case ScramSHA256Plus, ScramSHA1Plus:
		if len(ch.Bindings) > 0 {
			h := SHA256
			if mechanism == ScramSHA1Plus {
				h = SHA1
			}
			return &scramExchange{srv: s, hash: h, plus: true, channel: ch}, nil
		}
	case ScramSHA256:
		return &scramExchange{srv: s, hash: SHA256, channel: ch}, nil
	case ScramSHA1:
		return &scramExchange{srv: s, hash: SHA1, channel: ch}, nil
	case Plain:
		if !ch.Secure {
			return nil, &SASLError{Condition: EncryptionRequired, Text: "PLAIN needs an encrypted connection."}
		}
		return &plainExchange{srv: s, from: ch.Source}, nil
	case Anonymous:
		if s.anonymous() {
			return &anonymousExchange{}, nil
		}
	}
	return nil, &SASLError{Condition: InvalidMechanism, Text: "This mechanism is not offered here."}
}

// candidate is the account that a client says to be: the name looked up, and the decoy that stands in when there is none.
type candidate struct {
	name    string
	account Account
	known   bool
	exists  bool // with a password or without
}

// claimed is its name if there is such an account.
func (c *candidate) claimed() string {
	if !c.exists {
		return ""
	}
	return c.name
}

// lookup prepares a name and looks it up. A name that cannot be prepared exists nowhere; it still gets an exchange like any other.
func (s *Server) lookup(name string) candidate {
	prepared, err := jid.PrepareLocal(name)
	if err != nil {
		return candidate{name: name}
	}
	account, ok := s.cfg.Accounts.Lookup(prepared)
	return candidate{name: prepared, account: account, known: ok && account.Secret != nil, exists: ok}
}

// admit decides about a client that has proved the secret of c: the account may have been locked, changed or removed meanwhile.
func (s *Server) admit(c candidate) *SASLError {
	now, ok := s.cfg.Accounts.Lookup(c.name)
	switch {
	case !ok || now.Secret == nil || (now.Secret != c.account.Secret && !now.Secret.Same(c.account.Secret)):
		return refused()
	case now.Locked:
		return disabled()
	}
	return nil
}

// checkAuthzid accepts no authorization identity but the client's own bare JID (RFC 6120 §6.3.8). It looks at the names only, so that
// the answer says nothing about accounts.
func (s *Server) checkAuthzid(authzid, name string) *SASLError {
	if authzid == "" {
		return nil
	}
	asked, err := jid.Parse(authzid)
	if err == nil {
		var own jid.JID
		if own, err = jid.New(name, s.cfg.Domain, ""); err == nil && asked == own {
			return nil
		}
	}
	return &SASLError{Condition: InvalidAuthzid, Text: "Only your own bare JID can be used as authorization identity."}
}
