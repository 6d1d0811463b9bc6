package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

const (
	rosterMove   = `UPDATE roster SET username = $2 WHERE username = $1`
	rosterYield  = `DELETE FROM roster WHERE username = $2 AND EXISTS (SELECT 1 FROM roster WHERE username = $1)`
	offlineMove  = `UPDATE offline SET username = $2 WHERE username = $1`
	offlineYield = `DELETE FROM offline WHERE username = $2 AND EXISTS (SELECT 1 FROM offline WHERE username = $1)`
	notesMove    = `UPDATE inflight SET username = $2 WHERE username = $1`
	notesYield   = `DELETE FROM inflight WHERE username = $2 AND EXISTS (SELECT 1 FROM inflight WHERE username = $1)`
	lastMove     = `UPDATE last_activity SET username = $2 WHERE username = $1`
	lastYield    = `DELETE FROM last_activity WHERE username = $2 AND EXISTS (SELECT 1 FROM last_activity WHERE username = $1)`
	vcardMove    = `UPDATE vcard SET username = $2 WHERE username = $1`
	vcardYield   = `DELETE FROM vcard WHERE username = $2 AND EXISTS (SELECT 1 FROM vcard WHERE username = $1)`
)

// moveAccount lists what gives the data of an account to another name, $1 to $2. Each table's own yields to what comes first. A new table of
// account data is added here.
func moveAccount() []string {
	return []string{rosterYield, rosterMove, offlineYield, offlineMove, notesYield, notesMove, lastYield, lastMove, vcardYield, vcardMove, nickOfYield, nickOfMove}
}

// MoveAccount gives everything that is remembered of a user to another name, in one transaction. Moving what isn't there, or what is moved
// already, is no error and changes nothing.
//
// Rooms that are in memory have to be told that the nickname is another user's. The row of the old name goes if it is of that life. Messages name the account in the addresses that are its own: in the domain, that is.
func (s *Store) MoveAccount(ctx context.Context, from, to, uid, domain string) error {
	old, err := jid.New(from, domain, "")
	if err != nil {
		return err
	}
	now, err := jid.New(to, domain, "")
	if err != nil {
		return err
	}
	messages, err := s.readdressed(ctx, old, now)
	if err != nil {
		return err
	}
	return s.write(ctx, fmt.Sprintf("moving the data of %s to %s", from, to), func(t *txn) error {
		for _, m := range messages {
			if err := t.exec(m.update, from, m.id, m.stanza); err != nil {
				return err
			}
		}
		for _, statement := range moveAccount() {
			if err := t.exec(statement, from, to); err != nil {
				return err
			}
		}
		return t.exec(identityDeleteLife, directory.KindUser.String(), from, uid)
	})
}

// message is one that gets another address.
type message struct {
	update string
	id     int64
	stanza []byte
}

const (
	offlineStanzas     = `SELECT id, stanza FROM offline WHERE username = $1`
	offlineReaddress   = `UPDATE offline SET stanza = $3 WHERE username = $1 AND id = $2`
	notesStanzas       = `SELECT id, stanza FROM inflight WHERE username = $1 AND stanza IS NOT NULL`
	notesReaddress     = `UPDATE inflight SET stanza = $3 WHERE username = $1 AND id = $2 AND stanza IS NOT NULL`
	identityDeleteLife = `DELETE FROM identity WHERE kind = $1 AND name = $2 AND uid = $3`
)

// readdressed gives the messages of an account as they are to be under its new address.
func (s *Store) readdressed(ctx context.Context, old, now jid.JID) (list []message, err error) {
	for _, table := range []struct{ read, update string }{{offlineStanzas, offlineReaddress}, {notesStanzas, notesReaddress}} {
		err := s.query(ctx, "reading the messages of "+old.Local(), func(rows *sql.Rows) error {
			m := message{update: table.update}
			if err := rows.Scan(&m.id, &m.stanza); err != nil {
				return err
			}
			m.stanza = core.Readdress(m.stanza, old, now)
			list = append(list, m)
			return nil
		}, table.read, old.Local())
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}
