-- The audit log is read newest first, all of it or what one person did, and tells what was declared from outside.

-- +goose Up

DROP INDEX audit_log_by_time;
DROP INDEX audit_log_by_username;
CREATE INDEX audit_log_by_time ON audit_log (time, id);
CREATE INDEX audit_log_by_username ON audit_log (username, time, id);

-- Resources as they were when the audit log last took note of them: what differs at the next start has changed meanwhile.
CREATE TABLE audited (
    uid        TEXT   NOT NULL PRIMARY KEY,
    kind       TEXT   NOT NULL, -- as in identity
    name       TEXT   NOT NULL, -- the resource's name
    identity   TEXT   NOT NULL, -- the chat name
    generation BIGINT NOT NULL,
    writers    TEXT   NOT NULL  -- who had written it by then, as JSON
);
-- 1 once the resources that were there before anything was recorded are in the table.
INSERT INTO counter (name, value) VALUES ('audited', 0);
