-- The log: the only truth. Payload and metadata are the bytes that were hashed.

CREATE TABLE log (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    -- Names this life of the database; another after a restore.
    log_id TEXT NOT NULL
) STRICT;

INSERT INTO log (one, log_id) VALUES (1, lower(hex(randomblob(16))));

CREATE TABLE events (
    -- AUTOINCREMENT: a position is never given twice, not even after a restore by hand.
    position       INTEGER PRIMARY KEY AUTOINCREMENT,
    aggregate_type TEXT    NOT NULL,
    aggregate_id   TEXT    NOT NULL,
    sequence       INTEGER NOT NULL CHECK (sequence >= 1),
    event_type     TEXT    NOT NULL,
    event_version  TEXT    NOT NULL,
    payload        TEXT    NOT NULL,
    metadata       TEXT    NOT NULL,
    prev_digest    BLOB    NOT NULL CHECK (length(prev_digest) = 32),
    digest         BLOB    NOT NULL CHECK (length(digest) = 32),
    -- Milliseconds since 1970, by the store's clock.
    recorded_at    INTEGER NOT NULL,
    UNIQUE (aggregate_type, aggregate_id, sequence)
) STRICT;

-- These hold back a slip of the hand, not somebody who means it: INSERT OR REPLACE gets around
-- them (SQLite runs no triggers for the row that it replaces), as dropping them does. What is
-- changed so breaks the chain of digests. (A trigger on INSERT would close this one way at the
-- price of a quarter of each append.)
CREATE TRIGGER events_are_not_updated BEFORE UPDATE ON events
BEGIN
    SELECT RAISE(ABORT, 'the log is append-only: events are not updated');
END;

CREATE TRIGGER events_are_not_deleted BEFORE DELETE ON events
BEGIN
    SELECT RAISE(ABORT, 'the log is append-only: events are not deleted');
END;
