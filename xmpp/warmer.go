package xmpp

import (
	"context"
	"runtime"
	"sync"

	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// warmer derives the verifiers of plain passwords in the background, so that the first login of a user does not have to wait for it.
type warmer struct {
	dir     *directory.Directory
	workers int

	mu     sync.Mutex
	names  map[string]struct{} // users to look at
	signal chan struct{}
}

func newWarmer(dir *directory.Directory) *warmer {
	return &warmer{
		dir:     dir,
		workers: max(1, runtime.GOMAXPROCS(0)/2), // the other half is for logins and chat
		names:   make(map[string]struct{}),
		signal:  make(chan struct{}, 1),
	}
}

// run looks at all users, then at those whose credential changes, until ctx ends.
func (w *warmer) run(ctx context.Context) {
	cancel := w.dir.Watch(func(e directory.Event) {
		if _, next := e.Users(); next != nil && e.Kind == directory.KindUser {
			w.add(next.Username)
		}
	})
	defer cancel()
	for _, u := range w.dir.Users() {
		w.add(u.Username)
	}

	names := make(chan string)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer close(names)
	for range w.workers {
		workers.Go(func() {
			for name := range names {
				if a, ok := w.dir.Account(name); ok && !a.Secret.Ready() {
					a.Secret.Credential()
				}
			}
		})
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.signal:
		}
		w.mu.Lock()
		batch := w.names
		w.names = make(map[string]struct{})
		w.mu.Unlock()
		for name := range batch {
			select {
			case <-ctx.Done():
				return
			case names <- name:
			}
		}
	}
}

func (w *warmer) add(name string) {
	w.mu.Lock()
	w.names[name] = struct{}{}
	w.mu.Unlock()
	select {
	case w.signal <- struct{}{}:
	default: // one signal covers all names
	}
}
