// Package testenv gives the test suites a real API server: the etcd and kube-apiserver of this repository's local control
// plane, with the resources of config/crd installed, and a user that has exactly the rights of config/rbac.
//
// It serves tests only and knows nothing of the operator. It never uses, or looks for, a cluster of the person who runs the tests.
package testenv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/hack/internal/localkube"
)

// Options say what a suite needs beyond an API server with the chat resources.
type Options struct {
	// AuditLog records every request, for Requests and Writes.
	AuditLog bool
	// ControllerManager runs the namespace and garbage-collection controllers, without which a deleted namespace stays
	// Terminating and owned objects outlive their owner.
	ControllerManager bool
	// Output receives what the servers print; nil discards it.
	Output io.Writer
}

// Environment is a running control plane. Its methods may be called from several goroutines, but for Stop,
// StopAPIServer and StartAPIServer, which one goroutine at a time calls.
type Environment struct {
	// Root is the top folder of the repository.
	Root string
	// Kubectl is the path of a kubectl that fits the API server.
	Kubectl string
	// Scheme knows the chat resources and those of Kubernetes itself.
	Scheme *runtime.Scheme
	// Admin may do everything.
	Admin User

	dir     string
	starter *starter
	envtest *envtest.Environment
	manager *controllerManager

	audit auditLog
	users sync.Mutex
	// admin is the administrator's client. Another would ask anew what kinds there are.
	admin func() (client.WithWatch, error)
}

// User is somebody the API server knows.
type User struct {
	// Name is the user's name as the audit log has it.
	Name string
	// Config connects as this user. Copy it before changing it.
	Config *rest.Config
	// Kubeconfig is the path of a file that does the same for kubectl.
	Kubeconfig string
}

// Start starts the control plane and installs the chat resources. A suite calls Stop when it is done. Where setpriv is there, which Linux has, the servers
// also end with a process that does not come to that.
func Start(opts Options) (_ *Environment, err error) {
	root, err := repositoryRoot()
	if err != nil {
		return nil, err
	}
	binaries, err := findBinaries(root, opts.ControllerManager)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "chat-operator-test-")
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	e := &Environment{
		Root:    root,
		Kubectl: binaries["kubectl"],
		Scheme:  scheme,
		dir:     dir,
		starter: newStarter(),
		envtest: &envtest.Environment{
			UseExistingCluster:       new(bool),
			Scheme:                   scheme,
			CRDDirectoryPaths:        []string{filepath.Join(root, "config", "crd", "bases")},
			ErrorIfCRDPathMissing:    true,
			CRDInstallOptions:        envtest.CRDInstallOptions{MaxTime: startLimit},
			ControlPlaneStartTimeout: startLimit,
			ControlPlaneStopTimeout:  stopGrace,
		},
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Stop())
		}
	}()

	// envtest's own choice is among the ports that outgoing connections get: another program may have it before a server listens there, or while the
	// API server is away.
	ports, err := FreePorts(2)
	if err != nil {
		return nil, err
	}
	for _, name := range serverNames(opts.ControllerManager) {
		if binaries[name], err = leash(dir, binaries[name]); err != nil {
			return nil, err
		}
	}
	plane := &e.envtest.ControlPlane
	plane.Etcd = &envtest.Etcd{Path: binaries["etcd"], Out: opts.Output, Err: opts.Output,
		URL: &url.URL{Scheme: "http", Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0]))}}
	plane.KubectlPath = binaries["kubectl"]
	server := plane.GetAPIServer()
	server.SecureServing.Address, server.SecureServing.Port = "127.0.0.1", strconv.Itoa(ports[1])
	server.Path = binaries["kube-apiserver"]
	server.Out, server.Err = opts.Output, opts.Output
	// A folder of our own outlives a stop, and with it the certificates: clients go on when the server is back.
	server.CertDir = filepath.Join(dir, "apiserver")
	if err := os.Mkdir(server.CertDir, 0o700); err != nil {
		return nil, err
	}
	// As on OpenShift: whoever makes a thing block the deletion of its owner needs the right to change that owner's finalizers.
	server.Configure().Append("enable-admission-plugins", "OwnerReferencesPermissionEnforcement")
	if opts.AuditLog {
		if err := e.audit.configure(dir, server.Configure()); err != nil {
			return nil, err
		}
	}
	if err := e.starter.do(func() error { _, err := e.envtest.Start(); return err }); err != nil {
		return nil, fmt.Errorf("start the control plane of %s: %w", filepath.Dir(e.Kubectl), err)
	}
	if e.Admin, err = e.AddUser("admin", "system:masters"); err != nil {
		return nil, err
	}
	e.admin = sync.OnceValues(func() (client.WithWatch, error) { return e.Client(e.Admin) })
	if err := e.awaitKinds(); err != nil {
		return nil, err
	}
	if opts.ControllerManager {
		if err := e.starter.do(func() error {
			e.manager, err = startControllerManager(binaries["kube-controller-manager"], e.Admin.Kubeconfig, opts.Output)
			return err
		}); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// awaitKinds waits until whoever asks for all kinds at once, as kubectl does, is told of those of chat: that is a moment after each is served.
func (e *Environment) awaitKinds() error {
	asks, err := discovery.NewDiscoveryClientForConfig(e.Admin.Config)
	if err != nil {
		return err
	}
	err = wait.PollUntilContextTimeout(context.Background(), 50*time.Millisecond, startLimit, true, func(context.Context) (bool, error) {
		_, lists, err := asks.ServerGroupsAndResources()
		if err != nil {
			return false, nil //nolint:nilerr // not all of it is there yet
		}
		kinds := map[string]bool{}
		for _, list := range lists {
			for i := range list.APIResources {
				if list.GroupVersion == v1alpha1.GroupVersion.String() {
					kinds[list.APIResources[i].Kind] = true
				}
			}
		}
		for _, crd := range e.envtest.CRDInstallOptions.CRDs {
			if !kinds[crd.Spec.Names.Kind] {
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("wait for the kinds of config/crd: %w", err)
	}
	return nil
}

// startLimit is far more than anything here needs to start.
const startLimit = 3 * time.Minute

// stopGrace is how long a server may take to end before it is killed. An API server with open watches would wait a minute for them.
const stopGrace = time.Second

// goneWithin is how long a server that was killed may take to be gone, on a machine that has much else to do.
const goneWithin = time.Minute

// Stop ends the servers and removes their data.
func (e *Environment) Stop() error {
	defer e.starter.end()
	return errors.Join(e.manager.stop(), e.StopAPIServer(), untilGone(e.envtest.Stop), os.RemoveAll(e.dir))
}

// StopAPIServer ends the API server; etcd keeps running. Connections break and new ones are refused.
func (e *Environment) StopAPIServer() error { return untilGone(e.envtest.ControlPlane.APIServer.Stop) }

// untilGone stops servers. envtest reports one that had to be killed as an error, and not whether it is gone then: asking again tells.
func untilGone(stop func() error) error {
	for end := time.Now().Add(goneWithin); ; time.Sleep(stopGrace / 10) {
		if err := stop(); err == nil || time.Now().After(end) {
			return err
		}
	}
}

// StartAPIServer starts the API server again, with the same address, certificates and data, and returns once it is healthy.
func (e *Environment) StartAPIServer() error {
	return e.starter.do(e.envtest.ControlPlane.APIServer.Start)
}

// FreePorts finds n ports of 127.0.0.1 that nobody listens on, nor gets by chance.
func FreePorts(n int) ([]int, error) { return localkube.FreePorts(n) }

// AddUser makes a user of these groups; RBAC decides what they may do.
func (e *Environment) AddUser(name string, groups ...string) (User, error) {
	e.users.Lock()
	defer e.users.Unlock()
	// Tests are not to wait for the client's own rate limit.
	user, err := e.envtest.AddUser(envtest.User{Name: name, Groups: groups}, &rest.Config{QPS: -1})
	if err != nil {
		return User{}, err
	}
	kubeconfig, err := user.KubeConfig()
	if err != nil {
		return User{}, err
	}
	file, err := os.CreateTemp(e.dir, "*.kubeconfig")
	if err != nil {
		return User{}, err
	}
	_, err = file.Write(kubeconfig)
	if err := errors.Join(err, file.Close()); err != nil {
		return User{}, err
	}
	return User{Name: name, Config: user.Config(), Kubeconfig: file.Name()}, nil
}

// Client is a client that reads from the API server itself, as this user.
func (e *Environment) Client(user User) (client.WithWatch, error) {
	return client.NewWithWatch(user.Config, client.Options{Scheme: e.Scheme})
}

// NewNamespace makes a namespace whose name begins with prefix. It is left behind: the environment ends with the suite.
func (e *Environment) NewNamespace(ctx context.Context, prefix string) (string, error) {
	c, err := e.admin()
	if err != nil {
		return "", err
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: prefix + "-"}}
	if err := c.Create(ctx, ns); err != nil {
		return "", err
	}
	return ns.Name, nil
}

// serverNames are the programs that Start runs.
func serverNames(controllerManager bool) []string {
	names := []string{"etcd", "kube-apiserver"}
	if controllerManager {
		names = append(names, "kube-controller-manager")
	}
	return names
}

// findBinaries finds the control plane's programs in KUBEBUILDER_ASSETS, else in bin/k8s of the repository.
func findBinaries(root string, controllerManager bool) (map[string]string, error) {
	dir, from := os.Getenv("KUBEBUILDER_ASSETS"), "KUBEBUILDER_ASSETS"
	switch {
	case dir == "":
		dir, from = filepath.Join(root, "bin", "k8s"), "the repository's bin/k8s"
	case !filepath.IsAbs(dir):
		// Tests run in the folder of their package; whoever set the variable thought of the top folder.
		dir = filepath.Join(root, dir)
	}
	found := map[string]string{}
	var missing []string
	for _, name := range slices.Insert(serverNames(controllerManager), 2, "kubectl") {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err != nil || info.IsDir() {
			missing = append(missing, name)
			continue
		}
		found[name] = path
	}
	if missing != nil {
		return nil, fmt.Errorf("%s (%s) has no %s: run `make controlplane` to build it, or set KUBEBUILDER_ASSETS to the absolute path of a folder that has it",
			dir, from, strings.Join(missing, ", no "))
	}
	return found, nil
}

// repositoryRoot is the nearest folder above the working directory that holds the module's PROJECT file.
func repositoryRoot() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "PROJECT")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("%s is not inside the repository: no folder above it has a PROJECT file", start)
		}
	}
}
