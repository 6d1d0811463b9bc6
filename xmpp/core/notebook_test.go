package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// notebook is a journal in memory.
type notebook struct {
	mu      sync.Mutex
	notes   map[string]Note // by username, id and session
	writes  int
	broken  bool
	entered chan struct{} // told when a write begins
	gate    chan struct{} // a write waits for it
	got     []string      // what clients have said they got
	file    TraceFile
}

func noteName(k NoteKey) string { return fmt.Sprintf("%s %d %x", k.Username, k.ID, k.Session) }

func (n *notebook) Record(_ context.Context, add []Note, remove []NoteKey) error {
	n.mu.Lock()
	entered, gate := n.entered, n.gate
	n.mu.Unlock()
	if gate != nil {
		entered <- struct{}{}
		<-gate
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.writes++
	if n.broken {
		return errNotebook
	}
	for _, one := range add {
		if _, there := n.notes[noteName(one.NoteKey)]; !there {
			one.Session = slices.Clone(one.Session)
			n.notes[noteName(one.NoteKey)] = one
		}
	}
	for _, k := range remove {
		for name, one := range n.notes {
			if one.Username == k.Username && one.ID == k.ID && (k.Session == nil || string(one.Session) == string(k.Session)) {
				delete(n.notes, name)
			}
		}
	}
	return nil
}

func (n *notebook) Received(_ context.Context, username string, _ []byte, handled uint32) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.got = append(n.got, fmt.Sprint(username, " ", handled))
	return nil
}

func (n *notebook) Traces() TraceFile { return n.file }

func (n *notebook) Recover(_ context.Context, _ time.Duration, session func(string, []byte), message func([]byte)) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, one := range n.notes {
		session(one.Username, one.Session)
		if one.Stanza != nil {
			message(one.Stanza)
		}
	}
	return nil
}

// set changes it; list gives the bodies of the notes with their places, in order.
func (n *notebook) set(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
}

func (n *notebook) list() (out []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, one := range n.notes {
		_, rest, _ := strings.Cut(string(one.Stanza), "<body>")
		body, _, _ := strings.Cut(rest, "</body>")
		out = append(out, fmt.Sprintf("%s %d %s", one.Username, one.Place, body))
	}
	slices.Sort(out)
	return out
}

// memoryFile is a file for traces.
type memoryFile struct {
	mu sync.Mutex
	b  []byte
}

func (f *memoryFile) ReadAt(p []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if off >= int64(len(f.b)) {
		return 0, errors.New("the end")
	}
	n := copy(p, f.b[off:])
	if n < len(p) {
		return n, errors.New("the end")
	}
	return n, nil
}

func (f *memoryFile) WriteAt(p []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if end := int(off) + len(p); end > len(f.b) {
		f.b = append(f.b, make([]byte, end-len(f.b))...)
	}
	return copy(f.b[off:], p), nil
}
