-- What the database is of.

-- +goose Up

-- The row 'domain' has the XMPP domain, which the addresses in all other tables end in.
CREATE TABLE installation (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);
