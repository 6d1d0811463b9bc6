package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/core"
)

const (
	inflightPut = `INSERT INTO inflight (username, id, session, place, received, stanza) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (username, id, session) DO NOTHING`
	inflightDelete    = `DELETE FROM inflight WHERE username = $1 AND id = $2`
	inflightDeleteOne = `DELETE FROM inflight WHERE username = $1 AND id = $2 AND session = $3`
	inflightOf        = `SELECT id, place FROM inflight WHERE username = $1 AND session = $2`
	inflightPrune     = `DELETE FROM inflight WHERE (username, id) IN (SELECT username, id FROM inflight WHERE received < $1 LIMIT $2)`
	inflightPurge     = `DELETE FROM inflight WHERE username = $1`

	// What was sent to several sessions is one message.
	inflightMove = `INSERT INTO offline (username, id, received, stanza)
		SELECT username, id, received, stanza FROM inflight WHERE stanza IS NOT NULL
		ON CONFLICT (username, id) DO NOTHING`
	inflightMoved = `UPDATE inflight SET stanza = NULL WHERE stanza IS NOT NULL`
	inflightStale = `DELETE FROM inflight WHERE stanza IS NULL
		AND NOT EXISTS (SELECT 1 FROM offline WHERE offline.username = inflight.username AND offline.id = inflight.id)`
	inflightSessions = `SELECT DISTINCT username, session FROM inflight`
	offlineLast      = `SELECT COALESCE(MAX(received), 0) FROM offline`
	offlineSince     = `SELECT stanza FROM offline WHERE received >= $1 ORDER BY received DESC LIMIT $2`
)

// maxRecovered bounds the messages that Recover gives.
const maxRecovered = 100_000

var _ core.Journal = (*Store)(nil)

// Record implements core.Journal.
func (s *Store) Record(ctx context.Context, add []core.Note, remove []core.NoteKey) error {
	return s.write(ctx, "noting down what is on its way to clients", func(t *txn) error {
		for i := range add {
			n := &add[i]
			if err := t.exec(inflightPut, n.Username, n.ID, session(n.Session), int64(n.Place), moment(n.Received), n.Stanza); err != nil { //nolint:gosec // a count
				return err
			}
		}
		for i := range remove {
			var err error
			if k := &remove[i]; k.Session == nil {
				err = t.exec(inflightDelete, k.Username, k.ID)
			} else {
				err = t.exec(inflightDeleteOne, k.Username, k.ID, session(k.Session))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// session is how a session's id is stored: one that has none is not null.
func session(id []byte) []byte {
	if id == nil {
		return []byte{}
	}
	return id
}

// Received implements core.Journal.
func (s *Store) Received(ctx context.Context, username string, id []byte, handled uint32) error {
	var got []int64
	err := s.query(ctx, "reading what was on its way to "+username, func(rows *sql.Rows) error {
		var message, place int64
		if err := rows.Scan(&message, &place); err != nil {
			return err
		}
		if int32(handled-uint32(place)) >= 0 { //nolint:gosec // both are counted modulo 2^32
			got = append(got, message)
		}
		return nil
	}, inflightOf, username, session(id))
	if err != nil || len(got) == 0 {
		return err
	}
	return s.DeleteOffline(ctx, username, got)
}

// Traces implements core.Journal.
func (s *Store) Traces() core.TraceFile {
	if s.traces == nil {
		return nil
	}
	return s.traces
}

// Recover implements core.Journal.
func (s *Store) Recover(ctx context.Context, within time.Duration, each func(username string, session []byte), message func(stanza []byte)) error {
	err := s.write(ctx, "moving what was on its way to clients into their mailboxes", func(t *txn) error {
		for _, statement := range []string{inflightMove, inflightMoved, inflightStale} {
			if err := t.exec(statement); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = s.query(ctx, "reading which sessions there were", func(rows *sql.Rows) error {
		var (
			username string
			id       []byte
		)
		if err := rows.Scan(&username, &id); err != nil {
			return err
		}
		each(username, id)
		return nil
	}, inflightSessions)
	if err != nil {
		return err
	}
	var last int64
	err = s.query(ctx, "reading when a message was kept last", func(rows *sql.Rows) error { return rows.Scan(&last) }, offlineLast)
	if err != nil {
		return err
	}
	return s.query(ctx, "reading the last messages", func(rows *sql.Rows) error {
		var stanza []byte
		if err := rows.Scan(&stanza); err != nil {
			return err
		}
		message(stanza)
		return nil
	}, offlineSince, last-within.Microseconds(), maxRecovered)
}
