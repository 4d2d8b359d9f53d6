-- The read models that look-ups are answered from (the crate
-- chancery-projections says what each column is). All can be made again from
-- the log. An index stands where a page or a cascade asks often; state has
-- none, since then no step of a grant could be a HOT update.

CREATE TABLE clients (
    client_id text COLLATE "C" NOT NULL,
    state text COLLATE "C",
    reason text,
    metadata text,
    created_at bigint,
    updated_at bigint,
    secret_since bigint,
    previous_secret_until bigint,
    PRIMARY KEY (client_id)
);

CREATE TABLE accounts (
    subject text COLLATE "C" NOT NULL,
    state text COLLATE "C",
    reason text,
    created_at bigint,
    updated_at bigint,
    password_set_at bigint,
    PRIMARY KEY (subject)
);

CREATE TABLE grants (
    grant_id text COLLATE "C" NOT NULL,
    client_id text COLLATE "C",
    subject text COLLATE "C",
    session_id text COLLATE "C",
    scope text COLLATE "C",
    state text COLLATE "C",
    grant_type text COLLATE "C",
    created_at bigint,
    updated_at bigint,
    expires_at bigint,
    cause text COLLATE "C",
    reason text,
    opened_position bigint,
    authenticated_position bigint,
    consented_position bigint,
    PRIMARY KEY (grant_id)
) WITH (fillfactor = 70);

CREATE INDEX grants_by_subject ON grants (subject, grant_id);
CREATE INDEX grants_by_client ON grants (client_id, grant_id);
CREATE INDEX grants_by_session ON grants (session_id, grant_id);

CREATE TABLE sessions (
    session_id text COLLATE "C" NOT NULL,
    subject text COLLATE "C",
    state text COLLATE "C",
    cause text COLLATE "C",
    acr text COLLATE "C",
    amr text COLLATE "C",
    created_at bigint,
    auth_time bigint,
    expires_at bigint,
    ended_at bigint,
    started_position bigint,
    PRIMARY KEY (session_id)
);

CREATE INDEX sessions_by_subject ON sessions (subject, session_id);

CREATE TABLE consents (
    consent_id text COLLATE "C" NOT NULL,
    subject text COLLATE "C",
    client_id text COLLATE "C",
    scope text COLLATE "C",
    state text COLLATE "C",
    grant_id text COLLATE "C",
    updated_at bigint,
    PRIMARY KEY (consent_id)
);

CREATE INDEX consents_by_subject ON consents (subject, consent_id);

CREATE TABLE signing_keys (
    key_id text COLLATE "C" NOT NULL,
    algorithm text COLLATE "C",
    jwk text,
    state text COLLATE "C",
    published_at bigint,
    activated_at bigint,
    retired_at bigint,
    published_until bigint,
    PRIMARY KEY (key_id)
);
