package client

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

const session = "<?xml version='1.0'?>\n<stream:stream from='localhost' id=\"a>b\" xmlns='jabber:client'>" +
	"<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features> \n" +
	"<message id='m1' to='a@b/c' x=\"it's > that\"><body>1 &lt; 2</body><a><b><c/></b></a></message>" +
	"<presence from='a@b/c'/>" +
	"<message\n\tid = 'm2'\n><body><![CDATA[</message>]]></body></message  >" +
	"<iq type='result' id='1'></iq></stream:stream>"

func TestScannerFindsTheElements(t *testing.T) {
	want := []struct{ name, id, raw string }{
		{"stream:stream", "a>b", "<stream:stream from='localhost' id=\"a>b\" xmlns='jabber:client'>"},
		{"stream:features", "", "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>"},
		{"message", "m1", "<message id='m1' to='a@b/c' x=\"it's > that\"><body>1 &lt; 2</body><a><b><c/></b></a></message>"},
		{"presence", "", "<presence from='a@b/c'/>"},
		{"message", "m2", "<message\n\tid = 'm2'\n><body><![CDATA[</message>]]></body></message  >"},
		{"iq", "1", "<iq type='result' id='1'></iq>"},
	}
	for name, src := range map[string]io.Reader{
		"whole":        strings.NewReader(session),
		"byte by byte": iotest.OneByteReader(strings.NewReader(session)),
		"in halves":    iotest.HalfReader(strings.NewReader(session)),
	} {
		s := NewScanner(src, 16)
		for _, w := range want {
			e, err := s.Next()
			if err != nil {
				t.Fatalf("%s: before %s: %v", name, w.name, err)
			}
			if string(e.Raw()) != w.raw || !e.Is(w.name) || string(e.Attr("id")) != w.id {
				t.Errorf("%s: got %q, name %q, id %q; want %q", name, e.Raw(), e.Name(), e.Attr("id"), w.raw)
			}
		}
		if _, err := s.Next(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: at the end of the stream: %v, want io.EOF", name, err)
		}
	}
}

func TestScannerAttributes(t *testing.T) {
	s := NewScanner(strings.NewReader(`<s><m to="x" xid='no' id='' from = "a=b"/>`), 64)
	for range 2 {
		e, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		if e.Is("s") {
			continue
		}
		for attr, want := range map[string]string{"to": "x", "xid": "no", "id": "", "from": "a=b"} {
			if got := e.Attr(attr); string(got) != want || got == nil {
				t.Errorf("%s = %q, want %q", attr, got, want)
			}
		}
		if got := e.Attr("type"); got != nil {
			t.Errorf("type = %q, but there is none", got)
		}
	}
}

func TestScannerFailsWhereAServerIsWrong(t *testing.T) {
	for name, c := range map[string]string{
		"cut in an element":  "<s><m>",
		"cut in a tag":       "<s><m id='1",
		"no end of stream":   "<s><m/>",
		"a comment":          "<s><!-- x --><m/></s>",
		"closed, never open": "</s>",
		"endless":            "<s><m>" + strings.Repeat("x", maxElement),
	} {
		s := NewScanner(strings.NewReader(c), 64)
		var err error
		for err == nil {
			_, err = s.Next()
		}
		if errors.Is(err, io.EOF) {
			t.Errorf("%s: taken for an orderly end", name)
		}
	}
}

func TestScannerRestarts(t *testing.T) {
	src := &switchable{strings.NewReader("<s><a/>")}
	s := NewScanner(src, 64)
	for range 2 {
		if _, err := s.Next(); err != nil {
			t.Fatal(err)
		}
	}
	src.Reader = strings.NewReader("<?xml version='1.0'?><s id='2'>")
	s.Restart()
	if e, err := s.Next(); err != nil || string(e.Attr("id")) != "2" {
		t.Errorf("after a restart: %q, %v", e.Raw(), err)
	}
}

type switchable struct{ io.Reader }

func BenchmarkScanner(b *testing.B) {
	const stanza = "<message from='a@localhost/bench' to='b@localhost/bench' type='chat' id='m0000000000'><body>The lift is stuck.</body>" +
		"<active xmlns='http://jabber.org/protocol/chatstates'/></message>"
	src := &endless{text: stanza}
	s := NewScanner(io.MultiReader(strings.NewReader("<s>"), src), 4096)
	if _, err := s.Next(); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(stanza)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Next(); err != nil {
			b.Fatal(err)
		}
	}
}

// endless repeats its text.
type endless struct {
	text string
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		k := copy(p[n:], e.text[e.at:])
		n += k
		e.at = (e.at + k) % len(e.text)
	}
	return n, nil
}
