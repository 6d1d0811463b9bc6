-- What accounts say of themselves.

-- +goose Up

-- vCards (XEP-0054).
CREATE TABLE vcard (
    username TEXT  NOT NULL PRIMARY KEY, -- prepared local part of the account
    card     BYTEA NOT NULL              -- the vCard element
);
