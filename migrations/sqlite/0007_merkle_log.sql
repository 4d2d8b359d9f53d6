-- The Merkle log over all events: tiles and signed checkpoints. Tiles follow
-- from the events; signatures follow from nothing, so this stands beside the log
-- and not among the views.

CREATE TABLE log_tiles (
    -- 0: the entries of events (48 bytes each); above: hashes of tiles (32 bytes each).
    level          INTEGER NOT NULL CHECK (level >= 0),
    idx            INTEGER NOT NULL CHECK (idx >= 0),
    -- At level 0 that of its first event.
    first_position INTEGER NOT NULL,
    data           BLOB    NOT NULL,
    PRIMARY KEY (level, idx)
) STRICT;

CREATE INDEX log_tiles_by_position ON log_tiles (first_position) WHERE level = 0;

CREATE TABLE log_checkpoints (
    serial    INTEGER PRIMARY KEY CHECK (serial >= 1),
    origin    TEXT    NOT NULL,
    size      INTEGER NOT NULL,
    position  INTEGER NOT NULL,
    root      BLOB    NOT NULL CHECK (length(root) = 32),
    -- Milliseconds since 1970.
    signed_at INTEGER NOT NULL,
    note      TEXT    NOT NULL
) STRICT;
