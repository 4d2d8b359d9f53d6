-- How much of what clients ask for is refused?
--
-- Two sources, which overlap: events of grants, and counts in windows (WindowCounted, of the
-- aggregate type `tally`; a window counts as a whole when its event is among the events). Every
-- refusal of the token endpoint is counted; the few that are worth remembering (each kind once per
-- grant) are events besides. The rate is from the counts alone.
-- Clients of events: the client_id of the event, who acted; of counts: the registered client that
-- was named.
--
-- Columns:
--   client_id        whose; NULL: no registered client was named, or authenticated
--   answered         token requests answered with tokens: CodeRedeemed, RefreshTokenRotated,
--                    RefreshTokenUsed, TokensIssued. A refresh answered once more within the grace
--                    period is none
--   refused          token requests refused (token_request_refused) after the client was known
--   error_rate       refused / (answered + refused); NULL where both are 0
--   unauthenticated  failed client authentications, at any endpoint (client_authentication_failed).
--                    Those at the token endpoint are among the refused of the row without a client
--   remembered       refusals that are events: CodeReplayed, RefreshTokenReused, RefusalNoted
--   push_refused     pushed requests refused (push_refused)
--   request_refused  authorization requests refused before they were recorded
--                    (authorization_request_refused)
--   declined         authorization requests that were recorded and ended without a code
--                    (RequestDeclined)
WITH counts AS (
    SELECT unnest(json_extract(payload, '$.counts[*]')) AS count
    FROM events
    WHERE aggregate_type = 'tally' AND event_type = 'WindowCounted'
),
happened AS (
    SELECT count->>'$.client_id' AS client_id, count->>'$.what' AS what,
        (count->>'$.count')::BIGINT AS number
    FROM counts
    UNION ALL
    SELECT client_id, event_type, 1
    FROM events
    WHERE aggregate_type = 'grant'
),
counted AS (
    SELECT
        client_id,
        coalesce(sum(number) FILTER (what IN (
            'CodeRedeemed', 'RefreshTokenRotated', 'RefreshTokenUsed', 'TokensIssued'
        )), 0)::BIGINT AS answered,
        coalesce(sum(number) FILTER (what = 'token_request_refused'), 0)::BIGINT AS refused,
        coalesce(sum(number) FILTER (what = 'client_authentication_failed'), 0)::BIGINT
            AS unauthenticated,
        coalesce(sum(number) FILTER (what IN (
            'CodeReplayed', 'RefreshTokenReused', 'RefusalNoted'
        )), 0)::BIGINT AS remembered,
        coalesce(sum(number) FILTER (what = 'push_refused'), 0)::BIGINT AS push_refused,
        coalesce(sum(number) FILTER (what = 'authorization_request_refused'), 0)::BIGINT
            AS request_refused,
        coalesce(sum(number) FILTER (what = 'RequestDeclined'), 0)::BIGINT AS declined
    FROM happened
    GROUP BY client_id
)
SELECT
    client_id,
    answered,
    refused,
    refused / nullif(answered + refused, 0) AS error_rate,
    unauthenticated,
    remembered,
    push_refused,
    request_refused,
    declined
FROM counted
WHERE answered + refused + unauthenticated + remembered + push_refused + request_refused + declined
    > 0
ORDER BY client_id NULLS LAST;
