//go:build linux

package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// clusterDomain ends the names of Services.
const clusterDomain = "cluster.local"

// serveNames answers Pods who ask for the address of a Service, as NAME.NAMESPACE.svc.cluster.local (the specification of DNS-based service discovery
// in Kubernetes, §2.3.1), until ctx ends. There are no other names in the cluster.
func (n *Node) serveNames(ctx context.Context) error {
	conn, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp", net.JoinHostPort(nodeAddress, "53"))
	if err != nil {
		return fmt.Errorf("listen for questions for names: %w", err)
	}
	context.AfterFunc(ctx, func() { _ = conn.Close() })
	go func() {
		buffer := make([]byte, 1500)
		for {
			size, from, err := conn.ReadFrom(buffer)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				fmt.Fprintln(os.Stderr, "names:", err)
				continue
			}
			question := append([]byte(nil), buffer[:size]...)
			go func() {
				if answer := n.answer(ctx, question); answer != nil {
					_, _ = conn.WriteTo(answer, from)
				}
			}()
		}
	}()
	return nil
}

// answer makes the answer to one question; nil to what is none.
func (n *Node) answer(ctx context.Context, message []byte) []byte {
	var parser dnsmessage.Parser
	header, err := parser.Start(message)
	if err != nil || header.Response {
		return nil
	}
	question, err := parser.Question()
	if err != nil {
		return nil
	}
	reply := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: header.ID, Response: true, Authoritative: true, RecursionDesired: header.RecursionDesired},
		Questions: []dnsmessage.Question{question},
	}
	address, err := n.address(ctx, question.Name.String())
	switch {
	case apierrors.IsNotFound(err):
		reply.RCode = dnsmessage.RCodeNameError
	case err != nil:
		fmt.Fprintln(os.Stderr, "names:", err)
		reply.RCode = dnsmessage.RCodeServerFailure
	case question.Type == dnsmessage.TypeA && address.To4() != nil:
		reply.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: question.Name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET, TTL: 1},
			Body:   &dnsmessage.AResource{A: [4]byte(address.To4())},
		}}
	}
	packed, err := reply.Pack()
	if err != nil {
		return nil
	}
	return packed
}

// address looks a Service up. Its error says, in the manner of the API, that there is none of that name.
func (n *Node) address(ctx context.Context, name string) (net.IP, error) {
	none := apierrors.NewNotFound(corev1.Resource("services"), name)
	// Names are the same in any case (RFC 4343).
	rest, ours := strings.CutSuffix(strings.ToLower(name), ".svc."+clusterDomain+".")
	parts := strings.Split(rest, ".")
	if !ours || len(parts) != 2 {
		return nil, none
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	service, err := n.client.CoreV1().Services(parts[1]).Get(ctx, parts[0], metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return net.ParseIP(service.Spec.ClusterIP), nil // nil, for which there is no answer, where it has none
}
