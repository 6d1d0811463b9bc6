package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math"
	"math/big"
	"testing"
	"time"
)

// Where no lifetime is known it is no number: an alert that compares with it goes by the rest. Where no end is known it is 0, which is in
// the past. docs/monitoring.md
func TestCertificateMetrics(t *testing.T) {
	issued := time.Date(2031, 4, 5, 7, 0, 0, 0, time.UTC)
	leaf := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: issued, NotAfter: issued.AddDate(0, 0, 6)}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name             string
		certificate      *tls.Certificate
		err              error
		expiry, lifetime float64
	}{
		{"parsed", &tls.Certificate{Leaf: leaf}, nil, 1933657200, 518400},
		{"not parsed yet", &tls.Certificate{Certificate: [][]byte{der}}, nil, 1933657200, 518400},
		{"not a certificate", &tls.Certificate{Certificate: [][]byte{{1, 2, 3}}}, nil, 0, math.NaN()},
		{"empty", &tls.Certificate{}, nil, 0, math.NaN()},
		{"none", nil, nil, 0, math.NaN()},
		{"an error", nil, errors.New("there is none"), 0, math.NaN()},
	} {
		get := func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return test.certificate, test.err }
		if got := expiry(get); got != test.expiry {
			t.Errorf("%s: the expiry is %v, want %v", test.name, got, test.expiry)
		}
		if got := lifetime(get); got != test.lifetime && !(math.IsNaN(got) && math.IsNaN(test.lifetime)) {
			t.Errorf("%s: the lifetime is %v, want %v", test.name, got, test.lifetime)
		}
	}
}
