package localkube

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// pki holds the certificates of a control plane. The two authorities and the key of service account tokens are kept between
// runs, so that kubeconfigs stay good; what they sign is made anew at each start.
type pki struct {
	dir  string
	kube *authority // signs the API server and its clients
	etcd *authority // signs etcd and its only client; apart, so that no user of the API can talk to etcd
}

const (
	authorityLife = 10 * 365 * 24 * time.Hour
	leafLife      = 365 * 24 * time.Hour
)

// newPKI makes what is missing in dir. Where there is a node address, the API server's certificate is good for it and for Pods.
func newPKI(dir, nodeAddress string) (*pki, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of certificates: %w", err)
	}
	p := &pki{dir: dir}
	var err error
	if p.kube, err = loadAuthority(p.path("ca"), "local-kubernetes"); err != nil {
		return nil, err
	}
	if p.etcd, err = loadAuthority(p.path("etcd-ca"), "local-etcd"); err != nil {
		return nil, err
	}
	if _, err := os.Stat(p.path("serviceaccounts.key")); errors.Is(err, os.ErrNotExist) {
		_, keyPEM, err := newKey()
		if err != nil {
			return nil, err
		}
		if err := writeSecret(p.path("serviceaccounts.key"), keyPEM); err != nil {
			return nil, err
		}
	}
	apiServer := serving("kube-apiserver", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
	if nodeAddress != "" {
		apiServer.IPAddresses = append(apiServer.IPAddresses, net.ParseIP(nodeAddress), net.ParseIP(firstServiceIP))
	}
	for _, leaf := range []struct {
		name string
		by   *authority
		cert x509.Certificate
	}{
		{"apiserver", p.kube, apiServer},
		// The kubelet takes orders from this one alone.
		{"kubelet-client", p.kube, client("kube-apiserver", []string{"system:masters"})},
		{"etcd", p.etcd, serving("etcd")},
		{"etcd-client", p.etcd, client("kube-apiserver", nil)},
	} {
		certPEM, keyPEM, err := leaf.by.sign(&leaf.cert)
		if err != nil {
			return nil, err
		}
		if err := errors.Join(writeSecret(p.path(leaf.name+".crt"), certPEM), writeSecret(p.path(leaf.name+".key"), keyPEM)); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *pki) path(name string) string { return filepath.Join(p.dir, name) }

// authority is a certificate authority.
type authority struct {
	cert    *x509.Certificate
	certPEM []byte
	key     *ecdsa.PrivateKey
}

// loadAuthority reads base.crt and base.key, or makes them when they are absent or past their time.
func loadAuthority(base, name string) (*authority, error) {
	certPEM, certErr := os.ReadFile(base + ".crt")
	keyPEM, keyErr := os.ReadFile(base + ".key")
	if certErr == nil && keyErr == nil {
		a, err := parseAuthority(certPEM, keyPEM)
		if err != nil {
			return nil, fmt.Errorf("%s.crt and %s.key do not hold a certificate authority (%w); remove both to have new ones made", base, base, err)
		}
		if time.Now().Before(a.cert.NotAfter.Add(-leafLife)) {
			return a, nil
		}
	}
	for _, err := range []error{certErr, keyErr} {
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("read the certificate authority: %w", err)
		}
	}
	key, keyPEM, err := newKey()
	if err != nil {
		return nil, err
	}
	tmpl := template(name, nil, authorityLife)
	tmpl.IsCA, tmpl.BasicConstraintsValid, tmpl.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, &tmpl, &tmpl, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make the certificate authority %s: %w", name, err)
	}
	certPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := errors.Join(writeSecret(base+".crt", certPEM), writeSecret(base+".key", keyPEM)); err != nil {
		return nil, err
	}
	return parseAuthority(certPEM, keyPEM)
}

func parseAuthority(certPEM, keyPEM []byte) (*authority, error) {
	certBlock, _ := pem.Decode(certPEM)
	keyBlock, _ := pem.Decode(keyPEM)
	if certBlock == nil || keyBlock == nil {
		return nil, errors.New("no PEM block inside")
	}
	cert, err := x509.ParseCertificate(certBlock.Bytes)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParseECPrivateKey(keyBlock.Bytes)
	if err != nil {
		return nil, err
	}
	return &authority{cert: cert, certPEM: certPEM, key: key}, nil
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// client makes a client certificate: Kubernetes takes the user's name from the common name and the groups from the organizations.
func (a *authority) client(user string, groups []string) (certPEM, keyPEM []byte, err error) {
	cert := client(user, groups)
	return a.sign(&cert)
}

func (a *authority) sign(tmpl *x509.Certificate) (certPEM, keyPEM []byte, err error) {
	key, keyPEM, err := newKey()
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return nil, nil, fmt.Errorf("sign the certificate of %s: %w", tmpl.Subject.CommonName, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), keyPEM, nil
}

func serving(name string, dnsNames ...string) x509.Certificate {
	t := template(name, nil, leafLife)
	t.DNSNames = append(dnsNames, "localhost")
	t.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	return t
}

func client(user string, groups []string) x509.Certificate {
	t := template(user, groups, leafLife)
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return t
}

func template(name string, organizations []string, life time.Duration) x509.Certificate {
	now := time.Now()
	return x509.Certificate{
		// Unique by time: one authority signs a handful of certificates a start.
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: name, Organization: organizations},
		NotBefore:    now.Add(-time.Minute), NotAfter: now.Add(life),
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
}

func newKey() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key: %w", err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("encode a key: %w", err)
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}

// writeSecret writes a file that only its owner may read, whatever was there before.
func writeSecret(path string, b []byte) error {
	tmp := path + ".new"
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
