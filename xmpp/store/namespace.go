package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

const (
	namespaceGet = `SELECT value FROM installation WHERE name = 'namespace'`
	namespacePut = `INSERT INTO installation (name, value) VALUES ('namespace', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value`
)

// CheckNamespace fails with ErrNamespace when the database is that of another namespace than this one and the one it may be moved from, which may be
// empty: what is remembered belongs to the resources of that one, and would be purged where they are not.
func (s *Store) CheckNamespace(ctx context.Context, namespace, from string) error {
	have := ""
	err := s.query(ctx, "reading the namespace of the database", func(rows *sql.Rows) error { return rows.Scan(&have) }, namespaceGet)
	if err == nil && have != "" && have != namespace && have != from {
		return &Error{
			Path: s.path, Kind: ErrNamespace,
			Message: fmt.Sprintf("the database %s is that of the namespace %s, and not of %s: give --namespace=%s, or a folder for this one with --data-dir. In another namespace, users "+
				"and rooms that are not declared there count as deleted; to move the server on purpose, declare them in %s first, and give --move-from-namespace=%s",
				s.path, have, namespace, have, namespace, have),
		}
	}
	return err
}

// ClaimNamespace makes the database that of a namespace, from now on. It fails as CheckNamespace does.
func (s *Store) ClaimNamespace(ctx context.Context, namespace, from string) error {
	if err := s.CheckNamespace(ctx, namespace, from); err != nil {
		return err
	}
	return s.write(ctx, "keeping the namespace of the database", func(t *txn) error { return t.exec(namespacePut, namespace) })
}

// Namespace is the one that the database is of; empty: no server that keeps it has used the database yet.
func (s *Snapshot) Namespace(ctx context.Context) (namespace string, err error) {
	err = s.conn.QueryRowContext(ctx, namespaceGet).Scan(&namespace)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("reading the namespace of the database: %w", s.dialect.explain(err))
	}
	return namespace, nil
}
