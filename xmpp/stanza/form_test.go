package stanza_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

func TestParseForm(t *testing.T) {
	limits := stanza.FormLimits{Fields: 3, Values: 2, Bytes: 20}
	field := func(name string, values ...string) string {
		s := "<field var='" + name + "'>"
		for _, v := range values {
			s += "<value>" + v + "</value>"
		}
		return s + "</field>"
	}
	for _, tt := range []struct {
		name, in string
		want     *stanza.Form // nil: refused
	}{
		{"empty", "", &stanza.Form{Type: "submit"}},
		{"values (XEP-0004 §3.3)", field("a", "1") + field("b", "x", "y") + field("c"), &stanza.Form{Type: "submit", Fields: []stanza.FormField{
			{Var: "a", Values: []string{"1"}}, {Var: "b", Values: []string{"x", "y"}}, {Var: "c"},
		}}},
		{"an empty value is one", field("a", ""), &stanza.Form{Type: "submit", Fields: []stanza.FormField{{Var: "a", Values: []string{""}}}}},
		{"the type of a field", "<field var='a' type='hidden'/>", &stanza.Form{Type: "submit", Fields: []stanza.FormField{{Var: "a", Type: "hidden"}}}},
		{"a field without a name", "<field type='fixed'><value>Hello</value></field>", &stanza.Form{Type: "submit"}},
		{"other elements", "<title>T</title><a xmlns='b' var='c'/><field xmlns='b' var='c'/><field var='a'><b/><value xmlns='b'>1</value></field>",
			&stanza.Form{Type: "submit", Fields: []stanza.FormField{{Var: "a"}}}},
		{"too many fields", field("a") + field("b") + field("c") + field("d"), nil},
		{"too many values", field("a", "1", "2", "3"), nil},
		{"too many bytes", field("a", "12345678901") + field("b", "1234567890"), nil},
		{"just as many", field("a", "1234567890") + field("b", "1234567890"), &stanza.Form{Type: "submit", Fields: []stanza.FormField{
			{Var: "a", Values: []string{"1234567890"}}, {Var: "b", Values: []string{"1234567890"}},
		}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, bad := stanza.ParseForm(element(t, "<x xmlns='jabber:x:data' type='submit'>"+tt.in+"</x>"), limits)
			if tt.want == nil {
				if bad == nil || bad.Condition != stanza.ConditionNotAcceptable {
					t.Errorf("%+v, %v", f, bad)
				}
				return
			}
			if bad != nil || !reflect.DeepEqual(f, tt.want) {
				t.Errorf("%+v, %v; want %+v", f, bad, tt.want)
			}
		})
	}
	if f, bad := stanza.ParseForm(xmlstream.Element{}, limits); bad != nil || f.Type != "" || f.Fields != nil {
		t.Errorf("no form: %+v, %v", f, bad)
	}
}

func TestFormFields(t *testing.T) {
	f := &stanza.Form{Fields: []stanza.FormField{{Var: "a", Values: []string{"1", "2"}}, {Var: "a", Values: []string{"3"}}, {Var: "b"}, {Var: "FORM_TYPE", Values: []string{"t"}}}}
	if v, ok := f.Get("a"); !ok || !reflect.DeepEqual(v, []string{"1", "2"}) || f.First("a") != "1" {
		t.Errorf("a is %v, %v, %q", v, ok, f.First("a"))
	}
	if !f.Has("b") || f.First("b") != "" || f.Has("c") || f.First("c") != "" || f.FormType() != "t" {
		t.Errorf("%+v is read wrongly", f)
	}
	for in, want := range map[string][2]bool{"1": {true, true}, "true": {true, true}, "0": {false, true}, "false": {false, true}, "": {}, "yes": {}, "TRUE": {}} {
		if v, ok := stanza.ParseBool(in); v != want[0] || ok != want[1] {
			t.Errorf("%q is %v, %v", in, v, ok)
		}
	}
}

func TestFormWriter(t *testing.T) {
	b := xmlstream.NewBuilder(nil).Open("urn:example", "query")
	w := stanza.OpenForm(b, stanza.FormToFill, "urn:example#form", "A & B", "Do <this>.")
	w.Field("one", "text-single", "One", "<1>")
	w.Choice("two", "list-single", "", [][2]string{{"A", "a"}, {"B", "b"}}, "a")
	w.Boolean("three", "Three", true)
	w.Boolean("four", "", false)
	w.OpenField("five", "", "")
	b.Open(stanza.NSDataForms, "required").Close().Close()
	w.Close()
	b.Open("urn:example", "after").Close()
	want := "<query xmlns='urn:example'><x xmlns='jabber:x:data' type='form'><title>A &amp; B</title><instructions>Do &lt;this&gt;.</instructions>" +
		"<field var='FORM_TYPE' type='hidden'><value>urn:example#form</value></field>" +
		"<field var='one' type='text-single' label='One'><value>&lt;1&gt;</value></field>" +
		"<field var='two' type='list-single'><value>a</value><option label='A'><value>a</value></option><option label='B'><value>b</value></option></field>" +
		"<field var='three' type='boolean' label='Three'><value>1</value></field><field var='four' type='boolean'><value>0</value></field>" +
		"<field var='five'><required/></field></x><after/></query>"
	if got := string(b.Bytes()); got != want {
		t.Errorf("wrote\n%s, want\n%s", got, want)
	}
	b = xmlstream.NewBuilder(nil)
	stanza.OpenForm(b, stanza.FormResult, "", "", "").Close()
	if got := string(b.Bytes()); got != "<x xmlns='jabber:x:data' type='result'/>" {
		t.Errorf("an empty form is %s", got)
	}
}

func TestParsePage(t *testing.T) {
	none := stanza.PageRequest{Max: -1, Index: -1}
	with := func(change func(*stanza.PageRequest)) *stanza.PageRequest { p := none; change(&p); return &p }
	for in, want := range map[string]*stanza.PageRequest{
		"":                                 &none,
		"<max>10</max>":                    with(func(p *stanza.PageRequest) { p.Max = 10 }),
		"<max> 0\n</max>":                  with(func(p *stanza.PageRequest) { p.Max = 0 }),
		"<max>2147483647</max>":            with(func(p *stanza.PageRequest) { p.Max = 1<<31 - 1 }),
		"<max>2147483648</max>":            nil,
		"<max>-1</max>":                    nil,
		"<max/>":                           nil,
		"<max>ten</max>":                   nil,
		"<max>1e3</max>":                   nil,
		"<max xmlns='other'>ten</max>":     &none,
		"<index>7</index>":                 with(func(p *stanza.PageRequest) { p.Index = 7 }),
		"<index>x</index>":                 nil,
		"<after>a&amp;b</after>":           with(func(p *stanza.PageRequest) { p.After = "a&b" }),
		"<after/>":                         &none,
		"<before/>":                        with(func(p *stanza.PageRequest) { p.Backwards = true }),
		"<before>c</before><max>3</max>":   with(func(p *stanza.PageRequest) { p.Before, p.Backwards, p.Max = "c", true, 3 }),
		"<first>a</first><count>x</count>": &none,
	} {
		p, bad := stanza.ParsePage(element(t, "<set xmlns='http://jabber.org/protocol/rsm'>"+in+"</set>"))
		switch {
		case want == nil && (bad == nil || bad.Condition != stanza.ConditionBadRequest):
			t.Errorf("%s: %+v, %v", in, p, bad)
		case want != nil && (bad != nil || p != *want):
			t.Errorf("%s: %+v, %v; want %+v", in, p, bad, *want)
		}
	}
	if p, bad := stanza.ParsePage(xmlstream.Element{}); p != none || bad != nil {
		t.Errorf("no set: %+v, %v", p, bad)
	}
}

func TestPage(t *testing.T) {
	for want, p := range map[string]stanza.Page{
		"<first index='0'>a&amp;</first><last>b</last><count>2</count>": {First: "a&", Last: "b", Count: 2},
		"<first>a</first><last>b</last>":                                {First: "a", Last: "b", Index: -1, Count: -1},
		"<count>0</count>":                                              {},
		"":                                                              {Count: -1},
	} {
		b := xmlstream.NewBuilder(nil)
		p.Append(b)
		got := strings.TrimSuffix(strings.TrimPrefix(string(b.Bytes()), "<set xmlns='http://jabber.org/protocol/rsm'>"), "</set>")
		if got == "<set xmlns='http://jabber.org/protocol/rsm'/>" {
			got = ""
		}
		if got != want {
			t.Errorf("%+v is %s, want %s", p, got, want)
		}
	}
}

func TestStamp(t *testing.T) {
	at := time.Date(2031, 4, 5, 6, 7, 8, 9_900_000, time.FixedZone("", 3600))
	if got := stanza.Stamp(at); got != "2031-04-05T05:07:08.009Z" {
		t.Errorf("%v is written %s", at, got)
	}
	for in, want := range map[string]time.Time{
		"2031-04-05T05:07:08.009Z":       time.Date(2031, 4, 5, 5, 7, 8, 9e6, time.UTC),
		" 2031-04-05T06:07:08+01:00\n":   time.Date(2031, 4, 5, 5, 7, 8, 0, time.UTC),
		"0000-12-31T00:00:00Z":           {},
		"0001-01-01T00:00:00+01:00":      {},
		"9999-12-31T23:59:59-01:00":      {},
		"9999-12-31T23:59:59.999999999Z": time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC),
		"2031-04-05T05:07:08":            {},
		"2031-04-05":                     {},
		"20310405T05:07:08":              {},
		"2031-02-30T05:07:08Z":           {},
		"":                               {},
	} {
		got, ok := stanza.ParseStamp([]byte(in))
		if ok != !want.IsZero() || ok && !got.Equal(want) {
			t.Errorf("%q is %v, %v", in, got, ok)
		}
	}
}

func TestDelayAndForward(t *testing.T) {
	at := time.Date(2010, 7, 10, 23, 8, 25, 0, time.UTC)
	delay := stanza.Delay{From: jid.MustParse("coven@chat.shakespeare.lit"), Stamp: at}
	for _, tt := range []struct {
		f    stanza.Forwarded
		want string
	}{
		{stanza.Forwarded{XML: []byte("<message/>")}, "<message xmlns='jabber:client'/>"},
		{stanza.Forwarded{XML: []byte("<message><body>a</body><x xmlns='y'/></message>"), Delay: stanza.Delay{Stamp: at}},
			"<delay xmlns='urn:xmpp:delay' stamp='2010-07-10T23:08:25.000Z'/><message xmlns='jabber:client'><body>a</body><x xmlns='y'/></message>"},
		{stanza.Forwarded{XML: []byte("<message id='a&lt;b' type='chat'>  </message>"), Delay: delay},
			"<delay xmlns='urn:xmpp:delay' from='coven@chat.shakespeare.lit' stamp='2010-07-10T23:08:25.000Z'/>" +
				"<message xmlns='jabber:client' id='a&lt;b' type='chat'>  </message>"},
	} {
		b := xmlstream.NewBuilder(nil).Open("urn:xmpp:mam:2", "result")
		tt.f.Append(b)
		got := string(b.Bytes())
		if want := "<result xmlns='urn:xmpp:mam:2'><forwarded xmlns='urn:xmpp:forward:0'>" + tt.want + "</forwarded></result>"; got != want {
			t.Errorf("wrote\n%s, want\n%s", got, want)
		}
		d, inner, ok := stanza.ParseForwarded(element(t, got).FirstChild())
		if !ok || d.From != tt.f.Delay.From || !d.Stamp.Equal(tt.f.Delay.Stamp) || string(rewritten(inner)) != string(tt.f.XML) {
			t.Errorf("%s is read as %+v, %s, %v", got, d, rewritten(inner), ok)
		}
	}
	for _, in := range []string{
		"<forwarded xmlns='urn:xmpp:forward:0'/>", "<forwarded xmlns='urn:xmpp:forward:1'><message xmlns='jabber:client'/></forwarded>",
		"<forwarded xmlns='urn:xmpp:forward:0'><message/></forwarded>",
		"<forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay'/><message xmlns='jabber:client'/></forwarded>",
		"<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'/><message xmlns='jabber:client'/></forwarded>",
	} {
		if _, _, ok := stanza.ParseForwarded(element(t, in)); ok {
			t.Errorf("%s is read", in)
		}
	}
	for in, ok := range map[string]bool{
		"<delay xmlns='urn:xmpp:delay' stamp='2010-07-10T23:08:25Z'/>": true, "<delay xmlns='urn:xmpp:delay' from='@' stamp='2010-07-10T23:08:25Z'/>": false,
		"<delay xmlns='urn:xmpp:delay'/>": false, "<delay stamp='2010-07-10T23:08:25Z'/>": false,
	} {
		if _, got := stanza.ParseDelay(element(t, in)); got != ok {
			t.Errorf("%s: %v", in, got)
		}
	}
}

// rewritten is a stanza as the server writes it, whatever is wrong with it.
func rewritten(e xmlstream.Element) []byte {
	s, _ := stanza.Parse(e, nil)
	return s.Append(nil)
}

// What these parsers are given comes from anybody: they neither fail nor hold more than they may, and what they read, they write so that it is read
// the same.
func FuzzForms(f *testing.F) {
	for _, s := range []string{
		"<field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field><field var='ids'><value>a</value><value/></field>",
		"<max>10</max><after>x</after><before/><index>3</index>",
		"<delay xmlns='urn:xmpp:delay' from='a@b' stamp='2010-07-10T23:08:25Z'/><message xmlns='jabber:client'><body>a</body></message>",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		for _, open := range []string{"x xmlns='jabber:x:data' type='submit'", "set xmlns='http://jabber.org/protocol/rsm'", "forwarded xmlns='urn:xmpp:forward:0'"} {
			name, _, _ := strings.Cut(open, " ")
			e, err := xmlstream.Parse(fmt.Appendf(nil, "<%s>%s</%s>", open, in, name), xmlstream.DefaultLimits())
			if err != nil {
				return
			}
			if page, bad := stanza.ParsePage(e); bad == nil && (page.Max < -1 || page.Index < -1 || page.Before != "" && !page.Backwards) {
				t.Errorf("the page %+v", page)
			}
			if delay, inner, ok := stanza.ParseForwarded(e); ok {
				b := xmlstream.NewBuilder(nil)
				stanza.Forwarded{Delay: delay, XML: rewritten(inner)}.Append(b)
				again, err := xmlstream.Parse(b.Bytes(), xmlstream.DefaultLimits())
				if err != nil {
					t.Fatalf("%s: %v", b.Bytes(), err)
				}
				if d, i, ok := stanza.ParseForwarded(again); !ok || d.From != delay.From || string(rewritten(i)) != string(rewritten(inner)) {
					t.Errorf("%s is read as %+v, %s, %v", b.Bytes(), d, rewritten(i), ok)
				}
			}
			form, bad := stanza.ParseForm(e, stanza.DefaultFormLimits())
			if bad != nil {
				continue
			}
			b := xmlstream.NewBuilder(nil)
			w := stanza.OpenForm(b, form.Type, "", "", "")
			for _, field := range form.Fields {
				w.Field(field.Var, field.Type, "", field.Values...)
			}
			w.Close()
			again, err := xmlstream.Parse(b.Bytes(), xmlstream.DefaultLimits())
			if err != nil {
				t.Fatalf("%s: %v", b.Bytes(), err)
			}
			if read, bad := stanza.ParseForm(again, stanza.DefaultFormLimits()); bad != nil || !reflect.DeepEqual(read, form) {
				t.Errorf("%s is read as %+v, %v; want %+v", b.Bytes(), read, bad, form)
			}
		}
	})
}
