-- How much has been destroyed of each person who was erased, counted in the transactions that
-- destroyed it: a run that is cut off goes on counting where it was.

CREATE TABLE erasures (
    subject       TEXT    NOT NULL,
    data_keys     INTEGER NOT NULL,
    sealed_values INTEGER NOT NULL,
    snapshots     INTEGER NOT NULL,
    PRIMARY KEY (subject)
) STRICT, WITHOUT ROWID;
