-- Ids of grants, and of their people and sessions, as sixteen bytes instead of thirty-two
-- hexadecimal digits: a grant's row and its indexes hold ten of them. (The file is made anew from
-- the log when its schema changes, so the table is empty.)

DROP TABLE grants;

CREATE TABLE grants (
    grant_id               BLOB NOT NULL,
    client_id              TEXT,
    subject                BLOB,
    session_id             BLOB,
    scope                  TEXT,
    state                  TEXT,
    grant_type             TEXT,
    created_at             INTEGER,
    updated_at             INTEGER,
    expires_at             INTEGER,
    cause                  TEXT,
    reason                 TEXT,
    opened_position        INTEGER,
    authenticated_position INTEGER,
    consented_position     INTEGER,
    span                   INTEGER,
    jwt_until              INTEGER,
    withdrawn_at           INTEGER,
    ended_by               TEXT,
    outlives               INTEGER GENERATED ALWAYS AS (jwt_until - withdrawn_at) VIRTUAL,
    PRIMARY KEY (grant_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX grants_by_subject ON grants (subject, grant_id);
CREATE INDEX grants_by_client ON grants (client_id, grant_id);
CREATE INDEX grants_by_session ON grants (session_id, grant_id);
CREATE INDEX grants_by_span ON grants (span, grant_id) WHERE span IS NOT NULL;
CREATE INDEX grants_by_client_and_span ON grants (client_id, span, grant_id) WHERE span IS NOT NULL;
CREATE INDEX grants_by_withdrawal ON grants (withdrawn_at, grant_id) WHERE withdrawn_at IS NOT NULL;
CREATE INDEX grants_by_end ON grants (ended_by, grant_id) WHERE ended_by IS NOT NULL;
CREATE INDEX grants_by_outliving ON grants (outlives, grant_id) WHERE outlives IS NOT NULL;
