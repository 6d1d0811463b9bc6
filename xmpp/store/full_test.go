package store_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/chat-operator/chat-operator/xmpp"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/metrics"
	"github.com/chat-operator/chat-operator/xmpp/stream"
)

// chatter is a client of a chat server that stands on a store.
type chatter struct {
	t    *testing.T
	conn net.Conn
	read string
	sent int // stanzas that count
}

func (c *chatter) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, s); err != nil {
		c.t.Fatal(err)
	}
}

// expect reads up to s.
func (c *chatter) expect(s string) string {
	c.t.Helper()
	for buf := make([]byte, 4096); ; {
		if before, after, ok := strings.Cut(c.read, s); ok {
			c.read = after
			return before + s
		}
		c.conn.SetReadDeadline(time.Now().Add(time.Minute))
		n, err := c.conn.Read(buf)
		if c.read += string(buf[:n]); n == 0 {
			c.t.Fatalf("waiting for %q: %v after %q", s, err, c.read)
		}
	}
}

// login begins a session with stream management (XEP-0198).
func login(t *testing.T, addr net.Addr, name string) *chatter {
	t.Helper()
	conn, err := tls.Dial("tcp", addr.String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"xmpp-client"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &chatter{t: t, conn: conn}
	header := "<stream:stream to='chat.example' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
	c.send(header)
	c.expect("</stream:features>")
	c.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + base64.StdEncoding.EncodeToString([]byte("\x00"+name+"\x00secret")) + "</auth>")
	c.expect("<success")
	c.send(header)
	c.expect("</stream:features>")
	c.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq><enable xmlns='urn:xmpp:sm:3' resume='true'/>")
	c.expect("<enabled")
	c.expect("/>")
	return c
}

// stanza sends one that counts.
func (c *chatter) stanza(format string, args ...any) {
	c.t.Helper()
	c.sent++
	c.send(fmt.Sprintf(format, args...))
}

// settled asks for an acknowledgement, and what came before it.
func (c *chatter) settled() string {
	c.t.Helper()
	c.send("<r xmlns='urn:xmpp:sm:3'/>")
	return c.expect(fmt.Sprintf("<a xmlns='urn:xmpp:sm:3' h='%d'/>", c.sent))
}

// ask sends a request and gives the answer.
func (c *chatter) ask(id, payload string) string {
	c.t.Helper()
	c.stanza("<iq type='set' id='%s'>%s</iq>", id, payload)
	c.expect("id='" + id + "'")
	return c.expect(">") + c.settled()
}

// TestServerOnFullDisk: a full disk refuses what would have to be kept, with resource-constraint (RFC 6120 §8.3.3.18), loses nothing that was accepted, and takes no
// more than its end to be over.
func TestServerOnFullDisk(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "chat.db"))
	dir := directory.New("chat.example")
	local := directory.NewLocal(dir)
	for _, name := range []string{"away", "there", "writer"} {
		must(t, local.CreateUser(t.Context(), directory.Actor{}, directory.NewUser{Username: name, Password: "secret"}))
	}
	dir.MarkSynced()
	certFile, keyFile, err := xmpp.SelfSigned(t.TempDir(), "chat.example", time.Now(), slog.New(slog.DiscardHandler))
	must(t, err)
	certificate, err := xmpp.LoadCertificate(certFile, keyFile)
	must(t, err)
	registry := prometheus.NewRegistry()
	server, err := xmpp.New(xmpp.Config{
		Domain: "chat.example", TLS: &tls.Config{Certificates: []tls.Certificate{certificate}},
		Listeners: []xmpp.Listener{{Addr: "127.0.0.1:0", Mode: stream.DirectTLS}},
	}, xmpp.Deps{Directory: dir, Proposer: local, Roster: s, Offline: s, Journal: s, Metrics: metrics.NewSet(registry), Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	defer func() {
		cancel()
		must(t, <-done)
	}()
	for end := time.Now().Add(time.Minute); server.Addr(stream.DirectTLS) == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the server does not listen")
		}
	}
	writer, there := login(t, server.Addr(stream.DirectTLS), "writer"), login(t, server.Addr(stream.DirectTLS), "there")
	there.stanza("<presence/>")
	there.settled()
	long := strings.Repeat("x", 2000)
	var accepted []string
	// post sends a message to whom nobody is there for, and says whether it was accepted.
	post := func(id string) bool {
		writer.stanza("<message type='chat' id='%s' to='away@chat.example'><body>%s</body></message>", id, long)
		got := writer.settled()
		switch {
		case got == fmt.Sprintf("<a xmlns='urn:xmpp:sm:3' h='%d'/>", writer.sent):
			accepted = append(accepted, id)
			return true
		case strings.Contains(got, "<resource-constraint") && strings.Contains(got, "type='wait'") && strings.Contains(got, "id='"+id+"'"):
			return false
		}
		t.Fatalf("%s: %q", id, got)
		return false
	}
	contact := func(id string) string {
		return writer.ask(id, "<query xmlns='jabber:iq:roster'><item jid='"+id+"@chat.example' name='"+long[:900]+"'/></query>")
	}
	for i := range 3 {
		if !post(fmt.Sprint("before-", i)) {
			t.Fatal("refused while there is space")
		}
	}
	if got := contact("friend"); !strings.Contains(got, "type='result'") {
		t.Fatalf("a contact while there is space: %q", got)
	}

	must(t, s.SetMaxPages(0))
	refused := 0
	for i := 0; refused < 3; i++ {
		if i > 100 {
			t.Fatal("the disk does not fill")
		}
		if !post(fmt.Sprint("full-", i)) {
			refused++
		}
	}
	answer := ""
	for i := 0; !strings.Contains(answer, "type='error'"); i++ {
		if answer = contact(fmt.Sprint("stranger-", i)); i > 100 {
			t.Fatalf("the disk does not fill: %q", answer)
		}
	}
	if !strings.Contains(answer, "<resource-constraint") || !strings.Contains(answer, "type='wait'") {
		t.Errorf("a contact while there is no space: %q", answer)
	}
	// Who is there gets messages. They count once she acknowledges them, since they cannot be noted down.
	writer.stanza("<message type='chat' to='there@chat.example'><body>live %s</body></message>", long)
	writer.send("<r xmlns='urn:xmpp:sm:3'/>")
	there.expect("<body>live ")
	writer.send("<iq type='get' id='ping' to='chat.example'><ping xmlns='urn:xmpp:ping'/></iq>")
	writer.sent++
	if got := writer.expect("id='ping'"); strings.Contains(got, "<a ") {
		t.Errorf("acknowledged though it is stored nowhere: %q", got)
	}
	there.send("<a xmlns='urn:xmpp:sm:3' h='2'/>") // her own presence, and it
	writer.expect(fmt.Sprintf("<a xmlns='urn:xmpp:sm:3' h='%d'/>", writer.sent-1))
	if n := counted(t, registry, "storage"); n < 4 {
		t.Errorf("%v refusals were counted", n)
	}

	must(t, s.SetMaxPages(1<<20))
	for i := range 3 {
		if !post(fmt.Sprint("after-", i)) {
			t.Fatal("refused though there is space again")
		}
	}
	if got := contact("newcomer"); !strings.Contains(got, "type='result'") {
		t.Errorf("a contact when there is space again: %q", got)
	}
	// Messages that nobody acknowledges count again, too.
	writer.stanza("<message type='chat' to='there@chat.example'><body>unanswered</body></message>")
	writer.settled()

	away := login(t, server.Addr(stream.DirectTLS), "away")
	away.stanza("<presence/>")
	for _, id := range accepted {
		if got := away.expect("</message>"); !strings.Contains(got, "id='"+id+"'") {
			t.Errorf("%.200q came instead of %s", got, id)
		}
	}
	if got := away.settled(); strings.Contains(got, "<message") {
		t.Errorf("and then %.200q", got)
	}
}

// counted reads a counter of refusals.
func counted(t *testing.T, registry *prometheus.Registry, reason string) float64 {
	t.Helper()
	families, err := registry.Gather()
	must(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "chat_operator_refusals_total" && m.GetLabel()[0].GetValue() == reason {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}
