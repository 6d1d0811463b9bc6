package restserver

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"runtime"
	"strings"
	"sync"

	"github.com/chat-operator/chat-operator/xmpp/auth"
	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// NamedSecret is one of several shared secrets that are in force at the same time, so that each can be replaced by itself.
type NamedSecret struct {
	// Name is how the audit log tells who it was.
	Name, Value string
	Scope       Scope
}

// secretAuthenticator accepts a shared secret as the header's whole value.
type secretAuthenticator struct {
	directory    Directory
	installation func() string
	named        func() []NamedSecret
}

// Authenticate implements Authenticator.
func (a secretAuthenticator) Authenticate(_ context.Context, authorization string) (Principal, bool, error) {
	// Whoever sets the property means to replace the secret that the installation made.
	// Blanks around it, such as the line end of a file that became a Secret, cannot be part of a header's value.
	secret, name := strings.TrimSpace(a.directory.String(directory.KeyRESTSecret)), directory.KeyRESTSecret
	if secret == "" {
		secret, name = a.installation(), "rest-secret"
	}
	if secret != "" && sameText(secret, authorization) {
		return Principal{Name: name}, true, nil
	}
	// All are compared, so that the time doesn't tell which one it was.
	var who Principal
	found := false
	for _, s := range a.named() {
		if s.Value == "" || !sameText(s.Value, authorization) || found {
			continue
		}
		who, found = Principal{Name: "secret:" + s.Name}, true
		if s.Scope.bounded() {
			who.Allows = s.Scope.allows
		}
	}
	return who, found, nil
}

// sameText compares in a time that depends on neither text, their lengths included.
func sameText(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// adminAuthenticator accepts an administrator's name and password (RFC 7617, and the
// bare Base64 that clients of the original send as well).
type adminAuthenticator struct {
	directory Directory
	domain    string
	// key makes what is remembered of a password worthless outside this process.
	key []byte
	// decoy is checked for those who are no administrators, so that the time doesn't
	// tell who is one.
	decoy auth.Credential
	// derivations bounds how many processors guesses can keep busy.
	derivations chan struct{}

	mu       sync.Mutex
	verified map[string]verification
}

// verification is a password that was right for one credential.
type verification struct {
	secret *auth.Secret
	proof  [sha256.Size]byte
}

// maxVerified bounds how many administrators are remembered.
const maxVerified = 256

func newAdminAuthenticator(d Directory, domain string, key []byte) *adminAuthenticator {
	return &adminAuthenticator{
		directory: d, domain: domain, key: key, decoy: auth.Decoy(),
		derivations: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
		verified:    map[string]verification{},
	}
}

// Authenticate implements Authenticator.
func (a *adminAuthenticator) Authenticate(ctx context.Context, authorization string) (Principal, bool, error) {
	name, password, ok := basicCredentials(authorization)
	if !ok {
		return Principal{}, false, nil
	}
	username, valid := prepareUsername(name, a.domain)
	account, admin := a.account(username, valid)
	proof := a.prove(username, password)
	if admin && a.remembers(username, account.Secret, proof) {
		return Principal{Name: username}, true, nil
	}
	select {
	case a.derivations <- struct{}{}:
		defer func() { <-a.derivations }()
	case <-ctx.Done():
		return Principal{}, false, ctx.Err()
	}
	if !admin {
		a.decoy.CheckPassword(password)
		return Principal{}, false, nil
	}
	if !account.Secret.Credential().CheckPassword(password) {
		return Principal{}, false, nil
	}
	a.remember(username, verification{secret: account.Secret, proof: proof})
	return Principal{Name: username}, true, nil
}

// account finds an administrator who could log in.
func (a *adminAuthenticator) account(username string, valid bool) (auth.Account, bool) {
	if !valid {
		return auth.Account{}, false
	}
	user, known := a.directory.User(username)
	account, usable := a.directory.Account(username)
	return account, known && usable && user.Admin && !account.Locked && account.Secret != nil
}

// prove is a keyed hash of a name and its password.
func (a *adminAuthenticator) prove(username, password string) [sha256.Size]byte {
	h := hmac.New(sha256.New, a.key)
	h.Write([]byte(username))
	h.Write([]byte{0}) // no username contains it
	h.Write([]byte(password))
	return [sha256.Size]byte(h.Sum(nil))
}

// remembers says whether the password was right before and the credential is still
// the same.
func (a *adminAuthenticator) remembers(username string, secret *auth.Secret, proof [sha256.Size]byte) bool {
	a.mu.Lock()
	v, ok := a.verified[username]
	a.mu.Unlock()
	return ok && (v.secret == secret || v.secret.Same(secret)) && subtle.ConstantTimeCompare(v.proof[:], proof[:]) == 1
}

func (a *adminAuthenticator) remember(username string, v verification) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, again := a.verified[username]; !again && len(a.verified) >= maxVerified {
		clear(a.verified)
	}
	a.verified[username] = v
}

// claimed is whom a failed attempt claimed to be, when such an account exists: people type
// passwords into the wrong box, so other text is repeated nowhere.
func (a *adminAuthenticator) claimed(authorization string) string {
	name, _, ok := basicCredentials(authorization)
	if !ok {
		return ""
	}
	username, valid := prepareUsername(name, a.domain)
	if !valid {
		return ""
	}
	if _, known := a.directory.User(username); !known {
		return ""
	}
	return username
}

// basicCredentials reads "Basic Base64", or the Base64 alone.
func basicCredentials(authorization string) (name, password string, ok bool) {
	encoded := authorization
	if scheme, rest, found := strings.Cut(authorization, " "); found && strings.EqualFold(scheme, "basic") {
		encoded = rest
	}
	encoded = strings.TrimSpace(encoded)
	decoded, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		// Some libraries leave the padding out.
		if decoded, err = base64.RawStdEncoding.DecodeString(encoded); err != nil {
			return "", "", false
		}
	}
	return strings.Cut(string(decoded), ":")
}
