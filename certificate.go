package main

import (
	"crypto/tls"
	"log/slog"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/certwatcher"

	"github.com/chat-operator/chat-operator/xmpp"
)

// certificate is the one that clients are shown, read anew when its files change.
type certificate struct {
	*certwatcher.CertWatcher
	domain string
}

// watchCertificate gives the certificate of the files in use. The log says so when clients will not take it, now or after a change.
func watchCertificate(o *options, log *slog.Logger) (*certificate, error) {
	certFile, keyFile := o.certFile, o.keyFile
	if certFile == "" {
		var err error
		if certFile, keyFile, err = xmpp.SelfSigned(o.dataDir, o.domain, time.Now(), log); err != nil {
			return nil, err
		}
	}
	if _, err := xmpp.LoadCertificate(certFile, keyFile); err != nil {
		return nil, err
	}
	watcher, err := certwatcher.New(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	watcher.RegisterCallback(func(c tls.Certificate) {
		if remark := xmpp.CertificateRemark(c.Leaf, o.domain, time.Now()); remark != "" {
			log.Warn("Chat clients will not take the certificate", "reason", remark, "file", certFile)
		}
	})
	return &certificate{watcher, o.domain}, nil
}

// remarks say why clients do not take the certificate.
func (c *certificate) remarks(now time.Time) []string {
	pair, err := c.GetCertificate(nil)
	if err != nil || pair == nil {
		return nil
	}
	if remark := xmpp.CertificateRemark(pair.Leaf, c.domain, now); remark != "" {
		return []string{remark}
	}
	return nil
}
