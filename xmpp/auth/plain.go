package auth

import (
	"bytes"
	"net/netip"
	"unicode/utf8"
)

// plainExchange is PLAIN (RFC 4616).
type plainExchange struct {
	srv      *Server
	from     netip.Addr
	asked    bool
	done     bool
	who      candidate
	username string
}

func (x *plainExchange) Username() string { return x.username }

func (x *plainExchange) Claimed() string { return x.who.claimed() }

func (x *plainExchange) Valid() bool { return x.username != "" && x.srv.admit(x.who) == nil }

func (x *plainExchange) Step(in []byte) ([]byte, bool, *SASLError) {
	if in == nil && !x.asked && !x.done {
		x.asked = true
		return nil, false, nil
	}
	if x.done {
		return nil, false, malformed("The exchange is over.")
	}
	x.done = true

	// message = [authzid] NUL authcid NUL passwd (RFC 4616 §2)
	parts := bytes.Split(in, []byte{0})
	if len(parts) != 3 || len(parts[1]) == 0 || len(parts[2]) == 0 || !utf8.Valid(in) {
		return nil, false, malformed("The PLAIN message has to be authzid, NUL, username, NUL, password in UTF-8.")
	}
	name, password := string(parts[1]), string(parts[2])
	x.who = x.srv.lookup(name)
	c := x.who
	if err := x.srv.checkAuthzid(string(parts[0]), c.name); err != nil {
		return nil, false, err
	}

	if err := x.srv.guard.try(x.from, c.name); err != nil {
		return nil, false, err
	}
	// Every path derives: an unknown name, or one without a usable credential, costs what a wrong password costs.
	cred := Credential{SHA256: x.srv.decoys.verifier(SHA256, c.name)}
	known := false
	if c.known {
		if own := c.account.Secret.Credential(); !own.IsZero() {
			cred, known = own, true
		}
	}
	if !cred.CheckPassword(password) || !known {
		return nil, false, refused()
	}
	if err := x.srv.admit(c); err != nil {
		return nil, false, err
	}
	x.srv.guard.succeeded(x.from, c.name)
	x.username = c.name
	return nil, true, nil
}
