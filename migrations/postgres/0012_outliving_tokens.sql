-- How long tokens that resource servers read without asking live on after something of their
-- grant was revoked: the most of it bounds how far back those can be that are still alive.
-- (The table is written anew: a second for some hundred thousand grants.)
ALTER TABLE grants ADD COLUMN outlives bigint
    GENERATED ALWAYS AS (jwt_until - withdrawn_at) STORED;

CREATE INDEX grants_by_outliving ON grants (outlives, grant_id) WHERE outlives IS NOT NULL;
