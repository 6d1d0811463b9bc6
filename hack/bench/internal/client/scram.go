package client

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"sync"
)

// Mechanism is a SASL mechanism.
type Mechanism string

// The mechanisms that the client knows: RFC 5802 and RFC 7677.
const (
	SHA1   Mechanism = "SCRAM-SHA-1"
	SHA256 Mechanism = "SCRAM-SHA-256"
)

// Hash returns the hash function of the mechanism.
func (m Mechanism) Hash() func() hash.Hash {
	if m == SHA1 {
		return sha1.New
	}
	return sha256.New
}

// Keys are what a client computes of a password once (RFC 5802 §3).
type Keys struct{ client, stored, server []byte }

// Verifier returns StoredKey and ServerKey, which is all that a server needs.
func (k Keys) Verifier() (stored, server []byte) { return k.stored, k.server }

// KeyCache keeps computed keys, as RFC 5802 §5.1 lets a client do, so that PBKDF2 is not what limits the generator.
type KeyCache struct{ keys sync.Map }

type keyID struct {
	mechanism      Mechanism
	password, salt string
	iterations     int
}

// Keys returns the keys of a password.
func (c *KeyCache) Keys(m Mechanism, password string, salt []byte, iterations int) (Keys, error) {
	id := keyID{m, password, string(salt), iterations}
	if k, ok := c.keys.Load(id); ok {
		return k.(Keys), nil
	}
	h := m.Hash()
	salted, err := pbkdf2.Key(h, password, salt, iterations, h().Size())
	if err != nil {
		return Keys{}, err
	}
	clientKey := MAC(h, salted, "Client Key")
	d := h()
	d.Write(clientKey)
	k := Keys{client: clientKey, stored: d.Sum(nil), server: MAC(h, salted, "Server Key")}
	c.keys.Store(id, k)
	return k, nil
}

// MAC is HMAC of a text.
func MAC(h func() hash.Hash, key []byte, text string) []byte {
	m := hmac.New(h, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

// scram is the client's side of one exchange, without channel binding.
type scram struct {
	mechanism Mechanism
	password  string
	cache     *KeyCache

	bare  string // client-first-message-bare
	nonce string
	proof struct{ server []byte } // the signature that the server must show
}

func newScram(m Mechanism, username, password string, cache *KeyCache) *scram {
	return newScramWith(m, username, password, rand.Text(), cache)
}

func newScramWith(m Mechanism, username, password, nonce string, cache *KeyCache) *scram {
	escaped := strings.NewReplacer("=", "=3D", ",", "=2C").Replace(username)
	return &scram{mechanism: m, password: password, cache: cache, nonce: nonce, bare: "n=" + escaped + ",r=" + nonce}
}

func (s *scram) first() string { return "n,," + s.bare }

// answer is the client-final-message to a server-first-message.
func (s *scram) answer(challenge string) (string, error) {
	f := fields(challenge)
	nonce := f['r']
	if !strings.HasPrefix(nonce, s.nonce) || len(nonce) == len(s.nonce) {
		return "", errors.New("the server did not add to the nonce")
	}
	salt, err := base64.StdEncoding.DecodeString(f['s'])
	if err != nil {
		return "", fmt.Errorf("the server's salt: %w", err)
	}
	iterations, err := strconv.Atoi(f['i'])
	if err != nil || iterations < 1 {
		return "", fmt.Errorf("the server's iteration count is %q", f['i'])
	}
	k, err := s.cache.Keys(s.mechanism, s.password, salt, iterations)
	if err != nil {
		return "", err
	}
	without := "c=biws,r=" + nonce
	message := s.bare + "," + challenge + "," + without
	h := s.mechanism.Hash()
	proof := MAC(h, k.stored, message)
	for i := range proof {
		proof[i] ^= k.client[i]
	}
	s.proof.server = MAC(h, k.server, message)
	return without + ",p=" + base64.StdEncoding.EncodeToString(proof), nil
}

// verify checks the server-final-message: a server that does not know the account cannot sign.
func (s *scram) verify(final string) error {
	signature, err := base64.StdEncoding.DecodeString(fields(final)['v'])
	if err != nil || !hmac.Equal(signature, s.proof.server) {
		return errors.New("the server's signature is wrong")
	}
	return nil
}

// fields splits a SCRAM message.
func fields(message string) map[byte]string {
	f := map[byte]string{}
	for part := range strings.SplitSeq(message, ",") {
		if len(part) >= 2 && part[1] == '=' {
			f[part[0]] = part[2:]
		}
	}
	return f
}
