-- The events of one append have the same metadata, and only the first row of them keeps it: in
-- the others it is empty, and means that of the row before. Rows from before this step have it
-- whole. Whoever reads the log by SQL finds every event whole in this view.

CREATE VIEW whole_events AS
SELECT
    position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload,
    CASE metadata
        WHEN '' THEN coalesce((
            SELECT earlier.metadata FROM events AS earlier
            WHERE earlier.position < events.position AND earlier.metadata <> ''
            ORDER BY earlier.position DESC LIMIT 1
        ), '')
        ELSE metadata
    END AS metadata,
    prev_digest, digest, recorded_at
FROM events;
