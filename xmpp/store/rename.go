package store

import (
	"context"
	"fmt"

	"github.com/chat-operator/chat-operator/xmpp/directory"
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
)

// moveAccount lists what gives the data of an account to another name, $1 to $2. Each table's own yields to what comes first. A new table of
// account data is added here.
func moveAccount() []string {
	return []string{rosterYield, rosterMove, offlineYield, offlineMove, notesYield, notesMove, lastYield, lastMove}
}

// MoveAccount gives everything that is remembered of a user to another name, in one transaction. Moving what isn't there, or what is moved
// already, is no error and changes nothing.
func (s *Store) MoveAccount(ctx context.Context, from, to string) error {
	return s.write(ctx, fmt.Sprintf("moving the data of %s to %s", from, to), func(t *txn) error {
		for _, statement := range moveAccount() {
			if err := t.exec(statement, from, to); err != nil {
				return err
			}
		}
		return t.exec(identityDelete, directory.KindUser.String(), from)
	})
}
