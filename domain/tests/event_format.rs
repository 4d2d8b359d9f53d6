//! The stored JSON of every event: a public format, and forever.
//!
//! `events/<aggregate>/<Event>.v<version>.json` holds the payload of one sample
//! exactly as a store holds it, with a line end after it. These files are never
//! changed, only added: what they hold stands in logs that nobody rewrites. An
//! event that has optional fields has a second file, `….least.json`, without
//! them. A new event, a new version or a new optional field brings new files
//! (`….<what came>.json`, see `later_samples`); the old ones must still be read.
#![expect(clippy::unwrap_used, reason = "these are tests, helpers and all")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chancery_domain::account::{
    AccountErased, AccountEvent, AccountLocked, AccountRegistered, AccountUnlocked, Destroyed,
    ErasureRequested, PasswordRehashed, PasswordReset, PasswordResetRequested, PasswordSet,
    PersonalDataRead, ProfileReplaced, Role, RolesReplaced, SessionsDismissed,
};
use chancery_domain::authorization::{Authentication, Authorization, AuthorizationRequest};
use chancery_domain::client::{
    AccessTokenFormat, ApplicationType, ClientDeleted, ClientDisabled, ClientEnabled, ClientEvent,
    ClientMetadata, ClientMetadataReplaced, ClientRegistered, ClientSecretRotated, Registrar,
    Registration, SecretRecord, SecurityProfile, SubjectType,
};
use chancery_domain::consent::{ConsentEvent, ConsentRecorded, ConsentWithdrawn};
use chancery_domain::digest::{Salt, Sha256Digest};
use chancery_domain::envelope::{Actor, ActorKind, Envelope};
use chancery_domain::event::{AnyEvent, DecodeError, EventFormat, schemas};
use chancery_domain::grant::{
    AccessTokenFacts, AccessTokenForm, AccessTokenRevoked, CodeIssued, CodeRedeemed, CodeReplayed,
    ConsentGiven, DeclineReason, FrontChannelTokens, FrontChannelTokensIssued, GrantEvent,
    GrantRevoked, HandleSeed, IdTokenFacts, IdTokenKey, IssuedTokens, Presented, PresentedClaim,
    PresentedScope, RefreshTokenFacts, RefreshTokenReused, RefreshTokenRotated, RefreshTokenUsed,
    RefusalNoted, RefusalReason, RequestDeclined, RequestPushed, RequestReceived, RevocationCause,
    SubjectAuthenticated, TokensIssued,
};
use chancery_domain::ids::{
    AggregateKind, ClientId, CommandId, GrantId, KeyId, SessionId, SubjectId,
};
use chancery_domain::protocol::authorization_details::AuthorizationDetails;
use chancery_domain::protocol::claims::ClaimNames;
use chancery_domain::protocol::client_auth_method::ClientAuthMethod;
use chancery_domain::protocol::content_encryption::ContentEncryption;
use chancery_domain::protocol::grant_type::GrantType;
use chancery_domain::protocol::key_management_algorithm::KeyManagementAlgorithm;
use chancery_domain::protocol::pkce::CodeChallenge;
use chancery_domain::protocol::prompt::Prompts;
use chancery_domain::protocol::redirect_uri::RedirectUri;
use chancery_domain::protocol::response_mode::ResponseMode;
use chancery_domain::protocol::response_type::ResponseType;
use chancery_domain::protocol::scope::Scope;
use chancery_domain::protocol::signing_algorithm::SigningAlgorithm;
use chancery_domain::registration_token::{
    Constraints, RegistrationTokenEvent, RegistrationTokenIssued, RegistrationTokenRevoked,
    RegistrationTokenUsed,
};
use chancery_domain::scope_definition::{
    Definition, ScopeDefined, ScopeDefinitionEvent, ScopeRemoved,
};
use chancery_domain::sealed_log::{
    CheckpointKeyPublished, CheckpointKeyRetired, HeadsListed, SealedLogEvent,
};
use chancery_domain::secret::Digest;
use chancery_domain::session::{
    BackchannelFailure, BackchannelLogoutDelivered, BackchannelLogoutFailed,
    BackchannelLogoutRequested, SessionEndCause, SessionEnded, SessionEvent,
    SessionReauthenticated, SessionStarted,
};
use chancery_domain::signing_key::{KeyActivated, KeyPublished, KeyRetired, SigningKeyEvent};
use chancery_domain::tally::{Count, TallyEvent, WindowCounted};
use chancery_domain::time::{Lifetime, UnixTime};
use serde_json::json;
use uuid::Uuid;

/// An event, and what a store would hold of it.
struct Sample {
    kind: AggregateKind,
    name: &'static str,
    version: &'static str,
    json: String,
    event: AnyEvent,
    /// Which sample of the event: empty for the first.
    which: &'static str,
}

impl Sample {
    fn new<E: EventFormat>(kind: AggregateKind, wrap: fn(E) -> AnyEvent, event: E) -> Self {
        Self {
            kind,
            name: event.name(),
            version: event.version(),
            json: event.to_json().unwrap(),
            event: wrap(event),
            which: "",
        }
    }

    fn file(&self) -> PathBuf {
        let which = if self.which.is_empty() { "" } else { "." };
        let name = format!("{}.v{}{which}{}.json", self.name, self.version, self.which);
        events_folder().join(self.kind.as_str()).join(name)
    }
}

fn events_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/events")
}

/// The samples of one aggregate. It does not compile when a variant has none.
macro_rules! samples {
    ($kind:ident, $enum:ident { $($event:ident: $sample:expr,)* }) => {{
        fn every_variant_has_a_sample(event: &$enum) {
            match event {
                $($enum::$event(_) => {})*
            }
        }
        let samples = [$($enum::from({ let sample: $event = $sample; sample })),*];
        samples.iter().for_each(every_variant_has_a_sample);
        samples.into_iter().map(|event| Sample::new(AggregateKind::$kind, AnyEvent::$kind, event))
    }};
}

fn at(seconds: i64) -> UnixTime {
    UnixTime::from_seconds(1_700_000_000 + seconds)
}

fn seconds(seconds: u32) -> Lifetime {
    Lifetime::from_seconds(seconds)
}

fn client_id() -> ClientId {
    ClientId::parse("rp").unwrap()
}

fn subject() -> SubjectId {
    SubjectId::from_uuid(Uuid::from_u128(0x11))
}

fn session_id() -> SessionId {
    SessionId::from_uuid(Uuid::from_u128(0x22))
}

fn grant_id() -> GrantId {
    GrantId::from_uuid(Uuid::from_u128(0x33))
}

fn key(text: &str) -> KeyId {
    KeyId::parse(text).unwrap()
}

fn scope(names: &str) -> Scope {
    Scope::parse(names).unwrap()
}

fn uri(text: &str) -> RedirectUri {
    RedirectUri::parse(text).unwrap()
}

fn sha256(byte: u8) -> Sha256Digest {
    Sha256Digest::from_bytes([byte; 32])
}

fn authentication() -> Authentication {
    Authentication {
        subject: subject(),
        session_id: Some(session_id()),
        auth_time: at(-60),
        acr: "1".to_owned(),
        amr: vec!["pwd".to_owned()],
    }
}

fn request() -> AuthorizationRequest {
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    AuthorizationRequest {
        client_id: client_id(),
        redirect_uri: uri("https://rp.example/cb"),
        redirect_uri_by_default: true,
        response_type: ResponseType::Code,
        response_mode: Some(ResponseMode::FormPost),
        scope: scope("openid email"),
        code_challenge: CodeChallenge::parse(Some(challenge), Some("S256")).unwrap(),
        prompt: Prompts::parse("login consent").unwrap(),
        max_age: Some(seconds(3600)),
        claims: ClaimNames::default(),
        acr_values: vec!["1".to_owned()],
        ui_locales: vec!["de".to_owned(), "en".to_owned()],
        sealed: Some(sha256(1)),
    }
}

fn least_request() -> AuthorizationRequest {
    AuthorizationRequest {
        client_id: client_id(),
        redirect_uri: uri("https://rp.example/cb"),
        redirect_uri_by_default: false,
        response_type: ResponseType::Code,
        response_mode: None,
        scope: scope(""),
        code_challenge: None,
        prompt: Prompts::default(),
        max_age: None,
        claims: ClaimNames::default(),
        acr_values: vec![],
        ui_locales: vec![],
        sealed: None,
    }
}

fn tokens() -> IssuedTokens {
    IssuedTokens {
        access: AccessTokenFacts {
            number: 1,
            form: AccessTokenForm::Jwt(key("sig-1")),
            scope: scope("openid email"),
            audience: vec!["https://api.example".to_owned()],
            issued_at: at(0),
            expires_at: at(300),
            claims: None,
        },
        id: Some(IdTokenFacts {
            signed_by: IdTokenKey::Key(key("sig-1")),
            audience: vec![],
            issued_at: at(0),
            expires_at: at(3600),
            claims: None,
        }),
        refresh: Some(RefreshTokenFacts { generation: 1, expires_at: at(14_400) }),
        seed: Some(HandleSeed { key: key("handle-1"), salt: Salt::from_bytes([2; 16]) }),
    }
}

fn least_tokens() -> IssuedTokens {
    IssuedTokens {
        access: AccessTokenFacts {
            form: AccessTokenForm::Opaque,
            audience: vec![],
            ..tokens().access
        },
        id: None,
        refresh: None,
        seed: None,
    }
}

fn metadata() -> ClientMetadata {
    ClientMetadata {
        client_name: Some("A relying party".to_owned()),
        client_uri: Some("https://rp.example/".to_owned()),
        redirect_uris: vec![uri("https://rp.example/cb")],
        post_logout_redirect_uris: vec![uri("https://rp.example/bye")],
        grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        response_types: vec![ResponseType::Code],
        scope: scope("openid email offline_access"),
        token_endpoint_auth_method: ClientAuthMethod::SecretBasic,
        id_token_signed_response_alg: Some(SigningAlgorithm::RS256),
        require_pushed_authorization_requests: true,
        access_token_format: Some(AccessTokenFormat::Opaque),
        access_token_audience: vec!["https://api.example".to_owned()],
        access_token_lifetime: Some(seconds(300)),
        refresh_token_lifetime: Some(seconds(14_400)),
        id_token_lifetime: Some(seconds(3600)),
        par_lifetime: Some(seconds(60)),
        introspect_any_token: true,
        skip_consent: true,
        ..ClientMetadata::default()
    }
}

fn grant_samples() -> impl Iterator<Item = Sample> {
    samples!(
        Grant,
        GrantEvent {
            RequestPushed: RequestPushed {
                request: Arc::new(request()),
                request_uri: Digest::of(&[1; 32]),
                at: at(0),
                expires_at: at(60),
            },
            RequestReceived: RequestReceived { request: Arc::new(request()), at: at(0) },
            SubjectAuthenticated: SubjectAuthenticated { authentication: authentication() },
            ConsentGiven: ConsentGiven {
                scope: scope("openid email"),
                claims: ClaimNames::default(),
                presented: Some(Presented {
                    locale: "en".to_owned(),
                    text: sha256(4),
                    scopes: vec![PresentedScope {
                        name: "email".to_owned(),
                        description: "See your e-mail address".to_owned(),
                    }],
                    claims: vec![],
                }),
            },
            RequestDeclined: RequestDeclined { reason: DeclineReason::ConsentDenied },
            CodeIssued: CodeIssued { code: Digest::of(&[2; 32]), at: at(0), expires_at: at(60) },
            FrontChannelTokensIssued: FrontChannelTokensIssued {
                response_type: ResponseType::CodeIdTokenToken,
                tokens: Arc::new(FrontChannelTokens {
                    access: Some(tokens().access),
                    id: tokens().id,
                    seed: tokens().seed,
                }),
                at: at(0),
            },
            CodeRedeemed: CodeRedeemed { tokens: Arc::new(tokens()) },
            CodeReplayed: CodeReplayed { client_id: client_id() },
            RefreshTokenRotated: RefreshTokenRotated {
                tokens: Arc::new(tokens()),
                grace_until: at(30),
            },
            RefreshTokenUsed: RefreshTokenUsed { tokens: Arc::new(tokens()) },
            RefreshTokenReused: RefreshTokenReused { client_id: client_id(), generation: 1 },
            RefusalNoted: RefusalNoted {
                reason: RefusalReason::PkceMismatch,
                client_id: client_id(),
            },
            TokensIssued: TokensIssued {
                grant_type: GrantType::ClientCredentials,
                authorization: Arc::new(Authorization {
                    client_id: client_id(),
                    authentication: Some(authentication()),
                    scope: scope("read"),
                    claims: ClaimNames::default(),
                    authorization_details: AuthorizationDetails::default(),
                }),
                tokens: Arc::new(tokens()),
            },
            AccessTokenRevoked: AccessTokenRevoked { number: 1, expires_at: at(300) },
            GrantRevoked: GrantRevoked {
                cause: RevocationCause::RevokedByOperator { reason: "it leaked".to_owned() },
                at: at(0),
            },
        }
    )
}

fn client_samples() -> impl Iterator<Item = Sample> {
    samples!(
        Client,
        ClientEvent {
            ClientRegistered: ClientRegistered {
                client_id: client_id(),
                metadata: metadata().into(),
                secret: Some(SecretRecord::Generated(Digest::of(&[3; 32]))),
                at: at(0),
                registration: None,
            },
            ClientMetadataReplaced: ClientMetadataReplaced { metadata: metadata().into() },
            ClientSecretRotated: ClientSecretRotated {
                secret: SecretRecord::Chosen(sha256(5)),
                previous_until: Some(at(86_400)),
            },
            ClientDisabled: ClientDisabled { reason: "gone".to_owned() },
            ClientEnabled: ClientEnabled {},
            ClientDeleted: ClientDeleted { at: at(0) },
        }
    )
}

fn account_samples() -> impl Iterator<Item = Sample> {
    samples!(
        Account,
        AccountEvent {
            AccountRegistered: AccountRegistered {
                subject: subject(),
                profile: sha256(6),
                at: at(0),
            },
            PasswordSet: PasswordSet { hash: sha256(7), at: at(0) },
            ProfileReplaced: ProfileReplaced { profile: sha256(8), at: None },
            AccountLocked: AccountLocked { reason: "left".to_owned() },
            AccountUnlocked: AccountUnlocked {},
            PersonalDataRead: PersonalDataRead {
                what: vec!["username".to_owned(), "email".to_owned()],
                reason: "ticket 7".to_owned(),
                at: at(0),
            },
            ErasureRequested: ErasureRequested { reason: "ticket 7".to_owned(), at: at(0) },
            AccountErased: AccountErased {
                destroyed: Destroyed { data_keys: 3, sealed_values: 5, snapshots: 1 },
                at: at(5),
            },
            PasswordRehashed: PasswordRehashed { hash: sha256(9), at: at(0) },
            PasswordResetRequested: PasswordResetRequested {
                token: Digest::of(&[6; 32]),
                expires_at: at(1800),
                at: at(0),
            },
            PasswordReset: PasswordReset { hash: sha256(10), at: at(0) },
            SessionsDismissed: SessionsDismissed { but: Some(session_id()), at: at(0) },
            RolesReplaced: RolesReplaced { roles: [Role::Admin, Role::Auditor].into() },
        }
    )
}

fn session_samples() -> impl Iterator<Item = Sample> {
    samples!(
        Session,
        SessionEvent {
            SessionStarted: SessionStarted {
                authentication: authentication(),
                cookie: Digest::of(&[4; 32]),
                expires_at: at(3600),
                circumstances: Some(sha256(3)),
            },
            SessionReauthenticated: SessionReauthenticated {
                authentication: authentication(),
                cookie: Digest::of(&[5; 32]),
                expires_at: at(3600),
            },
            SessionEnded: SessionEnded { cause: SessionEndCause::LoggedOut, at: at(0) },
            BackchannelLogoutRequested: BackchannelLogoutRequested {
                clients: vec![client_id()],
                at: at(0),
            },
            BackchannelLogoutDelivered: BackchannelLogoutDelivered {
                client_id: client_id(),
                attempt: 2,
                at: at(5),
            },
            BackchannelLogoutFailed: BackchannelLogoutFailed {
                client_id: client_id(),
                attempt: 1,
                reason: BackchannelFailure::Refused,
                status: Some(503),
                at: at(0),
                next_attempt_at: Some(at(5)),
            },
        }
    )
}

fn consent_samples() -> impl Iterator<Item = Sample> {
    samples!(
        Consent,
        ConsentEvent {
            ConsentRecorded: ConsentRecorded {
                subject: subject(),
                client_id: client_id(),
                scope: scope("openid email"),
                claims: BTreeSet::new(),
                grant_id: grant_id(),
                at: at(0),
            },
            ConsentWithdrawn: ConsentWithdrawn {
                subject: subject(),
                client_id: client_id(),
                at: at(0),
            },
        }
    )
}

fn signing_key_samples() -> impl Iterator<Item = Sample> {
    samples!(
        SigningKey,
        SigningKeyEvent {
            KeyPublished: KeyPublished {
                key_id: key("sig-1"),
                algorithm: SigningAlgorithm::EdDSA.into(),
                // In the order of the alphabet, which every build of serde_json keeps.
                jwk: json!({ "alg": "EdDSA", "crv": "Ed25519", "kty": "OKP", "x": "AAAA" }),
                at: at(0),
            },
            KeyActivated: KeyActivated { at: at(0) },
            KeyRetired: KeyRetired { at: at(0), published_until: at(3600) },
        }
    )
}

fn tally_samples() -> impl Iterator<Item = Sample> {
    samples!(
        Tally,
        TallyEvent {
            WindowCounted: WindowCounted {
                from: at(0),
                length: seconds(60),
                counts: vec![Count {
                    what: "authorization_request_refused".to_owned(),
                    reason: "scope_malformed".to_owned(),
                    client_id: Some("rp".to_owned()),
                    count: 3,
                }],
            },
        }
    )
}

/// Events with nothing in them that may be left out.
fn least_samples() -> impl Iterator<Item = Sample> {
    let grants: [GrantEvent; 8] = [
        RequestPushed {
            request: Arc::new(least_request()),
            request_uri: Digest::of(&[1; 32]),
            at: at(0),
            expires_at: at(60),
        }
        .into(),
        RequestReceived { request: Arc::new(least_request()), at: at(0) }.into(),
        ConsentGiven { scope: scope(""), claims: ClaimNames::default(), presented: None }.into(),
        FrontChannelTokensIssued {
            response_type: ResponseType::Token,
            tokens: Arc::new(FrontChannelTokens { access: None, id: None, seed: None }),
            at: at(0),
        }
        .into(),
        CodeRedeemed { tokens: Arc::new(least_tokens()) }.into(),
        RefreshTokenRotated { tokens: Arc::new(least_tokens()), grace_until: at(30) }.into(),
        TokensIssued {
            grant_type: GrantType::ClientCredentials,
            authorization: Arc::new(Authorization {
                client_id: client_id(),
                authentication: None,
                scope: scope(""),
                claims: ClaimNames::default(),
                authorization_details: AuthorizationDetails::default(),
            }),
            tokens: Arc::new(least_tokens()),
        }
        .into(),
        GrantRevoked { cause: RevocationCause::CodeReplayed, at: at(0) }.into(),
    ];
    let clients: [ClientEvent; 3] = [
        ClientRegistered {
            client_id: client_id(),
            metadata: ClientMetadata::default().into(),
            secret: None,
            at: at(0),
            registration: None,
        }
        .into(),
        ClientMetadataReplaced { metadata: ClientMetadata::default().into() }.into(),
        ClientSecretRotated {
            secret: SecretRecord::Generated(Digest::of(&[3; 32])),
            previous_until: None,
        }
        .into(),
    ];
    let dismissed: AccountEvent = SessionsDismissed { but: None, at: at(0) }.into();
    let sessions: [SessionEvent; 2] = [
        SessionStarted {
            authentication: authentication(),
            cookie: Digest::of(&[4; 32]),
            expires_at: at(3600),
            circumstances: None,
        }
        .into(),
        BackchannelLogoutFailed {
            client_id: client_id(),
            attempt: 6,
            reason: BackchannelFailure::ClientGone,
            status: None,
            at: at(0),
            next_attempt_at: None,
        }
        .into(),
    ];
    let tally: TallyEvent = WindowCounted {
        from: at(0),
        length: seconds(60),
        counts: vec![Count {
            what: "login_failed".to_owned(),
            reason: "wrong_password".to_owned(),
            client_id: None,
            count: 3,
        }],
    }
    .into();
    let grants = grants.into_iter().map(|e| Sample::new(AggregateKind::Grant, AnyEvent::Grant, e));
    let clients =
        clients.into_iter().map(|e| Sample::new(AggregateKind::Client, AnyEvent::Client, e));
    let sessions =
        sessions.into_iter().map(|e| Sample::new(AggregateKind::Session, AnyEvent::Session, e));
    grants
        .chain(clients)
        .chain(sessions)
        .chain([
            Sample::new(AggregateKind::Account, AnyEvent::Account, dismissed),
            Sample::new(AggregateKind::Tally, AnyEvent::Tally, tally),
        ])
        .map(|sample| Sample { which: "least", ..sample })
}

fn all_samples() -> impl Iterator<Item = Sample> {
    grant_samples()
        .chain(client_samples())
        .chain(account_samples())
        .chain(session_samples())
        .chain(consent_samples())
        .chain(signing_key_samples())
        .chain(tally_samples())
        .chain(registration_token_samples())
        .chain(scope_definition_samples())
        .chain(sealed_log_samples())
        .chain(least_samples())
        .chain(later_samples())
}

/// Of clients that may do some things in detail (RFC 9396).
fn detailed_samples() -> impl Iterator<Item = Sample> {
    let details = AuthorizationDetails::parse(
        r#"[{"type":"chancery_events","event_types":["CodeIssued"],"clients":["web"],
             "fields":["data.scope"]}]"#,
    )
    .unwrap();
    let detailed = GrantEvent::from(TokensIssued {
        grant_type: GrantType::ClientCredentials,
        authorization: Arc::new(Authorization {
            client_id: client_id(),
            authentication: None,
            scope: scope("events:read"),
            claims: ClaimNames::default(),
            authorization_details: details.clone(),
        }),
        tokens: Arc::new(least_tokens()),
    });
    let limited = ClientMetadata { authorization_details: details, ..ClientMetadata::default() };
    let limited = ClientEvent::from(ClientMetadataReplaced { metadata: limited.into() });
    let which = "detailed";
    [
        Sample { which, ..Sample::new(AggregateKind::Grant, AnyEvent::Grant, detailed) },
        Sample { which, ..Sample::new(AggregateKind::Client, AnyEvent::Client, limited) },
    ]
    .into_iter()
}

/// Fields that came after the first files of their event.
fn later_samples() -> impl Iterator<Item = Sample> {
    let client = |which, event: ClientEvent| Sample {
        which,
        ..Sample::new(AggregateKind::Client, AnyEvent::Client, event)
    };
    // A key that others encrypt to; before, all keys signed.
    let encryption = SigningKeyEvent::from(KeyPublished {
        key_id: key("enc-1"),
        algorithm: KeyManagementAlgorithm::EcdhEs.into(),
        jwk: json!({ "crv": "P-256", "kty": "EC", "use": "enc", "x": "AAAA", "y": "AAAA" }),
        at: at(0),
    });
    let encryption = Sample {
        which: "encryption",
        ..Sample::new(AggregateKind::SigningKey, AnyEvent::SigningKey, encryption)
    };
    let timed = ProfileReplaced { profile: sha256(8), at: Some(at(0)) };
    let timed = Sample {
        which: "timed",
        ..Sample::new(AggregateKind::Account, AnyEvent::Account, timed.into())
    };
    let by = |by| ClientRegistered {
        client_id: client_id(),
        metadata: ClientMetadata::default().into(),
        secret: None,
        at: at(0),
        registration: Some(Box::new(Registration {
            by,
            software_statement_issuer: Some("https://directory.example".to_owned()),
            access_token: Digest::of(&[9; 32]),
        })),
    };
    let ours = ClientMetadata {
        refresh_token_rotation: Some(false),
        additional_audience: vec!["https://api.example".to_owned()],
        ..ClientMetadata::default()
    };
    let id = tokens().id.map(|id| IdTokenFacts {
        signed_by: IdTokenKey::Secret(SigningAlgorithm::HS256),
        audience: vec!["api".to_owned()],
        ..id
    });
    // Nobody's browser was there.
    let by_password = GrantEvent::from(TokensIssued {
        grant_type: GrantType::Password,
        authorization: Arc::new(Authorization {
            client_id: client_id(),
            authentication: Some(Authentication { session_id: None, ..authentication() }),
            scope: scope("openid"),
            claims: ClaimNames::default(),
            authorization_details: AuthorizationDetails::default(),
        }),
        tokens: Arc::new(IssuedTokens { id, ..tokens() }),
    });
    let by_password = Sample {
        which: "by-password",
        ..Sample::new(AggregateKind::Grant, AnyEvent::Grant, by_password)
    };
    let mut hooked = tokens();
    hooked.access.claims = Some(sha256(11));
    hooked.id = hooked.id.map(|id| IdTokenFacts { claims: Some(sha256(11)), ..id });
    let hooked = GrantEvent::from(CodeRedeemed { tokens: Arc::new(hooked) });
    let hooked =
        Sample { which: "hooked", ..Sample::new(AggregateKind::Grant, AnyEvent::Grant, hooked) };
    let token = Registrar::InitialToken("0198f3a2c4d57e0fa1b2c3d4e5f60718".parse().unwrap());
    [
        timed,
        client("all-members", ClientMetadataReplaced { metadata: every_member().into() }.into()),
        client("by-initial-token", by(token).into()),
        client("by-stranger", by(Registrar::Stranger).into()),
        client("audience-and-rotation", ClientMetadataReplaced { metadata: ours.into() }.into()),
        by_password,
        encryption,
        hooked,
        client(
            "sealed",
            ClientSecretRotated { secret: SecretRecord::Sealed(sha256(9)), previous_until: None }
                .into(),
        ),
    ]
    .into_iter()
    .chain(claims_samples())
    .chain(detailed_samples())
}

/// Claims asked for by name.
fn claims_samples() -> impl Iterator<Item = Sample> {
    let claims = ClaimNames {
        id_token: ["acr".to_owned()].into(),
        userinfo: ["email".to_owned(), "name".to_owned()].into(),
    };
    let grant = |event| Sample {
        which: "claims",
        ..Sample::new(AggregateKind::Grant, AnyEvent::Grant, event)
    };
    let request = AuthorizationRequest { claims: claims.clone(), ..request() };
    let presented = Presented {
        locale: "en".to_owned(),
        text: sha256(4),
        scopes: vec![],
        claims: vec![PresentedClaim {
            name: "name".to_owned(),
            description: "Read this about you: Name".to_owned(),
        }],
    };
    let consented =
        ConsentGiven { scope: scope("openid email"), claims, presented: Some(presented) };
    let recorded = ConsentRecorded {
        subject: subject(),
        client_id: client_id(),
        scope: scope("openid email"),
        claims: ["name".to_owned()].into(),
        grant_id: grant_id(),
        at: at(0),
    };
    [
        grant(RequestReceived { request: Arc::new(request), at: at(0) }.into()),
        grant(consented.into()),
        Sample {
            which: "claims",
            ..Sample::new(AggregateKind::Consent, AnyEvent::Consent, ConsentEvent::from(recorded))
        },
    ]
    .into_iter()
}

fn registration_token_samples() -> impl Iterator<Item = Sample> {
    samples!(
        RegistrationToken,
        RegistrationTokenEvent {
            RegistrationTokenIssued: RegistrationTokenIssued {
                token_id: "0198f3a2c4d57e0fa1b2c3d4e5f60718".parse().unwrap(),
                secret: Digest::of(&[10; 32]),
                label: Some("partners".to_owned()),
                uses: Some(5),
                expires_at: Some(at(86_400)),
                constraints: Constraints {
                    scope: Some(scope("openid")),
                    grant_types: vec![GrantType::AuthorizationCode],
                    fixed: serde_json::Map::from_iter([("skip_consent".to_owned(), json!(true))]),
                },
                at: at(0),
            },
            RegistrationTokenUsed: RegistrationTokenUsed { client_id: client_id(), at: at(0) },
            RegistrationTokenRevoked: RegistrationTokenRevoked { at: at(0) },
        }
    )
}

fn sealed_log_samples() -> impl Iterator<Item = Sample> {
    samples!(
        Log,
        SealedLogEvent {
            CheckpointKeyPublished: CheckpointKeyPublished {
                key_id: KeyId::from_bytes([7; 8]),
                verifier: "as.example/audit/log+01020304+AQ==".to_owned(),
                at: at(0),
            },
            CheckpointKeyRetired: CheckpointKeyRetired {
                key_id: KeyId::from_bytes([7; 8]),
                signs_until: at(86_400),
                at: at(0),
            },
            HeadsListed: HeadsListed {
                through: 42,
                aggregates: 7,
                root: Sha256Digest::from_bytes([9; 32]),
                at: at(0),
            },
        }
    )
}

fn scope_definition_samples() -> impl Iterator<Item = Sample> {
    samples!(
        ScopeDefinition,
        ScopeDefinitionEvent {
            ScopeDefined: ScopeDefined {
                name: "accounts:read".to_owned(),
                definition: Definition {
                    description: Some("see your accounts".to_owned()),
                    localized: [("de".to_owned(), "Ihre Konten sehen".to_owned())].into(),
                    claims: vec!["department".to_owned()],
                    privileged: true,
                    open: false,
                },
                at: at(0),
            },
            ScopeRemoved: ScopeRemoved { at: at(0) },
        }
    )
}

/// Metadata with every member that is not in [`metadata`].
fn every_member() -> ClientMetadata {
    let text = |text: &str| Some(text.to_owned());
    ClientMetadata {
        redirect_uris: vec![uri("https://rp.example/cb")],
        logo_uri: text("https://rp.example/logo.png"),
        policy_uri: text("https://rp.example/privacy"),
        tos_uri: text("https://rp.example/terms"),
        contacts: vec!["ops@rp.example".to_owned()],
        application_type: ApplicationType::Native,
        redirect_uris_regex: text("https://[a-z]+\\.rp\\.example/cb"),
        initiate_login_uri: text("https://rp.example/login"),
        additional_token_endpoint_auth_methods: vec![ClientAuthMethod::PrivateKeyJwt],
        token_endpoint_auth_signing_alg: Some(SigningAlgorithm::ES256),
        jwks: Some(json!({ "keys": [] })),
        jwks_uri: text("https://rp.example/jwks"),
        software_id: text("rp"),
        software_version: text("1"),
        software_statement: text("e30.e30.e30"),
        subject_type: SubjectType::Pairwise,
        sector_identifier_uri: text("https://rp.example/sector"),
        id_token_encrypted_response_alg: Some(KeyManagementAlgorithm::RsaOaep256),
        id_token_encrypted_response_enc: Some(ContentEncryption::A256Gcm),
        userinfo_signed_response_alg: Some(SigningAlgorithm::RS256),
        userinfo_encrypted_response_alg: Some(KeyManagementAlgorithm::EcdhEs),
        userinfo_encrypted_response_enc: Some(ContentEncryption::A128CbcHs256),
        introspection_signed_response_alg: Some(SigningAlgorithm::ES256),
        introspection_encrypted_response_alg: Some(KeyManagementAlgorithm::EcdhEsA128Kw),
        introspection_encrypted_response_enc: Some(ContentEncryption::A128Gcm),
        authorization_signed_response_alg: Some(SigningAlgorithm::EdDSA),
        authorization_encrypted_response_alg: Some(KeyManagementAlgorithm::EcdhEsA256Kw),
        authorization_encrypted_response_enc: Some(ContentEncryption::A256CbcHs512),
        request_object_signing_alg: Some(SigningAlgorithm::ES256),
        request_object_encryption_alg: Some(KeyManagementAlgorithm::RsaOaep),
        request_object_encryption_enc: Some(ContentEncryption::A256Gcm),
        require_signed_request_object: true,
        request_uris: vec!["https://rp.example/request.jwt".to_owned()],
        require_pkce: true,
        default_max_age: Some(seconds(600)),
        require_auth_time: true,
        default_acr_values: vec!["gold".to_owned()],
        minimum_acr: text("silver"),
        authorized_acr_values: vec!["gold".to_owned(), "silver".to_owned()],
        default_prompt_login: true,
        backchannel_logout_uri: text("https://rp.example/logged-out"),
        backchannel_logout_session_required: true,
        frontchannel_logout_uri: text("https://rp.example/log-out"),
        frontchannel_logout_session_required: true,
        authorization_details_types: vec!["payment".to_owned()],
        dpop_bound_access_tokens: true,
        security_profile: SecurityProfile::Fapi2,
        access_token_signing_alg: Some(SigningAlgorithm::ES256),
        hooks: vec!["claims".to_owned()],
        client_expires_at: Some(at(86_400)),
        localized: [("client_name#de".to_owned(), json!("Eine Anwendung"))].into(),
        ..ClientMetadata::default()
    }
}

/// Every file that was ever added, with what it holds.
fn fixtures() -> Vec<(PathBuf, String)> {
    let mut found = vec![];
    for folder in std::fs::read_dir(events_folder()).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

/// Reads an event from a file as from a store.
fn decode(path: &Path, text: &str) -> Result<AnyEvent, DecodeError> {
    let part = |part: Option<&std::ffi::OsStr>| part.unwrap().to_str().unwrap().to_owned();
    let kind = part(path.parent().unwrap().file_name()).parse().unwrap();
    let file = part(path.file_name());
    let mut parts = file.split('.');
    let (name, version) = (parts.next().unwrap(), parts.next().unwrap().trim_start_matches('v'));
    AnyEvent::from_json(kind, name, version, text)
}

#[test]
fn every_event_is_written_as_its_fixture_has_it() {
    for sample in all_samples() {
        let file = sample.file();
        let Ok(text) = std::fs::read_to_string(&file) else {
            panic!("add {}:\n{}", file.display(), sample.json);
        };
        assert_eq!(text, format!("{}\n", sample.json), "{}", file.display());
    }
}

#[test]
fn every_event_is_read_from_its_fixture() {
    for sample in all_samples() {
        let file = sample.file();
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(decode(&file, &text).unwrap(), sample.event, "{}", file.display());
    }
}

#[test]
fn every_fixture_ever_added_is_still_read() {
    for (path, text) in fixtures() {
        decode(&path, &text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

#[test]
fn nothing_lies_among_the_fixtures_that_is_none() {
    let known: BTreeSet<PathBuf> = all_samples().map(|sample| sample.file()).collect();
    // Of an earlier version there are files, and no sample any more.
    let earlier: Vec<_> = schemas().into_iter().filter(|event| !event.is_current).collect();
    let is_earlier = |path: &Path| {
        earlier.iter().any(|event| {
            let beginning = format!("{}.v{}.", event.name, event.version);
            path.parent().unwrap().ends_with(event.kind.as_str())
                && path.file_name().unwrap().to_str().unwrap().starts_with(&beginning)
        })
    };
    let strays: Vec<_> = fixtures()
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| !known.contains(path) && !is_earlier(path))
        .collect();
    assert_eq!(strays, [] as [PathBuf; 0]);
}

/// An older Chancery reads what a newer one wrote, if only fields were added.
#[test]
fn a_field_that_is_not_known_is_passed_over() {
    for sample in all_samples() {
        let mut payload: serde_json::Value = serde_json::from_str(&sample.json).unwrap();
        let fields = payload.as_object_mut().unwrap();
        fields.insert("a_field_of_the_future".to_owned(), json!({ "deep": [1, 2] }));
        let payload = payload.to_string();
        let read = AnyEvent::from_json(sample.kind, sample.name, sample.version, &payload);
        assert_eq!(read.unwrap(), sample.event);
    }
}

#[test]
fn an_event_of_the_future_is_told_from_a_broken_one() {
    let read = |name, version, payload: serde_json::Value| {
        AnyEvent::from_json(AggregateKind::Grant, name, version, &payload.to_string()).unwrap_err()
    };
    for (name, version) in [("CodeTeleported", "1"), ("CodeIssued", "2"), ("ClientEnabled", "1")] {
        assert!(matches!(read(name, version, json!({})), DecodeError::Unknown { .. }));
    }
    for payload in [json!({}), json!(null), json!({ "code": 1, "at": 1, "expires_at": 2 })] {
        assert!(matches!(read("CodeIssued", "1", payload), DecodeError::Malformed { .. }));
    }
}

/// The words of the closed lists, each of which stands in some log.
#[test]
fn the_words_in_events_are_fixed() {
    let word = |value: serde_json::Value| value.as_str().unwrap().to_owned();
    let declines = [
        (DeclineReason::ConsentDenied, "consent_denied"),
        (DeclineReason::LoginCancelled, "login_cancelled"),
        (DeclineReason::LoginRequired, "login_required"),
        (DeclineReason::ConsentRequired, "consent_required"),
        (DeclineReason::AccountSelectionRequired, "account_selection_required"),
        (DeclineReason::AccountUnusable, "account_unusable"),
        (DeclineReason::DeniedByPolicy, "denied_by_policy"),
        (DeclineReason::AuthenticationUnmet, "authentication_unmet"),
    ];
    for (reason, expected) in declines {
        assert_eq!(word(json!(reason)), expected);
    }
    let refusals = [
        (RefusalReason::PkceMismatch, "pkce_mismatch"),
        (RefusalReason::PkceUnexpected, "pkce_unexpected"),
        (RefusalReason::WrongClient, "wrong_client"),
        (RefusalReason::RedirectUriMismatch, "redirect_uri_mismatch"),
    ];
    for (reason, expected) in refusals {
        assert_eq!(word(json!(reason)), expected);
    }
    let causes = [
        (RevocationCause::CodeReplayed, "code_replayed"),
        (RevocationCause::RefreshTokenReused, "refresh_token_reused"),
        (RevocationCause::RevokedByClient, "revoked_by_client"),
        (RevocationCause::ConsentWithdrawn, "consent_withdrawn"),
        (RevocationCause::SessionEnded, "session_ended"),
        (RevocationCause::AccountLocked, "account_locked"),
        (RevocationCause::AccountErased, "account_erased"),
        (RevocationCause::ClientDisabled, "client_disabled"),
    ];
    for (cause, expected) in causes {
        let event = GrantRevoked { cause, at: at(0) };
        assert_eq!(json!(event), json!({ "cause": expected, "at": 1_700_000_000 }));
    }
    let ends = [
        (SessionEndCause::LoggedOut, "logged_out"),
        (SessionEndCause::Replaced, "replaced"),
        (SessionEndCause::AccountLocked, "account_locked"),
        (SessionEndCause::AccountErased, "account_erased"),
        (SessionEndCause::EndedByOperator, "ended_by_operator"),
        (SessionEndCause::EndedByPerson, "ended_by_person"),
        (SessionEndCause::PasswordChanged, "password_changed"),
    ];
    for (cause, expected) in ends {
        assert_eq!(word(json!(cause)), expected);
    }
    let actors = [
        (ActorKind::Client, "client"),
        (ActorKind::Subject, "subject"),
        (ActorKind::Operator, "operator"),
        (ActorKind::System, "system"),
    ];
    for (kind, expected) in actors {
        assert_eq!(word(json!(kind)), expected);
    }
    let kinds = AggregateKind::ALL.map(AggregateKind::as_str);
    let expected = [
        "grant",
        "client",
        "account",
        "session",
        "consent",
        "signing_key",
        "tally",
        "registration_token",
        "scope",
        "log",
    ];
    assert_eq!(kinds, expected);
}

/// Whatever else reads the log reads metadata as a map of strings.
#[test]
fn the_envelope_is_one_flat_object_of_strings() {
    let whole = Envelope {
        command_id: CommandId::from_uuid(Uuid::from_u128(0x44)),
        occurred_at: "2023-11-14T22:13:20.000Z".to_owned(),
        actor: Actor {
            kind: ActorKind::Client,
            reference: Some("rp".to_owned()),
            on_behalf_of: Some("someone".to_owned()),
        },
        client_id: Some(client_id()),
        subject: Some(subject()),
        session_id: Some(session_id()),
        request_id: Some("r-1".to_owned()),
        traceparent: Some("00-0-0-01".to_owned()),
        correlation_id: Some(grant_id().to_string()),
        causation_id: Some("grant/1/1".to_owned()),
        node: Some("n1".to_owned()),
    };
    let json = serde_json::to_string(&whole).unwrap();
    assert_eq!(
        json,
        concat!(
            r#"{"command_id":"00000000000000000000000000000044","#,
            r#""occurred_at":"2023-11-14T22:13:20.000Z","#,
            r#""actor":"client","actor_ref":"rp","on_behalf_of":"someone","client_id":"rp","#,
            r#""subject":"00000000000000000000000000000011","#,
            r#""session_id":"00000000000000000000000000000022","#,
            r#""request_id":"r-1","traceparent":"00-0-0-01","#,
            r#""correlation_id":"00000000000000000000000000000033","#,
            r#""causation_id":"grant/1/1","node":"n1"}"#,
        )
    );
    let flat: std::collections::BTreeMap<String, String> = serde_json::from_str(&json).unwrap();
    assert_eq!(flat.len(), 13);
    assert_eq!(serde_json::from_str::<Envelope>(&json).unwrap(), whole);

    let least =
        r#"{"command_id":"00000000000000000000000000000044","occurred_at":"x","actor":"system"}"#;
    let read: Envelope = serde_json::from_str(least).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), least);
}
