package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/chat-operator/chat-operator/hack/internal/localkube"
)

// settings are what `up` is told.
type settings struct {
	dir       string // data, certificates, kubeconfigs, logs
	binaries  string // etcd, kube-apiserver, ...
	operator  string // the operator's binary
	config    string // the folder config/ of the repository
	namespace string
	domain    string
	current   bool // use the cluster of KUBECONFIG
	samples   bool
	// controlPlaneOnly leaves the operator out, so that another program can have its database.
	controlPlaneOnly bool
	logLevel         string

	xmpp, xmpps, rest, restTLS, health, metrics  port
	apiServer, etcd, etcdPeer, controllerManager port
	passOn                                       []string // further arguments of the operator
}

// port is a port with what messages call it and the make variable that changes it.
type port struct {
	number         int
	what, variable string
}

func (p port) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.number)) }

func parseSettings(args []string) (*settings, error) {
	s := &settings{}
	flags := flag.NewFlagSet("up", flag.ContinueOnError)
	flags.StringVar(&s.dir, "dir", ".run", "folder of data, certificates, kubeconfigs and logs")
	flags.StringVar(&s.binaries, "binaries", "bin/k8s", "folder of etcd, kube-apiserver, kube-controller-manager and kubectl")
	flags.StringVar(&s.operator, "operator", "bin/chat-operator", "the operator's binary")
	flags.StringVar(&s.config, "config", "config", "folder of the manifests")
	flags.StringVar(&s.namespace, "namespace", "chat", "namespace, that is: chat server")
	flags.StringVar(&s.domain, "domain", "localhost", "XMPP domain")
	flags.BoolVar(&s.samples, "samples", true, "apply config/samples")
	flags.BoolVar(&s.controlPlaneOnly, "control-plane-only", false, "start no operator, so that its database is free for an import")
	free := flags.Bool("free-ports", false, "find a free port for whatever no other flag gives one")
	flags.StringVar(&s.logLevel, "log-level", "info", "the operator's log level")
	cluster := flags.String("cluster", "local", `"local" starts a control plane, "current" uses the cluster of KUBECONFIG`)
	for _, p := range s.portFlags() {
		*p.port = port{what: p.what, variable: p.variable}
		flags.IntVar(&p.port.number, p.flag, p.number, "port of "+p.what)
	}
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	switch *cluster {
	case "local":
	case "current":
		s.current = true
	default:
		return nil, fmt.Errorf("CLUSTER=%s is neither local nor current", *cluster)
	}
	if s.current && s.controlPlaneOnly {
		return nil, errors.New("with CLUSTER=current and OPERATOR=false there is nothing to start")
	}
	if *free {
		if err := s.takeFreePorts(flags); err != nil {
			return nil, err
		}
	}
	s.passOn = flags.Args()
	for _, path := range []*string{&s.dir, &s.binaries, &s.operator, &s.config} {
		abs, err := filepath.Abs(*path)
		if err != nil {
			return nil, err
		}
		*path = abs
	}
	return s, nil
}

// portFlag is a flag of `up` that sets a port.
type portFlag struct {
	port           *port
	flag           string
	number         int // its default
	what, variable string
}

func (s *settings) portFlags() []portFlag {
	return []portFlag{
		{&s.xmpp, "xmpp-port", 5222, "XMPP with STARTTLS", "XMPP_PORT"},
		{&s.xmpps, "xmpps-port", 5223, "XMPP with direct TLS", "XMPPS_PORT"},
		{&s.rest, "rest-port", 9090, "the REST server", "REST_PORT"},
		{&s.restTLS, "rest-tls-port", 9091, "the REST server with TLS", "REST_TLS_PORT"},
		{&s.health, "health-port", 18081, "the operator's probes", "HEALTH_PORT"},
		{&s.metrics, "metrics-port", 18080, "the operator's metrics", "METRICS_PORT"},
		{&s.apiServer, "apiserver-port", 16443, "the API server", "APISERVER_PORT"},
		{&s.etcd, "etcd-port", 12379, "etcd", "ETCD_PORT"},
		{&s.etcdPeer, "etcd-peer-port", 12380, "etcd's peers", "ETCD_PEER_PORT"},
		{&s.controllerManager, "controller-manager-port", 20257, "the controller manager", "CONTROLLER_MANAGER_PORT"},
	}
}

// takeFreePorts gives every listener a free port whose flag has not been given.
func (s *settings) takeFreePorts(flags *flag.FlagSet) error {
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	all := s.portFlags()
	ports, err := localkube.FreePorts(len(all))
	if err != nil {
		return err
	}
	for i, p := range all {
		if !given[p.flag] {
			p.port.number = ports[i]
		}
	}
	return nil
}

// dataDir is the folder with the operator's database.
func (s *settings) dataDir() string { return filepath.Join(s.dir, "operator") }

// freePorts prints flags that give every listener a free port.
func freePorts(out io.Writer) error {
	flags := (&settings{}).portFlags()
	ports, err := localkube.FreePorts(len(flags))
	if err != nil {
		return err
	}
	for i, f := range flags {
		fmt.Fprintf(out, "--%s=%d\n", f.flag, ports[i])
	}
	return nil
}

// ports are the ports that will be listened on.
func (s *settings) ports() []port {
	var ports []port
	if !s.controlPlaneOnly {
		ports = append(ports, s.xmpp, s.xmpps, s.rest, s.restTLS, s.health, s.metrics)
	}
	if !s.current {
		ports = append(ports, s.apiServer, s.etcd, s.etcdPeer, s.controllerManager)
	}
	return ports
}

// waitPorts is checkPorts with patience: it gives busy ports some time to become free.
func waitPorts(ctx context.Context, ports []port, patience time.Duration) error {
	for deadline := time.Now().Add(patience); ; {
		err := checkPorts(ports)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// checkPorts names every port that is taken or given twice, before anything is started.
func checkPorts(ports []port) error {
	var errs []error
	users := map[int]port{}
	for _, p := range ports {
		if other, twice := users[p.number]; twice {
			errs = append(errs, fmt.Errorf("port %d is meant for %s and for %s; give one of them another with %s=PORT", p.number, other.what, p.what, p.variable))
			continue
		}
		users[p.number] = p
		ln, err := net.Listen("tcp", p.address())
		if err != nil {
			errs = append(errs, fmt.Errorf("port %d, meant for %s, is not free (%w); end what listens there, or choose another: make run %s=PORT", p.number, p.what, err, p.variable))
			continue
		}
		_ = ln.Close()
	}
	if len(errs) > 0 {
		errs = append(errs, errors.New("to have free ports for everything: make run PORTS=free"))
	}
	return errors.Join(errs...)
}

// checkBinaries names what is missing of the programs that are needed.
func (s *settings) checkBinaries() error {
	var needed []string
	if !s.controlPlaneOnly {
		needed = append(needed, s.operator)
	}
	if !s.current {
		needed = append(needed, filepath.Join(s.binaries, "etcd"), filepath.Join(s.binaries, "kube-apiserver"))
	}
	var missing []string
	for _, path := range needed {
		if _, err := os.Stat(path); err != nil {
			missing = append(missing, path)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%s not found; where KUBEBUILDER_ASSETS is set it must name a folder that holds them", strings.Join(missing, ", "))
	}
	_, err := s.kubectlPath()
	return err
}

// kubectlPath prefers kubectl beside the control plane: it is of the same version.
func (s *settings) kubectlPath() (string, error) {
	own := filepath.Join(s.binaries, "kubectl")
	if _, err := os.Stat(own); err == nil {
		return own, nil
	}
	path, err := exec.LookPath("kubectl")
	if err != nil {
		return "", fmt.Errorf("kubectl is neither in %s nor in the PATH", s.binaries)
	}
	return path, nil
}
