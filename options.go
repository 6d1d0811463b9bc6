package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client/config"

	"github.com/chat-operator/chat-operator/controllers/provision"
	"github.com/chat-operator/chat-operator/controllers/transfer"
	"github.com/chat-operator/chat-operator/xmpp"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stream"
)

// off is the address that switches a listener off.
const off = "0"

// options is what the command line decides.
type options struct {
	namespace, domain, secretName string
	node                          string
	dataDir, certFile, keyFile    string
	moveFrom                      string // namespace that the database may be of
	xmpp, xmpps, rest, restTLS    string // addresses
	probes, metrics, profiles     string
	host                          string
	proxies, xmppProxies          []netip.Prefix
	restTLSProxies                []netip.Prefix
	leaderElect                   bool
	logLevel                      slog.Level
	kubernetes                    *rest.Config
}

const usage = `Usage: chat-operator [flags]
       chat-operator check|export|import [flags]
       chat-operator help|version

Without a command, it is the operator and the chat server of a namespace. Its commands, each of which has a --help of its own:

  check   log in as clients do, and say whether it worked
  export  write everything of an installation down, as a backup
  import  read a backup in, or the users of another server

Flags:
`

// parseOptions fails with flag.ErrHelp where help or the version was asked for, and was given.
func parseOptions(args []string, out io.Writer) (*options, error) {
	o := &options{}
	if len(args) == 1 && (args[0] == "help" || args[0] == "version") {
		args = []string{"--" + args[0]} // people try both
	}
	var proxies, xmppProxies, restTLSProxies string
	flags := flag.NewFlagSet("chat-operator", flag.ContinueOnError)
	flags.Usage = func() { fmt.Fprint(flags.Output(), usage); flags.PrintDefaults() }
	flags.StringVar(&o.namespace, "namespace", "", "namespace whose chat resources make this chat server; "+transfer.NamespaceUsage)
	flags.StringVar(&o.domain, "domain", "localhost", "XMPP domain: the part of addresses after the @")
	flags.StringVar(&o.host, "host", "", "host name under which programs reach the server, for generated Secrets; empty: the domain")
	flags.StringVar(&o.secretName, "secret-name", "chat-operator", "Secret with the installation's own keys, made at the first start")
	flags.StringVar(&o.dataDir, "data-dir", "data", "folder of the database and the self-signed certificate")
	flags.StringVar(&o.moveFrom, "move-from-namespace", "", "namespace whose server's database this one takes over; empty: a database of another namespace is refused")
	flags.StringVar(&o.certFile, "tls-cert-file", "", "certificate with its chain (PEM), read anew when it changes; empty: a self-signed one")
	flags.StringVar(&o.keyFile, "tls-key-file", "", "key of the certificate (PEM)")
	flags.StringVar(&o.xmpp, "xmpp-bind-address", ":5222", "address for XMPP with STARTTLS; 0: off")
	flags.StringVar(&o.xmpps, "xmpps-bind-address", ":5223", "address for XMPP with direct TLS; 0: off")
	flags.StringVar(&xmppProxies, "xmpp-trusted-proxies", "", "networks (CIDR, comma list) of load balancers that open each XMPP connection with a PROXY header, version 1 or 2; "+
		"empty: the protocol is off")
	flags.StringVar(&o.rest, "rest-bind-address", ":9090", "address of the REST server without encryption; 0: off")
	flags.StringVar(&o.restTLS, "rest-tls-bind-address", ":9091", "address of the REST server with TLS, by the same certificate as XMPP; 0: off")
	flags.StringVar(&proxies, "rest-trusted-proxies", "", "networks (CIDR, comma list) whose X-Forwarded-For header the REST server believes")
	flags.StringVar(&restTLSProxies, "rest-tls-trusted-proxies", "", "networks (CIDR, comma list) of load balancers and gateways that open each connection to "+
		"--rest-tls-bind-address with a PROXY header, version 1 or 2; empty: the protocol is off")
	flags.StringVar(&o.probes, "health-probe-bind-address", ":8081", "address of /healthz and /readyz; 0: off")
	flags.StringVar(&o.metrics, "metrics-bind-address", ":8080", "address of /metrics; 0: off")
	flags.StringVar(&o.profiles, "pprof-bind-address", off, "address on the loopback interface for profiles of the running program (/debug/pprof/); 0: off")
	flags.BoolVar(&o.leaderElect, "leader-elect", false, "campaign for a Lease before reporting: for more than one replica")
	flags.Var(level{&o.logLevel}, "log-level", logLevels)
	tell := flags.Bool("version", false, "print the version and end")
	config.RegisterFlags(flags)
	if err := transfer.ParseFlags(flags, args); err != nil {
		return nil, err
	}
	if *tell {
		fmt.Fprintln(out, "chat-operator version", version)
		return nil, flag.ErrHelp
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("%q is not understood: the commands are check, export, import, help and version, and options start with --", flags.Arg(0))
	}
	if o.namespace == "" {
		o.namespace = transfer.DefaultNamespace(flags.Lookup(config.KubeconfigFlagName).Value.String())
	}
	if wrong := validation.IsDNS1123Label(o.namespace); len(wrong) > 0 {
		return nil, fmt.Errorf("--namespace %q is no name of a namespace: %s", o.namespace, wrong[0])
	}
	if wrong := validation.IsDNS1123Subdomain(o.secretName); len(wrong) > 0 {
		return nil, fmt.Errorf("--secret-name %q is no name of a Secret: %s", o.secretName, wrong[0])
	}
	if (o.certFile == "") != (o.keyFile == "") {
		return nil, errors.New("--tls-cert-file and --tls-key-file belong together: give both, or neither for a self-signed certificate")
	}
	domain, err := jid.PrepareDomain(o.domain)
	if err != nil {
		return nil, fmt.Errorf("--domain %q is no XMPP domain: %w", o.domain, err)
	}
	o.domain = domain
	if o.proxies, err = parseNetworks(proxies); err != nil {
		return nil, fmt.Errorf("--rest-trusted-proxies: %w", err)
	}
	if o.xmppProxies, err = parseNetworks(xmppProxies); err != nil {
		return nil, fmt.Errorf("--xmpp-trusted-proxies: %w", err)
	}
	if o.restTLSProxies, err = parseNetworks(restTLSProxies); err != nil {
		return nil, fmt.Errorf("--rest-tls-trusted-proxies: %w", err)
	}
	for option, address := range map[string]string{
		"xmpp-bind-address": o.xmpp, "xmpps-bind-address": o.xmpps, "rest-bind-address": o.rest, "rest-tls-bind-address": o.restTLS,
		"health-probe-bind-address": o.probes, "metrics-bind-address": o.metrics,
	} {
		if _, _, err := net.SplitHostPort(address); err != nil && address != off {
			return nil, fmt.Errorf("--%s %q is no address: write HOST:PORT, :PORT, or 0 to switch it off", option, address)
		}
	}
	if err := checkProfiling(o.profiles); err != nil {
		return nil, err
	}
	if o.node, err = os.Hostname(); err != nil {
		return nil, fmt.Errorf("reading the host name: %w", err)
	}
	if o.kubernetes, err = config.GetConfig(); err != nil {
		return nil, fmt.Errorf("no Kubernetes cluster is configured: give --kubeconfig, set KUBECONFIG, or run in a Pod: %w", err)
	}
	// The API server's own priority and fairness keep order among clients; a limit on this side only delays logins.
	o.kubernetes.QPS = -1
	return o, nil
}

const logLevels = "debug, info, warn or error"

// level is the flag of a log level.
type level struct{ to *slog.Level }

func (l level) String() string {
	if l.to == nil { // package flag looks at an empty one
		return ""
	}
	return l.to.String()
}

func (l level) Set(text string) error {
	if err := l.to.UnmarshalText([]byte(text)); err != nil {
		return errors.New("choose " + logLevels)
	}
	return nil
}

func parseNetworks(list string) (networks []netip.Prefix, err error) {
	for _, one := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' }) {
		network, err := netip.ParsePrefix(one)
		if err != nil {
			address, err := netip.ParseAddr(one)
			if err != nil {
				return nil, fmt.Errorf("%q is neither an address nor a network such as 10.0.0.0/8", one)
			}
			network = netip.PrefixFrom(address, address.BitLen())
		}
		networks = append(networks, network.Masked())
	}
	return networks, nil
}

// listeners are the addresses for XMPP clients.
func (o *options) listeners() (list []xmpp.Listener) {
	for _, l := range []xmpp.Listener{
		{Addr: o.xmpp, Mode: stream.StartTLS, Flag: "--xmpp-bind-address"},
		{Addr: o.xmpps, Mode: stream.DirectTLS, Flag: "--xmpps-bind-address"},
	} {
		if l.Addr != off {
			l.ProxiesFrom = o.xmppProxies
			list = append(list, l)
		}
	}
	return list
}

// endpoint is what generated Secrets tell programs to connect to.
func (o *options) endpoint() provision.Endpoint {
	at := provision.Endpoint{Host: cmp.Or(o.host, o.domain), Port: 5222}
	if _, port, err := net.SplitHostPort(o.xmpp); err == nil {
		if n, err := strconv.Atoi(port); err == nil && n > 0 {
			at.Port = n
		}
	}
	return at
}
