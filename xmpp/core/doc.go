// Package core is the switchboard: it knows which sessions there are, takes in what clients send and delivers stanzas by
// RFC 6121 §8.
//
// The way of a stanza is written down once for each kind, in order: message.go, presence.go and iq.go. Who delivers something asks the
// [Switchboard] and does not know where the session is.
package core
