package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	streamhttp "k8s.io/streaming/pkg/httpstream"
)

// Names of ports in the chart and in config/manager.
const (
	portREST    = "rest"
	portRESTTLS = "rest-tls"
	portMetrics = "metrics"
	portHealth  = "health"
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
	t, err := openTunnel(ctx, k, pod.Name)
	if err != nil {
		return nil, err
	}
	// The API server proved who it is and leads into this very Pod: a name to check the certificate by, which is that of the XMPP domain
	// and often self-signed, would add nothing.
	client := newClient(&tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}, nil, t.dial)
	s := &chatServer{
		base: fmt.Sprintf("%s://%s:%d%s", scheme, pod.Name, port, restBase), where: "the chat server in Pod " + pod.Name,
		client: client, pod: pod,
		close: func() { client.CloseIdleConnections(); _ = t.conn.Close() },
	}
	if metrics := ports[portMetrics]; metrics != 0 {
		s.metrics = fmt.Sprintf("http://%s:%d/metrics", pod.Name, metrics)
	}
	if health := ports[portHealth]; health != 0 {
		s.readiness = fmt.Sprintf("http://%s:%d/readyz?verbose", pod.Name, health)
	}
	return s, nil
}

// findPod chooses among the Pods of the installation's StatefulSet. It prefers those that are ready, and of those the newest.
//
// Labels alone would not do: whoever may create Pods in the namespace may give them any, and would be sent passwords and tokens.
func findPod(ctx context.Context, k *kubernetes) (*corev1.Pod, error) {
	set, err := k.apps.StatefulSets(k.namespace).Get(ctx, installation, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, &noServerError{k.namespace}
	}
	if err != nil {
		return nil, k.explain("get statefulsets", err)
	}
	selector, err := metav1.LabelSelectorAsSelector(set.Spec.Selector)
	if err != nil {
		return nil, fmt.Errorf("StatefulSet %s of namespace %q: %w", set.Name, k.namespace, err)
	}
	pods, err := k.core.Pods(k.namespace).List(ctx, metav1.ListOptions{LabelSelector: selector.String()})
	if err != nil {
		return nil, k.explain("list pods", err)
	}
	made := slices.DeleteFunc(pods.Items, func(p corev1.Pod) bool { return !isOf(set, selector, &p) })
	if len(made) == 0 {
		return nil, fmt.Errorf("the chat server of namespace %q has no Pod: look at it with `kubectl describe statefulset %s --namespace %[1]s`", k.namespace, set.Name)
	}
	best := slices.MaxFunc(made, func(a, b corev1.Pod) int {
		return cmp.Or(cmp.Compare(fitness(&a), fitness(&b)), a.CreationTimestamp.Compare(b.CreationTimestamp.Time))
	})
	if fitness(&best) == 0 {
		return nil, fmt.Errorf("Pod %s of namespace %q is not running (%s): look at it with `kubectl describe pod %[1]s --namespace %[2]s`",
			best.Name, best.Namespace, best.Status.Phase)
	}
	if isEnding(&best) {
		return nil, fmt.Errorf("the chat server in Pod %s of namespace %q ends again and again: `kubectl logs --previous %[1]s --namespace %[2]s` says why",
			best.Name, best.Namespace)
	}
	return &best, nil
}

// noServerError says that a namespace has no chat server.
type noServerError struct{ namespace string }

func (e *noServerError) Error() string {
	return fmt.Sprintf("namespace %q has no chat server (a StatefulSet named %s): choose another with --namespace, "+
		"or give the address of a server that runs elsewhere with --rest-url", e.namespace, installation)
}

// isEnding says whether the server of a Pod, and not what may stand beside it, has ended, and is started again only after a while.
func isEnding(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool {
		return c.Name == installation && (c.State.Terminated != nil || c.State.Waiting != nil && c.LastTerminationState.Terminated != nil)
	})
}

// isOf says whether a StatefulSet has made a Pod. A reference to its owner can be written into any Pod, a name is there once: those that the
// StatefulSet gives are its own, and what it finds under one of them that it would not have made it replaces.
func isOf(set *appsv1.StatefulSet, selector labels.Selector, p *corev1.Pod) bool {
	owner := metav1.GetControllerOf(p)
	if owner == nil || owner.UID != set.UID || !selector.Matches(labels.Set(p.Labels)) {
		return false
	}
	first, replicas := 0, 1
	if set.Spec.Ordinals != nil {
		first = int(set.Spec.Ordinals.Start)
	}
	if set.Spec.Replicas != nil {
		replicas = int(*set.Spec.Replicas)
	}
	for ordinal := first; ordinal < first+replicas; ordinal++ {
		if p.Name == set.Name+"-"+strconv.Itoa(ordinal) {
			return true
		}
	}
	return false
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

// tunnel is a port-forward whose connections this process uses itself, so that nobody else on this machine can.
type tunnel struct {
	conn streamhttp.Connection
	next atomic.Int64
}

func openTunnel(ctx context.Context, k *kubernetes, pod string) (*tunnel, error) {
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
	conn, err := interruptible(ctx, func() (streamhttp.Connection, error) {
		var first error
		conn, _, err := portforward.NewFallbackDialerForStreaming(websocket,
			spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: round}, http.MethodPost, address),
			func(err error) bool {
				if streamhttp.IsUpgradeFailure(err) || streamhttp.IsHTTPSProxyError(err) {
					first = err
				}
				return first != nil
			}).Dial(portforward.PortForwardProtocolV1Name)
		if err != nil && first != nil {
			err = fmt.Errorf("%w; over a WebSocket: %w", err, first)
		}
		return conn, err
	})
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, k.explainTunnel(pod, err)
	}
	return &tunnel{conn: conn}, nil
}

func (k *kubernetes) explainTunnel(pod string, err error) error {
	if apierrors.IsForbidden(err) || strings.Contains(err.Error(), "forbidden") {
		return fmt.Errorf("your Kubernetes user may not create pods/portforward in namespace %q, by which the chat server's REST API is reached: "+
			"ask for that right, or give an address with --rest-url (%w)", k.namespace, err)
	}
	return fmt.Errorf("no connection to Pod %s of namespace %q: %w", pod, k.namespace, err)
}

// dial opens a connection to a port of the Pod. It is two streams: one for the data, and one on which the other side says what is wrong.
func (t *tunnel) dial(_ context.Context, _, address string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	headers := http.Header{}
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	headers.Set(corev1.PortHeader, port)
	headers.Set(corev1.PortForwardRequestIDHeader, strconv.FormatInt(t.next.Add(1), 10))
	trouble, err := t.conn.CreateStream(headers)
	if err != nil {
		return nil, err
	}
	_ = trouble.Close() // nothing is said on it from here
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := t.conn.CreateStream(headers)
	if err != nil {
		t.conn.RemoveStreams(trouble)
		return nil, err
	}
	c := &tunnelConn{Stream: data, close: func() {
		_ = data.Reset()
		_ = trouble.Reset()
		t.conn.RemoveStreams(data, trouble)
	}, said: make(chan struct{})}
	go func() {
		defer close(c.said)
		text, _ := io.ReadAll(io.LimitReader(trouble, maxTrouble)) // an error here is the end of the connection, which its reader sees
		c.trouble = string(text)
		if len(text) > 0 {
			_ = data.Reset()
		}
	}()
	return c, nil
}

const (
	// maxTrouble bounds what is read of an explanation, and troubleWithin how long it may come after the data has ended.
	maxTrouble    = 1 << 10
	troubleWithin = 5 * time.Second
)

// tunnelConn is a connection through a tunnel.
type tunnelConn struct {
	streamhttp.Stream
	close   func()
	once    sync.Once
	said    chan struct{}
	trouble string // once said is closed
}

func (c *tunnelConn) Read(p []byte) (int, error) {
	n, err := c.Stream.Read(p)
	if err == nil || n > 0 {
		return n, err
	}
	select {
	case <-c.said:
		if c.trouble != "" {
			err = errors.New(c.trouble)
		}
	case <-time.After(troubleWithin):
	}
	return n, err
}

func (c *tunnelConn) Close() error {
	c.once.Do(c.close)
	return nil
}

// What a connection of the operating system has besides: calls are bounded by their contexts, and addresses are told to nobody.

func (c *tunnelConn) LocalAddr() net.Addr              { return tunnelAddr{} }
func (c *tunnelConn) RemoteAddr() net.Addr             { return tunnelAddr{} }
func (c *tunnelConn) SetDeadline(time.Time) error      { return nil }
func (c *tunnelConn) SetReadDeadline(time.Time) error  { return nil }
func (c *tunnelConn) SetWriteDeadline(time.Time) error { return nil }

type tunnelAddr struct{}

func (tunnelAddr) Network() string { return "tunnel" }
func (tunnelAddr) String() string  { return "tunnel" }
