-- In views.db: the read models that look-ups are answered from (the crate
-- chancery-projections says what each column is). All can be made again from
-- the log. An index stands where a page or a cascade asks often; state has none, since it would
-- be written anew at every step of a grant to serve one listing.

CREATE TABLE clients (
    client_id             TEXT NOT NULL,
    state                 TEXT,
    reason                TEXT,
    metadata              TEXT,
    created_at            INTEGER,
    updated_at            INTEGER,
    secret_since          INTEGER,
    previous_secret_until INTEGER,
    PRIMARY KEY (client_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE accounts (
    subject         TEXT NOT NULL,
    state           TEXT,
    reason          TEXT,
    created_at      INTEGER,
    updated_at      INTEGER,
    password_set_at INTEGER,
    PRIMARY KEY (subject)
) STRICT, WITHOUT ROWID;

CREATE TABLE grants (
    grant_id               TEXT NOT NULL,
    client_id              TEXT,
    subject                TEXT,
    session_id             TEXT,
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
    PRIMARY KEY (grant_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX grants_by_subject ON grants (subject, grant_id);
CREATE INDEX grants_by_client ON grants (client_id, grant_id);
CREATE INDEX grants_by_session ON grants (session_id, grant_id);

CREATE TABLE sessions (
    session_id       TEXT NOT NULL,
    subject          TEXT,
    state            TEXT,
    cause            TEXT,
    acr              TEXT,
    amr              TEXT,
    created_at       INTEGER,
    auth_time        INTEGER,
    expires_at       INTEGER,
    ended_at         INTEGER,
    started_position INTEGER,
    PRIMARY KEY (session_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_subject ON sessions (subject, session_id);

CREATE TABLE consents (
    consent_id TEXT NOT NULL,
    subject    TEXT,
    client_id  TEXT,
    scope      TEXT,
    state      TEXT,
    grant_id   TEXT,
    updated_at INTEGER,
    PRIMARY KEY (consent_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX consents_by_subject ON consents (subject, consent_id);

CREATE TABLE signing_keys (
    key_id          TEXT NOT NULL,
    algorithm       TEXT,
    jwk             TEXT,
    state           TEXT,
    published_at    INTEGER,
    activated_at    INTEGER,
    retired_at      INTEGER,
    published_until INTEGER,
    PRIMARY KEY (key_id)
) STRICT, WITHOUT ROWID;
