package store

import (
	"context"
	"database/sql"
)

// Audited is a resource as it was when the audit log last took note of it.
type Audited struct {
	UID string
	// Kind is directory.Kind's text, Name the resource's name, Identity the chat name.
	Kind, Name, Identity string
	Generation           int64
	// Writers says who had written it by then, in the words of whoever takes note.
	Writers string
	// Gone takes the resource out.
	Gone bool
}

const (
	auditedList  = `SELECT uid, kind, name, identity, generation, writers FROM audited`
	auditedBegun = `SELECT value FROM counter WHERE name = 'audited'`
	auditedBegin = `UPDATE counter SET value = 1 WHERE name = 'audited'`
	auditedPut   = `INSERT INTO audited (uid, kind, name, identity, generation, writers) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (uid) DO UPDATE SET kind = excluded.kind, name = excluded.name, identity = excluded.identity,
			generation = excluded.generation, writers = excluded.writers`
	auditedDelete = `DELETE FROM audited WHERE uid = $1`
)

// ListAudited lists the resources that the audit log has taken note of, by their UIDs. begun is false until BeginAudited was called: what is not in the
// list may have been there before anything was recorded.
func (s *Store) ListAudited(ctx context.Context) (list map[string]Audited, begun bool, err error) {
	if err := s.query(ctx, "reading what the audit log has taken note of", func(rows *sql.Rows) error {
		var n int64
		err := rows.Scan(&n)
		begun = n > 0
		return err
	}, auditedBegun); err != nil {
		return nil, false, err
	}
	list = map[string]Audited{}
	err = s.query(ctx, "reading what the audit log has taken note of", func(rows *sql.Rows) error {
		var a Audited
		if err := rows.Scan(&a.UID, &a.Kind, &a.Name, &a.Identity, &a.Generation, &a.Writers); err != nil {
			return err
		}
		list[a.UID] = a
		return nil
	}, auditedList)
	return list, begun, err
}

// BeginAudited says that all resources are listed from now on.
func (s *Store) BeginAudited(ctx context.Context) error {
	return s.write(ctx, "writing what the audit log has taken note of", func(t *txn) error { return t.exec(auditedBegin) })
}

// RecordAudited adds entries to the audit log and takes note of the resources that they are about, which are listed in the order of what happened: all or
// none, so that no change is recorded twice.
func (s *Store) RecordAudited(ctx context.Context, entries []AuditEntry, resources []Audited) error {
	err := s.write(ctx, "writing to the audit log", func(t *txn) error {
		for i := range resources {
			r := &resources[i]
			var err error
			if r.Gone {
				err = t.exec(auditedDelete, r.UID)
			} else {
				err = t.exec(auditedPut, r.UID, r.Kind, r.Name, r.Identity, r.Generation, r.Writers)
			}
			if err != nil {
				return err
			}
		}
		return appendAudit(t, entries)
	})
	if err == nil {
		s.stats.Audited.Add(len(entries))
	}
	return err
}
