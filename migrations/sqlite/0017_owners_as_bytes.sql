-- Whose sealed values, data keys and snapshots are: ids as sixteen bytes instead of thirty-two hexadecimal
-- digits, as in packs and in the rows of grants. Other names stay texts.

CREATE TABLE sealed_anew (
    aggregate_type TEXT    NOT NULL,
    aggregate_id   ANY     NOT NULL,
    sequence       INTEGER NOT NULL,
    ciphertext     BLOB    NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)
) STRICT, WITHOUT ROWID;

INSERT INTO sealed_anew
SELECT aggregate_type,
    CASE WHEN length(aggregate_id) = 32 AND aggregate_id NOT GLOB '*[^0-9a-f]*'
         THEN unhex(aggregate_id) ELSE aggregate_id END,
    sequence, ciphertext
FROM sealed;

DROP TABLE sealed;
ALTER TABLE sealed_anew RENAME TO sealed;

CREATE TABLE data_keys_anew (
    owner_type TEXT NOT NULL,
    owner_id   ANY  NOT NULL,
    -- The account it is erased with, once that is known.
    subject    ANY,
    wrapped    BLOB NOT NULL,
    PRIMARY KEY (owner_type, owner_id)
) STRICT, WITHOUT ROWID;

INSERT INTO data_keys_anew
SELECT owner_type,
    CASE WHEN length(owner_id) = 32 AND owner_id NOT GLOB '*[^0-9a-f]*'
         THEN unhex(owner_id) ELSE owner_id END,
    CASE WHEN length(subject) = 32 AND subject NOT GLOB '*[^0-9a-f]*'
         THEN unhex(subject) ELSE subject END,
    wrapped
FROM data_keys;

DROP TABLE data_keys;
ALTER TABLE data_keys_anew RENAME TO data_keys;

CREATE INDEX data_keys_by_subject ON data_keys (subject) WHERE subject IS NOT NULL;

-- They are made again.
DROP TABLE snapshots;
CREATE TABLE snapshots (
    aggregate_type TEXT    NOT NULL,
    aggregate_id   ANY     NOT NULL,
    state_version  INTEGER NOT NULL,
    sequence       INTEGER NOT NULL,
    digest         BLOB    NOT NULL CHECK (length(digest) = 32),
    state          TEXT    NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id)
) STRICT, WITHOUT ROWID;
