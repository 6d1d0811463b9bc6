package xmpp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// LoadCertificate reads a certificate with its chain, and its key, from PEM files. Its errors name the file and what is wrong with it.
func LoadCertificate(certFile, keyFile string) (tls.Certificate, error) {
	cert, err := os.ReadFile(certFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("the TLS certificate cannot be read: %w", err)
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("the key of the TLS certificate cannot be read: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("the TLS certificate %s with the key %s cannot be used: %w", certFile, keyFile, err)
	}
	return pair, nil
}

// CertificateRemark says in a sentence why clients of a domain will not take a certificate (RFC 6120 §13.7.1.2, §13.7.2); empty: nothing speaks against
// it. Who signed it is not looked at: that is for them to know.
func CertificateRemark(leaf *x509.Certificate, domain string, now time.Time) string {
	switch host := jid.HostName(domain); {
	case leaf == nil:
		return ""
	case now.Before(leaf.NotBefore):
		return fmt.Sprintf("the TLS certificate is not valid before %s: clients refuse it; is the clock right?", leaf.NotBefore.UTC().Format(time.RFC3339))
	case now.After(leaf.NotAfter):
		return fmt.Sprintf("the TLS certificate has expired at %s: clients refuse it; renew it", leaf.NotAfter.UTC().Format(time.RFC3339))
	case leaf.VerifyHostname(host) != nil:
		return fmt.Sprintf("the TLS certificate is not for the domain %s but for %s: clients refuse it; use one for the domain, whatever the host is called", host, namesOf(leaf))
	}
	return ""
}

// namesOf lists the names that a certificate is for.
func namesOf(leaf *x509.Certificate) string {
	const most = 5
	names := append([]string(nil), leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	switch {
	case len(names) == 0:
		return "no name at all"
	case len(names) > most:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// checkTLS refuses a configuration that no client could connect with.
func checkTLS(c *tls.Config) error {
	if c == nil || len(c.Certificates) == 0 && c.GetCertificate == nil && c.GetConfigForClient == nil {
		return errors.New("the XMPP listeners have no TLS certificate: clients only log in over TLS")
	}
	return nil
}
