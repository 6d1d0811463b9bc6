package jid

import (
	"strings"
	"testing"
	"unicode/utf8"

	mellium "mellium.im/xmpp/jid"
)

// FuzzJID holds every accepted address to RFC 7622, and to another implementation where that takes it as well.
func FuzzJID(f *testing.F) {
	for _, s := range []string{
		"juliet@example.com/balcony", "ΣΑΣ@ΣΑΣ.example/ΣΑΣ", "[::1]", "a@192.0.2.1", "xn--bcher-kva.example", "e\u0301@e\u0301.e/e\u0301",
		"ｊ@ｊ.ｊ/ｊ", "a@b/\u3000", "\u05d0@\u05d0.b", "a..b", "a@b.", "İ@İ.i", "\u1e9e@\u1e9e.de",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		j, err := Parse(in)
		if err != nil {
			if !j.IsZero() || !IsMalformed(err) {
				t.Fatalf("%q gave %q and %v", in, j, err)
			}
			return
		}
		checkJID(t, j)
		if !utf8.ValidString(j.String()) {
			t.Errorf("%q became %q, which isn't valid UTF-8", in, j)
		}
		if strings.ContainsAny(j.Local(), `"&'/:<>@ `) || strings.ContainsAny(j.Domain(), `"&'/<>@ `) {
			t.Errorf("%q became %q with characters that aren't allowed", in, j)
		}
		var c Cache
		for range 2 {
			if k, err := c.Parse([]byte(in)); err != nil || k != j {
				t.Errorf("with a cache %q is %q, %v", in, k, err)
			}
		}
		m, err := mellium.Parse(in)
		if err != nil {
			return
		}
		if m.Localpart() != j.Local() || m.Resourcepart() != j.Resource() {
			t.Errorf("%q is %q; mellium has %q", in, j, m)
		}
		// That one keeps A-labels and IP addresses as they were spelt.
		if !strings.Contains(strings.ToLower(in), "xn--") && !strings.HasPrefix(j.Domain(), "[") && m.Domainpart() != j.Domain() {
			t.Errorf("the domain of %q is %q; mellium has %q", in, j.Domain(), m.Domainpart())
		}
	})
}

// FuzzEscape holds escaping to XEP-0106 §5.1: what comes out can be a localpart wherever escaping is all that was missing,
// and reads back as what went in.
func FuzzEscape(f *testing.F) {
	f.Add(`c:\5commas`)
	f.Add(" a ")
	f.Add(`\20`)
	f.Fuzz(func(t *testing.T, in string) {
		e := EscapeLocal(in)
		if strings.ContainsAny(e, escaped) {
			t.Errorf("%q is escaped as %q", in, e)
		}
		if strings.HasPrefix(e, `\20`) || strings.HasSuffix(e, `\20`) {
			t.Errorf("%q is escaped as %q, with \\20 at an end", in, e)
		}
		if got, want := UnescapeLocal(e), strings.Trim(in, " "); got != want {
			t.Errorf("%q comes back as %q by way of %q", in, got, e)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for _, s := range []string{"juliet@example.com/balcony", "Juliet@example.com", "жульета@пример.example/балкон"} {
		b.Run(s, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("cached", func(b *testing.B) {
		var c Cache
		in := []byte("жульета@пример.example/балкон")
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Parse(in); err != nil {
				b.Fatal(err)
			}
		}
	})
}
