package controllers_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/controllers"
	"github.com/chat-operator/chat-operator/controllers/provision"
	"github.com/chat-operator/chat-operator/hack/flaky"
	"github.com/chat-operator/chat-operator/hack/testenv"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/metrics"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

const domain = "chat.example"

var (
	env *testenv.Environment
	// kube is a person with all rights, under a manager that declares nothing.
	kube client.Client
)

func TestControllers(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "controllers")
}

var _ = ReportAfterSuite("flaky specs", func(suite Report) { Expect(flaky.Tell(suite)).To(Succeed()) })

var _ = BeforeSuite(func() {
	SetDefaultEventuallyTimeout(time.Minute)
	SetDefaultEventuallyPollingInterval(20 * time.Millisecond)
	log := funcr.New(func(prefix, args string) { fmt.Fprintln(GinkgoWriter, prefix, args) }, funcr.Options{})
	ctrllog.SetLogger(log)
	klog.SetLogger(log)
	var err error
	env, err = testenv.Start(testenv.Options{AuditLog: true, ControllerManager: true})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(env.Stop()).To(Succeed()) })
	c, err := env.Client(env.Admin)
	Expect(err).NotTo(HaveOccurred())
	kube = client.WithFieldOwner(c, "kubectl-create")
})

// operator is a running operator without its servers.
type operator struct {
	namespace  string
	user       testenv.User
	dataDir    string
	directory  *directory.Directory
	store      *store.Store
	provision  *provision.Provisioner
	leadership *controllers.Leadership
	registry   *prometheus.Registry
	watches    *gate
	secretName string

	stop func()
}

// options say how an operator differs from the usual one.
type options struct {
	clock       clock.WithTicker
	leaderElect bool
	dataDir     string
	restSecrets *controllers.RESTSecrets
}

// newNamespace makes a namespace, which is a chat server.
func newNamespace(ctx context.Context, prefix string) string {
	GinkgoHelper()
	namespace, err := env.NewNamespace(ctx, prefix)
	Expect(err).NotTo(HaveOccurred())
	return namespace
}

// start runs an operator in a namespace, with the rights of config/rbac (and config/leader-election for one that campaigns), until the
// spec ends or its stop is called. It returns when everything declared is in force.
func start(ctx context.Context, namespace string, o options) *operator {
	GinkgoHelper()
	user, err := env.OperatorUser(ctx, namespace)
	Expect(err).NotTo(HaveOccurred())
	if o.leaderElect {
		Expect(env.ElectLeaders(ctx, namespace)).To(Succeed())
	}
	op := &operator{
		namespace: namespace, user: user, dataDir: o.dataDir,
		directory: directory.New(domain), registry: prometheus.NewRegistry(), watches: newGate(), secretName: "chat-operator",
	}
	if op.dataDir == "" {
		op.dataDir = GinkgoT().TempDir()
	}
	config := rest.CopyConfig(user.Config)
	config.Wrap(op.watches.wrap)
	log := logr.FromContextOrDiscard(ctx)
	if l := ctrllog.Log; l.GetSink() != nil {
		log = l.WithName(namespace)
	}

	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	op.store, err = store.Open(running, filepath.Join(op.dataDir, "chat.db"), nil)
	Expect(err).NotTo(HaveOccurred())
	live, err := controllers.NewLiveClient(config)
	Expect(err).NotTo(HaveOccurred())
	installation, err := controllers.LoadInstallation(ctx, live, namespace, op.secretName, log)
	Expect(err).NotTo(HaveOccurred())
	op.provision = provision.New(provision.Config{
		Live: live, Namespace: namespace, Directory: op.directory, Identities: op.store, Key: installation.Key, Log: log, Clock: o.clock,
	})
	manager, err := controllers.NewManager(config, controllers.ManagerOptions{
		Namespace: namespace, MetricsBindAddress: "0", Log: log,
	})
	Expect(err).NotTo(HaveOccurred())
	op.leadership, err = controllers.Setup(running, manager, controllers.Options{
		Namespace: namespace, SecretName: op.secretName, Directory: op.directory, Store: op.store, Provision: op.provision, Audit: op.store, Node: "chat-0",
		InstallationKey: installation.Key, RESTSecrets: o.restSecrets, Endpoint: provision.Endpoint{Host: domain, Port: 5222},
		LeaderElect: o.leaderElect, LeaseTiming: controllers.LeaseTiming{LeaseDuration: 12 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: 200 * time.Millisecond},
		Metrics: metrics.NewSet(op.registry), Clock: o.clock, Log: log,
	})
	Expect(err).NotTo(HaveOccurred())
	ended := make(chan error, 1)
	go func() { ended <- manager.Start(running) }()
	var once sync.Once
	op.stop = func() {
		GinkgoHelper()
		once.Do(func() {
			op.watches.open()
			cancel()
			Eventually(ended).Should(Receive(BeNil()))
			Expect(op.store.Close()).To(Succeed())
		})
	}
	DeferCleanup(op.stop)
	Eventually(op.directory.Synced()).Should(BeClosed())
	return op
}

// admits says whether a password opens an account now.
func (o *operator) admits(username, password string) bool {
	account, ok := o.directory.Account(username)
	return ok && !account.Locked && account.Secret.Credential().CheckPassword(password)
}

// metric is the value of a gauge or counter, the sum over its labels if it has any.
func (o *operator) metric(name string) float64 {
	GinkgoHelper()
	families, err := o.registry.Gather()
	Expect(err).NotTo(HaveOccurred())
	for _, f := range families {
		if f.GetName() == name {
			sum := 0.0
			for _, m := range f.GetMetric() {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
			return sum
		}
	}
	Fail("no metric " + name)
	return 0
}

// gate holds watches back, as a slow network or a busy API server does, and loses answers, as a connection does that breaks off.
type gate struct {
	// losing has answers not arrive that say that declarations are changed.
	losing atomic.Bool
	// refused says of which requests no connection comes about; nil: of none.
	refused atomic.Pointer[func(*http.Request) bool]

	mu     sync.Mutex
	opened chan struct{} // closed while the gate is open
}

func newGate() *gate {
	g := &gate{opened: make(chan struct{})}
	close(g.opened)
	return g
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.opened:
		g.opened = make(chan struct{})
	default:
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.opened:
	default:
		close(g.opened)
	}
}

func (g *gate) pass() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.opened
}

func (g *gate) wrap(next http.RoundTripper) http.RoundTripper { return gated{g, next} }

type gated struct {
	gate *gate
	next http.RoundTripper
}

func (g gated) RoundTrip(r *http.Request) (*http.Response, error) {
	if refused := g.gate.refused.Load(); refused != nil && (*refused)(r) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	response, err := g.next.RoundTrip(r)
	if err == nil && g.gate.losing.Load() && r.Method != http.MethodGet && response.StatusCode < http.StatusBadRequest && strings.HasPrefix(r.URL.Path, "/apis/"+v1alpha1.Group+"/") && !strings.HasSuffix(r.URL.Path, "/status") {
		return nil, errors.Join(io.ErrUnexpectedEOF, response.Body.Close())
	}
	if err == nil && r.URL.Query().Get("watch") != "" {
		response.Body = &gatedBody{ReadCloser: response.Body, gate: g.gate, done: r.Context().Done()}
	}
	return response, err
}

type gatedBody struct {
	io.ReadCloser
	gate *gate
	done <-chan struct{}
}

func (b *gatedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	select {
	case <-b.gate.pass():
	case <-b.done:
	}
	return n, err
}

// standing is how a resource stands, as its status tells.
type standing struct {
	Ready   metav1.ConditionStatus
	Reason  string
	Message string
	Kstatus status.Status
	// Types of the conditions that are there.
	Conditions map[string]metav1.ConditionStatus
}

// stands reads how a resource stands, and holds its status to the rules on the way.
func stands(ctx context.Context, g Gomega, obj client.Object) standing {
	g.Expect(kube.Get(ctx, client.ObjectKeyFromObject(obj), obj)).To(Succeed())
	var s *v1alpha1.CommonStatus
	switch o := obj.(type) {
	case *v1alpha1.ChatUser:
		s = &o.Status.CommonStatus
	case *v1alpha1.ChatGroup:
		s = &o.Status.CommonStatus
	case *v1alpha1.ChatRoom:
		s = &o.Status.CommonStatus
	case *v1alpha1.SystemProperty:
		s = &o.Status.CommonStatus
	}
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	g.Expect(err).NotTo(HaveOccurred())
	computed, err := status.Compute(&unstructured.Unstructured{Object: fields})
	g.Expect(err).NotTo(HaveOccurred())
	result := standing{Kstatus: computed.Status, Conditions: map[string]metav1.ConditionStatus{}}
	for _, c := range s.Conditions {
		result.Conditions[c.Type] = c.Status
		g.Expect(c.ObservedGeneration).To(BeNumerically("<=", obj.GetGeneration()))
		g.Expect(c.LastTransitionTime.IsZero()).To(BeFalse())
		if c.Type == v1alpha1.ConditionReady {
			result.Ready, result.Reason, result.Message = c.Status, c.Reason, c.Message
		}
	}
	if s.ObservedGeneration == obj.GetGeneration() {
		ready := result.Ready == metav1.ConditionTrue
		_, stalled := result.Conditions[v1alpha1.ConditionStalled]
		_, reconciling := result.Conditions[v1alpha1.ConditionReconciling]
		g.Expect(ready).To(Equal(computed.Status == status.CurrentStatus), "Ready and kstatus agree: %+v", s)
		g.Expect(stalled).To(Equal(computed.Status == status.FailedStatus), "Stalled and kstatus agree: %+v", s)
		g.Expect(ready && (stalled || reconciling)).To(BeFalse())
		g.Expect(stalled && reconciling).To(BeFalse())
	} else {
		g.Expect(computed.Status).To(Equal(status.InProgressStatus), "a generation not looked at yet is in progress")
	}
	return result
}

// becomes waits until a resource stands for a reason at its present generation.
func becomes(ctx context.Context, obj client.Object, reason string) standing {
	GinkgoHelper()
	var last standing
	Eventually(func(g Gomega) {
		last = stands(ctx, g, obj)
		g.Expect(last.Reason).To(Equal(reason))
		g.Expect(observed(obj)).To(Equal(obj.GetGeneration()))
	}).Should(Succeed())
	return last
}

func observed(obj client.Object) int64 {
	switch o := obj.(type) {
	case *v1alpha1.ChatUser:
		return o.Status.ObservedGeneration
	case *v1alpha1.ChatGroup:
		return o.Status.ObservedGeneration
	case *v1alpha1.ChatRoom:
		return o.Status.ObservedGeneration
	case *v1alpha1.SystemProperty:
		return o.Status.ObservedGeneration
	}
	return -1
}

// eventsOf are the reasons of the Events about a resource, in order of time.
func eventsOf(ctx context.Context, g Gomega, obj client.Object) []string {
	var list eventsv1.EventList
	g.Expect(kube.List(ctx, &list, client.InNamespace(obj.GetNamespace()))).To(Succeed())
	var reasons []string
	var at []time.Time
	for _, e := range list.Items {
		if e.Regarding.UID != obj.GetUID() {
			continue
		}
		i := len(at)
		for i > 0 && at[i-1].After(e.EventTime.Time) {
			i--
		}
		at = append(at[:i], append([]time.Time{e.EventTime.Time}, at[i:]...)...)
		reasons = append(reasons[:i], append([]string{e.Reason}, reasons[i:]...)...)
		if e.Series != nil {
			reasons = append(reasons, fmt.Sprintf("%s again, %d in all", e.Reason, e.Series.Count))
		}
	}
	return reasons
}

// chatUser is a user to declare, with the password in a Secret unless that is empty.
func chatUser(namespace, name, secret string) *v1alpha1.ChatUser {
	u := &v1alpha1.ChatUser{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "ChatUser"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
	}
	if secret != "" {
		u.Spec.Credentials = &v1alpha1.UserCredentials{SecretRef: v1alpha1.LocalSecretReference{Name: secret}}
	}
	return u
}

func passwordSecret(namespace, name, password string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		StringData: map[string]string{v1alpha1.PasswordKey: password},
	}
}

func create(ctx context.Context, objects ...client.Object) {
	GinkgoHelper()
	for _, o := range objects {
		Expect(kube.Create(ctx, o)).To(Succeed())
	}
}

// patch changes an object as kubectl patch does.
func patch(ctx context.Context, obj client.Object, merge string) {
	GinkgoHelper()
	Expect(kube.Patch(ctx, obj, client.RawPatch("application/merge-patch+json", []byte(merge)), client.FieldOwner("kubectl-patch"))).To(Succeed())
}
