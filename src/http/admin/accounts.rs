//! Accounts, and what belongs to their people.
//!
//! Who a person is (name and claims) stands in an answer only where the token
//! has the scope `pii:read` and the request gives a reason; that it was read, by
//! whom and why, is recorded before the answer leaves.

use std::collections::BTreeSet;

use actix_web::http::Method;
use chancery_domain::account::Role;
use chancery_domain::ids::{ConsentId, SessionId, SubjectId};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::clients::Reason;
use crate::admin::{
    AccountView, Confidential, ConsentView, NewAccount, Operation, Outcome, ResetLinkView,
    SessionView, account_view, check_reason,
};
use crate::http::api::endpoint::{Call, Endpoint, Json, List, NoBody, Nothing, PartOfList};
use crate::http::api::problem::Problem;
use crate::lookups::{AccountRow, ConsentRow, Lookups, SessionRow};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new(Method::GET, "/accounts", ("listAccounts", "List the accounts"), list),
        Endpoint::new(Method::POST, "/accounts", ("addAccount", "Make an account"), add).creates(),
        Endpoint::new(Method::GET, "/accounts/{account}", ("getAccount", "Show an account"), show),
        Endpoint::new(
            Method::PATCH,
            "/accounts/{account}/claims",
            ("updateClaims", "Replace some claims (RFC 7396); null takes one away"),
            update_claims,
        ),
        Endpoint::new(
            Method::POST,
            "/accounts/{account}/password",
            ("setPassword", "Set an account's password"),
            set_password,
        ),
        Endpoint::new(
            Method::PUT,
            "/accounts/{account}/roles",
            ("replaceRoles", "Give an account these roles, and take all others"),
            replace_roles,
        ),
        Endpoint::new(
            Method::POST,
            "/accounts/{account}/reset-link",
            ("openResetLink", "Open a one-time link to choose a new password by"),
            open_reset_link,
        ),
        Endpoint::new(
            Method::POST,
            "/accounts/{account}/lock",
            ("lockAccount", "Lock an account: its sessions and grants end"),
            lock,
        ),
        Endpoint::new(
            Method::POST,
            "/accounts/{account}/unlock",
            ("unlockAccount", "Unlock an account; what was revoked stays revoked"),
            unlock,
        ),
        Endpoint::new(
            Method::POST,
            "/accounts/{account}/erase",
            ("eraseAccount", "Destroy everything personal of an account, for good"),
            erase,
        ),
        Endpoint::new(
            Method::GET,
            "/accounts/{subject}/sessions",
            ("listSessions", "List a person's sessions, the newest first"),
            sessions,
        ),
        Endpoint::new(
            Method::POST,
            "/sessions/{session_id}/end",
            ("endSession", "End a session, and the grants given in it"),
            end_session,
        ),
        Endpoint::new(
            Method::GET,
            "/accounts/{subject}/consents",
            ("listConsents", "List what a person allows which client"),
            consents,
        ),
        Endpoint::new(
            Method::POST,
            "/consents/{consent_id}/withdraw",
            ("withdrawConsent", "Withdraw a consent, and revoke the grants by it"),
            withdraw_consent,
        ),
    ]
}

#[derive(Deserialize, JsonSchema)]
struct One {
    /// The subject, or the name that it logs in with.
    #[schemars(length(min = 1, max = 128))]
    account: String,
}

#[derive(Deserialize, JsonSchema)]
struct Shown {
    /// The subject, or the name that it logs in with.
    #[schemars(length(min = 1, max = 128))]
    account: String,
    /// Why you want to see who it is: recorded, and needs the scope `pii:read`.
    /// Without one the answer is pseudonymous. Name nobody in it.
    #[schemars(length(min = 1, max = 500))]
    reason: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
struct OfSubject {
    subject: SubjectId,
    #[serde(flatten)]
    part: Texts,
}

/// The members of [`PartOfList`]: `flatten` leaves numbers as texts.
#[derive(Deserialize, JsonSchema)]
struct Texts {
    /// How many at most.
    #[schemars(with = "Option<u32>", range(min = 1, max = 1000))]
    limit: Option<String>,
    /// Those after this one: `next` of the list before.
    #[schemars(length(min = 1, max = 255))]
    after: Option<String>,
}

impl Texts {
    fn part(self) -> Result<PartOfList, Problem> {
        let limit = match self.limit {
            None => 50,
            Some(text) => {
                text.parse().map_err(|_| Problem::bad_request("limit must be a number"))?
            }
        };
        Ok(PartOfList { limit, after: self.after })
    }
}

#[derive(Deserialize, JsonSchema)]
struct OneSession {
    session_id: SessionId,
}

#[derive(Deserialize, JsonSchema)]
struct OneConsent {
    consent_id: ConsentId,
}

/// An account about to be made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AddAccount {
    /// The name to log in with.
    #[schemars(length(min = 1, max = 128))]
    username: String,
    #[schemars(length(min = 1, max = 1024))]
    password: Confidential,
    /// About the person (OpenID Connect Core §5.1).
    #[serde(default)]
    claims: Map<String, Value>,
    /// What it may do on this server besides logging in.
    #[serde(default)]
    #[schemars(with = "Vec<Role>")]
    roles: BTreeSet<Role>,
}

/// All of an account's roles.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReplaceRoles {
    #[schemars(with = "Vec<Role>")]
    roles: BTreeSet<Role>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OpenResetLink {
    /// Send it to the person; else it stands in the answer, to be handed over.
    #[serde(default)]
    by_mail: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EraseAccount {
    /// Why; kept in the log, so name nobody.
    #[schemars(length(min = 1, max = 500))]
    reason: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SetPassword {
    #[schemars(length(min = 1, max = 1024))]
    password: Confidential,
}

async fn list(call: Call<PartOfList, NoBody>) -> Result<List<AccountRow>, Problem> {
    let part = call.parameters.first_to_last()?;
    Ok(Lookups::new(call.services.store.clone()).accounts(part).await?.into())
}

async fn add(call: Call<Nothing, Json<AddAccount>>) -> Result<AccountView, Problem> {
    let Json(AddAccount { username, password, claims, roles }) = &call.body;
    let (name, password) = (username.clone(), password.clone());
    let (claims, roles) = (claims.clone(), roles.clone());
    let new = NewAccount { name, password, claims, roles };
    let outcome = call.perform(Operation::AddAccount(new)).await?;
    account(outcome)
}

async fn show(call: Call<Shown, NoBody>) -> Result<AccountView, Problem> {
    let Shown { account: account_name, reason } = &call.parameters;
    let Some(reason) = reason.clone() else {
        return Ok(account_view(&call.services, account_name).await?);
    };
    if !call.operator.sees_people() {
        let detail = "the access token needs the scope pii:read to see who people are";
        return Err(Problem::forbidden("admin pii:read", detail));
    }
    // It is a parameter here, and no member of a body.
    check_reason(&reason).map_err(|error| Problem::bad_request(error.to_string()))?;
    let account_name = account_name.clone();
    account(call.perform(Operation::ReadAccount { account: account_name, reason }).await?)
}

async fn erase(call: Call<One, Json<EraseAccount>>) -> Result<AccountView, Problem> {
    let (account_name, reason) = (call.parameters.account.clone(), call.body.0.reason.clone());
    account(call.perform(Operation::EraseAccount { account: account_name, reason }).await?)
}

async fn update_claims(call: Call<One, Json<Map<String, Value>>>) -> Result<AccountView, Problem> {
    let (account_name, claims) = (call.parameters.account.clone(), call.body.0.clone());
    let outcome = call.perform(Operation::SetClaims { account: account_name, claims }).await?;
    account(outcome)
}

async fn set_password(call: Call<One, Json<SetPassword>>) -> Result<AccountView, Problem> {
    let account_name = call.parameters.account.clone();
    let password = call.body.0.password.clone();
    let outcome = call.perform(Operation::SetPassword { account: account_name, password }).await?;
    account(outcome)
}

async fn replace_roles(call: Call<One, Json<ReplaceRoles>>) -> Result<AccountView, Problem> {
    let (account_name, roles) = (call.parameters.account.clone(), call.body.0.roles.clone());
    let outcome = call.perform(Operation::ReplaceRoles { account: account_name, roles }).await?;
    account(outcome)
}

async fn open_reset_link(call: Call<One, Json<OpenResetLink>>) -> Result<ResetLinkView, Problem> {
    let (account, by_mail) = (call.parameters.account.clone(), call.body.0.by_mail);
    match call.perform(Operation::ResetPasswordLink { account, by_mail }).await? {
        Outcome::ResetLink(link) => Ok(link),
        other => Err(Problem::internal(&format!("an operation on an account gave {other:?}"))),
    }
}

async fn lock(call: Call<One, Json<Reason>>) -> Result<AccountView, Problem> {
    let (account_name, reason) = (call.parameters.account.clone(), call.body.0.text()?);
    let outcome = call.perform(Operation::LockAccount { account: account_name, reason }).await?;
    account(outcome)
}

async fn unlock(call: Call<One, NoBody>) -> Result<AccountView, Problem> {
    let operation = Operation::UnlockAccount { account: call.parameters.account.clone() };
    let outcome = call.perform(operation).await?;
    account(outcome)
}

async fn sessions(call: Call<OfSubject, NoBody>) -> Result<List<SessionRow>, Problem> {
    let OfSubject { subject, part } = call.parameters;
    let part = part.part()?.last_to_first()?;
    Ok(Lookups::new(call.services.store.clone()).sessions(subject, part).await?.into())
}

async fn end_session(call: Call<OneSession, NoBody>) -> Result<SessionView, Problem> {
    let session_id = call.parameters.session_id;
    match call.perform(Operation::EndSession { session_id }).await? {
        Outcome::Session(session) => Ok(session),
        other => Err(Problem::internal(&format!("an operation on a session gave {other:?}"))),
    }
}

async fn consents(call: Call<OfSubject, NoBody>) -> Result<List<ConsentRow>, Problem> {
    let OfSubject { subject, part } = call.parameters;
    let part = part.part()?.first_to_last()?;
    Ok(Lookups::new(call.services.store.clone()).consents(subject, part).await?.into())
}

async fn withdraw_consent(call: Call<OneConsent, NoBody>) -> Result<ConsentView, Problem> {
    let consent_id = call.parameters.consent_id;
    match call.perform(Operation::WithdrawConsent { consent_id }).await? {
        Outcome::Consent(consent) => Ok(consent),
        other => Err(Problem::internal(&format!("an operation on a consent gave {other:?}"))),
    }
}

fn account(outcome: Outcome) -> Result<AccountView, Problem> {
    match outcome {
        Outcome::Account(account) => Ok(*account),
        other => Err(Problem::internal(&format!("an operation on an account gave {other:?}"))),
    }
}
