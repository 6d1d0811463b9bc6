package xmpp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
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

// checkTLS refuses a configuration that no client could connect with.
func checkTLS(c *tls.Config) error {
	if c == nil || len(c.Certificates) == 0 && c.GetCertificate == nil && c.GetConfigForClient == nil {
		return errors.New("the XMPP listeners have no TLS certificate: clients only log in over TLS")
	}
	return nil
}
