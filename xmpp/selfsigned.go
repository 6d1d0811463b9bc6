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
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/jid"
)

const (
	selfSignedLife = 825 * 24 * time.Hour // what clients accept of a certificate at most
	selfSignedLeft = 30 * 24 * time.Hour  // with less left, a new one is made
)

// NotRenewedError says why no other certificate is in the place of a self-signed one that soon expires, and can be used until then.
type NotRenewedError struct {
	Until time.Time
	err   error
}

func (e *NotRenewedError) Error() string {
	return fmt.Sprintf("the self-signed TLS certificate runs out at %s, and another could not be kept: %v; mend that and restart the server, which makes another at a start alone",
		e.Until.UTC().Format(time.RFC3339), e.err)
}

// Unwrap gives what went wrong.
func (e *NotRenewedError) Unwrap() error { return e.err }

// SelfSigned gives the files of a self-signed certificate for a domain, kept in a folder between starts, so that clients that
// pinned it stay content. It makes a new one when there is none that can be used, when it is for another domain, or when it soon expires. Beside a
// *NotRenewedError, the files are given all the same.
func SelfSigned(dir, domain string, now time.Time, log *slog.Logger) (certFile, keyFile string, err error) {
	return selfSigned(dir, domain, now, log, writeFiles)
}

// selfSigned is SelfSigned with the function that writes files.
func selfSigned(dir, domain string, now time.Time, log *slog.Logger, write func([]newFile) error) (certFile, keyFile string, err error) {
	certFile, keyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	pair, err := LoadCertificate(certFile, keyFile)
	// A good one is what clients would take, though it may have to be replaced soon. That a clock is behind is no reason to replace it.
	good := err == nil && pair.Leaf.VerifyHostname(jid.HostName(domain)) == nil && now.Before(pair.Leaf.NotAfter)
	_, unreadable := errors.AsType[*fs.PathError](err)
	switch {
	case good && now.Before(pair.Leaf.NotAfter.Add(-selfSignedLeft)):
		return certFile, keyFile, nil
	case errors.Is(err, fs.ErrNotExist):
	case unreadable: // which may pass
		return "", "", fmt.Errorf("the self-signed certificate of an earlier start: %w", err)
	case err != nil:
		log.Warn("The self-signed certificate of an earlier start cannot be used, and another is made", "error", err.Error())
	}
	cert, key, err := makeSelfSigned(domain, now)
	if err != nil {
		return "", "", fmt.Errorf("making a self-signed certificate for %s: %w", domain, err)
	}
	if err := write([]newFile{{keyFile, key}, {certFile, cert}}); err != nil {
		// What failed may have come after the files were in their place.
		if kept, damage := LoadCertificate(certFile, keyFile); good && damage == nil {
			if kept.Leaf.Equal(pair.Leaf) {
				return certFile, keyFile, &NotRenewedError{pair.Leaf.NotAfter, err}
			}
			log.Warn("A self-signed certificate is made, and may not outlast a loss of power", "error", err.Error(), "file", certFile)
			return certFile, keyFile, nil
		}
		return "", "", fmt.Errorf("the self-signed certificate cannot be kept: %w", err)
	}
	log.Info("Made a self-signed certificate", "domain", domain, "file", certFile)
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
	host := jid.HostName(domain)
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
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = append(template.IPAddresses, ip)
	} else if host != "localhost" {
		template.DNSNames = append(template.DNSNames, host)
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

// newFile is a file that is to be written.
type newFile struct {
	path string
	data []byte
}

// writeFiles puts files of one folder in the place of others. All of them are on the disk before the first has its name, so that what was there stays
// when there is no space left. A process that is killed between two names leaves files that do not belong together, which the next start sees.
func writeFiles(list []newFile) error {
	var written []string
	defer func() {
		for _, name := range written {
			_ = os.Remove(name)
		}
	}()
	for _, one := range list {
		file, err := os.CreateTemp(filepath.Dir(one.path), "."+filepath.Base(one.path)+"-*") // readable for nobody else
		if err != nil {
			return err
		}
		written = append(written, file.Name())
		_, err = file.Write(one.data)
		if err == nil {
			err = file.Sync()
		}
		if err := errors.Join(err, file.Close()); err != nil {
			return err
		}
	}
	for i, one := range list {
		if err := os.Rename(written[i], one.path); err != nil {
			return err
		}
	}
	written = nil
	folder, err := os.Open(filepath.Dir(list[0].path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
