-- Old events, many in one compressed block. A row of `packs` holds every event behind
-- `begins_after` up to its position `through`: lines of JSON (NDJSON) compressed with Zstandard,
-- in the order of the log, payload and metadata being the bytes that were hashed.
--
-- Nobody packs before all nodes can read packs. The first pack has this step refuse programs of
-- before it (`programs_from`).

CREATE TABLE packs (
    through bigint PRIMARY KEY,
    begins_after bigint NOT NULL UNIQUE,
    events bigint NOT NULL CHECK (events > 0),
    lines bytea NOT NULL
);

ALTER TABLE packs ALTER COLUMN lines SET STORAGE EXTERNAL;

-- The histories that are whole in packs, and have no rows in `events`.
CREATE TABLE packed_streams (
    aggregate_type text COLLATE "C" NOT NULL,
    -- The sixteen bytes of the id.
    aggregate_id bytea NOT NULL CHECK (octet_length(aggregate_id) = 16),
    -- Its last event: sequence, digest, position.
    sequence bigint NOT NULL,
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    position bigint NOT NULL,
    -- The `through` of its packs, in order.
    packs bigint[] NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id)
);

-- Rows go only when their history is in packs: whoever sees to that says so in its transaction.
CREATE OR REPLACE FUNCTION refuse_to_change_the_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'events' AND TG_OP = 'DELETE'
       AND current_setting('chancery.packing', true) = 'on' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION '% are append-only: % refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER packs_are_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON packs
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_the_log();
