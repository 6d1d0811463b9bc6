// Package chat logs in as chat clients do, with a client library that has nothing in common with the server.
package chat

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"mellium.im/sasl"
	"mellium.im/xmpp"
	"mellium.im/xmpp/jid"
)

// Login says as whom, and how, to log in.
type Login struct {
	Username, Domain, Password string
	Mechanism                  sasl.Mechanism
	// TLS is the client's configuration. DirectTLS says that the connection begins with TLS (XEP-0368); otherwise STARTTLS comes first.
	TLS       *tls.Config
	DirectTLS bool
}

// Patience gives a context for one call of the client library, which ends after a time unless done is called before. Calling done does not end it: a
// context that ends in the moment that a call returns is taken by the library, now and then, for one that ended before, and what is written next fails.
func Patience(limit time.Duration) (ctx context.Context, done func()) {
	ctx, cancel := context.WithCancel(context.Background())
	timer := time.AfterFunc(limit, cancel)
	return ctx, func() { timer.Stop() }
}

// Open negotiates a session, up to a bound resource, on a connection that it closes when that fails.
func Open(ctx context.Context, conn net.Conn, l Login) (_ *xmpp.Session, err error) {
	defer func() {
		if err != nil {
			_ = conn.Close()
		}
	}()
	origin, err := jid.New(l.Username, l.Domain, "")
	if err != nil {
		return nil, err
	}
	features := []xmpp.StreamFeature{xmpp.SASL("", l.Password, l.Mechanism), xmpp.BindResource()}
	if !l.DirectTLS {
		return xmpp.NewClientSession(ctx, origin, conn, append([]xmpp.StreamFeature{xmpp.StartTLS(l.TLS)}, features...)...)
	}
	config := l.TLS.Clone()
	config.NextProtos = []string{"xmpp-client"} // XEP-0368 §4
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return xmpp.NewSession(ctx, origin.Domain(), origin, secured, xmpp.Secure,
		xmpp.NewNegotiator(func(*xmpp.Session, *xmpp.StreamConfig) xmpp.StreamConfig {
			return xmpp.StreamConfig{Features: features}
		}))
}
