// Package xmpp is the chat server: it puts the rooms below it together and runs them. It knows nothing of Kubernetes; what is declared
// comes from a [directory.Directory].
package xmpp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/account"
	"github.com/chat-operator/chat-operator/xmpp/auth"
	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/meter"
	"github.com/chat-operator/chat-operator/xmpp/metrics"
	"github.com/chat-operator/chat-operator/xmpp/muc"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/stream"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// Config is what the installation decides once.
type Config struct {
	Domain    string // prepared, the directory's
	Listeners []Listener
	// TLS has the certificate, best by GetCertificate, so that a new one serves from then on.
	TLS *tls.Config
	// InstallationKey makes the decoys for unknown usernames, and the ids of occupants in rooms, the same on every replica and after a restart.
	InstallationKey []byte
	Node            string // names this process in logs
	Version         string // of the program, as XEP-0092 tells it
}

// Listener is one address for clients.
type Listener struct {
	Addr string
	Mode stream.Mode
	// ProxiesFrom are the networks of load balancers that say where their clients are, by the PROXY protocol.
	ProxiesFrom []netip.Prefix
	Flag        string // the option that sets the address, for errors
}

// Proposer changes what is declared.
type Proposer interface {
	account.Proposer
	muc.Proposer
}

// Audit takes note, without blocking, of what people change of their own and who fails to log in, beside what a Proposer does.
type Audit interface {
	account.Recorder
	LoginFailed(username, mechanism, reason, address string)
	// Run writes it down until ctx ends.
	Run(ctx context.Context)
}

// Deps is what the server stands on.
type Deps struct {
	Directory *directory.Directory
	Proposer  Proposer
	Roster    account.RosterStore
	Offline   account.OfflineStore // nil: no messages are kept for those who are offline
	Journal   core.Journal         // nil: what is on its way to clients is lost when the process is killed; it takes Offline
	Last      account.LastStore    // nil: nobody learns when an account was there last
	VCards    account.VCardStore   // nil: nobody has a vCard
	Rooms     muc.Store            // nil: rooms remember nothing, and none is archived
	Audit     Audit                // takes note of what clients do and who fails to log in; nil: nobody does
	Metrics   *metrics.Set         // takes what the server measures; nil: nobody does
	Log       *slog.Logger
}

// Server is the chat server of one domain.
type Server struct {
	cfg     Config
	dir     *directory.Directory
	log     *slog.Logger
	auth    *auth.Server
	sb      *core.Switchboard
	rosters *account.Rosters
	offline *account.Offline // nil without a store, as are last and vcards
	last    *account.LastSeen
	vcards  *account.VCards
	audit   Audit // nil without one
	rooms   *muc.Service

	meter  *meter.Meter
	gate   *stream.Gate
	limits atomic.Pointer[stream.Limits]

	stopping atomic.Bool // nobody is let in any more

	mu        sync.Mutex
	open      []*stream.Listener       // while Run serves
	listening map[stream.Mode]net.Addr // while Run accepts there
}

// features lists what the server can do. A feature that is not in this list does not exist.
func (s *Server) features() []core.Feature {
	list := []core.Feature{
		s.sb.Disco(),                // XEP-0030
		core.Caps(),                 // XEP-0115
		s.rosters.Feature(),         // RFC 6121 §2
		core.LegacySession(),        // RFC 3921 §3
		core.Ping(),                 // XEP-0199
		core.Version(s.cfg.Version), // XEP-0092
		core.EntityTime(time.Now),   // XEP-0202
		core.StanzaIDs(),            // XEP-0359
		core.Uptime(time.Now),       // XEP-0012
	}
	if s.offline != nil {
		list = append(list, core.Offline()) // XEP-0160
	}
	if s.last != nil {
		list = append(list, s.last.Feature()) // XEP-0012
	}
	if s.vcards != nil {
		list = append(list, s.vcards.Feature()) // XEP-0054
	}
	return list
}

// streamFeatures is what a client is told after it has logged in, besides resource binding.
func (s *Server) streamFeatures() []byte {
	return account.StreamFeatures(s.sb.StreamFeatures(nil))
}

// New puts a server together. Its errors are about the configuration and say what to change.
func New(cfg Config, deps Deps) (*Server, error) {
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	log := deps.Log
	if cfg.Node != "" {
		log = log.With("node", cfg.Node)
	}
	if deps.Directory == nil || deps.Proposer == nil || deps.Roster == nil {
		return nil, errors.New("the XMPP server needs a directory, a proposer and a roster store")
	}
	if cfg.Domain != deps.Directory.Domain() {
		return nil, fmt.Errorf("the XMPP domain is %q, but the directory is that of %q", cfg.Domain, deps.Directory.Domain())
	}
	if len(cfg.Listeners) > 0 {
		if err := checkTLS(cfg.TLS); err != nil {
			return nil, err
		}
	}
	if cfg.Version == "" {
		cfg.Version = "development"
	}
	s := &Server{cfg: cfg, dir: deps.Directory, log: log, listening: make(map[stream.Mode]net.Addr), gate: stream.NewGate(), audit: deps.Audit,
		meter: meter.New(auth.ScramSHA256Plus, auth.ScramSHA1Plus, auth.ScramSHA256, auth.ScramSHA1, auth.Plain, auth.Anonymous)}
	s.readLimits()
	s.auth = auth.NewServer(auth.Config{
		Domain: cfg.Domain, Accounts: deps.Directory, InstallationKey: cfg.InstallationKey,
		Anonymous: func() bool { return deps.Directory.Bool(directory.KeyAnonymous) },
		Attempts:  s.attempts, Meter: s.meter,
	})
	s.sb = core.New(core.Config{Directory: deps.Directory, Log: log, Meter: s.meter})
	s.rooms = muc.New(muc.Config{Switchboard: s.sb, Directory: deps.Directory, Proposer: deps.Proposer, Store: deps.Rooms, Key: cfg.InstallationKey, Meter: s.meter, Log: log})
	s.sb.UseHosts(s.rooms) // XEP-0045
	if deps.Offline != nil {
		s.offline = account.NewOffline(account.OfflineConfig{Directory: deps.Directory, Store: deps.Offline, Meter: s.meter, Log: log})
		s.sb.UseMailboxes(s.offline)
		if deps.Journal != nil {
			s.sb.UseJournal(deps.Journal)
		}
	}
	if deps.Last != nil {
		s.last = account.NewLastSeen(account.LastConfig{Switchboard: s.sb, Directory: deps.Directory, Store: deps.Last, Log: log})
	}
	if deps.VCards != nil {
		s.vcards = account.NewVCards(account.VCardConfig{Directory: deps.Directory, Store: deps.VCards, Recorder: deps.Audit, Meter: s.meter, Log: log})
	}
	s.rosters = account.New(account.Config{
		Switchboard: s.sb, Directory: deps.Directory, Store: deps.Roster, Proposer: deps.Proposer, Log: log,
		Offline: s.offline, Last: s.last, Recorder: deps.Audit, Meter: s.meter,
	})
	if err := s.sb.Install(s.rosters, s.features()...); err != nil {
		return nil, err
	}
	if deps.Metrics != nil {
		if err := s.register(deps.Metrics); err != nil {
			return nil, fmt.Errorf("the metrics of the XMPP server cannot be registered: %w", err)
		}
	}
	return s, nil
}

// Run serves until ctx ends: it waits for the directory to be complete, then opens the listeners. When ctx ends, every client is told that the
// server shuts down, and Run returns once all of them are gone.
func (s *Server) Run(ctx context.Context) error {
	if err := s.sb.Recover(ctx); err != nil {
		return err
	}
	for _, cancel := range []func(){s.watchLimits(), s.sb.Watch(), s.rosters.Watch(), s.rooms.Watch()} {
		defer cancel()
	}
	// What serves sessions outlives the listeners, which close them.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var workers sync.WaitGroup
	defer workers.Wait()
	defer stop()
	// Sessions that wait for their clients wait in vain: what they hold goes on while everything that keeps it still runs.
	defer s.sb.Drain()
	workers.Go(func() { s.sb.Run(background) })
	workers.Go(func() { s.rosters.Run(background) })
	workers.Go(func() { s.rooms.Run(background) })
	if s.audit != nil {
		workers.Go(func() { s.audit.Run(background) })
	}
	if s.offline != nil {
		workers.Go(func() { s.offline.Run(background) })
	}
	if s.last != nil {
		workers.Go(func() { s.last.Run(background) })
	}

	select {
	case <-ctx.Done():
		return nil
	case <-s.dir.Synced():
	}
	listeners, err := s.listen(ctx)
	if err != nil {
		return err
	}
	workers.Go(func() { newWarmer(s.dir).run(background) })

	serving, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	// Occupants hear that their rooms go, then that the server does.
	defer context.AfterFunc(ctx, func() {
		s.stopping.Store(true)
		s.rooms.Shutdown()
		end()
	})()
	failures := make(chan error, len(listeners))
	s.setOpen(listeners)
	defer s.setOpen(nil)
	for i, l := range listeners {
		mode := s.cfg.Listeners[i].Mode
		s.setListening(mode, l.Addr())
		s.log.Info("XMPP clients can connect", "address", l.Addr().String(), "domain", s.cfg.Domain)
		go func() {
			err := l.Serve(serving)
			s.setListening(mode, nil)
			failures <- err
		}()
	}
	if len(listeners) == 0 {
		<-ctx.Done()
	}
	var failed error
	for range listeners {
		if err := <-failures; err != nil && failed == nil {
			failed = err
			s.rooms.Shutdown() // or everybody would seem to have left
			end()              // one listener less is a server that some clients cannot reach: better none, and a restart
		}
	}
	return failed
}

// listen opens all listeners or none.
func (s *Server) listen(ctx context.Context) (open []*stream.Listener, err error) {
	defer func() {
		if err != nil {
			s.closeAll(open)
			open = nil
		}
	}()
	var failed func(username, mechanism, reason, address string)
	if s.audit != nil {
		failed = s.audit.LoginFailed
	}
	for _, l := range s.cfg.Listeners {
		var lc net.ListenConfig
		ln, err := lc.Listen(ctx, "tcp", l.Addr)
		if err != nil {
			return open, listenError(l, err)
		}
		one, err := stream.NewListener(ln, stream.Config{
			Domain: s.cfg.Domain, Mode: l.Mode, TLS: s.cfg.TLS, Auth: s.auth, Backend: backend{s.sb, s.meter}, Features: s.streamFeatures,
			ProxiesFrom: l.ProxiesFrom, LoginFailed: failed, Limits: s.limits.Load, Gate: s.gate, Meter: s.meter, Log: s.log,
		})
		if err != nil {
			ln.Close()
			return open, err
		}
		open = append(open, one)
	}
	return open, nil
}

// closeAll closes listeners that do not get to serve.
func (s *Server) closeAll(list []*stream.Listener) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, l := range list {
		// Its context is over, so it closes the socket and nothing else.
		if err := l.Serve(ctx); err != nil {
			s.log.Warn("a listener was not closed cleanly", "address", l.Addr().String(), "error", err.Error())
		}
	}
}

func listenError(l Listener, err error) error {
	where := l.Addr
	if l.Flag != "" {
		where += " (" + l.Flag + ")"
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("XMPP clients cannot be served on %s: another program listens there; stop it or choose another address", where)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("XMPP clients cannot be served on %s: ports below 1024 take a privilege that this process lacks; choose another address", where)
	default:
		return fmt.Errorf("XMPP clients cannot be served on %s: %w", where, err)
	}
}

func (s *Server) setOpen(list []*stream.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = list
}

// connections is how many clients are connected in a mode, logged in or not.
func (s *Server) connections(mode stream.Mode) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for i, l := range s.open {
		if s.cfg.Listeners[i].Mode == mode {
			n += l.Connections()
		}
	}
	return n
}

func (s *Server) setListening(mode stream.Mode, addr net.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if addr == nil {
		delete(s.listening, mode)
		return
	}
	s.listening[mode] = addr
}

// Addr is where clients are accepted in a mode; nil while they are not.
func (s *Server) Addr(mode stream.Mode) net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listening[mode]
}

// Accepting fails when clients should be accepted in a mode and are not. A mode without a listener is no failure.
func (s *Server) Accepting(mode stream.Mode) error {
	if s.stopping.Load() {
		return errors.New("the server is shutting down")
	}
	for _, l := range s.cfg.Listeners {
		if l.Mode == mode && s.Addr(mode) == nil {
			return fmt.Errorf("XMPP clients are not accepted on %s yet, or not any more", l.Addr)
		}
	}
	return nil
}

// Beat returns once everything that clients wait for here has answered, or ctx ends.
func (s *Server) Beat(ctx context.Context) {
	s.sb.Beat(ctx)
	s.rooms.Counts()
}

// Rosters has every user's contacts.
func (s *Server) Rosters() *account.Rosters { return s.rosters }

// Rooms has all chat rooms.
func (s *Server) Rooms() *muc.Service { return s.rooms }

// VCards has what people say of themselves; nil without a store.
func (s *Server) VCards() *account.VCards { return s.vcards }

// backend makes sessions of the connections that have logged in.
type backend struct {
	sb    *core.Switchboard
	meter *meter.Meter
}

func (b backend) Bind(c *stream.Conn, username, resource string) (stream.Session, *stanza.Error) {
	s, err := b.sb.Bind(conn{c}, username, resource)
	if err != nil {
		if err.Condition == stanza.ConditionResourceConstraint {
			b.meter.Refuse(meter.Sessions)
		}
		return nil, err
	}
	return link{s, conn{c}}, nil
}

// Resume implements stream.Resumer (XEP-0198 §5).
func (b backend) Resume(c *stream.Conn, username string, request xmlstream.Element) (stream.Session, []byte, *stanza.StreamError) {
	s, reply, failure := b.sb.Resume(conn{c}, username, request)
	if s == nil {
		return nil, reply, failure
	}
	return link{s, conn{c}}, reply, nil
}

// link is a session as one of its connections knows it: it may have another one by the time that this one is over.
type link struct {
	s *core.Session
	c conn
}

func (l link) JID() jid.JID { return l.s.JID() }

func (l link) Receive(e xmlstream.Element) *stanza.StreamError {
	return l.s.ReceiveOn(l.c, e)
}

func (l link) Closed(lost bool) { l.s.ClosedOn(l.c, lost) }

func (l link) Flushing(b []byte, taken uint64) []byte { return l.s.FlushingOn(l.c, b, taken) }

func (l link) Flushed() { l.s.FlushedOn(l.c) }

// conn is a connection as the switchboard wants it.
type conn struct{ *stream.Conn }

func (c conn) Info() core.Info {
	i := c.Conn.Info()
	return core.Info{RemoteAddr: i.RemoteAddr, Secure: i.Secure, Created: i.Created, LastActivity: i.LastActivity}
}
