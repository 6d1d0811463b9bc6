//go:build linux

package node

import (
	"net"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func TestNamesOfServicesAreAnswered(t *testing.T) {
	service := func(namespace, name, address string) *corev1.Service {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: corev1.ServiceSpec{ClusterIP: address}}
	}
	n := &Node{client: fake.NewClientset(service("chat", "chat-operator", "10.96.0.7"), service("chat", "pods", corev1.ClusterIPNone))}
	for _, c := range []struct {
		name string
		kind dnsmessage.Type
		code dnsmessage.RCode
		want string // the address
	}{
		{"chat-operator.chat.svc.cluster.local.", dnsmessage.TypeA, dnsmessage.RCodeSuccess, "10.96.0.7"},
		{"Chat-Operator.CHAT.svc.cluster.local.", dnsmessage.TypeA, dnsmessage.RCodeSuccess, "10.96.0.7"},
		// It is there, but has no such address (RFC 2308 §2.2).
		{"chat-operator.chat.svc.cluster.local.", dnsmessage.TypeAAAA, dnsmessage.RCodeSuccess, ""},
		{"pods.chat.svc.cluster.local.", dnsmessage.TypeA, dnsmessage.RCodeSuccess, ""},
		// What resolvers try first, with the ends that Pods are given.
		{"chat-operator.chat.svc.chat.svc.cluster.local.", dnsmessage.TypeA, dnsmessage.RCodeNameError, ""},
		{"chat-operator.other.svc.cluster.local.", dnsmessage.TypeA, dnsmessage.RCodeNameError, ""},
		{"example.com.", dnsmessage.TypeA, dnsmessage.RCodeNameError, ""},
	} {
		question := dnsmessage.Message{
			Header:    dnsmessage.Header{ID: 4711, RecursionDesired: true},
			Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(c.name), Type: c.kind, Class: dnsmessage.ClassINET}},
		}
		packed, err := question.Pack()
		if err != nil {
			t.Fatal(err)
		}
		var reply dnsmessage.Message
		if err := reply.Unpack(n.answer(t.Context(), packed)); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		got := ""
		for _, a := range reply.Answers {
			b := a.Body.(*dnsmessage.AResource).A
			got += net.IP(b[:]).String()
		}
		if reply.ID != 4711 || !reply.Response || reply.RCode != c.code || got != c.want {
			t.Errorf("%s %s: %s %q, want %s %q", c.name, c.kind, reply.RCode, got, c.code, c.want)
		}
	}
	if n.answer(t.Context(), []byte("no question")) != nil {
		t.Error("something was answered to what is no question")
	}
}
