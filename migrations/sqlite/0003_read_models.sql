-- In views.db: what can be made again from the log.

-- Whose views these are, and whether they can be trusted (see views.rs).
CREATE TABLE life (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    -- The log that these are views of.
    log_id    TEXT NOT NULL,
    -- The boot of the machine in which they were last open for writing; NULL once they were
    -- closed and flushed.
    opened_in TEXT
) STRICT;

CREATE TABLE checkpoints (
    name     TEXT    NOT NULL,
    version  INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (name)
) STRICT, WITHOUT ROWID;
