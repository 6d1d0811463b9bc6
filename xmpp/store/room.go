package store

import (
	"context"
	"database/sql"
	"errors"
	"math"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/muc"
	"github.com/chat-operator/chat-operator/xmpp/muc/room"
)

const (
	roomColumns = `owner, uid, subject, subject_text, subject_from, subject_time, declared_subject, vcard`
	roomGet     = `SELECT ` + roomColumns + ` FROM room WHERE name = $1`
	roomNew     = `INSERT INTO room (name, owner, uid, subject_text, subject_from, subject_time) VALUES ($1, $2, $3, '', '', 0)`
	roomUID     = `UPDATE room SET uid = $2 WHERE name = $1`
	roomOwner   = `SELECT owner, uid FROM room WHERE name = $1`
	roomThere   = `SELECT name FROM room WHERE owner = $1`
	roomOlder   = `SELECT owner FROM room WHERE EXISTS (SELECT id FROM archive WHERE archive.owner = room.owner AND archive.id <= $1)`
	roomSubject = `UPDATE room SET subject = $2, subject_text = $3, subject_from = $4, subject_time = $5 WHERE owner = $1`
	roomApplied = `UPDATE room SET declared_subject = $2 WHERE owner = $1`
	roomVCard   = `UPDATE room SET vcard = $2 WHERE owner = $1`
	roomDelete  = `DELETE FROM room WHERE owner = $1`

	nickList = `SELECT jid, nickname FROM room_nickname WHERE owner = $1`
	nickPut  = `INSERT INTO room_nickname (owner, jid, nickname) VALUES ($1, $2, $3)
		ON CONFLICT (owner, jid) DO UPDATE SET nickname = excluded.nickname`
	nickDelete = `DELETE FROM room_nickname WHERE owner = $1 AND jid = $2`
	nickPurge  = `DELETE FROM room_nickname WHERE owner = $1`

	// Users of this domain are looked up by their addresses in all rooms. That reads the whole table, which is a small one.
	ownDomain   = `'@' || (SELECT value FROM installation WHERE name = 'domain')`
	nickOfPurge = `DELETE FROM room_nickname WHERE jid = $1 || ` + ownDomain
	nickOfMove  = `UPDATE room_nickname SET jid = $2 || ` + ownDomain + ` WHERE jid = $1 || ` + ownDomain
	nickOfYield = `DELETE FROM room_nickname WHERE jid = $2 || ` + ownDomain + ` AND EXISTS (SELECT 1 FROM room_nickname AS other
		WHERE other.owner = room_nickname.owner AND other.jid = $1 || ` + ownDomain + `)`
)

var _ muc.Store = (*Store)(nil)

// OpenRoom implements muc.Store. Names are identity: as long as the identity's row says that the name's data is kept, a room that is declared
// anew has it again; without a row, what is there was left behind by a room that is no more.
func (s *Store) OpenRoom(ctx context.Context, identity, uid string) (muc.Remembered, error) {
	what := "opening the room " + identity
	r, known, err := s.room(ctx, what, identity)
	if err == nil && known != uid {
		if err = s.claimRoom(ctx, what, identity, uid); err == nil {
			r, known, err = s.room(ctx, what, identity)
		}
		if err == nil && known != uid {
			err = errors.New(what + ": it was declared anew meanwhile")
		}
	}
	if err != nil {
		return muc.Remembered{}, err
	}
	err = s.query(ctx, what, func(rows *sql.Rows) error {
		var user, nick string
		if err := rows.Scan(&user, &nick); err != nil {
			return err
		}
		j, err := jid.Parse(user)
		if err != nil {
			return err
		}
		r.Nicks = append(r.Nicks, room.ReservedNick{User: j, Nick: nick})
		return nil
	}, nickList, r.Owner)
	if err != nil {
		return muc.Remembered{}, err
	}
	err = s.query(ctx, what, func(rows *sql.Rows) error { return rows.Scan(&r.LastID) }, archiveEnd, r.Owner)
	return r, err
}

// LookUpRoom implements muc.Store.
func (s *Store) LookUpRoom(ctx context.Context, identity string) (r muc.Remembered, uid string, err error) {
	return s.room(ctx, "looking up the room "+identity, identity)
}

// room reads a room's row; uid is empty when there is none.
func (s *Store) room(ctx context.Context, what, identity string) (r muc.Remembered, uid string, err error) {
	err = s.query(ctx, what, func(rows *sql.Rows) error {
		var (
			xml        []byte
			text, from string
			at         int64
			declared   sql.NullString
		)
		if err := rows.Scan(&r.Owner, &uid, &xml, &text, &from, &at, &declared, &r.VCard); err != nil {
			return err
		}
		if declared.Valid {
			r.Declared = &declared.String
		}
		if xml == nil {
			return nil
		}
		r.Subject = &room.Subject{XML: xml, Plain: text, Time: toTime(at)}
		if from == "" {
			return nil
		}
		r.Subject.From, err = jid.Parse(from)
		return err
	}, roomGet, identity)
	return r, uid, err
}

// claimRoom makes a name's row that of a declaration, with the data that was kept for it or none.
func (s *Store) claimRoom(ctx context.Context, what, identity, uid string) error {
	return s.write(ctx, what, func(t *txn) error {
		var (
			owner int64
			known string
		)
		switch err := t.one(roomOwner, []any{identity}, &owner, &known); {
		case errors.Is(err, sql.ErrNoRows):
		case err != nil, known == uid:
			return err
		default:
			kept, err := t.kept(directory.KindRoom, identity, uid)
			if err != nil {
				return err
			}
			if kept {
				return t.exec(roomUID, identity, uid)
			}
			if err := t.forgetRoom(owner); err != nil {
				return err
			}
		}
		if err := t.one(archiveNumber, nil, &owner); err != nil {
			return err
		}
		return t.exec(roomNew, identity, owner, uid)
	})
}

// kept reports whether the data of a name is kept for whoever declares it as uid.
func (t *txn) kept(kind directory.Kind, name, uid string) (bool, error) {
	var (
		id    Identity
		since int64
	)
	err := t.one(identityGet, []any{kind.String(), name}, &id.Kind, &id.Name, &id.UID, &id.Resource, &id.DeletionPolicy, &id.State, &since)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	// What is to be purged with a declaration is not for the next one.
	return err == nil && (id.State != PurgeNow || id.UID == uid), err
}

// forgetRoom takes a room's row away. Its messages can be found by nobody from then on, and are deleted later.
func (t *txn) forgetRoom(owner int64) error {
	for _, statement := range []string{roomDelete, nickPurge, droppedPut} {
		if err := t.exec(statement, owner); err != nil {
			return err
		}
	}
	return nil
}

// WriteRoom implements muc.Store.
func (s *Store) WriteRoom(ctx context.Context, owner int64, writes []muc.Write) error {
	err := s.write(ctx, "archiving what was said in a room", func(t *txn) error {
		var name string
		switch err := t.one(roomThere, []any{owner}, &name); {
		case errors.Is(err, sql.ErrNoRows):
			return muc.ErrForgotten
		case err != nil:
			return err
		}
		for i := range writes {
			if err := t.writeRoom(owner, &writes[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		for i := range writes {
			if writes[i].Message != nil {
				s.stats.Archived.Inc()
			}
		}
	}
	return err
}

func (t *txn) writeRoom(owner int64, w *muc.Write) (err error) {
	if w.Message != nil {
		err = t.archiveMessage(owner, w.Message)
	}
	if b := w.Tombstone; b != nil && err == nil {
		err = t.bury(owner, b.ID, b.Account, b.Bury)
	}
	if v := w.Subject; v != nil && err == nil {
		from := ""
		if !v.From.IsZero() {
			from = v.From.String()
		}
		err = t.exec(roomSubject, owner, v.XML, v.Plain, from, moment(v.Time))
	}
	if w.Declared != nil && err == nil {
		var text sql.NullString
		if *w.Declared != nil {
			text = sql.NullString{String: **w.Declared, Valid: true}
		}
		err = t.exec(roomApplied, owner, text)
	}
	if n := w.Nick; n != nil && err == nil {
		if n.Nick == "" {
			err = t.exec(nickDelete, owner, n.User.String())
		} else {
			err = t.exec(nickPut, owner, n.User.String(), n.Nick)
		}
	}
	if w.VCard != nil && err == nil {
		err = t.exec(roomVCard, owner, w.VCard)
	}
	return err
}

// PruneRooms implements muc.Store.
func (s *Store) PruneRooms(ctx context.Context, upTo int64) (int64, error) {
	total, err := s.pruneDropped(ctx)
	if err != nil || upTo <= 0 {
		return total, err
	}
	owners, err := s.numbers(ctx, roomOlder, upTo)
	for _, owner := range owners {
		n, err := s.pruneArchive(ctx, owner, upTo)
		if total += n; err != nil {
			return total, err
		}
	}
	return total, err
}

// PurgeRoom removes everything that is remembered of a room, and the name itself last, so that a purge that was cut short is done again.
// Whoever opens a room of that name meanwhile finds nothing. Purging again, or what isn't there, is no error.
//
// successor is the uid of who has the name by now, or empty: what has been remembered of that life of the room stays.
func (s *Store) PurgeRoom(ctx context.Context, identity, successor string) error {
	var owner int64
	what := "purging the data of the room " + identity
	err := s.write(ctx, what, func(t *txn) error {
		owner = 0
		var uid string
		err := t.one(roomOwner, []any{identity}, &owner, &uid)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if successor != "" && uid == successor {
			owner = 0
			return nil
		}
		return t.forgetRoom(owner)
	})
	if err == nil && owner != 0 {
		_, err = s.pruneArchive(ctx, owner, math.MaxInt64)
	}
	if err != nil {
		return err
	}
	return s.write(ctx, what, func(t *txn) error {
		if err := t.exec(droppedDelete, owner); err != nil {
			return err
		}
		return t.exec(identityDelete, directory.KindRoom.String(), identity)
	})
}
