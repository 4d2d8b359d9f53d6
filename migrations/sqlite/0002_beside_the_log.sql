-- What stands beside the log and is written in its transactions: secrets that
-- can be destroyed while the log stays whole, unique names, facts with a time
-- limit, and snapshots.

-- Personal and passing values, encrypted; the event holds a commitment.
CREATE TABLE sealed (
    aggregate_type TEXT    NOT NULL,
    aggregate_id   TEXT    NOT NULL,
    sequence       INTEGER NOT NULL,
    ciphertext     BLOB    NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)
) STRICT, WITHOUT ROWID;

-- The keys of sealed values, wrapped by the master key.
CREATE TABLE data_keys (
    owner_type TEXT NOT NULL,
    owner_id   TEXT NOT NULL,
    -- The account it is erased with, once that is known.
    subject    TEXT,
    wrapped    BLOB NOT NULL,
    PRIMARY KEY (owner_type, owner_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX data_keys_by_subject ON data_keys (subject) WHERE subject IS NOT NULL;

-- The server's own keys, wrapped by the master key.
CREATE TABLE wrapped_keys (
    key_id  TEXT NOT NULL,
    purpose TEXT NOT NULL,
    wrapped BLOB NOT NULL,
    PRIMARY KEY (key_id)
) STRICT, WITHOUT ROWID;

-- Unique names, as keyed hashes.
CREATE TABLE names (
    space TEXT NOT NULL,
    name  BLOB NOT NULL CHECK (length(name) = 32),
    owner TEXT NOT NULL,
    PRIMARY KEY (space, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE snapshots (
    aggregate_type TEXT    NOT NULL,
    aggregate_id   TEXT    NOT NULL,
    state_version  INTEGER NOT NULL,
    sequence       INTEGER NOT NULL,
    digest         BLOB    NOT NULL CHECK (length(digest) = 32),
    state          TEXT    NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id)
) STRICT, WITHOUT ROWID;

-- What has been used and may not be used again until it has expired anyway.
CREATE TABLE used_once (
    space      TEXT    NOT NULL,
    key        BLOB    NOT NULL CHECK (length(key) = 32),
    -- Seconds since 1970.
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (space, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX used_once_by_expiry ON used_once (expires_at);
