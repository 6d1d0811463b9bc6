// Command chat-operator manages chat resources of a Kubernetes namespace, and is the
// chat server that they describe: operator, XMPP server and REST server in one process.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	crmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/chat-operator/chat-operator/controllers"
	"github.com/chat-operator/chat-operator/controllers/provision"
	"github.com/chat-operator/chat-operator/restserver"
	"github.com/chat-operator/chat-operator/xmpp"
	"github.com/chat-operator/chat-operator/xmpp/audit"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/metrics"
	"github.com/chat-operator/chat-operator/xmpp/stream"
)

// version is set by the linker: -ldflags "-X main.version=...".
var version = "development"

func main() {
	if len(os.Args) > 1 && os.Args[1] == "check" {
		if err := runCheck(context.Background(), os.Args[2:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "chat-operator check:", err)
			os.Exit(1) //nolint:forbidigo // main is where the process ends
		}
		return
	}
	if status, ok := command(os.Args[1:]); ok {
		os.Exit(status) //nolint:forbidigo // main is where the process ends
	}
	o, err := parseOptions(os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "chat-operator:", err)
		os.Exit(2) //nolint:forbidigo // main is where the process ends
	}
	handler := slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: o.logLevel})
	slog.SetDefault(slog.New(handler))
	ctrl.SetLogger(logr.FromSlogHandler(handler))
	klog.SetSlogLogger(slog.New(handler))

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	if err := run(ctx, o, slog.New(handler)); err != nil {
		slog.Error("The operator cannot go on", "error", err.Error())
		os.Exit(1) //nolint:forbidigo // main is where the process ends
	}
}

// run wires the parts together and returns when all of them have ended.
func run(ctx context.Context, o *options, log *slog.Logger) (err error) {
	if err := limitMemory(log, serverShare); err != nil {
		return err
	}
	collectAsUsual := collectLess()
	// Sockets and the database are taken before anything is asked of Kubernetes, so that whoever has them already is named at once; and sockets
	// before anything is written, so that a start that fails for them leaves nothing behind. The database comes before the certificate, which may
	// replace the one of a server that is not this one. Nobody is shown the certificate before all of it runs.
	var certificate *certificate
	restListeners, err := o.listenForREST(ctx, func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate.GetCertificate(hello) }, log)
	if err != nil {
		return err
	}
	for _, l := range restListeners {
		defer l.Close()
	}
	probes, err := listen(ctx, o.probes, "Probes", "--health-probe-bind-address")
	if err != nil {
		return err
	}
	prober := &prober{}
	if probes != nil {
		prober = serveProbes(probes)
		defer prober.stop()
	}
	profiles, err := listen(ctx, o.profiles, "Profiles", "--pprof-bind-address")
	if err != nil {
		return err
	}
	if profiles != nil {
		defer profiles.Close()
	}
	if err := o.free(ctx); err != nil {
		return err
	}
	if err := os.MkdirAll(o.dataDir, 0o700); err != nil {
		return fmt.Errorf("the folder of --data-dir cannot be used: %w", err)
	}
	data, err := openDatabase(ctx, o, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	if certificate, err = watchCertificate(o, log, xmpp.SelfSigned); err != nil {
		return err
	}

	live, err := controllers.NewLiveClient(o.kubernetes)
	if err != nil {
		return fmt.Errorf("the Kubernetes API server cannot be used: %w", err)
	}
	root := logr.FromSlogHandler(log.Handler())
	installation, err := controllers.LoadInstallation(ctx, live, o.namespace, o.secretName, root)
	if err != nil {
		if ctx.Err() != nil {
			return nil // asked to stop while waiting
		}
		return err
	}
	if err := claimDatabase(ctx, data, o); err != nil {
		return err
	}
	mgr, err := controllers.NewManager(o.kubernetes, controllers.ManagerOptions{Namespace: o.namespace, MetricsBindAddress: o.metrics, Log: root})
	if err != nil {
		return explainManager(err, o)
	}

	set := metrics.NewSet(crmetrics.Registry)
	measureStore(set, data)
	restSecrets := controllers.NewRESTSecrets(o.secretName, installation, checkScope, root.WithName("rest"))
	declared := directory.New(o.domain)
	var chat *xmpp.Server
	identities := accounts{data, func() rooms { return chat.Rooms() }}
	proposer := provision.New(provision.Config{
		Live: live, Namespace: o.namespace, Directory: declared, Identities: identities, Key: installation.Key, Log: root.WithName("provision"),
		// Proposals only come once the server is there.
		Forget:  func(ctx context.Context, username string) error { return chat.Rosters().Forget(ctx, username) },
		End:     func(username string) { chat.Kick(username) },
		Renamed: func(ctx context.Context, from, to string) error { return chat.Rosters().Renamed(ctx, from, to) },
	})
	auditing := audit.Config{
		Log: data, Domain: o.domain, Node: o.node, Errors: log,
		UID: func(kind directory.Kind, identity string) string {
			holder, _ := declared.Holder(kind, identity)
			return holder.UID
		},
	}
	recorded := audit.Proposals(proposer, auditing)
	if _, err := controllers.Setup(ctx, mgr, controllers.Options{
		Namespace: o.namespace, SecretName: o.secretName, Directory: declared, Store: identities, Provision: proposer, Audit: data, Node: o.node,
		InstallationKey: installation.Key, RESTSecrets: restSecrets, Endpoint: o.endpoint(), LeaderElect: o.leaderElect, Metrics: set, Log: root,
	}); err != nil {
		return err
	}
	chat, err = xmpp.New(xmpp.Config{
		Domain: o.domain, Listeners: o.listeners(), InstallationKey: installation.Key, Node: o.node, Version: version,
		TLS: &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certificate.GetCertificate},
	}, xmpp.Deps{
		Directory: declared, Proposer: recorded, Roster: data, Offline: data, Journal: data, Last: data, VCards: data, Rooms: data,
		Audit: audit.NewClients(auditing), Metrics: set, Log: log,
	})
	if err != nil {
		return err
	}
	schema, err := controllers.NewSchema(o.kubernetes, root.WithName("schema"))
	if err != nil {
		return fmt.Errorf("the Kubernetes API server cannot be used: %w", err)
	}
	health := &health{
		directory: declared, chat: chat,
		heart:   &heart{every: beatEvery, parts: []part{{"the directory", func(context.Context) { declared.User("") }}, {"the chat server", chat.Beat}}},
		disk:    &heart{every: beatEvery, parts: []part{{"the database", data.Beat}}},
		remarks: func() []string { return append(schema.Remarks(), certificate.remarks(time.Now())...) },
	}
	measureProcess(set, certificate, health, schema)
	requests := set.Requests()
	if err := set.Err(); err != nil {
		return err
	}
	prober.health.Store(health)
	begun := make(chan struct{})
	runnables := []runnable{func(context.Context) error { close(begun); return nil }, chat.Run, certificate.Start, health.heart.Start, health.disk.Start, func(ctx context.Context) error { return data.KeepAudit(ctx, declared) }}
	runnables = append(runnables, func(ctx context.Context) error { collectAsUsual(ctx, declared.Synced(), afterStart); return nil })
	if profiles != nil {
		runnables = append(runnables, serveProfiles(profiles, log))
	}
	for _, r := range runnables {
		if err := mgr.Add(r); err != nil {
			return err
		}
	}
	api := restserver.New(
		restserver.Config{
			Domain: o.domain, Node: o.node, Version: version, Secret: restSecrets.Installation, Secrets: namedSecrets(restSecrets), TrustedProxies: o.proxies,
		},
		restserver.Deps{
			Directory: declared, Proposer: recorded, Rosters: chat.Rosters(), VCards: chat.VCards(), Rooms: chat.Rooms(), Sessions: chat, Messages: chat, Audit: data,
			Health: health, Listeners: chat, Answered: requests.Answered, Log: log,
			Authenticators: []restserver.Authenticator{tokens{controllers.NewReviewer(live, o.namespace, clock.RealClock{}, root.WithName("rest"))}},
		})
	for _, l := range restListeners {
		// Among the manager's HTTP servers it answers before the caches are full: its probes, and to others that they have to wait.
		if err := mgr.Add(&manager.Server{
			Name: "REST", Listener: l, ShutdownTimeout: new(restDrain), Server: restserver.NewHTTPServer(l.Addr().String(), api, log),
		}); err != nil {
			return err
		}
	}
	comparing, end := context.WithCancel(ctx)
	var compared sync.WaitGroup
	compared.Go(func() { schema.Run(comparing) })
	defer compared.Wait()
	defer end()
	log.Info("Starting", "namespace", o.namespace, "domain", o.domain, "version", version)
	return explainManager(start(ctx, mgr, begun), o)
}

// start runs the manager until it ends, or until ctx does before anything has begun: a manager that still waits for its caches, as it does while the API
// server is away or lacks a kind, does not listen to ctx, and nothing has happened that would have to end in an orderly way.
func start(ctx context.Context, mgr manager.Manager, begun <-chan struct{}) error {
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	select {
	case err := <-ended:
		return err
	case <-begun:
		return <-ended
	case <-ctx.Done():
	}
	select {
	case <-begun:
		return <-ended
	default:
		return nil
	}
}

// restDrain is what REST calls under way are given to finish when the process is asked to stop.
const restDrain = 10 * time.Second

// runnable runs on every replica, leader or not.
type runnable func(ctx context.Context) error

var _ manager.LeaderElectionRunnable = runnable(nil)

func (r runnable) Start(ctx context.Context) error { return r(ctx) }
func (r runnable) NeedLeaderElection() bool        { return false }

// listen opens a socket; nil when the address switches it off.
func listen(ctx context.Context, address, who, option string) (net.Listener, error) {
	if address == off {
		return nil, nil //nolint:nilnil // switched off is no failure
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s cannot be served on %s (%s): another program listens there; stop it or choose another address", who, address, option)
	}
	if err != nil {
		return nil, fmt.Errorf("%s cannot be served on %s (%s): %w", who, address, option, err)
	}
	return ln, nil
}

// listenForREST opens the sockets of the REST API: one without encryption, one with TLS, as far as they are wanted.
func (o *options) listenForREST(ctx context.Context, certificate getCertificate, log *slog.Logger) (list []net.Listener, err error) {
	for _, l := range []struct {
		address, who, option string
		encrypted            bool
	}{
		{o.rest, "REST clients", "--rest-bind-address", false},
		{o.restTLS, "REST clients with TLS", "--rest-tls-bind-address", true},
	} {
		ln, err := listen(ctx, l.address, l.who, l.option)
		if err != nil {
			for _, opened := range list {
				opened.Close()
			}
			return nil, err
		}
		if ln != nil && l.encrypted {
			ln = tls.NewListener(stream.BehindProxies(ln, o.restTLSProxies, log), &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certificate, NextProtos: []string{"h2", "http/1.1"}})
		}
		if ln != nil {
			list = append(list, ln)
		}
	}
	return list, nil
}

// free says whether a socket that is only opened later can be.
func (o *options) free(ctx context.Context) error {
	for _, l := range []struct{ address, who, option string }{
		{o.xmpp, "XMPP clients", "--xmpp-bind-address"},
		{o.xmpps, "XMPP clients with direct TLS", "--xmpps-bind-address"},
		{o.metrics, "Metrics", "--metrics-bind-address"},
	} {
		ln, err := listen(ctx, l.address, l.who, l.option)
		if err != nil {
			return err
		}
		if ln != nil {
			ln.Close()
		}
	}
	return nil
}

// explainManager names the option behind a socket of the manager that is taken.
func explainManager(err error, o *options) error {
	var op *net.OpError
	if !errors.As(err, &op) || !errors.Is(err, syscall.EADDRINUSE) || op.Addr == nil {
		return err
	}
	_, port, _ := net.SplitHostPort(op.Addr.String())
	if _, p, err := net.SplitHostPort(o.metrics); err == nil && p == port {
		return fmt.Errorf("%s (--metrics-bind-address) cannot be served: another program listens there; stop it or choose another address", o.metrics)
	}
	return err
}
