package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"
)

// readers is the number of reading connections.
const readers = 4

// reader runs reading statements, on goroutines of its own: the engine needs a deep stack, which
// a session's goroutine that asked once, at login, would keep for as long as it is idle.
type reader struct {
	db      *sql.DB
	dialect dialect

	work chan *reading
	stop chan struct{}  // closed to end the workers
	done sync.WaitGroup // the workers

	mu         sync.Mutex
	statements map[string]*sql.Stmt // by text
}

// reading is a statement that somebody waits for.
type reading struct {
	ctx       context.Context
	statement string
	args      []any
	scan      func(*sql.Rows) error
	result    chan error
}

func startReader(db *sql.DB, d dialect) *reader {
	r := &reader{
		db: db, dialect: d,
		work: make(chan *reading), stop: make(chan struct{}),
		statements: make(map[string]*sql.Stmt),
	}
	for range readers {
		r.done.Go(func() {
			for {
				select {
				case one := <-r.work:
					one.result <- r.run(one)
				case <-r.stop:
					return
				}
			}
		})
	}
	return r
}

// close waits for the statements under way, and lets go of the connections.
func (r *reader) close() error {
	close(r.stop)
	r.done.Wait()
	var err error
	for _, stmt := range r.statements {
		err = errors.Join(err, stmt.Close())
	}
	return errors.Join(err, r.db.Close())
}

// do runs a statement and hands each row to scan, on another goroutine; it returns once scan is not called any more.
func (r *reader) do(ctx context.Context, scan func(*sql.Rows) error, statement string, args []any) error {
	one := &reading{ctx: ctx, statement: statement, args: args, scan: scan, result: make(chan error, 1)}
	select {
	case r.work <- one:
		return <-one.result
	case <-ctx.Done():
		return ctx.Err()
	case <-r.stop:
		return ErrClosed
	}
}

func (r *reader) run(one *reading) (err error) {
	stmt, err := r.prepared(one.ctx, one.statement) //nolint:sqlclosecheck // kept for the next reading, closed with the store
	if err != nil {
		return err
	}
	rows, err := stmt.QueryContext(one.ctx, one.args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := one.scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// prepared gives a statement that is compiled once for each connection: every login reads, and compiling
// costs as much as reading. The texts are those in this package, so there are few.
func (r *reader) prepared(ctx context.Context, statement string) (*sql.Stmt, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if stmt, ok := r.statements[statement]; ok {
		return stmt, nil
	}
	stmt, err := r.db.PrepareContext(ctx, statement) //nolint:sqlclosecheck // kept for the next reading, closed with the store
	if err != nil {
		return nil, err
	}
	r.statements[statement] = stmt
	return stmt, nil
}

// query runs a reading statement and hands each row to scan.
func (s *Store) query(ctx context.Context, what string, scan func(*sql.Rows) error, statement string, args ...any) error {
	began := time.Now()
	err := s.reader.do(ctx, scan, statement, args)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err() // an interrupted statement fails in the engine's words
	}
	err = s.dialect.explain(err)
	s.stats.read(began, err)
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
