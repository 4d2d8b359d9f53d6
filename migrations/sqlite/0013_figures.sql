-- Read model: the figures of analysts, added up (domain/decisions/0016). The index finds one number
-- of all clients; what changes with each event stands in none.

CREATE TABLE figures (
    figure_id TEXT NOT NULL,
    grain     TEXT,
    whose     TEXT,
    name      TEXT,
    start     INTEGER,
    number    INTEGER,
    longest   INTEGER,
    times     TEXT,
    PRIMARY KEY (figure_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX figures_by_name ON figures (grain, name, start, figure_id);
