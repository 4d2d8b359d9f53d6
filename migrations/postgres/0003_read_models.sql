-- How far each consumer of the log has come. (The views' own file on SQLite has
-- more to say here: read models in the log's own database can't be of another.)

CREATE TABLE checkpoints (
    name text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL,
    position bigint NOT NULL
) WITH (fillfactor = 50);
