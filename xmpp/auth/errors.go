package auth

// SASLError is a failure as the client is told about it (RFC 6120 §6.5). Its text is for people and never says whether an account exists.
type SASLError struct {
	Condition string
	Text      string

	limited bool
}

// Limited says that the attempt was not looked at, because too many had failed before.
func (e *SASLError) Limited() bool { return e.limited }

// The conditions of RFC 6120 §6.5.
const (
	Aborted              = "aborted"
	AccountDisabled      = "account-disabled"
	CredentialsExpired   = "credentials-expired"
	EncryptionRequired   = "encryption-required"
	IncorrectEncoding    = "incorrect-encoding"
	InvalidAuthzid       = "invalid-authzid"
	InvalidMechanism     = "invalid-mechanism"
	MalformedRequest     = "malformed-request"
	MechanismTooWeak     = "mechanism-too-weak"
	NotAuthorized        = "not-authorized"
	TemporaryAuthFailure = "temporary-auth-failure"
)

func (e *SASLError) Error() string {
	if e.Text == "" {
		return "login refused: " + e.Condition
	}
	return "login refused: " + e.Condition + ": " + e.Text
}

func malformed(text string) *SASLError { return &SASLError{Condition: MalformedRequest, Text: text} }

// refused is the one answer to a wrong password, an unknown name and an account without a credential.
func refused() *SASLError { return &SASLError{Condition: NotAuthorized} }

func disabled() *SASLError {
	return &SASLError{Condition: AccountDisabled, Text: "This account is locked."}
}
