-- Read model: who is still to be told that a session has ended (OpenID Connect Back-Channel
-- Logout 1.0). The key is session_id/client_id; attempt is the number of the next one.

CREATE TABLE backchannel_logouts (
    notice_id  TEXT NOT NULL,
    session_id TEXT,
    client_id  TEXT,
    attempt    INTEGER,
    due_at     INTEGER,
    PRIMARY KEY (notice_id)
) STRICT, WITHOUT ROWID;
