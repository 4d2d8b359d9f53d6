-- Read model: the scopes that operators have defined while the server ran. definition is JSON.

CREATE TABLE scopes (
    name text COLLATE "C" NOT NULL,
    definition text COLLATE "C",
    updated_at bigint,
    PRIMARY KEY (name)
);
