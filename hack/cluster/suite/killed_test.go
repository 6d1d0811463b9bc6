//go:build cluster

package suite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("A Pod killed under load", func() {
	It("has its clients come back by themselves, and every acknowledged message arrive, once", func() {
		s := newServer("killed")
		l := &load{s: s, sent: map[string]bool{}, got: map[string]int{}}
		for i := range 4 {
			l.senders = append(l.senders, fmt.Sprint("sender", i))
			l.receivers = append(l.receivers, fmt.Sprint("receiver", i))
		}
		for _, name := range append(append([]string(nil), l.senders...), l.receivers...) {
			s.applyUser(name)
		}
		ctx, stop := context.WithCancel(context.Background())
		var clients sync.WaitGroup
		defer clients.Wait()
		defer stop()
		for _, name := range l.receivers {
			clients.Go(func() { (&receiver{load: l, name: name}).live(ctx) })
		}
		for i, name := range l.senders {
			clients.Go(func() { (&sender{load: l, name: name, to: l.receivers[i]}).live(ctx) })
		}
		more := func(n int) {
			GinkgoHelper()
			want := l.acknowledged() + n
			Eventually(l.acknowledged, startLimit).Should(BeNumerically(">", want), "acknowledged messages")
			Expect(l.failures()).To(BeEmpty())
		}
		// back waits until every client has another connection, and messages flow.
		back := func(connections int) {
			GinkgoHelper()
			Eventually(l.connections, startLimit).Should(BeNumerically(">=", connections+len(l.senders)+len(l.receivers)), "connections")
			more(200)
		}
		more(200)
		if direct {
			By("killing the process, which Kubernetes starts again in its Pod")
			connections := l.connections()
			s.killProcess()
			back(connections)
		}
		By("deleting the Pod without any grace, for which Kubernetes makes another")
		connections := l.connections()
		s.kubectl("delete", "pod", s.pod().Name, "--grace-period=0", "--force", "--wait=false")
		back(connections)

		By("sending no more, and waiting for the rest")
		l.finish()
		Eventually(l.missing, startLimit).Should(BeEmpty(), "sent messages that were not acknowledged or did not arrive")
		stop()
		clients.Wait()
		Expect(l.failures()).To(BeEmpty())
		Expect(l.twice()).To(BeEmpty(), "messages that arrived more than once")
		AddReportEntry("load", fmt.Sprintf("%d messages, all acknowledged and all there; %d connections, of which %d resumed a session and %d fell silent", l.acknowledged(), l.connections(), l.resumed, l.silent),
			ReportEntryVisibilityAlways)
	})
})

// killProcess kills the server's process, as a crash would. It is one of this machine.
func (s *server) killProcess() {
	GinkgoHelper()
	environments, err := filepath.Glob("/proc/[0-9]*/environ")
	Expect(err).NotTo(HaveOccurred())
	for _, file := range environments {
		environment, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(environment, []byte("POD_NAMESPACE="+s.namespace+"\x00")) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		Expect(err).NotTo(HaveOccurred())
		Expect(syscall.Kill(pid, syscall.SIGKILL)).To(Succeed())
		return
	}
	Fail("the server's process is not to be found")
}

// load is what the clients know together.
type load struct {
	s                  *server
	senders, receivers []string

	mu       sync.Mutex
	sent     map[string]bool // by id: whether it was acknowledged
	got      map[string]int  // how often each arrived
	acked    int
	finished bool
	failed   []error
	begun    int // sessions
	resumed  int // connections that went on with one
	silent   int // connections that were given up because nothing came
}

func (l *load) acknowledged() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acked
}

func (l *load) finish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.finished = true
}

func (l *load) isFinished() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.finished
}

func (l *load) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = append(l.failed, err)
}

func (l *load) failures() []error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]error(nil), l.failed...)
}

func (l *load) missing() (ids []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, acked := range l.sent {
		if !acked || l.got[id] == 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

func (l *load) twice() (ids []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, n := range l.got {
		if n > 1 {
			ids = append(ids, id)
		}
	}
	return ids
}

func (l *load) session(resumed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if resumed {
		l.resumed++
	} else {
		l.begun++
	}
}

// broke notes how a connection ended.
func (l *load) broke(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.silent++
	}
}

func (l *load) connections() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.begun + l.resumed
}

// again calls session until ctx ends or it says that it is done, with a pause after each connection that did not come about.
func again(ctx context.Context, l *load, name string, session func(context.Context) (done bool, err error)) {
	begun := time.Now()
	for ctx.Err() == nil {
		done, err := session(ctx)
		if done {
			return
		}
		if err == nil {
			begun = time.Now()
			continue
		}
		if time.Since(begun) > startLimit {
			l.fail(fmt.Errorf("%s cannot come back: %w", name, err))
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// sender sends messages to one receiver, and keeps those that are not acknowledged to send them again, as clients do.
type sender struct {
	*load
	name, to string

	id      string   // of its session
	unacked []string // ids of messages, oldest first
	handled uint32   // stanzas of the session that the server has acknowledged
	count   int
}

// window bounds what is on its way; pace keeps the load below what a server allows a client.
const (
	window = 20
	pace   = 10 * time.Millisecond
)

func (s *sender) live(ctx context.Context) { again(ctx, s.load, s.name, s.connection) }

// connection lives from connecting to the end of the connection. Its error is that none came about.
func (s *sender) connection(ctx context.Context) (done bool, err error) {
	c, err := s.s.dialWire(ctx, s.name)
	if err != nil {
		return false, err
	}
	defer c.close()
	id, resumed, handled, err := c.begin(s.id, 0)
	if handled >= 0 {
		s.acknowledge(uint32(handled))
	}
	if err != nil {
		return false, err
	}
	s.session(resumed)
	if s.id = id; !resumed {
		s.handled = 0
	}
	for _, id := range s.unacked {
		_ = c.send(s.message(id)) // a broken connection shows when it is read
	}
	_ = c.send("<r xmlns='urn:xmpp:sm:3'/>")
	acks := make(chan uint32)
	ended := make(chan struct{})
	defer func() {
		c.close()
		<-ended
	}()
	stopped := make(chan struct{})
	defer close(stopped)
	go c.ask(ended)
	go func() {
		defer close(ended)
		for {
			e, err := c.next()
			switch {
			case err != nil:
				s.broke(err)
				return
			case e.XMLName.Local == "r":
				_ = c.send("<a xmlns='urn:xmpp:sm:3' h='0'/>")
			case e.XMLName.Local == "message" && e.Type == "error":
				s.fail(fmt.Errorf("a message of %s was refused: %s", s.name, e.Inner))
			case e.XMLName.Local == "a":
				h, err := strconv.ParseUint(e.H, 10, 32)
				if err != nil {
					s.fail(err)
				}
				select {
				case acks <- uint32(h):
				case <-stopped:
				}
			}
		}
	}()
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	for {
		if s.isFinished() && len(s.unacked) == 0 {
			return true, nil
		}
		select {
		case <-ctx.Done():
			return true, nil
		case <-ended:
			return false, nil
		case h := <-acks:
			s.acknowledge(h)
		case <-ticker.C:
			if s.isFinished() || len(s.unacked) >= window {
				continue
			}
			s.count++
			id := fmt.Sprintf("%s-%d", s.name, s.count)
			s.mu.Lock()
			s.sent[id] = false
			s.mu.Unlock()
			s.unacked = append(s.unacked, id)
			_ = c.send(s.message(id) + "<r xmlns='urn:xmpp:sm:3'/>")
		}
	}
}

func (s *sender) message(id string) string {
	return fmt.Sprintf("<message type='chat' id='%s' to='%s@%s'><body>%s</body></message>", id, s.to, s.s.domain, id)
}

// acknowledge takes the server's count of the session's stanzas.
func (s *sender) acknowledge(h uint32) {
	n := int(h - s.handled)
	if n < 0 || n > len(s.unacked) {
		s.fail(fmt.Errorf("%s: the server has handled %d, of %d + %d", s.name, h, s.handled, len(s.unacked)))
		return
	}
	s.mu.Lock()
	for _, id := range s.unacked[:n] {
		s.sent[id] = true
	}
	s.acked += n
	s.mu.Unlock()
	s.unacked, s.handled = s.unacked[n:], h
}

// receiver counts what arrives.
type receiver struct {
	*load
	name string

	id string // of its session
	h  uint32 // stanzas that arrived in it
}

func (r *receiver) live(ctx context.Context) { again(ctx, r.load, r.name, r.connection) }

func (r *receiver) connection(ctx context.Context) (done bool, err error) {
	c, err := r.s.dialWire(ctx, r.name)
	if err != nil {
		return false, err
	}
	defer c.close()
	stop := context.AfterFunc(ctx, c.close)
	defer stop()
	id, resumed, _, err := c.begin(r.id, r.h)
	if err != nil {
		return false, err
	}
	r.session(resumed)
	if r.id = id; !resumed {
		r.h = 0
		if err := c.send("<presence/>"); err != nil {
			return false, err
		}
	}
	ended := make(chan struct{})
	defer close(ended)
	go c.ask(ended)
	for {
		e, err := c.next()
		switch {
		case err != nil:
			r.broke(err)
			return false, nil
		case e.XMLName.Local == "r":
			_ = c.send(fmt.Sprintf("<a xmlns='urn:xmpp:sm:3' h='%d'/>", r.h))
		case e.stanza():
			r.h++
			if e.XMLName.Local != "message" {
				continue
			}
			if e.Type == "error" || e.ID == "" {
				r.fail(errors.New(r.name + " got a message that nobody sent: " + e.Inner))
			}
			r.mu.Lock()
			r.got[e.ID]++
			r.mu.Unlock()
		}
	}
}
