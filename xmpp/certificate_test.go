package xmpp

import (
	"crypto/x509"
	"net"
	"strings"
	"testing"
	"time"
)

// TestCertificateRemark: RFC 6120 §13.7.1.2: a certificate has to be for the domain, and §13.7.2: valid now.
func TestCertificateRemark(t *testing.T) {
	from := time.Date(2031, 4, 5, 6, 7, 8, 0, time.UTC)
	to := from.Add(90 * 24 * time.Hour)
	within := from.Add(time.Hour)
	for _, c := range []struct {
		names  []string
		ips    []net.IP
		domain string
		at     time.Time
		says   []string // nothing: there is nothing to say
	}{
		{[]string{"chat.example"}, nil, "chat.example", within, nil},
		{[]string{"*.example"}, nil, "chat.example", within, nil},
		{[]string{"xn--bcher-kva.example"}, nil, "b\u00fccher.example", within, nil},
		{nil, []net.IP{net.ParseIP("2001:db8::7")}, "[2001:db8::7]", within, nil},
		{[]string{"xmpp.chat.example", "www.example"}, nil, "chat.example", within, []string{"chat.example", "xmpp.chat.example, www.example"}},
		{[]string{"a", "b", "c", "d", "e", "f", "g"}, nil, "chat.example", within, []string{"a, b, c, d, e and 2 more"}},
		{nil, nil, "chat.example", within, []string{"no name at all"}},
		{[]string{"chat.example"}, nil, "chat.example", from.Add(-time.Second), []string{"not valid before 2031-04-05T06:07:08Z", "clock"}},
		{[]string{"chat.example"}, nil, "chat.example", to.Add(time.Second), []string{"expired at 2031-07-04T06:07:08Z", "renew"}},
	} {
		leaf := &x509.Certificate{DNSNames: c.names, IPAddresses: c.ips, NotBefore: from, NotAfter: to}
		got := CertificateRemark(leaf, c.domain, c.at)
		if (got == "") != (c.says == nil) {
			t.Errorf("%v %v for %s at %s: %q", c.names, c.ips, c.domain, c.at, got)
		}
		for _, want := range c.says {
			if !strings.Contains(got, want) {
				t.Errorf("%q does not say %q", got, want)
			}
		}
	}
	if got := CertificateRemark(nil, "chat.example", within); got != "" {
		t.Errorf("without a certificate: %q", got)
	}
}
