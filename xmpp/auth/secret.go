package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"sync"
	"sync/atomic"
)

// Secret is where an account's credential comes from: verifiers, or a plain password that is derived once, when it is first needed, and
// dropped then. A Secret never changes what it accepts and may be shared between goroutines.
type Secret struct {
	once     sync.Once
	derived  atomic.Bool
	password string
	salt     []byte
	cred     Credential
	print    [16]byte
}

// NewPasswordSecret makes a Secret of a plain password. The derivation (a millisecond of work) is left to whoever calls Credential first. The salt
// should depend on the content, so that the same content on another replica or after a restart gives the same verifiers; nil stands for a
// random one. A password that PreparePassword refuses makes a Secret that admits nobody.
func NewPasswordSecret(password string, salt []byte) *Secret {
	s := &Secret{password: password, salt: append([]byte(nil), salt...)}
	if len(s.salt) == 0 {
		s.salt = make([]byte, SaltSize)
		rand.Read(s.salt) // never fails: crypto/rand ends the process instead
	}
	// Lets Same answer without a derivation. It stays in memory only, where the watch's cache holds the password itself anyway.
	s.print = contentPrint("password", salt, []byte(password))
	return s
}

// NewVerifierSecret makes a Secret of ready verifiers.
func NewVerifierSecret(c Credential) *Secret {
	s := &Secret{cred: c}
	s.derived.Store(true)
	fields := make([][]byte, 0, 8)
	for _, v := range []Verifier{c.SHA256, c.SHA1} {
		fields = append(fields, binary.BigEndian.AppendUint64(nil, uint64(v.Iterations)), v.Salt, v.StoredKey, v.ServerKey)
	}
	s.print = contentPrint("verifiers", fields...)
	return s
}

// contentPrint hashes fields in a way that tells where each ends.
func contentPrint(kind string, fields ...[]byte) (p [16]byte) {
	b := append([]byte(kind), 0)
	for _, f := range fields {
		b = append(binary.BigEndian.AppendUint64(b, uint64(len(f))), f...)
	}
	sum := sha256.Sum256(b)
	clear(b)
	copy(p[:], sum[:])
	return p
}

// Credential returns the verifiers, deriving them when nobody has yet.
func (s *Secret) Credential() Credential {
	if s == nil {
		return Credential{}
	}
	if !s.derived.Load() {
		s.once.Do(s.derive)
	}
	return s.cred
}

func (s *Secret) derive() {
	if c, err := Derive(s.password, s.salt, DefaultIterations); err == nil {
		s.cred = c
	}
	s.password = ""
	s.derived.Store(true)
}

// factors returns what a SCRAM client has to be told first, without deriving anything: an exchange that stops there costs nothing.
func (s *Secret) factors(h Hash) (salt []byte, iterations int, ok bool) {
	if s == nil {
		return nil, 0, false
	}
	if !s.derived.Load() {
		return s.salt, DefaultIterations, true
	}
	v := s.cred.Verifier(h)
	return v.Salt, v.Iterations, !v.IsZero()
}

// Ready says that Credential costs nothing any more: what a warmer that goes through all accounts asks first.
func (s *Secret) Ready() bool { return s == nil || s.derived.Load() }

// Same says whether both hold the same content, in constant time and without a derivation. Passwords count as the same when their salts are the same,
// too, which salts that depend on the content are.
func (s *Secret) Same(t *Secret) bool {
	if s == nil || t == nil {
		return s == t
	}
	return subtle.ConstantTimeCompare(s.print[:], t.print[:]) == 1
}

// String keeps a Secret out of logs.
func (s *Secret) String() string { return "auth.Secret(hidden)" }

// GoString keeps a Secret out of logs.
func (s *Secret) GoString() string { return s.String() }
