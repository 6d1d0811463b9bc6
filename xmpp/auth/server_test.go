package auth

import (
	"crypto/tls"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/xdg-go/scram"
	"mellium.im/sasl"
)

func TestOffer(t *testing.T) {
	bound := []ChannelBinding{{Type: BindingExporter, Data: []byte("x")}}
	s := NewServer(Config{Domain: "example.org", Accounts: accountMap{}})
	for _, c := range []struct {
		ch   Channel
		want []string
	}{
		{Channel{}, []string{ScramSHA256, ScramSHA1}}, // RFC 6120 §13.9.1: no PLAIN in the clear
		{Channel{Secure: true}, []string{ScramSHA256, ScramSHA1, Plain}},
		{Channel{Secure: true, Bindings: bound}, []string{ScramSHA256Plus, ScramSHA1Plus, ScramSHA256, ScramSHA1, Plain}},
	} {
		got := s.Mechanisms(c.ch)
		if !slices.Equal(got, c.want) {
			t.Errorf("offers %v, want %v", got, c.want)
		}
		for _, m := range []string{ScramSHA256Plus, ScramSHA1Plus, ScramSHA256, ScramSHA1, Plain, Anonymous, "EXTERNAL", "", "plain"} {
			x, err := s.Start(m, c.ch)
			if (err == nil) != slices.Contains(got, m) || (err == nil) != (x != nil) {
				t.Errorf("Start(%q) = %v, offered %v", m, err, got)
			}
			if err != nil && m == Plain && err.Condition != EncryptionRequired || err != nil && m != Plain && err.Condition != InvalidMechanism {
				t.Errorf("Start(%q) fails with %s", m, err.Condition)
			}
		}
	}
}

func TestPlain(t *testing.T) {
	full, _ := Derive("secret", nil, 0)
	s := testServer(t, withPassword("juliet", "secret"), Account{Username: "empty"}, withPassword("broken", "\x07"),
		Account{Username: "locked", Locked: true, Secret: NewPasswordSecret("secret", nil)},
		Account{Username: "sha1only", Secret: NewVerifierSecret(Credential{SHA1: full.SHA1})})
	for in, want := range map[string]string{
		"\x00juliet\x00secret":                   "juliet",
		"\x00JULIET\x00secret":                   "juliet", // RFC 7622 §3.3: names fold case
		"juliet@example.org\x00juliet\x00secret": "juliet", // RFC 6120 §6.3.8
		"\x00sha1only\x00secret":                 "sha1only",
	} {
		x := start(t, s, Plain, Channel{Secure: true})
		if out, done := step(t, x, in); !done || out != "" || x.Username() != want {
			t.Errorf("%q: out %q, done %v, username %q", in, out, done, x.Username())
		}
	}
	for in, condition := range map[string]string{
		"\x00juliet\x00wrong":                      NotAuthorized,
		"\x00juliet\x00Secret":                     NotAuthorized,
		"\x00nobody\x00secret":                     NotAuthorized,
		"\x00empty\x00secret":                      NotAuthorized,
		"\x00broken\x00\x07":                       NotAuthorized,
		"\x00juliet@example.org\x00secret":         NotAuthorized, // the name is the localpart
		"\x00locked\x00secret":                     AccountDisabled,
		"\x00locked\x00wrong":                      NotAuthorized,
		"romeo@example.org\x00juliet\x00secret":    InvalidAuthzid,
		"juliet@example.com\x00juliet\x00secret":   InvalidAuthzid,
		"juliet@example.org/a\x00juliet\x00secret": InvalidAuthzid,
		"juliet\x00juliet\x00secret":               InvalidAuthzid,
		"romeo@example.org\x00juliet\x00wrong":     InvalidAuthzid, // the same whether the password is right
		"":                                         MalformedRequest,
		"=":                                        MalformedRequest,
		"\x00juliet":                               MalformedRequest,
		"\x00\x00secret":                           MalformedRequest,
		"\x00juliet\x00":                           MalformedRequest,
		"\x00juliet\x00sec\x00ret":                 MalformedRequest, // RFC 4616 §2: no NUL inside
		"\x00juliet\x00secret\x00":                 MalformedRequest,
		"\x00juliet\x00\xff\xfe":                   MalformedRequest,
	} {
		fails(t, start(t, s, Plain, Channel{Secure: true}), in, condition)
	}
}

func TestAnonymous(t *testing.T) {
	allowed := false
	s := NewServer(Config{Domain: "example.org", Accounts: accountMap{}, Anonymous: func() bool { return allowed }})
	if _, err := s.Start(Anonymous, Channel{Secure: true}); err == nil || slices.Contains(s.Mechanisms(Channel{Secure: true}), Anonymous) {
		t.Fatal("ANONYMOUS is on without a decision")
	}
	allowed = true
	if !slices.Contains(s.Mechanisms(Channel{Secure: true}), Anonymous) {
		t.Fatal("ANONYMOUS is not offered")
	}
	for _, in := range [][]byte{nil, {}, []byte("trace@example.com"), []byte(strings.Repeat("é", 255))} {
		x := start(t, s, Anonymous, Channel{})
		if out, done, err := x.Step(in); !done || len(out) != 0 || err != nil || x.Username() != "" {
			t.Errorf("%.10q: %q, %v, %v", in, out, done, err)
		}
	}
	fails(t, start(t, s, Anonymous, Channel{}), strings.Repeat("x", 256), MalformedRequest)
	fails(t, start(t, s, Anonymous, Channel{}), "\xff", MalformedRequest)
}

// Two independent client libraries, every mechanism.
func TestIndependentClients(t *testing.T) {
	cert := certificate(t, "ecdsa256")
	client, server := handshake(t, cert, tls.VersionTLS13)
	endPoint, _ := EndPointBinding(&cert)
	ch := TLSChannel(&server, endPoint)
	const username, password = "juliet", "R0m30 & Ⅸ"
	s := testServer(t, withPassword(username, password))

	t.Run("xdg-go/scram", func(t *testing.T) {
		exporter, err := scram.NewTLSExporterBinding(&client)
		if err != nil {
			t.Fatal(err)
		}
		endPoint, err := scram.NewTLSServerEndpointBinding(&client)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			mechanism string
			hash      scram.HashGeneratorFcn
			binding   scram.ChannelBinding
		}{
			{ScramSHA256Plus, scram.SHA256, exporter}, {ScramSHA256Plus, scram.SHA256, endPoint},
			{ScramSHA1Plus, scram.SHA1, exporter}, {ScramSHA1Plus, scram.SHA1, endPoint},
			{ScramSHA256, scram.SHA256, scram.ChannelBinding{}}, {ScramSHA1, scram.SHA1, scram.ChannelBinding{}},
		} {
			for _, authzid := range []string{"", username + "@example.org"} {
				peer, err := c.hash.NewClient(username, password, authzid)
				if err != nil {
					t.Fatal(err)
				}
				conv := peer.NewConversation()
				if c.binding.IsSupported() {
					conv = peer.NewConversationWithChannelBinding(c.binding)
				}
				x := start(t, s, c.mechanism, ch)
				first, _ := conv.Step("")
				out, _ := step(t, x, first)
				final, err := conv.Step(out)
				if err != nil {
					t.Fatal(err)
				}
				out, done := step(t, x, final)
				if _, err := conv.Step(out); err != nil || !conv.Valid() || !done || x.Username() != username {
					t.Fatalf("%s with %q: the client says %v (valid %v), the server done %v as %q",
						c.mechanism, c.binding.Type, err, conv.Valid(), done, x.Username())
				}
			}
		}
	})

	t.Run("mellium.im/sasl", func(t *testing.T) {
		// This client does no SASLprep, so that its password has to be one that needs none.
		s := testServer(t, withPassword(username, "R0m30"))
		for _, m := range []sasl.Mechanism{sasl.ScramSha256Plus, sasl.ScramSha1Plus, sasl.ScramSha256, sasl.ScramSha1, sasl.Plain, sasl.Anonymous} {
			for _, password := range []string{"R0m30", "wrong"} {
				peer := sasl.NewClient(m, sasl.TLSState(client), sasl.RemoteMechanisms(s.Mechanisms(ch)...),
					sasl.Credentials(func() ([]byte, []byte, []byte) { return []byte(username), []byte(password), nil }))
				x := start(t, s, m.Name, ch)
				var challenge []byte
				var refusal *SASLError
				for done := false; !done; {
					_, response, err := peer.Step(challenge)
					if err != nil {
						t.Fatalf("%s: the client says %v", m.Name, err)
					}
					if response == nil {
						response = []byte{}
					}
					if challenge, done, refusal = x.Step(response); refusal != nil {
						break
					}
				}
				if len(challenge) > 0 {
					if more, _, err := peer.Step(challenge); more || err != nil {
						t.Fatalf("%s: the client does not accept the server's signature: %v", m.Name, err)
					}
				}
				switch {
				case m.Name == Anonymous:
					if refusal != nil || x.Username() != "" {
						t.Fatalf("ANONYMOUS: %v", refusal)
					}
				case password == "wrong":
					if refusal == nil || refusal.Condition != NotAuthorized {
						t.Fatalf("%s: a wrong password gives %v", m.Name, refusal)
					}
				case refusal != nil || x.Username() != username:
					t.Fatalf("%s: %v, username %q", m.Name, refusal, x.Username())
				}
			}
		}
	})
}

// FuzzExchange: whatever a client without the password sends, nothing panics and nobody gets in.
func FuzzExchange(f *testing.F) {
	f.Add(uint8(0), []byte("p=tls-exporter,,n=user,r=abc"), []byte("c=biws,r=abc,p=AAAA"))
	f.Add(uint8(2), []byte("n,a=user@example.org,n=us=2Cer,r=abc,x=y"), []byte("c=biws,r=abc,x=y,p=AAAA"))
	f.Add(uint8(3), []byte("y,,n=user,r=abc"), []byte(""))
	f.Add(uint8(4), []byte("\x00user\x00pencil"), []byte("\x00"))
	for _, p := range published {
		f.Add(uint8(2), []byte(p.clientFirst), []byte(p.clientFinal))
	}
	// Verifiers that no password has: a login can only be a fault of the server.
	zeros := Verifier{Iterations: 1, Salt: []byte("s"), StoredKey: make([]byte, 32), ServerKey: make([]byte, 32)}
	short := Verifier{Iterations: 1, Salt: []byte("s"), StoredKey: make([]byte, 20), ServerKey: make([]byte, 20)}
	s := NewServer(Config{Domain: "example.org", InstallationKey: testKey, Accounts: accountMap{
		"user": {Username: "user", Secret: NewVerifierSecret(Credential{SHA256: zeros, SHA1: short})}}})
	ch := Channel{Secure: true, Bindings: []ChannelBinding{{Type: BindingExporter, Data: []byte("data")}}}
	mechanisms := s.Mechanisms(ch)
	f.Fuzz(func(t *testing.T, which uint8, first, second []byte) {
		mechanism := mechanisms[int(which)%len(mechanisms)]
		x, err := s.Start(mechanism, ch)
		if err != nil {
			t.Fatal(err)
		}
		for _, in := range [][]byte{first, second, nil} {
			_, done, err := x.Step(in)
			if done || x.Username() != "" {
				t.Fatalf("%s: logged in as %q", mechanism, x.Username())
			}
			if err != nil && (err.Condition == "" || strings.ContainsAny(err.Text, "\x00<")) {
				t.Fatalf("%s: failure %+v", mechanism, err)
			}
		}
	})
}

func FuzzParseVerifier(f *testing.F) {
	f.Add("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=")
	f.Fuzz(func(t *testing.T, s string) {
		for _, h := range []Hash{SHA1, SHA256} {
			v, err := ParseVerifier(h, s)
			if err != nil {
				continue
			}
			if again, err := ParseVerifier(h, v.String(h)); err != nil || !reflect.DeepEqual(again, v) {
				t.Fatalf("%q changes on its way", s)
			}
		}
	})
}
