package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chat-operator/chat-operator/hack/bench/internal/client"
	"github.com/chat-operator/chat-operator/hack/bench/internal/procs"
)

// manyAtOnce is how many rooms are filled at a time.
const manyAtOnce = 16

// roomsFilled is what the readers of many rooms tell those who fill them.
type roomsFilled struct {
	done   []chan struct{} // for each room: one has entered it, or it has been unlocked
	failed chan error
	ending atomic.Bool
}

// ManyRooms logs n accounts in and has them make so many rooms with so many of them in each. It gives what the server holds more for the rooms, in
// bytes, once it has been left alone for a while after each.
func (t *Target) ManyRooms(ctx context.Context, n, rooms, inEach int, wait time.Duration) (bytes int64, err error) {
	sessions, _, err := t.Login(ctx, 0, n)
	if err != nil {
		return 0, err
	}
	f := &roomsFilled{done: make([]chan struct{}, rooms), failed: make(chan error, 1)}
	for i := range f.done {
		f.done[i] = make(chan struct{}, inEach+1)
	}
	var readers sync.WaitGroup
	for _, c := range sessions {
		readers.Go(func() {
			if err := f.read(c); !f.ending.Load() {
				select {
				case f.failed <- fmt.Errorf("%s: %w", c.JID, err):
				default:
				}
			}
		})
	}
	defer func() {
		f.ending.Store(true)
		for _, c := range sessions {
			c.Abort()
		}
		readers.Wait()
	}()
	held := func() (int64, error) {
		if err := errors.Join(t.Settle(ctx, time.Minute), sleep(ctx, wait)); err != nil {
			return 0, err
		}
		return procs.RSS(t.PID)
	}
	before, err := held()
	if err != nil {
		return 0, err
	}
	err = each(rooms, manyAtOnce, func(i int) error {
		addr := fmt.Sprintf("many%05d@%s%s", i, roomService, t.Client.Domain)
		for k := range inEach {
			c := sessions[(i*inEach+k)%n]
			if err := f.await(ctx, i, func() error { return c.Write(enter(addr, k)) }); err != nil {
				return fmt.Errorf("entering %s: %w", addr, err)
			}
			if k > 0 {
				continue
			}
			if err := f.await(ctx, i, func() error { return c.Write(unlock(addr, fmt.Sprintf("unlock%05d", i))) }); err != nil {
				return fmt.Errorf("unlocking %s: %w", addr, err)
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	after, err := held()
	return after - before, err
}

func (f *roomsFilled) await(ctx context.Context, room int, ask func() error) error {
	if err := ask(); err != nil {
		return err
	}
	select {
	case <-f.done[room]:
		return nil
	case err := <-f.failed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *roomsFilled) read(c *client.Conn) error {
	for {
		e, err := c.Next()
		if err != nil {
			return err
		}
		var number []byte
		switch string(e.Name()) {
		case "presence":
			if !selfPresence(e) && string(e.Attr("type")) != "error" {
				continue
			}
			number, _ = bytes.CutPrefix(e.Attr("from"), []byte("many"))
		case "iq":
			number, _ = bytes.CutPrefix(e.Attr("id"), []byte("unlock"))
		case "stream:error":
			return errors.New(string(e.Raw()))
		default:
			continue
		}
		if string(e.Attr("type")) == "error" {
			return errors.New(string(e.Raw()))
		}
		i, err := strconv.Atoi(string(number[:min(len(number), 5)]))
		if err != nil || i >= len(f.done) {
			continue // of no room
		}
		f.done[i] <- struct{}{}
	}
}
