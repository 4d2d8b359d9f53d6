-- The Merkle log over all events: tiles and signed checkpoints.

CREATE TABLE log_tiles (
    -- 0: the entries of events (48 bytes each); above: hashes of tiles (32 bytes each).
    level smallint NOT NULL CHECK (level >= 0),
    idx bigint NOT NULL CHECK (idx >= 0),
    -- At level 0 that of its first event.
    first_position bigint NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (level, idx)
);

-- Hashes can't be compressed: trying costs time.
ALTER TABLE log_tiles ALTER COLUMN data SET STORAGE EXTERNAL;

CREATE INDEX log_tiles_by_position ON log_tiles (first_position) WHERE level = 0;

CREATE TABLE log_checkpoints (
    serial bigint PRIMARY KEY CHECK (serial >= 1),
    origin text COLLATE "C" NOT NULL,
    size bigint NOT NULL,
    position bigint NOT NULL,
    root bytea NOT NULL CHECK (octet_length(root) = 32),
    -- Milliseconds since 1970.
    signed_at bigint NOT NULL,
    note text COLLATE "C" NOT NULL
);
