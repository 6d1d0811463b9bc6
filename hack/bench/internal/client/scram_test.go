package client

import "testing"

// The exchanges are those of RFC 5802 §5 and RFC 7677 §3.
func TestScramExamples(t *testing.T) {
	for _, c := range []struct {
		mechanism                             Mechanism
		nonce, first, challenge, answer, sign string
	}{
		{
			SHA1, "fyko+d2lbbFgONRv9qkxdawL", "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
			"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
			"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
			"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
		},
		{
			SHA256, "rOprNGfwEbeRWgbNEkqO", "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
			"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
			"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
			"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
		},
	} {
		s := newScramWith(c.mechanism, "user", "pencil", c.nonce, &KeyCache{})
		if got := s.first(); got != c.first {
			t.Errorf("%s: first message %q, want %q", c.mechanism, got, c.first)
		}
		if got, err := s.answer(c.challenge); err != nil || got != c.answer {
			t.Errorf("%s: answer %q, %v, want %q", c.mechanism, got, err, c.answer)
		}
		if err := s.verify(c.sign); err != nil {
			t.Errorf("%s: %v", c.mechanism, err)
		}
		if err := s.verify("v=AAAA"); err == nil {
			t.Errorf("%s: a server that cannot sign is believed", c.mechanism)
		}
	}
}

func TestScramRefusesAServerThatKeepsTheNonce(t *testing.T) {
	s := newScramWith(SHA1, "user", "pencil", "abc", &KeyCache{})
	for _, challenge := range []string{"r=abc,s=QSXCR+Q6sek8bf92,i=4096", "r=xyz,s=QSXCR+Q6sek8bf92,i=4096", "r=abcd,s=QSXCR+Q6sek8bf92,i=0"} {
		if _, err := s.answer(challenge); err == nil {
			t.Errorf("%s is answered", challenge)
		}
	}
}
