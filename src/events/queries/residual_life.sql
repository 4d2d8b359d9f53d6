-- How long do access tokens live on after their grant was revoked?
--
-- Tokens: the access tokens in CodeRedeemed, RefreshTokenRotated, RefreshTokenUsed, TokensIssued and
-- FrontChannelTokensIssued of a grant with a GrantRevoked (the one with the lowest sequence), with a
-- lower sequence than that, that were not revoked by themselves before (AccessTokenRevoked) and had
-- not ended: their expires_at is later than `at` of GrantRevoked, both in whole seconds.
-- Residual life: expires_at - at, in seconds. A resource server that reads JWTs without asking takes
-- such a token that much longer; an opaque one it can only ask about.
-- Percentile p of n lives: the one at place ceil(p * n) when they are in order, none interpolated.
--
-- Columns:
--   client_id    whose: of the request, or of the authorization of a grant without one; NULL: that
--                is not among the events
--   cause        of the revocation
--   form         of the tokens: `jwt` or `opaque`
--   grants       how many revoked grants had such a token
--   tokens       how many tokens
--   p50_s, p95_s, p99_s, max_s    percentiles of the residual life, and the longest
WITH own AS (
    SELECT aggregate_id AS grant_id, sequence, event_type, payload
    FROM events
    WHERE aggregate_type = 'grant'
),
revoked AS (
    SELECT grant_id, min(sequence) AS sequence,
        arg_min((payload->>'$.at')::BIGINT, sequence) AS moment,
        arg_min(payload->>'$.cause', sequence) AS cause
    FROM own
    WHERE event_type = 'GrantRevoked'
    GROUP BY grant_id
),
clients AS (
    SELECT grant_id, min(coalesce(
        payload->>'$.request.client_id', payload->>'$.authorization.client_id'
    )) AS client_id
    FROM own
    WHERE event_type IN ('RequestPushed', 'RequestReceived', 'TokensIssued')
    GROUP BY grant_id
),
tokens AS (
    SELECT
        grant_id,
        sequence,
        (payload->>'$.tokens.access.number')::BIGINT AS number,
        CASE payload->>'$.tokens.access.form' WHEN 'opaque' THEN 'opaque' ELSE 'jwt' END AS form,
        (payload->>'$.tokens.access.expires_at')::BIGINT AS expires_at
    FROM own
    WHERE event_type IN (
        'CodeRedeemed', 'RefreshTokenRotated', 'RefreshTokenUsed', 'TokensIssued',
        'FrontChannelTokensIssued'
    ) AND payload->>'$.tokens.access.number' IS NOT NULL
),
single AS (
    SELECT grant_id, sequence, (payload->>'$.number')::BIGINT AS number
    FROM own
    WHERE event_type = 'AccessTokenRevoked'
),
living AS (
    SELECT clients.client_id, revoked.cause, tokens.form, tokens.grant_id,
        tokens.expires_at - revoked.moment AS life
    FROM tokens
    JOIN revoked ON revoked.grant_id = tokens.grant_id AND tokens.sequence < revoked.sequence
    LEFT JOIN clients ON clients.grant_id = tokens.grant_id
    WHERE tokens.expires_at > revoked.moment
        AND NOT EXISTS (
            SELECT 1 FROM single
            WHERE single.grant_id = tokens.grant_id AND single.number = tokens.number
                AND single.sequence < revoked.sequence
        )
)
SELECT
    client_id,
    cause,
    form,
    count(DISTINCT grant_id) AS grants,
    count(*) AS tokens,
    quantile_disc(life, 0.5) AS p50_s,
    quantile_disc(life, 0.95) AS p95_s,
    quantile_disc(life, 0.99) AS p99_s,
    max(life) AS max_s
FROM living
GROUP BY ALL
ORDER BY client_id NULLS LAST, cause, form;
