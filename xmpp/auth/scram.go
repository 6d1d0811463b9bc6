package auth

import (
	"bytes"
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"github.com/xdg-go/scram"
)

// scramExchange is SCRAM (RFC 5802, RFC 7677) with and without channel binding. The conversation itself is the library's; what is done
// here is what it leaves to its caller: the strict shape of messages, the choice among several binding types, the decision about "y", authorization
// identities, and one answer for every reason that depends on an account.
type scramExchange struct {
	srv     *Server
	hash    Hash
	plus    bool
	channel Channel
	state   scramState

	conv *scram.ServerConversation
	who  candidate
	// real says that keys will be those of the account; otherwise they are the decoy's and nothing is ever admitted.
	real bool
	// keys is what the conversation verifies with. It is filled only when the proof has arrived.
	keys     scram.StoredCredentials
	username string
}

type scramState uint8

const (
	scramStart scramState = iota
	scramAsked            // an empty challenge went out, for a client that sent no initial response
	scramFirst            // server-first-message went out
	scramDone
)

func (x *scramExchange) Username() string { return x.username }

func (x *scramExchange) Claimed() string { return x.who.claimed() }

func (x *scramExchange) Valid() bool { return x.username != "" && x.srv.admit(x.who) == nil }

func (x *scramExchange) Step(in []byte) ([]byte, bool, *SASLError) {
	switch x.state {
	case scramStart, scramAsked:
		if in == nil && x.state == scramStart {
			x.state = scramAsked
			return nil, false, nil
		}
		x.state = scramDone
		out, err := x.first(in)
		if err != nil {
			return nil, false, err
		}
		x.state = scramFirst
		return out, false, nil
	case scramFirst:
		x.state = scramDone
		out, err := x.final(in)
		if err != nil {
			return nil, false, err
		}
		return out, true, nil
	}
	return nil, false, malformed("The exchange is over.")
}

// first answers the client-first-message.
func (x *scramExchange) first(in []byte) ([]byte, *SASLError) {
	flag, err := parseClientFirst(in)
	if err != nil {
		return nil, err
	}
	binding, err := x.chooseBinding(flag)
	if err != nil {
		return nil, err
	}

	generator := scram.SHA256
	if x.hash == SHA1 {
		generator = scram.SHA1
	}
	server, fail := generator.NewServer(x.credentials)
	if fail != nil {
		return nil, &SASLError{Condition: TemporaryAuthFailure}
	}
	if x.srv.cfg.nonce != nil {
		server = server.WithNonceGenerator(x.srv.cfg.nonce)
	}
	if x.plus {
		x.conv = server.NewConversationWithChannelBindingRequired(scram.ChannelBinding{
			Type: scram.ChannelBindingType(binding.Type), Data: binding.Data})
	} else {
		x.conv = server.NewConversation()
	}
	// The library's errors quote the message, so that they must not go anywhere.
	out, fail := x.conv.Step(string(in))
	if fail != nil {
		return nil, malformed("The SCRAM message is not what RFC 5802 asks for.")
	}
	if err := x.srv.checkAuthzid(x.conv.AuthzID(), x.who.name); err != nil {
		return nil, err
	}
	if err := x.srv.guard.check(x.channel.Source, x.who.name); err != nil {
		return nil, err
	}
	return []byte(out), nil
}

// chooseBinding applies RFC 5802 §6 to the gs2-cbind-flag: "n", "y" or "p=" and a type.
func (x *scramExchange) chooseBinding(flag string) (ChannelBinding, *SASLError) {
	name, bound := strings.CutPrefix(flag, "p=")
	switch {
	case bound && !x.plus:
		return ChannelBinding{}, malformed("Channel binding needs the mechanism whose name ends in -PLUS.")
	case bound:
		for _, b := range x.channel.Bindings {
			if b.Type == name {
				return b, nil
			}
		}
		return ChannelBinding{}, malformed("This type of channel binding is not supported here.")
	case x.plus:
		return ChannelBinding{}, malformed("A mechanism whose name ends in -PLUS needs channel binding.")
	case flag == "y" && len(x.channel.Bindings) > 0:
		// The client could bind and believes that the server cannot: somebody took the -PLUS mechanisms out of the offer.
		return ChannelBinding{}, &SASLError{Condition: NotAuthorized,
			Text: "This server does support channel binding; the list of mechanisms may have been tampered with."}
	}
	return ChannelBinding{}, nil
}

// credentials is asked by the conversation for the account named in the client-first-message. Real or not, the answer costs the same and derives
// nothing: the client needs salt and iterations now and the keys only when it has sent a proof, so they are filled in by final.
func (x *scramExchange) credentials(name string) (scram.StoredCredentials, error) {
	x.who = x.srv.lookup(name)
	decoy := x.srv.decoys.verifier(x.hash, x.who.name)
	salt, iterations := decoy.Salt, decoy.Iterations
	if x.who.known {
		if s, n, ok := x.who.account.Secret.factors(x.hash); ok {
			salt, iterations, x.real = s, n, true
		}
	}
	x.keys = scram.StoredCredentials{
		KeyFactors: scram.KeyFactors{Salt: string(salt), Iters: iterations},
		StoredKey:  bytes.Clone(decoy.StoredKey),
		ServerKey:  bytes.Clone(decoy.ServerKey),
	}
	return x.keys, nil
}

// final checks the client-final-message and returns the server's signature.
func (x *scramExchange) final(in []byte) ([]byte, *SASLError) {
	if err := checkClientFinal(in); err != nil {
		return nil, err
	}
	if err := x.srv.guard.try(x.channel.Source, x.who.name); err != nil {
		return nil, err
	}
	if x.real {
		// The conversation holds the same arrays.
		v := x.who.account.Secret.Credential().Verifier(x.hash)
		if x.real = !v.IsZero(); x.real {
			copy(x.keys.StoredKey, v.StoredKey)
			copy(x.keys.ServerKey, v.ServerKey)
		}
	}
	out, fail := x.conv.Step(string(in))
	if fail != nil || !x.conv.Valid() || !x.real {
		return nil, refused()
	}
	if err := x.srv.admit(x.who); err != nil {
		return nil, err
	}
	x.srv.guard.succeeded(x.channel.Source, x.who.name)
	x.username = x.who.name
	return []byte(out), nil
}

// parseClientFirst checks the shape of a client-first-message (RFC 5802 §7), gs2-header and bare message, and returns the gs2-cbind-flag.
func parseClientFirst(in []byte) (flag string, err *SASLError) {
	if !utf8.Valid(in) || bytes.IndexByte(in, 0) >= 0 {
		return "", malformed("A SCRAM message has to be UTF-8 without NUL.")
	}
	flag, rest, ok := strings.Cut(string(in), ",")
	if !ok {
		return "", malformed("The SCRAM message lacks its gs2 header.")
	}
	if flag != "n" && flag != "y" {
		name, ok := strings.CutPrefix(flag, "p=")
		if !ok || !bindingName(name) {
			return "", malformed("The SCRAM message's channel binding flag has to be n, y or p= and a type.")
		}
	}
	authzid, bare, ok := strings.Cut(rest, ",")
	if !ok || (authzid != "" && !strings.HasPrefix(authzid, "a=")) || authzid == "a=" {
		return "", malformed("The SCRAM message's authorization identity has to be empty or a= and a JID.")
	}
	if strings.HasPrefix(bare, "m=") {
		return "", malformed("SCRAM extensions that must be understood are not supported.")
	}
	username, rest, ok := strings.Cut(bare, ",")
	if !ok || !strings.HasPrefix(username, "n=") || username == "n=" {
		return "", malformed("The SCRAM message has to name a user.")
	}
	nonce, _, _ := strings.Cut(rest, ",")
	if value, ok := strings.CutPrefix(nonce, "r="); !ok || value == "" || !printableASCII(value) || strings.Contains(value, " ") {
		return "", malformed("The SCRAM message lacks a nonce of printable characters.")
	}
	return flag, nil
}

// bindingName checks cb-name = 1*(ALPHA / DIGIT / "." / "-").
func bindingName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-') {
			return false
		}
	}
	return s != ""
}

// checkClientFinal checks the shape of a client-final-message (RFC 5802 §7): c=, r=, extensions, p=.
func checkClientFinal(in []byte) *SASLError {
	if !utf8.Valid(in) || bytes.IndexByte(in, 0) >= 0 {
		return malformed("A SCRAM message has to be UTF-8 without NUL.")
	}
	fields := strings.Split(string(in), ",")
	if len(fields) < 3 || !isBase64Field(fields[0], "c=") || !strings.HasPrefix(fields[1], "r=") || !isBase64Field(fields[len(fields)-1], "p=") {
		return malformed("The final SCRAM message has to consist of c=, r= and p=.")
	}
	for _, extension := range fields[2 : len(fields)-1] {
		if len(extension) < 2 || extension[1] != '=' || extension[0] == 'm' || extension[0] == 'p' {
			return malformed("SCRAM extensions that must be understood are not supported.")
		}
	}
	return nil
}

func isBase64Field(field, key string) bool {
	value, ok := strings.CutPrefix(field, key)
	if !ok || value == "" || strings.ContainsAny(value, "\r\n") {
		return false
	}
	_, err := base64.StdEncoding.Strict().DecodeString(value)
	return err == nil
}
