-- How long do grants live, and what ends them?
--
-- Grants: those whose first event (sequence 1) is among the events and that brought a token:
-- CodeRedeemed, TokensIssued or FrontChannelTokensIssued.
-- Life: from occurred_at of the first event to that of GrantRevoked (the one with the lowest
-- sequence), or, without one, to that of the last event (the highest sequence); in seconds, and 0
-- where the clocks of two nodes make it less. A grant that was not revoked may yet live on.
-- Percentile p of n lives: the one at place ceil(p * n) when they are in order, none interpolated.
--
-- Columns:
--   client_id    whose: of the request, or of the authorization of a grant without one
--   grant_type   authorization_code; for grants of the token endpoint alone, its grant type
--                (client_credentials, password, …); implicit: tokens came by the browser only
--   ended_by     the cause of GrantRevoked; NULL: not revoked
--   grants       how many
--   refreshes    how often they were refreshed, in all (RefreshTokenRotated, RefreshTokenUsed)
--   p50_s, p95_s, p99_s, max_s    percentiles of the life, and the longest
WITH own AS (
    SELECT aggregate_id AS grant_id, sequence, event_type, payload,
        epoch_ms(occurred_at) AS moment
    FROM events
    WHERE aggregate_type = 'grant'
),
grants AS (
    SELECT
        grant_id,
        arg_min(coalesce(
            payload->>'$.request.client_id', payload->>'$.authorization.client_id'
        ), sequence) FILTER (sequence = 1) AS client_id,
        min(moment) FILTER (sequence = 1) AS began,
        arg_min(moment, sequence) FILTER (event_type = 'GrantRevoked') AS revoked,
        arg_max(moment, sequence) AS last,
        arg_min(payload->>'$.cause', sequence) FILTER (event_type = 'GrantRevoked') AS ended_by,
        count(*) FILTER (event_type IN ('RefreshTokenRotated', 'RefreshTokenUsed')) AS refreshes,
        CASE
            WHEN bool_or(event_type = 'CodeRedeemed') THEN 'authorization_code'
            WHEN bool_or(event_type = 'TokensIssued') THEN
                min(payload->>'$.grant_type') FILTER (event_type = 'TokensIssued')
            WHEN bool_or(event_type = 'FrontChannelTokensIssued') THEN 'implicit'
        END AS grant_type
    FROM own
    GROUP BY grant_id
    HAVING began IS NOT NULL AND grant_type IS NOT NULL
),
lives AS (
    SELECT *, greatest(coalesce(revoked, last) - began, 0) / 1000 AS life
    FROM grants
)
SELECT
    client_id,
    grant_type,
    ended_by,
    count(*) AS grants,
    sum(refreshes)::BIGINT AS refreshes,
    quantile_disc(life, 0.5) AS p50_s,
    quantile_disc(life, 0.95) AS p95_s,
    quantile_disc(life, 0.99) AS p99_s,
    max(life) AS max_s
FROM lives
GROUP BY ALL
ORDER BY client_id, grant_type, ended_by NULLS LAST;
