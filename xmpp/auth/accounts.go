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
