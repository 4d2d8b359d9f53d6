PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE schema_migrations (
                 number     INTEGER NOT NULL PRIMARY KEY,
                 name       TEXT    NOT NULL,
                 statements TEXT    NOT NULL,
                 applied_at TEXT    NOT NULL DEFAULT CURRENT_TIMESTAMP
             ) STRICT;
INSERT INTO schema_migrations VALUES(3,'0003_read_models',replace('-- In views.db: what can be made again from the log.\n\n-- Whose views these are, and whether they can be trusted (see views.rs).\nCREATE TABLE life (\n    one       INTEGER PRIMARY KEY CHECK (one = 1),\n    -- The log that these are views of.\n    log_id    TEXT NOT NULL,\n    -- The boot of the machine in which they were last open for writing; NULL once they were\n    -- closed and flushed.\n    opened_in TEXT\n) STRICT;\n\nCREATE TABLE checkpoints (\n    name     TEXT    NOT NULL,\n    version  INTEGER NOT NULL,\n    position INTEGER NOT NULL,\n    PRIMARY KEY (name)\n) STRICT, WITHOUT ROWID;\n','\n',char(10)),'2026-11-29 19:51:51');
INSERT INTO schema_migrations VALUES(4,'0004_lookups',replace('-- In views.db: the read models that look-ups are answered from (the crate\n-- chancery-projections says what each column is). All can be made again from\n-- the log. An index stands where a page or a cascade asks often; state has none, since it would\n-- be written anew at every step of a grant to serve one listing.\n\nCREATE TABLE clients (\n    client_id             TEXT NOT NULL,\n    state                 TEXT,\n    reason                TEXT,\n    metadata              TEXT,\n    created_at            INTEGER,\n    updated_at            INTEGER,\n    secret_since          INTEGER,\n    previous_secret_until INTEGER,\n    PRIMARY KEY (client_id)\n) STRICT, WITHOUT ROWID;\n\nCREATE TABLE accounts (\n    subject         TEXT NOT NULL,\n    state           TEXT,\n    reason          TEXT,\n    created_at      INTEGER,\n    updated_at      INTEGER,\n    password_set_at INTEGER,\n    PRIMARY KEY (subject)\n) STRICT, WITHOUT ROWID;\n\nCREATE TABLE grants (\n    grant_id               TEXT NOT NULL,\n    client_id              TEXT,\n    subject                TEXT,\n    session_id             TEXT,\n    scope                  TEXT,\n    state                  TEXT,\n    grant_type             TEXT,\n    created_at             INTEGER,\n    updated_at             INTEGER,\n    expires_at             INTEGER,\n    cause                  TEXT,\n    reason                 TEXT,\n    opened_position        INTEGER,\n    authenticated_position INTEGER,\n    consented_position     INTEGER,\n    PRIMARY KEY (grant_id)\n) STRICT, WITHOUT ROWID;\n\nCREATE INDEX grants_by_subject ON grants (subject, grant_id);\nCREATE INDEX grants_by_client ON grants (client_id, grant_id);\nCREATE INDEX grants_by_session ON grants (session_id, grant_id);\n\nCREATE TABLE sessions (\n    session_id       TEXT NOT NULL,\n    subject          TEXT,\n    state            TEXT,\n    cause            TEXT,\n    acr              TEXT,\n    amr              TEXT,\n    created_at       INTEGER,\n    auth_time        INTEGER,\n    expires_at       INTEGER,\n    ended_at         INTEGER,\n    started_position INTEGER,\n    PRIMARY KEY (session_id)\n) STRICT, WITHOUT ROWID;\n\nCREATE INDEX sessions_by_subject ON sessions (subject, session_id);\n\nCREATE TABLE consents (\n    consent_id TEXT NOT NULL,\n    subject    TEXT,\n    client_id  TEXT,\n    scope      TEXT,\n    state      TEXT,\n    grant_id   TEXT,\n    updated_at INTEGER,\n    PRIMARY KEY (consent_id)\n) STRICT, WITHOUT ROWID;\n\nCREATE INDEX consents_by_subject ON consents (subject, consent_id);\n\nCREATE TABLE signing_keys (\n    key_id          TEXT NOT NULL,\n    algorithm       TEXT,\n    jwk             TEXT,\n    state           TEXT,\n    published_at    INTEGER,\n    activated_at    INTEGER,\n    retired_at      INTEGER,\n    published_until INTEGER,\n    PRIMARY KEY (key_id)\n) STRICT, WITHOUT ROWID;\n','\n',char(10)),'2026-11-29 19:51:51');
INSERT INTO schema_migrations VALUES(5,'0005_backchannel_logouts',replace('-- Read model: who is still to be told that a session has ended (OpenID Connect Back-Channel\n-- Logout 1.0). The key is session_id/client_id; attempt is the number of the next one.\n\nCREATE TABLE backchannel_logouts (\n    notice_id  TEXT NOT NULL,\n    session_id TEXT,\n    client_id  TEXT,\n    attempt    INTEGER,\n    due_at     INTEGER,\n    PRIMARY KEY (notice_id)\n) STRICT, WITHOUT ROWID;\n','\n',char(10)),'2026-11-29 19:51:51');
INSERT INTO schema_migrations VALUES(6,'0006_scopes',replace('-- Read model: the scopes that operators have defined while the server ran. definition is JSON.\n\nCREATE TABLE scopes (\n    name       TEXT NOT NULL,\n    definition TEXT,\n    updated_at INTEGER,\n    PRIMARY KEY (name)\n) STRICT, WITHOUT ROWID;\n','\n',char(10)),'2026-11-29 19:51:51');
INSERT INTO schema_migrations VALUES(8,'0008_questions',replace('-- Read models for the questions of auditors (src/audit/README.md says what each costs). The\n-- partial indexes hold the few grants that something was revoked of, or that got tokens at all.\n\n-- How long access lasts, as a class; NULL until tokens were issued.\nALTER TABLE grants ADD COLUMN span INTEGER;\n-- When the last access token ends that resource servers read without asking.\nALTER TABLE grants ADD COLUMN jwt_until INTEGER;\n-- When something of it was last revoked.\nALTER TABLE grants ADD COLUMN withdrawn_at INTEGER;\n-- The event that a cascade ended it for.\nALTER TABLE grants ADD COLUMN ended_by TEXT;\n\nCREATE INDEX grants_by_span ON grants (span, grant_id) WHERE span IS NOT NULL;\nCREATE INDEX grants_by_client_and_span ON grants (client_id, span, grant_id) WHERE span IS NOT NULL;\nCREATE INDEX grants_by_withdrawal ON grants (withdrawn_at, grant_id) WHERE withdrawn_at IS NOT NULL;\nCREATE INDEX grants_by_end ON grants (ended_by, grant_id) WHERE ended_by IS NOT NULL;\n\nCREATE TABLE key_uses (\n    use_id    TEXT NOT NULL,\n    client_id TEXT,\n    PRIMARY KEY (use_id)\n) STRICT, WITHOUT ROWID;\n\nCREATE INDEX key_uses_by_client ON key_uses (client_id, use_id);\n\nCREATE TABLE incidents (\n    incident_id TEXT NOT NULL,\n    grant_id    TEXT,\n    client_id   TEXT,\n    kind        TEXT,\n    sequence    INTEGER,\n    happened_at TEXT,\n    PRIMARY KEY (incident_id)\n) STRICT, WITHOUT ROWID;\n\nCREATE INDEX incidents_by_grant ON incidents (grant_id, incident_id);\nCREATE INDEX incidents_by_client ON incidents (client_id, incident_id);\n','\n',char(10)),'2026-11-29 19:51:51');
INSERT INTO schema_migrations VALUES(10,'0010_personal_data_reads',replace('-- Read model: who saw what is sealed of a person, when and why.\n\nCREATE TABLE personal_data_reads (\n    read_id     TEXT NOT NULL,\n    subject     TEXT,\n    reader      TEXT,\n    what        TEXT,\n    reason      TEXT,\n    sequence    INTEGER,\n    happened_at TEXT,\n    recorded_at INTEGER,\n    PRIMARY KEY (read_id)\n) STRICT, WITHOUT ROWID;\n\nCREATE INDEX personal_data_reads_by_subject ON personal_data_reads (subject, read_id);\nCREATE INDEX personal_data_reads_by_reader ON personal_data_reads (reader, read_id);\n','\n',char(10)),'2026-11-29 19:51:51');
INSERT INTO schema_migrations VALUES(12,'0012_outliving_tokens',replace('-- How long tokens that resource servers read without asking live on after something of their\n-- grant was revoked: the most of it bounds how far back those can be that are still alive.\nALTER TABLE grants ADD COLUMN outlives INTEGER\n    GENERATED ALWAYS AS (jwt_until - withdrawn_at) VIRTUAL;\n\nCREATE INDEX grants_by_outliving ON grants (outlives, grant_id) WHERE outlives IS NOT NULL;\n','\n',char(10)),'2026-11-29 19:51:51');
INSERT INTO schema_migrations VALUES(13,'0013_figures',replace('-- Read model: the figures of analysts, added up (domain/decisions/0016). The index finds one number\n-- of all clients; what changes with each event stands in none.\n\nCREATE TABLE figures (\n    figure_id TEXT NOT NULL,\n    grain     TEXT,\n    whose     TEXT,\n    name      TEXT,\n    start     INTEGER,\n    number    INTEGER,\n    longest   INTEGER,\n    times     TEXT,\n    PRIMARY KEY (figure_id)\n) STRICT, WITHOUT ROWID;\n\nCREATE INDEX figures_by_name ON figures (grain, name, start, figure_id);\n','\n',char(10)),'2026-11-29 19:51:51');
CREATE TABLE life (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    -- The log that these are views of.
    log_id    TEXT NOT NULL,
    -- The boot of the machine in which they were last open for writing; NULL once they were
    -- closed and flushed.
    opened_in TEXT
) STRICT;
INSERT INTO life VALUES(1,'c2f116386daf6edbbdbbf789a7b10830',NULL);
CREATE TABLE checkpoints (
    name     TEXT    NOT NULL,
    version  INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (name)
) STRICT, WITHOUT ROWID;
INSERT INTO checkpoints VALUES('accounts',2,9);
INSERT INTO checkpoints VALUES('audit',1,19);
INSERT INTO checkpoints VALUES('clients',1,9);
INSERT INTO checkpoints VALUES('consents',1,19);
INSERT INTO checkpoints VALUES('figures',1,13);
INSERT INTO checkpoints VALUES('grants',3,31);
INSERT INTO checkpoints VALUES('sessions',1,13);
INSERT INTO checkpoints VALUES('signing_keys',1,9);
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
INSERT INTO clients VALUES('svc','enabled',NULL,'{"grant_types":["client_credentials"],"response_types":[],"scope":"read","token_endpoint_auth_method":"client_secret_basic"}',1795981911,1795981911,1795981911,NULL);
INSERT INTO clients VALUES('web','enabled',NULL,'{"redirect_uris":["https://rp.example/cb"],"grant_types":["authorization_code","refresh_token"],"response_types":["code"],"scope":"openid offline_access email read","token_endpoint_auth_method":"client_secret_basic","refresh_token_lifetime":2838240000}',1795981911,1795981911,1795981911,NULL);
CREATE TABLE accounts (
    subject         TEXT NOT NULL,
    state           TEXT,
    reason          TEXT,
    created_at      INTEGER,
    updated_at      INTEGER,
    password_set_at INTEGER,
    PRIMARY KEY (subject)
) STRICT, WITHOUT ROWID;
INSERT INTO accounts VALUES('5a95247f29174e2dbcf83baa5561a79b','active',NULL,1795981911,1795981911,1795981911);
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
    consented_position     INTEGER, span INTEGER, jwt_until INTEGER, withdrawn_at INTEGER, ended_by TEXT, outlives INTEGER
    GENERATED ALWAYS AS (jwt_until - withdrawn_at) VIRTUAL,
    PRIMARY KEY (grant_id)
) STRICT, WITHOUT ROWID;
INSERT INTO grants VALUES('01a228dd2704747cad07308f9f0d98a8','svc',NULL,NULL,'read','active','client_credentials',1795981911,1795981911,1795982211,NULL,NULL,10,NULL,NULL,0,1795982211,NULL,NULL);
INSERT INTO grants VALUES('01a228dd2706757b96073c5954684b73','web','5a95247f29174e2dbcf83baa5561a79b','01a228dd27317c2393c4e0562e034b3d','openid offline_access email read','active','authorization_code',1795981911,1795981911,4634221911,NULL,NULL,11,13,15,12,1795982211,NULL,NULL);
INSERT INTO grants VALUES('01a228dd27367fd2bfda98c71a10cce9','web','5a95247f29174e2dbcf83baa5561a79b','01a228dd27317c2393c4e0562e034b3d','openid offline_access email read','revoked','authorization_code',1795981911,1795981911,4634221911,'revoked_by_client',NULL,19,20,21,12,1795982211,1795981911,NULL);
INSERT INTO grants VALUES('01a228dd273f73478cb91d98f041f86b','web','5a95247f29174e2dbcf83baa5561a79b','01a228dd27317c2393c4e0562e034b3d','openid offline_access email read','revoked','authorization_code',1795981911,1795981911,4634221911,'code_replayed',NULL,25,26,27,12,1795982211,1795981911,NULL);
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
INSERT INTO sessions VALUES('01a228dd27317c2393c4e0562e034b3d','5a95247f29174e2dbcf83baa5561a79b','begun',NULL,'urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport','pwd',1795981911,1795981911,1796010711,NULL,12);
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
INSERT INTO consents VALUES('145f5a9d55c9889b949be971c636e31b','5a95247f29174e2dbcf83baa5561a79b','web','openid offline_access email read','given','01a228dd2706757b96073c5954684b73',1795981911);
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
INSERT INTO signing_keys VALUES('6ffd4cf60426f657','ES256','{"alg":"ES256","crv":"P-256","kid":"6ffd4cf60426f657","kty":"EC","use":"sig","x":"wlzB_hSyseLZrR18YAnEcfSDCdQrLeN_gI8lOIIqgGE","y":"xuNanbg8Gk-ecIWKmhqTrKE_vb1U0_g8RitgOmXqJyw"}','active',1795981911,1795981911,NULL,NULL);
INSERT INTO signing_keys VALUES('77b36216ab05c460','ECDH-ES','{"crv":"P-256","kid":"77b36216ab05c460","kty":"EC","use":"enc","x":"6Mjq5IaJHnS0gU266RWOOpvRXVDND3GIZlc572YLnqQ","y":"ql0odfFBBv8Jum1m1fewpfQbyRW0MRBOz-9Gy1oIbe0"}','active',1795981911,1795981911,NULL,NULL);
CREATE TABLE backchannel_logouts (
    notice_id  TEXT NOT NULL,
    session_id TEXT,
    client_id  TEXT,
    attempt    INTEGER,
    due_at     INTEGER,
    PRIMARY KEY (notice_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE scopes (
    name       TEXT NOT NULL,
    definition TEXT,
    updated_at INTEGER,
    PRIMARY KEY (name)
) STRICT, WITHOUT ROWID;
CREATE TABLE key_uses (
    use_id    TEXT NOT NULL,
    client_id TEXT,
    PRIMARY KEY (use_id)
) STRICT, WITHOUT ROWID;
INSERT INTO key_uses VALUES('6ffd4cf60426f657/01a228dd2704747cad07308f9f0d98a8','svc');
INSERT INTO key_uses VALUES('6ffd4cf60426f657/01a228dd2706757b96073c5954684b73','web');
CREATE TABLE incidents (
    incident_id TEXT NOT NULL,
    grant_id    TEXT,
    client_id   TEXT,
    kind        TEXT,
    sequence    INTEGER,
    happened_at TEXT,
    PRIMARY KEY (incident_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE personal_data_reads (
    read_id     TEXT NOT NULL,
    subject     TEXT,
    reader      TEXT,
    what        TEXT,
    reason      TEXT,
    sequence    INTEGER,
    happened_at TEXT,
    recorded_at INTEGER,
    PRIMARY KEY (read_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE figures (
    figure_id TEXT NOT NULL,
    grain     TEXT,
    whose     TEXT,
    name      TEXT,
    start     INTEGER,
    number    INTEGER,
    longest   INTEGER,
    times     TEXT,
    PRIMARY KEY (figure_id)
) STRICT, WITHOUT ROWID;
INSERT INTO figures VALUES('day all 001795910400 answered.direct','day','all','answered.direct',1795910400,1,NULL,NULL);
INSERT INTO figures VALUES('day all 001795910400 grants.client_credentials','day','all','grants.client_credentials',1795910400,1,NULL,NULL);
INSERT INTO figures VALUES('day all 001795910400 step.pushed.login','day','all','step.pushed.login',1795910400,1,43,'43:1');
INSERT INTO figures VALUES('day all 001795910400 step.pushed.request','day','all','step.pushed.request',1795910400,1,NULL,NULL);
INSERT INTO figures VALUES('day client:svc 001795910400 answered.direct','day','client:svc','answered.direct',1795910400,1,NULL,NULL);
INSERT INTO figures VALUES('day client:svc 001795910400 grants.client_credentials','day','client:svc','grants.client_credentials',1795910400,1,NULL,NULL);
INSERT INTO figures VALUES('day client:web 001795910400 step.pushed.login','day','client:web','step.pushed.login',1795910400,1,43,'43:1');
INSERT INTO figures VALUES('day client:web 001795910400 step.pushed.request','day','client:web','step.pushed.request',1795910400,1,NULL,NULL);
INSERT INTO figures VALUES('hour all 67 answered.direct','hour','all','answered.direct',1795978800,1,NULL,NULL);
INSERT INTO figures VALUES('hour all 67 grants.client_credentials','hour','all','grants.client_credentials',1795978800,1,NULL,NULL);
INSERT INTO figures VALUES('hour all 67 step.pushed.login','hour','all','step.pushed.login',1795978800,1,43,'43:1');
INSERT INTO figures VALUES('hour all 67 step.pushed.request','hour','all','step.pushed.request',1795978800,1,NULL,NULL);
INSERT INTO figures VALUES('hour client:svc 67 answered.direct','hour','client:svc','answered.direct',1795978800,1,NULL,NULL);
INSERT INTO figures VALUES('hour client:svc 67 grants.client_credentials','hour','client:svc','grants.client_credentials',1795978800,1,NULL,NULL);
INSERT INTO figures VALUES('hour client:web 67 step.pushed.login','hour','client:web','step.pushed.login',1795978800,1,43,'43:1');
INSERT INTO figures VALUES('hour client:web 67 step.pushed.request','hour','client:web','step.pushed.request',1795978800,1,NULL,NULL);
CREATE INDEX grants_by_subject ON grants (subject, grant_id);
CREATE INDEX grants_by_client ON grants (client_id, grant_id);
CREATE INDEX grants_by_session ON grants (session_id, grant_id);
CREATE INDEX sessions_by_subject ON sessions (subject, session_id);
CREATE INDEX consents_by_subject ON consents (subject, consent_id);
CREATE INDEX grants_by_span ON grants (span, grant_id) WHERE span IS NOT NULL;
CREATE INDEX grants_by_client_and_span ON grants (client_id, span, grant_id) WHERE span IS NOT NULL;
CREATE INDEX grants_by_withdrawal ON grants (withdrawn_at, grant_id) WHERE withdrawn_at IS NOT NULL;
CREATE INDEX grants_by_end ON grants (ended_by, grant_id) WHERE ended_by IS NOT NULL;
CREATE INDEX key_uses_by_client ON key_uses (client_id, use_id);
CREATE INDEX incidents_by_grant ON incidents (grant_id, incident_id);
CREATE INDEX incidents_by_client ON incidents (client_id, incident_id);
CREATE INDEX personal_data_reads_by_subject ON personal_data_reads (subject, read_id);
CREATE INDEX personal_data_reads_by_reader ON personal_data_reads (reader, read_id);
CREATE INDEX grants_by_outliving ON grants (outlives, grant_id) WHERE outlives IS NOT NULL;
CREATE INDEX figures_by_name ON figures (grain, name, start, figure_id);
COMMIT;
