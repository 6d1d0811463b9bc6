package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/xdg-go/scram"

	"github.com/chat-operator/chat-operator/controllers/transfer"
	"github.com/chat-operator/chat-operator/xmpp/auth"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// check is the command `chat-operator check`: it does once what clients do, and says whether it worked. A test of an installation runs
// it in a Pod of its own, in an image that has nothing but this program.
//
// It takes no certificate authority. What it trusts is a login with channel binding (RFC 5802 §6, RFC 9266): only a server that knows the
// password, at the other end of this very TLS connection, can finish it. REST over TLS has to show the same certificate.
type check struct {
	xmpp, domain, user, passwordFile string
	rest, restSecretFile             string
	// justInstalled says that the server's name and the account may take a moment to be there.
	justInstalled bool
}

const checkUsage = `Usage: chat-operator check --xmpp HOST:PORT --domain DOMAIN --user NAME --password-file FILE [--rest URL --rest-secret-file FILE]

Logs in over XMPP and calls the REST API, and says whether both worked. What may be better in a moment is tried again, such as a connection that is
refused; what will not, such as a wrong password, ends it at once. One line end at the end of a file with a secret is not taken as part of it.

`

// runCheck runs the command with its arguments.
func runCheck(ctx context.Context, args []string, out io.Writer) error {
	var c check
	var patience time.Duration
	flags := flag.NewFlagSet("chat-operator check", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() { fmt.Fprint(out, checkUsage); flags.PrintDefaults() }
	flags.StringVar(&c.xmpp, "xmpp", "", "address of the server for XMPP with STARTTLS")
	flags.StringVar(&c.domain, "domain", "", "the server's XMPP domain")
	flags.StringVar(&c.user, "user", "", "username of an account, or its address")
	flags.StringVar(&c.passwordFile, "password-file", "", "file with the account's password, such as a key of a mounted Secret")
	flags.StringVar(&c.rest, "rest", "", "address of the REST API, such as http://HOST:9090; empty: it is not called")
	flags.StringVar(&c.restSecretFile, "rest-secret-file", "", "file with the shared secret of the REST API")
	flags.BoolVar(&c.justInstalled, "just-installed", false, "server and account were just made: try again also where the server's name or the login is not known yet")
	flags.DurationVar(&patience, "timeout", time.Minute, "how long to try again")
	if err := transfer.ParseFlags(flags, args); err != nil {
		return err
	}
	if flags.NArg() > 0 || c.xmpp == "" || c.domain == "" || c.user == "" || c.passwordFile == "" {
		return errors.New("--xmpp, --domain, --user and --password-file are needed, and nothing but options")
	}
	if (c.rest == "") != (c.restSecretFile == "") {
		return errors.New("--rest and --rest-secret-file belong together")
	}
	if _, port, err := net.SplitHostPort(c.xmpp); err != nil || port == "" {
		return fmt.Errorf("--xmpp %q is no address: write HOST:PORT", c.xmpp)
	}
	if u, err := url.Parse(c.rest); c.rest != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("--rest %q is no address: write it like http://HOST:9090", c.rest)
	}
	var err error
	if c.domain, err = jid.PrepareDomain(c.domain); err != nil {
		return fmt.Errorf("--domain %q is no XMPP domain: %w", c.domain, err)
	}
	if c.user, err = c.username(c.user); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return c.try(ctx, out)
}

// username prepares a name as the server does. What people copy for it is taken too: the account's whole address.
func (c *check) username(name string) (string, error) {
	local, at, isAddress := strings.Cut(name, "@")
	if isAddress {
		if domain, err := jid.PrepareDomain(at); err != nil || domain != c.domain {
			return "", fmt.Errorf("--user %q is not of domain %s, which --domain says: give the username, which is the part before the @", name, c.domain)
		}
	}
	prepared, err := jid.PrepareLocal(local)
	if err != nil {
		return "", fmt.Errorf("--user %q is no username: %w", name, err)
	}
	return prepared, nil
}

// try tries until it works, until trying again is of no use, or until there is no time left.
func (c *check) try(ctx context.Context, out io.Writer) error {
	const shortest, longest, oneTry = time.Second, 16 * time.Second, 15 * time.Second
	pause := shortest
	for {
		attempt, cancel := context.WithTimeout(ctx, oneTry)
		err := c.once(attempt, out)
		cancel()
		unknown := c.justInstalled && notKnownYet(err)
		if err == nil || !unknown && !temporary(err) {
			return err
		}
		if unknown {
			pause = min(2*pause, longest) // each login that is refused counts towards the limit at which the account takes none for a while
		} else {
			pause = shortest
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
			fmt.Fprintln(out, "Trying again:", err)
		}
	}
}

func (c *check) once(ctx context.Context, out io.Writer) error {
	address, certificate, err := c.logIn(ctx)
	if err != nil {
		return fmt.Errorf("XMPP at %s: %w", c.xmpp, err)
	}
	fmt.Fprintf(out, "XMPP: logged in at %s as %s\n", c.xmpp, address)
	if c.rest == "" {
		return nil
	}
	if err := c.callREST(ctx, certificate); err != nil {
		return fmt.Errorf("REST at %s: %w", c.rest, err)
	}
	fmt.Fprintf(out, "REST: %s knows the user %s\n", c.rest, c.user)
	return nil
}

// readSecret reads a file anew for each try: a mounted Secret may still be that of an account's earlier life. No secret has a line end in it, so one at
// the end is that of the tool which wrote the file. None is empty either: a login with such a one would only count as failed.
func readSecret(file string) (string, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("a secret cannot be read: %w", err)
	}
	secret := strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
	if secret == "" {
		return "", fmt.Errorf("%s is empty: no secret is in it", file)
	}
	return secret, nil
}

// callREST asks for the account that has just logged in.
func (c *check) callREST(ctx context.Context, certificate []byte) error {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, // compared instead:
		VerifyConnection: func(state tls.ConnectionState) error {
			if !bytes.Equal(state.PeerCertificates[0].Raw, certificate) {
				return errors.New("the certificate is not the one that the XMPP server showed, so this is another server")
			}
			return nil
		},
	}}}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.rest, "/")+"/plugins/restapi/v1/users/"+url.PathEscape(c.user), nil)
	if err != nil {
		return err
	}
	secret, err := readSecret(c.restSecretFile)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", secret)
	req.Header.Set("Accept", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return &answerError{resp.StatusCode, resp.Status}
	}
	var user struct {
		Username string `json:"username"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&user); err != nil {
		return fmt.Errorf("the answer is no JSON: %w", err)
	}
	if user.Username != c.user {
		return fmt.Errorf("the answer speaks of %q", user.Username)
	}
	return nil
}

// features are what a server offers on a stream (RFC 6120 §4.3.2).
type features struct {
	StartTLS   *struct{} `xml:"urn:ietf:params:xml:ns:xmpp-tls starttls"`
	Mechanisms []string  `xml:"urn:ietf:params:xml:ns:xmpp-sasl mechanisms>mechanism"`
}

// logIn opens a session as a chat client does and gives the address that the server bound and the certificate that it showed.
func (c *check) logIn(ctx context.Context) (address string, certificate []byte, err error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", c.xmpp)
	if err != nil {
		return "", nil, err
	}
	defer func() { conn.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return "", nil, err
		}
	}
	// RFC 6120 §5.4.2.
	stream, offered, err := c.open(conn)
	if err != nil {
		return "", nil, cmp.Or(c.directTLS(ctx, err), err)
	}
	if offered.StartTLS == nil {
		return "", nil, errors.New("the server does not offer STARTTLS")
	}
	if err := stream.ask("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "proceed", &struct{}{}); err != nil {
		return "", nil, err
	}
	encrypted := tls.Client(conn, &tls.Config{ServerName: c.domain, MinVersion: tls.VersionTLS13, InsecureSkipVerify: true}) // the login vouches for it
	if err := encrypted.HandshakeContext(ctx); err != nil {
		return "", nil, handshakeFailed(err)
	}
	if stream, offered, err = c.open(encrypted); err != nil {
		return "", nil, err
	}
	state := encrypted.ConnectionState()
	if err := c.authenticate(stream, offered, &state); err != nil {
		return "", nil, err
	}
	// RFC 6120 §6.4.6, §7.6.
	if stream, _, err = c.open(encrypted); err != nil {
		return "", nil, err
	}
	var bound struct {
		Type string `xml:"type,attr"`
		JID  string `xml:"urn:ietf:params:xml:ns:xmpp-bind bind>jid"`
	}
	if err := stream.ask("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>", "iq", &bound); err != nil {
		return "", nil, err
	}
	if bound.Type != "result" || bound.JID == "" {
		return "", nil, errors.New("the server bound no session")
	}
	_, err = io.WriteString(encrypted, "</stream:stream>")
	return bound.JID, state.PeerCertificates[0].Raw, err
}

// directTLS looks why a stream did not begin, which ended or was no XML: a port for direct TLS takes such a beginning for something else. Nil: it is none.
func (c *check) directTLS(ctx context.Context, failed error) error {
	var syntax *xml.SyntaxError
	var reset *net.OpError
	if !errors.Is(failed, errEnded) && !errors.As(failed, &syntax) && !errors.As(failed, &reset) {
		return nil
	}
	dialer := tls.Dialer{Config: &tls.Config{ServerName: c.domain, MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}} // nothing is said on it
	conn, err := dialer.DialContext(ctx, "tcp", c.xmpp)
	if err == nil {
		conn.Close()
	} else if !isAlert(err) {
		return nil
	}
	_, port, _ := net.SplitHostPort(c.xmpp)
	return &directTLSError{port}
}

// authenticate logs in with the mechanism that proves both sides to each other, and that nobody is between them.
func (c *check) authenticate(stream *checkStream, offered *features, state *tls.ConnectionState) error {
	if !slices.Contains(offered.Mechanisms, auth.ScramSHA256Plus) {
		return fmt.Errorf("the server offers %s, and not %s", cmp.Or(strings.Join(offered.Mechanisms, ", "), "no mechanism"), auth.ScramSHA256Plus)
	}
	password, err := readSecret(c.passwordFile)
	if err != nil {
		return err
	}
	client, err := scram.SHA256.NewClient(c.user, password, "")
	if err != nil {
		return fmt.Errorf("the username, or the password in %s, has characters that no login may have: %w", c.passwordFile, err)
	}
	binding, err := scram.NewTLSExporterBinding(state)
	if err != nil {
		return err
	}
	conversation := client.NewConversationWithChannelBinding(binding)
	const space = "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'"
	send := fmt.Sprintf("<auth %s mechanism='%s'>%%s</auth>", space, auth.ScramSHA256Plus)
	expect, challenge := "challenge", ""
	for {
		response, err := conversation.Step(challenge)
		if err != nil {
			return fmt.Errorf("the server does not know the password: %w", err)
		}
		if conversation.Valid() {
			return nil
		}
		var answer struct {
			Text string `xml:",chardata"`
		}
		if err := stream.ask(fmt.Sprintf(send, base64.StdEncoding.EncodeToString([]byte(response))), expect, &answer); err != nil {
			return err
		}
		decoded, err := base64.StdEncoding.DecodeString(answer.Text)
		if err != nil {
			return fmt.Errorf("the server's answer is no base64: %w", err)
		}
		send, expect, challenge = fmt.Sprintf("<response %s>%%s</response>", space), "success", string(decoded)
	}
}

// checkStream is an XML stream that one request at a time is sent on.
type checkStream struct {
	conn net.Conn
	in   *xml.Decoder
}

// open begins a stream (RFC 6120 §4.2) and reads what the server offers on it.
func (c *check) open(conn net.Conn) (*checkStream, *features, error) {
	s := &checkStream{conn: conn, in: xml.NewDecoder(conn)}
	var to strings.Builder
	if err := xml.EscapeText(&to, []byte(c.domain)); err != nil {
		return nil, nil, err
	}
	_, err := fmt.Fprintf(conn, "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='%s' version='1.0'>", to.String())
	if err != nil {
		return nil, nil, err
	}
	start, err := s.next()
	if err != nil {
		return nil, nil, err
	}
	if start.Name.Local != "stream" {
		return nil, nil, fmt.Errorf("the server answers with <%s/>, which begins no XML stream", start.Name.Local)
	}
	var offered features
	if err := s.read("features", &offered); err != nil {
		return nil, nil, err
	}
	return s, &offered, nil
}

// next is the next start of an element.
func (s *checkStream) next() (xml.StartElement, error) {
	for {
		token, err := s.in.Token()
		if err != nil {
			return xml.StartElement{}, ended(err)
		}
		if start, ok := token.(xml.StartElement); ok {
			return start, nil
		}
	}
}

// ask sends a text and reads the answer, which has to be of that name.
func (s *checkStream) ask(request, name string, answer any) error {
	if _, err := io.WriteString(s.conn, request); err != nil {
		return err
	}
	return s.read(name, answer)
}

// read reads one element, which has to be of that name. Of another, its first child is what went wrong (RFC 6120 §4.9, §6.5).
func (s *checkStream) read(name string, answer any) error {
	start, err := s.next()
	if err != nil {
		return err
	}
	if start.Name.Local == name {
		return ended(s.in.DecodeElement(answer, &start))
	}
	var refusal struct {
		Children []struct {
			XMLName xml.Name
			Text    string `xml:",chardata"`
		} `xml:",any"`
	}
	if err := s.in.DecodeElement(&refusal, &start); err != nil {
		return ended(err)
	}
	r := &refusedError{said: []string{start.Name.Local}}
	for _, child := range refusal.Children {
		r.conditions = append(r.conditions, child.XMLName.Local)
		r.said = append(r.said, strings.TrimSpace(child.XMLName.Local+" "+child.Text))
	}
	return r
}
