package core

import (
	"context"

	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

// Announce hands a message of the server's own to every session, whether or not it has sent presence, addressed to it. A copy that a client does not get
// goes to nobody else, and none is kept. It gives how many sessions took theirs.
func (sb *Switchboard) Announce(m *stanza.Stanza) (taken int) {
	buf := sb.takeBuffer()
	defer sb.giveBuffer(buf)
	one := *m
	for _, s := range sb.table.all() {
		one.To = s.jid
		*buf = one.Append((*buf)[:0])
		if _, ok := s.sendParcel(*buf, parcel{copies: &copies{stored: true}}, nil); ok {
			taken++
		}
	}
	return taken
}

// Post delivers a message of the server's own to an account (RFC 6121 §8.5) and returns when a client was handed it or it is stored. The error is
// the [stanza.Error] that another sender would have got, or that of ctx: what became of the message is open then.
func (sb *Switchboard) Post(ctx context.Context, m *stanza.Stanza) error {
	out := sb.judge(false, m)
	out.fate = make(chan *stanza.Error, 1)
	buf := sb.takeBuffer()
	defer sb.giveBuffer(buf)
	*buf = sb.deliver(&out, (*buf)[:0])
	if !out.letter && len(out.fate) == 0 {
		return nil // somebody took it
	}
	select {
	case bad := <-out.fate:
		if bad != nil {
			return bad
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
