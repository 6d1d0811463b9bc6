// Package servers starts the servers that the benchmark compares, configured alike: the same certificate, TLS 1.3 on loopback, the
// same accounts with SCRAM verifiers of 4,096 iterations, no limits of rate, no federation, no archive, chat rooms of any
// size, logs from warnings on.
package servers

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/chat-operator/chat-operator/hack/bench/internal/client"
	"github.com/chat-operator/chat-operator/hack/bench/internal/load"
	"github.com/chat-operator/chat-operator/hack/bench/internal/procs"
	"github.com/chat-operator/chat-operator/hack/bench/internal/relay"
)

// Server is one of the servers.
type Server interface {
	// Name is how flags and tables call it.
	Name() string
	// Missing says why it cannot be run here; nil when it can.
	Missing() error
	// Prepare writes configuration and makes accounts; they are kept from one start to the next.
	Prepare(ctx context.Context) error
	// Start starts it; when it returns, accounts can log in.
	Start(ctx context.Context) (*load.Target, error)
	// Stop ends it.
	Stop() error
}

// Domain is the XMPP domain of all.
const Domain = "localhost"

// Rooms is the domain of the chat rooms of all, and History how many messages a room keeps for those who enter it.
const (
	Rooms   = "conference." + Domain
	History = 50
)

// Iterations of PBKDF2, and the salt, which all accounts share so that they can be made quickly; neither changes what a login costs.
const (
	Iterations = relay.Iterations
	Salt       = relay.Salt
)

// startLimit bounds one start.
const startLimit = 2 * time.Minute

// Env is what all servers have in common.
type Env struct {
	Launcher  *procs.Launcher
	Dir       string // files of this run
	Accounts  int
	Password  string
	Mechanism client.Mechanism
	CPUs      string // that servers keep to; empty: all
	// Self is where this program is, Repo the repository, Operator and Assets what is built of it.
	Self, Repo, Operator, Assets string
	// Profile is where the operator serves profiles; empty: nowhere.
	Profile string

	keys client.KeyCache
	pool *x509.CertPool
}

// CertFile has the certificate of all servers.
func (e *Env) CertFile() string { return e.certFile() }

func (e *Env) certFile() string { return filepath.Join(e.Dir, "server.crt") }
func (e *Env) keyFile() string  { return filepath.Join(e.Dir, "server.key") }
func (e *Env) bothFile() string { return filepath.Join(e.Dir, "server.pem") }

func (e *Env) log(name string) string { return filepath.Join(e.Dir, "logs", name+".log") }

// WriteCertificate makes the certificate: ECDSA P-256.
func (e *Env) WriteCertificate() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: Domain}, DNSNames: []string{Domain},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(0, 0, 7), BasicConstraintsValid: true, IsCA: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	e.pool = x509.NewCertPool()
	e.pool.AppendCertsFromPEM(certPEM)
	return errors.Join(
		os.WriteFile(e.certFile(), certPEM, 0o600),
		os.WriteFile(e.keyFile(), keyPEM, 0o600),
		os.WriteFile(e.bothFile(), append(certPEM, keyPEM...), 0o600),
	)
}

// ServerTLS is the configuration of a server that is written in Go.
func ServerTLS(certFile, keyFile string) (*tls.Config, error) {
	certificate, err := tls.LoadX509KeyPair(certFile, keyFile)
	return &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate}, NextProtos: []string{"xmpp-client"}}, err
}

// target describes a server that has been started.
func (e *Env) target(port, pid int) *load.Target {
	t := NewTarget(address(port), e.pool, e.Mechanism, &e.keys)
	t.PID, t.Password, t.Accounts = pid, e.Password, e.Accounts
	return t
}

// NewTarget says how clients reach a server.
func NewTarget(addr string, roots *x509.CertPool, m client.Mechanism, keys *client.KeyCache) *load.Target {
	return &load.Target{Client: client.Config{
		Addr: addr, Domain: Domain, Mechanism: m, Keys: keys, Timeout: 30 * time.Second,
		// One key exchange for all, since not all know a newer one; no tickets: each login is a whole handshake.
		TLS: &tls.Config{
			RootCAs: roots, ServerName: Domain, MinVersion: tls.VersionTLS13, NextProtos: []string{"xmpp-client"},
			CurvePreferences: []tls.CurveID{tls.X25519}, SessionTicketsDisabled: true,
		},
	}}
}

// verifier is what servers keep of a password.
func (e *Env) verifier(m client.Mechanism, password string) (stored, server []byte, err error) {
	k, err := e.keys.Keys(m, password, []byte(Salt), Iterations)
	if err != nil {
		return nil, nil, err
	}
	stored, server = k.Verifier()
	return stored, server, nil
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// probe logs the last account in: the server has all of them then.
func probe(ctx context.Context, t *load.Target) error {
	c, err := client.Login(ctx, t.Client, load.Username(t.Accounts-1), t.Password, "probe")
	if err != nil {
		return err
	}
	return c.Close()
}

// one is the process of a server, if it runs.
type one struct{ process *procs.Process }

// Stop ends the server.
func (o *one) Stop() error {
	if o.process == nil {
		return nil
	}
	err := o.process.Stop()
	o.process = nil
	return err
}

// All returns all servers in the order of the table.
func All(e *Env) []Server {
	return []Server{
		&floor{env: e, name: "floor"}, &floor{env: e, name: "floor-coalescing", coalesce: true},
		&operator{env: e}, &prosody{env: e}, &ejabberd{env: e},
	}
}

// IsPeer tells the servers of others from ours and the floor.
func IsPeer(name string) bool { return name == prosodyName || name == ejabberdName }

// Names of the servers.
const (
	FloorName    = "floor"
	SelfName     = "self"
	prosodyName  = "prosody"
	ejabberdName = "ejabberd"
)

func missing(program, hint string) error {
	return fmt.Errorf("%s is not installed (%s)", program, hint)
}
