package auth

import "crypto/rand"

// decoys invents credentials for names that have none. The same name gets the same salt every time, on every replica and after
// a restart, since all of it comes from the installation's key; what is asked, sent and computed is what a real account would cause.
type decoys struct{ key []byte }

func newDecoys(installationKey []byte) decoys {
	key := append([]byte(nil), installationKey...)
	if len(key) == 0 {
		key = make([]byte, 32)
		rand.Read(key) // never fails: crypto/rand ends the process instead
	}
	return decoys{key: key}
}

// Decoy makes a credential that no password opens, and that takes as long to check as a real one.
func Decoy() Credential {
	d := newDecoys(nil)
	return Credential{SHA256: d.verifier(SHA256, ""), SHA1: d.verifier(SHA1, "")}
}

// verifier returns the decoy of a name. Both hashes share one salt, as they do in what Derive makes.
func (d decoys) verifier(h Hash, name string) Verifier {
	salt := mac(SHA256, d.key, "decoy salt\x00", name)[:SaltSize]
	return Verifier{
		Iterations: DefaultIterations,
		Salt:       salt,
		StoredKey:  mac(SHA256, d.key, "decoy stored key\x00", h.String(), "\x00", name)[:h.Size()],
		ServerKey:  mac(SHA256, d.key, "decoy server key\x00", h.String(), "\x00", name)[:h.Size()],
	}
}
