// Package store remembers what is neither declared nor live: rosters that clients
// made, the identities behind names, the audit log. It keeps them in a SQLite
// file; the interfaces it implements are declared by those who use them.
//
// # Acknowledged means kept
//
// A write returns once it would survive the loss of power. One goroutine writes:
// what arrives while a transaction is being committed is collected and goes into the next one
// together, so that many writers share one fsync. Each write stands in a
// savepoint of its own: one that fails leaves its neighbours alone. Readers use
// connections of their own and wait for no writer.
//
// # One implementation for two engines
//
// SQLite is for one replica. The statements and migrations are written so that
// PostgreSQL runs them unchanged:
//   - placeholders are $1, $2, …, which both engines take by number;
//   - upserts are INSERT … ON CONFLICT (…) DO UPDATE with "excluded", and what a
//     statement changed comes back by RETURNING;
//   - column types are TEXT, SMALLINT, BIGINT, BOOLEAN and BYTEA (SQLite gives the last
//     one an affinity that leaves bytes alone); moments are BIGINT;
//   - no column numbers itself, no statement relies on the order of text, which
//     depends on PostgreSQL's collation: lists are sorted in Go;
//   - a transaction is begun by the words of the engine.
//
// What differs stands in one value, the dialect.
package store
