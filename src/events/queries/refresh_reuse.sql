-- Which refresh tokens were presented again after they had been replaced?
--
-- One row for each RefreshTokenReused, in the order of the log. The same within the grace period is
-- an answer repeated, and no event; each reuse ends its grant, and later ones add no row.
-- Tokens of a grant: those in CodeRedeemed, RefreshTokenRotated, RefreshTokenUsed, TokensIssued and
-- FrontChannelTokensIssued with a lower sequence than the reuse, as far as they are among the
-- events.
--
-- Columns:
--   position           of the event in the log
--   occurred_at        when
--   grant_id           in which grant
--   client_id          of the event: who presented it
--   subject            whose grant: a pseudonym; from SubjectAuthenticated or the authorization
--   generation         which refresh token it was, counted from 1
--   newest_generation  which one was the newest by then
--   access_tokens      access tokens issued by then, not revoked by themselves (AccessTokenRevoked
--                      with a lower sequence), that had not ended: expires_at later than
--                      occurred_at in whole seconds
--   revoked            was the grant revoked for it (GrantRevoked, cause refresh_token_reused)?
WITH own AS (
    SELECT position, aggregate_id AS grant_id, sequence, event_type, payload, client_id,
        occurred_at, epoch_ms(occurred_at) // 1000 AS moment
    FROM events
    WHERE aggregate_type = 'grant'
),
reuses AS (
    SELECT * FROM own WHERE event_type = 'RefreshTokenReused'
),
tokens AS (
    SELECT
        grant_id,
        sequence,
        (payload->>'$.tokens.refresh.generation')::BIGINT AS generation,
        (payload->>'$.tokens.access.number')::BIGINT AS number,
        (payload->>'$.tokens.access.expires_at')::BIGINT AS expires_at
    FROM own
    WHERE event_type IN (
        'CodeRedeemed', 'RefreshTokenRotated', 'RefreshTokenUsed', 'TokensIssued',
        'FrontChannelTokensIssued'
    )
),
single AS (
    SELECT grant_id, sequence, (payload->>'$.number')::BIGINT AS number
    FROM own
    WHERE event_type = 'AccessTokenRevoked'
),
known AS (
    SELECT grant_id, arg_min(coalesce(
        payload->>'$.subject', payload->>'$.authorization.authentication.subject'
    ), sequence) AS subject
    FROM own
    WHERE event_type IN ('SubjectAuthenticated', 'TokensIssued')
    GROUP BY grant_id
),
ended AS (
    SELECT DISTINCT grant_id
    FROM own
    WHERE event_type = 'GrantRevoked' AND payload->>'$.cause' = 'refresh_token_reused'
)
SELECT
    reuses.position,
    any_value(reuses.occurred_at) AS occurred_at,
    reuses.grant_id,
    any_value(reuses.client_id) AS client_id,
    any_value(known.subject) AS subject,
    any_value((reuses.payload->>'$.generation')::BIGINT) AS generation,
    max(tokens.generation) AS newest_generation,
    count(DISTINCT tokens.number) FILTER (
        tokens.expires_at > reuses.moment AND single.grant_id IS NULL
    ) AS access_tokens,
    bool_or(ended.grant_id IS NOT NULL) AS revoked
FROM reuses
LEFT JOIN tokens ON tokens.grant_id = reuses.grant_id AND tokens.sequence < reuses.sequence
LEFT JOIN single ON single.grant_id = tokens.grant_id AND single.number = tokens.number
    AND single.sequence < reuses.sequence
LEFT JOIN known ON known.grant_id = reuses.grant_id
LEFT JOIN ended ON ended.grant_id = reuses.grant_id
GROUP BY reuses.position, reuses.grant_id
ORDER BY reuses.position;
