-- Small things that are kept beside the log, follow from nothing in it, and are
-- no history: how far readers outside have come, and what could not be delivered.

CREATE TABLE documents (
    kind text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    -- Counts the writes: who writes says which one was read.
    version bigint NOT NULL CHECK (version >= 1),
    -- JSON.
    body text COLLATE "C" NOT NULL,
    PRIMARY KEY (kind, key)
);
