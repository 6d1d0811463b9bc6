// Command bench measures chat-operator against what the machine allows and against other servers, all in one run and with one
// generator of load. `make bench` runs it; docs/performance.md explains what it prints.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/chat-operator/chat-operator/hack/bench/internal/client"
	"github.com/chat-operator/chat-operator/hack/bench/internal/procs"
	"github.com/chat-operator/chat-operator/hack/bench/internal/relay"
	"github.com/chat-operator/chat-operator/hack/bench/internal/servers"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once, and the kernel what it started
	var err error
	switch {
	case len(os.Args) > 1 && os.Args[1] == "relay":
		err = serveRelay(ctx, os.Args[2:])
	case len(os.Args) > 1 && os.Args[1] == "quiet":
		err = serveQuiet(ctx, os.Args[2:])
	default:
		err = bench(ctx, os.Args[1:])
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

// serveRelay is the floor's own process.
func serveRelay(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("relay", flag.ContinueOnError)
	addr := flags.String("addr", "127.0.0.1:5223", "address to listen on")
	domain := flags.String("domain", servers.Domain, "XMPP domain")
	cert := flags.String("cert", "", "certificate (PEM)")
	key := flags.String("key", "", "its key (PEM)")
	coalesce := flags.Bool("coalesce", false, "gather what goes to one client while a write is under way")
	if err := flags.Parse(args); err != nil {
		return err
	}
	config, err := servers.ServerTLS(*cert, *key)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", *addr)
	if err != nil {
		return err
	}
	return relay.New(relay.Config{Domain: *domain, TLS: config, Password: os.Getenv(servers.RelayPassword), Coalesce: *coalesce}).Serve(ctx, ln)
}

// plan is what to measure, and how much of it.
type plan struct {
	rounds   int
	sessions int           // that log in and stay idle
	idle     time.Duration // before memory is read; 0: not
	pairs    int
	window   int
	duration time.Duration // of the closed and of the open loop, each
	warm     time.Duration
	rate     int // messages a second of the open loop
	offline  int // messages
	timing   int // refused logins of each kind; 0: none

	occupants    int // of the large room; 0: none
	roomDuration time.Duration
	many         int // small rooms; 0: none
	users        int // that are applied while the REST API is used; 0: REST is not measured
	declared     int // accounts that are applied, for what they take, in the first round; 0: none

	what []string // to measure, of steps; empty: everything
}

// steps of a visit, in their order.
var steps = []string{"sessions", "messages", "offline", "timing", "rooms", "rest", "scale"}

func (p plan) wants(step string) bool { return len(p.what) == 0 || slices.Contains(p.what, step) }

const warmLogins = 20

func (p plan) accounts() int {
	n := max(p.sessions, 2*p.pairs, warmLogins, 2)
	if p.occupants > 0 {
		n = max(n, p.occupants+quietOccupants)
	}
	if p.many > 0 {
		n = max(n, manySessions)
	}
	return n
}

func (p plan) check() error {
	if p.rounds < 1 || p.sessions < 1 || p.pairs < 1 || p.window < 1 || p.rate < 1 || p.duration <= 0 {
		return errors.New("rounds, sessions, pairs, window, rate and duration must be more than nothing")
	}
	if p.occupants > 0 && p.roomDuration < time.Second {
		return errors.New("room-duration must be a second at least")
	}
	for _, what := range p.what {
		if !slices.Contains(steps, what) {
			return fmt.Errorf("-what %s is not known; there are %s", what, strings.Join(steps, ", "))
		}
	}
	if p.sessions > 15000 {
		return errors.New("more than 15,000 sessions do not fit into the ports and files of one machine")
	}
	return nil
}

func bench(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	var p plan
	flags.IntVar(&p.rounds, "rounds", 3, "rounds; each visits every server once")
	flags.IntVar(&p.sessions, "n", 2000, "sessions that log in and then are idle")
	flags.DurationVar(&p.idle, "idle", 15*time.Second, "how long they are idle before memory is read; 0: memory is not measured")
	flags.IntVar(&p.pairs, "pairs", 50, "pairs of the 1:1 messages")
	flags.IntVar(&p.window, "window", 8, "messages under way a pair in the closed loop")
	flags.DurationVar(&p.duration, "duration", 5*time.Second, "of the closed and of the open loop, each")
	flags.DurationVar(&p.warm, "warm", time.Second, "time before each of them that does not count")
	flags.IntVar(&p.rate, "rate", 1000, "messages a second in the open loop")
	flags.IntVar(&p.offline, "offline", 10000, "messages to accounts that are away; 0: none")
	flags.IntVar(&p.timing, "timing", 400, "logins refused for a wrong password, and as many of unknown accounts, compared in time; 0: none")
	flags.IntVar(&p.occupants, "occupants", 500, "occupants of the large room; 0: none")
	flags.DurationVar(&p.roomDuration, "room-duration", 3*time.Second, "of each measure in the large room, and in a quiet one beside it")
	flags.IntVar(&p.many, "many", 10000, "rooms of ten, for their memory, in the first round; 0: none")
	what := flags.String("what", "", "what to measure, comma list of "+strings.Join(steps, ", ")+"; empty: everything")
	only := flags.String("only", "", "servers, comma list of floor, floor-coalescing, self, prosody, ejabberd; empty: all that are here")
	pin := flags.String("pin", "auto", "processor that servers keep to, the generator has the others; auto: 0 where there are several; none: nobody is bound")
	mechanism := flags.String("mechanism", string(client.SHA1), "SCRAM-SHA-1 or SCRAM-SHA-256")
	repo := flags.String("repo", ".", "the repository")
	operator := flags.String("operator", "", "the operator's program; empty: bin/chat-operator of the repository")
	flags.IntVar(&p.users, "users", 10_000, "users that are applied while the REST API is used, and listed; 0: REST is not measured")
	flags.IntVar(&p.declared, "declared", 10_000, "accounts with Secrets that are applied in the first round, for what they take; 0: none")
	assets := flags.String("assets", os.Getenv("KUBEBUILDER_ASSETS"), "folder of etcd and kube-apiserver; empty: bin/k8s of the repository")
	out := flags.String("out", "", "folder for raw samples (CSV), configurations and logs; empty: a new one of the system's temporary files")
	keep := flags.Bool("keep", false, "keep the servers' data, too")
	profile := flags.Duration("profile", 0, "take a processor profile of this length and a heap profile of the operator in each measure, in the first round; 0: none")
	if err := flags.Parse(args); err != nil {
		return err
	}
	p.what = list(*what)
	if err := p.check(); err != nil {
		return err
	}
	m := client.Mechanism(*mechanism)
	if m != client.SHA1 && m != client.SHA256 {
		return fmt.Errorf("-mechanism %s is not known", m)
	}
	cpus, err := bindTo(*pin)
	if err != nil {
		return err
	}
	debug.SetGCPercent(400) // the generator shares the machine

	dir, err := outDir(*out)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	root, err := filepath.Abs(*repo)
	if err != nil {
		return err
	}
	data, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	if *keep {
		fmt.Println("The servers' data stays in", data)
	} else {
		defer func() { err = errors.Join(err, os.RemoveAll(data)) }()
	}
	// The launcher outlives ctx: it is what ends its processes in an orderly way.
	launching, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	env := &servers.Env{
		Launcher: procs.NewLauncher(launching), Dir: data, Accounts: p.accounts(), Password: rand.Text(), Mechanism: m, CPUs: cpus,
		Self: self, Repo: root, Operator: *operator, Assets: *assets,
	}
	if env.Operator == "" {
		env.Operator = filepath.Join(root, "bin", "chat-operator")
	}
	if env.Assets == "" {
		env.Assets = filepath.Join(root, "bin", "k8s")
	}
	if *profile > 0 || p.declared > 0 && p.wants("scale") {
		ports, err := procs.FreePorts(1)
		if err != nil {
			return err
		}
		env.Profile = fmt.Sprintf("127.0.0.1:%d", ports[0])
	}
	chosen, err := choose(servers.All(env), *only)
	if err != nil {
		return err
	}
	if err := env.WriteCertificate(); err != nil {
		return err
	}
	b := &runner{plan: p, env: env, servers: chosen, dir: dir, profile: *profile, results: newResults(), say: os.Stdout}
	runErr := b.run(ctx)
	fmt.Println()
	err = errors.Join(runErr, b.results.writeCSV(dir), copyLogs(data, dir))
	b.results.print(os.Stdout, p, chosen, describe(cpus, m))
	fmt.Printf("\nRaw samples and logs: %s\n", dir)
	return err
}

func outDir(dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "bench-samples")
	}
	return dir, os.MkdirAll(dir, 0o755)
}

// list splits what a flag has between commas.
func list(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

// choose picks the wanted servers and says a word of each that cannot be run.
func choose(all []servers.Server, only string) ([]servers.Server, error) {
	wanted := list(only)
	var chosen []servers.Server
	for _, s := range all {
		i := slices.Index(wanted, s.Name())
		if only != "" && i < 0 {
			continue
		}
		if i >= 0 {
			wanted = slices.Delete(wanted, i, i+1)
		}
		if err := s.Missing(); err != nil {
			fmt.Printf("Without %s: %v\n", s.Name(), err)
			continue
		}
		chosen = append(chosen, s)
	}
	if len(wanted) > 0 {
		return nil, fmt.Errorf("-only: there is no server %s", strings.Join(wanted, ", "))
	}
	if len(chosen) == 0 {
		return nil, errors.New("there is no server to measure")
	}
	return chosen, nil
}

// bindTo gives servers one processor and this program the others.
func bindTo(pin string) (string, error) {
	switch {
	case pin == "none" || pin == "auto" && runtime.NumCPU() < 2:
		return "", nil
	case pin == "auto":
		pin = "0"
	}
	if _, err := exec.LookPath("taskset"); err != nil {
		return "", fmt.Errorf("taskset (util-linux) is needed to bind servers to a processor; without: -pin none: %w", err)
	}
	return pin, procs.Avoid(pin)
}

func describe(cpus string, m client.Mechanism) string {
	where := "nobody bound to a processor"
	if cpus != "" {
		where = "servers on processor " + cpus + ", generator on the others"
	}
	return fmt.Sprintf("%d processors, %s; TLS 1.3, X25519, ECDSA P-256, %s; %s/%s, %s",
		runtime.NumCPU(), where, m, runtime.GOOS, runtime.GOARCH, runtime.Version())
}

func copyLogs(from, to string) error {
	logs := filepath.Join(from, "logs")
	if _, err := os.Stat(logs); err != nil {
		return nil //nolint:nilerr // nothing was started
	}
	target := filepath.Join(to, "logs")
	if err := os.RemoveAll(target); err != nil {
		return err
	}
	return os.CopyFS(target, os.DirFS(logs))
}
