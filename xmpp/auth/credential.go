package auth

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"hash"
	"strconv"
	"strings"
)

// Hash names the hash function of a SCRAM verifier.
type Hash uint8

// The hash functions that the server speaks: RFC 5802 and RFC 7677.
const (
	SHA1 Hash = iota + 1
	SHA256
)

// String returns the mechanism's base name, which also starts a verifier string.
func (h Hash) String() string {
	switch h {
	case SHA1:
		return "SCRAM-SHA-1"
	case SHA256:
		return "SCRAM-SHA-256"
	}
	return "SCRAM-unknown"
}

// Size returns the length of the hash's output in bytes.
func (h Hash) Size() int {
	if h == SHA1 {
		return sha1.Size
	}
	return sha256.Size
}

func (h Hash) new() hash.Hash {
	if h == SHA1 {
		return sha1.New()
	}
	return sha256.New()
}

const (
	// DefaultIterations is the PBKDF2 iteration count of what the server derives itself: RFC 5802 §5.1 and RFC 7677 §4 ask for at least that, and
	// each PLAIN login and each client pays it.
	DefaultIterations = 4096
	// MinIterations is the smallest count accepted in a verifier that somebody provides; common clients refuse less.
	MinIterations = 4096
	// MaxIterations bounds what a PLAIN login can cost.
	MaxIterations = 1_000_000
	// SaltSize is the length in bytes of the salts that the server makes.
	SaltSize = 16

	maxSaltSize = 255
)

// Verifier is what the server keeps to check one SCRAM mechanism (RFC 5802 §3): it proves a password without holding it.
type Verifier struct {
	Iterations int
	Salt       []byte
	StoredKey  []byte
	ServerKey  []byte
}

// IsZero says that there is no verifier.
func (v Verifier) IsZero() bool { return len(v.StoredKey) == 0 }

// String returns the verifier in the shape of RFC 5803 that PostgreSQL made common:
// SCRAM-SHA-256$<iterations>:<base64 salt>$<base64 StoredKey>:<base64 ServerKey>. It is as secret as a password hash is.
func (v Verifier) String(h Hash) string {
	b64 := base64.StdEncoding
	return h.String() + "$" + strconv.Itoa(v.Iterations) + ":" + b64.EncodeToString(v.Salt) +
		"$" + b64.EncodeToString(v.StoredKey) + ":" + b64.EncodeToString(v.ServerKey)
}

// ParseVerifier reads what Verifier.String writes. Errors say what is wrong and never repeat the value.
func ParseVerifier(h Hash, s string) (Verifier, error) {
	prefix := h.String() + "$"
	rest, ok := strings.CutPrefix(strings.TrimSpace(s), prefix)
	if !ok {
		return Verifier{}, fmt.Errorf("the verifier has to start with %q", prefix)
	}
	factors, keys, ok := strings.Cut(rest, "$")
	if !ok {
		return Verifier{}, fmt.Errorf("the verifier has to read %s<iterations>:<salt>$<stored key>:<server key>, all but the iterations in base64", prefix)
	}
	count, salt64, ok := strings.Cut(factors, ":")
	if !ok {
		return Verifier{}, fmt.Errorf("the verifier lacks the colon between iterations and salt")
	}
	stored64, server64, ok := strings.Cut(keys, ":")
	if !ok {
		return Verifier{}, fmt.Errorf("the verifier lacks the colon between stored key and server key")
	}
	var v Verifier
	iterations, err := strconv.ParseUint(count, 10, 31)
	if err != nil {
		return Verifier{}, fmt.Errorf("the verifier's iteration count is not a number")
	}
	if iterations < MinIterations || iterations > MaxIterations {
		return Verifier{}, fmt.Errorf("the verifier's iteration count has to be between %d and %d", MinIterations, MaxIterations)
	}
	v.Iterations = int(iterations)
	if v.Salt, err = base64.StdEncoding.Strict().DecodeString(salt64); err != nil || len(v.Salt) == 0 || len(v.Salt) > maxSaltSize {
		return Verifier{}, fmt.Errorf("the verifier's salt has to be 1 to %d bytes in base64", maxSaltSize)
	}
	if v.StoredKey, err = base64.StdEncoding.Strict().DecodeString(stored64); err != nil || len(v.StoredKey) != h.Size() {
		return Verifier{}, fmt.Errorf("the verifier's stored key has to be %d bytes in base64", h.Size())
	}
	if v.ServerKey, err = base64.StdEncoding.Strict().DecodeString(server64); err != nil || len(v.ServerKey) != h.Size() {
		return Verifier{}, fmt.Errorf("the verifier's server key has to be %d bytes in base64", h.Size())
	}
	return v, nil
}

// Credential holds the verifiers of one account. Either may be absent when the account was given only the other.
type Credential struct {
	SHA256 Verifier
	SHA1   Verifier
}

// IsZero says that nobody can log in with this credential.
func (c Credential) IsZero() bool { return c.SHA256.IsZero() && c.SHA1.IsZero() }

// Verifier returns the verifier for that hash.
func (c Credential) Verifier(h Hash) Verifier {
	if h == SHA1 {
		return c.SHA1
	}
	return c.SHA256
}

// Derive makes both verifiers of a password. A nil salt stands for a random one, iterations of 0 for DefaultIterations. The error says
// why a password cannot be used and never repeats it.
func Derive(password string, salt []byte, iterations int) (Credential, error) {
	prepared, err := PreparePassword(password)
	if err != nil {
		return Credential{}, err
	}
	if salt == nil {
		salt = make([]byte, SaltSize)
		rand.Read(salt) // never fails: crypto/rand ends the process instead
	}
	if len(salt) == 0 || len(salt) > maxSaltSize {
		return Credential{}, fmt.Errorf("a salt has to be 1 to %d bytes", maxSaltSize)
	}
	if iterations == 0 {
		iterations = DefaultIterations
	}
	if iterations < 1 || iterations > MaxIterations {
		return Credential{}, fmt.Errorf("the iteration count has to be between 1 and %d", MaxIterations)
	}
	salt = append([]byte(nil), salt...)
	return Credential{
		SHA256: deriveVerifier(SHA256, prepared, salt, iterations),
		SHA1:   deriveVerifier(SHA1, prepared, salt, iterations),
	}, nil
}

// deriveVerifier computes RFC 5802 §3: SaltedPassword, ClientKey, StoredKey, ServerKey.
func deriveVerifier(h Hash, prepared string, salt []byte, iterations int) Verifier {
	salted, err := pbkdf2.Key(h.new, prepared, salt, iterations, h.Size())
	if err != nil {
		// Only reached with parameters that FIPS mode forbids (short salts): such a verifier matches nothing.
		return Verifier{Iterations: iterations, Salt: salt, StoredKey: make([]byte, h.Size()), ServerKey: make([]byte, h.Size())}
	}
	clientKey := mac(h, salted, "Client Key")
	stored := h.new()
	stored.Write(clientKey)
	return Verifier{
		Iterations: iterations,
		Salt:       salt,
		StoredKey:  stored.Sum(nil),
		ServerKey:  mac(h, salted, "Server Key"),
	}
}

func mac(h Hash, key []byte, parts ...string) []byte {
	m := hmac.New(h.new, key)
	for _, p := range parts {
		m.Write([]byte(p))
	}
	return m.Sum(nil)
}

// CheckPassword says whether the password is the credential's. It costs one derivation (two for the few passwords whose forms differ, see
// PreparePassword) whatever the answer is, also for a password that could never have been set.
func (c Credential) CheckPassword(password string) bool {
	h := SHA256
	if c.SHA256.IsZero() {
		h = SHA1
	}
	want := c.Verifier(h)
	if want.IsZero() {
		return false
	}
	forms, usable := passwordForms(password)
	match := 0
	for _, form := range forms {
		got := deriveVerifier(h, form, want.Salt, want.Iterations)
		match |= subtle.ConstantTimeCompare(got.StoredKey, want.StoredKey)
	}
	return match == 1 && usable
}
