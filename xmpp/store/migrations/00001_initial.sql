-- What is remembered: client-made rosters, identities, the audit log.
--
-- Every statement here and in the code runs unchanged on SQLite and on PostgreSQL: see the
-- package comment for the rules. Moments are microseconds since 1970 (UTC).
-- There is no way down: an older program refuses a newer database.

-- +goose Up

-- Contacts that clients and REST made (RFC 6121 §2).
CREATE TABLE roster (
    username     TEXT     NOT NULL, -- prepared local part of the owner
    jid          TEXT     NOT NULL, -- prepared bare address of the contact
    name         TEXT     NOT NULL,
    subscription SMALLINT NOT NULL, -- 0 none, 1 to, 2 from, 3 both
    ask          BOOLEAN  NOT NULL,
    approved     BOOLEAN  NOT NULL,
    hidden       BOOLEAN  NOT NULL,
    group_names  TEXT     NOT NULL, -- a JSON array of strings
    pending_in   BOOLEAN  NOT NULL,
    request      BYTEA,             -- payload of the pending request, null when there is none
    PRIMARY KEY (username, jid)
);
-- In whose rosters is this contact?
CREATE INDEX roster_by_contact ON roster (jid);

-- Names that were declared: whose data there is, and what becomes of it.
CREATE TABLE identity (
    kind            TEXT   NOT NULL,
    name            TEXT   NOT NULL, -- the chat name
    uid             TEXT   NOT NULL,
    resource        TEXT   NOT NULL, -- the resource's name
    deletion_policy TEXT   NOT NULL,
    state           TEXT   NOT NULL,
    since           BIGINT NOT NULL,
    PRIMARY KEY (kind, name)
);

-- Who did what.
CREATE TABLE audit_log (
    id       BIGINT NOT NULL PRIMARY KEY,
    time     BIGINT NOT NULL,
    username TEXT   NOT NULL,
    node     TEXT   NOT NULL,
    summary  TEXT   NOT NULL,
    details  TEXT   NOT NULL,
    via      TEXT   NOT NULL,
    address  TEXT   NOT NULL
);
CREATE INDEX audit_log_by_time ON audit_log (time);
CREATE INDEX audit_log_by_username ON audit_log (username, id);

-- Numbers that are given out once each. The two engines have no common column type that does it.
CREATE TABLE counter (
    name  TEXT   NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO counter (name, value) VALUES ('audit_log', 0);
