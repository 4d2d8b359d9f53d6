-- Old events, many in one compressed block. A row of `packs` holds every event behind
-- `begins_after` up to its position `through`: lines of JSON (NDJSON) compressed with Zstandard,
-- in the order of the log, payload and metadata being the bytes that were hashed.

CREATE TABLE packs (
    through      INTEGER PRIMARY KEY,
    begins_after INTEGER NOT NULL,
    events       INTEGER NOT NULL CHECK (events > 0),
    lines        BLOB    NOT NULL
) STRICT;

CREATE TRIGGER packs_are_not_updated BEFORE UPDATE ON packs
BEGIN
    SELECT RAISE(ABORT, 'the log is append-only: packs are not updated');
END;

CREATE TRIGGER packs_are_not_deleted BEFORE DELETE ON packs
BEGIN
    SELECT RAISE(ABORT, 'the log is append-only: packs are not deleted');
END;

-- The histories that are whole in packs, and have no rows in `events`.
CREATE TABLE packed_streams (
    aggregate_type TEXT    NOT NULL,
    aggregate_id   BLOB    NOT NULL CHECK (length(aggregate_id) = 16),
    -- Its last event: sequence, digest, position.
    sequence       INTEGER NOT NULL,
    digest         BLOB    NOT NULL CHECK (length(digest) = 32),
    position       INTEGER NOT NULL,
    -- JSON: the `through` of its packs, in order.
    packs          TEXT    NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id)
) STRICT, WITHOUT ROWID;

-- Rows go only when their history is in packs.
DROP TRIGGER events_are_not_deleted;
CREATE TRIGGER events_are_not_deleted BEFORE DELETE ON events
WHEN NOT EXISTS (
    SELECT 1 FROM packed_streams
    WHERE aggregate_type = OLD.aggregate_type AND aggregate_id = unhex(OLD.aggregate_id)
)
BEGIN
    SELECT RAISE(ABORT, 'the log is append-only: events are not deleted');
END;
