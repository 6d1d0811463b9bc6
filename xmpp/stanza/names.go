// Package stanza gives XMPP's meaning to XML elements: the three kinds of stanzas with their addresses, types, replies and
// errors (RFC 6120 §8, RFC 6121), and stream errors (RFC 6120 §4.9).
package stanza

import "github.com/chat-operator/chat-operator/xmpp/xmlstream"

// Namespaces that the server speaks.
const (
	NSClient       = xmlstream.NSClient                       // RFC 6120 §4.8.2
	NSStream       = xmlstream.NSStreams                      // RFC 6120 §4.8.1
	NSStreamErrors = "urn:ietf:params:xml:ns:xmpp-streams"    // RFC 6120 §4.9.2
	NSStanzas      = "urn:ietf:params:xml:ns:xmpp-stanzas"    // RFC 6120 §8.3.2
	NSTLS          = "urn:ietf:params:xml:ns:xmpp-tls"        // RFC 6120 §5.4
	NSSASL         = "urn:ietf:params:xml:ns:xmpp-sasl"       // RFC 6120 §6.4
	NSBind         = "urn:ietf:params:xml:ns:xmpp-bind"       // RFC 6120 §7.4
	NSSession      = "urn:ietf:params:xml:ns:xmpp-session"    // RFC 3921 §3, kept for older clients
	NSRoster       = "jabber:iq:roster"                       // RFC 6121 §2.1.1
	NSRosterVer    = "urn:xmpp:features:rosterver"            // RFC 6121 §2.6.1
	NSPreApproval  = "urn:xmpp:features:pre-approval"         // RFC 6121 §3.4
	NSDiscoInfo    = "http://jabber.org/protocol/disco#info"  // XEP-0030
	NSDiscoItems   = "http://jabber.org/protocol/disco#items" // XEP-0030
	NSDataForms    = "jabber:x:data"                          // XEP-0004
	NSRSM          = "http://jabber.org/protocol/rsm"         // XEP-0059
	NSVersion      = "jabber:iq:version"                      // XEP-0092
	NSCaps         = "http://jabber.org/protocol/caps"        // XEP-0115
	NSPing         = "urn:xmpp:ping"                          // XEP-0199
	NSTime         = "urn:xmpp:time"                          // XEP-0202
	NSDelay        = "urn:xmpp:delay"                         // XEP-0203
	NSForward      = "urn:xmpp:forward:0"                     // XEP-0297
	NSStanzaID     = "urn:xmpp:sid:0"                         // XEP-0359
	NSHints        = "urn:xmpp:hints"                         // XEP-0334
	NSLast         = "jabber:iq:last"                         // XEP-0012
	NSVCard        = "vcard-temp"                             // XEP-0054
	NSChannelBind  = "urn:xmpp:sasl-cb:0"                     // XEP-0440
)

// Kind is one of the three kinds of stanzas (RFC 6120 §8.2).
type Kind uint8

// The kinds. The zero value is none of them.
const (
	Message Kind = iota + 1
	Presence
	IQ
)

// String is the element's name.
func (k Kind) String() string {
	switch k {
	case Message:
		return "message"
	case Presence:
		return "presence"
	case IQ:
		return "iq"
	}
	return ""
}

// Type is what the type attribute says, one set for all kinds.
type Type uint8

// The types: of messages (RFC 6121 §5.2.2), presence (RFC 6121 §4.7.1), IQs (RFC 6120 §8.2.3), and the one of errors that
// all share. The zero value is none of them.
const (
	MessageNormal Type = iota + 1
	MessageChat
	MessageGroupchat
	MessageHeadline
	PresenceAvailable // no type attribute
	PresenceUnavailable
	PresenceSubscribe
	PresenceSubscribed
	PresenceUnsubscribe
	PresenceUnsubscribed
	PresenceProbe
	IQGet
	IQSet
	IQResult
	TypeError
)

// typeNames are the values on the wire.
var typeNames = [...]string{
	MessageNormal:        "normal",
	MessageChat:          "chat",
	MessageGroupchat:     "groupchat",
	MessageHeadline:      "headline",
	PresenceAvailable:    "",
	PresenceUnavailable:  "unavailable",
	PresenceSubscribe:    "subscribe",
	PresenceSubscribed:   "subscribed",
	PresenceUnsubscribe:  "unsubscribe",
	PresenceUnsubscribed: "unsubscribed",
	PresenceProbe:        "probe",
	IQGet:                "get",
	IQSet:                "set",
	IQResult:             "result",
	TypeError:            "error",
}

// String is the value of the type attribute; empty for available presence, which has none.
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return ""
}

// parseType reads the type attribute of a stanza of kind k; value is nil when there is none.
func parseType(k Kind, value []byte) (Type, bool) {
	first, last := IQGet, IQResult
	switch k {
	case Message:
		first, last = MessageNormal, MessageHeadline
	case Presence:
		if value == nil {
			return PresenceAvailable, true
		}
		first, last = PresenceUnavailable, PresenceProbe
	}
	for t := first; t <= last; t++ {
		if string(value) == typeNames[t] {
			return t, true
		}
	}
	if string(value) == typeNames[TypeError] {
		return TypeError, true
	}
	if k == Message {
		return MessageNormal, true // RFC 6121 §5.2.2: no type, or one that isn't understood
	}
	return 0, false
}
