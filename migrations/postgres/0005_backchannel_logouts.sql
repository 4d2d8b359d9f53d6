-- Read model: who is still to be told that a session has ended (OpenID Connect Back-Channel
-- Logout 1.0). The key is session_id/client_id; attempt is the number of the next one.

CREATE TABLE backchannel_logouts (
    notice_id text COLLATE "C" NOT NULL,
    session_id text COLLATE "C",
    client_id text COLLATE "C",
    attempt bigint,
    due_at bigint,
    PRIMARY KEY (notice_id)
);
