package store

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// AuditEntry is one line of the audit log. It never holds a secret.
type AuditEntry struct {
	// ID grows from entry to entry; the store gives it.
	ID int64
	// Time is now if it is zero.
	Time time.Time
	// Username is who did it.
	Username string
	// Node is the process that it was done through.
	Node string
	// Summary says what was done, Details lists the values, one a line.
	Summary, Details string
	// Via is the way in, Address where it came from.
	Via, Address string
	// Ended is the UID of a resource that has gone by this, which the log takes note of no longer: its end is told. It is not read back.
	Ended string
}

// AuditFilter picks entries of the audit log. The zero value picks all.
type AuditFilter struct {
	// Username, if not empty, is who did it: exactly.
	Username string
	// From and To bound the time, both inclusive; zero is open.
	From, To time.Time
	// Offset skips that many of the newest entries, Limit caps what comes; 0: no cap.
	Offset, Limit int
}

const (
	auditNextID = `UPDATE counter SET value = value + 1 WHERE name = 'audit_log' RETURNING value`
	auditAppend = `INSERT INTO audit_log (id, time, username, node, summary, details, via, address)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`
	auditSelect = `SELECT id, time, username, node, summary, details, via, address FROM audit_log`
	auditCount  = `SELECT COUNT(*) FROM audit_log`
	auditPrune  = `DELETE FROM audit_log WHERE id IN (SELECT id FROM audit_log WHERE time < $1 ORDER BY time LIMIT $2)`
)

const (
	// maxSummary is how many characters of a summary are kept, which is what the original's log takes.
	maxSummary = 250
	// pruneChunk bounds the rows that one write deletes.
	pruneChunk = 1000
	// pruneEvery is how often old entries are looked for.
	pruneEvery = time.Hour
)

// AppendAudit adds entries, all or none. When it returns, they are kept. A summary is shortened to 250 characters.
func (s *Store) AppendAudit(ctx context.Context, entries ...AuditEntry) error {
	err := s.write(ctx, "writing to the audit log", func(t *txn) error { return appendAudit(t, entries) })
	if err == nil {
		s.stats.Audited.Add(len(entries))
	}
	return err
}

func appendAudit(t *txn, entries []AuditEntry) error {
	now := time.Now()
	for i := range entries {
		e := &entries[i]
		at := e.Time
		if at.IsZero() {
			at = now
		}
		summary := e.Summary
		if r := []rune(summary); len(r) > maxSummary {
			summary = string(r[:maxSummary-1]) + "…"
		}
		var id int64
		if err := t.one(auditNextID, nil, &id); err != nil {
			return err
		}
		if err := t.exec(auditAppend, id, moment(at), e.Username, e.Node, summary, e.Details, e.Via, e.Address); err != nil {
			return err
		}
		if e.Ended != "" {
			if err := t.exec(auditedDelete, e.Ended); err != nil {
				return err
			}
		}
	}
	return nil
}

// CountAudit says how many entries a filter picks, whatever its offset and limit.
func (s *Store) CountAudit(ctx context.Context, f AuditFilter) (n int, err error) {
	where, args := f.where()
	err = s.query(ctx, "counting in the audit log", func(rows *sql.Rows) error { return rows.Scan(&n) }, auditCount+where, args...)
	return n, err
}

// ListAudit lists entries, newest first.
func (s *Store) ListAudit(ctx context.Context, f AuditFilter) ([]AuditEntry, error) {
	statement, args := f.statement()
	var list []AuditEntry
	err := s.query(ctx, "reading the audit log", func(rows *sql.Rows) error {
		var (
			e  AuditEntry
			at int64
		)
		if err := rows.Scan(&e.ID, &at, &e.Username, &e.Node, &e.Summary, &e.Details, &e.Via, &e.Address); err != nil {
			return err
		}
		e.Time = toTime(at)
		list = append(list, e)
		return nil
	}, statement, args...)
	return list, err
}

// where is the condition of a filter; the arguments are numbered from $1.
func (f AuditFilter) where() (string, []any) {
	var (
		where []string
		args  []any
	)
	bind := func(condition string, v any) {
		args = append(args, v)
		where = append(where, fmt.Sprintf("%s $%d", condition, len(args)))
	}
	if f.Username != "" {
		bind("username =", f.Username)
	}
	if !f.From.IsZero() {
		bind("time >=", f.From.UnixMicro())
	}
	if !f.To.IsZero() {
		bind("time <=", f.To.UnixMicro())
	}
	if len(where) == 0 {
		return "", nil
	}
	return " WHERE " + strings.Join(where, " AND "), args
}

func (f AuditFilter) statement() (string, []any) {
	where, args := f.where()
	limit := int64(math.MaxInt64)
	if f.Limit > 0 {
		limit = int64(f.Limit)
	}
	n := len(args)
	return fmt.Sprintf("%s%s ORDER BY time DESC, id DESC LIMIT $%d OFFSET $%d", auditSelect, where, n+1, n+2), append(args, limit, int64(max(f.Offset, 0)))
}

// PruneAudit deletes the entries from before a moment, and says how many there were.
// It goes in parts, between which others write.
func (s *Store) PruneAudit(ctx context.Context, before time.Time) (int64, error) {
	var total int64
	for {
		var n int64
		err := s.write(ctx, "pruning the audit log", func(t *txn) (err error) {
			n, err = t.count(auditPrune, before.UnixMicro(), int64(pruneChunk))
			return err
		})
		if err != nil {
			return total, err
		}
		if total += n; n < pruneChunk {
			return total, nil
		}
	}
}

// Settings is where the retention of the audit log is declared; *directory.Directory is one.
type Settings interface {
	// Synced is closed once everything declared so far is known.
	Synced() <-chan struct{}
	Duration(key string) time.Duration
}

// KeepAudit deletes what is older than the setting audit.retention says, at once and
// every hour, until ctx ends. It waits until the setting is known: the default must not
// delete what a longer retention keeps. What fails is logged and tried again an hour later.
func (s *Store) KeepAudit(ctx context.Context, settings Settings) error {
	select {
	case <-ctx.Done():
		return nil
	case <-settings.Synced():
	}
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	for {
		if retention := settings.Duration(directory.KeyAuditRetention); retention > 0 {
			switch n, err := s.PruneAudit(ctx, time.Now().Add(-retention)); {
			case ctx.Err() != nil:
				return nil
			case err != nil:
				s.log.Error("Old entries of the audit log could not be deleted", "error", err)
			case n > 0:
				s.log.Info("Deleted old entries of the audit log", "entries", n, "retention", retention.String())
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
