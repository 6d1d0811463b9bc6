package auth

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/xdg-go/scram"
)

// The published exchanges: RFC 5802 §5 and RFC 7677 §3.
var published = []struct {
	mechanism                                                       string
	salt, nonce, clientFirst, serverFirst, clientFinal, serverFinal string
}{
	{ScramSHA1, "QSXCR+Q6sek8bf92", "3rfcNHYJY1ZVvWVs7j",
		"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
		"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
		"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
		"v=rmF9pqV8S7suAoZWja4dJRkFsKQ="},
	{ScramSHA256, "W22ZaJ0SNY7soEsUEjb6gQ==", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
		"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
		"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
		"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
		"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
}

func publishedServer(t *testing.T, salt, nonce string, locked bool) *Server {
	t.Helper()
	s := testServer(t, Account{Username: "user", Secret: NewPasswordSecret("pencil", b64(t, salt)), Locked: locked})
	s.cfg.nonce = func() string { return nonce }
	return s
}

func TestPublishedExchanges(t *testing.T) {
	for _, p := range published {
		t.Run(p.mechanism, func(t *testing.T) {
			s := publishedServer(t, p.salt, p.nonce, false)
			x := start(t, s, p.mechanism, Channel{})
			if out, done := step(t, x, p.clientFirst); out != p.serverFirst || done {
				t.Fatalf("server-first-message is %q (done %v), want %q", out, done, p.serverFirst)
			}
			if s.cfg.Accounts.(accountMap)["user"].Secret.Ready() {
				t.Fatal("the first message made the server derive")
			}
			if out, done := step(t, x, p.clientFinal); out != p.serverFinal || !done {
				t.Fatalf("server-final-message is %q (done %v), want %q", out, done, p.serverFinal)
			}
			if x.Username() != "user" {
				t.Fatalf("username is %q", x.Username())
			}
			if _, _, err := x.Step([]byte(p.clientFinal)); err == nil {
				t.Fatal("the proof can be replayed in the same exchange")
			}
			// Replayed against another nonce, the proof is worth nothing.
			other := start(t, publishedServer(t, p.salt, "another", false), p.mechanism, Channel{})
			step(t, other, p.clientFirst)
			fails(t, other, p.clientFinal, NotAuthorized)
		})
	}
}

func TestLockedAccount(t *testing.T) {
	for _, p := range published {
		x := start(t, publishedServer(t, p.salt, p.nonce, true), p.mechanism, Channel{})
		step(t, x, p.clientFirst)
		fails(t, x, p.clientFinal, AccountDisabled)

		x = start(t, publishedServer(t, p.salt, p.nonce, true), p.mechanism, Channel{})
		step(t, x, p.clientFirst)
		fails(t, x, withProof(p.clientFinal, flip(proof(t, p.clientFinal))), NotAuthorized)
	}
}

func proof(t *testing.T, final string) []byte {
	t.Helper()
	return b64(t, final[strings.LastIndex(final, ",p=")+3:])
}

func withProof(final string, proof []byte) string {
	return final[:strings.LastIndex(final, ",p=")+3] + base64.StdEncoding.EncodeToString(proof)
}

func flip(b []byte) []byte {
	b = bytes.Clone(b)
	b[0] ^= 1
	return b
}

// What happens between the messages counts: the account is locked, loses its secret or gets another, or goes.
func TestAccountChangesDuringTheExchange(t *testing.T) {
	for name, c := range map[string]struct {
		change    func(accountMap, Account)
		condition string
	}{
		"locked":       {func(m accountMap, a Account) { a.Locked = true; m["user"] = a }, AccountDisabled},
		"deleted":      {func(m accountMap, a Account) { delete(m, "user") }, NotAuthorized},
		"secret gone":  {func(m accountMap, a Account) { a.Secret = nil; m["user"] = a }, NotAuthorized},
		"new password": {func(m accountMap, a Account) { a.Secret = NewPasswordSecret("pen", []byte("s")); m["user"] = a }, NotAuthorized},
		"same content": {func(m accountMap, a Account) {
			a.Secret = NewPasswordSecret("pencil", a.Secret.Credential().SHA256.Salt)
			m["user"] = a
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := published[1]
			s := publishedServer(t, p.salt, p.nonce, false)
			x := start(t, s, p.mechanism, Channel{})
			step(t, x, p.clientFirst)
			m := s.cfg.Accounts.(accountMap)
			c.change(m, m["user"])
			if c.condition == "" {
				if _, done := step(t, x, p.clientFinal); !done {
					t.Fatal("not done")
				}
				return
			}
			fails(t, x, p.clientFinal, c.condition)
		})
	}
}

// RFC 5802 §7's grammar, and the cases of RFC 5802 §5.1 that have to fail.
func TestMalformedFirst(t *testing.T) {
	bound := Channel{Secure: true, Bindings: []ChannelBinding{{Type: BindingExporter, Data: []byte("data")}}}
	for _, c := range []struct {
		mechanism, in, condition string
		ch                       Channel
	}{
		{ScramSHA256, "", MalformedRequest, Channel{}},
		{ScramSHA256, "n", MalformedRequest, Channel{}},
		{ScramSHA256, "n,,", MalformedRequest, Channel{}},
		{ScramSHA256, "n,,n=user", MalformedRequest, Channel{}},
		{ScramSHA256, "n,,n=user,r=", MalformedRequest, Channel{}},
		{ScramSHA256, "n,,n=user,r=a b", MalformedRequest, Channel{}},
		{ScramSHA256, "n,,n=user,r=é", MalformedRequest, Channel{}},
		{ScramSHA256, "n,,n=,r=abc", MalformedRequest, Channel{}},
		{ScramSHA256, "n,,r=abc,n=user", MalformedRequest, Channel{}},
		{ScramSHA256, "n,,n=us=er,r=abc", MalformedRequest, Channel{}}, // = not followed by 2C or 3D
		{ScramSHA256, "n,,n=us=2,r=abc", MalformedRequest, Channel{}},
		{ScramSHA256, "n,,m=ext,n=user,r=abc", MalformedRequest, Channel{}}, // reserved attribute m
		{ScramSHA256, "n,x,n=user,r=abc", MalformedRequest, Channel{}},
		{ScramSHA256, "n,a=,n=user,r=abc", MalformedRequest, Channel{}},
		{ScramSHA256, "x,,n=user,r=abc", MalformedRequest, Channel{}},
		{ScramSHA256, "p=,,n=user,r=abc", MalformedRequest, Channel{}},
		{ScramSHA256, "p=tls exporter,,n=user,r=abc", MalformedRequest, Channel{}},
		{ScramSHA256, "n,,n=us\x00er,r=abc", MalformedRequest, Channel{}},
		{ScramSHA256, "n,,n=\xff,r=abc", MalformedRequest, Channel{}},
		// channel binding, RFC 5802 §6
		{ScramSHA256, "p=tls-exporter,,n=user,r=abc", MalformedRequest, bound},   // bound, but the mechanism isn't
		{ScramSHA256, "y,,n=user,r=abc", NotAuthorized, bound},                   // the offer was tampered with
		{ScramSHA256Plus, "n,,n=user,r=abc", MalformedRequest, bound},            // not bound, but the mechanism is
		{ScramSHA256Plus, "y,,n=user,r=abc", MalformedRequest, bound},            //
		{ScramSHA256Plus, "p=tls-unique,,n=user,r=abc", MalformedRequest, bound}, // a type that wasn't announced
		{ScramSHA256Plus, "p=tls-server-end-point,,n=user,r=abc", MalformedRequest, bound},
		// authorization identities, RFC 6120 §6.3.8
		{ScramSHA256, "n,a=other@example.org,n=user,r=abc", InvalidAuthzid, Channel{}},
		{ScramSHA256, "n,a=user@example.com,n=user,r=abc", InvalidAuthzid, Channel{}},
		{ScramSHA256, "n,a=user@example.org/x,n=user,r=abc", InvalidAuthzid, Channel{}},
		{ScramSHA256, "n,a=example.org,n=user,r=abc", InvalidAuthzid, Channel{}},
		{ScramSHA256, "n,a=user,n=user,r=abc", InvalidAuthzid, Channel{}},
		{ScramSHA256, "n,a=other@example.org,n=nobody,r=abc", InvalidAuthzid, Channel{}},
	} {
		s := testServer(t, withPassword("user", "pencil"))
		fails(t, start(t, s, c.mechanism, c.ch), c.in, c.condition)
	}

	s := testServer(t, withPassword("user", "pencil"))
	for _, in := range []string{
		"n,a=user@example.org,n=user,r=abc", "n,a=USER@EXAMPLE.ORG,n=user,r=abc", "y,,n=user,r=abc", "n,,n=user,r=abc,x=ignored",
	} {
		if out, _ := step(t, start(t, s, ScramSHA256, Channel{}), in); !strings.HasPrefix(out, "r=abc") {
			t.Errorf("%q is answered %q", in, out)
		}
	}
}

func TestMalformedFinal(t *testing.T) {
	p := published[1]
	nonce := "rOprNGfwEbeRWgbNEkqO" + p.nonce
	good := p.clientFinal[strings.LastIndex(p.clientFinal, ",p="):]
	for in, condition := range map[string]string{
		"":                                          MalformedRequest,
		"c=biws":                                    MalformedRequest,
		"c=biws,r=" + nonce:                         MalformedRequest, // no proof
		"r=" + nonce + ",c=biws" + good:             MalformedRequest, // order
		"c=,r=" + nonce + good:                      MalformedRequest,
		"c=!,r=" + nonce + good:                     MalformedRequest,
		"c=biws,r=" + nonce + ",p=":                 MalformedRequest,
		"c=biws,r=" + nonce + ",p=!":                MalformedRequest,
		"c=biws,r=" + nonce + ",m=x" + good:         MalformedRequest, // mandatory extension
		"c=biws,r=" + nonce + ",p=AAAA" + good:      MalformedRequest, // two proofs
		"c=biws,r=" + nonce + ",p=AAAA":             NotAuthorized,    // proof of a wrong size
		"c=eSws,r=" + nonce + good:                  NotAuthorized,    // gs2 header "y,," instead of the "n,," sent before
		"c=biws,r=" + nonce + "x" + good:            NotAuthorized,    // other nonce
		"c=biws,r=rOprNGfwEbeRWgbNEkqO" + good:      NotAuthorized,    // nonce of the client alone
		"c=biws,r=" + nonce + ",x=ext" + good:       NotAuthorized,    // right shape, but the proof doesn't cover it
		"c=biws,r=" + nonce + good + "\x00":         MalformedRequest,
		"c=biws,r=" + nonce + strings.ToLower(good): "",
	} {
		x := start(t, publishedServer(t, p.salt, p.nonce, false), p.mechanism, Channel{})
		step(t, x, p.clientFirst)
		if condition == "" {
			if _, _, err := x.Step([]byte(in)); err == nil {
				t.Errorf("%q is accepted", in)
			}
			continue
		}
		fails(t, x, in, condition)
	}
}

// Names that do not exist: RFC 5802 has no way to hide them but a challenge like any other.
func TestDecoys(t *testing.T) {
	real := withPassword("juliet", "secret")
	s := testServer(t, real)
	// The same installation on another replica.
	twin := testServer(t, real)
	elsewhere := NewServer(Config{Domain: "example.org", Accounts: accountMap{}, InstallationKey: []byte("another key")})
	challenge := func(s *Server, mechanism, name string) (nonce, salt, rest string) {
		t.Helper()
		out, done := step(t, start(t, s, mechanism, Channel{}), "n,,n="+name+",r=abc")
		if done {
			t.Fatal("done after the first message")
		}
		fields := strings.SplitN(out, ",", 3)
		if len(fields) != 3 || !strings.HasPrefix(fields[1], "s=") {
			t.Fatalf("challenge is %q", out)
		}
		return fields[0], fields[1], fields[2]
	}
	for _, mechanism := range []string{ScramSHA1, ScramSHA256} {
		realNonce, realSalt, realRest := challenge(s, mechanism, "juliet")
		nonce, salt, rest := challenge(s, mechanism, "nobody")
		if len(nonce) != len(realNonce) || len(salt) != len(realSalt) || rest != realRest {
			t.Fatalf("%s: shape of an unknown name: %s,%s,%s; of a known one: %s,%s,%s", mechanism, nonce, salt, rest, realNonce, realSalt, realRest)
		}
		for _, again := range []*Server{s, twin} {
			nonce2, salt2, _ := challenge(again, mechanism, "nobody")
			if salt2 != salt || nonce2 == nonce {
				t.Fatalf("%s: the salt of an unknown name changes, or the nonce doesn't", mechanism)
			}
		}
		if _, other, _ := challenge(s, mechanism, "nobody2"); other == salt {
			t.Fatal("all unknown names have one salt")
		}
		if _, other, _ := challenge(elsewhere, mechanism, "nobody"); other == salt {
			t.Fatal("the decoy does not depend on the installation key")
		}
		// Case folding applies as it does to real names, RFC 7622 §3.3.
		if _, other, _ := challenge(s, mechanism, "NoBody"); other != salt {
			t.Fatal("two spellings of one unknown name have two salts")
		}
		challenge(s, mechanism, "not a=2Cname@all")
	}
	// Real accounts have one salt for both hashes; so do decoys.
	_, sha1, _ := challenge(s, ScramSHA1, "nobody")
	_, sha256, _ := challenge(s, ScramSHA256, "nobody")
	if sha1 != sha256 {
		t.Fatal("a decoy is told by its two salts")
	}
}

// One error for: wrong password, unknown name, account without secret, without this hash, with an impossible password.
func TestOneErrorForAll(t *testing.T) {
	full, _ := Derive("secret", []byte("0123456789abcdef"), 0)
	s := testServer(t, withPassword("juliet", "secret"), Account{Username: "empty"},
		Account{Username: "sha1only", Secret: NewVerifierSecret(Credential{SHA1: full.SHA1})},
		Account{Username: "locked", Locked: true, Secret: NewPasswordSecret("secret", nil)},
		withPassword("broken", "\x07"))
	for _, name := range []string{"juliet", "nobody", "empty", "sha1only", "locked", "broken"} {
		client, err := scram.SHA256.NewClient(name, "wrong", "")
		if err != nil {
			t.Fatal(err)
		}
		conv := client.NewConversation()
		x := start(t, s, ScramSHA256, Channel{})
		first, _ := conv.Step("")
		out, _ := step(t, x, first)
		final, err := conv.Step(out)
		if err != nil {
			t.Fatal(err)
		}
		_, _, failure := x.Step([]byte(final))
		if failure == nil || *failure != *refused() {
			t.Errorf("%s: the answer to a wrong proof is %v", name, failure)
		}
	}
}

// RFC 6120 §6.4.2: without an initial response the server sends an empty challenge; an empty response is something else.
func TestNoInitialResponse(t *testing.T) {
	s := testServer(t, withPassword("user", "pencil"))
	for _, mechanism := range []string{ScramSHA256, Plain} {
		x := start(t, s, mechanism, Channel{Secure: true})
		out, done, err := x.Step(nil)
		if out != nil || done || err != nil {
			t.Fatalf("%s: no initial response is answered with %q, %v, %v", mechanism, out, done, err)
		}
		message := "n,,n=user,r=abc"
		if mechanism == Plain {
			message = "\x00user\x00pencil"
		}
		if _, done := step(t, x, message); done != (mechanism == Plain) {
			t.Fatalf("%s: done is %v", mechanism, done)
		}
		x = start(t, s, mechanism, Channel{Secure: true})
		x.Step(nil)
		if _, _, err := x.Step(nil); err == nil || err.Condition != MalformedRequest {
			t.Fatalf("%s: a second nothing is answered with %v", mechanism, err)
		}
	}
}

// Go's own end of the connection must see what RFC 9266 and RFC 5929 define, by certificate and version.
func TestChannelBindings(t *testing.T) {
	for _, c := range []struct {
		kind    string
		version uint16
		types   []string
	}{
		{"ecdsa256", tls.VersionTLS13, []string{BindingExporter, BindingServerEndPoint}},
		{"ecdsa384", tls.VersionTLS13, []string{BindingExporter, BindingServerEndPoint}},
		{"ecdsa521", tls.VersionTLS13, []string{BindingExporter, BindingServerEndPoint}},
		{"rsa512", tls.VersionTLS13, []string{BindingExporter, BindingServerEndPoint}},
		{"ed25519", tls.VersionTLS13, []string{BindingExporter}}, // no single hash: RFC 5929 §4.1 leaves it undefined
		{"rsa256", tls.VersionTLS12, []string{BindingServerEndPoint}},
		{"ed25519", tls.VersionTLS12, nil},
	} {
		cert := certificate(t, c.kind)
		client, server := handshake(t, cert, c.version)
		endPoint, _ := EndPointBinding(&cert)
		ch := TLSChannel(&server, endPoint)
		if !ch.Secure || len(ch.Bindings) != len(c.types) {
			t.Fatalf("%s: %d bindings, want %v", c.kind, len(ch.Bindings), c.types)
		}
		for i, b := range ch.Bindings {
			if b.Type != c.types[i] {
				t.Fatalf("%s: binding %d is %s, want %s", c.kind, i, b.Type, c.types[i])
			}
			// The library's view from the client's side is the oracle.
			want, err := scram.NewTLSExporterBinding(&client)
			if b.Type == BindingServerEndPoint {
				want, err = scram.NewTLSServerEndpointBinding(&client)
			}
			if err != nil || !bytes.Equal(b.Data, want.Data) {
				t.Fatalf("%s: %s is %x, the client has %x (%v)", c.kind, b.Type, b.Data, want.Data, err)
			}
		}
		offered := testServer(t).Mechanisms(ch)
		if plus := offered[0] == ScramSHA256Plus; plus != (len(c.types) > 0) {
			t.Fatalf("%s: offers %v", c.kind, offered)
		}
		cert.Leaf = nil
		if again, _ := EndPointBinding(&cert); !bytes.Equal(again.Data, endPoint.Data) {
			t.Fatal("the binding depends on whether the leaf was parsed")
		}
	}
	// Another connection with the same certificate: same end point, other exporter (RFC 9266 §2).
	cert := certificate(t, "ecdsa256")
	_, one := handshake(t, cert, tls.VersionTLS13)
	_, two := handshake(t, cert, tls.VersionTLS13)
	if a, b := TLSChannel(&one, ChannelBinding{}), TLSChannel(&two, ChannelBinding{}); bytes.Equal(a.Bindings[0].Data, b.Bindings[0].Data) {
		t.Fatal("two connections have one tls-exporter value")
	}
	if _, ok := EndPointBinding(nil); ok {
		t.Fatal("no certificate has a binding")
	}
	if _, ok := EndPointBinding(&tls.Certificate{Certificate: [][]byte{{1, 2, 3}}}); ok {
		t.Fatal("a broken certificate has a binding")
	}
}

// A man in the middle has a connection to each side; what binds to one is worth nothing on the other (RFC 5802 §6).
func TestForwardedBinding(t *testing.T) {
	cert := certificate(t, "ecdsa256")
	client, _ := handshake(t, cert, tls.VersionTLS13)
	_, server := handshake(t, cert, tls.VersionTLS13)
	own, err := scram.NewTLSExporterBinding(&client)
	if err != nil {
		t.Fatal(err)
	}
	c, err := scram.SHA256.NewClient("user", "pencil", "")
	if err != nil {
		t.Fatal(err)
	}
	conv := c.NewConversationWithChannelBinding(own)
	x := start(t, testServer(t, withPassword("user", "pencil")), ScramSHA256Plus, TLSChannel(&server, ChannelBinding{}))
	first, _ := conv.Step("")
	out, _ := step(t, x, first)
	final, err := conv.Step(out)
	if err != nil {
		t.Fatal(err)
	}
	fails(t, x, final, NotAuthorized)
}
