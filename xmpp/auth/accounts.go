// Package auth checks who a client is: credentials, SASL mechanisms (RFC 4422, RFC 5802, RFC 7677, RFC 4616, RFC 4505) and TLS channel
// bindings (RFC 5929, RFC 9266).
//
// It speaks SASL messages only; how they travel is the business of the stream.
package auth

// Account is an account as logging in sees it.
type Account struct {
	Username string  // prepared (RFC 7622 §3.3)
	Secret   *Secret // nil: nobody can log in yet
	Locked   bool    // a right password is answered with account-disabled
}

// Accounts finds accounts. It is asked with prepared names, on the goroutine of the connection, and must not block.
type Accounts interface {
	Lookup(username string) (Account, bool)
}
