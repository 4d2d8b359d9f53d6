--
-- PostgreSQL database dump
--


-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: next_event_position(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.next_event_position() RETURNS bigint
    LANGUAGE sql
    AS $$
    SELECT CASE WHEN pg_current_xact_id() IS NOT NULL THEN nextval('events_position') END
$$;


--
-- Name: refuse_to_change_the_log(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.refuse_to_change_the_log() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION 'events are append-only: % refused', TG_OP
        USING ERRCODE = 'restrict_violation';
END
$$;


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: accounts; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.accounts (
    subject text NOT NULL COLLATE pg_catalog."C",
    state text COLLATE pg_catalog."C",
    reason text,
    created_at bigint,
    updated_at bigint,
    password_set_at bigint
);


--
-- Name: backchannel_logouts; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.backchannel_logouts (
    notice_id text NOT NULL COLLATE pg_catalog."C",
    session_id text COLLATE pg_catalog."C",
    client_id text COLLATE pg_catalog."C",
    attempt bigint,
    due_at bigint
);


--
-- Name: checkpoints; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.checkpoints (
    name text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    "position" bigint NOT NULL
)
WITH (fillfactor='50');


--
-- Name: clients; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.clients (
    client_id text NOT NULL COLLATE pg_catalog."C",
    state text COLLATE pg_catalog."C",
    reason text,
    metadata text,
    created_at bigint,
    updated_at bigint,
    secret_since bigint,
    previous_secret_until bigint
);


--
-- Name: consents; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.consents (
    consent_id text NOT NULL COLLATE pg_catalog."C",
    subject text COLLATE pg_catalog."C",
    client_id text COLLATE pg_catalog."C",
    scope text COLLATE pg_catalog."C",
    state text COLLATE pg_catalog."C",
    grant_id text COLLATE pg_catalog."C",
    updated_at bigint
);


--
-- Name: data_keys; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.data_keys (
    owner_type text NOT NULL COLLATE pg_catalog."C",
    owner_id text NOT NULL COLLATE pg_catalog."C",
    subject text COLLATE pg_catalog."C",
    wrapped bytea NOT NULL
);
ALTER TABLE ONLY public.data_keys ALTER COLUMN wrapped SET STATISTICS 0;


--
-- Name: documents; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.documents (
    kind text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    body text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT documents_version_check CHECK ((version >= 1))
);


--
-- Name: erasures; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.erasures (
    subject text NOT NULL COLLATE pg_catalog."C",
    data_keys bigint NOT NULL,
    sealed_values bigint NOT NULL,
    snapshots bigint NOT NULL
);


--
-- Name: events; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.events (
    aggregate_type text NOT NULL COLLATE pg_catalog."C",
    aggregate_id text NOT NULL COLLATE pg_catalog."C",
    sequence bigint NOT NULL,
    event_type text NOT NULL COLLATE pg_catalog."C",
    event_version text NOT NULL COLLATE pg_catalog."C",
    payload json NOT NULL,
    metadata json NOT NULL,
    digest bytea NOT NULL,
    prev_digest bytea NOT NULL,
    "position" bigint DEFAULT public.next_event_position() NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT events_digest_check CHECK ((octet_length(digest) = 32)),
    CONSTRAINT events_prev_digest_check CHECK ((octet_length(prev_digest) = 32)),
    CONSTRAINT events_sequence_check CHECK ((sequence >= 1))
);


--
-- Name: events_position; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.events_position
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: figures; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.figures (
    figure_id text NOT NULL COLLATE pg_catalog."C",
    grain text COLLATE pg_catalog."C",
    whose text COLLATE pg_catalog."C",
    name text COLLATE pg_catalog."C",
    start bigint,
    number bigint,
    longest bigint,
    times text COLLATE pg_catalog."C"
);


--
-- Name: grants; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.grants (
    grant_id text NOT NULL COLLATE pg_catalog."C",
    client_id text COLLATE pg_catalog."C",
    subject text COLLATE pg_catalog."C",
    session_id text COLLATE pg_catalog."C",
    scope text COLLATE pg_catalog."C",
    state text COLLATE pg_catalog."C",
    grant_type text COLLATE pg_catalog."C",
    created_at bigint,
    updated_at bigint,
    expires_at bigint,
    cause text COLLATE pg_catalog."C",
    reason text,
    opened_position bigint,
    authenticated_position bigint,
    consented_position bigint,
    span bigint,
    jwt_until bigint,
    withdrawn_at bigint,
    ended_by text COLLATE pg_catalog."C",
    outlives bigint GENERATED ALWAYS AS ((jwt_until - withdrawn_at)) STORED
)
WITH (fillfactor='70');


--
-- Name: incidents; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.incidents (
    incident_id text NOT NULL COLLATE pg_catalog."C",
    grant_id text COLLATE pg_catalog."C",
    client_id text COLLATE pg_catalog."C",
    kind text COLLATE pg_catalog."C",
    sequence bigint,
    happened_at text COLLATE pg_catalog."C"
);


--
-- Name: key_uses; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.key_uses (
    use_id text NOT NULL COLLATE pg_catalog."C",
    client_id text COLLATE pg_catalog."C"
);


--
-- Name: log; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.log (
    only_row boolean DEFAULT true NOT NULL,
    log_id text NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT log_only_row_check CHECK (only_row)
);


--
-- Name: log_checkpoints; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.log_checkpoints (
    serial bigint NOT NULL,
    origin text NOT NULL COLLATE pg_catalog."C",
    size bigint NOT NULL,
    "position" bigint NOT NULL,
    root bytea NOT NULL,
    signed_at bigint NOT NULL,
    note text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT log_checkpoints_root_check CHECK ((octet_length(root) = 32)),
    CONSTRAINT log_checkpoints_serial_check CHECK ((serial >= 1))
);


--
-- Name: log_tiles; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.log_tiles (
    level smallint NOT NULL,
    idx bigint NOT NULL,
    first_position bigint NOT NULL,
    data bytea NOT NULL,
    CONSTRAINT log_tiles_idx_check CHECK ((idx >= 0)),
    CONSTRAINT log_tiles_level_check CHECK ((level >= 0))
);
ALTER TABLE ONLY public.log_tiles ALTER COLUMN data SET STORAGE EXTERNAL;


--
-- Name: names; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.names (
    space text NOT NULL COLLATE pg_catalog."C",
    name bytea NOT NULL,
    owner text NOT NULL COLLATE pg_catalog."C"
);
ALTER TABLE ONLY public.names ALTER COLUMN name SET STATISTICS 0;


--
-- Name: personal_data_reads; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.personal_data_reads (
    read_id text NOT NULL COLLATE pg_catalog."C",
    subject text COLLATE pg_catalog."C",
    reader text COLLATE pg_catalog."C",
    what text COLLATE pg_catalog."C",
    reason text COLLATE pg_catalog."C",
    sequence bigint,
    happened_at text COLLATE pg_catalog."C",
    recorded_at bigint
);


--
-- Name: schema_migrations; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.schema_migrations (
    version integer NOT NULL,
    name text NOT NULL,
    applied_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);


--
-- Name: scopes; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.scopes (
    name text NOT NULL COLLATE pg_catalog."C",
    definition text COLLATE pg_catalog."C",
    updated_at bigint
);


--
-- Name: sealed; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.sealed (
    aggregate_type text NOT NULL COLLATE pg_catalog."C",
    aggregate_id text NOT NULL COLLATE pg_catalog."C",
    sequence bigint NOT NULL,
    ciphertext bytea NOT NULL
);
ALTER TABLE ONLY public.sealed ALTER COLUMN ciphertext SET STATISTICS 0;


--
-- Name: sessions; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.sessions (
    session_id text NOT NULL COLLATE pg_catalog."C",
    subject text COLLATE pg_catalog."C",
    state text COLLATE pg_catalog."C",
    cause text COLLATE pg_catalog."C",
    acr text COLLATE pg_catalog."C",
    amr text COLLATE pg_catalog."C",
    created_at bigint,
    auth_time bigint,
    expires_at bigint,
    ended_at bigint,
    started_position bigint
);


--
-- Name: signing_keys; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.signing_keys (
    key_id text NOT NULL COLLATE pg_catalog."C",
    algorithm text COLLATE pg_catalog."C",
    jwk text,
    state text COLLATE pg_catalog."C",
    published_at bigint,
    activated_at bigint,
    retired_at bigint,
    published_until bigint
);


--
-- Name: snapshots; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.snapshots (
    aggregate_type text NOT NULL COLLATE pg_catalog."C",
    aggregate_id text NOT NULL COLLATE pg_catalog."C",
    state_version bigint NOT NULL,
    sequence bigint NOT NULL,
    digest bytea NOT NULL,
    state text NOT NULL
);
ALTER TABLE ONLY public.snapshots ALTER COLUMN state SET STATISTICS 0;


--
-- Name: used_once; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.used_once (
    space text NOT NULL COLLATE pg_catalog."C",
    key bytea NOT NULL,
    expires_at bigint NOT NULL
);


--
-- Name: wrapped_keys; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.wrapped_keys (
    key_id text NOT NULL COLLATE pg_catalog."C",
    purpose text NOT NULL COLLATE pg_catalog."C",
    wrapped bytea NOT NULL
);


--
-- Data for Name: accounts; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.accounts VALUES ('10e0735acd9543c09de2c7794048477f', 'active', NULL, 1795981912, 1795981912, 1795981912);


--
-- Data for Name: backchannel_logouts; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: checkpoints; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.checkpoints VALUES ('signing_keys', 1, 8);
INSERT INTO public.checkpoints VALUES ('accounts', 2, 8);
INSERT INTO public.checkpoints VALUES ('clients', 1, 8);
INSERT INTO public.checkpoints VALUES ('sessions', 1, 13);
INSERT INTO public.checkpoints VALUES ('figures', 1, 13);
INSERT INTO public.checkpoints VALUES ('consents', 1, 17);
INSERT INTO public.checkpoints VALUES ('audit', 1, 17);
INSERT INTO public.checkpoints VALUES ('grants', 3, 31);


--
-- Data for Name: clients; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.clients VALUES ('svc', 'enabled', NULL, '{"grant_types":["client_credentials"],"response_types":[],"scope":"read","token_endpoint_auth_method":"client_secret_basic"}', 1795981912, 1795981912, 1795981912, NULL);
INSERT INTO public.clients VALUES ('web', 'enabled', NULL, '{"redirect_uris":["https://rp.example/cb"],"grant_types":["authorization_code","refresh_token"],"response_types":["code"],"scope":"openid offline_access email read","token_endpoint_auth_method":"client_secret_basic","refresh_token_lifetime":2838240000}', 1795981912, 1795981912, 1795981912, NULL);


--
-- Data for Name: consents; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.consents VALUES ('40f672095b708f88873f22534c96edd9', '10e0735acd9543c09de2c7794048477f', 'web', 'openid offline_access email read', 'given', '01a228dd29ee715cafa54296d627c94b', 1795981912);


--
-- Data for Name: data_keys; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.data_keys VALUES ('account', '10e0735acd9543c09de2c7794048477f', '10e0735acd9543c09de2c7794048477f', '\x017b68ca97c9757f03ace417ab2cfdfc2d640dd064e022a5a29d038bc2ff443ad7cce2e18696437b967561451f0f03cc91bae39297ed8c1e13442b47b8619aa46d');
INSERT INTO public.data_keys VALUES ('session', '01a228dd2a0674399712f1b6b51ffc5d', '10e0735acd9543c09de2c7794048477f', '\x017b68ca97a0075b393496383470055e5b33f7264ff1b4273722bcaf9c67bf39ab6de29ae61ecec22e28339db6b64c7db7582d1686a0243295e56e92913b699802');


--
-- Data for Name: documents; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: erasures; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: events; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.events VALUES ('signing_key', 'eed43af6d93da02a', 1, 'KeyPublished', '1', '{"key_id":"eed43af6d93da02a","algorithm":"ES256","jwk":{"alg":"ES256","crv":"P-256","kid":"eed43af6d93da02a","kty":"EC","use":"sig","x":"DxaJIpu-BKdJZp298AUIuJNVuHWYX7ZufSRbj4qOOfE","y":"UsvOTUjPP3QjcXraqVVJSUC5FmLPoX_FeK9_AhUXWfw"},"at":1795981912}', '{"command_id":"01a228dd282c7297acd2872329abd91f","occurred_at":"2026-11-29T19:51:52.108Z","actor":"system","actor_ref":"key bootstrap","traceparent":"00-01a228dd282c7297acd2872329abd91f-acd2872329abd91f-00","node":"node-b8edede0"}', '\x286f63bcf48a46348b4cec14956446012d91a3f79c8b6888ecc434c1b8781e0d', '\x0000000000000000000000000000000000000000000000000000000000000000', 1, '2026-11-29 19:51:52.1149+00');
INSERT INTO public.events VALUES ('signing_key', 'eed43af6d93da02a', 2, 'KeyActivated', '1', '{"at":1795981912}', '{"command_id":"01a228dd282c7297acd2872329abd91f","occurred_at":"2026-11-29T19:51:52.108Z","actor":"system","actor_ref":"key bootstrap","traceparent":"00-01a228dd282c7297acd2872329abd91f-acd2872329abd91f-00","node":"node-b8edede0"}', '\x5c71534985e58e491afec277ec4725ff1bc455e1d30cc8429d854cd285921ecb', '\x286f63bcf48a46348b4cec14956446012d91a3f79c8b6888ecc434c1b8781e0d', 2, '2026-11-29 19:51:52.115078+00');
INSERT INTO public.events VALUES ('signing_key', 'edf3852b2e2da092', 1, 'KeyPublished', '1', '{"key_id":"edf3852b2e2da092","algorithm":"ECDH-ES","jwk":{"crv":"P-256","kid":"edf3852b2e2da092","kty":"EC","use":"enc","x":"kbgtp_hF87g0ADR3W7mgFlkIH6Hv_VRCGEpK1MbS0eo","y":"S4dPvlAPCeihTUX8w1SjzyMd4zD21Yj1f522xHSk3nY"},"at":1795981912}', '{"command_id":"01a228dd283371e9935da0b3d33676a9","occurred_at":"2026-11-29T19:51:52.115Z","actor":"system","actor_ref":"key bootstrap","traceparent":"00-01a228dd283371e9935da0b3d33676a9-935da0b3d33676a9-00","node":"node-b8edede0"}', '\xcad94b5d91f1135a8b4c44c64c77fb81debe54e67a5580656261c296bcf9aa0e', '\x0000000000000000000000000000000000000000000000000000000000000000', 3, '2026-11-29 19:51:52.116092+00');
INSERT INTO public.events VALUES ('signing_key', 'edf3852b2e2da092', 2, 'KeyActivated', '1', '{"at":1795981912}', '{"command_id":"01a228dd283371e9935da0b3d33676a9","occurred_at":"2026-11-29T19:51:52.115Z","actor":"system","actor_ref":"key bootstrap","traceparent":"00-01a228dd283371e9935da0b3d33676a9-935da0b3d33676a9-00","node":"node-b8edede0"}', '\xe64ad82c171fd6c50744eae9b2f6fee3419bcce83a809611d3c031e46cce1892', '\xcad94b5d91f1135a8b4c44c64c77fb81debe54e67a5580656261c296bcf9aa0e', 4, '2026-11-29 19:51:52.116119+00');
INSERT INTO public.events VALUES ('client', 'svc', 1, 'ClientRegistered', '1', '{"client_id":"svc","metadata":{"grant_types":["client_credentials"],"response_types":[],"scope":"read","token_endpoint_auth_method":"client_secret_basic"},"secret":{"generated":"P5LEZ5imJW9BpXDoPA_H28SRgs7QpAH3CJGu_m7oVAA"},"at":1795981912}', '{"command_id":"01a228dd285979abb22a7490af7fbfb3","occurred_at":"2026-11-29T19:51:52.153Z","actor":"operator","actor_ref":"unknown","client_id":"svc","traceparent":"00-957d210754bf3d11be836643749d3525-bacef6b811612f45-00","node":"node-b8edede0"}', '\x082464654647eebe3a9496ca6b9a39b06f4bf27b4d4a82824be61b40e246118a', '\x0000000000000000000000000000000000000000000000000000000000000000', 5, '2026-11-29 19:51:52.158443+00');
INSERT INTO public.events VALUES ('client', 'web', 1, 'ClientRegistered', '1', '{"client_id":"web","metadata":{"redirect_uris":["https://rp.example/cb"],"grant_types":["authorization_code","refresh_token"],"response_types":["code"],"scope":"openid offline_access email read","token_endpoint_auth_method":"client_secret_basic","refresh_token_lifetime":2838240000},"secret":{"generated":"uirUprU8vXGJxwtehEfqSDj7EuVwqBTA2xCtIIMNtHg"},"at":1795981912}', '{"command_id":"01a228dd28ad7ff48232e1e9bbcbef06","occurred_at":"2026-11-29T19:51:52.237Z","actor":"operator","actor_ref":"unknown","client_id":"web","traceparent":"00-98c2a4ff48977e66f7d61dea3c975ce0-46a6feecb6c7f7f8-00","node":"node-fb2414a5"}', '\xa90a224a6f0117666366ce11cdf564d9fd24ecda8aeec14f6d7990c7611cd15f', '\x0000000000000000000000000000000000000000000000000000000000000000', 6, '2026-11-29 19:51:52.242486+00');
INSERT INTO public.events VALUES ('account', '10e0735acd9543c09de2c7794048477f', 1, 'AccountRegistered', '1', '{"subject":"10e0735acd9543c09de2c7794048477f","profile":"ikR8c-mxRuLiU3TfU7FhMtojxIF93AV6TX_mcMA7r64","at":1795981912}', '{"command_id":"01a228dd292479679a09dd43f800ba99","occurred_at":"2026-11-29T19:51:52.356Z","actor":"operator","actor_ref":"unknown","subject":"10e0735acd9543c09de2c7794048477f","traceparent":"00-dcf47b8d5656cad01ec65ee699491461-f4f47c4b1d3bc9da-00","node":"node-7839c27b"}', '\x2ca1e4dd0180e33f99a409ca10d0e7810f906e422e7a5b48c2937a9bde2889cf', '\x0000000000000000000000000000000000000000000000000000000000000000', 7, '2026-11-29 19:51:52.368253+00');
INSERT INTO public.events VALUES ('account', '10e0735acd9543c09de2c7794048477f', 2, 'PasswordSet', '1', '{"hash":"o-QevqyXxiV05N6IcfXtSFrzVHDA_iW1F2_Lugx-5aY","at":1795981912}', '{"command_id":"01a228dd292479679a09dd43f800ba99","occurred_at":"2026-11-29T19:51:52.356Z","actor":"operator","actor_ref":"unknown","subject":"10e0735acd9543c09de2c7794048477f","traceparent":"00-dcf47b8d5656cad01ec65ee699491461-f4f47c4b1d3bc9da-00","node":"node-7839c27b"}', '\x106d7aca39dd7b9e1c804e55cd1eb33b7568ca9df1742211517ede38f1372552', '\x2ca1e4dd0180e33f99a409ca10d0e7810f906e422e7a5b48c2937a9bde2889cf', 8, '2026-11-29 19:51:52.368347+00');
INSERT INTO public.events VALUES ('log', '127.0.0.1:9/audit/log', 1, 'CheckpointKeyPublished', '1', '{"key_id":"a73a0fdc1da12ad1","verifier":"127.0.0.1:9/audit/log+4cc64f46+AfSiUr9f3IeFaHX/ldday+E0EwFdkkFYzt0/Sg+MRUla","at":1795981912}', '{"command_id":"01a228dd29e07b0790cce938afd957b9","occurred_at":"2026-11-29T19:51:52.544Z","actor":"system","actor_ref":"sealer","traceparent":"00-01a228dd29e07b0790cce938afd957b9-90cce938afd957b9-00","node":"node-8b611ef4"}', '\xa008f3d6d2dec0bb5080780c443d584b3abef65238e2ac2e6dbe30e9ce95e53d', '\x0000000000000000000000000000000000000000000000000000000000000000', 9, '2026-11-29 19:51:52.551928+00');
INSERT INTO public.events VALUES ('grant', '01a228dd29e37e4493969ee8470aec96', 1, 'TokensIssued', '1', '{"grant_type":"client_credentials","authorization":{"client_id":"svc","scope":"read"},"tokens":{"access":{"number":1,"form":{"jwt":"eed43af6d93da02a"},"scope":"read","issued_at":1795981912,"expires_at":1795982212}}}', '{"command_id":"01a228dd29e3750996fa4bdee0ac1c3d","occurred_at":"2026-11-29T19:51:52.547Z","actor":"client","actor_ref":"svc","client_id":"svc","request_id":"37f457bcf5de1c6f","traceparent":"00-a51d1dd42b4d5d5bf065bbd58e3c99a7-37f457bcf5de1c6f-00","node":"node-8b611ef4"}', '\xd39c5ee5cfec138db776d1d50f5ec98022bddc949651b419de89da9c70971103', '\x0000000000000000000000000000000000000000000000000000000000000000', 10, '2026-11-29 19:51:52.555357+00');
INSERT INTO public.events VALUES ('grant', '01a228dd29ee715cafa54296d627c94b', 1, 'RequestPushed', '1', '{"request":{"client_id":"web","redirect_uri":"https://rp.example/cb","response_type":"code","scope":"openid offline_access email read","code_challenge":"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"},"request_uri":"POpkTNw2qv8xsGDCR736T743xis8IaAw8ll7QRCevsE","at":1795981912,"expires_at":1795982512}', '{"command_id":"01a228dd29ee799ca5bb9acf254ae056","occurred_at":"2026-11-29T19:51:52.558Z","actor":"client","actor_ref":"web","client_id":"web","request_id":"abcb993cafe96442","traceparent":"00-02a06364dd4f3af13802f65b930cfd0c-abcb993cafe96442-00","node":"node-8b611ef4"}', '\x0b1e4f8ca283f2a1a07ff255e78d30034806291e10902425516cbda9ee912cd6', '\x0000000000000000000000000000000000000000000000000000000000000000', 11, '2026-11-29 19:51:52.560253+00');
INSERT INTO public.events VALUES ('grant', '01a228dd29ee715cafa54296d627c94b', 2, 'SubjectAuthenticated', '1', '{"subject":"10e0735acd9543c09de2c7794048477f","session_id":"01a228dd2a0674399712f1b6b51ffc5d","auth_time":1795981912,"acr":"urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport","amr":["pwd"]}', '{"command_id":"01a228dd2a0673588863830aa6f86e23","occurred_at":"2026-11-29T19:51:52.582Z","actor":"subject","actor_ref":"10e0735acd9543c09de2c7794048477f","client_id":"web","subject":"10e0735acd9543c09de2c7794048477f","session_id":"01a228dd2a0674399712f1b6b51ffc5d","request_id":"c77226b612527ee6","traceparent":"00-51022789150af476c4a65b7b56e29d2c-c77226b612527ee6-00","correlation_id":"01a228dd29ee715cafa54296d627c94b","node":"node-8b611ef4"}', '\x6ddac1638956278f5af1cd80d8e03de2c2e308e219804b36a3e0c45e6787f70f', '\x0b1e4f8ca283f2a1a07ff255e78d30034806291e10902425516cbda9ee912cd6', 13, '2026-11-29 19:51:52.583613+00');
INSERT INTO public.events VALUES ('session', '01a228dd2a0674399712f1b6b51ffc5d', 1, 'SessionStarted', '1', '{"subject":"10e0735acd9543c09de2c7794048477f","session_id":"01a228dd2a0674399712f1b6b51ffc5d","auth_time":1795981912,"acr":"urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport","amr":["pwd"],"cookie":"KJITHaiJ8VlSyKs-YMC7LW7IyXitCtDvITZjCc35_wI","expires_at":1796010712,"circumstances":"Di6NOMTDrc6RXJI9oncKydbmJfi-qpXdtJ__yDi2mRU"}', '{"command_id":"01a228dd2a0673588863830aa6f86e23","occurred_at":"2026-11-29T19:51:52.582Z","actor":"subject","actor_ref":"10e0735acd9543c09de2c7794048477f","client_id":"web","subject":"10e0735acd9543c09de2c7794048477f","session_id":"01a228dd2a0674399712f1b6b51ffc5d","request_id":"c77226b612527ee6","traceparent":"00-51022789150af476c4a65b7b56e29d2c-c77226b612527ee6-00","correlation_id":"01a228dd29ee715cafa54296d627c94b","node":"node-8b611ef4"}', '\x4127672594f446cea4412df84e1a623cc5a7a7009ebf92e5f586d5739e424d26', '\x0000000000000000000000000000000000000000000000000000000000000000', 12, '2026-11-29 19:51:52.583691+00');
INSERT INTO public.events VALUES ('consent', '40f672095b708f88873f22534c96edd9', 1, 'ConsentRecorded', '1', '{"subject":"10e0735acd9543c09de2c7794048477f","client_id":"web","scope":"openid offline_access email read","grant_id":"01a228dd29ee715cafa54296d627c94b","at":1795981912}', '{"command_id":"01a228dd2a0d7c329955defd1518b356","occurred_at":"2026-11-29T19:51:52.589Z","actor":"subject","actor_ref":"10e0735acd9543c09de2c7794048477f","client_id":"web","subject":"10e0735acd9543c09de2c7794048477f","session_id":"01a228dd2a0674399712f1b6b51ffc5d","request_id":"f7c08bc4ebbadd56","traceparent":"00-dcfe66673cf69c7018138fe93e817a81-f7c08bc4ebbadd56-00","correlation_id":"01a228dd29ee715cafa54296d627c94b","node":"node-8b611ef4"}', '\x54445a6471451e460362451f54cfb77486169dc64d51c993118997e48d564af3', '\x0000000000000000000000000000000000000000000000000000000000000000', 14, '2026-11-29 19:51:52.590438+00');
INSERT INTO public.events VALUES ('grant', '01a228dd29ee715cafa54296d627c94b', 3, 'ConsentGiven', '1', '{"scope":"openid offline_access email read","presented":{"locale":"en","text":"EShf5ius0T2dVnlZK_8tURmxg7pZit3p8Hv3x5BF1R0","scopes":[{"name":"openid","description":"Recognise you when you sign in"},{"name":"offline_access","description":"Keep this access while you are away"},{"name":"email","description":"Read your e-mail address"},{"name":"read","description":"read"}]}}', '{"command_id":"01a228dd2a0d7c329955defd1518b356","occurred_at":"2026-11-29T19:51:52.589Z","actor":"subject","actor_ref":"10e0735acd9543c09de2c7794048477f","client_id":"web","subject":"10e0735acd9543c09de2c7794048477f","session_id":"01a228dd2a0674399712f1b6b51ffc5d","request_id":"f7c08bc4ebbadd56","traceparent":"00-dcfe66673cf69c7018138fe93e817a81-f7c08bc4ebbadd56-00","correlation_id":"01a228dd29ee715cafa54296d627c94b","node":"node-8b611ef4"}', '\xee126901b2e3202479265a5b6e6e598fd3176e0a2a9f945ae73ceee70c347014', '\x6ddac1638956278f5af1cd80d8e03de2c2e308e219804b36a3e0c45e6787f70f', 15, '2026-11-29 19:51:52.590481+00');
INSERT INTO public.events VALUES ('grant', '01a228dd29ee715cafa54296d627c94b', 4, 'CodeIssued', '1', '{"code":"BSCn53E6DAa8H4MlE1Fx_uAS2V0RME3SXa_P9xvjJd4","at":1795981912,"expires_at":1795981972}', '{"command_id":"01a228dd2a0d7c329955defd1518b356","occurred_at":"2026-11-29T19:51:52.589Z","actor":"subject","actor_ref":"10e0735acd9543c09de2c7794048477f","client_id":"web","subject":"10e0735acd9543c09de2c7794048477f","session_id":"01a228dd2a0674399712f1b6b51ffc5d","request_id":"f7c08bc4ebbadd56","traceparent":"00-dcfe66673cf69c7018138fe93e817a81-f7c08bc4ebbadd56-00","correlation_id":"01a228dd29ee715cafa54296d627c94b","node":"node-8b611ef4"}', '\xb27ca75387a934db8df069416f5ac0c3e5bb95b7635f2bc602a96fa04fd07553', '\xee126901b2e3202479265a5b6e6e598fd3176e0a2a9f945ae73ceee70c347014', 16, '2026-11-29 19:51:52.590487+00');
INSERT INTO public.events VALUES ('grant', '01a228dd29ee715cafa54296d627c94b', 5, 'CodeRedeemed', '1', '{"tokens":{"access":{"number":1,"form":{"jwt":"eed43af6d93da02a"},"scope":"openid offline_access email read","issued_at":1795981912,"expires_at":1795982212},"id":{"key":"eed43af6d93da02a","issued_at":1795981912,"expires_at":1795985512},"refresh":{"generation":1,"expires_at":4634221912},"seed":{"key":"c3c21bd6a0c193b9","salt":"ZKFbXksSyHDuyZd5ydlFGg"}}}', '{"command_id":"01a228dd2a107765a0d7a5be094815fd","occurred_at":"2026-11-29T19:51:52.592Z","actor":"client","actor_ref":"web","client_id":"web","subject":"10e0735acd9543c09de2c7794048477f","request_id":"ea9b8a5ce6c5a969","traceparent":"00-eee79f88336847278e6fee83d2f2c888-ea9b8a5ce6c5a969-00","node":"node-8b611ef4"}', '\x90f87ea897ea088ef482ef8e19cd34cf1f3aedfa26905402652380b67281c84f', '\xb27ca75387a934db8df069416f5ac0c3e5bb95b7635f2bc602a96fa04fd07553', 17, '2026-11-29 19:51:52.593153+00');
INSERT INTO public.events VALUES ('grant', '01a228dd29ee715cafa54296d627c94b', 6, 'RefreshTokenRotated', '1', '{"tokens":{"access":{"number":2,"form":{"jwt":"eed43af6d93da02a"},"scope":"openid offline_access email read","issued_at":1795981912,"expires_at":1795982212},"id":{"key":"eed43af6d93da02a","issued_at":1795981912,"expires_at":1795985512},"refresh":{"generation":2,"expires_at":4634221912}},"grace_until":1795981912}', '{"command_id":"01a228dd2a117549bab84ff9a15ce238","occurred_at":"2026-11-29T19:51:52.593Z","actor":"client","actor_ref":"web","client_id":"web","subject":"10e0735acd9543c09de2c7794048477f","request_id":"dcf0398aab5d7ba2","traceparent":"00-ba2027bd5e4cf67acdc45970d71201f8-dcf0398aab5d7ba2-00","node":"node-8b611ef4"}', '\x50c91000c93f483dc5086e5fa8631d0052c4929885f21094327f53968a3232ff', '\x90f87ea897ea088ef482ef8e19cd34cf1f3aedfa26905402652380b67281c84f', 18, '2026-11-29 19:51:52.594811+00');
INSERT INTO public.events VALUES ('grant', '01a228dd2a13734a8407facf08cf258c', 1, 'RequestPushed', '1', '{"request":{"client_id":"web","redirect_uri":"https://rp.example/cb","response_type":"code","scope":"openid offline_access email read","code_challenge":"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"},"request_uri":"xLfPgP7JGx9l-LSEJ50JwDXBie1iEC3jyt9fFnkCO9c","at":1795981912,"expires_at":1795982512}', '{"command_id":"01a228dd2a137222bcfc0c7431109aa5","occurred_at":"2026-11-29T19:51:52.595Z","actor":"client","actor_ref":"web","client_id":"web","request_id":"5ffb14205fe3fa3b","traceparent":"00-3a430ccdec0fc43d2b4c74861966f588-5ffb14205fe3fa3b-00","node":"node-8b611ef4"}', '\xcd4bd7e08eef84e17738918545586b0603b864399d33ac63852c624df6f2aa8c', '\x0000000000000000000000000000000000000000000000000000000000000000', 19, '2026-11-29 19:51:52.596286+00');
INSERT INTO public.events VALUES ('grant', '01a228dd2a13734a8407facf08cf258c', 2, 'SubjectAuthenticated', '1', '{"subject":"10e0735acd9543c09de2c7794048477f","session_id":"01a228dd2a0674399712f1b6b51ffc5d","auth_time":1795981912,"acr":"urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport","amr":["pwd"]}', '{"command_id":"01a228dd2a1572c189659c667431d014","occurred_at":"2026-11-29T19:51:52.597Z","actor":"subject","actor_ref":"10e0735acd9543c09de2c7794048477f","client_id":"web","subject":"10e0735acd9543c09de2c7794048477f","session_id":"01a228dd2a0674399712f1b6b51ffc5d","request_id":"a202d795d7c78fa5","traceparent":"00-7762dec2b2709a3b7e35cca282299fc8-a202d795d7c78fa5-00","correlation_id":"01a228dd2a13734a8407facf08cf258c","node":"node-8b611ef4"}', '\xbb980f64bc53879576866f399998d4ea93cee68df178d2a7b19f34d4ad284609', '\xcd4bd7e08eef84e17738918545586b0603b864399d33ac63852c624df6f2aa8c', 20, '2026-11-29 19:51:52.597926+00');
INSERT INTO public.events VALUES ('grant', '01a228dd2a13734a8407facf08cf258c', 3, 'ConsentGiven', '1', '{"scope":"openid offline_access email read"}', '{"command_id":"01a228dd2a1572c189659c667431d014","occurred_at":"2026-11-29T19:51:52.597Z","actor":"subject","actor_ref":"10e0735acd9543c09de2c7794048477f","client_id":"web","subject":"10e0735acd9543c09de2c7794048477f","session_id":"01a228dd2a0674399712f1b6b51ffc5d","request_id":"a202d795d7c78fa5","traceparent":"00-7762dec2b2709a3b7e35cca282299fc8-a202d795d7c78fa5-00","correlation_id":"01a228dd2a13734a8407facf08cf258c","node":"node-8b611ef4"}', '\xf093e94cce31066b0bde08eee847d1c440fd86fc622190d17f16a7fbb9d611a6', '\xbb980f64bc53879576866f399998d4ea93cee68df178d2a7b19f34d4ad284609', 21, '2026-11-29 19:51:52.597952+00');
INSERT INTO public.events VALUES ('grant', '01a228dd2a13734a8407facf08cf258c', 4, 'CodeIssued', '1', '{"code":"sLg-ni-gEpuy-ns2oUQxcTLj1DXk7YOapPRgLyMkVtM","at":1795981912,"expires_at":1795981972}', '{"command_id":"01a228dd2a1572c189659c667431d014","occurred_at":"2026-11-29T19:51:52.597Z","actor":"subject","actor_ref":"10e0735acd9543c09de2c7794048477f","client_id":"web","subject":"10e0735acd9543c09de2c7794048477f","session_id":"01a228dd2a0674399712f1b6b51ffc5d","request_id":"a202d795d7c78fa5","traceparent":"00-7762dec2b2709a3b7e35cca282299fc8-a202d795d7c78fa5-00","correlation_id":"01a228dd2a13734a8407facf08cf258c","node":"node-8b611ef4"}', '\x4b66b4506dd4def5446c14fe2a209ecb02aa13186a2a0651935ceabbbbe61f25', '\xf093e94cce31066b0bde08eee847d1c440fd86fc622190d17f16a7fbb9d611a6', 22, '2026-11-29 19:51:52.597958+00');
INSERT INTO public.events VALUES ('grant', '01a228dd2a13734a8407facf08cf258c', 5, 'CodeRedeemed', '1', '{"tokens":{"access":{"number":1,"form":{"jwt":"eed43af6d93da02a"},"scope":"openid offline_access email read","issued_at":1795981912,"expires_at":1795982212},"id":{"key":"eed43af6d93da02a","issued_at":1795981912,"expires_at":1795985512},"refresh":{"generation":1,"expires_at":4634221912},"seed":{"key":"c3c21bd6a0c193b9","salt":"sqyO9f83MGggRsG4-P2vrQ"}}}', '{"command_id":"01a228dd2a167107893b58d33fa3d866","occurred_at":"2026-11-29T19:51:52.598Z","actor":"client","actor_ref":"web","client_id":"web","subject":"10e0735acd9543c09de2c7794048477f","request_id":"b83fd26482a455a6","traceparent":"00-da17ef7e8e7b6037ff5abdd9d8802c19-b83fd26482a455a6-00","node":"node-8b611ef4"}', '\xdc8941043b6ff3a40afdc0dca2b25798ca7b5df107e91991b7ccca6bbdeb59d4', '\x4b66b4506dd4def5446c14fe2a209ecb02aa13186a2a0651935ceabbbbe61f25', 23, '2026-11-29 19:51:52.598566+00');
INSERT INTO public.events VALUES ('grant', '01a228dd2a13734a8407facf08cf258c', 6, 'GrantRevoked', '1', '{"cause":"revoked_by_client","at":1795981912}', '{"command_id":"01a228dd2a1671558d46b61454c9cc5b","occurred_at":"2026-11-29T19:51:52.598Z","actor":"client","actor_ref":"web","client_id":"web","request_id":"2e3d15eb4ad72a55","traceparent":"00-0340a05f12b7544ed0afb75ef5099200-2e3d15eb4ad72a55-00","node":"node-8b611ef4"}', '\xf9ca5e391047a01e56427d8c9ad56b39c2a11a597eeb89017159757282f874c1', '\xdc8941043b6ff3a40afdc0dca2b25798ca7b5df107e91991b7ccca6bbdeb59d4', 24, '2026-11-29 19:51:52.600298+00');
INSERT INTO public.events VALUES ('grant', '01a228dd2a187759ad65d96e65b09905', 1, 'RequestPushed', '1', '{"request":{"client_id":"web","redirect_uri":"https://rp.example/cb","response_type":"code","scope":"openid offline_access email read","code_challenge":"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"},"request_uri":"0s8iRjCxwzqdhUViE3ltxVJyDrplbd80F0nGM3ZHKO8","at":1795981912,"expires_at":1795982512}', '{"command_id":"01a228dd2a18773e9042cfb009a49d48","occurred_at":"2026-11-29T19:51:52.600Z","actor":"client","actor_ref":"web","client_id":"web","request_id":"b1aa5bd6bc614983","traceparent":"00-f635a9c12a0477b9f00151395d91947d-b1aa5bd6bc614983-00","node":"node-8b611ef4"}', '\x4a53d5193380e4c4182de56d9646467640302175dd43a843d1737b9c48562eb5', '\x0000000000000000000000000000000000000000000000000000000000000000', 25, '2026-11-29 19:51:52.600749+00');
INSERT INTO public.events VALUES ('grant', '01a228dd2a187759ad65d96e65b09905', 2, 'SubjectAuthenticated', '1', '{"subject":"10e0735acd9543c09de2c7794048477f","session_id":"01a228dd2a0674399712f1b6b51ffc5d","auth_time":1795981912,"acr":"urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport","amr":["pwd"]}', '{"command_id":"01a228dd2a1972d6b55a406374704533","occurred_at":"2026-11-29T19:51:52.601Z","actor":"subject","actor_ref":"10e0735acd9543c09de2c7794048477f","client_id":"web","subject":"10e0735acd9543c09de2c7794048477f","session_id":"01a228dd2a0674399712f1b6b51ffc5d","request_id":"b8428e4561c77244","traceparent":"00-af54b38773a516c6b13395ad36b40594-b8428e4561c77244-00","correlation_id":"01a228dd2a187759ad65d96e65b09905","node":"node-8b611ef4"}', '\x58211910f3b031b8215b3b91f1afe0cebcb601d7a68ddf71547e31634c13950c', '\x4a53d5193380e4c4182de56d9646467640302175dd43a843d1737b9c48562eb5', 26, '2026-11-29 19:51:52.601623+00');
INSERT INTO public.events VALUES ('grant', '01a228dd2a187759ad65d96e65b09905', 3, 'ConsentGiven', '1', '{"scope":"openid offline_access email read"}', '{"command_id":"01a228dd2a1972d6b55a406374704533","occurred_at":"2026-11-29T19:51:52.601Z","actor":"subject","actor_ref":"10e0735acd9543c09de2c7794048477f","client_id":"web","subject":"10e0735acd9543c09de2c7794048477f","session_id":"01a228dd2a0674399712f1b6b51ffc5d","request_id":"b8428e4561c77244","traceparent":"00-af54b38773a516c6b13395ad36b40594-b8428e4561c77244-00","correlation_id":"01a228dd2a187759ad65d96e65b09905","node":"node-8b611ef4"}', '\xcdf23bc60205d6a2f1db96d2b6a103477abfdbe06222b7d7253c0eabe411db08', '\x58211910f3b031b8215b3b91f1afe0cebcb601d7a68ddf71547e31634c13950c', 27, '2026-11-29 19:51:52.601647+00');
INSERT INTO public.events VALUES ('grant', '01a228dd2a187759ad65d96e65b09905', 4, 'CodeIssued', '1', '{"code":"iJoJOf8ZYMe78sbkaYZ0APEDAyLhO-dFFRuuFoM_NAY","at":1795981912,"expires_at":1795981972}', '{"command_id":"01a228dd2a1972d6b55a406374704533","occurred_at":"2026-11-29T19:51:52.601Z","actor":"subject","actor_ref":"10e0735acd9543c09de2c7794048477f","client_id":"web","subject":"10e0735acd9543c09de2c7794048477f","session_id":"01a228dd2a0674399712f1b6b51ffc5d","request_id":"b8428e4561c77244","traceparent":"00-af54b38773a516c6b13395ad36b40594-b8428e4561c77244-00","correlation_id":"01a228dd2a187759ad65d96e65b09905","node":"node-8b611ef4"}', '\x896389e3fd838b35e57890795e73ac98c2f129f17ff5f81a124a49f2c409513e', '\xcdf23bc60205d6a2f1db96d2b6a103477abfdbe06222b7d7253c0eabe411db08', 28, '2026-11-29 19:51:52.601652+00');
INSERT INTO public.events VALUES ('grant', '01a228dd2a187759ad65d96e65b09905', 5, 'CodeRedeemed', '1', '{"tokens":{"access":{"number":1,"form":{"jwt":"eed43af6d93da02a"},"scope":"openid offline_access email read","issued_at":1795981912,"expires_at":1795982212},"id":{"key":"eed43af6d93da02a","issued_at":1795981912,"expires_at":1795985512},"refresh":{"generation":1,"expires_at":4634221912},"seed":{"key":"c3c21bd6a0c193b9","salt":"XwmiisA-qxVxV8f_28S-7Q"}}}', '{"command_id":"01a228dd2a1971748a04909dd797e0ed","occurred_at":"2026-11-29T19:51:52.601Z","actor":"client","actor_ref":"web","client_id":"web","subject":"10e0735acd9543c09de2c7794048477f","request_id":"01d5a122ecb7e82c","traceparent":"00-ba2ba31c95bf9eb5ffe56dcd414769a2-01d5a122ecb7e82c-00","node":"node-8b611ef4"}', '\xc22baa1f297aa64a313b2b39c8f09daa1a07b894a0d594e03415570a117af2ff', '\x896389e3fd838b35e57890795e73ac98c2f129f17ff5f81a124a49f2c409513e', 29, '2026-11-29 19:51:52.602134+00');
INSERT INTO public.events VALUES ('grant', '01a228dd2a187759ad65d96e65b09905', 6, 'CodeReplayed', '1', '{"client_id":"web"}', '{"command_id":"01a228dd2a1b747587fd01e569090814","occurred_at":"2026-11-29T19:51:52.603Z","actor":"client","actor_ref":"web","client_id":"web","subject":"10e0735acd9543c09de2c7794048477f","request_id":"43491d6935bc6074","traceparent":"00-2addab198a0735a82ecfa146d29484d0-43491d6935bc6074-00","node":"node-8b611ef4"}', '\x8a9b91afaf5d3d5705f5731abe2a2c49d4bd4312671b3295f8e5d46163caba9c', '\xc22baa1f297aa64a313b2b39c8f09daa1a07b894a0d594e03415570a117af2ff', 30, '2026-11-29 19:51:52.603167+00');
INSERT INTO public.events VALUES ('grant', '01a228dd2a187759ad65d96e65b09905', 7, 'GrantRevoked', '1', '{"cause":"code_replayed","at":1795981912}', '{"command_id":"01a228dd2a1b747587fd01e569090814","occurred_at":"2026-11-29T19:51:52.603Z","actor":"client","actor_ref":"web","client_id":"web","subject":"10e0735acd9543c09de2c7794048477f","request_id":"43491d6935bc6074","traceparent":"00-2addab198a0735a82ecfa146d29484d0-43491d6935bc6074-00","node":"node-8b611ef4"}', '\xb952218d07e1a8cadc48db947652ae5abc444ccd2b74cd1c4a6d7322b7c0b628', '\x8a9b91afaf5d3d5705f5731abe2a2c49d4bd4312671b3295f8e5d46163caba9c', 31, '2026-11-29 19:51:52.603192+00');


--
-- Data for Name: figures; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.figures VALUES ('day all 001795910400 answered.direct', 'day', 'all', 'answered.direct', 1795910400, 1, NULL, NULL);
INSERT INTO public.figures VALUES ('day all 001795910400 grants.client_credentials', 'day', 'all', 'grants.client_credentials', 1795910400, 1, NULL, NULL);
INSERT INTO public.figures VALUES ('day all 001795910400 step.pushed.request', 'day', 'all', 'step.pushed.request', 1795910400, 1, NULL, NULL);
INSERT INTO public.figures VALUES ('day client:svc 001795910400 answered.direct', 'day', 'client:svc', 'answered.direct', 1795910400, 1, NULL, NULL);
INSERT INTO public.figures VALUES ('day client:svc 001795910400 grants.client_credentials', 'day', 'client:svc', 'grants.client_credentials', 1795910400, 1, NULL, NULL);
INSERT INTO public.figures VALUES ('day client:web 001795910400 step.pushed.request', 'day', 'client:web', 'step.pushed.request', 1795910400, 1, NULL, NULL);
INSERT INTO public.figures VALUES ('hour all 67 answered.direct', 'hour', 'all', 'answered.direct', 1795978800, 1, NULL, NULL);
INSERT INTO public.figures VALUES ('hour all 67 grants.client_credentials', 'hour', 'all', 'grants.client_credentials', 1795978800, 1, NULL, NULL);
INSERT INTO public.figures VALUES ('hour all 67 step.pushed.request', 'hour', 'all', 'step.pushed.request', 1795978800, 1, NULL, NULL);
INSERT INTO public.figures VALUES ('hour client:svc 67 answered.direct', 'hour', 'client:svc', 'answered.direct', 1795978800, 1, NULL, NULL);
INSERT INTO public.figures VALUES ('hour client:svc 67 grants.client_credentials', 'hour', 'client:svc', 'grants.client_credentials', 1795978800, 1, NULL, NULL);
INSERT INTO public.figures VALUES ('hour client:web 67 step.pushed.request', 'hour', 'client:web', 'step.pushed.request', 1795978800, 1, NULL, NULL);
INSERT INTO public.figures VALUES ('day all 001795910400 step.pushed.login', 'day', 'all', 'step.pushed.login', 1795910400, 1, 24, '24:1');
INSERT INTO public.figures VALUES ('day client:web 001795910400 step.pushed.login', 'day', 'client:web', 'step.pushed.login', 1795910400, 1, 24, '24:1');
INSERT INTO public.figures VALUES ('hour all 67 step.pushed.login', 'hour', 'all', 'step.pushed.login', 1795978800, 1, 24, '24:1');
INSERT INTO public.figures VALUES ('hour client:web 67 step.pushed.login', 'hour', 'client:web', 'step.pushed.login', 1795978800, 1, 24, '24:1');


--
-- Data for Name: grants; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.grants VALUES ('01a228dd29e37e4493969ee8470aec96', 'svc', NULL, NULL, 'read', 'active', 'client_credentials', 1795981912, 1795981912, 1795982212, NULL, NULL, 10, NULL, NULL, 0, 1795982212, NULL, NULL, DEFAULT);
INSERT INTO public.grants VALUES ('01a228dd2a13734a8407facf08cf258c', 'web', '10e0735acd9543c09de2c7794048477f', '01a228dd2a0674399712f1b6b51ffc5d', 'openid offline_access email read', 'revoked', 'authorization_code', 1795981912, 1795981912, 4634221912, 'revoked_by_client', NULL, 19, 20, 21, 12, 1795982212, 1795981912, NULL, DEFAULT);
INSERT INTO public.grants VALUES ('01a228dd2a187759ad65d96e65b09905', 'web', '10e0735acd9543c09de2c7794048477f', '01a228dd2a0674399712f1b6b51ffc5d', 'openid offline_access email read', 'revoked', 'authorization_code', 1795981912, 1795981912, 4634221912, 'code_replayed', NULL, 25, 26, 27, 12, 1795982212, 1795981912, NULL, DEFAULT);
INSERT INTO public.grants VALUES ('01a228dd29ee715cafa54296d627c94b', 'web', '10e0735acd9543c09de2c7794048477f', '01a228dd2a0674399712f1b6b51ffc5d', 'openid offline_access email read', 'active', 'authorization_code', 1795981912, 1795981912, 4634221912, NULL, NULL, 11, 13, 15, 12, 1795982212, NULL, NULL, DEFAULT);


--
-- Data for Name: incidents; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: key_uses; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.key_uses VALUES ('eed43af6d93da02a/01a228dd29e37e4493969ee8470aec96', 'svc');
INSERT INTO public.key_uses VALUES ('eed43af6d93da02a/01a228dd29ee715cafa54296d627c94b', 'web');


--
-- Data for Name: log; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.log VALUES (true, 'de506452713e455f940a37573f53b1be', '2026-11-29 19:51:52.012826+00');


--
-- Data for Name: log_checkpoints; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.log_checkpoints VALUES (1, '127.0.0.1:9/audit/log', 9, 9, '\x962bf6d68397ad9189b0e480e01d8473bd2c1ebbc6278371b956fd283b16b013', 1795981912556, '127.0.0.1:9/audit/log
9
liv21oOXrZGJsOSA4B2Ec70sHrvGJ4NxuVb9KDsWsBM=

— 127.0.0.1:9/audit/log TMZPRhDLAMn9vwpkZb10BZEx/MnOoeCSXzBhsI5u2OUL8vcze4z55TvClqjgGVMu8mUF3TcYW0V1t2iQSNsI/TuTQAQ=
');


--
-- Data for Name: log_tiles; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.log_tiles VALUES (0, 0, 1, '\x0000000000000001000001a228dd2832286f63bcf48a46348b4cec14956446012d91a3f79c8b6888ecc434c1b8781e0d0000000000000002000001a228dd28335c71534985e58e491afec277ec4725ff1bc455e1d30cc8429d854cd285921ecb0000000000000003000001a228dd2834cad94b5d91f1135a8b4c44c64c77fb81debe54e67a5580656261c296bcf9aa0e0000000000000004000001a228dd2834e64ad82c171fd6c50744eae9b2f6fee3419bcce83a809611d3c031e46cce18920000000000000005000001a228dd285e082464654647eebe3a9496ca6b9a39b06f4bf27b4d4a82824be61b40e246118a0000000000000006000001a228dd28b2a90a224a6f0117666366ce11cdf564d9fd24ecda8aeec14f6d7990c7611cd15f0000000000000007000001a228dd29302ca1e4dd0180e33f99a409ca10d0e7810f906e422e7a5b48c2937a9bde2889cf0000000000000008000001a228dd2930106d7aca39dd7b9e1c804e55cd1eb33b7568ca9df1742211517ede38f13725520000000000000009000001a228dd29e7a008f3d6d2dec0bb5080780c443d584b3abef65238e2ac2e6dbe30e9ce95e53d');


--
-- Data for Name: names; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.names VALUES ('first_key', '\x68616e646c657300000000000000000000000000000000000000000000000000', 'b4e3613d141741949ed83a9c7700aeef');
INSERT INTO public.names VALUES ('first_key', '\x6e616d6573000000000000000000000000000000000000000000000000000000', '09bb733666ac491d9530fa66c6aa6df5');
INSERT INTO public.names VALUES ('first_key', '\x7061676573000000000000000000000000000000000000000000000000000000', '18e1a269266d460c82ce054de77ec1a4');
INSERT INTO public.names VALUES ('first_key', '\x7375626a65637473000000000000000000000000000000000000000000000000', '3f8cca3d232a4ac1949ba5cd4a54e02a');
INSERT INTO public.names VALUES ('first_key', '\x4553323536000000000000000000000000000000000000000000000000000000', '5867250c7894479fbd2137a40facba85');
INSERT INTO public.names VALUES ('first_key', '\x454344482d455300000000000000000000000000000000000000000000000000', '61472f402ecd4370b862c2747d33220b');
INSERT INTO public.names VALUES ('account', '\xb56e3d4073706e14cdf58d42e555396c12e9e7bb3f9a5e0c525aa2ade883c1bb', '10e0735acd9543c09de2c7794048477f');


--
-- Data for Name: personal_data_reads; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: schema_migrations; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.schema_migrations VALUES (1, 'log', '2026-11-29 19:51:52.016896+00');
INSERT INTO public.schema_migrations VALUES (2, 'beside_the_log', '2026-11-29 19:51:52.025118+00');
INSERT INTO public.schema_migrations VALUES (3, 'read_models', '2026-11-29 19:51:52.026933+00');
INSERT INTO public.schema_migrations VALUES (4, 'lookups', '2026-11-29 19:51:52.035189+00');
INSERT INTO public.schema_migrations VALUES (5, 'backchannel_logouts', '2026-11-29 19:51:52.036357+00');
INSERT INTO public.schema_migrations VALUES (6, 'scopes', '2026-11-29 19:51:52.038832+00');
INSERT INTO public.schema_migrations VALUES (7, 'merkle_log', '2026-11-29 19:51:52.044998+00');
INSERT INTO public.schema_migrations VALUES (8, 'questions', '2026-11-29 19:51:52.049798+00');
INSERT INTO public.schema_migrations VALUES (9, 'erasures', '2026-11-29 19:51:52.051513+00');
INSERT INTO public.schema_migrations VALUES (10, 'personal_data_reads', '2026-11-29 19:51:52.053748+00');
INSERT INTO public.schema_migrations VALUES (11, 'documents', '2026-11-29 19:51:52.055055+00');
INSERT INTO public.schema_migrations VALUES (12, 'outliving_tokens', '2026-11-29 19:51:52.058984+00');
INSERT INTO public.schema_migrations VALUES (13, 'figures', '2026-11-29 19:51:52.060605+00');


--
-- Data for Name: scopes; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: sealed; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.sealed VALUES ('account', '10e0735acd9543c09de2c7794048477f', 1, '\x12342341b927009292a777afbecacf450a114ebd5f1537479d4e59e13ede4ae146a0b547332687f07970b08e3c5f7c4f91c2061d73a981cb9b0a9912c1772e2bb8360a38ef5bfbd0c8cd989a3d2e79bd08030e5732bfc6a0b654916f9b7f842462f38f');
INSERT INTO public.sealed VALUES ('account', '10e0735acd9543c09de2c7794048477f', 2, '\xb708286819c122e961805e47aa603f047713234ce0ac8dbf7bfd2980391efc3047b7b4d83bc1de652e1e1981ccf58f79cbcc890b72ca02a5fa9f0a7b002ce98cb3c9b96f7ca90baff64c941961a75bb43daf0a967a3810a67b6f34636f8483e41bb040417b044fda70e4420521d41fa706b115ba41cb7d1283a63c19bab2ca988a36c0bbc669c80d03a5b7192e');
INSERT INTO public.sealed VALUES ('session', '01a228dd2a0674399712f1b6b51ffc5d', 1, '\x427263439bedf4e65550a3dffb435d9449efccd5863007345a4f72bc2cd21a25d1638c5c6f41bae6fd007a84fc3e7c623c1f8e776460efa9b1f6d6b9910c415b80a58d');


--
-- Data for Name: sessions; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.sessions VALUES ('01a228dd2a0674399712f1b6b51ffc5d', '10e0735acd9543c09de2c7794048477f', 'begun', NULL, 'urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport', 'pwd', 1795981912, 1795981912, 1796010712, NULL, 12);


--
-- Data for Name: signing_keys; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.signing_keys VALUES ('edf3852b2e2da092', 'ECDH-ES', '{"crv":"P-256","kid":"edf3852b2e2da092","kty":"EC","use":"enc","x":"kbgtp_hF87g0ADR3W7mgFlkIH6Hv_VRCGEpK1MbS0eo","y":"S4dPvlAPCeihTUX8w1SjzyMd4zD21Yj1f522xHSk3nY"}', 'active', 1795981912, 1795981912, NULL, NULL);
INSERT INTO public.signing_keys VALUES ('eed43af6d93da02a', 'ES256', '{"alg":"ES256","crv":"P-256","kid":"eed43af6d93da02a","kty":"EC","use":"sig","x":"DxaJIpu-BKdJZp298AUIuJNVuHWYX7ZufSRbj4qOOfE","y":"UsvOTUjPP3QjcXraqVVJSUC5FmLPoX_FeK9_AhUXWfw"}', 'active', 1795981912, 1795981912, NULL, NULL);


--
-- Data for Name: snapshots; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: used_once; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: wrapped_keys; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.wrapped_keys VALUES ('c3c21bd6a0c193b9', 'handles', '\x017b68ca97d3096489a1335b127a6fc94e5c81bab713452906b107164bc5daa2ef9f788ac1e0723ce851bcb1e921ecc8ab742361911b506abb91bb27a2bbaa98a9');
INSERT INTO public.wrapped_keys VALUES ('4d4f8bae02ec3b4e', 'names', '\x017b68ca974444cec3ba6fed8cd9f7f20d6fcc14fc2f9b9ae0796355e5e75a1f76010f45451b7c94202f2fd749aa4cdf7185c32f92212106feada89513d7fc1ba2');
INSERT INTO public.wrapped_keys VALUES ('f9ef66dde2492284', 'pages', '\x017b68ca97a96d3c5fb683e7d372f9510e838198dc374896edb82c403ae9867e608935ab09c86f281113f2e6d24e9cf7718d978d7828cc9d4ba9fd899f0f51abc0');
INSERT INTO public.wrapped_keys VALUES ('0866f307b4a6bbc4', 'subjects', '\x017b68ca975076bb35706f009e5d68a701d43bf85d10fc2683e546e40c29ec5dbb8884a2be73ffc89f06615040e3ed328f2e3912d6c1958e9a87f3f732cd180490');
INSERT INTO public.wrapped_keys VALUES ('eed43af6d93da02a', 'signing', '\x017b68ca9796fbadb4b3b3c8f617799cdfd1b378cd9f259e1f6c8603d48bdbfd561e0e3b397d0e377be9e184a756182f0cea2f7d68054f6b62c4a4952a43b00a2931dbc6388fe84f63e07dc40c48da1358f22f30b13911c9766911aa1b128a1a9c3993e0306572e7e9cf846e500a9e3316b46f13247e2b7e6b065ce7465db152260c21856da7fa088151f2c2a8d568120a05abae765ab16cca1ab5dab2f5c42e34f0b88c7eb1a7fdd826d6');
INSERT INTO public.wrapped_keys VALUES ('edf3852b2e2da092', 'signing', '\x017b68ca9717e4275f21c408b6d98c5da00bd548c84db13739531c01e07bbbf89dd18a00244b6baa51428747d466c411399c7c9a571093f60077d15ef2d87cdad3abe47ceb2922eb530b6b0ec9b76ed9ef9861892189ce50240c6fa3c7e7f1df0e8d3c82b64dd9e5249231d25ab6e49a550ec22333c4245e1ba0dce63f6e1a1c58ad44d68a8680fd07a8ced64547bbac44eb93b4d028c14c317f243d5f906adfe10ebf4b16b36a05c52e94');
INSERT INTO public.wrapped_keys VALUES ('a73a0fdc1da12ad1', 'checkpoints', '\x017b68ca97bb6d47741dcec2c10b8ec1348c91fbe4799efcebf146cd1e3c27815b9acbdfef2c815e6f4afba42d3f76079faf594ac0df3d63e831ba7b8267c6916f');


--
-- Name: events_position; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.events_position', 31, true);


--
-- Name: accounts accounts_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_pkey PRIMARY KEY (subject);


--
-- Name: backchannel_logouts backchannel_logouts_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.backchannel_logouts
    ADD CONSTRAINT backchannel_logouts_pkey PRIMARY KEY (notice_id);


--
-- Name: checkpoints checkpoints_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.checkpoints
    ADD CONSTRAINT checkpoints_pkey PRIMARY KEY (name);


--
-- Name: clients clients_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.clients
    ADD CONSTRAINT clients_pkey PRIMARY KEY (client_id);


--
-- Name: consents consents_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.consents
    ADD CONSTRAINT consents_pkey PRIMARY KEY (consent_id);


--
-- Name: data_keys data_keys_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.data_keys
    ADD CONSTRAINT data_keys_pkey PRIMARY KEY (owner_type, owner_id);


--
-- Name: documents documents_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.documents
    ADD CONSTRAINT documents_pkey PRIMARY KEY (kind, key);


--
-- Name: erasures erasures_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.erasures
    ADD CONSTRAINT erasures_pkey PRIMARY KEY (subject);


--
-- Name: events events_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (aggregate_type, aggregate_id, sequence);


--
-- Name: events events_position_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_position_key UNIQUE ("position");


--
-- Name: figures figures_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.figures
    ADD CONSTRAINT figures_pkey PRIMARY KEY (figure_id);


--
-- Name: grants grants_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.grants
    ADD CONSTRAINT grants_pkey PRIMARY KEY (grant_id);


--
-- Name: incidents incidents_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.incidents
    ADD CONSTRAINT incidents_pkey PRIMARY KEY (incident_id);


--
-- Name: key_uses key_uses_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.key_uses
    ADD CONSTRAINT key_uses_pkey PRIMARY KEY (use_id);


--
-- Name: log_checkpoints log_checkpoints_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.log_checkpoints
    ADD CONSTRAINT log_checkpoints_pkey PRIMARY KEY (serial);


--
-- Name: log log_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.log
    ADD CONSTRAINT log_pkey PRIMARY KEY (only_row);


--
-- Name: log_tiles log_tiles_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.log_tiles
    ADD CONSTRAINT log_tiles_pkey PRIMARY KEY (level, idx);


--
-- Name: names names_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.names
    ADD CONSTRAINT names_pkey PRIMARY KEY (space, name);


--
-- Name: personal_data_reads personal_data_reads_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.personal_data_reads
    ADD CONSTRAINT personal_data_reads_pkey PRIMARY KEY (read_id);


--
-- Name: schema_migrations schema_migrations_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (version);


--
-- Name: scopes scopes_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.scopes
    ADD CONSTRAINT scopes_pkey PRIMARY KEY (name);


--
-- Name: sealed sealed_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.sealed
    ADD CONSTRAINT sealed_pkey PRIMARY KEY (aggregate_type, aggregate_id, sequence);


--
-- Name: sessions sessions_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (session_id);


--
-- Name: signing_keys signing_keys_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.signing_keys
    ADD CONSTRAINT signing_keys_pkey PRIMARY KEY (key_id);


--
-- Name: snapshots snapshots_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.snapshots
    ADD CONSTRAINT snapshots_pkey PRIMARY KEY (aggregate_type, aggregate_id);


--
-- Name: used_once used_once_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.used_once
    ADD CONSTRAINT used_once_pkey PRIMARY KEY (space, key);


--
-- Name: wrapped_keys wrapped_keys_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.wrapped_keys
    ADD CONSTRAINT wrapped_keys_pkey PRIMARY KEY (key_id);


--
-- Name: consents_by_subject; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX consents_by_subject ON public.consents USING btree (subject, consent_id);


--
-- Name: data_keys_by_subject; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX data_keys_by_subject ON public.data_keys USING btree (subject) WHERE (subject IS NOT NULL);


--
-- Name: figures_by_name; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX figures_by_name ON public.figures USING btree (grain, name, start, figure_id);


--
-- Name: grants_by_client; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX grants_by_client ON public.grants USING btree (client_id, grant_id);


--
-- Name: grants_by_client_and_span; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX grants_by_client_and_span ON public.grants USING btree (client_id, span, grant_id) WHERE (span IS NOT NULL);


--
-- Name: grants_by_end; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX grants_by_end ON public.grants USING btree (ended_by, grant_id) WHERE (ended_by IS NOT NULL);


--
-- Name: grants_by_outliving; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX grants_by_outliving ON public.grants USING btree (outlives, grant_id) WHERE (outlives IS NOT NULL);


--
-- Name: grants_by_session; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX grants_by_session ON public.grants USING btree (session_id, grant_id);


--
-- Name: grants_by_span; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX grants_by_span ON public.grants USING btree (span, grant_id) WHERE (span IS NOT NULL);


--
-- Name: grants_by_subject; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX grants_by_subject ON public.grants USING btree (subject, grant_id);


--
-- Name: grants_by_withdrawal; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX grants_by_withdrawal ON public.grants USING btree (withdrawn_at, grant_id) WHERE (withdrawn_at IS NOT NULL);


--
-- Name: incidents_by_client; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX incidents_by_client ON public.incidents USING btree (client_id, incident_id);


--
-- Name: incidents_by_grant; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX incidents_by_grant ON public.incidents USING btree (grant_id, incident_id);


--
-- Name: key_uses_by_client; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX key_uses_by_client ON public.key_uses USING btree (client_id, use_id);


--
-- Name: log_tiles_by_position; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX log_tiles_by_position ON public.log_tiles USING btree (first_position) WHERE (level = 0);


--
-- Name: personal_data_reads_by_reader; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX personal_data_reads_by_reader ON public.personal_data_reads USING btree (reader, read_id);


--
-- Name: personal_data_reads_by_subject; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX personal_data_reads_by_subject ON public.personal_data_reads USING btree (subject, read_id);


--
-- Name: sessions_by_subject; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX sessions_by_subject ON public.sessions USING btree (subject, session_id);


--
-- Name: used_once_by_expiry; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX used_once_by_expiry ON public.used_once USING btree (expires_at);


--
-- Name: wrapped_keys_by_purpose; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX wrapped_keys_by_purpose ON public.wrapped_keys USING btree (purpose, key_id);


--
-- Name: events events_are_append_only; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER events_are_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.events FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_to_change_the_log();


--
-- PostgreSQL database dump complete
--


