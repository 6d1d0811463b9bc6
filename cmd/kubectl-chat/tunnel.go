package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	streamhttp "k8s.io/streaming/pkg/httpstream"
)

// podSelector finds the Pods of a chat server, whether the chart or kustomize made them.
const podSelector = "app.kubernetes.io/name=chat-operator"

// Names of ports in the chart and in config/manager.
const (
	portREST    = "rest"
	portRESTTLS = "rest-tls"
	portMetrics = "metrics"
)

// throughPod is the server in a Pod of the namespace, reached through the API server.
func throughPod(ctx context.Context, k *kubernetes) (*chatServer, error) {
	pod, err := findPod(ctx, k)
	if err != nil {
		return nil, err
	}
	ports := portsOf(pod)
	scheme, port := "https", ports[portRESTTLS]
	if port == 0 {
		scheme, port = "http", ports[portREST]
	}
	if port == 0 {
		return nil, fmt.Errorf("Pod %s of namespace %q has no port named %s or %s: is it a chat server? Give the address of its REST API with --rest-url",
			pod.Name, pod.Namespace, portRESTTLS, portREST)
	}
	wanted := []int32{port}
	if ports[portMetrics] != 0 {
		wanted = append(wanted, ports[portMetrics])
	}
	t, err := openTunnel(ctx, k, pod.Name, wanted)
	if err != nil {
		return nil, err
	}
	s := &chatServer{
		base: fmt.Sprintf("%s://127.0.0.1:%d%s", scheme, t.local[0], restBase), where: "the chat server in Pod " + pod.Name,
		// The API server proved who it is and leads into this very Pod: a name to check the certificate by, which is that of the XMPP domain
		// and often self-signed, would add nothing.
		client:  newClient(&tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}),
		pod:     pod,
		trouble: t.trouble,
		close:   t.close,
	}
	if len(wanted) > 1 {
		s.metrics = fmt.Sprintf("http://127.0.0.1:%d/metrics", t.local[1])
	}
	return s, nil
}

// findPod prefers Pods that are ready, and of those the newest.
func findPod(ctx context.Context, k *kubernetes) (*corev1.Pod, error) {
	pods, err := k.core.Pods(k.namespace).List(ctx, metav1.ListOptions{LabelSelector: podSelector})
	if err != nil {
		return nil, k.explain("list pods", err)
	}
	if len(pods.Items) == 0 {
		return nil, fmt.Errorf("namespace %q has no Pod of a chat server (label %s): choose another with --namespace, "+
			"or give the address of a server that runs elsewhere with --rest-url", k.namespace, podSelector)
	}
	best := slices.MaxFunc(pods.Items, func(a, b corev1.Pod) int {
		return cmp.Or(cmp.Compare(fitness(&a), fitness(&b)), a.CreationTimestamp.Compare(b.CreationTimestamp.Time))
	})
	if fitness(&best) == 0 {
		return nil, fmt.Errorf("Pod %s of namespace %q is not running (%s): look at it with `kubectl describe pod %[1]s --namespace %[2]s`",
			best.Name, best.Namespace, best.Status.Phase)
	}
	return &best, nil
}

func fitness(p *corev1.Pod) int {
	if p.Status.Phase != corev1.PodRunning || p.DeletionTimestamp != nil {
		return 0
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return 2
		}
	}
	return 1
}

func portsOf(p *corev1.Pod) map[string]int32 {
	ports := map[string]int32{}
	for _, c := range p.Spec.Containers {
		for _, port := range c.Ports {
			ports[port.Name] = port.ContainerPort
		}
	}
	return ports
}

// tunnel is a port-forward that lasts as long as the command.
type tunnel struct {
	local []uint16
	close func()
	log   *lastLines
}

// trouble is why connections through the tunnel fail.
func (t *tunnel) trouble() string { return t.log.String() }

func openTunnel(ctx context.Context, k *kubernetes, pod string, ports []int32) (*tunnel, error) {
	address := k.core.RESTClient().Post().Namespace(k.namespace).Resource("pods").Name(pod).SubResource("portforward").URL()
	round, upgrader, err := spdy.RoundTripperFor(k.config)
	if err != nil {
		return nil, err
	}
	// As kubectl does: over a WebSocket, which proxies let through, and with SPDY where the API server is too old for that.
	websocket, err := portforward.NewSPDYOverWebsocketDialerForStreaming(address, k.config)
	if err != nil {
		return nil, err
	}
	dialer := portforward.NewFallbackDialerForStreaming(websocket,
		spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: round}, http.MethodPost, address),
		func(err error) bool { return streamhttp.IsUpgradeFailure(err) || streamhttp.IsHTTPSProxyError(err) })
	specs := make([]string, len(ports))
	for i, port := range ports {
		specs[i] = fmt.Sprintf("0:%d", port)
	}
	open, cancel := context.WithCancel(ctx)
	ready, ended, log := make(chan struct{}), make(chan error, 1), &lastLines{}
	forwarder, err := portforward.NewOnAddressesForStreamingWithContext(open, dialer, []string{"127.0.0.1"}, specs, ready, io.Discard, log)
	if err != nil {
		cancel()
		return nil, err
	}
	go func() { ended <- forwarder.ForwardPorts() }()
	stop := func() { cancel(); <-ended }
	select {
	case <-ready:
	case err := <-ended:
		cancel()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, k.explainTunnel(pod, err)
	}
	forwarded, err := forwarder.GetPorts()
	if err != nil {
		stop()
		return nil, err
	}
	t := &tunnel{close: stop, log: log}
	for _, port := range forwarded {
		t.local = append(t.local, port.Local)
	}
	return t, nil
}

func (k *kubernetes) explainTunnel(pod string, err error) error {
	if err == nil {
		err = errors.New("the API server ended it")
	}
	if apierrors.IsForbidden(err) || strings.Contains(err.Error(), "forbidden") {
		return fmt.Errorf("your Kubernetes user may not create pods/portforward in namespace %q, by which the chat server's REST API is reached: "+
			"ask for that right, or give an address with --rest-url (%w)", k.namespace, err)
	}
	return fmt.Errorf("no connection to Pod %s of namespace %q: %w", pod, k.namespace, err)
}

// lastLines keeps what a port-forward complains of.
type lastLines struct {
	mu   sync.Mutex
	text string
}

func (l *lastLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	const enough = 1 << 10
	l.text += string(p)
	l.text = l.text[max(0, len(l.text)-enough):]
	return len(p), nil
}

func (l *lastLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.TrimSpace(l.text)
}
