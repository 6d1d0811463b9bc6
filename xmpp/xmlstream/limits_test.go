package xmlstream

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
)

// flood sends a prefix, then a unit over and over, a gigabyte in all, and counts what was taken.
type flood struct {
	prefix, unit string
	off          int64
}

func (f *flood) Read(b []byte) (int, error) {
	if f.off > 1<<30 {
		return 0, errors.New("a gigabyte was read")
	}
	n := 0
	for n < len(b) {
		if f.off < int64(len(f.prefix)) {
			m := copy(b[n:], f.prefix[f.off:])
			n, f.off = n+m, f.off+int64(m)
			continue
		}
		at := (f.off - int64(len(f.prefix))) % int64(len(f.unit))
		m := copy(b[n:], f.unit[at:])
		n, f.off = n+m, f.off+int64(m)
	}
	return n, nil
}

// Whatever is sent without end, the reader stops at its limit and not one byte behind it (RFC 6120 §4.9.3.14, §13.12).
func TestEndlessInputStopsAtTheLimit(t *testing.T) {
	tests := []struct{ name, prefix, unit string }{
		{"attribute", "<message to='", "a"},
		{"attribute with references", "<message to='", "&amp;"},
		{"attribute name", "<message ", "a"},
		{"name", "<", "a"},
		{"prefix", "<a:", "a"},
		{"end tag's white space", "<message></message", " "},
		{"tag's white space", "<message", "\t"},
		{"text", "<message><body>", "a"},
		{"text with references", "<message><body>", "&lt;"},
		{"text of many bytes a character", "<message><body>", "😀"},
		{"CDATA", "<message><![CDATA[", "]]"},
		{"many CDATA sections", "<message>", "<![CDATA[]]>"},
		{"entity name", "<message>&", "a"},
		{"digits", "<message>&#", "0"},
		{"namespace", "<message xmlns='", "u"},
	}
	for _, lim := range []Limits{PreAuthLimits(), DefaultLimits()} {
		for _, tt := range tests {
			t.Run(fmt.Sprintf("%s %d", tt.name, lim.MaxBytes), func(t *testing.T) {
				src := &flood{prefix: tt.prefix, unit: tt.unit}
				r := NewReader(io.MultiReader(strings.NewReader(header), src), lim)
				_, err := readAll(r)
				if condition(err) != PolicyViolation {
					t.Errorf("ended in %v; want %s", err, PolicyViolation)
				}
				if src.off > int64(lim.MaxBytes) {
					t.Errorf("%d bytes were taken; the limit is %d", src.off, lim.MaxBytes)
				}
			})
		}
	}
}

func TestEndlessHeaderStopsAtTheLimit(t *testing.T) {
	tests := []struct{ name, prefix, unit, want string }{
		{"attribute", "<stream:stream to='", "a", PolicyViolation},
		{"attributes", "<stream:stream", " a='b' ", NotWellFormed}, // the same one twice: seen at the end of the tag or at a limit
		{"declaration", "<?xml version='1.0'", " ", PolicyViolation},
		{"white space", "", " ", PolicyViolation},
		{"white space after the declaration", "<?xml version='1.0'?>", "\n", PolicyViolation},
		{"comment", "<!--", "a", RestrictedXML},
		{"document type", "<!DOCTYPE ", "a", RestrictedXML},
		{"encoding", "<?xml version='1.0' encoding='", "a", PolicyViolation},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src := &flood{prefix: tt.prefix, unit: tt.unit}
			lim := PreAuthLimits()
			_, err := NewReader(src, lim).Open()
			if got := condition(err); got != tt.want && got != PolicyViolation {
				t.Errorf("ended in %v; want %s", err, tt.want)
			}
			if src.off > int64(lim.MaxBytes)+idleBuffer {
				t.Errorf("%d bytes were taken; the limit is %d", src.off, lim.MaxBytes)
			}
		})
	}
}

// Counts are limited as well as bytes, exactly.
func TestCounts(t *testing.T) {
	lim := Limits{MaxBytes: 1 << 20, MaxDepth: 4, MaxAttributes: 3, MaxElements: 5, MaxNamespaces: 3}
	tests := []struct {
		name, in string
		ok       bool
	}{
		{"depth 4", "<a><b><c><d/></c></b></a>", true},
		{"depth 5", "<a><b><c><d><e/></d></c></b></a>", false},
		{"3 attributes", "<a b='' c='' d=''/>", true},
		{"4 attributes", "<a b='' c='' d='' e=''/>", false},
		{"declarations count as attributes", "<a b='' c='' d='' xmlns='urn:a'/>", false},
		{"5 elements", "<a><b/><b/><b/><b/></a>", true},
		{"6 elements", "<a><b/><b/><b/><b/><b/></a>", false},
		{"3 declarations in scope", "<a xmlns:b='urn:b' xmlns:c='urn:c'><d xmlns='urn:d'/></a>", true},
		{"4 declarations in scope", "<a xmlns:b='urn:b' xmlns:c='urn:c'><d xmlns='urn:d' xmlns:e='urn:e'/></a>", false},
		{"4 declarations, 3 in scope", "<a xmlns:b='urn:b' xmlns:c='urn:c'><d xmlns='urn:d'/><d xmlns='urn:d'/></a>", true},
		{"a declaration of xml counts, too", "<a xmlns:xml='http://www.w3.org/XML/1998/namespace' xmlns:b='urn:b' xmlns='urn:c'><d xmlns='urn:d'/></a>", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := NewReader(strings.NewReader("<s:s xmlns:s='urn:s' xmlns='jabber:client'>"+tt.in), lim)
			if _, err := r.Open(); err != nil {
				t.Fatal(err)
			}
			_, err := r.Next()
			if tt.ok && err != nil || !tt.ok && condition(err) != PolicyViolation {
				t.Errorf("%v", err)
			}
			if _, err := Parse([]byte(tt.in), lim); (err == nil) != tt.ok {
				t.Errorf("Parse: %v", err)
			}
		})
	}
}

// A stanza may be exactly as large as the limit, wherever it lies in the buffer.
func TestLargestStanza(t *testing.T) {
	lim := Limits{MaxBytes: 10000}
	exact := "<a>" + strings.Repeat("x", lim.MaxBytes-7) + "</a>"
	for _, before := range []string{"", "<b/>", strings.Repeat("<b>c</b>", 1000)} {
		for _, d := range deliveries {
			r := NewReader(d.wrap(strings.NewReader(header+before+exact+foot)), lim)
			if _, err := readAll(r); err != ErrClosed {
				t.Errorf("%d bytes in a stream that comes %s, after %d others: %v", len(exact), d.name, len(before), err)
			}
			r = NewReader(d.wrap(strings.NewReader(header+before+"<a>x"+exact[3:]+foot)), lim)
			if _, err := readAll(r); condition(err) != PolicyViolation {
				t.Errorf("one byte more, %s, after %d others: %v", d.name, len(before), err)
			}
		}
	}
}

// Limits that change while bytes are buffered hold from the next stanza on.
func TestSetLimits(t *testing.T) {
	big := "<a>" + strings.Repeat("x", 900) + "</a>"
	r := NewReader(strings.NewReader(header+"<b/>"+big+big), DefaultLimits())
	for _, read := range []func() (Element, error){r.Open, r.Next, r.Next} {
		if _, err := read(); err != nil {
			t.Fatal(err)
		}
	}
	r.SetLimits(Limits{MaxBytes: 500})
	if _, err := r.Next(); condition(err) != PolicyViolation {
		t.Errorf("above the new limit: %v", err)
	}
}

// Keepalives (RFC 6120 §4.6.1) may go on for ever; white space in bulk may not.
func TestWhiteSpace(t *testing.T) {
	lim := PreAuthLimits()
	pr, pw := io.Pipe()
	send := func(s string) { _, _ = io.WriteString(pw, s) } // returns once the reader has taken it
	done := make(chan struct{})
	r := NewReader(pr, lim)
	go func() {
		defer close(done)
		defer func() { _ = pr.Close() }()
		if _, err := r.Open(); err != nil {
			t.Error(err)
			return
		}
		if e, err := r.Next(); err != nil || string(e.Local()) != "iq" {
			t.Errorf("after the keepalives: %v", err)
		}
	}()
	send(header)
	for range 2 * lim.MaxBytes {
		send(" ")
	}
	send("\r\n<iq/>")
	<-done

	src := &flood{prefix: header, unit: " \n"}
	_, err := readAll(NewReader(src, lim))
	if condition(err) != PolicyViolation || src.off > int64(len(header)+lim.MaxBytes+idleBuffer) {
		t.Errorf("a gigabyte of white space ended in %v after %d bytes", err, src.off)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A reader that waits holds a kilobyte of buffer and little more, whatever went through it before.
func TestIdleMemory(t *testing.T) {
	pr, pw := io.Pipe()
	send := func(s string) { _, _ = io.WriteString(pw, s) } // returns once the reader has taken it
	r := NewReader(pr, DefaultLimits())
	ended := make(chan error)
	go func() {
		_, err := readAll(r)
		_ = pr.Close()
		ended <- err
	}()
	send(header)
	send("<iq>" + strings.Repeat("<item xmlns='urn:a' b='&lt;' c=''>text &amp;</item>", 4000) + "</iq>")
	send(" ")
	_ = pw.Close()
	if err := <-ended; err != io.EOF {
		t.Fatal(err)
	}
	p := &r.p
	if cap(p.buf) > 1<<10 {
		t.Errorf("the buffer holds %d bytes", cap(p.buf))
	}
	total := cap(p.buf) + cap(p.doc.nodes)*64 + cap(p.doc.attrs)*32 + cap(p.doc.spaces)*8 + cap(p.doc.dec) + cap(p.bindings)*20 + cap(p.open)*12
	if total > 4<<10 {
		t.Errorf("the reader holds %d bytes", total)
	}
}

// Billion laughs and its kin are refused before anything is expanded: the reader's memory stays as it was.
func TestEntityBombsCostNothing(t *testing.T) {
	bomb := "<!DOCTYPE lolz [<!ENTITY lol 'lol'>"
	for i := range 10 {
		bomb += fmt.Sprintf("<!ENTITY lol%d '%s'>", i, strings.Repeat("&lol;", 10))
	}
	bomb += "]><lolz>&lol9;</lolz>"
	for _, in := range []string{bomb, header + bomb, header + "<message>" + bomb} {
		r := NewReader(strings.NewReader(in), PreAuthLimits())
		before := heap()
		_, err := readAll(r)
		if condition(err) != RestrictedXML {
			t.Errorf("ended in %v", err)
		}
		if after := heap(); after > before+64<<10 {
			t.Errorf("the heap grew by %d bytes", after-before)
		}
		runtime.KeepAlive(r)
	}
}

// Names and namespaces that nobody has heard of leave nothing behind: there is no table that could grow.
func TestUnknownNamespacesLeaveNothing(t *testing.T) {
	n := 0
	src := readerFunc(func(b []byte) (int, error) {
		n++
		return copy(b, fmt.Sprintf("<x%d xmlns='urn:example:%d' xmlns:p%d='urn:p:%d' p%d:a%d='b'/>", n, n, n, n, n, n)), nil
	})
	r := NewReader(io.MultiReader(strings.NewReader(header), src), DefaultLimits())
	if _, err := r.Open(); err != nil {
		t.Fatal(err)
	}
	read := func(count int) {
		for range count {
			if _, err := r.Next(); err != nil {
				t.Fatal(err)
			}
		}
	}
	read(1000)
	before := heap()
	read(100_000)
	if after := heap(); after > before+16<<10 {
		t.Errorf("100,000 unknown namespaces left %d bytes behind", after-before)
	}
	runtime.KeepAlive(r)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// Sources that misbehave as io.Reader allows don't keep the reader busy for ever.
func TestSourceWithoutProgress(t *testing.T) {
	_, err := NewReader(readerFunc(func([]byte) (int, error) { return 0, nil }), DefaultLimits()).Open()
	if err != io.ErrNoProgress {
		t.Errorf("%v; want %v", err, io.ErrNoProgress)
	}
}
