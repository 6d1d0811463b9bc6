-- What rooms remember, and archives of messages.

-- +goose Up

-- Declared rooms that somebody has entered. The number, which is given out once, is the owner of the room's archive: a room that is made
-- anew under the name has another one, unless the name's data is given back to it.
CREATE TABLE room (
    name             TEXT   NOT NULL PRIMARY KEY, -- the room's identity, ROOM@SERVICE
    owner            BIGINT NOT NULL,
    uid              TEXT   NOT NULL, -- of the resource that declared it when it was last used
    subject          BYTEA,           -- XML, null while nobody has set one
    subject_text     TEXT   NOT NULL,
    subject_from     TEXT   NOT NULL,
    subject_time     BIGINT NOT NULL,
    declared_subject TEXT,            -- the declared one that was applied last
    vcard            BYTEA
);
CREATE UNIQUE INDEX room_by_owner ON room (owner);

-- Reserved nicknames (XEP-0045 §7.10).
CREATE TABLE room_nickname (
    owner    BIGINT NOT NULL,
    jid      TEXT   NOT NULL, -- prepared bare address of the user
    nickname TEXT   NOT NULL,
    PRIMARY KEY (owner, jid)
);

-- Messages (XEP-0313). Rows are added in the order of their ids, so that the table grows at its end.
CREATE TABLE archive (
    owner    BIGINT  NOT NULL,
    id       BIGINT  NOT NULL, -- the number behind the stanza id; it grows within an archive
    received BIGINT  NOT NULL,
    peer     TEXT    NOT NULL, -- in a room: the sender's nickname, empty for the room itself
    account  TEXT    NOT NULL, -- the sender's own bare address
    recent   BOOLEAN NOT NULL, -- given to those who enter
    stanza   BYTEA   NOT NULL,
    PRIMARY KEY (owner, id)
);
-- What did somebody say? A page has to cost the same however much others have said.
CREATE INDEX archive_by_peer ON archive (owner, peer, id);
CREATE INDEX archive_by_account ON archive (owner, account, id);

-- Archives that nobody has any more: their messages are deleted bit by bit.
CREATE TABLE archive_dropped (
    owner BIGINT NOT NULL PRIMARY KEY
);

INSERT INTO counter (name, value) VALUES ('archive', 0);
