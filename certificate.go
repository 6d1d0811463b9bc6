package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/certwatcher"

	"github.com/chat-operator/chat-operator/xmpp"
)

// certificate is the one that clients are shown, read anew when its files change.
type certificate struct {
	*certwatcher.CertWatcher
	domain            string
	certFile, keyFile string
	// notRenewed is why a self-signed one was not renewed at the start; nil: it was, or had not to be.
	notRenewed *xmpp.NotRenewedError
	// every is the pause between two looks at the files, of which unreadable is what the last one found.
	every time.Duration
	// unreadable is why the files cannot take the place of what is in use; nil: they can, or have.
	unreadable atomic.Pointer[error]
}

// selfSigner is xmpp.SelfSigned.
type selfSigner func(dir, domain string, now time.Time, log *slog.Logger) (certFile, keyFile string, err error)

// lookEvery is how often the watcher reads the files, too, which tells nobody what it finds.
const lookEvery = 10 * time.Second

// watchCertificate gives the certificate of the files in use, those of selfSigned where none are given. The log says so when clients will not take it, now or after a change.
func watchCertificate(o *options, log *slog.Logger, selfSigned selfSigner) (*certificate, error) {
	c := &certificate{domain: o.domain, certFile: o.certFile, keyFile: o.keyFile, every: lookEvery}
	if c.certFile == "" {
		var err error
		c.certFile, c.keyFile, err = selfSigned(o.dataDir, o.domain, time.Now(), log)
		if errors.As(err, &c.notRenewed) {
			log.Warn("The certificate of an earlier start stays in use", "reason", err.Error())
		} else if err != nil {
			return nil, err
		}
	}
	if _, err := xmpp.LoadCertificate(c.certFile, c.keyFile); err != nil {
		return nil, err
	}
	var err error
	if c.CertWatcher, err = certwatcher.New(c.certFile, c.keyFile); err != nil {
		return nil, err
	}
	c.RegisterCallback(func(pair tls.Certificate) {
		c.unreadable.Store(nil) // the files have just been read
		if remark := xmpp.CertificateRemark(pair.Leaf, o.domain, time.Now()); remark != "" {
			log.Warn("Chat clients will not take the certificate", "reason", remark, "file", c.certFile)
		}
	})
	return c, nil
}

// Start reads the files anew whenever they change, until ctx ends.
func (c *certificate) Start(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var looking sync.WaitGroup
	looking.Go(func() {
		tick := time.NewTicker(c.every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				c.look()
			}
		}
	})
	defer looking.Wait()
	defer cancel()
	return c.CertWatcher.Start(ctx)
}

// look sees whether the files can be used, as nobody does who is asked for remarks: a disk that hangs must not hold them up.
func (c *certificate) look() {
	if _, err := xmpp.LoadCertificate(c.certFile, c.keyFile); err != nil {
		c.unreadable.Store(&err)
	} else {
		c.unreadable.Store(nil)
	}
}

// refused says why clients do not take the certificate in use; empty: nothing speaks against it.
func (c *certificate) refused(now time.Time) string {
	return xmpp.CertificateRemark(leafOf(c.GetCertificate), c.domain, now)
}

// stale says why the certificate in use is not the one that should have taken its place by now; empty: there is none.
func (c *certificate) stale() string {
	leaf := leafOf(c.GetCertificate)
	if leaf == nil {
		return ""
	}
	if err := c.unreadable.Load(); err != nil {
		return fmt.Sprintf("%v; the certificate of before stays in use, until %s", *err, leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	if c.notRenewed != nil && leaf.NotAfter.Equal(c.notRenewed.Until) {
		return c.notRenewed.Error()
	}
	return ""
}

// remarks are what people should know of the certificate.
func (c *certificate) remarks(now time.Time) (list []string) {
	for _, remark := range []string{c.refused(now), c.stale()} {
		if remark != "" {
			list = append(list, remark)
		}
	}
	return list
}
