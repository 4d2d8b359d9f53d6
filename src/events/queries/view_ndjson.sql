-- The files, as one table.
CREATE OR REPLACE TEMP VIEW events AS
SELECT
    position,
    recorded_at::TIMESTAMPTZ AS recorded_at,
    (metadata->>'$.occurred_at')::TIMESTAMPTZ AS occurred_at,
    aggregate_type,
    aggregate_id,
    sequence,
    event_type,
    event_version,
    metadata->>'$.client_id' AS client_id,
    metadata->>'$.subject' AS subject,
    metadata->>'$.session_id' AS session_id,
    metadata->>'$.request_id' AS request_id,
    split_part(metadata->>'$.traceparent', '-', 2) AS trace_id,
    metadata->>'$.actor' AS actor,
    metadata->>'$.actor_ref' AS actor_ref,
    metadata->>'$.on_behalf_of' AS on_behalf_of,
    metadata->>'$.command_id' AS command_id,
    metadata->>'$.correlation_id' AS correlation_id,
    metadata->>'$.causation_id' AS causation_id,
    metadata->>'$.node' AS node,
    payload::VARCHAR AS payload,
    metadata::VARCHAR AS metadata,
    prev_digest,
    digest,
    day
FROM read_json(
    '{folder}/day=*/events-*.ndjson',
    format = 'newline_delimited', hive_partitioning = true, hive_types = {'day': DATE},
    columns = {
        position: 'BIGINT', recorded_at: 'VARCHAR', aggregate_type: 'VARCHAR',
        aggregate_id: 'VARCHAR', sequence: 'BIGINT', event_type: 'VARCHAR',
        event_version: 'VARCHAR', payload: 'JSON', metadata: 'JSON', prev_digest: 'VARCHAR',
        digest: 'VARCHAR'
    }
);
