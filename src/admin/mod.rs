//! What operators can do, as data: every change that the command line makes,
//! the same for all ways to ask for it.
//!
//! An [`Operation`] becomes events with the operator as their actor. It is
//! performed by the process that may write: the server, when one holds the
//! store's lock (asked over the [`socket`]), or the command itself.

mod accounts;
mod clients;
mod error;
mod registration;
mod scopes;
pub mod socket;

use std::collections::BTreeSet;
use std::fmt;

use chancery_domain::account::{Erasure, Profile, RegisteredAccount, Role};
use chancery_domain::client::{ClientMetadata, RegisteredClient, Registrar};
use chancery_domain::consent::ConsentCommand;
use chancery_domain::envelope::ActorKind;
use chancery_domain::grant::{GrantCommand, RevocationCause, Revoke};
use chancery_domain::ids::{
    ClientId, ConsentId, GrantId, KeyId, RegistrationTokenId, SessionId, SubjectId,
};
use chancery_domain::scope_definition::Definition;
use chancery_domain::sealed_log::HeadsListed;
use chancery_domain::session::{SessionCommand, SessionEndCause, SessionError};
use chancery_domain::signing_key::KeyAlgorithm;
use chancery_domain::time::{Lifetime, UnixTime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::accounts::{
    NAME_RULE, account_view, check_reason, find_account, is_account_name, list_accounts,
};
pub(crate) use self::clients::NewSecret;
pub use self::error::AdminError;
pub use self::registration::{NewRegistrationToken, RegistrationTokenView};
pub use self::scopes::ScopeView;
use crate::actors::packer;
use crate::aggregates::{ExecuteError, Origin};
use crate::lookups::{Order, Part};
use crate::services::Services;
use crate::telemetry::trace;
use crate::transparency::{self, SealError};

/// A change that an operator asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "operation", rename_all = "snake_case")]
pub enum Operation {
    AddClient(NewClient),
    UpdateClient {
        client_id: ClientId,
        /// Names and values of the metadata (RFC 7591 §2) that are to be others;
        /// null: none, or the default (RFC 7396).
        changes: Map<String, Value>,
    },
    RotateClientSecret {
        client_id: ClientId,
        /// Absent: generated.
        secret: Option<Confidential>,
        /// How long the one before stays good too; absent: not at all.
        keep_previous_for: Option<Lifetime>,
    },
    DisableClient {
        client_id: ClientId,
        reason: String,
    },
    EnableClient {
        client_id: ClientId,
    },
    /// Ends it for good, with its grants.
    DeleteClient {
        client_id: ClientId,
    },
    IssueRegistrationToken(NewRegistrationToken),
    RevokeRegistrationToken {
        token_id: RegistrationTokenId,
    },
    AddScope {
        name: String,
        definition: Definition,
    },
    UpdateScope {
        name: String,
        /// Members of its definition that are to be others; null: none (RFC 7396).
        changes: Map<String, Value>,
    },
    /// Takes back what operators said that it means.
    RemoveScope {
        name: String,
    },
    AddAccount(NewAccount),
    SetPassword {
        /// The name that it logs in with, or its subject.
        account: String,
        password: Confidential,
    },
    /// Replaces these claims, and leaves the others; null: removes.
    SetClaims {
        account: String,
        claims: Map<String, Value>,
    },
    LockAccount {
        account: String,
        reason: String,
    },
    UnlockAccount {
        account: String,
    },
    /// Shows who the person is; recorded before it is shown.
    ReadAccount {
        account: String,
        reason: String,
    },
    /// The same for some accounts, in the order of their subjects.
    ReadAccounts {
        after: Option<String>,
        limit: u32,
        reason: String,
    },
    /// Destroys everything personal of an account, for good.
    EraseAccount {
        account: String,
        reason: String,
    },
    EndSession {
        session_id: SessionId,
    },
    WithdrawConsent {
        consent_id: ConsentId,
    },
    /// The account has these roles from now on, and no others.
    ReplaceRoles {
        account: String,
        roles: BTreeSet<Role>,
    },
    /// Opens a one-time link to choose a new password by.
    ResetPasswordLink {
        account: String,
        /// To the person; else it is given to the operator.
        by_mail: bool,
    },
    RevokeGrant {
        grant_id: GrantId,
        reason: String,
    },
    RotateKey {
        /// Absent: that of the settings.
        algorithm: Option<KeyAlgorithm>,
    },
    /// Ends a key at once, with all that it signed.
    WithdrawKey {
        key_id: KeyId,
    },
    /// Lets a new key sign the checkpoints of the log.
    RotateCheckpointKey {
        /// How long the one before signs beside it.
        overlap: Lifetime,
    },
    /// Lists in the log where every history ends.
    ListHeads,
    /// Packs what is sealed and older than this.
    Pack {
        older_than: Lifetime,
    },
    /// Folds the log again; absent: into every read model.
    RebuildProjections {
        names: Option<Vec<String>>,
    },
}

impl Operation {
    /// Names it, in the server's own log.
    const fn name(&self) -> &'static str {
        match self {
            Self::AddClient(_) => "add_client",
            Self::UpdateClient { .. } => "update_client",
            Self::RotateClientSecret { .. } => "rotate_client_secret",
            Self::DisableClient { .. } => "disable_client",
            Self::EnableClient { .. } => "enable_client",
            Self::DeleteClient { .. } => "delete_client",
            Self::IssueRegistrationToken(_) => "issue_registration_token",
            Self::RevokeRegistrationToken { .. } => "revoke_registration_token",
            Self::AddScope { .. } => "add_scope",
            Self::UpdateScope { .. } => "update_scope",
            Self::RemoveScope { .. } => "remove_scope",
            Self::AddAccount(_) => "add_account",
            Self::SetPassword { .. } => "set_password",
            Self::SetClaims { .. } => "set_claims",
            Self::LockAccount { .. } => "lock_account",
            Self::UnlockAccount { .. } => "unlock_account",
            Self::ReadAccount { .. } => "read_account",
            Self::ReadAccounts { .. } => "read_accounts",
            Self::EraseAccount { .. } => "erase_account",
            Self::EndSession { .. } => "end_session",
            Self::WithdrawConsent { .. } => "withdraw_consent",
            Self::ReplaceRoles { .. } => "replace_roles",
            Self::ResetPasswordLink { .. } => "reset_password_link",
            Self::RevokeGrant { .. } => "revoke_grant",
            Self::RotateKey { .. } => "rotate_key",
            Self::WithdrawKey { .. } => "withdraw_key",
            Self::RotateCheckpointKey { .. } => "rotate_checkpoint_key",
            Self::ListHeads => "list_heads",
            Self::Pack { .. } => "pack",
            Self::RebuildProjections { .. } => "rebuild_projections",
        }
    }
}

/// A client about to be registered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewClient {
    /// Absent: generated.
    pub client_id: Option<ClientId>,
    /// Absent: generated, if its method of authentication needs one.
    pub secret: Option<Confidential>,
    pub metadata: Box<ClientMetadata>,
}

/// An account about to be made.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct NewAccount {
    /// The name to log in with.
    pub name: String,
    pub password: Confidential,
    /// About the person (OpenID Connect Core §5.1).
    pub claims: Map<String, Value>,
    /// What it may do here besides logging in.
    #[serde(default)]
    pub roles: BTreeSet<Role>,
}

impl fmt::Debug for NewAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewAccount(…)")
    }
}

/// A password or client secret on its way between an operator and the process
/// that performs the operation. Never shown by `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Confidential(String);

impl Confidential {
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// Can it be a client's secret? RFC 6749 appendix A.2: visible ASCII and
    /// spaces.
    #[must_use]
    pub fn is_client_secret(&self) -> bool {
        (1..=256).contains(&self.0.len()) && self.0.bytes().all(|b| (0x20..=0x7e).contains(&b))
    }

    /// The text itself, for the one place that hashes it or hands it to its
    /// owner.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Confidential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Confidential(…)")
    }
}

/// What came of an operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    Client(Box<ClientView>),
    RegistrationToken(Box<RegistrationTokenView>),
    Scope(Box<ScopeView>),
    Account(Box<AccountView>),
    Accounts(AccountsView),
    Grant(GrantView),
    Session(SessionView),
    Consent(ConsentView),
    Key(KeyView),
    CheckpointKey(CheckpointKeyView),
    Heads(HeadsView),
    Packed(packer::All),
    Projections { names: Vec<String> },
    ResetLink(ResetLinkView),
}

/// A one-time link to choose a new password by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ResetLinkView {
    /// Shown once, to be handed over; absent where it was mailed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Confidential>,
    pub mailed: bool,
    pub expires_at: UnixTime,
}

/// A client as its operator sees it (RFC 7591 §3.2.1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClientView {
    pub client_id: ClientId,
    pub client_id_issued_at: UnixTime,
    /// Shown once: where it was made just now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Confidential>,
    /// 0: it does not end by itself. Stands beside every new secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret_expires_at: Option<UnixTime>,
    #[serde(flatten)]
    pub metadata: ClientMetadata,
    /// `enabled`, `disabled` or `deleted`
    pub state: String,
    /// How it registered itself; absent: an operator registered it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered_by: Option<String>,
    /// What its operator has to do before all of it works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
}

/// Why a secret must be rotated.
const ROTATE: &str = "rotate the secret (chancery client rotate-secret): one of the client's \
                      methods or algorithms needs a secret that the server can read, and of the \
                      present one it keeps a digest only";

impl ClientView {
    /// A client without its secret.
    #[must_use]
    pub fn of(client: &RegisteredClient) -> Self {
        Self {
            client_id: client.client_id.clone(),
            client_id_issued_at: client.registered_at,
            client_secret: None,
            client_secret_expires_at: None,
            metadata: client.metadata.clone(),
            state: match (client.deleted, client.enabled) {
                (true, _) => "deleted",
                (false, true) => "enabled",
                (false, false) => "disabled",
            }
            .to_owned(),
            registered_by: client.registration.as_ref().map(|registration| {
                let by = match &registration.by {
                    Registrar::InitialToken(token) => format!("token {token}"),
                    Registrar::Stranger => "stranger".to_owned(),
                };
                let issuer = registration.software_statement_issuer.as_ref();
                issuer.map_or_else(|| by.clone(), |own| format!("{by}, vouched for by {own}"))
            }),
            notice: client.must_rotate_secret().then(|| ROTATE.to_owned()),
        }
    }
}

/// An account as its operator sees it.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AccountView {
    pub subject: SubjectId,
    /// The name that it logs in with; absent without a reason to see it, and once it was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// `active`, `locked`, `erasing` or `erased`
    pub state: String,
    /// Why it is locked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub created_at: UnixTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_set_at: Option<UnixTime>,
    /// What it may do here besides logging in.
    #[serde(default)]
    pub roles: BTreeSet<Role>,
    /// About the person; empty where they are not shown.
    #[serde(default)]
    pub claims: Map<String, Value>,
    /// How to see who the person is, where that is not shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
}

/// Some accounts as their operator sees them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AccountsView {
    pub accounts: Vec<AccountView>,
    /// Where the next part begins; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Why name and claims of an account are missing.
const SEALED: &str = "name and claims are sealed: give a reason to see them (--reason TEXT, \
                      ?reason=TEXT), which is recorded first";

impl fmt::Debug for AccountView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountView({})", self.subject)
    }
}

impl AccountView {
    #[must_use]
    pub fn of(account: &RegisteredAccount, profile: Option<Profile>) -> Self {
        let (username, claims) =
            profile.map(|profile| (Some(profile.username), profile.claims)).unwrap_or_default();
        Self {
            subject: account.subject,
            username,
            state: match (account.erasure, &account.locked) {
                (Some(Erasure::Done(..)), _) => "erased",
                (Some(Erasure::Requested(_)), _) => "erasing",
                (None, Some(_)) => "locked",
                (None, None) => "active",
            }
            .to_owned(),
            reason: account.locked.clone().filter(|_| account.erasure.is_none()),
            created_at: account.registered_at,
            password_set_at: account.password_set_at,
            roles: account.roles.clone(),
            claims,
            notice: None,
        }
    }

    /// The same without who the person is.
    #[must_use]
    pub fn pseudonym(account: &RegisteredAccount) -> Self {
        let notice = account.erasure.is_none().then(|| SEALED.to_owned());
        Self { notice, ..Self::of(account, None) }
    }
}

/// A grant after an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GrantView {
    pub grant_id: GrantId,
    pub client_id: Option<ClientId>,
    pub state: String,
    /// False: it had ended already.
    pub changed: bool,
}

/// A session after an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionView {
    pub session_id: SessionId,
    /// `ended`
    pub state: String,
}

/// A consent after an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConsentView {
    pub consent_id: ConsentId,
    /// `withdrawn`
    pub state: String,
}

/// A key after an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeyView {
    pub kid: KeyId,
    pub alg: KeyAlgorithm,
    /// Of a new one: from when it is used. Until then the one before is, so that everybody has the
    /// new one by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_use_from: Option<UnixTime>,
}

/// A key that signs checkpoints, after an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckpointKeyView {
    pub key_id: KeyId,
    /// What verifies its signatures (C2SP signed-note).
    pub verifier: String,
}

/// A list of where histories end, in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeadsView {
    /// All events up to this position are looked at.
    pub through: u64,
    pub aggregates: u64,
}

/// Carries out an operation, in the name of an operator.
pub async fn perform(
    services: &Services,
    operation: Operation,
    operator: &str,
) -> Result<Outcome, AdminError> {
    // Operations are large, and all that knows one would be too.
    let work = Box::pin(perform_here(services, operation, operator));
    trace::in_some(&*services.entropy, work).await
}

#[tracing::instrument(
    name = "admin.perform",
    skip_all,
    fields(
        operation = operation.name(),
        trace.id = trace::current().map(|here| tracing::field::display(here.trace_id())),
    )
)]
async fn perform_here(
    services: &Services,
    operation: Operation,
    operator: &str,
) -> Result<Outcome, AdminError> {
    let operator: String = operator.chars().filter(|c| !c.is_control()).take(64).collect();
    let name = operation.name();
    let result = carry_out(services, operation, &operator).await;
    match &result {
        Ok(_) => tracing::info!(operator, "{name}: done for {operator}"),
        Err(error) => tracing::info!(operator, %error, "{name}: not done for {operator}: {error}"),
    }
    result
}

async fn carry_out(
    services: &Services,
    operation: Operation,
    operator: &str,
) -> Result<Outcome, AdminError> {
    let origin = Origin::of(ActorKind::Operator, Some(operator.to_owned()));
    match operation {
        Operation::AddClient(new) => clients::add(services, new, origin).await,
        Operation::UpdateClient { client_id, changes } => {
            clients::update(services, &client_id, &changes, origin).await
        }
        Operation::RotateClientSecret { client_id, secret, keep_previous_for } => {
            let rotation = clients::Rotation { secret, keep_previous_for };
            clients::rotate_secret(services, &client_id, rotation, origin).await
        }
        Operation::DisableClient { client_id, reason } => {
            clients::disable(services, &client_id, reason, origin).await
        }
        Operation::EnableClient { client_id } => {
            clients::enable(services, &client_id, origin).await
        }
        Operation::DeleteClient { client_id } => {
            clients::delete(services, &client_id, origin).await
        }
        Operation::IssueRegistrationToken(new) => registration::issue(services, new, origin).await,
        Operation::RevokeRegistrationToken { token_id } => {
            registration::revoke(services, token_id, origin).await
        }
        Operation::AddScope { name, definition } => {
            scopes::add(services, name, definition, origin).await
        }
        Operation::UpdateScope { name, changes } => {
            scopes::update(services, &name, &changes, origin).await
        }
        Operation::RemoveScope { name } => scopes::remove(services, &name, origin).await,
        Operation::AddAccount(new) => accounts::add(services, new, origin).await,
        Operation::SetPassword { account, password } => {
            accounts::set_password(services, &account, &password, origin).await
        }
        Operation::SetClaims { account, claims } => {
            accounts::set_claims(services, &account, &claims, origin).await
        }
        Operation::LockAccount { account, reason } => {
            accounts::lock(services, &account, reason, origin).await
        }
        Operation::UnlockAccount { account } => accounts::unlock(services, &account, origin).await,
        Operation::ReadAccount { account, reason } => {
            accounts::read(services, &account, &reason, origin).await
        }
        Operation::ReadAccounts { after, limit, reason } => {
            let part = Part { order: Order::FirstToLast, after, limit };
            accounts::read_some(services, part, &reason, origin).await
        }
        Operation::EraseAccount { account, reason } => {
            accounts::erase(services, &account, &reason, origin).await
        }
        Operation::EndSession { session_id } => end_session(services, session_id, origin).await,
        Operation::WithdrawConsent { consent_id } => {
            withdraw_consent(services, consent_id, origin).await
        }
        Operation::ReplaceRoles { account, roles } => {
            accounts::replace_roles(services, &account, roles, origin).await
        }
        Operation::ResetPasswordLink { account, by_mail } => {
            accounts::reset_link(services, &account, by_mail, origin).await
        }
        Operation::RevokeGrant { grant_id, reason } => {
            revoke_grant(services, grant_id, reason, origin).await
        }
        Operation::RotateKey { algorithm } => rotate_key(services, algorithm, origin).await,
        Operation::WithdrawKey { key_id } => withdraw_key(services, key_id, origin).await,
        Operation::RotateCheckpointKey { overlap } => {
            rotate_checkpoint_key(services, overlap, origin).await
        }
        Operation::ListHeads => list_heads(services, origin).await,
        Operation::Pack { older_than } => {
            let packed = packer::all(&*services.store, &*services.clock, older_than).await?;
            Ok(Outcome::Packed(packed))
        }
        Operation::RebuildProjections { names } => rebuild(services, names).await,
    }
}

async fn revoke_grant(
    services: &Services,
    grant_id: GrantId,
    reason: String,
    origin: Origin,
) -> Result<Outcome, AdminError> {
    let mut origin = origin;
    origin.correlation_id = Some(grant_id.to_string());
    let cause = RevocationCause::RevokedByOperator { reason };
    let command = GrantCommand::Revoke(Revoke { cause, now: services.now() });
    let work = services.work(origin)?;
    let done = services
        .grants
        .execute(grant_id, vec![command], work)
        .await
        .map_err(|failure| AdminError::of_grant(failure, grant_id))?;
    Ok(Outcome::Grant(GrantView {
        grant_id,
        client_id: done.grant.client_id().cloned(),
        state: done.grant.stage().to_owned(),
        changed: !done.events.is_empty(),
    }))
}

async fn end_session(
    services: &Services,
    session_id: SessionId,
    origin: Origin,
) -> Result<Outcome, AdminError> {
    let id = session_id.to_string();
    let command =
        SessionCommand::End { cause: SessionEndCause::EndedByOperator, now: services.now() };
    services.sessions.forget(&id);
    let work = services.work(origin)?;
    match services.sessions.execute(&id, vec![command], work).await {
        Ok(_) => Ok(Outcome::Session(SessionView { session_id, state: "ended".to_owned() })),
        Err(ExecuteError::Refused(SessionError::Unknown)) => {
            Err(AdminError::not_found("session", &id))
        }
        Err(ExecuteError::Refused(error)) => Err(AdminError::Refused(error.to_string())),
        Err(ExecuteError::Load(error)) => Err(error.into()),
        Err(ExecuteError::Append(error)) => Err(error.into()),
    }
}

async fn withdraw_consent(
    services: &Services,
    consent_id: ConsentId,
    origin: Origin,
) -> Result<Outcome, AdminError> {
    let id = consent_id.to_string();
    let folded = services.consents.fresh(&id).await?;
    if folded.head.sequence == 0 {
        return Err(AdminError::not_found("consent", &id));
    }
    let work = services.work(origin)?;
    let command = ConsentCommand::Withdraw { now: services.now() };
    match services.consents.execute(&id, vec![command], work).await {
        Ok(_) => Ok(Outcome::Consent(ConsentView { consent_id, state: "withdrawn".to_owned() })),
        Err(ExecuteError::Refused(error)) => Err(AdminError::Refused(error.to_string())),
        Err(ExecuteError::Load(error)) => Err(error.into()),
        Err(ExecuteError::Append(error)) => Err(error.into()),
    }
}

async fn rotate_key(
    services: &Services,
    algorithm: Option<KeyAlgorithm>,
    origin: Origin,
) -> Result<Outcome, AdminError> {
    let alg = algorithm.unwrap_or(services.config.keys.signing_algorithm.into()).kind();
    let kid = crate::keys::rotate(&services.rotation(), alg, origin).await?;
    services.keys.reload(services.now()).await?;
    let kid = KeyId::parse(&kid).map_err(|error| AdminError::Failed(error.to_string()))?;
    let keys = services.keys.get();
    let in_use_from =
        keys.all.iter().find(|key| key.key_id == kid).and_then(|key| key.activated_at);
    Ok(Outcome::Key(KeyView { kid, alg, in_use_from }))
}

async fn withdraw_key(
    services: &Services,
    key_id: KeyId,
    origin: Origin,
) -> Result<Outcome, AdminError> {
    if !crate::keys::withdraw(&services.rotation(), &key_id, origin).await? {
        return Err(AdminError::not_found("key", &key_id));
    }
    services.keys.reload(services.now()).await?;
    let keys = services.keys.get();
    let found = keys.all.iter().find(|key| key.key_id == key_id);
    let alg =
        found.map(|key| key.algorithm).ok_or_else(|| AdminError::not_found("key", &key_id))?;
    Ok(Outcome::Key(KeyView { kid: key_id, alg, in_use_from: None }))
}

async fn rotate_checkpoint_key(
    services: &Services,
    overlap: Lifetime,
    by: Origin,
) -> Result<Outcome, AdminError> {
    let log = sealed_log(services).await?;
    let key_id = transparency::keys::publish(&services.rotation(), &log, overlap, by)
        .await
        .map_err(not_sealed)?;
    let keys = transparency::keys::published(&*services.store, &log).await?;
    let found = keys.into_iter().find(|key| key.key_id == key_id);
    let verifier =
        found.map(|key| key.verifier).ok_or_else(|| AdminError::not_found("key", &key_id))?;
    Ok(Outcome::CheckpointKey(CheckpointKeyView { key_id, verifier }))
}

async fn list_heads(services: &Services, by: Origin) -> Result<Outcome, AdminError> {
    let log = sealed_log(services).await?;
    let through = services.store.last_position().await?;
    let listed = transparency::heads::list(&services.rotation(), &log, through, by).await;
    let HeadsListed { through, aggregates, .. } = listed.map_err(not_sealed)?;
    Ok(Outcome::Heads(HeadsView { through, aggregates }))
}

/// The log that is sealed: a command may go by other settings than the server that seals.
async fn sealed_log(services: &Services) -> Result<String, AdminError> {
    let last = services.store.log_checkpoint().await?;
    Ok(last.map_or_else(|| transparency::origin(&services.config), |last| last.origin))
}

fn not_sealed(error: SealError) -> AdminError {
    match error {
        SealError::Store(error) => error.into(),
        SealError::Conflict => AdminError::Refused(error.to_string()),
        error => AdminError::Failed(error.to_string()),
    }
}

/// Asks for read models to be made anew, beside those that are there: whoever keeps them (this
/// process or another) sees that and folds the log again.
async fn rebuild(services: &Services, names: Option<Vec<String>>) -> Result<Outcome, AdminError> {
    let all = chancery_projections::ALL;
    let chosen = match names {
        None => all.to_vec(),
        Some(names) => names
            .into_iter()
            .map(|name| {
                let found = all.into_iter().find(|projection| projection.name() == name);
                found.ok_or_else(|| AdminError::not_found("projection", &name))
            })
            .collect::<Result<_, _>>()?,
    };
    for projection in &chosen {
        // Of no version: whichever keeps it begins.
        services.store.begin_beside(projection.name(), 0, projection.tables()).await?;
    }
    let names = chosen.iter().map(|projection| projection.name().to_owned()).collect();
    Ok(Outcome::Projections { names })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_people_are_not_shown_by_debug() {
        let account = NewAccount {
            name: "alice".to_owned(),
            password: Confidential::new("correct horse".to_owned()),
            claims: Map::from_iter([("email".to_owned(), "alice@example.com".into())]),
            roles: BTreeSet::new(),
        };
        let rotate = Operation::RotateClientSecret {
            client_id: ClientId::parse("web").unwrap(),
            secret: Some(Confidential::new("hunter2".to_owned())),
            keep_previous_for: None,
        };
        let shown = format!("{:?} {rotate:?}", Operation::AddAccount(account));
        for secret in ["alice", "horse", "example.com", "hunter2"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }

    #[test]
    fn an_operation_travels_as_json() {
        let operation = Operation::RevokeGrant {
            grant_id: "0198f3a2c4d57e0fa1b2c3d4e5f60718".parse().unwrap(),
            reason: "lost".to_owned(),
        };
        let json = serde_json::to_string(&operation).unwrap();
        assert!(json.contains(r#""operation":"revoke_grant""#), "{json}");
        assert_eq!(serde_json::from_str::<Operation>(&json).unwrap(), operation);
    }
}
