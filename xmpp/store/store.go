package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/chat-operator/chat-operator/xmpp/account"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is an open database. All methods may be used by several goroutines at once.
type Store struct {
	path    string
	log     *slog.Logger
	dialect dialect
	lock    *fileLock
	reader  *reader
	writer  *writer
	traces  *os.File
	stats   *Stats

	closing sync.Once
	closed  error
}

var _ account.RosterStore = (*Store)(nil)

// Open opens the SQLite database at path, makes it when it is missing, and brings its tables
// up to date. It fails with ErrInUse while another process has it. Close ends the store.
func Open(ctx context.Context, path string, log *slog.Logger) (*Store, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	if err := touch(absolute); err != nil {
		return nil, err
	}
	l, err := Lock(absolute)
	if err != nil {
		return nil, err
	}
	return l.Open(ctx, log)
}

// Open is the function Open with a lock that is held already. The lock is the store's from then on, also when it fails.
func (l *Locked) Open(ctx context.Context, log *slog.Logger) (_ *Store, err error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Store{path: l.path, log: log, dialect: newSQLite(l.path), stats: newStats(), lock: l.lock}
	if err := touch(l.path); err != nil {
		return nil, errors.Join(err, s.lock.release())
	}
	write, err := sql.Open("sqlite", sqliteSource(l.path, true))
	if err != nil {
		return nil, errors.Join(s.dialect.explain(err), s.lock.release())
	}
	write.SetMaxOpenConns(1)
	read, err := sql.Open("sqlite", sqliteSource(l.path, false))
	if err != nil {
		return nil, errors.Join(s.dialect.explain(err), write.Close(), s.lock.release())
	}
	read.SetMaxOpenConns(readers)
	read.SetMaxIdleConns(readers)
	if err := s.migrate(ctx, write); err != nil {
		return nil, errors.Join(s.dialect.explain(err), read.Close(), write.Close(), s.lock.release())
	}
	// Without it, a client may get a message twice after a crash, and nothing else is wrong.
	if s.traces, err = os.OpenFile(l.path+tracesSuffix, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		log.Warn("the file for traces of messages cannot be opened", "error", err.Error())
	}
	s.reader = startReader(read, s.dialect)
	s.writer = startWriter(write, s.dialect, log)
	return s, nil
}

// migrate brings the tables up to date.
func (s *Store) migrate(ctx context.Context, db *sql.DB) error {
	// Connecting by itself shows what is wrong with the file, before goose wraps it.
	if err := db.PingContext(ctx); err != nil {
		return err
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(s.dialect.migrations, db, files,
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return fmt.Errorf("the migrations of the database %s: %w", s.path, err)
	}
	have, known, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("reading the version of the database %s: %w", s.path, err)
	}
	if have > known {
		return &Error{
			Path: s.path, Kind: ErrNewer,
			Message: fmt.Sprintf("the database %s was made by a newer version of this program (its tables are at %d, this program knows %d): run that version or a later one, or restore a backup: "+moveAsideHint, s.path, have, known),
		}
	}
	done, err := provider.Up(ctx)
	if err != nil {
		return fmt.Errorf("bringing the tables of the database %s up to date: %w", s.path, err)
	}
	if len(done) > 0 {
		s.log.Info("Brought the database up to date", "path", s.path, "from", have, "to", known)
	}
	return nil
}

// Path is the absolute path of the database file.
func (s *Store) Path() string { return s.path }

// Close finishes the writes that were accepted, and lets go of the database.
func (s *Store) Close() error {
	s.closing.Do(func() {
		// Readers first: the last connection to close is the writer's, which
		// folds the log into the database file.
		s.closed = errors.Join(s.reader.close(), s.writer.close(), s.lock.release())
		if s.traces != nil {
			s.closed = errors.Join(s.closed, s.traces.Close())
		}
	})
	return s.closed
}

// write has the writer run a change in a transaction, and returns once it is
// committed. The function may be run more than once; only the last run counts.
func (s *Store) write(ctx context.Context, what string, run func(*txn) error) error {
	began := time.Now()
	err := s.dialect.explain(s.writer.do(ctx, run))
	s.stats.wrote(began, err)
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// moment is how a time is stored.
func moment(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// toTime reads a stored time; 0 stands for none.
func toTime(micro int64) time.Time {
	if micro == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micro).UTC()
}
