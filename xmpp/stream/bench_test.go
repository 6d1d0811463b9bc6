package stream

import (
	"io"
	"testing"
)

// BenchmarkRoundTrip is one stanza to the server and back, through TLS, one at a time.
func BenchmarkRoundTrip(b *testing.B) {
	s, c := benchmarkClient(b)
	defer s.stop()
	const message = "<message to='romeo@example.org' type='chat' id='1'><body>Art thou not Romeo, and a Montague?</body></message>"
	b.ReportAllocs()
	for b.Loop() {
		c.send(message)
		c.expect("</message>")
	}
}

// BenchmarkSend is what a sender pays to queue a stanza for a client that reads as fast as it can.
func BenchmarkSend(b *testing.B) {
	s, c := benchmarkClient(b)
	defer s.stop()
	go func() { _, _ = io.Copy(io.Discard, c.Conn) }()
	conn := s.backend.session(b, "juliet@example.org/x").c
	message := []byte("<message from='romeo@example.org/orchard' type='chat' id='1'><body>Neither, fair saint, if either thee dislike.</body></message>")
	b.SetBytes(int64(len(message)))
	b.ReportAllocs()
	for b.Loop() {
		if !conn.Send(message) {
			b.Fatal("the client is too slow")
		}
	}
}

// BenchmarkLogin is a connection from TCP to a bound resource and back, both ends.
func BenchmarkLogin(b *testing.B) {
	s, _ := benchmarkClient(b)
	defer s.stop()
	for b.Loop() {
		c := s.connect(b)
		c.bind(username, "y")
		c.Conn.Close()
	}
}

func benchmarkClient(b *testing.B) (*server, *client) {
	b.Helper()
	s := newServer(b, DirectTLS, limit(func(l *Limits) { l.MaxPendingOutput = 1 << 30 }), func(c *Config) { c.Log = nil })
	c := s.connect(b)
	c.bind(username, "x")
	return s, c
}
