package store

import (
	"context"
	"database/sql"

	"github.com/chat-operator/chat-operator/xmpp/account"
)

const (
	vcardGet = `SELECT card FROM vcard WHERE username = $1`
	vcardPut = `INSERT INTO vcard (username, card) VALUES ($1, $2)
		ON CONFLICT (username) DO UPDATE SET card = excluded.card`
	vcardPurge = `DELETE FROM vcard WHERE username = $1`
)

var _ account.VCardStore = (*Store)(nil)

// GetVCard implements account.VCardStore.
func (s *Store) GetVCard(ctx context.Context, username string) (card []byte, err error) {
	err = s.query(ctx, "reading the vCard of "+username, func(rows *sql.Rows) error {
		return rows.Scan(&card)
	}, vcardGet, username)
	return card, err
}

// PutVCard implements account.VCardStore.
func (s *Store) PutVCard(ctx context.Context, username string, card []byte, exists func() bool) (bool, error) {
	there := false
	err := s.write(ctx, "writing the vCard of "+username, func(t *txn) error {
		switch there = exists(); {
		case !there:
			return nil
		case len(card) == 0:
			return t.exec(vcardPurge, username)
		default:
			return t.exec(vcardPut, username, card)
		}
	})
	return there && err == nil, err
}
