package store

import (
	"context"
	"database/sql"
	"strconv"

	"github.com/chat-operator/chat-operator/xmpp/archive"
)

// SetMaxPages makes the disk "full" once the database has that many pages more than it has now.
func (s *Store) SetMaxPages(more int64) error {
	return s.write(context.Background(), "limiting the database", func(t *txn) error {
		var now, set int64
		if err := t.one("PRAGMA page_count", nil, &now); err != nil {
			return err
		}
		return t.one("PRAGMA max_page_count = "+strconv.FormatInt(now+more, 10), nil, &set)
	})
}

// Write runs statements as one write, and Do any function.
func (s *Store) Write(ctx context.Context, statement string, args ...any) error {
	return s.write(ctx, "testing", func(t *txn) error { return t.exec(statement, args...) })
}

// Do runs a function as a write.
func (s *Store) Do(ctx context.Context, f func() error) error {
	return s.write(ctx, "testing", func(*txn) error { return f() })
}

// WriteThenFail runs a statement that succeeds in a write that then fails.
func (s *Store) WriteThenFail(ctx context.Context, err error, statement string, args ...any) error {
	return s.write(ctx, "testing", func(t *txn) error {
		if err := t.exec(statement, args...); err != nil {
			return err
		}
		return err
	})
}

// Queued says how many writes wait.
func (s *Store) Queued() int { return len(s.writer.queue) }

// Statements lists every statement that the code runs.
func Statements() []string {
	filter := AuditFilter{Username: "a", From: toTime(1), To: toTime(2), Limit: 1}
	filtered, _ := filter.statement()
	counted, _ := filter.where()
	list := []string{
		archivePut, archiveGet, archiveRecent, archiveEnd, archiveFind, archiveBury, archivePrune, archiveNumber,
		droppedPut, droppedList, droppedDelete,
		roomGet, roomNew, roomUID, roomOwner, roomThere, roomOlder, roomSubject, roomApplied, roomVCard, roomDelete,
		nickList, nickPut, nickDelete, nickPurge,
	}
	word := "a"
	for _, q := range []archive.Query{{}, {Last: true}, {Peer: &word}, {Peer: &word, Last: true}, {Account: &word}, {Account: &word, Last: true}} {
		page, _ := pageStatement(&q)
		count, _ := countStatement(&q)
		list = append(list, page, count)
	}
	list = append(list, moveAccount()...)
	list = append(list, offlineStanzas, offlineReaddress, notesStanzas, notesReaddress, identityDeleteLife)
	return append(list,
		rosterLoad, rosterPut, rosterDelete, rosterHolders, rosterPurge,
		offlineCount, offlineWaiting, offlinePut, offlineLoad, offlineDelete, offlinePrune, offlinePurge, lastPut, lastGet, lastPurge,
		inflightPut, inflightDelete, inflightDeleteOne, inflightOf, inflightPrune, inflightPurge, inflightMove, inflightMoved, inflightStale,
		inflightSessions, offlineLast, offlineSince,
		vcardGet, vcardPut, vcardPurge,
		identityList, identityListOf, identityGet, identityPut, identityDelete,
		auditedList, auditedBegun, auditedBegin, auditedPut, auditedDelete,
		auditNextID, auditAppend, filtered, auditCount+counted, auditPrune,
		domainGet, domainPut,
	)
}

// Plan is how the engine reads what a query picks.
func (s *Store) Plan(ctx context.Context, q archive.Query) (plan string, err error) {
	statement, args := pageStatement(&q)
	return s.explain(ctx, statement, args)
}

// PlanAudit is how the engine reads what a filter of the audit log picks.
func (s *Store) PlanAudit(ctx context.Context, f AuditFilter) (plan string, err error) {
	statement, args := f.statement()
	return s.explain(ctx, statement, args)
}

func (s *Store) explain(ctx context.Context, statement string, args []any) (plan string, err error) {
	err = s.query(ctx, "explaining", func(rows *sql.Rows) error {
		var id, parent, unused int64
		var line string
		err := rows.Scan(&id, &parent, &unused, &line)
		plan += line + "\n"
		return err
	}, "EXPLAIN QUERY PLAN "+statement, args...)
	return plan, err
}

// Migrations are the embedded files.
func Migrations() map[string]string {
	all := map[string]string{}
	entries, _ := migrations.ReadDir("migrations")
	for _, e := range entries {
		b, _ := migrations.ReadFile("migrations/" + e.Name())
		all[e.Name()] = string(b)
	}
	return all
}

// ExplainSQLite is the translation of an engine's errors.
func ExplainSQLite(path string, err error) error { return explainSQLite(path, err) }
