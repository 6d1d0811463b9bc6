package xmpp

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	mjid "mellium.im/xmpp/jid"

	"github.com/chat-operator/chat-operator/xmpp/account"
	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/store"
	"github.com/chat-operator/chat-operator/xmpp/stream"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// TestOfflineAcrossRestart: XEP-0160 and XEP-0203 as an independent client sees them: what was sent while nobody was there arrives after a restart,
// in order, once, with the time.
func TestOfflineAcrossRestart(t *testing.T) {
	h := newHost(t, "juliet", "romeo")
	juliet := h.login("juliet", stream.StartTLS)
	juliet.presence("", "")
	const count = 250
	for i := range count {
		juliet.chat(mjid.MustParse("romeo@"+domain), fmt.Sprint(i))
	}
	// One goroutine reads what juliet sends, so the answer to this says that all of it was taken in; the end of the server, that it is stored.
	juliet.contacts()
	h.stop()
	h.start()
	romeo := h.login("romeo", stream.DirectTLS)
	romeo.presence("", "")
	eventually(t, "all messages", func() bool {
		romeo.mu.Lock()
		defer romeo.mu.Unlock()
		return len(romeo.messages()) >= count
	})
	romeo.mu.Lock()
	for i, line := range romeo.messages() {
		if want := fmt.Sprintf("message juliet/ %d delayed", i); line != want {
			t.Fatalf("message %d is %q, want %q", i, line, want)
		}
	}
	romeo.lines = nil
	romeo.mu.Unlock()
	// A live one is live again once all of that is given back.
	eventually(t, "an empty mailbox", func() bool {
		list, err := h.store.LoadOffline(t.Context(), "romeo", 1, 1)
		return err == nil && len(list) == 0
	})
	juliet = h.login("juliet", stream.StartTLS)
	juliet.chat(mjid.MustParse("romeo@"+domain), "live")
	romeo.awaits("message juliet/ live")
	romeo.leave()
	romeo = h.login("romeo", stream.StartTLS)
	romeo.presence("", "")
	romeo.awaits("presence romeo/ available")
	juliet.chat(mjid.MustParse("romeo@"+domain), "last")
	romeo.awaits("message juliet/ last")
	romeo.mu.Lock()
	if got := romeo.messages(); len(got) > 0 {
		t.Errorf("came once more: %q", got)
	}
	romeo.mu.Unlock()
	romeo.leave()
	juliet.leave()
}

// messages are the lines about messages; p.mu is held.
func (p *peer) messages() (out []string) {
	for _, line := range p.lines {
		if strings.HasPrefix(line, "message ") {
			out = append(out, line)
		}
	}
	return out
}

// swallow is a connection that takes everything and says how many messages it took.
type swallow struct {
	mu       sync.Mutex
	messages int
}

func (s *swallow) SendParts(head, to, tail []byte, _ int) bool {
	return s.Send(slices.Concat(head, to, tail))
}

func (s *swallow) Lang() []byte { return nil }

func (s *swallow) Send(b []byte) bool {
	if strings.HasPrefix(string(b[:min(len(b), 8)]), "<message") {
		s.mu.Lock()
		s.messages++
		s.mu.Unlock()
	}
	return true
}

func (s *swallow) Close(*stanza.StreamError) {}
func (s *swallow) Info() core.Info           { return core.Info{} }

// BenchmarkOffline is the whole way without sockets: 4 senders fill the mailboxes of 20 accounts, 1,000 messages of 400 bytes each, which then come
// and get them. An operation is all of it.
func BenchmarkOffline(b *testing.B) {
	const senders, receivers, each = 4, 20, 1000
	data, err := store.Open(b.Context(), filepath.Join(b.TempDir(), "chat.db"), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer data.Close()
	dir := directory.New(domain)
	put := func(name string) {
		dir.PutUser(directory.User{Ref: directory.Ref{Name: name, UID: name, Created: time.Unix(1, 0)}, Username: name})
	}
	sb := core.New(core.Config{Directory: dir})
	offline := account.NewOffline(account.OfflineConfig{Directory: dir, Store: data})
	sb.UseMailboxes(offline)
	rosters := account.New(account.Config{Switchboard: sb, Directory: dir, Store: data, Proposer: directory.NewLocal(dir), Offline: offline})
	if err := sb.Install(rosters); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	var running sync.WaitGroup
	running.Go(func() { offline.Run(ctx) })
	defer running.Wait()
	defer cancel()
	bind := func(name string) (*core.Session, *swallow) {
		put(name)
		c := &swallow{}
		s, bad := sb.Bind(c, name, "x")
		if bad != nil {
			b.Fatal(bad)
		}
		return s, c
	}
	for i := range receivers {
		put(fmt.Sprint("r", i))
	}
	parse := func(xml string) xmlstream.Element {
		e, err := xmlstream.Parse([]byte(xml), xmlstream.DefaultLimits())
		if err != nil {
			b.Fatal(err)
		}
		return e
	}
	var storing, giving time.Duration
	for b.Loop() {
		begun := time.Now()
		var sending sync.WaitGroup
		for i := range senders {
			s, c := bind(fmt.Sprint("s", i))
			sending.Go(func() {
				for r := range receivers {
					e := parse(fmt.Sprintf("<message to='r%d@%s' type='chat'><body>%s</body></message>", r, domain, strings.Repeat("x", 300)))
					for range each / senders {
						s.Receive(e)
					}
				}
				s.Closed()
				c.mu.Lock()
				defer c.mu.Unlock()
				if c.messages > 0 {
					b.Error("a sender got errors")
				}
			})
		}
		sending.Wait()
		eventually(b, "everything to be stored", func() bool {
			list, err := data.LoadOffline(b.Context(), fmt.Sprint("r", receivers-1), each, 1<<30)
			return err == nil && len(list) == each
		})
		storing += time.Since(begun)
		begun = time.Now()
		var coming sync.WaitGroup
		for i := range receivers {
			s, c := bind(fmt.Sprint("r", i))
			coming.Go(func() {
				s.Receive(parse("<presence/>"))
				eventually(b, "all messages", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.messages == each })
				eventually(b, "an empty mailbox", func() bool {
					list, err := data.LoadOffline(b.Context(), s.Username(), 1, 1)
					return err == nil && len(list) == 0
				})
				s.Closed()
			})
		}
		coming.Wait()
		giving += time.Since(begun)
	}
	total := float64(b.N * receivers * each)
	b.ReportMetric(total/storing.Seconds(), "stored/s")
	b.ReportMetric(total/giving.Seconds(), "given-back/s")
}
