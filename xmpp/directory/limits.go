package directory

import (
	"fmt"
	"time"
)

// Keys of the limits.
const (
	KeyMaxUnauthenticated        = "xmpp.limits.unauthenticated"
	KeyMaxUnauthenticatedAddress = "xmpp.limits.unauthenticated-address"
	KeyLoginTime                 = "xmpp.limits.login-time"
	KeyFailedLogins              = "xmpp.limits.failed-logins"
	KeyFailedLoginsAddress       = "xmpp.limits.failed-logins-address"
	KeyFailedLoginDelay          = "xmpp.limits.failed-login-delay"
	KeyStanzaBytesBeforeLogin    = "xmpp.limits.stanza-bytes-before-login"
	KeyStanzaBytes               = "xmpp.limits.stanza-bytes"
	KeyStanzaDepth               = "xmpp.limits.stanza-depth"
	KeyStanzaRate                = "xmpp.limits.stanza-rate"
	KeyByteRate                  = "xmpp.limits.byte-rate"
	KeyFloodTime                 = "xmpp.limits.flood-time"
	KeyIdleTime                  = "xmpp.limits.idle-time"
	KeyMaxSessions               = "xmpp.limits.sessions"
	KeyMaxContacts               = "xmpp.limits.roster-entries"
	KeyOutputBytes               = "xmpp.limits.output-bytes"
	KeyChanges                   = "xmpp.limits.changes"
)

// limitSettings are the rows of the limits on what clients may cost.
func limitSettings() []Setting {
	return []Setting{
		{
			Key: KeyChanges, Type: TypeInt, Default: "120", Live: true,
			Doc: "How many changes of declared things (lasting rooms, declared contacts) one user's clients may make in a minute, that many at once. Beyond " +
				"that a client is asked to wait.",
			check: between(1, 6000),
		},
		{
			Key: KeyMaxUnauthenticated, Type: TypeInt, Default: "4096", Live: true,
			Doc:   "How many connections may be logging in at once, on all ports together. Beyond that new ones are closed. 0: any number.",
			check: between(0, maxCount),
		},
		{
			Key: KeyMaxUnauthenticatedAddress, Type: TypeInt, Default: "512", Live: true,
			Doc: "How many connections from one address (of IPv6: one /64 network) may be logging in at once. Behind a load balancer that hides " +
				"its clients' addresses, use 0: any number.",
			check: between(0, maxCount),
		},
		{
			Key: KeyLoginTime, Type: TypeDuration, Default: "30s", Live: true,
			Doc:   "How long a connection may take from its start to a bound resource, from 1s to 10m.",
			check: within(time.Second, 10*time.Minute),
		},
		{
			Key: KeyFailedLogins, Type: TypeInt, Default: "10", Live: true,
			Doc: "After how many failed logins to one account from one address the next has to wait: a second, and twice as long after each further " +
				"one. Other addresses are not affected, so that nobody can lock others out. 0: never.",
			check: between(0, maxCount),
		},
		{
			Key: KeyFailedLoginsAddress, Type: TypeInt, Default: "100", Live: true,
			Doc: "After how many failed logins from one address (of IPv6: one /64 network), to whatever accounts, the next has to wait, likewise. " +
				"Accounts that have logged in from there before are not affected. 0: never.",
			check: between(0, maxCount),
		},
		{
			Key: KeyFailedLoginDelay, Type: TypeDuration, Default: "5m", Live: true,
			Doc:   "The longest time that a login has to wait because of failed ones, from 1s to 24h.",
			check: within(time.Second, 24*time.Hour),
		},
		{
			Key: KeyStanzaBytesBeforeLogin, Type: TypeInt, Default: "16384", Live: true,
			Doc: "The largest element, in bytes, that a client may send before it has logged in, from 10000 to 1048576. It is announced (XEP-0478), " +
				"and holds for connections that begin from then on.",
			check: between(10_000, 1<<20),
		},
		{
			Key: KeyStanzaBytes, Type: TypeInt, Default: "262144", Live: true,
			Doc: "The largest stanza, in bytes, that a client may send, from 10000 to 524288. It is announced (XEP-0478), and holds for logins from " +
				"then on.",
			check: between(10_000, 512<<10),
		},
		{
			Key: KeyStanzaDepth, Type: TypeInt, Default: "32", Live: true,
			Doc:   "How many levels of elements a stanza may have, from 8 to 256. It holds for logins from then on.",
			check: between(8, 256),
		},
		{
			Key: KeyStanzaRate, Type: TypeInt, Default: "2000", Live: true,
			Doc: "How many stanzas a second a session may send. Five seconds' worth may come at once; what comes faster is read later, and nothing " +
				"is lost. 0: any number.",
			check: between(0, maxCount),
		},
		{
			Key: KeyByteRate, Type: TypeInt, Default: "1048576", Live: true,
			Doc: "How many bytes a second a session may send, counted as they come over the network; otherwise like xmpp.limits.stanza-rate. " +
				"At least 10000; 0: any number.",
			check: zeroOr(10_000, maxCount),
		},
		{
			Key: KeyFloodTime, Type: TypeDuration, Default: "5m", Live: true,
			Doc: "How long a session may go on sending faster than the two rates allow before its stream is ended with policy-violation. " +
				"0: for ever.",
			check: notNegative,
		},
		{
			Key: KeyIdleTime, Type: TypeDuration, Default: "0s", Live: true,
			Doc: "After how long without anything from the client its connection is ended, at least 30s. It is announced (XEP-0478), and holds for " +
				"logins from then on. 0: never, and the network's own keepalive finds connections that are gone.",
			check: zeroOrWithin(30*time.Second, 24*time.Hour),
		},
		{
			Key: KeyMaxSessions, Type: TypeInt, Default: "100", Live: true,
			Doc:   "How many sessions a user may have at once, from 1 on. Those that are there stay.",
			check: between(1, maxCount),
		},
		{
			Key: KeyMaxContacts, Type: TypeInt, Default: "1000", Live: true,
			Doc:   "How many contacts a user's clients may add to the roster, besides the declared ones. Those that are there stay.",
			check: between(0, 100_000),
		},
		{
			Key: KeyOutputBytes, Type: TypeInt, Default: "1048576", Live: true,
			Doc: "How many bytes may wait for a client that is slow to take them before its connection is ended, from 1048576 to 67108864.",
			// What a session with stream management may be owed has to fit when it is sent again.
			check: between(1<<20, 64<<20),
		},
	}
}

// maxCount is more than anybody needs, and can be multiplied.
const maxCount = 1 << 30

func between(least, most int) func(settingValue) error {
	return func(v settingValue) error {
		if v.integer < least || v.integer > most {
			return fmt.Errorf("use a number from %d to %d", least, most)
		}
		return nil
	}
}

func zeroOr(least, most int) func(settingValue) error {
	return func(v settingValue) error {
		if v.integer != 0 && (v.integer < least || v.integer > most) {
			return fmt.Errorf("use 0, or a number from %d to %d", least, most)
		}
		return nil
	}
}

func within(least, most time.Duration) func(settingValue) error {
	return func(v settingValue) error {
		if v.duration < least || v.duration > most {
			return fmt.Errorf("use a duration from %v to %v", least, most)
		}
		return nil
	}
}

func zeroOrWithin(least, most time.Duration) func(settingValue) error {
	return func(v settingValue) error {
		if v.duration != 0 && (v.duration < least || v.duration > most) {
			return fmt.Errorf("use 0, or a duration from %v to %v", least, most)
		}
		return nil
	}
}
