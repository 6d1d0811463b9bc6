package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/chat-operator/chat-operator/xmpp/jid"
)

const (
	domainGet = `SELECT value FROM installation WHERE name = 'domain'`
	domainPut = `INSERT INTO installation (name, value) VALUES ('domain', $1) ON CONFLICT (name) DO NOTHING`
)

// CheckDomain fails with ErrDomain when the database is that of another domain than a prepared one: addresses of that one are everywhere in it.
func (s *Store) CheckDomain(ctx context.Context, domain string) error {
	have := ""
	err := s.query(ctx, "reading the domain of the database", func(rows *sql.Rows) error { return rows.Scan(&have) }, domainGet)
	if err == nil && have != "" && have != domain {
		return &Error{
			Path: s.path, Kind: ErrDomain,
			Message: fmt.Sprintf("the database %s is that of the domain %s, and not of %s: give --domain=%s. A server for another domain is another server, with a folder and a namespace "+
				"of its own; people are taken over with `chat-operator export`, and `chat-operator import --domain=%s --source-domain=%s` of its file personal/server-data.xml",
				s.path, have, domain, have, domain, have),
		}
	}
	return err
}

// ClaimDomain makes the database that of a prepared domain, from now on. It fails as CheckDomain does.
func (s *Store) ClaimDomain(ctx context.Context, domain string) error {
	if err := s.CheckDomain(ctx, domain); err != nil {
		return err
	}
	return s.write(ctx, "keeping the domain of the database", func(t *txn) error { return t.exec(domainPut, domain) })
}

// Domain is the domain that the database is of; empty: no server with a domain has used it yet.
func (s *Snapshot) Domain(ctx context.Context) (domain string, err error) {
	err = s.conn.QueryRowContext(ctx, domainGet).Scan(&domain)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading the domain of the database: %w", s.dialect.explain(err))
	}
	return jid.PrepareDomain(domain)
}
