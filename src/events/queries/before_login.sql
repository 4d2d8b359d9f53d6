-- What becomes of authorization requests before there is a grant to record them in?
--
-- A plain authorization request is recorded only when its person has authenticated. What happens
-- before is counted by the server in windows (WindowCounted, of the aggregate type `tally`): per
-- client and reason, without times of its own. A window counts as a whole when its event is among
-- the events. `counters` has each count by itself.
--
-- Columns:
--   client_id           whose; NULL: no registered client was named
--   refused             requests refused: malformed, not allowed, or answered with an error before
--                       they were recorded (authorization_request_refused)
--   begun               plain requests for which a first page was shown: to log in, to choose an
--                       account, or to create one (authorization_request_begun)
--   login_failed        logins that failed (login_failed); a person may try several times
--   recorded            plain requests recorded: grants with a RequestReceived
--   abandoned_at_least  begun, less refused and recorded, and not less than 0. At least so many
--                       were begun and never heard of again: some of the refused never began, and
--                       some of the recorded had a session and were shown no page
WITH counts AS (
    SELECT unnest(json_extract(payload, '$.counts[*]')) AS count
    FROM events
    WHERE aggregate_type = 'tally' AND event_type = 'WindowCounted'
),
counted AS (
    SELECT
        count->>'$.client_id' AS client_id,
        CASE count->>'$.what' WHEN 'authorization_request_refused' THEN number ELSE 0 END AS refused,
        CASE count->>'$.what' WHEN 'authorization_request_begun' THEN number ELSE 0 END AS begun,
        CASE count->>'$.what' WHEN 'login_failed' THEN number ELSE 0 END AS login_failed,
        0 AS recorded
    FROM (SELECT count, (count->>'$.count')::BIGINT AS number FROM counts)
    WHERE count->>'$.what' IN (
        'authorization_request_refused', 'authorization_request_begun', 'login_failed'
    )
    UNION ALL
    SELECT DISTINCT ON (aggregate_id) payload->>'$.request.client_id', 0, 0, 0, 1
    FROM events
    WHERE aggregate_type = 'grant' AND event_type = 'RequestReceived'
)
SELECT
    client_id,
    sum(refused)::BIGINT AS refused,
    sum(begun)::BIGINT AS begun,
    sum(login_failed)::BIGINT AS login_failed,
    sum(recorded)::BIGINT AS recorded,
    greatest(sum(begun) - sum(refused) - sum(recorded), 0)::BIGINT AS abandoned_at_least
FROM counted
GROUP BY client_id
ORDER BY client_id NULLS LAST;
