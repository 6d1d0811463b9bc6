package xmpp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const (
	selfSignedLife = 825 * 24 * time.Hour // what clients accept of a certificate at most
	selfSignedLeft = 30 * 24 * time.Hour  // with less left, a new one is made
)

// SelfSigned gives the files of a self-signed certificate for a domain, kept in a folder between starts, so that clients that
// pinned it stay content. It makes a new one when there is none, when it is for another domain, or when it soon expires.
func SelfSigned(dir, domain string, now time.Time) (certFile, keyFile string, err error) {
	certFile, keyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	if _, err := os.Stat(certFile); !errors.Is(err, fs.ErrNotExist) {
		pair, err := LoadCertificate(certFile, keyFile)
		if err != nil {
			return "", "", fmt.Errorf("the self-signed certificate of an earlier start: %w; delete both files to have it made anew", err)
		}
		if pair.Leaf.VerifyHostname(domain) == nil && now.Before(pair.Leaf.NotAfter.Add(-selfSignedLeft)) {
			return certFile, keyFile, nil
		}
	}
	cert, key, err := makeSelfSigned(domain, now)
	if err != nil {
		return "", "", fmt.Errorf("making a self-signed certificate for %s: %w", domain, err)
	}
	for _, file := range []struct {
		path string
		data []byte
	}{{keyFile, key}, {certFile, cert}} {
		if err := os.WriteFile(file.path, file.data, 0o600); err != nil {
			return "", "", fmt.Errorf("the self-signed certificate cannot be kept: %w", err)
		}
	}
	return certFile, keyFile, nil
}

func makeSelfSigned(domain string, now time.Time) (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: domain},
		NotBefore:    now.Add(-time.Hour), // clocks differ
		NotAfter:     now.Add(selfSignedLife),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		// Clients that are told to trust it look for an authority.
		BasicConstraintsValid: true,
	}
	if ip := net.ParseIP(domain); ip != nil {
		template.IPAddresses = append(template.IPAddresses, ip)
	} else if domain != "localhost" {
		template.DNSNames = append(template.DNSNames, domain)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, nil, err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
	return cert, key, nil
}
