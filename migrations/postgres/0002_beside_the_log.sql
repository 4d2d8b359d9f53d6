-- What stands beside the log: secrets kept out of it, facts with a time limit,
-- and what is derived from it.

-- No foreign key to events: it would lock, and so rewrite, the event's row.
CREATE TABLE sealed (
    aggregate_type text COLLATE "C" NOT NULL,
    aggregate_id text COLLATE "C" NOT NULL,
    sequence bigint NOT NULL,
    ciphertext bytea NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)
);

CREATE TABLE data_keys (
    owner_type text COLLATE "C" NOT NULL,
    owner_id text COLLATE "C" NOT NULL,
    subject text COLLATE "C",
    wrapped bytea NOT NULL,
    PRIMARY KEY (owner_type, owner_id)
);

CREATE INDEX data_keys_by_subject ON data_keys (subject) WHERE subject IS NOT NULL;

CREATE TABLE wrapped_keys (
    key_id text COLLATE "C" PRIMARY KEY,
    purpose text COLLATE "C" NOT NULL,
    wrapped bytea NOT NULL
);

CREATE INDEX wrapped_keys_by_purpose ON wrapped_keys (purpose, key_id);

CREATE TABLE names (
    space text COLLATE "C" NOT NULL,
    name bytea NOT NULL,
    owner text COLLATE "C" NOT NULL,
    PRIMARY KEY (space, name)
);

CREATE TABLE snapshots (
    aggregate_type text COLLATE "C" NOT NULL,
    aggregate_id text COLLATE "C" NOT NULL,
    state_version bigint NOT NULL,
    sequence bigint NOT NULL,
    digest bytea NOT NULL,
    state text NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id)
);

CREATE TABLE used_once (
    space text COLLATE "C" NOT NULL,
    key bytea NOT NULL,
    expires_at bigint NOT NULL,
    PRIMARY KEY (space, key)
);

CREATE INDEX used_once_by_expiry ON used_once (expires_at);
