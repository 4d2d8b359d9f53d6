-- Small things that are kept beside the log, follow from nothing in it, and are
-- no history: how far readers outside have come, and what could not be delivered.

CREATE TABLE documents (
    kind    TEXT    NOT NULL,
    key     TEXT    NOT NULL,
    -- Counts the writes: who writes says which one was read.
    version INTEGER NOT NULL CHECK (version >= 1),
    -- JSON.
    body    TEXT    NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;
