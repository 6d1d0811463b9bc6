package auth

import (
	"encoding/base64"
	"reflect"
	"strings"
	"sync"
	"testing"
)

func b64(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The password and salt of RFC 7677 §3. That these keys are right is proved by scram_test.go, where they give the published signatures.
func TestVerifierString(t *testing.T) {
	c, err := Derive("pencil", b64(t, "W22ZaJ0SNY7soEsUEjb6gQ=="), 4096)
	if err != nil {
		t.Fatal(err)
	}
	want := "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
	if got := c.SHA256.String(SHA256); got != want {
		t.Fatalf("verifier is\n%s, want\n%s", got, want)
	}
	for _, h := range []Hash{SHA1, SHA256} {
		v := c.Verifier(h)
		parsed, err := ParseVerifier(h, v.String(h)+"\n")
		if err != nil {
			t.Fatalf("%v: %v", h, err)
		}
		if !reflect.DeepEqual(parsed, v) {
			t.Fatalf("%v: a verifier changes when it is written and read", h)
		}
	}
}

func TestParseVerifierRefuses(t *testing.T) {
	const salt, key32 = "W22ZaJ0SNY7soEsUEjb6gQ==", "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
	for name, s := range map[string]string{
		"empty":                  "",
		"other hash":             "SCRAM-SHA-1$4096:" + salt + "$" + key32 + ":" + key32,
		"no keys":                "SCRAM-SHA-256$4096:" + salt,
		"no salt":                "SCRAM-SHA-256$4096:$" + key32 + ":" + key32,
		"no colon":               "SCRAM-SHA-256$4096$" + key32 + ":" + key32,
		"one key":                "SCRAM-SHA-256$4096:" + salt + "$" + key32,
		"short key":              "SCRAM-SHA-256$4096:" + salt + "$AAAA:" + key32,
		"short server key":       "SCRAM-SHA-256$4096:" + salt + "$" + key32 + ":AAAA",
		"not base64":             "SCRAM-SHA-256$4096:" + salt + "$!!!:" + key32,
		"no number":              "SCRAM-SHA-256$many:" + salt + "$" + key32 + ":" + key32,
		"negative":               "SCRAM-SHA-256$-1:" + salt + "$" + key32 + ":" + key32,
		"too few iterations":     "SCRAM-SHA-256$1000:" + salt + "$" + key32 + ":" + key32,
		"too many iterations":    "SCRAM-SHA-256$999999999:" + salt + "$" + key32 + ":" + key32,
		"overflowing iterations": "SCRAM-SHA-256$99999999999999999999:" + salt + "$" + key32 + ":" + key32,
		"long salt":              "SCRAM-SHA-256$4096:" + base64.StdEncoding.EncodeToString(make([]byte, 256)) + "$" + key32 + ":" + key32,
	} {
		_, err := ParseVerifier(SHA256, s)
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		if strings.Contains(err.Error(), key32) {
			t.Errorf("%s: the error repeats a key: %v", name, err)
		}
	}
}

func TestCheckPassword(t *testing.T) {
	c, err := Derive("correct horse", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, cred := range []Credential{c, {SHA256: c.SHA256}, {SHA1: c.SHA1}} {
		if !cred.CheckPassword("correct horse") {
			t.Error("the right password is refused")
		}
		for _, wrong := range []string{"", "correct horse ", "Correct horse", "correct\x00horse", "\xff", strings.Repeat("x", 5000)} {
			if cred.CheckPassword(wrong) {
				t.Errorf("%.20q is accepted", wrong)
			}
		}
	}
	if (Credential{}).CheckPassword("") || (Credential{}).CheckPassword("x") {
		t.Error("a credential without verifiers accepts a password")
	}
	d, err := Derive("correct horse", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	if string(c.SHA256.Salt) == string(d.SHA256.Salt) {
		t.Error("two random salts are the same")
	}
}

// The examples of RFC 4013 §3, and the places where RFC 8265 §4.2 decides differently (see PreparePassword).
func TestPreparePassword(t *testing.T) {
	for in, want := range map[string]string{
		"user":          "user",
		"USER":          "USER",
		"I\u00adX":      "IX",            // RFC 4013 §3 example 1: soft hyphen mapped to nothing
		"\u00aa":        "a",             // example 4: NFKC
		"\u2168":        "IX",            // example 5: NFKC
		"\u2168X":       "IXX",           //
		"a\u00a0b":      "a b",           // both: non-ASCII space becomes space
		"e\u0301":       "\u00e9",        // both: composed
		"\U0001F511key": "\U0001F511key", // not in Unicode 3.2: OpaqueString keeps it
		"\u06271":       "\u06271",       // example 7, refused by SASLprep (mixed directions): OpaqueString keeps it
		" lead":         " lead",
		"\u2764\ufe0f":  "\u2764", // a variation selector: only SASLprep has an answer
	} {
		got, err := PreparePassword(in)
		if err != nil || got != want {
			t.Errorf("PreparePassword(%+q) = %+q, %v; want %+q", in, got, err, want)
		}
	}
	for _, in := range []string{"", "\x07", "tab\there", "nul\x00", "\xc3\x28", "\U000e0001", strings.Repeat("x", MaxPasswordSize+1)} {
		got, err := PreparePassword(in)
		if err == nil {
			t.Errorf("PreparePassword(%.20q) = %q, want an error", in, got)
		} else if len(in) > 1 && strings.Contains(err.Error(), in) {
			t.Errorf("the error for %q repeats the password: %v", in, err)
		}
	}
}

// A client that sends its password in the clear may have prepared it either way, and an imported verifier may have been made either way.
func TestCheckPasswordForms(t *testing.T) {
	saslprepped, err := Derive("IX", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	if !saslprepped.CheckPassword("\u2168") || !saslprepped.CheckPassword("IX") {
		t.Error("the forms of one password are told apart")
	}
	opaque := Credential{SHA256: deriveVerifier(SHA256, "\u2168", []byte("0123456789abcdef"), 4096)}
	if !opaque.CheckPassword("\u2168") {
		t.Error("a verifier made with OpaqueString refuses its password")
	}
	if opaque.CheckPassword("IX") {
		t.Error("a verifier made with OpaqueString accepts another password")
	}
}

func TestSecret(t *testing.T) {
	salt := []byte("0123456789abcdef")
	s := NewPasswordSecret("secret", salt)
	if s.Ready() {
		t.Fatal("derived before anybody needed it")
	}
	want, err := Derive("secret", salt, 0)
	if err != nil {
		t.Fatal(err)
	}
	got, iterations, ok := s.factors(SHA256)
	if !ok || string(got) != string(salt) || iterations != DefaultIterations || s.Ready() {
		t.Fatalf("factors = %q, %d, %v, ready %v", got, iterations, ok, s.Ready())
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if !reflect.DeepEqual(s.Credential(), want) {
				t.Error("another credential than Derive's")
			}
		})
	}
	wg.Wait()
	if !s.Ready() || s.password != "" {
		t.Fatal("the password is kept after the derivation")
	}

	v := NewVerifierSecret(want)
	if !v.Ready() || !reflect.DeepEqual(v.Credential(), want) {
		t.Fatal("a verifier Secret returns something else")
	}
	bad := NewPasswordSecret("\x07", salt)
	if !bad.Credential().IsZero() {
		t.Fatal("a password that cannot be one has a credential")
	}
	if (*Secret)(nil).Credential().SHA256.StoredKey != nil || !(*Secret)(nil).Ready() {
		t.Fatal("no Secret has a credential")
	}
}

func TestSecretSame(t *testing.T) {
	salt := []byte("0123456789abcdef")
	c1, _ := Derive("one", salt, 0)
	c2, _ := Derive("two", salt, 0)
	one, two := NewPasswordSecret("one", salt), NewPasswordSecret("two", salt)
	onceMore := NewPasswordSecret("one", salt)
	onceMore.Credential()
	for name, c := range map[string]struct {
		a, b *Secret
		same bool
	}{
		"same password, one derived": {one, onceMore, true},
		"other password":             {one, two, false},
		"other salt":                 {one, NewPasswordSecret("one", []byte("fedcba9876543210")), false},
		"same verifiers":             {NewVerifierSecret(c1), NewVerifierSecret(c1), true},
		"other verifiers":            {NewVerifierSecret(c1), NewVerifierSecret(c2), false},
		"one verifier less":          {NewVerifierSecret(c1), NewVerifierSecret(Credential{SHA256: c1.SHA256}), false},
		"other kind":                 {one, NewVerifierSecret(c1), false},
		"nothing":                    {nil, one, false},
		"nothing twice":              {nil, nil, true},
	} {
		if c.a.Same(c.b) != c.same || c.b.Same(c.a) != c.same {
			t.Errorf("%s: Same is not %v", name, c.same)
		}
	}
}
