//! What the read models know, as types: for the command line and for pages.
//!
//! A look-up may lag behind the log by a moment. Nothing here decides whether a
//! credential is good.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use chancery_domain::client::ClientMetadata;
use chancery_domain::ids::{ClientId, ConsentId, GrantId, KeyId, SessionId, SubjectId};
use chancery_domain::protocol::scope::Scope;
use chancery_domain::scope_definition::Definition;
use chancery_domain::time::UnixTime;
use chancery_projections::accounts::ACCOUNTS;
use chancery_projections::audit::{INCIDENTS, KEY_USES};
use chancery_projections::backchannel_logouts::BACKCHANNEL_LOGOUTS;
use chancery_projections::clients::CLIENTS;
use chancery_projections::consents::CONSENTS;
use chancery_projections::grants::GRANTS;
use chancery_projections::personal_data_reads::PERSONAL_DATA_READS;
use chancery_projections::scopes::SCOPES;
use chancery_projections::sessions::SESSIONS;
use chancery_projections::signing_keys::SIGNING_KEYS;
use chancery_projections::{Table, Value};
use schemars::JsonSchema;
use serde::Serialize;

use crate::stores::{Query, Store, StoreError};

/// A client (RFC 7591 §3.2.1 names what it has names for).
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ClientRow {
    pub client_id: ClientId,
    pub client_id_issued_at: UnixTime,
    #[serde(flatten)]
    pub metadata: ClientMetadata,
    /// `enabled` or `disabled`
    pub state: String,
    /// Why it is disabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub updated_at: UnixTime,
    /// When it got its secret; absent for a public client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_since: Option<UnixTime>,
    /// Until when the secret before that is good too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_secret_until: Option<UnixTime>,
}

/// An account, by pseudonym.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AccountRow {
    pub subject: SubjectId,
    /// `active`, `locked`, `erasing` or `erased`
    pub state: String,
    /// Why it is locked or erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub created_at: UnixTime,
    pub updated_at: UnixTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_set_at: Option<UnixTime>,
}

/// A grant.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct GrantRow {
    pub grant_id: GrantId,
    pub client_id: ClientId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<SubjectId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
    /// What was granted; before that, what was asked for.
    pub scope: Scope,
    /// As `Grant::stage` has it.
    pub state: String,
    pub grant_type: String,
    pub created_at: UnixTime,
    pub updated_at: UnixTime,
    /// When the last of what was issued latest ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<UnixTime>,
    /// Why it was revoked or declined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The operator's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When something of it was last revoked: the grant itself, or an access token.
    #[serde(skip)]
    pub withdrawn_at: Option<UnixTime>,
    /// When the last of its access tokens ends that nobody need ask us about (JWTs).
    #[serde(skip)]
    pub jwt_until: Option<UnixTime>,
    /// Where in the log it was opened, its person known, their consent given.
    #[serde(skip)]
    pub opened_position: u64,
    #[serde(skip)]
    pub authenticated_position: Option<u64>,
    #[serde(skip)]
    pub consented_position: Option<u64>,
}

impl GrantRow {
    /// Can something still come of it?
    #[must_use]
    pub fn is_live(&self) -> bool {
        !matches!(self.state.as_str(), "revoked" | "declined")
    }
}

/// A browser session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SessionRow {
    pub session_id: SessionId,
    pub subject: SubjectId,
    /// `begun` or `ended`
    pub state: String,
    /// Why it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    pub acr: String,
    pub amr: Vec<String>,
    pub created_at: UnixTime,
    pub auth_time: UnixTime,
    pub expires_at: UnixTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<UnixTime>,
    /// Where in the log it began.
    #[serde(skip)]
    pub started_position: u64,
}

impl SessionRow {
    /// Has it neither ended nor expired?
    #[must_use]
    pub fn is_live(&self, now: UnixTime) -> bool {
        self.state == "begun" && now < self.expires_at
    }
}

/// A client that is still to be told that a session has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackchannelLogoutRow {
    /// Session and client.
    pub notice_id: String,
    pub session_id: SessionId,
    pub client_id: ClientId,
    /// From when on the next attempt is due.
    pub due_at: UnixTime,
}

/// What a person allows a client.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ConsentRow {
    pub consent_id: ConsentId,
    pub subject: SubjectId,
    pub client_id: ClientId,
    /// Empty once it was withdrawn.
    pub scope: Scope,
    /// `given` or `withdrawn`
    pub state: String,
    /// The grant whose consent page it was last.
    pub grant_id: GrantId,
    pub updated_at: UnixTime,
}

/// A signing key.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SigningKeyRow {
    #[serde(rename = "kid")]
    pub key_id: KeyId,
    #[serde(rename = "alg")]
    pub algorithm: String,
    /// The public key (RFC 7517).
    pub jwk: serde_json::Value,
    /// `published`, `active` or `retired`
    pub state: String,
    pub published_at: UnixTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activated_at: Option<UnixTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<UnixTime>,
    /// Until when a retired key stays in the JWKS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published_until: Option<UnixTime>,
}

/// A refusal that tells of a credential in wrong hands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IncidentRow {
    /// Its position, in sixteen hexadecimal digits.
    pub incident_id: String,
    pub grant_id: GrantId,
    /// Who presented the credential.
    pub client_id: ClientId,
    /// The sequence of its event in the grant's history.
    pub sequence: u64,
}

/// A read of what is sealed of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PersonalDataReadRow {
    /// Its position, in sixteen hexadecimal digits.
    pub read_id: String,
    pub position: u64,
    pub subject: SubjectId,
    /// Which operator.
    pub reader: Option<String>,
    pub what: Vec<String>,
    pub reason: String,
    /// The sequence of its event in the account's history.
    pub sequence: u64,
    /// By the clock of the node: RFC 3339.
    pub happened_at: String,
    /// By the store's.
    pub recorded_at_ms: i64,
}

/// A key that signed tokens of a grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyUseRow {
    pub key_id: KeyId,
    pub grant_id: GrantId,
}

/// A scope that an operator defined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScopeRow {
    pub name: String,
    #[serde(flatten)]
    pub definition: Definition,
    pub updated_at: UnixTime,
}

/// Which grants.
#[derive(Debug, Clone, Default)]
pub struct GrantFilter {
    pub subject: Option<SubjectId>,
    pub client_id: Option<ClientId>,
    pub session_id: Option<SessionId>,
    pub state: Option<String>,
}

/// Which part of a list. Ids of the server's own making grow with time, so by id is by age.
#[derive(Debug, Clone)]
pub struct Part {
    pub order: Order,
    /// The rows after the one with this id.
    pub after: Option<String>,
    pub limit: u32,
}

/// In which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The oldest (or, where people choose ids, the first by the alphabet).
    FirstToLast,
    /// The other way round.
    LastToFirst,
}

impl Part {
    /// The first so many rows.
    #[must_use]
    pub const fn first(limit: u32) -> Self {
        Self { order: Order::FirstToLast, after: None, limit }
    }

    /// The last so many rows.
    #[must_use]
    pub const fn last(limit: u32) -> Self {
        Self { order: Order::LastToFirst, after: None, limit }
    }
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Page<T> {
    pub rows: Vec<T>,
    /// Where the next page goes on from ([`Part::after`]); absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Asks the read models.
#[derive(Clone)]
pub struct Lookups {
    store: Arc<dyn Store>,
}

impl Lookups {
    /// Those of this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    pub async fn clients(&self, part: Part) -> Result<Page<ClientRow>, StoreError> {
        self.page(vec![], part).await
    }

    pub async fn client(&self, client_id: &ClientId) -> Result<Option<ClientRow>, StoreError> {
        self.one(client_id.as_str()).await
    }

    pub async fn accounts(&self, part: Part) -> Result<Page<AccountRow>, StoreError> {
        self.page(vec![], part).await
    }

    pub async fn account(&self, subject: SubjectId) -> Result<Option<AccountRow>, StoreError> {
        self.one(&subject.to_string()).await
    }

    pub async fn grants(
        &self,
        filter: &GrantFilter,
        part: Part,
    ) -> Result<Page<GrantRow>, StoreError> {
        let by = [
            filter.session_id.map(|id| ("session_id", id.to_string())),
            filter.subject.map(|subject| ("subject", subject.to_string())),
            filter.client_id.as_ref().map(|id| ("client_id", id.to_string())),
            filter.state.clone().map(|state| ("state", state)),
        ];
        let by = by.map(|given| given.map(|(column, text)| (column, Value::Text(text))));
        self.rows(Query::by(&GRANTS, by), part).await
    }

    pub async fn grant(&self, grant_id: GrantId) -> Result<Option<GrantRow>, StoreError> {
        self.one(&grant_id.to_string()).await
    }

    /// Grants by other conditions and in another order than by id.
    pub async fn grants_by(&self, query: Query, part: Part) -> Result<Page<GrantRow>, StoreError> {
        self.rows(Query { table: &GRANTS, ..query }, part).await
    }

    /// Refusals that tell of a credential in wrong hands, in the order of the log.
    pub async fn incidents(
        &self,
        query: Query,
        part: Part,
    ) -> Result<Page<IncidentRow>, StoreError> {
        self.rows(Query { table: &INCIDENTS, ..query }, part).await
    }

    /// Who saw what is sealed of whom, in the order of the log.
    pub async fn personal_data_reads(
        &self,
        query: Query,
        part: Part,
    ) -> Result<Page<PersonalDataReadRow>, StoreError> {
        self.rows(Query { table: &PERSONAL_DATA_READS, ..query }, part).await
    }

    /// Which keys signed tokens of which grants.
    pub async fn key_uses(&self, query: Query, part: Part) -> Result<Page<KeyUseRow>, StoreError> {
        self.rows(Query { table: &KEY_USES, ..query }, part).await
    }

    pub async fn consent(&self, consent: ConsentId) -> Result<Option<ConsentRow>, StoreError> {
        self.one(&consent.to_string()).await
    }

    pub async fn signing_key(&self, key: &KeyId) -> Result<Option<SigningKeyRow>, StoreError> {
        self.one(key.as_str()).await
    }

    pub async fn sessions(
        &self,
        subject: SubjectId,
        part: Part,
    ) -> Result<Page<SessionRow>, StoreError> {
        self.page(vec![("subject", subject.to_string().into())], part).await
    }

    pub async fn backchannel_logouts(
        &self,
        part: Part,
    ) -> Result<Page<BackchannelLogoutRow>, StoreError> {
        self.page(vec![], part).await
    }

    pub async fn scopes(&self, part: Part) -> Result<Page<ScopeRow>, StoreError> {
        self.page(vec![], part).await
    }

    pub async fn consents(
        &self,
        subject: SubjectId,
        part: Part,
    ) -> Result<Page<ConsentRow>, StoreError> {
        self.page(vec![("subject", subject.to_string().into())], part).await
    }

    pub async fn signing_keys(&self, part: Part) -> Result<Page<SigningKeyRow>, StoreError> {
        self.page(vec![], part).await
    }

    async fn one<T: Row>(&self, key: &str) -> Result<Option<T>, StoreError> {
        let equals = vec![(T::TABLE.key, key.into())];
        Ok(self.page(equals, Part::first(1)).await?.rows.pop())
    }

    async fn page<T: Row>(
        &self,
        equals: Vec<(&'static str, Value)>,
        part: Part,
    ) -> Result<Page<T>, StoreError> {
        self.rows(Query { equals, ..Query::all(T::TABLE) }, part).await
    }

    async fn rows<T: Row>(&self, query: Query, part: Part) -> Result<Page<T>, StoreError> {
        let found = self
            .store
            .select(Query {
                after: part.after.map(Value::Text),
                descending: part.order == Order::LastToFirst,
                // One more tells whether there is a next page.
                limit: part.limit.saturating_add(1),
                ..query
            })
            .await?;
        let limit = usize::try_from(part.limit).unwrap_or(usize::MAX);
        let more = found.len() > limit;
        let mut last = None;
        let mut rows = Vec::with_capacity(found.len().min(limit));
        for values in found.into_iter().take(limit) {
            let names = T::TABLE.columns.iter().map(|(name, _)| *name);
            let mut columns = Columns { table: T::TABLE, values: names.zip(values).collect() };
            last = columns.key();
            rows.push(T::read(&mut columns)?);
        }
        Ok(Page { rows, next: last.filter(|_| more) })
    }
}

/// A row of a read model, as a type.
trait Row: Sized {
    const TABLE: &'static Table;

    fn read(columns: &mut Columns) -> Result<Self, StoreError>;
}

/// The columns of one row, to be taken out one by one.
struct Columns {
    table: &'static Table,
    values: BTreeMap<&'static str, Value>,
}

impl Columns {
    fn key(&self) -> Option<String> {
        match self.values.get(self.table.key) {
            Some(Value::Text(key)) => Some(key.clone()),
            _ => None,
        }
    }

    fn corrupt(&self, column: &str) -> StoreError {
        StoreError::Corrupt(format!(
            "the read model {} holds no fit {column} for {}: rebuild it",
            self.table.name,
            self.key().unwrap_or_default()
        ))
    }

    fn maybe_text(&mut self, column: &'static str) -> Option<String> {
        match self.values.remove(column) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn text(&mut self, column: &'static str) -> Result<String, StoreError> {
        self.maybe_text(column).ok_or_else(|| self.corrupt(column))
    }

    fn maybe<T: FromStr>(&mut self, column: &'static str) -> Result<Option<T>, StoreError> {
        let Some(text) = self.maybe_text(column) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| self.corrupt(column))
    }

    fn parsed<T: FromStr>(&mut self, column: &'static str) -> Result<T, StoreError> {
        self.maybe(column)?.ok_or_else(|| self.corrupt(column))
    }

    /// The key stays, to name the row in errors.
    fn id<T: FromStr>(&self) -> Result<T, StoreError> {
        let id = self.key().and_then(|key| key.parse().ok());
        id.ok_or_else(|| self.corrupt(self.table.key))
    }

    fn json<T: serde::de::DeserializeOwned>(
        &mut self,
        column: &'static str,
    ) -> Result<T, StoreError> {
        serde_json::from_str(&self.text(column)?).map_err(|_| self.corrupt(column))
    }

    fn maybe_int(&self, column: &str) -> Option<i64> {
        match self.values.get(column) {
            Some(Value::Int(number)) => Some(*number),
            _ => None,
        }
    }

    fn maybe_time(&self, column: &str) -> Option<UnixTime> {
        self.maybe_int(column).map(UnixTime::from_seconds)
    }

    fn time(&self, column: &str) -> Result<UnixTime, StoreError> {
        self.maybe_time(column).ok_or_else(|| self.corrupt(column))
    }

    fn maybe_position(&self, column: &str) -> Option<u64> {
        self.maybe_int(column).and_then(|position| u64::try_from(position).ok())
    }

    fn position(&self, column: &str) -> Result<u64, StoreError> {
        self.maybe_position(column).ok_or_else(|| self.corrupt(column))
    }
}

impl Row for ClientRow {
    const TABLE: &'static Table = &CLIENTS;

    fn read(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(Self {
            client_id: columns.id()?,
            client_id_issued_at: columns.time("created_at")?,
            metadata: columns.json("metadata")?,
            state: columns.text("state")?,
            reason: columns.maybe_text("reason"),
            updated_at: columns.time("updated_at")?,
            secret_since: columns.maybe_time("secret_since"),
            previous_secret_until: columns.maybe_time("previous_secret_until"),
        })
    }
}

impl Row for AccountRow {
    const TABLE: &'static Table = &ACCOUNTS;

    fn read(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(Self {
            subject: columns.id()?,
            state: columns.text("state")?,
            reason: columns.maybe_text("reason"),
            created_at: columns.time("created_at")?,
            updated_at: columns.time("updated_at")?,
            password_set_at: columns.maybe_time("password_set_at"),
        })
    }
}

impl Row for GrantRow {
    const TABLE: &'static Table = &GRANTS;

    fn read(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(Self {
            grant_id: columns.id()?,
            client_id: columns.parsed("client_id")?,
            subject: columns.maybe("subject")?,
            session_id: columns.maybe("session_id")?,
            scope: columns.parsed("scope")?,
            state: columns.text("state")?,
            grant_type: columns.text("grant_type")?,
            created_at: columns.time("created_at")?,
            updated_at: columns.time("updated_at")?,
            expires_at: columns.maybe_time("expires_at"),
            cause: columns.maybe_text("cause"),
            reason: columns.maybe_text("reason"),
            withdrawn_at: columns.maybe_time("withdrawn_at"),
            jwt_until: columns.maybe_time("jwt_until"),
            opened_position: columns.position("opened_position")?,
            authenticated_position: columns.maybe_position("authenticated_position"),
            consented_position: columns.maybe_position("consented_position"),
        })
    }
}

impl Row for SessionRow {
    const TABLE: &'static Table = &SESSIONS;

    fn read(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(Self {
            session_id: columns.id()?,
            subject: columns.parsed("subject")?,
            state: columns.text("state")?,
            cause: columns.maybe_text("cause"),
            acr: columns.text("acr")?,
            amr: columns.text("amr")?.split_ascii_whitespace().map(str::to_owned).collect(),
            created_at: columns.time("created_at")?,
            auth_time: columns.time("auth_time")?,
            expires_at: columns.time("expires_at")?,
            ended_at: columns.maybe_time("ended_at"),
            started_position: columns.position("started_position")?,
        })
    }
}

impl Row for BackchannelLogoutRow {
    const TABLE: &'static Table = &BACKCHANNEL_LOGOUTS;

    fn read(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(Self {
            notice_id: columns.id()?,
            session_id: columns.parsed("session_id")?,
            client_id: columns.parsed("client_id")?,
            due_at: columns.time("due_at")?,
        })
    }
}

impl Row for ConsentRow {
    const TABLE: &'static Table = &CONSENTS;

    fn read(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(Self {
            consent_id: columns.id()?,
            subject: columns.parsed("subject")?,
            client_id: columns.parsed("client_id")?,
            scope: columns.parsed("scope")?,
            state: columns.text("state")?,
            grant_id: columns.parsed("grant_id")?,
            updated_at: columns.time("updated_at")?,
        })
    }
}

impl Row for IncidentRow {
    const TABLE: &'static Table = &INCIDENTS;

    fn read(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(Self {
            incident_id: columns.id()?,
            grant_id: columns.parsed("grant_id")?,
            client_id: columns.parsed("client_id")?,
            sequence: columns.position("sequence")?,
        })
    }
}

impl Row for PersonalDataReadRow {
    const TABLE: &'static Table = &PERSONAL_DATA_READS;

    fn read(columns: &mut Columns) -> Result<Self, StoreError> {
        let read_id: String = columns.id()?;
        let position = u64::from_str_radix(&read_id, 16);
        Ok(Self {
            position: position.map_err(|_| columns.corrupt("read_id"))?,
            read_id,
            subject: columns.parsed("subject")?,
            reader: columns.maybe_text("reader"),
            what: columns.text("what")?.split_ascii_whitespace().map(str::to_owned).collect(),
            reason: columns.text("reason")?,
            sequence: columns.position("sequence")?,
            happened_at: columns.maybe_text("happened_at").unwrap_or_default(),
            recorded_at_ms: columns.maybe_int("recorded_at").unwrap_or_default(),
        })
    }
}

impl Row for KeyUseRow {
    const TABLE: &'static Table = &KEY_USES;

    fn read(columns: &mut Columns) -> Result<Self, StoreError> {
        let use_id: String = columns.id()?;
        let corrupt = || columns.corrupt("use_id");
        let (key, grant) = use_id.split_once('/').ok_or_else(corrupt)?;
        Ok(Self {
            key_id: key.parse().map_err(|_| corrupt())?,
            grant_id: grant.parse().map_err(|_| corrupt())?,
        })
    }
}

impl Row for ScopeRow {
    const TABLE: &'static Table = &SCOPES;

    fn read(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(Self {
            name: columns.id()?,
            definition: columns.json("definition")?,
            updated_at: columns.time("updated_at")?,
        })
    }
}

impl Row for SigningKeyRow {
    const TABLE: &'static Table = &SIGNING_KEYS;

    fn read(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(Self {
            key_id: columns.id()?,
            algorithm: columns.text("algorithm")?,
            jwk: columns.json("jwk")?,
            state: columns.text("state")?,
            published_at: columns.time("published_at")?,
            activated_at: columns.maybe_time("activated_at"),
            retired_at: columns.maybe_time("retired_at"),
            published_until: columns.maybe_time("published_until"),
        })
    }
}
