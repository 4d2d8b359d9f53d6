-- Read model: who is still to be told that a session has ended (OpenID Connect Back-Channel
-- Logout 1.0).

CREATE TABLE backchannel_logouts (
    -- session_id/client_id
    notice_id text COLLATE "C" NOT NULL,
    session_id text COLLATE "C",
    client_id text COLLATE "C",
    -- Of the next attempt.
    attempt bigint,
    due_at bigint,
    PRIMARY KEY (notice_id)
);
