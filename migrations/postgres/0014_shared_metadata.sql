-- The embedded store keeps the metadata of an append's events once. Here every row is whole, as
-- postgres-es reads it; the view has the same name, so that one query reads either store.

CREATE VIEW whole_events AS
SELECT
    position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload,
    metadata, prev_digest, digest, recorded_at
FROM events;
