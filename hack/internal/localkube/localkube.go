// Package localkube runs a real Kubernetes control plane on loopback: etcd, an API server and, where its binary is at hand,
// the controller manager with the few controllers that matter without nodes (namespaces, garbage collection, service accounts).
// `make run` and the end-to-end suites stand on it; hack/internal/node adds what it takes to run Pods. It downloads nothing and knows
// nothing of what runs in the cluster.
package localkube

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/chat-operator/chat-operator/hack/internal/supervise"
)

// Config says where a control plane lives.
type Config struct {
	// Binaries is the folder with etcd and kube-apiserver, and kube-controller-manager where there is one.
	Binaries string
	// Dir keeps data, certificates, kubeconfigs and logs.
	Dir string
	// Ports on 127.0.0.1.
	APIPort, EtcdPort, EtcdPeerPort, ControllerManagerPort int
	// NodeAddress makes it the control plane of a cluster with a node: the API server listens at this address, which Pods and the kubelet
	// can reach, and every controller runs. Empty: no node, and nothing is reachable but on loopback.
	NodeAddress string
	// Namespace is the one that its kubeconfigs mean where a command names none; empty: Kubernetes' own default.
	Namespace string
	// Throwaway trades the safety of the data in a power failure for speed: for tests.
	Throwaway bool
	// APIServerArgs are added to the API server's arguments.
	APIServerArgs []string
}

// Cluster is a control plane.
type Cluster struct {
	cfg   Config
	group *supervise.Group
	pki   *pki

	etcd, apiServer, controllerManager *supervise.Process
}

// New prepares a control plane: folders, certificates and the administrator's kubeconfig. Nothing runs yet.
func New(cfg Config, group *supervise.Group) (*Cluster, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the control plane's folder: %w", err)
	}
	p, err := newPKI(filepath.Join(cfg.Dir, "pki"), cfg.NodeAddress)
	if err != nil {
		return nil, err
	}
	c := &Cluster{cfg: cfg, group: group, pki: p}
	return c, c.WriteKubeconfig(c.Kubeconfig(), "kubernetes-admin", "system:masters")
}

// Kubeconfig is the administrator's kubeconfig file.
func (c *Cluster) Kubeconfig() string { return filepath.Join(c.cfg.Dir, "kubeconfig") }

// URL is the API server's address.
func (c *Cluster) URL() string {
	return "https://" + net.JoinHostPort(c.address(), strconv.Itoa(c.cfg.APIPort))
}

// address is where the API server listens.
func (c *Cluster) address() string {
	if c.cfg.NodeAddress != "" {
		return c.cfg.NodeAddress
	}
	return "127.0.0.1"
}

// CA is the file with the certificate that the API server's is signed with.
func (c *Cluster) CA() string { return c.pki.path("ca.crt") }

// ClientCertificate makes a client certificate for a user of the cluster.
func (c *Cluster) ClientCertificate(user string, groups ...string) (tls.Certificate, error) {
	certPEM, keyPEM, err := c.pki.kube.client(user, groups)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(certPEM, keyPEM)
}

// Processes are the processes that run, in the order of their start.
func (c *Cluster) Processes() []*supervise.Process {
	var procs []*supervise.Process
	for _, p := range []*supervise.Process{c.etcd, c.apiServer, c.controllerManager} {
		if p != nil {
			procs = append(procs, p)
		}
	}
	return procs
}

// HasControllerManager reports whether the binaries include the controller manager.
func (c *Cluster) HasControllerManager() bool {
	_, err := os.Stat(c.binary("kube-controller-manager"))
	return err == nil
}

// Start starts everything and returns when the API server answers its readiness check.
func (c *Cluster) Start(ctx context.Context) error {
	if err := c.startEtcd(); err != nil {
		return err
	}
	if err := c.StartAPIServer(ctx); err != nil {
		return err
	}
	if !c.HasControllerManager() {
		return nil
	}
	return c.startControllerManager()
}

func (c *Cluster) startEtcd() (err error) {
	client, peer := "https://"+loopback(c.cfg.EtcdPort), "https://"+loopback(c.cfg.EtcdPeerPort)
	args := []string{
		"--name=local",
		"--data-dir=" + filepath.Join(c.cfg.Dir, "etcd"),
		"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=local=" + peer,
		// Every local user can reach loopback, and Secrets are in there: certificates for both ports.
		"--cert-file=" + c.pki.path("etcd.crt"), "--key-file=" + c.pki.path("etcd.key"),
		"--trusted-ca-file=" + c.pki.path("etcd-ca.crt"), "--client-cert-auth",
		"--peer-cert-file=" + c.pki.path("etcd.crt"), "--peer-key-file=" + c.pki.path("etcd.key"),
		"--peer-trusted-ca-file=" + c.pki.path("etcd-ca.crt"), "--peer-client-cert-auth",
		// Apart from HTTP, for which nobody asks, it serves gRPC with a fifth less processor time.
		"--listen-client-http-urls=https://" + loopback(0),
		"--log-level=warn", "--logger=zap",
	}
	if c.cfg.Throwaway {
		args = append(args, "--unsafe-no-fsync")
	}
	c.etcd, err = c.group.Start(c.spec("etcd", args))
	return err
}

// StartAPIServer starts the API server, again after StopAPIServer or KillAPIServer, and returns when it is ready.
func (c *Cluster) StartAPIServer(ctx context.Context) (err error) {
	args := []string{
		"--etcd-servers=https://" + loopback(c.cfg.EtcdPort),
		"--etcd-cafile=" + c.pki.path("etcd-ca.crt"),
		"--etcd-certfile=" + c.pki.path("etcd-client.crt"), "--etcd-keyfile=" + c.pki.path("etcd-client.key"),
		"--bind-address=" + c.address(), "--advertise-address=" + c.address(),
		"--secure-port=" + strconv.Itoa(c.cfg.APIPort),
		"--tls-cert-file=" + c.pki.path("apiserver.crt"), "--tls-private-key-file=" + c.pki.path("apiserver.key"),
		"--client-ca-file=" + c.pki.path("ca.crt"),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + c.pki.path("serviceaccounts.key"),
		"--service-account-signing-key-file=" + c.pki.path("serviceaccounts.key"),
	}
	// It is not on by itself, and is on OpenShift: whoever makes a thing block the deletion of its owner needs the right to change that owner's finalizers.
	plugins := "OwnerReferencesPermissionEnforcement"
	if c.cfg.NodeAddress == "" {
		args = append(args, "--authorization-mode=RBAC", "--service-cluster-ip-range=10.0.0.0/24",
			// A loopback address can be no Service endpoint, and no Pod is here to ask for one.
			"--endpoint-reconciler-type=none")
	} else {
		plugins += ",NodeRestriction"
		args = append(args, "--authorization-mode=Node,RBAC", "--service-cluster-ip-range="+serviceRange,
			// For logs and exec: the node's name is in no DNS.
			"--kubelet-preferred-address-types=InternalIP",
			"--kubelet-client-certificate="+c.pki.path("kubelet-client.crt"), "--kubelet-client-key="+c.pki.path("kubelet-client.key"))
	}
	args = append(args, "--enable-admission-plugins="+plugins)
	c.apiServer, err = c.group.Start(c.spec("kube-apiserver", append(args, c.cfg.APIServerArgs...)))
	if err != nil {
		return err
	}
	return c.apiServer.WaitReady(ctx, func(ctx context.Context) error { return c.Get(ctx, "/readyz") })
}

// StopAPIServer stops the API server in order; KillAPIServer ends it at once. Everything else keeps running.
func (c *Cluster) StopAPIServer() error { return c.apiServer.Stop() }

// KillAPIServer ends the API server as a crash would.
func (c *Cluster) KillAPIServer() { c.apiServer.Kill() }

func (c *Cluster) startControllerManager() (err error) {
	kubeconfig := filepath.Join(c.cfg.Dir, "kube-controller-manager.kubeconfig")
	if err := c.WriteKubeconfig(kubeconfig, "system:kube-controller-manager"); err != nil {
		return err
	}
	controllers := "namespace-controller,garbage-collector-controller,clusterrole-aggregation-controller," +
		"serviceaccount-controller,serviceaccount-token-controller,root-ca-certificate-publisher-controller"
	if c.cfg.NodeAddress != "" {
		controllers = "*"
	}
	args := []string{
		"--kubeconfig=" + kubeconfig, "--authentication-kubeconfig=" + kubeconfig, "--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(c.cfg.ControllerManagerPort),
		"--cert-dir=" + filepath.Join(c.cfg.Dir, "pki"),
		"--leader-elect=false",
		// Nobody but local probes asks it anything.
		"--authentication-skip-lookup",
		"--controllers=" + controllers,
		"--service-account-private-key-file=" + c.pki.path("serviceaccounts.key"),
		"--root-ca-file=" + c.pki.path("ca.crt"),
		"--use-service-account-credentials",
	}
	if c.cfg.NodeAddress != "" {
		// Namespaces are deleted one kind at a time, and whoever waits for that has the API server alone.
		args = append(args, "--kube-api-qps=500", "--kube-api-burst=1000")
	}
	c.controllerManager, err = c.group.Start(c.spec("kube-controller-manager", args))
	return err
}

// Get asks the API server for a path as the administrator and returns an error unless the answer is 200.
func (c *Cluster) Get(ctx context.Context, path string) error {
	client, err := c.adminClient()
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL()+path, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s: %s", path, resp.Status, body)
	}
	return nil
}

func (c *Cluster) adminClient() (*http.Client, error) {
	cert, err := c.ClientCertificate("kubernetes-admin", "system:masters")
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		MinVersion: tls.VersionTLS12, RootCAs: c.pki.kube.pool(), Certificates: []tls.Certificate{cert},
	}}}, nil
}

func (c *Cluster) binary(name string) string { return filepath.Join(c.cfg.Binaries, name) }

func (c *Cluster) spec(name string, args []string) supervise.Spec {
	// A machine that has much else to do takes a while to end them.
	return supervise.Spec{Name: name, Path: c.binary(name), Args: args, Log: filepath.Join(c.cfg.Dir, "logs", name+".log"), Grace: 30 * time.Second}
}

// The Services of a cluster with a node; the API server's own has the first address (kubernetes.default).
const (
	serviceRange   = "10.96.0.0/16"
	firstServiceIP = "10.96.0.1"
)

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
