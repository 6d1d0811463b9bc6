-- What is on its way to clients that acknowledge what they get (XEP-0198).

-- +goose Up

-- A message and the place that it has among the stanzas of a session. When the process ends without having heard from the client, the next
-- one moves the message into the mailbox, and keeps the place for the client that says how many stanzas it got.
CREATE TABLE inflight (
    username TEXT   NOT NULL, -- prepared local part of the account
    id       BIGINT NOT NULL, -- as in the table offline
    session  BYTEA  NOT NULL, -- who may resume it knows it by this; empty when nobody may
    place    BIGINT NOT NULL, -- 1 is the first stanza after stream management was enabled
    received BIGINT NOT NULL,
    stanza   BYTEA,           -- whole, as the client would get it later; null when the table offline has it
    PRIMARY KEY (username, id, session)
);
