package xmpp

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/store"
	"github.com/chat-operator/chat-operator/xmpp/stream"
)

// Environment variables of the test that kills: the folder of the server's data, which makes this process that server, and how often it is killed.
const (
	killFolder = "XMPP_KILL_FOLDER"
	killRounds = "XMPP_KILL_ROUNDS"
)

const killSenders = 6

// receiverKind is how an account that gets messages behaves.
type receiverKind int

const (
	steadyKind receiverKind = iota // acknowledges at once
	lazyKind                       // takes its time to acknowledge
	brokenKind                     // loses its connection again and again, and resumes
	plainKind                      // acknowledges nothing (no XEP-0198)
	absentKind                     // is there every other round
	receiverKinds
)

func (k receiverKind) String() string {
	return [...]string{"steady", "lazy", "broken", "plain", "absent"}[k]
}

func killUsers() (senders, receivers []string) {
	for i := range killSenders {
		senders = append(senders, fmt.Sprint("sender", i))
	}
	for i := range killReceivers {
		receivers = append(receivers, fmt.Sprint("receiver", i))
	}
	return senders, receivers
}

// servedToBeKilled is the server that is killed: the whole chat server, with its store in a file and its accounts in memory. It says on its output where
// it listens, and ends with its input.
func servedToBeKilled(folder string) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	dir := directory.New(domain)
	local := directory.NewLocal(dir)
	senders, receivers := killUsers()
	for _, name := range slices.Concat(senders, receivers) {
		if err := local.CreateUser(context.Background(), by, directory.NewUser{Username: name, Password: passwordOf(name)}); err != nil {
			return err
		}
	}
	for key, value := range map[string]string{directory.KeyStanzaRate: "100000", directory.KeyByteRate: "100000000", directory.KeyOfflineMessages: "100000"} {
		if err := local.PutProperty(context.Background(), by, key, value, false); err != nil {
			return err
		}
	}
	dir.MarkSynced()
	certFile, keyFile, err := SelfSigned(folder, domain, time.Now(), log)
	if err != nil {
		return err
	}
	certificate, err := LoadCertificate(certFile, keyFile)
	if err != nil {
		return err
	}
	data, err := store.Open(context.Background(), filepath.Join(folder, "chat.db"), log)
	if err != nil {
		return err
	}
	server, err := New(Config{
		Domain: domain, TLS: &tls.Config{Certificates: []tls.Certificate{certificate}}, InstallationKey: []byte("installation"),
		Listeners: []Listener{{Addr: "127.0.0.1:0", Mode: stream.DirectTLS}},
	}, Deps{Directory: dir, Proposer: local, Roster: data, Offline: data, Journal: data, Last: data, Log: log})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	for server.Addr(stream.DirectTLS) == nil {
		select {
		case err := <-done:
			return err
		case <-time.After(time.Millisecond):
		}
	}
	fmt.Println(server.Addr(stream.DirectTLS))
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
	cancel()
	return <-done
}

// TestKilled: a message whose sender got an acknowledgement (XEP-0198 §4) outlives the process. The server is killed under load, at any moment, again
// and again. Its clients come back, resume or send again what they have to, and in the end every message that was acknowledged has arrived, and once.
//
// One that was not acknowledged is sent again by its client, with its id, and may arrive twice: the server may have been killed between
// delivering it and noting that down. How often that was is told.
func TestKilled(t *testing.T) {
	rounds := 3
	if s := os.Getenv(killRounds); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		rounds = n
	}
	k := &killing{t: t, folder: t.TempDir(), got: map[string]int{}, sent: map[string]*sentMessage{}}
	k.changed = sync.NewCond(&k.mu)
	senders, receivers := killUsers()
	for _, name := range senders {
		k.senders = append(k.senders, &killSender{k: k, name: name})
	}
	for i, name := range receivers {
		k.receivers = append(k.receivers, &killReceiver{k: k, name: name, kind: receiverKind(i % int(receiverKinds))})
	}
	begun := time.Now()
	for round := range rounds + 1 {
		k.round(round, round == rounds)
		if t.Failed() {
			break
		}
	}
	k.report(rounds, time.Since(begun))
}

// killing is what the test knows.
type killing struct {
	t      *testing.T
	folder string

	senders   []*killSender
	receivers []*killReceiver

	mu      sync.Mutex
	changed *sync.Cond
	got     map[string]int // how often each id arrived
	sent    map[string]*sentMessage
	resumed int
	failed  int
}

type sentMessage struct {
	to     *killReceiver
	acked  bool // the sender was told
	resent bool
	error  string // the server refused it
}

// process is one life of the server.
type process struct {
	cmd     *exec.Cmd
	address string
	over    chan struct{} // closed before it is killed
	clients sync.WaitGroup
}

func (k *killing) start() *process {
	k.t.Helper()
	p := &process{cmd: exec.Command(os.Args[0], "-test.run=^$"), over: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), killFolder+"="+k.folder)
	errs := &strings.Builder{}
	p.cmd.Stderr = errs
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		k.t.Fatal(err)
	}
	if _, err := p.cmd.StdinPipe(); err != nil {
		k.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		k.t.Fatalf("the server does not come up: %v\n%s", err, errs)
	}
	p.address = strings.TrimSpace(line)
	return p
}

// kill ends the process as nothing else does, and waits until its clients have noticed.
func (p *process) kill() {
	close(p.over)
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	p.clients.Wait()
}

// round is one life of the server. It begins with what was left from the one before and, unless it is the last, ends in the middle of everything.
func (k *killing) round(number int, last bool) {
	p := k.start()
	ended := sync.OnceFunc(p.kill)
	defer ended()
	for _, r := range k.receivers {
		if r.kind != absentKind || number%2 == 1 || last {
			p.clients.Go(func() { r.live(p) })
		}
	}
	for _, s := range k.senders {
		p.clients.Go(func() { s.live(p, last) })
	}
	if !last {
		// Nothing is waited for here: it is the moment of the kill that is chosen.
		moment := time.NewTimer(time.Duration(50+rand.IntN(700)) * time.Millisecond)
		<-moment.C
		return
	}
	k.await("everything that was acknowledged to arrive", func() (bool, string) {
		left := 0
		example := ""
		for id, m := range k.sent {
			if !m.acked && m.error == "" || m.acked && k.got[id] == 0 {
				left++
				example = fmt.Sprintf("%s to %s (%s): %+v", id, m.to.name, m.to.kind, *m)
			}
		}
		return left == 0, fmt.Sprintf("%d are left, %s", left, example)
	})
	// What comes twice comes before this.
	p.clients.Go(func() { k.senders[0].mark(p) })
	k.await("the last message of all", func() (bool, string) {
		for _, r := range k.receivers {
			if k.got["last-"+r.name] == 0 {
				return false, r.name
			}
		}
		return true, ""
	})
}

func (k *killing) await(what string, ok func() (bool, string)) {
	k.t.Helper()
	late := time.AfterFunc(killPatience+time.Second, func() { k.mu.Lock(); k.changed.Broadcast(); k.mu.Unlock() })
	defer late.Stop()
	end := time.Now().Add(killPatience)
	k.mu.Lock()
	defer k.mu.Unlock()
	for {
		done, state := ok()
		if done {
			return
		}
		if time.Now().After(end) {
			k.t.Errorf("waited in vain for %s: %s", what, state)
			return
		}
		k.changed.Wait()
	}
}

func (k *killing) report(rounds int, took time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var acked, lost, twice, twicePlain, resent, refused int
	for id, m := range k.sent {
		if m.resent {
			resent++
		}
		if m.error != "" {
			refused++
			k.t.Errorf("%s to %s (%s) was refused: %s", id, m.to.name, m.to.kind, m.error)
			continue
		}
		if !m.acked {
			continue
		}
		acked++
		switch n := k.got[id]; {
		case n == 0:
			lost++
			k.t.Errorf("%s to %s (%s) was acknowledged and is lost", id, m.to.name, m.to.kind)
		case n == 1:
		case m.to.kind == plainKind:
			twicePlain++
		default:
			twice++
			k.t.Errorf("%s to %s (%s) was acknowledged and arrived %d times; sent again: %v", id, m.to.name, m.to.kind, n, m.resent)
		}
	}
	k.t.Logf("killed %d times in %.1f s: %d messages, %d acknowledged, %d of which were sent again after a kill; %d lost, %d twice, %d refused",
		rounds, took.Seconds(), len(k.sent), acked, resent, lost, twice, refused)
	k.t.Logf("sessions resumed: %d, sessions that were over: %d; messages that came twice to clients that acknowledge nothing: %d",
		k.resumed, k.failed, twicePlain)
}

// killSender sends, and keeps what is not acknowledged, as clients do.
type killSender struct {
	k    *killing
	name string

	id      string   // of its session
	unacked []string // ids of messages, oldest first
	acked   uint32   // stanzas of the session before those
	next    int
	c       *wireClient
}

// killPatience bounds the waiting for what has to arrive. It is long because the machine may be busy; nothing takes it when all is well.
const killPatience = 2 * time.Minute

// killWindow bounds what a sender leaves unacknowledged.
const killWindow = 60

// live sends until the process is over; in its last life, only what has to be sent again.
func (s *killSender) live(p *process, last bool) {
	for {
		if err := s.connect(p); err != nil {
			select {
			case <-p.over:
				return
			default:
			}
			s.k.t.Errorf("%s cannot come back: %v", s.name, err)
			return
		}
		if s.session(p, last) {
			return
		}
	}
}

// connect resumes, or begins anew and sends again what is not acknowledged.
func (s *killSender) connect(p *process) error {
	c, err := dialWire(p.address, s.name)
	if err != nil {
		return err
	}
	id, resumed, handled, err := c.begin(s.id, 0, true)
	if handled >= 0 {
		s.acknowledged(uint32(handled))
	}
	if err != nil {
		c.close()
		return err
	}
	s.note(resumed)
	s.c = c
	if s.id = id; !resumed {
		s.acked = 0
	}
	s.k.mu.Lock()
	for _, id := range s.unacked {
		s.k.sent[id].resent = true
	}
	s.k.mu.Unlock()
	for _, id := range s.unacked {
		if err := c.send(s.text(id)); err != nil {
			return nil // the reader sees it
		}
	}
	return nil
}

func (s *killSender) note(resumed bool) {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	switch {
	case resumed:
		s.k.resumed++
	case s.id != "":
		s.k.failed++
	}
}

func (s *killSender) text(id string) string {
	s.k.mu.Lock()
	to := s.k.sent[id].to
	s.k.mu.Unlock()
	return fmt.Sprintf("<message type='chat' id='%s' to='%s@%s'><body>%s &amp; %s</body></message>", id, to.name, domain, id, strings.Repeat("x", 200))
}

// acknowledged takes the server's count.
func (s *killSender) acknowledged(h uint32) {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	n := int(h - s.acked)
	if n < 0 || n > len(s.unacked) {
		s.k.t.Errorf("%s: the server has handled %d, of %d + %d", s.name, h, s.acked, len(s.unacked))
		return
	}
	for _, id := range s.unacked[:n] {
		m := s.k.sent[id]
		m.acked = true
	}
	s.unacked, s.acked = s.unacked[n:], h
	s.k.changed.Broadcast()
}

// session goes on until the connection breaks; true when the process is over, or there is nothing left to do.
func (s *killSender) session(p *process, last bool) bool {
	c := s.c
	type event struct {
		e   element
		err error
	}
	events := make(chan event)
	stop := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() {
		for {
			e, err := c.next()
			select {
			case events <- event{e, err}:
			case <-stop:
				return
			}
			if err != nil {
				return
			}
		}
	})
	defer reader.Wait()
	defer close(stop)
	defer c.close()
	if c.send("<r xmlns='urn:xmpp:sm:3'/>") != nil {
		return s.isOver(p)
	}
	ready := make(chan struct{})
	close(ready)
	for steps := 0; ; {
		more := ready
		if last || len(s.unacked) >= killWindow {
			more = nil
		}
		if last && len(s.unacked) == 0 {
			return true
		}
		select {
		case v := <-events:
			switch {
			case v.err != nil:
				return s.isOver(p)
			case v.e.XMLName.Local == "a":
				h, err := strconv.ParseUint(v.e.H, 10, 32)
				if err != nil {
					s.k.t.Errorf("%s: %v", s.name, err)
				}
				s.acknowledged(uint32(h))
			case v.e.XMLName.Local == "r":
				_ = c.send("<a xmlns='urn:xmpp:sm:3' h='0'/>")
			case v.e.XMLName.Local == "message" && v.e.Type == "error":
				s.k.mu.Lock()
				s.k.sent[v.e.ID].error = v.e.Error.Inner
				s.k.mu.Unlock()
			}
		case <-p.over:
			// Until the connection breaks, there may be acknowledgements in it.
			for {
				v := <-events
				if v.err != nil {
					return true
				}
				if v.e.XMLName.Local == "a" {
					h, _ := strconv.ParseUint(v.e.H, 10, 32)
					s.acknowledged(uint32(h))
				}
			}
		case <-more:
			steps++
			s.next++
			id := fmt.Sprintf("%s-%d", s.name, s.next)
			s.k.mu.Lock()
			s.k.sent[id] = &sentMessage{to: s.k.receivers[rand.IntN(len(s.k.receivers))]}
			s.k.mu.Unlock()
			s.unacked = append(s.unacked, id)
			out := s.text(id)
			if rand.IntN(5) == 0 || len(s.unacked) == killWindow {
				out += "<r xmlns='urn:xmpp:sm:3'/>"
			}
			if c.send(out) != nil {
				return s.isOver(p)
			}
			if rand.IntN(400) == 0 {
				return s.isOver(p) // the connection breaks off
			}
		}
	}
}

func (s *killSender) isOver(p *process) bool {
	select {
	case <-p.over:
		return true
	default:
		return false
	}
}

// mark sends every account a last message.
func (s *killSender) mark(p *process) {
	c, err := dialWire(p.address, s.name)
	if err == nil {
		_, _, _, err = c.begin("", 0, false)
	}
	if err != nil {
		s.k.t.Errorf("the last messages: %v", err)
		return
	}
	defer c.close()
	for _, r := range s.k.receivers {
		_ = c.send(fmt.Sprintf("<message type='chat' id='last-%s' to='%s@%s'><body>last</body></message>", r.name, r.name, domain))
	}
	<-p.over
}
