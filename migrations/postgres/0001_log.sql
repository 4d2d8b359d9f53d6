-- The log: every event of every aggregate, in one order, never changed.

CREATE TABLE log (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    log_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

INSERT INTO log (log_id) VALUES (replace(gen_random_uuid()::text, '-', ''));

-- CACHE 1: with a larger cache a connection would hold positions back, and use
-- them after higher ones have been read.
CREATE SEQUENCE events_position AS bigint CACHE 1;

-- The transaction gets its id before it gets a position: the gap-safe reader
-- relies on whoever holds a position being visible as a running transaction.
-- One expression, so that the planner inlines it; CASE fixes the order.
CREATE FUNCTION next_event_position() RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT CASE WHEN pg_current_xact_id() IS NOT NULL THEN nextval('events_position') END
$$;

-- The first seven columns are those of postgres-es. json, not jsonb: the bytes
-- that were hashed are the bytes that are kept.
CREATE TABLE events (
    aggregate_type text COLLATE "C" NOT NULL,
    aggregate_id text COLLATE "C" NOT NULL,
    sequence bigint NOT NULL CHECK (sequence >= 1),
    event_type text COLLATE "C" NOT NULL,
    event_version text COLLATE "C" NOT NULL,
    payload json NOT NULL,
    metadata json NOT NULL,
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    prev_digest bytea NOT NULL CHECK (octet_length(prev_digest) = 32),
    position bigint NOT NULL DEFAULT next_event_position(),
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (aggregate_type, aggregate_id, sequence),
    CONSTRAINT events_position_key UNIQUE (position)
);

CREATE FUNCTION refuse_to_change_the_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events are append-only: % refused', TG_OP
        USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER events_are_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_the_log();
