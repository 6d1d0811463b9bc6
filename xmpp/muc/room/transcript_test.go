package room

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// Transcripts are conversations with a room: testdata/*.txt, one file a use case. A line is one of
//
//	# a comment, that names the section
//	config moderated=true password=cauldronburn   how the room is (at the beginning), or is from now on
//	affiliation crone1 owner                       who has which affiliation, likewise
//	locked                                         a client has just made the room
//	user hag66 hag66@shakespeare.lit/pda           a short name for a session
//	hag66 > <presence .../>                        what a session sends; "hag66! >" sends as an administrator of the service
//	gone hag66, shutdown, destroy WHY, kick NICK WHY, say TEXT, subject TEXT, refuse CONDITION
//	< hag66 <presence .../>                        what a session then gets, in its order
//	= what else comes out
//
// Where a name of a namespace stands in braces, as in xmlns='{user}', the namespace is meant. Texts of errors are left
// out, and occupant ids, which are checked for every stanza. XML is compared by what it means.
//
// go test -run Transcripts -update writes what comes out into the files, for a person to review as a diff. It is refused
// where the environment variable CI is set, as .ci/run does.
var update = flag.Bool("update", false, "write what comes out of the room into the transcripts")

var spaces = [][2]string{
	{nsUser, "{user}"}, {nsAdmin, "{admin}"}, {nsOwner, "{owner}"}, {formConfig, "{config}"}, {formInfo, "{info}"}, {formRegister, "{register-form}"},
	{formRequest, "{request}"}, {stanza.NSStanzas, "{stanzas}"}, {stanza.NSDiscoInfo, "{disco-info}"}, {stanza.NSDiscoItems, "{disco-items}"},
	{stanza.NSDataForms, "{data}"}, {stanza.NSDelay, "{delay}"}, {stanza.NSStanzaID, "{sid}"}, {nsRegister, "{register}"}, {nsMUC, "{muc}"},
}

func short(s string) string {
	for _, p := range spaces {
		s = strings.ReplaceAll(s, "'"+p[0]+"'", "'"+p[1]+"'")
	}
	return s
}

func long(s string) string {
	for _, p := range spaces {
		s = strings.ReplaceAll(s, p[1], p[0])
	}
	return s
}

// canonical writes an element so that elements that mean the same are equal: attributes sorted, without white space
// between elements, texts of errors and occupant ids.
func canonical(e xmlstream.Element) string {
	b := &strings.Builder{}
	writeCanonical(b, e, stanza.NSClient)
	return short(b.String())
}

func writeCanonical(b *strings.Builder, e xmlstream.Element, around string) {
	attrs := []string{}
	for a := range e.Attrs() {
		name := string(a.Local)
		if string(a.Space) == xmlstream.NSXML {
			name = "xml:" + name
		}
		attrs = append(attrs, " "+name+"='"+string(xmlstream.AppendEscapedAttr(nil, a.Value))+"'")
	}
	slices.Sort(attrs)
	b.WriteString("<" + string(e.Local()))
	if s := string(e.Space()); s != around {
		b.WriteString(" xmlns='" + s + "'")
	}
	b.WriteString(strings.Join(attrs, ""))
	inner := &strings.Builder{}
	if text := string(e.Text()); strings.TrimSpace(text) != "" {
		inner.Write(xmlstream.AppendEscapedText(nil, []byte(strings.TrimSpace(text))))
	}
	for c := range e.Children() {
		if c.Is(stanza.NSStanzas, "text") || c.Is(nsOccupantID, "occupant-id") {
			continue
		}
		writeCanonical(inner, c, string(e.Space()))
	}
	if inner.Len() == 0 {
		b.WriteString("/>")
		return
	}
	b.WriteString(">" + inner.String() + "</" + string(e.Local()) + ">")
}

type transcript struct {
	t     *testing.T
	w     *world
	cfg   Config
	opts  Options
	users map[string]string
	names map[string]string
	side  int
	ids   map[string]string // of requests that pass: what the transcript has → what was sent
}

var passedID = regexp.MustCompile(`id='(\w+)\.[\w-]{12}\.([^']*)'`)

func TestTranscripts(t *testing.T) {
	if *update && os.Getenv("CI") != "" {
		t.Fatal("-update is for people who review the diff, not for continuous integration")
	}
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no transcripts", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) { runTranscript(t, f) })
	}
}

func runTranscript(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	tr := &transcript{t: t, cfg: plain(), users: map[string]string{}, names: map[string]string{}, ids: map[string]string{}}
	var written, want []string
	var at string
	var got []string
	check := func() {
		if diff := compare(want, got); diff != "" && !*update {
			t.Errorf("%s: after %q:\n%s", file, at, diff)
		}
		written = append(written, got...)
		want, got = nil, nil
	}
	for _, line := range strings.Split(strings.TrimRight(string(text), "\n"), "\n") {
		switch trimmed := strings.TrimSpace(line); {
		case strings.HasPrefix(trimmed, "< "), strings.HasPrefix(trimmed, "= "):
			want = append(want, "  "+tr.normal(trimmed))
			continue
		case trimmed == "" || strings.HasPrefix(trimmed, "#"):
			check()
			written = append(written, line)
		default:
			check()
			written = append(written, line)
			at = trimmed
			got = tr.event(trimmed)
		}
	}
	check()
	if *update {
		if err := os.WriteFile(file, []byte(strings.Join(written, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// normal is an expected line in canonical form.
func (tr *transcript) normal(line string) string {
	f := strings.SplitN(line, " ", 3)
	if f[0] != "<" || len(f) < 3 {
		return line
	}
	e, err := xmlstream.Parse([]byte(long(f[2])), xmlstream.DefaultLimits())
	if err != nil {
		tr.t.Fatalf("%v: %s", err, line)
	}
	return "< " + f[1] + " " + canonical(e)
}

// compare looks at what each recipient got, in order; between recipients the order is free.
func compare(want, got []string) string {
	by := func(lines []string) map[string][]string {
		m := map[string][]string{}
		for _, l := range lines {
			f := strings.Fields(l)
			m[f[0]+f[1]] = append(m[f[0]+f[1]], l)
		}
		return m
	}
	w, g := by(want), by(got)
	var diff []string
	for k := range w {
		if !slices.Equal(w[k], g[k]) {
			diff = append(diff, "want\n"+strings.Join(w[k], "\n")+"\ngot\n"+strings.Join(g[k], "\n"))
		}
	}
	for k := range g {
		if w[k] == nil {
			diff = append(diff, "not expected:\n"+strings.Join(g[k], "\n"))
		}
	}
	return strings.Join(diff, "\n")
}

func (tr *transcript) event(line string) []string {
	word, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	switch word {
	case "user":
		name, address, _ := strings.Cut(rest, " ")
		tr.users[name], tr.names[address] = address, name
		return nil
	case "locked":
		tr.opts.Locked = true
		return nil
	case "config":
		before := tr.cfg
		if tr.w != nil {
			before = *tr.w.r.Config()
		}
		tr.configure(&before, rest)
		return tr.reconfigure(before)
	case "affiliation":
		before := tr.cfg
		if tr.w != nil {
			before = *tr.w.r.Config()
		}
		user, a, _ := strings.Cut(rest, " ")
		if full, ok := tr.users[user]; ok {
			user = jid.MustParse(full).Bare().String()
		}
		return tr.reconfigure(*before.With(nil, entries(user, a)))
	}
	w := tr.world()
	switch word {
	case "gone":
		return tr.lines(w.do(func(out []Output) []Output { return w.r.Gone(jid.MustParse(tr.users[rest]), out) }))
	case "shutdown":
		return tr.lines(w.do(w.r.Shutdown))
	case "destroy":
		return tr.lines(w.do(func(out []Output) []Output { return w.r.Destroyed(Destruction{Reason: rest}, out) }))
	case "kick":
		nick, why, _ := strings.Cut(rest, " ")
		return tr.lines(w.do(func(out []Output) []Output { return w.r.Kick(nick, why, out) }))
	case "say":
		return tr.lines(w.do(func(out []Output) []Output { return w.r.Say(Notice{Body: rest, Time: w.now, ID: "said"}, out) }))
	case "subject":
		return tr.lines(w.do(func(out []Output) []Output { return w.r.SetSubject(Declared{rest, w.now, "declared"}, out) }))
	case "refuse":
		w.refuse = stanza.NewError(stanza.Condition(rest), "it is managed elsewhere")
		return nil
	}
	user, xml, ok := strings.Cut(line, " > ")
	name := strings.TrimSuffix(user, "!")
	if !ok || tr.users[name] == "" {
		tr.t.Fatalf("nobody understands the line %q", line)
	}
	for shown, real := range tr.ids {
		xml = strings.ReplaceAll(xml, shown, real)
	}
	return tr.lines(w.sendAs(tr.users[name], long(xml), name != user))
}

func (tr *transcript) world() *world {
	if tr.w == nil {
		tr.w = newWorld(tr.t, tr.cfg, tr.opts)
	}
	return tr.w
}

func (tr *transcript) reconfigure(c Config) []string {
	if tr.w == nil {
		tr.cfg = c
		return nil
	}
	w := tr.w
	return tr.lines(w.do(func(out []Output) []Output { return w.r.Reconfigured(&c, out) }))
}

func (tr *transcript) configure(c *Config, list string) {
	for _, setting := range strings.Fields(list) {
		name, value, _ := strings.Cut(setting, "=")
		yes := value == "true"
		n, _ := strconv.Atoi(value)
		switch name {
		case "name":
			c.Name = value
		case "password":
			c.Password = value
		case "maxOccupants":
			c.MaxOccupants = n
		case "history":
			c.History = n
		case "listed":
			c.Listed = yes
		case "persistent":
			c.Persistent = yes
		case "membersOnly":
			c.MembersOnly = yes
		case "moderated":
			c.Moderated = yes
		case "archived":
			c.Archived = yes
		case "registrationEnabled":
			c.RegistrationEnabled = yes
		case "nicknameRestricted":
			c.NicknameRestricted = yes
		case "canChangeSubject":
			c.CanChangeSubject = yes
		case "canInvite":
			c.CanInvite = yes
		case "canChangeNickname":
			c.CanChangeNickname = yes
		case "whoSeesJIDs":
			c.WhoSeesJIDs = directory.WhoSeesJIDs(value)
		case "privateMessages":
			c.PrivateMessages = directory.PrivateMessages(value)
		case "presenceBroadcast":
			c.PresenceBroadcast = nil
			for _, r := range strings.Split(value, ",") {
				c.PresenceBroadcast = append(c.PresenceBroadcast, directory.RoomRole(r))
			}
		default:
			tr.t.Fatalf("no such setting: %s", name)
		}
	}
}

// lines are what came out, as a transcript has it.
func (tr *transcript) lines(got []delivery) []string {
	var lines []string
	for _, d := range got {
		tr.checkOccupantID(d)
		name := tr.names[d.to.String()]
		if name == "" {
			name = d.to.String()
		}
		text := canonical(d.el)
		for _, m := range passedID.FindAllStringSubmatch(text, -1) {
			shown := fmt.Sprintf("id='%s.mac.%s'", m[1], m[2])
			tr.ids[shown] = m[0]
			text = strings.ReplaceAll(text, m[0], shown)
		}
		lines = append(lines, "  < "+name+" "+text)
	}
	for _, o := range tr.w.side[tr.side:] {
		switch o := o.(type) {
		case *Archive:
			lines = append(lines, "  = archive "+o.ID+" from "+o.From.String()+" really "+o.Real.String())
		case *Tombstone:
			e, err := xmlstream.Parse(o.Element, xmlstream.DefaultLimits())
			if err != nil {
				tr.t.Fatal(err)
			}
			lines = append(lines, "  = tombstone "+o.ID+" of "+o.Author.String()+" "+canonical(e))
		case *Remember:
			switch {
			case o.Subject != nil:
				lines = append(lines, "  = remember subject "+o.Subject.Plain)
			case o.Nick != nil:
				lines = append(lines, "  = remember nickname "+o.Nick.Nick+" of "+o.Nick.User.String())
			default:
				lines = append(lines, fmt.Sprintf("  = remember vcard of %d bytes", len(o.VCard)))
			}
		case *Ended:
			lines = append(lines, fmt.Sprintf("  = ended destroyed=%v", o.Destroyed))
		}
	}
	tr.side = len(tr.w.side)
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return lines
}

// checkOccupantID holds every stanza of an occupant to XEP-0421 §3: exactly one id.
func (tr *transcript) checkOccupantID(d delivery) {
	from := jid.MustParse(string(d.el.Attr("from")))
	if !from.IsFull() || string(d.el.Local()) == "iq" || string(d.el.Attr("type")) == "error" {
		return
	}
	n := 0
	for c := range d.el.Children() {
		if c.Is(nsOccupantID, "occupant-id") && len(c.Attr("id")) > 0 {
			n++
		}
	}
	subject := d.el.Child(stanza.NSClient, "subject").Valid() && d.el.Child(stanza.NSDelay, "delay").Valid()
	astray := strings.Contains(string(d.el.Append(nil)), "You are not in the room.")
	if n != 1 && !subject && !astray {
		tr.t.Errorf("%d occupant ids: %s", n, d)
	}
}
