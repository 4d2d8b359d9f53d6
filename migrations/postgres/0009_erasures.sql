-- How much has been destroyed of each person who was erased, counted in the transactions that
-- destroyed it: a run that is cut off goes on counting where it was.

CREATE TABLE erasures (
    subject text COLLATE "C" PRIMARY KEY,
    data_keys bigint NOT NULL,
    sealed_values bigint NOT NULL,
    snapshots bigint NOT NULL
);

-- ANALYZE keeps samples of what it sees in pg_statistic, where nobody would look for them.
ALTER TABLE data_keys ALTER COLUMN wrapped SET STATISTICS 0;
ALTER TABLE sealed ALTER COLUMN ciphertext SET STATISTICS 0;
ALTER TABLE names ALTER COLUMN name SET STATISTICS 0;
ALTER TABLE snapshots ALTER COLUMN state SET STATISTICS 0;
