-- What waits for accounts that nobody is there for, and when they were there last.

-- +goose Up

-- Messages to be given back (XEP-0160).
CREATE TABLE offline (
    username TEXT   NOT NULL, -- prepared local part of the account
    id       BIGINT NOT NULL, -- grows with time
    received BIGINT NOT NULL,
    stanza   BYTEA  NOT NULL, -- whole, as the client will get it
    PRIMARY KEY (username, id)
);
-- What is too old?
CREATE INDEX offline_by_age ON offline (received);

-- The end of the last presence (XEP-0012 §3).
CREATE TABLE last_activity (
    username TEXT   NOT NULL PRIMARY KEY,
    since    BIGINT NOT NULL,
    status   TEXT   NOT NULL
);
