package transfer

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/account"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// mostHeap gives how much more memory is in use at any time of what a function does than before it. What is garbage counts as well as long as that does not
// exceed the bound: only beyond it does one have to collect, to know.
func mostHeap(bound uint64, f func()) uint64 {
	heap := func() uint64 {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	runtime.GC()
	before, most := heap(), uint64(0)
	done := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		look := time.NewTicker(time.Millisecond)
		defer look.Stop()
		for {
			select {
			case <-done:
				return
			case <-look.C:
			}
			now := heap()
			if now > max(most, before+bound) {
				runtime.GC()
				now = heap()
			}
			most = max(most, now)
		}
	})
	f()
	close(done)
	all.Wait()
	return max(most, before) - before
}

// A mailbox that is larger than the memory beside a server is written down and read in message by message.
func TestLargeMailboxesAreNotHeldInMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector, more than a mailbox becomes garbage while one collection lasts")
	}
	const messages, each, bound = 160, 250 << 10, 32 << 20 // of 40 MiB
	from := newInstallation(t)
	from.declare(user("juliet", v1alpha1.ChatUserSpec{}))
	from.remember(func(s *store.Store) {
		random := make([]byte, each*3/4)
		for i := range messages {
			_, _ = rand.Read(random)
			text := "<message from='romeo@chat.example/orchard' to='juliet@chat.example'><body>" + base64.StdEncoding.EncodeToString(random) + "</body></message>"
			one := account.OfflineMessage{Username: "juliet", ID: int64(i + 1), Received: when, Stanza: []byte(text)}
			if _, err := s.PutOffline(t.Context(), []account.OfflineMessage{one}, func(string) int { return messages }); err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Setenv("TMPDIR", t.TempDir())
	var archives []string
	for _, name := range []string{"backup.tar", "folder"} {
		archives = append(archives, filepath.Join(t.TempDir(), name))
		if most := mostHeap(bound, func() {
			var said strings.Builder
			if err := from.command("export", Streams{Err: &said}, "-o", archives[len(archives)-1]); err != nil {
				t.Fatal(err, said.String())
			}
		}); most > bound {
			t.Errorf("the export to %s takes %d MiB", name, most>>20)
		}
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("the export leaves %v, %v", left, err)
	}
	for _, at := range archives {
		to := newInstallation(t)
		if most := mostHeap(bound, func() {
			if report, err := to.importFrom(at); err != nil || !strings.Contains(report, fmt.Sprintf("offline messages: %d made", messages)) {
				t.Error(err, report)
			}
		}); most > bound {
			t.Errorf("the import of %s takes %d MiB", filepath.Base(at), most>>20)
		}
	}
}

// What is written down before its size is known comes out whole, whether it was small or large, and time and again.
func TestSpool(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var s spool
	for _, size := range []int{0, 1, spoolBytes - 1, spoolBytes, 3*spoolBytes + 5, 2*spoolBytes + 7, 3} {
		s.begin()
		want := strings.Repeat(fmt.Sprintf("%d-", size), size)[:size]
		for rest := want; rest != ""; {
			n := min(len(rest), 70_000)
			if _, err := s.Write([]byte(rest[:n])); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		length, r := s.read()
		if got, err := io.ReadAll(r); err != nil || string(got) != want || length != int64(size) {
			t.Errorf("of %d bytes, %d came back, said to be %d, %v", size, len(got), length, err)
		}
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}

// Where there is no place, a person is told where to make one.
func TestSpoolWithoutAPlace(t *testing.T) {
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "missing"))
	var s spool
	if _, err := s.Write(make([]byte, spoolBytes)); err == nil || !strings.Contains(err.Error(), "TMPDIR") {
		t.Errorf("got %v", err)
	}
}
