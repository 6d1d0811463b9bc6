package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math"
	"testing"
	"time"
)

// Where no lifetime is known it is no number: an alert that compares with it goes by the rest. docs/monitoring.md
func TestLifetime(t *testing.T) {
	issued := time.Date(2031, 4, 5, 7, 0, 0, 0, time.UTC)
	leaf := &x509.Certificate{NotBefore: issued, NotAfter: issued.AddDate(0, 0, 6)}
	for _, test := range []struct {
		certificate *tls.Certificate
		err         error
		want        float64
	}{
		{&tls.Certificate{Leaf: leaf}, nil, 518400},
		{&tls.Certificate{}, nil, math.NaN()},
		{nil, nil, math.NaN()},
		{nil, errors.New("there is none"), math.NaN()},
	} {
		got := lifetime(func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return test.certificate, test.err })
		if got != test.want && !(math.IsNaN(got) && math.IsNaN(test.want)) {
			t.Errorf("%+v: %v, want %v", test, got, test.want)
		}
	}
}
