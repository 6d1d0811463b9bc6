package archive_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/archive"
	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// memory is a store of one archive, in the simplest way that can be right.
type memory struct {
	list []archive.Message
	fail error
	most int // the greatest number of messages that was asked for
}

func (m *memory) pick(q archive.Query) (list []archive.Message) {
	for _, one := range m.list {
		if q.Owner == 7 && one.ID > q.After && (q.Before == 0 || one.ID < q.Before) && (q.Peer == nil || *q.Peer == one.Peer) && (q.Account == nil || *q.Account == one.Account) {
			list = append(list, one)
		}
	}
	return list
}

func (m *memory) Messages(_ context.Context, q archive.Query) ([]archive.Message, error) {
	list := m.pick(q)
	m.most = max(m.most, q.Most)
	if q.Last {
		slices.Reverse(list)
	}
	list = list[min(q.Skip, len(list)):]
	list = list[:min(q.Most, len(list))]
	size := 0
	for i := range list {
		if size += len(list[i].XML); size > q.MostBytes && i > 0 {
			list = list[:i]
			break
		}
	}
	if q.Last {
		slices.Reverse(list)
	}
	return list, m.fail
}

func (m *memory) CountMessages(_ context.Context, q archive.Query) (int, error) {
	return min(len(m.pick(q)), q.Most), m.fail
}

func (m *memory) Message(_ context.Context, owner, id int64) (archive.Message, bool, error) {
	for _, one := range m.list {
		if owner == 7 && one.ID == id {
			return one, true, m.fail
		}
	}
	return archive.Message{}, false, m.fail
}

var (
	coven = jid.MustParse("coven@chat.shakespeare.lit")
	hag66 = jid.MustParse("hag66@shakespeare.lit/pda")
	begun = time.Date(2030, 7, 10, 23, 8, 25, 0, time.UTC)
)

// minute is the id of the message of a minute.
func minute(n int) string {
	return string(core.AppendID(nil, core.FirstID(begun.Add(time.Duration(n)*time.Minute))))
}

// world is an archive with a message a minute: of the first witch and the second in turn, and of the room itself every tenth.
type world struct {
	t       *testing.T
	store   *memory
	archive archive.Archive
}

func newWorld(t *testing.T, messages int) *world {
	w := &world{t: t, store: &memory{}}
	for i := range messages {
		m := archive.Message{Time: begun.Add(time.Duration(i) * time.Minute), Peer: []string{"firstwitch", "secondwitch"}[i%2], Account: fmt.Sprintf("witch%d@shakespeare.lit", i%2)}
		if i%10 == 9 {
			m.Peer, m.Account = "", ""
		}
		m.ID = core.FirstID(m.Time)
		m.XML = fmt.Appendf(nil, "<message from='%s/%s' type='groupchat'><body>%d</body></message>", coven, m.Peer, i)
		w.store.list = append(w.store.list, m)
	}
	w.archive = archive.Archive{
		Store: w.store, Log: slog.New(slog.DiscardHandler), Owner: 7, JID: coven, Most: 20, MostBytes: 1 << 20,
		With: func(j jid.JID) (archive.Filter, *stanza.Error) {
			resource, account := j.Resource(), j.String()
			switch {
			case j == coven:
				return archive.Filter{}, nil
			case j.Bare() == coven:
				return archive.Filter{Peer: &resource}, nil
			case j.Local() == "witch1":
				return archive.Filter{Account: &account}, nil
			case j.Local() == "witch0":
				return archive.Filter{}, stanza.NewError(stanza.ConditionForbidden, "")
			}
			return archive.Filter{None: true}, nil
		},
		Show: func(m *archive.Message) []byte { return m.XML },
	}
	return w
}

// ask gives the answer, and what was sent before.
func (w *world) ask(xml string) (results []string, reply string) {
	w.t.Helper()
	e, err := xmlstream.Parse([]byte(xml), xmlstream.DefaultLimits())
	if err != nil {
		w.t.Fatal(err)
	}
	st, bad := stanza.Parse(e, nil)
	if bad != nil {
		w.t.Fatal(bad)
	}
	st.From, st.To = hag66, coven
	answer := w.archive.Answer(w.t.Context(), &st, func(s *stanza.Stanza) bool {
		results = append(results, string(s.Append(nil)))
		return true
	})
	return results, string(answer.Append(nil))
}

// fields makes a form: name, value, name, value.
func fields(list ...string) string {
	s := "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field>"
	for i := 0; i < len(list); i += 2 {
		s += "<field var='" + list[i] + "'>"
		for v := range strings.SplitSeq(list[i+1], " ") {
			s += "<value>" + v + "</value>"
		}
		s += "</field>"
	}
	return s + "</x>"
}

func set(inner string) string {
	return "<set xmlns='http://jabber.org/protocol/rsm'>" + inner + "</set>"
}

// query asks, and shows the answer as the numbers of the messages and what came with them: "0 1 2 complete first=0 count=3", or the error's condition.
func (w *world) query(inner string) string {
	w.t.Helper()
	results, reply := w.ask("<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2' queryid='f27'>" + inner + "</query></iq>")
	e, err := xmlstream.Parse([]byte(reply), xmlstream.DefaultLimits())
	if err != nil {
		w.t.Fatal(err)
	}
	st, bad := stanza.Parse(e, nil)
	if bad != nil {
		w.t.Fatal(bad)
	}
	if failure := stanza.ParseError(&st); failure != nil {
		if len(results) > 0 {
			w.t.Errorf("%s came with results", reply)
		}
		return string(failure.Condition)
	}
	var words, ids []string
	for _, r := range results {
		e, err := xmlstream.Parse([]byte(r), xmlstream.DefaultLimits())
		if err != nil {
			w.t.Fatal(err)
		}
		result := e.Child(archive.NS, "result")
		_, m, ok := stanza.ParseForwarded(result.FirstChild())
		if !ok || string(result.Attr("queryid")) != "f27" {
			w.t.Fatalf("a result is %s", r)
		}
		words = append(words, string(m.Child(stanza.NSClient, "body").Text()))
		ids = append(ids, string(result.Attr("id")))
	}
	fin := st.FirstChild()
	if string(fin.Attr("complete")) == "true" {
		words = append(words, "complete")
	}
	page := fin.Child(stanza.NSRSM, "set")
	if first := page.Child(stanza.NSRSM, "first"); first.Valid() {
		words = append(words, "first="+string(first.Attr("index")))
		slices.Sort(ids)
		if string(first.Text()) != ids[0] || string(page.Child(stanza.NSRSM, "last").Text()) != ids[len(ids)-1] {
			w.t.Errorf("%s does not fit %v", reply, ids)
		}
	}
	return strings.Join(append(words, "count="+string(page.Child(stanza.NSRSM, "count").Text())), " ")
}

func TestQueries(t *testing.T) {
	w := newWorld(t, 50)
	at := func(n int) string { return stanza.Stamp(begun.Add(time.Duration(n) * time.Minute)) }
	numbers := func(from, to int) string {
		s := ""
		for i := from; i <= to; i++ {
			s += fmt.Sprint(i, " ")
		}
		return s
	}
	for _, tt := range []struct{ name, in, want string }{
		// XEP-0313 §4.3: pages.
		{"all: the first page", "", numbers(0, 19) + "first=0 count=50"},
		{"max", set("<max>3</max>"), "0 1 2 first=0 count=50"},
		{"more than a page", set("<max>1000</max>"), numbers(0, 19) + "first=0 count=50"},
		{"the number only", set("<max>0</max>"), "count=50"},
		{"after", set("<max>3</max><after>" + minute(2) + "</after>"), "3 4 5 first=3 count=50"},
		{"after, to the end", set("<max>3</max><after>" + minute(46) + "</after>"), "47 48 49 complete first=47 count=50"},
		{"after the last", set("<after>" + minute(49) + "</after>"), "complete count=50"},
		{"after what isn't there", set("<after>" + minute(50) + "</after>"), "item-not-found"},
		{"after what is no id", set("<after>28482-98726-73623</after>"), "item-not-found"},
		{"the last page", set("<max>3</max><before/>"), "47 48 49 first=47 count=50"},
		{"before", set("<max>3</max><before>" + minute(3) + "</before>"), "0 1 2 complete first=0 count=50"},
		{"before, with more", set("<max>2</max><before>" + minute(3) + "</before>"), "1 2 first=1 count=50"},
		{"before the first", set("<before>" + minute(0) + "</before>"), "complete count=50"},
		{"before what isn't there", set("<before>x' OR 1=1 --</before>"), "item-not-found"},
		{"by index (XEP-0059 §2.6)", set("<max>2</max><index>10</index>"), "10 11 first=10 count=50"},
		{"by an index that isn't there", set("<max>2</max><index>50</index>"), "complete count=50"},
		{"by an index far away", set("<max>2</max><index>2147483647</index>"), "feature-not-implemented"},
		{"max that is no number", set("<max>many</max>"), "bad-request"},
		{"max that overflows", set("<max>18446744073709551617</max>"), "bad-request"},
		{"max below 0", set("<max>-1</max>"), "bad-request"},
		{"flipped", set("<max>3</max><after>"+minute(2)+"</after>") + "<flip-page/>", "5 4 3 first=3 count=50"},
		{"flipped from the end", set("<max>3</max><before/>") + "<flip-page/>", "49 48 47 first=47 count=50"},

		// §4.1: filters.
		{"a form without filters", fields() + set("<max>1</max>"), "0 first=0 count=50"},
		{"start", fields("start", at(48)), "48 49 complete first=0 count=2"},
		{"end", fields("end", at(1)), "0 1 complete first=0 count=2"},
		{"start and end", fields("start", at(3), "end", at(5)), "3 4 5 complete first=0 count=3"},
		{"end before start", fields("start", at(5), "end", at(3)), "complete count=0"},
		{"end before everything", fields("end", "1999-01-01T00:00:00Z"), "complete count=0"},
		{"start after everything", fields("start", "9999-01-01T00:00:00Z"), "complete count=0"},
		{"start that is no time", fields("start", "yesterday"), "bad-request"},
		{"an empty start", fields("start", "", "end", at(0)), "0 complete first=0 count=1"},
		{"with an occupant", fields("with", coven.String()+"/firstwitch") + set("<max>3</max>"), "0 2 4 first=0 count=25"},
		{"with an occupant, from the end", fields("with", coven.String()+"/firstwitch") + set("<max>3</max><before/>"), "44 46 48 first=22 count=25"},
		{"with an occupant, after somebody else", fields("with", coven.String()+"/firstwitch") + set("<max>2</max><after>"+minute(9)+"</after>"), "10 12 first=5 count=25"},
		{"with an account", fields("with", "witch1@shakespeare.lit") + set("<max>3</max>"), "1 3 5 first=0 count=20"},
		{"with an account that is not to be seen", fields("with", "witch0@shakespeare.lit"), "forbidden"},
		{"with the room", fields("with", coven.String()) + set("<max>1</max>"), "0 first=0 count=50"},
		{"with a stranger", fields("with", "somebody@else.lit"), "complete count=0"},
		{"with no address", fields("with", "@"), "jid-malformed"},
		{"after-id", fields("after-id", minute(47)), "48 49 complete first=0 count=2"},
		{"before-id", fields("before-id", minute(2)), "0 1 complete first=0 count=2"},
		{"both", fields("after-id", minute(2), "before-id", minute(5)), "3 4 complete first=0 count=2"},
		{"before-id does not page backwards", fields("before-id", minute(5)) + set("<max>2</max>"), "0 1 first=0 count=5"},
		{"a range from its end", fields("after-id", minute(2), "before-id", minute(8)) + set("<max>2</max><before/>"), "6 7 first=3 count=5"},
		{"after-id that isn't there", fields("after-id", minute(77)), "item-not-found"},
		{"before-id that isn't there", fields("before-id", "0"), "item-not-found"},
		{"two after-ids", fields("after-id", minute(1)+" "+minute(2)), "bad-request"},
		{"ids", fields("ids", minute(7)+" "+minute(3)+" "+minute(7)), "3 7 complete first=0 count=2"},
		{"ids of which one isn't there", fields("ids", minute(3)+" "+minute(70)), "item-not-found"},
		{"ids within a page", fields("ids", minute(7)+" "+minute(3)+" "+minute(9)) + set("<max>1</max><after>"+minute(3)+"</after>"), "7 first=1 count=3"},
		{"ids from their end", fields("ids", minute(7)+" "+minute(3)+" "+minute(9)) + set("<max>2</max><before/>"), "7 9 first=1 count=3"},
		{"the number of ids", fields("ids", minute(7)+" "+minute(3)) + set("<max>0</max>"), "count=2"},
		{"ids and a time", fields("ids", minute(7)+" "+minute(3), "start", at(5)), "7 complete first=0 count=1"},
		{"ids and a stranger", fields("ids", minute(7), "with", "somebody@else.lit"), "complete count=0"},
		{"more ids than a page", fields("ids", strings.Repeat(minute(1)+" ", 20)+minute(1)), "not-acceptable"},
		{"a field that nobody knows (§4.1.5)", fields("{http://example.com/}free-text-search", "Juliet"), "feature-not-implemented"},
		{"include-groupchat", fields("include-groupchat", "true"), "feature-not-implemented"},
		{"a form of another type", "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>other</value></field></x>", "bad-request"},
		{"a form that is not submitted", "<x xmlns='jabber:x:data' type='cancel'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field></x>", "bad-request"},
		{"a form without a type", "<x xmlns='jabber:x:data' type='submit'/>", "bad-request"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.t = t
			if got := w.query(tt.in); got != tt.want {
				t.Errorf("%s\ngives %s\n want %s", tt.in, got, tt.want)
			}
		})
	}
	if w.store.most > 20 {
		t.Errorf("the store was asked for %d messages at once", w.store.most)
	}
}

// Whatever the size of its pages, who goes through an archive sees every message once, and learns where it ends.
func TestPagesAreSeamless(t *testing.T) {
	for _, messages := range []int{0, 1, 19, 20, 21, 47} {
		w := newWorld(t, messages)
		for _, most := range []int{1, 2, 7, 20, 100} {
			for _, backwards := range []bool{false, true} {
				var seen []string
				edge := ""
				for round := 0; ; round++ {
					in := fmt.Sprintf("<max>%d</max>", most)
					switch {
					case backwards && edge == "":
						in += "<before/>"
					case backwards:
						in += "<before>" + edge + "</before>"
					case edge != "":
						in += "<after>" + edge + "</after>"
					}
					words := strings.Fields(w.query(set(in)))
					i := slices.IndexFunc(words, func(s string) bool { return s[0] < '0' || s[0] > '9' })
					page := words[:i]
					if backwards {
						seen = append(slices.Clone(page), seen...)
					} else {
						seen = append(seen, page...)
					}
					if words[i] == "complete" {
						break
					}
					if len(page) == 0 || round > messages {
						t.Fatalf("%d messages by %d: there is no end of it", messages, most)
					}
					var n int
					if backwards {
						fmt.Sscan(page[0], &n)
					} else {
						fmt.Sscan(page[len(page)-1], &n)
					}
					edge = minute(n)
				}
				for i := range messages {
					if i >= len(seen) || seen[i] != fmt.Sprint(i) || len(seen) != messages {
						t.Fatalf("%d messages by %d, backwards %v: %v", messages, most, backwards, seen)
					}
				}
			}
		}
	}
}

func TestPagesAreBoundedInBytes(t *testing.T) {
	w := newWorld(t, 5)
	w.archive.MostBytes = 2*len(w.store.list[0].XML) + 3
	if got := w.query(""); got != "0 1 first=0 count=5" {
		t.Error(got)
	}
	if got := w.query(set("<before/>")); got != "3 4 first=3 count=5" {
		t.Error(got)
	}
	if got := w.query(fields("ids", minute(0)+" "+minute(2)+" "+minute(4))); got != "0 2 first=0 count=3" {
		t.Error(got)
	}
	if got := w.query(fields("ids", minute(0)+" "+minute(2)+" "+minute(4)) + set("<before/>")); got != "2 4 first=1 count=3" {
		t.Error(got)
	}
	w.archive.MostBytes = 1
	if got := w.query(set("<after>" + minute(3) + "</after>")); got != "4 complete first=4 count=5" {
		t.Error(got)
	}
	if _, reply := w.ask("<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2' queryid='" + strings.Repeat("x", 257) + "'/></iq>"); !strings.Contains(reply, "policy-violation") {
		t.Errorf("a long queryid is repeated: %s", reply)
	}
}

// What has run out is gone, whether or not it is deleted.
func TestWhatHasRunOut(t *testing.T) {
	w := newWorld(t, 10)
	w.archive.Oldest = w.store.list[4].ID
	for in, want := range map[string]string{
		"":                                      "4 5 6 7 8 9 complete first=0 count=6",
		set("<max>0</max>"):                     "count=6",
		set("<max>9</max><before/>"):            "4 5 6 7 8 9 complete first=0 count=6",
		set("<after>" + minute(3) + "</after>"): "item-not-found",
		set("<before>" + minute(4) + "</before>"): "complete count=6",
		fields("ids", minute(3)):                  "item-not-found",
		fields("after-id", minute(2)):             "item-not-found",
		fields("start", "1999-01-01T00:00:00Z"):   "4 5 6 7 8 9 complete first=0 count=6",
	} {
		if got := w.query(in); got != want {
			t.Errorf("%s\ngives %s\n want %s", in, got, want)
		}
	}
	if _, reply := w.ask("<iq type='get' id='m'><metadata xmlns='urn:xmpp:mam:2'/></iq>"); !strings.Contains(reply, "<start id='"+minute(4)+"' ") {
		t.Error(reply)
	}
}

// Stanzas as XEP-0313 has them.
func TestStanzas(t *testing.T) {
	w := newWorld(t, 2)
	results, reply := w.ask("<iq type='set' id='juliet1'><query xmlns='urn:xmpp:mam:2' queryid='f&amp;27'/></iq>")
	want := []string{
		"<message from='coven@chat.shakespeare.lit' to='hag66@shakespeare.lit/pda'><result xmlns='urn:xmpp:mam:2' queryid='f&amp;27' id='" + minute(0) + "'>" +
			"<forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2030-07-10T23:08:25.000Z'/>" +
			"<message xmlns='jabber:client' from='coven@chat.shakespeare.lit/firstwitch' type='groupchat'><body>0</body></message></forwarded></result></message>",
		"<message from='coven@chat.shakespeare.lit' to='hag66@shakespeare.lit/pda'><result xmlns='urn:xmpp:mam:2' queryid='f&amp;27' id='" + minute(1) + "'>" +
			"<forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2030-07-10T23:09:25.000Z'/>" +
			"<message xmlns='jabber:client' from='coven@chat.shakespeare.lit/secondwitch' type='groupchat'><body>1</body></message></forwarded></result></message>",
	}
	if !slices.Equal(results, want) {
		t.Errorf("the results are\n%s\nwant\n%s", strings.Join(results, "\n"), strings.Join(want, "\n"))
	}
	if want := "<iq from='coven@chat.shakespeare.lit' to='hag66@shakespeare.lit/pda' id='juliet1' type='result'><fin xmlns='urn:xmpp:mam:2' complete='true'>" +
		"<set xmlns='http://jabber.org/protocol/rsm'><first index='0'>" + minute(0) + "</first><last>" + minute(1) + "</last><count>2</count></set></fin></iq>"; reply != want {
		t.Errorf("the reply is\n%s\nwant\n%s", reply, want)
	}
	if results, _ := w.ask("<iq type='set' id='juliet1'><query xmlns='urn:xmpp:mam:2'/></iq>"); strings.Contains(results[0], "queryid") {
		t.Errorf("without a queryid: %s", results[0])
	}
	for in, want := range map[string]string{
		"<iq type='get' id='m'><metadata xmlns='urn:xmpp:mam:2'/></iq>": "<metadata xmlns='urn:xmpp:mam:2'><start id='" + minute(0) + "' timestamp='2030-07-10T23:08:25.000Z'/>" +
			"<end id='" + minute(1) + "' timestamp='2030-07-10T23:09:25.000Z'/></metadata>",
		"<iq type='get' id='f'><query xmlns='urn:xmpp:mam:2'/></iq>": "<query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='form'>" +
			"<field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field><field var='with' type='jid-single'/><field var='start' type='text-single'/>" +
			"<field var='end' type='text-single'/><field var='before-id' type='text-single'/><field var='after-id' type='text-single'/><field var='ids' type='list-multi'>" +
			"<validate xmlns='http://jabber.org/protocol/xdata-validate' datatype='xs:string'><open/></validate></field></x></query>",
	} {
		if _, reply := w.ask(in); !strings.Contains(reply, ">"+want+"</iq>") {
			t.Errorf("%s\nanswers %s\nwant %s", in, reply, want)
		}
	}
	for in, want := range map[string]string{
		"<iq type='set' id='m'><metadata xmlns='urn:xmpp:mam:2'/></iq>":       "feature-not-implemented",
		"<iq type='set' id='m'><query xmlns='urn:xmpp:mam:2' node='n'/></iq>": "feature-not-implemented",
	} {
		if _, reply := w.ask(in); !strings.Contains(reply, want) {
			t.Errorf("%s answers %s", in, reply)
		}
	}
	empty := newWorld(t, 0)
	if _, reply := empty.ask("<iq type='get' id='m'><metadata xmlns='urn:xmpp:mam:2'/></iq>"); !strings.Contains(reply, "><metadata xmlns='urn:xmpp:mam:2'/></iq>") {
		t.Errorf("an empty archive says %s", reply)
	}
	if got := empty.query(""); got != "complete count=0" {
		t.Errorf("an empty archive gives %s", got)
	}
}

func TestStoreFails(t *testing.T) {
	w := newWorld(t, 3)
	w.store.fail = errors.New("the disk is on fire")
	for _, in := range []string{"", set("<max>0</max>"), set("<after>" + minute(1) + "</after>"), fields("ids", minute(1))} {
		if got := w.query(in); got != "resource-constraint" {
			t.Errorf("%s gives %s", in, got)
		}
	}
	if _, reply := w.ask("<iq type='get' id='m'><metadata xmlns='urn:xmpp:mam:2'/></iq>"); !strings.Contains(reply, "resource-constraint") || strings.Contains(reply, "fire") {
		t.Error(reply)
	}
}

// No query makes this package fail, ask for too much, or answer anything but well-formed XML.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{
		"", set("<max>3</max><before/>"), set("<max>3</max><after>" + minute(2) + "</after><index>4</index>"), "<flip-page/>",
		fields("with", coven.String()+"/firstwitch", "start", "2030-07-10T23:08:25Z", "end", "2030-07-10T23:18:25Z"), fields("ids", minute(1)+" "+minute(2)),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		if _, err := xmlstream.Parse([]byte("<query xmlns='urn:xmpp:mam:2'>"+in+"</query>"), xmlstream.DefaultLimits()); err != nil {
			return
		}
		w := newWorld(t, 30)
		w.query(in)
		if w.store.most > 20 {
			t.Errorf("the store was asked for %d messages at once", w.store.most)
		}
	})
}
