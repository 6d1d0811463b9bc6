package xmpp

import (
	"github.com/chat-operator/chat-operator/xmpp/auth"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/stream"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// readLimits makes the limits of connections out of the properties. They are asked for with every stanza, so they are read when one of them
// changes.
func (s *Server) readLimits() {
	d := s.dir
	before, after := xmlstream.PreAuthLimits(), xmlstream.DefaultLimits()
	before.MaxBytes, after.MaxBytes = d.Int(directory.KeyStanzaBytesBeforeLogin), d.Int(directory.KeyStanzaBytes)
	after.MaxDepth = d.Int(directory.KeyStanzaDepth)
	s.limits.Store(&stream.Limits{
		MaxUnauthenticated:        d.Int(directory.KeyMaxUnauthenticated),
		MaxUnauthenticatedAddress: d.Int(directory.KeyMaxUnauthenticatedAddress),
		NegotiationTimeout:        d.Duration(directory.KeyLoginTime),
		Before:                    before,
		After:                     after,
		IdleTimeout:               d.Duration(directory.KeyIdleTime),
		StanzaRate:                d.Int(directory.KeyStanzaRate),
		ByteRate:                  d.Int(directory.KeyByteRate),
		FloodTime:                 d.Duration(directory.KeyFloodTime),
		MaxPendingOutput:          d.Int(directory.KeyOutputBytes),
	})
}

// watchLimits keeps them up to date until cancel is called.
func (s *Server) watchLimits() (cancel func()) {
	cancel = s.dir.Watch(func(e directory.Event) {
		if e.Kind == directory.KindProperty {
			s.readLimits()
		}
	})
	s.readLimits() // what changed before
	return cancel
}

// attempts is how many logins may fail.
func (s *Server) attempts() auth.Attempts {
	return auth.Attempts{
		PerAccount: s.dir.Int(directory.KeyFailedLogins),
		PerAddress: s.dir.Int(directory.KeyFailedLoginsAddress),
		MaxDelay:   s.dir.Duration(directory.KeyFailedLoginDelay),
	}
}
