package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
)

const (
	// queueLength bounds the writes that wait; who comes later waits to be queued.
	queueLength = 1024
	// batchLength bounds the writes of one transaction, so that the first one of a
	// long queue isn't acknowledged only with the last one.
	batchLength = 256
)

// writer is the one goroutine that writes. It collects what has queued up and commits
// it together; while it commits, the next batch collects. So an idle
// server commits at once and a busy one shares its fsyncs, without a timer.
type writer struct {
	db      *sql.DB
	dialect dialect
	log     *slog.Logger
	queue   chan *operation
	// stop asks the goroutine to finish, done says that it has.
	stop     chan struct{}
	stopOnce sync.Once
	done     chan struct{}
	closeErr error

	// These belong to the goroutine.
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

var errPanicked = errors.New("a write panicked")

// operation is one write.
type operation struct {
	run    func(*txn) error
	result chan error // has room for the result
	state  atomic.Uint32
}

const (
	waiting = iota
	// taken: the writer is at it, and the result will tell.
	taken
	// abandoned: whoever asked has gone; it must not be run.
	abandoned
)

func startWriter(db *sql.DB, d dialect, log *slog.Logger) *writer {
	w := &writer{
		db: db, dialect: d, log: log,
		queue: make(chan *operation, queueLength),
		stop:  make(chan struct{}),
		done:  make(chan struct{}),
	}
	go w.loop()
	return w
}

// do queues a write and waits for its result. When ctx ends before the write was
// begun, it is not run. Once begun, its result is waited for, which takes no longer
// than a commit: an error must not stand for something that was kept after all.
func (w *writer) do(ctx context.Context, run func(*txn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	o := &operation{run: run, result: make(chan error, 1)}
	select {
	case w.queue <- o:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.stop:
		return ErrClosed
	}
	select {
	case err := <-o.result:
		return err
	case <-w.done:
		return w.orphaned(o)
	case <-ctx.Done():
		if o.state.CompareAndSwap(waiting, abandoned) {
			return ctx.Err()
		}
	}
	select {
	case err := <-o.result:
		return err
	case <-w.done:
		return w.orphaned(o)
	}
}

// orphaned gives the result of an operation when the writer has ended: it may have
// been queued too late to be seen.
func (w *writer) orphaned(o *operation) error {
	select {
	case err := <-o.result:
		return err
	default:
		return ErrClosed
	}
}

// close has the goroutine finish what is queued and waits for it.
func (w *writer) close() error {
	w.stopOnce.Do(func() { close(w.stop) })
	<-w.done
	return w.closeErr
}

func (w *writer) loop() {
	defer close(w.done)
	batch := make([]*operation, 0, batchLength)
	for {
		select {
		case o := <-w.queue:
			batch = w.collect(append(batch[:0], o))
			w.commit(batch)
			clear(batch)
		case <-w.stop:
			for {
				if batch = w.collect(batch[:0]); len(batch) == 0 {
					w.closeErr = errors.Join(w.disconnect(), w.db.Close())
					return
				}
				w.commit(batch)
			}
		}
	}
}

// collect adds what is queued already to a batch.
func (w *writer) collect(batch []*operation) []*operation {
	for len(batch) < batchLength {
		select {
		case o := <-w.queue:
			batch = append(batch, o)
		default:
			return batch
		}
	}
	return batch
}

// commit runs the operations of a batch that are still wanted, in one transaction, and tells the results.
func (w *writer) commit(batch []*operation) {
	wanted := batch[:0]
	for _, o := range batch {
		if o.state.CompareAndSwap(waiting, taken) {
			wanted = append(wanted, o)
		}
	}
	if len(wanted) == 0 {
		return
	}
	results, err := w.transaction(wanted)
	switch {
	case err == nil:
	case len(wanted) > 1 && w.dialect.undone(err):
		// Together they were too much (the disk is full), or one of them took the
		// whole transaction along. Alone, those that can succeed do.
		for i, o := range wanted {
			one, err := w.transaction([]*operation{o})
			if results[i] = err; err == nil {
				results[i] = one[0]
			}
		}
	default:
		for i := range results {
			results[i] = err
		}
	}
	for i, o := range wanted {
		o.result <- results[i]
	}
}

// transaction runs operations in one transaction. It returns a result for each, which
// count only when err is nil: else nothing was kept.
func (w *writer) transaction(operations []*operation) (results []error, err error) {
	results = make([]error, len(operations))
	// What was begun is finished: the contexts of those who ask end their waiting,
	// not the work they share with others.
	ctx := context.Background()
	if err := w.begin(ctx); err != nil {
		return results, err
	}
	committed := false
	defer func() {
		if !committed {
			// It fails when the engine has rolled back by itself, or is gone. Whatever
			// is wrong, begin finds out and makes a new connection.
			_, _ = w.conn.ExecContext(ctx, "ROLLBACK")
		}
	}()
	t := &txn{w: w}
	if len(operations) == 1 {
		if results[0] = w.run(t, operations[0]); results[0] != nil {
			return results, nil
		}
		_, err = w.conn.ExecContext(ctx, "COMMIT")
		committed = err == nil
		return results, err
	}
	for i, o := range operations {
		if err := t.exec("SAVEPOINT one"); err != nil {
			return results, err
		}
		if results[i] = w.run(t, o); results[i] != nil {
			if err := t.exec("ROLLBACK TO SAVEPOINT one"); err != nil {
				// The engine has given the whole transaction up because of it.
				return results, results[i]
			}
		}
		if err := t.exec("RELEASE SAVEPOINT one"); err != nil {
			return results, err
		}
	}
	_, err = w.conn.ExecContext(ctx, "COMMIT")
	committed = err == nil
	return results, err
}

// run runs one operation. A mistake in one must not end the writer and with it the process.
func (w *writer) run(t *txn, o *operation) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errPanicked, p)
			w.log.Error("A write to the database panicked", "panic", p)
		}
	}()
	return o.run(t)
}

// begin starts a transaction, on a new connection when the old one is of no use any more.
func (w *writer) begin(ctx context.Context) error {
	if w.conn != nil {
		if _, err := w.conn.ExecContext(ctx, w.dialect.begin); err == nil {
			return nil
		}
		_ = w.disconnect()
	}
	conn, err := w.db.Conn(ctx)
	if err != nil {
		return err
	}
	w.conn, w.stmts = conn, map[string]*sql.Stmt{}
	if _, err := conn.ExecContext(ctx, w.dialect.begin); err != nil {
		return errors.Join(err, w.disconnect())
	}
	return nil
}

// disconnect gives the connection up, for good: a transaction that hangs on it ends with it.
func (w *writer) disconnect() error {
	if w.conn == nil {
		return nil
	}
	var all []error
	for _, s := range w.stmts {
		all = append(all, s.Close())
	}
	// This is how database/sql is told not to keep a connection for the next one who asks.
	if err := w.conn.Raw(func(any) error { return driver.ErrBadConn }); err != nil && !errors.Is(err, driver.ErrBadConn) {
		all = append(all, err)
	}
	if err := w.conn.Close(); err != nil && !errors.Is(err, sql.ErrConnDone) {
		all = append(all, err)
	}
	w.conn, w.stmts = nil, nil
	return errors.Join(all...)
}

// txn is a transaction as operations see it. Statements are prepared once a
// connection, and run to their end: see writer.transaction about contexts.
type txn struct{ w *writer }

// statement prepares a text unless that has been done on this connection; disconnect
// closes it.
func (t *txn) statement(text string) error {
	if _, ok := t.w.stmts[text]; ok {
		return nil
	}
	s, err := t.w.conn.PrepareContext(context.Background(), text) //nolint:sqlclosecheck // It lives as long as the connection: disconnect closes it.
	if err != nil {
		return err
	}
	t.w.stmts[text] = s
	return nil
}

func (t *txn) exec(text string, args ...any) error {
	_, err := t.count(text, args...)
	return err
}

// count is exec that tells how many rows it changed.
func (t *txn) count(text string, args ...any) (int64, error) {
	if err := t.statement(text); err != nil {
		return 0, err
	}
	r, err := t.w.stmts[text].ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// one runs a statement that returns one row.
func (t *txn) one(text string, args []any, into ...any) error {
	if err := t.statement(text); err != nil {
		return err
	}
	return t.w.stmts[text].QueryRowContext(context.Background(), args...).Scan(into...)
}
