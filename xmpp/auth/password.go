package auth

import (
	"errors"
	"unicode/utf8"

	"github.com/xdg-go/stringprep"
	"golang.org/x/text/secure/precis"
)

// MaxPasswordSize is the longest password accepted, in bytes.
const MaxPasswordSize = 1024

// PreparePassword turns a password into the form that verifiers are computed from, or says why it cannot be one.
//
// That is its SASLprep form (RFC 4013) where SASLprep accepts it, otherwise its PRECIS OpaqueString form (RFC 8265 §4.2); what neither
// accepts is refused. Why both: a SCRAM client hashes the password itself, and RFC 5802 §5.1 and with it nearly every deployed client say
// SASLprep; RFC 8265 replaced it, but no client can tell which of the two made a verifier. For ASCII, and for all text without
// compatibility or invisible characters, the two agree. Where they differ ("Ⅸ" is "IX" to SASLprep and itself to OpaqueString) the deployed clients
// win. Where SASLprep cannot speak (emoji and everything else newer than Unicode 3.2, mixed directions) clients send what was typed, and
// so OpaqueString, which keeps it, is right.
func PreparePassword(password string) (string, error) {
	if password == "" {
		return "", errors.New("the password is empty")
	}
	if len(password) > MaxPasswordSize {
		return "", errors.New("the password is longer than 1024 bytes")
	}
	if !utf8.ValidString(password) {
		return "", errors.New("the password is not valid UTF-8")
	}
	if printableASCII(password) {
		return password, nil
	}
	if prepared, err := stringprep.SASLprep.Prepare(password); err == nil && prepared != "" {
		return prepared, nil
	}
	if opaque, err := precis.OpaqueString.String(password); err == nil && opaque != "" {
		return opaque, nil
	}
	// Neither library's error: both can quote the password.
	return "", errors.New("the password contains a character that passwords must not contain (a control or unassigned character)")
}

// passwordForms returns the strings that a password given in the clear may have been hashed as: the prepared form, and the OpaqueString
// form where it differs, since a verifier that comes from elsewhere may have been made with that. Never empty, so that a password that
// cannot be used costs as much as one that can.
func passwordForms(password string) (forms []string, usable bool) {
	prepared, err := PreparePassword(password)
	if err != nil {
		if len(password) > MaxPasswordSize {
			password = password[:MaxPasswordSize]
		}
		return []string{password}, false
	}
	if prepared == password && printableASCII(password) {
		return []string{prepared}, true
	}
	if opaque, err := precis.OpaqueString.String(password); err == nil && opaque != "" && opaque != prepared {
		return []string{prepared, opaque}, true
	}
	return []string{prepared}, true
}

func printableASCII(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}
