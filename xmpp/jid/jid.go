// Package jid implements XMPP addresses as RFC 7622 defines them: prepared once, comparable ever after.
package jid

import (
	"errors"
	"fmt"
	"strings"
)

// MaxPart is the largest size in bytes of a localpart, domainpart or resourcepart (RFC 7622 §3.2, §3.3, §3.4).
const MaxPart = 1023

// maxAddress is the largest address that can be valid before preparation is tried. Preparation can shrink a part (it
// composes and folds width), so the bound on raw input is generous; it only keeps absurd input out of the Unicode tables.
const maxAddress = 4 * (3*MaxPart + 2)

// JID is a prepared XMPP address. It is comparable: two JIDs are == exactly when they are the same address, so it serves
// as a map key. The zero value means "no address".
type JID struct {
	// s is the whole address in its prepared form; at is the length of the localpart (0 when there is none) and slash the
	// offset where the domainpart ends.
	s         string
	at, slash uint16
}

// An Error says which part of an address is at fault and why.
type Error struct {
	Part   string // "localpart", "domainpart" or "resourcepart"; "" is the address as a whole
	Reason string
}

func (e *Error) Error() string {
	if e.Part == "" {
		return "the XMPP address " + e.Reason
	}
	return "the " + e.Part + " of the XMPP address " + e.Reason
}

func fault(part, reason string) error { return &Error{Part: part, Reason: reason} }

// Parse reads and prepares an address (RFC 7622 §3.1: everything after the first slash is the resourcepart, everything
// before the first at sign that remains is the localpart).
func Parse(s string) (JID, error) {
	if s == "" {
		return JID{}, fault("", "is empty")
	}
	if len(s) > maxAddress {
		return JID{}, fault("", "is too long")
	}
	if j, ok := simple(s); ok {
		return j, nil
	}
	local, domain, resource, err := split(s)
	if err != nil {
		return JID{}, err
	}
	return New(local, domain, resource)
}

// ParseBytes is Parse for bytes; the JID doesn't alias them.
func ParseBytes(b []byte) (JID, error) {
	if len(b) > maxAddress {
		return JID{}, fault("", "is too long")
	}
	return Parse(string(b))
}

// MustParse is Parse for addresses known to be valid, as in tests and constants; it panics on a fault.
func MustParse(s string) JID {
	j, err := Parse(s)
	if err != nil {
		panic(fmt.Sprintf("jid.MustParse(%q): %v", s, err))
	}
	return j
}

// New prepares the three parts and composes an address. An empty localpart or resourcepart means that there is none; the
// domainpart is required.
func New(local, domain, resource string) (JID, error) {
	d, err := PrepareDomain(domain)
	if err != nil {
		return JID{}, err
	}
	var l, r string
	if local != "" {
		if l, err = PrepareLocal(local); err != nil {
			return JID{}, err
		}
	}
	if resource != "" {
		if r, err = PrepareResource(resource); err != nil {
			return JID{}, err
		}
	}
	return compose(l, d, r), nil
}

// compose joins prepared parts.
func compose(l, d, r string) JID {
	switch {
	case l == "" && r == "":
		return JID{s: d, slash: uint16(len(d))}
	case r == "":
		return JID{s: l + "@" + d, at: uint16(len(l)), slash: uint16(len(l) + 1 + len(d))}
	case l == "":
		return JID{s: d + "/" + r, slash: uint16(len(d))}
	}
	return JID{s: l + "@" + d + "/" + r, at: uint16(len(l)), slash: uint16(len(l) + 1 + len(d))}
}

// split cuts an address into its raw parts and refuses empty ones that have their separator.
func split(s string) (local, domain, resource string, err error) {
	domain = s
	if i := strings.IndexByte(s, '/'); i >= 0 {
		domain, resource = s[:i], s[i+1:]
		if resource == "" {
			return "", "", "", fault("resourcepart", "is empty after the slash")
		}
	}
	if i := strings.IndexByte(domain, '@'); i >= 0 {
		local, domain = domain[:i], domain[i+1:]
		if local == "" {
			return "", "", "", fault("localpart", "is empty before the at sign")
		}
	}
	return local, domain, resource, nil
}

// Local is the localpart, or "".
func (j JID) Local() string { return j.s[:j.at] }

// Domain is the domainpart; "" only for the zero value.
func (j JID) Domain() string { return j.s[j.domainStart():j.slash] }

func (j JID) domainStart() int {
	if j.at == 0 {
		return 0
	}
	return int(j.at) + 1
}

// Resource is the resourcepart, or "".
func (j JID) Resource() string {
	if int(j.slash) == len(j.s) {
		return ""
	}
	return j.s[j.slash+1:]
}

// Bare is the address without its resourcepart.
func (j JID) Bare() JID { return JID{s: j.s[:j.slash], at: j.at, slash: j.slash} }

// Host is the domainpart alone, as an address.
func (j JID) Host() JID {
	d := j.Domain()
	return JID{s: d, slash: uint16(len(d))}
}

// WithResource is the bare address with another resourcepart; "" gives the bare address.
func (j JID) WithResource(resource string) (JID, error) {
	if j.IsZero() {
		return JID{}, fault("domainpart", "is missing, so a resourcepart can't be added")
	}
	if resource == "" {
		return j.Bare(), nil
	}
	r, err := PrepareResource(resource)
	if err != nil {
		return JID{}, err
	}
	return JID{s: j.s[:j.slash] + "/" + r, at: j.at, slash: j.slash}, nil
}

// IsZero reports whether there is no address at all.
func (j JID) IsZero() bool { return j.s == "" }

// IsBare reports whether this is an address without a resourcepart.
func (j JID) IsBare() bool { return j.s != "" && int(j.slash) == len(j.s) }

// IsFull reports whether the address has a resourcepart.
func (j JID) IsFull() bool { return int(j.slash) < len(j.s) }

// String is the prepared address as it goes on the wire.
func (j JID) String() string { return j.s }

// Compare orders addresses by domainpart, then localpart, then resourcepart.
func (j JID) Compare(o JID) int {
	if c := strings.Compare(j.Domain(), o.Domain()); c != 0 {
		return c
	}
	if c := strings.Compare(j.Local(), o.Local()); c != 0 {
		return c
	}
	return strings.Compare(j.Resource(), o.Resource())
}

// MarshalText implements encoding.TextMarshaler; the zero value is the empty text.
func (j JID) MarshalText() ([]byte, error) { return []byte(j.s), nil }

// UnmarshalText implements encoding.TextUnmarshaler; the empty text is the zero value.
func (j *JID) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*j = JID{}
		return nil
	}
	p, err := ParseBytes(b)
	if err != nil {
		return err
	}
	*j = p
	return nil
}

// IsMalformed reports whether err says that an address is not a valid one.
func IsMalformed(err error) bool {
	var e *Error
	return errors.As(err, &e)
}
