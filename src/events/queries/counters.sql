-- What did strangers do that was counted and not recorded, for which client and why?
--
-- All that is counted in windows (WindowCounted, of the aggregate type `tally`): the sums of the
-- counts of all windows whose event is among the events, whatever the length of each.
--
-- Columns:
--   client_id   the registered client that was named; NULL: none
--   what        authorization_request_refused, authorization_request_begun, login_failed,
--               client_authentication_failed, token_request_refused, push_refused,
--               registration_refused, hook_failed
--   reason      in a word: an OAuth error code, a page, or what was wrong
--   count       how often
--   windows     in how many windows
--   first_from  when the first of those windows began
--   last_until  when the last of them ended
WITH windows AS (
    SELECT
        (payload->>'$.from')::BIGINT AS "from",
        (payload->>'$.from')::BIGINT + (payload->>'$.length')::BIGINT AS until,
        unnest(json_extract(payload, '$.counts[*]')) AS count
    FROM events
    WHERE aggregate_type = 'tally' AND event_type = 'WindowCounted'
)
SELECT
    count->>'$.client_id' AS client_id,
    count->>'$.what' AS what,
    count->>'$.reason' AS reason,
    sum((count->>'$.count')::BIGINT)::BIGINT AS count,
    count(*) AS windows,
    make_timestamp(min("from") * 1000000) AS first_from,
    make_timestamp(max(until) * 1000000) AS last_until
FROM windows
GROUP BY ALL
ORDER BY what, client_id NULLS LAST, reason;
