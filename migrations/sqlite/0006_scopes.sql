-- Read model: the scopes that operators have defined while the server ran. definition is JSON.

CREATE TABLE scopes (
    name       TEXT NOT NULL,
    definition TEXT,
    updated_at INTEGER,
    PRIMARY KEY (name)
) STRICT, WITHOUT ROWID;
