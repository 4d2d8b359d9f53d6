-- Read model: who is still to be told that a session has ended (OpenID Connect Back-Channel
-- Logout 1.0).

CREATE TABLE backchannel_logouts (
    -- session_id/client_id
    notice_id  TEXT NOT NULL,
    session_id TEXT,
    client_id  TEXT,
    -- Of the next attempt.
    attempt    INTEGER,
    due_at     INTEGER,
    PRIMARY KEY (notice_id)
) STRICT, WITHOUT ROWID;
