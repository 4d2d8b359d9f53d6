-- How long tokens that resource servers read without asking live on after something of their
-- grant was revoked: the most of it bounds how far back those can be that are still alive.
ALTER TABLE grants ADD COLUMN outlives INTEGER
    GENERATED ALWAYS AS (jwt_until - withdrawn_at) VIRTUAL;

CREATE INDEX grants_by_outliving ON grants (outlives, grant_id) WHERE outlives IS NOT NULL;
