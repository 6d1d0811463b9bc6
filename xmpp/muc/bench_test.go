package muc_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/muc"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/store"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// counter is a connection that counts the messages it takes.
type counter struct {
	mu    sync.Mutex
	n     int
	wait  int // signal when n gets there
	ready chan struct{}
}

func (c *counter) SendParts(head, to, tail []byte, _ int) bool {
	return c.Send(slices.Concat(head, to, tail))
}

func (c *counter) Send(b []byte) bool {
	if strings.HasPrefix(string(b[:8]), "<message") {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.n++; c.n == c.wait {
			close(c.ready)
		}
	}
	return true
}

func (c *counter) Close(*stanza.StreamError) {}
func (c *counter) Info() core.Info           { return core.Info{} }
func (c *counter) Lang() []byte              { return nil }

// until gives what is closed once so many more messages have come.
func (c *counter) until(more int) chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wait, c.ready = c.n+more, make(chan struct{})
	return c.ready
}

// BenchmarkRooms has one client in each room say something, with 9 others there, who all get it: one message after another, as many at once as one
// session may have under way, and so in eight rooms at a time. An operation is one message.
func BenchmarkRooms(b *testing.B) {
	for _, archived := range []bool{true, false} {
		for _, shape := range []struct{ rooms, burst int }{{1, 1}, {1, 256}, {8, 256}} {
			b.Run(fmt.Sprintf("archived=%v/rooms=%d/burst=%d", archived, shape.rooms, shape.burst), func(b *testing.B) {
				dir := directory.New(domain)
				data, err := store.Open(b.Context(), filepath.Join(b.TempDir(), "chat.db"), nil)
				if err != nil {
					b.Fatal(err)
				}
				defer data.Close()
				sb := core.New(core.Config{Directory: dir, MaxSessions: 1000})
				rooms := muc.New(muc.Config{Switchboard: sb, Directory: dir, Store: data, Key: []byte("installation")})
				sb.UseHosts(rooms)
				if err := sb.Install(strangers{sb}); err != nil {
					b.Fatal(err)
				}
				ctx, cancel := context.WithCancel(b.Context())
				var running sync.WaitGroup
				running.Go(func() { rooms.Run(ctx) })
				defer running.Wait()
				defer cancel()
				w := &world{dir: dir}
				speakers := make([]*core.Session, shape.rooms)
				counters := make([]*counter, shape.rooms)
				says := make([]xmlstream.Element, shape.rooms)
				for i := range shape.rooms {
					name := fmt.Sprint("room", i)
					w.declare(name, name, func(r *directory.Room) { r.Archived = archived })
					for k := range 10 {
						user := fmt.Sprint("u", i, "-", k)
						dir.PutUser(directory.User{Ref: directory.Ref{Name: user, UID: user, Created: time.Unix(1, 0)}, Username: user})
						c := &counter{}
						s, bad := sb.Bind(c, user, "x")
						if bad != nil {
							b.Fatal(bad)
						}
						e, err := xmlstream.Parse(fmt.Appendf(nil, "<presence to='%s@conference.%s/%s'><x xmlns='http://jabber.org/protocol/muc'/></presence>", name, domain, user), xmlstream.DefaultLimits())
						if err != nil {
							b.Fatal(err)
						}
						s.Receive(e)
						speakers[i], counters[i] = s, c
					}
					says[i], err = xmlstream.Parse(fmt.Appendf(nil, "<message to='%s@conference.%s' type='groupchat'><body>%s</body></message>", name, domain, strings.Repeat("x", 300)), xmlstream.DefaultLimits())
					if err != nil {
						b.Fatal(err)
					}
				}
				rooms.AwaitStored()
				b.ResetTimer()
				var speaking sync.WaitGroup
				for i := range shape.rooms {
					speaking.Go(func() {
						for left := b.N / shape.rooms; left > 0; left -= shape.burst {
							n := min(left, shape.burst)
							done := counters[i].until(n)
							for range n {
								speakers[i].Receive(says[i])
							}
							<-done
						}
					})
				}
				speaking.Wait()
			})
		}
	}
}
