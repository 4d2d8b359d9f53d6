-- The files, as one table.
CREATE OR REPLACE TEMP VIEW events AS
SELECT *
FROM read_parquet(
    '{folder}/day=*/events-*.parquet', hive_partitioning = true, hive_types = {'day': DATE}
);
