-- Read model: the figures of analysts, added up (domain/decisions/0016). The index finds one number
-- of all clients; what changes with each event stands in none, so that it can be a HOT update.

CREATE TABLE figures (
    figure_id text COLLATE "C" NOT NULL,
    grain text COLLATE "C",
    whose text COLLATE "C",
    name text COLLATE "C",
    start bigint,
    number bigint,
    longest bigint,
    times text COLLATE "C",
    PRIMARY KEY (figure_id)
);

CREATE INDEX figures_by_name ON figures (grain, name, start, figure_id);
