-- Read models for the questions of auditors (src/audit/README.md says what each costs). The
-- partial indexes hold the few grants that something was revoked of, or that got tokens at all.

-- How long access lasts, as a class; NULL until tokens were issued.
ALTER TABLE grants ADD COLUMN span INTEGER;
-- When the last access token ends that resource servers read without asking.
ALTER TABLE grants ADD COLUMN jwt_until INTEGER;
-- When something of it was last revoked.
ALTER TABLE grants ADD COLUMN withdrawn_at INTEGER;
-- The event that a cascade ended it for.
ALTER TABLE grants ADD COLUMN ended_by TEXT;

CREATE INDEX grants_by_span ON grants (span, grant_id) WHERE span IS NOT NULL;
CREATE INDEX grants_by_client_and_span ON grants (client_id, span, grant_id) WHERE span IS NOT NULL;
CREATE INDEX grants_by_withdrawal ON grants (withdrawn_at, grant_id) WHERE withdrawn_at IS NOT NULL;
CREATE INDEX grants_by_end ON grants (ended_by, grant_id) WHERE ended_by IS NOT NULL;

CREATE TABLE key_uses (
    use_id    TEXT NOT NULL,
    client_id TEXT,
    PRIMARY KEY (use_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX key_uses_by_client ON key_uses (client_id, use_id);

CREATE TABLE incidents (
    incident_id TEXT NOT NULL,
    grant_id    TEXT,
    client_id   TEXT,
    kind        TEXT,
    sequence    INTEGER,
    happened_at TEXT,
    PRIMARY KEY (incident_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX incidents_by_grant ON incidents (grant_id, incident_id);
CREATE INDEX incidents_by_client ON incidents (client_id, incident_id);
