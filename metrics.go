package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"math"
	"time"

	"github.com/chat-operator/chat-operator/controllers"
	"github.com/chat-operator/chat-operator/xmpp/metrics"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// measureStore offers what the database counts.
func measureStore(set *metrics.Set, data *store.Store) {
	for _, r := range store.Results() {
		set.Counter(metrics.StoreOperations, data.Stats().Reads(r), "read", r.String())
		set.Counter(metrics.StoreOperations, data.Stats().Writes(r), "write", r.String())
	}
	set.Histogram(metrics.StoreDuration, data.Stats().Reading, "read")
	set.Histogram(metrics.StoreDuration, data.Stats().Writing, "write")
	set.Gauge(metrics.StoreSize, func() float64 { return float64(data.Size()) })
	set.Gauge(metrics.StoreFree, known(data.Free))
	set.Gauge(metrics.StoreVolume, known(data.Volume))
	set.Counter(metrics.AuditEntries, &data.Stats().Audited)
	set.Counter(metrics.Archived, &data.Stats().Archived)
}

// known is a number of bytes that may not be known: then it is no number, which compares with nothing, so that no alert comes of it.
func known(bytes func() (int64, error)) func() float64 {
	return func() float64 {
		n, err := bytes()
		if err != nil {
			return math.NaN()
		}
		return float64(n)
	}
}

// measureProcess offers what concerns the program as a whole.
func measureProcess(set *metrics.Set, certificate *certificate, h *health, schema *controllers.Schema) {
	set.Gauge(metrics.BuildInfo, func() float64 { return 1 }, version)
	set.Count(metrics.Ready, func() int {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if h.Ready(ctx) != nil {
			return 0
		}
		return 1
	})
	set.Count(metrics.SchemaMissing, func() int { return len(schema.Missing()) })
	set.Gauge(metrics.CertificateExpiry, func() float64 { return expiry(certificate.GetCertificate) })
	set.Gauge(metrics.CertificateLifetime, func() float64 { return lifetime(certificate.GetCertificate) })
	set.Count(metrics.CertificateValid, func() int { return valid(certificate, time.Now()) })
	set.Count(metrics.CertificateStale, func() int { return stale(certificate) })
}

// expiry is when the certificate in use runs out, in Unix time; 0 where none can be read.
func expiry(certificate getCertificate) float64 {
	leaf := leafOf(certificate)
	if leaf == nil {
		return 0
	}
	return float64(leaf.NotAfter.Unix())
}

// valid is 1 while nothing that can be seen in the certificate in use keeps clients from taking it, else 0.
func valid(certificate *certificate, now time.Time) int {
	if certificate.refused(now) != "" {
		return 0
	}
	return 1
}

// stale is 1 while another certificate should be in the place of the one in use and cannot be, else 0.
func stale(certificate *certificate) int {
	if certificate.stale() != "" {
		return 1
	}
	return 0
}

// lifetime is for how long the certificate in use was issued, in seconds; no number, which compares with nothing, where none can be read.
func lifetime(certificate getCertificate) float64 {
	leaf := leafOf(certificate)
	if leaf == nil {
		return math.NaN()
	}
	return leaf.NotAfter.Sub(leaf.NotBefore).Seconds()
}

type getCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error)

// leafOf is the certificate itself, without those that vouch for it; nil where none can be read.
func leafOf(certificate getCertificate) *x509.Certificate {
	c, err := certificate(nil)
	switch {
	case err != nil, c == nil:
		return nil
	case c.Leaf != nil, len(c.Certificate) == 0:
		return c.Leaf
	}
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		return nil
	}
	return leaf
}
