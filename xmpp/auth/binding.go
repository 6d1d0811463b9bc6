package auth

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"net/netip"
)

// The channel binding types that the server speaks. tls-unique is left out on purpose: RFC 5929's construction is broken without the
// extended master secret and does not exist in TLS 1.3.
const (
	BindingExporter       = "tls-exporter"         // RFC 9266
	BindingServerEndPoint = "tls-server-end-point" // RFC 5929 §4
)

// ChannelBinding is one type of channel binding together with this connection's data.
type ChannelBinding struct {
	Type string
	Data []byte
}

// Channel says what the exchange runs over.
type Channel struct {
	Secure   bool             // inside TLS
	Bindings []ChannelBinding // strongest first; none when TLS ends somewhere else or there is none
	Source   netip.Addr       // where the client is, as failed logins are counted; not valid: unknown
}

// TLSChannel describes a server's TLS connection. The end point is what EndPointBinding made of the certificate that this connection presented; zero
// when it has none.
func TLSChannel(cs *tls.ConnectionState, endPoint ChannelBinding) Channel {
	ch := Channel{Secure: cs.HandshakeComplete}
	// RFC 9266 §3: over TLS 1.2 the exporter is unique only with the extended master secret, so it is not offered there.
	if cs.Version >= tls.VersionTLS13 {
		if data, err := cs.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32); err == nil {
			ch.Bindings = append(ch.Bindings, ChannelBinding{Type: BindingExporter, Data: data})
		}
	}
	if len(endPoint.Data) > 0 {
		ch.Bindings = append(ch.Bindings, endPoint)
	}
	return ch
}

// EndPointBinding computes tls-server-end-point for the certificate that a server presents (RFC 5929 §4.1): its hash by the hash function of its
// signature, SHA-256 in place of MD5 and SHA-1. It is undefined, and false, for signatures without a single hash function such as Ed25519.
func EndPointBinding(cert *tls.Certificate) (ChannelBinding, bool) {
	if cert == nil || len(cert.Certificate) == 0 {
		return ChannelBinding{}, false
	}
	leaf := cert.Leaf
	if leaf == nil {
		var err error
		if leaf, err = x509.ParseCertificate(cert.Certificate[0]); err != nil {
			return ChannelBinding{}, false
		}
	}
	h := endPointHash(leaf.SignatureAlgorithm)
	if h == 0 {
		return ChannelBinding{}, false
	}
	sum := h.New()
	sum.Write(cert.Certificate[0])
	return ChannelBinding{Type: BindingServerEndPoint, Data: sum.Sum(nil)}, true
}

func endPointHash(alg x509.SignatureAlgorithm) crypto.Hash {
	switch alg {
	case x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1,
		x509.SHA256WithRSA, x509.SHA256WithRSAPSS, x509.DSAWithSHA256, x509.ECDSAWithSHA256:
		return crypto.SHA256
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		return crypto.SHA384
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		return crypto.SHA512
	}
	return 0
}
