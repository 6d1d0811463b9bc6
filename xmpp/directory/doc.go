// Package directory holds declared state as the core sees it: users and their
// credentials, groups, rooms and system properties.
//
// It is a projection in memory. Whoever watches the declarations (the
// controllers, or a test) writes entries with Put and Delete in the order in
// which they changed; everybody else reads, watches or waits. A lookup never
// leaves the process, so a login or a stanza waits on no API server and on no
// database. Nothing here can change a declaration: a wish to change one is
// handed to a [Proposer], and comes back as a Put once it was accepted.
//
// The package knows nothing of where declarations come from, of sessions, of
// the network or of storage.
//
// # Who holds a name
//
// Several resources may claim one identity (a username, a group name, a room's
// address, a property's key). Every claimant is kept. The oldest holds the
// identity, and of equally old ones the one whose resource name sorts first;
// only the holder is in force. When it goes, the next takes over. Watchers
// see holders only: an event is about one identity, and a loser's coming,
// changing and going causes none.
//
// A UID is a life: when the UID behind an identity changes, because the holder
// changed or because the resource was made anew under its old name, watchers see
// a removal, then a creation.
package directory
