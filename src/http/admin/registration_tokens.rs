//! Tokens by which others register clients (RFC 7591 §1.2).

use actix_web::http::Method;
use chancery_domain::ids::{AggregateKind, RegistrationTokenId};
use chancery_domain::registration_token::Constraints;
use chancery_domain::time::UnixTime;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::admin::{NewRegistrationToken, Operation, Outcome, RegistrationTokenView};
use crate::http::api::endpoint::{Call, Endpoint, Json, List, NoBody, Nothing, PartOfList};
use crate::http::api::problem::Problem;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new(
            Method::GET,
            "/registration-tokens",
            ("listRegistrationTokens", "List the tokens by which others register clients"),
            list,
        ),
        Endpoint::new(
            Method::POST,
            "/registration-tokens",
            ("issueRegistrationToken", "Make a token to register clients by; it is shown once"),
            issue,
        )
        .creates(),
        Endpoint::new(
            Method::POST,
            "/registration-tokens/{token_id}/revoke",
            ("revokeRegistrationToken", "End a token; the clients registered by it stay"),
            revoke,
        ),
    ]
}

#[derive(Deserialize, JsonSchema)]
struct One {
    token_id: RegistrationTokenId,
}

/// A token about to be made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct IssueRegistrationToken {
    /// What it is for. Kept in the log, so it names nobody.
    #[schemars(length(max = 200))]
    label: Option<String>,
    /// How many clients it registers; left out: any number.
    #[schemars(range(min = 1))]
    uses: Option<u32>,
    /// Left out: it does not end by itself.
    expires_at: Option<UnixTime>,
    #[serde(default)]
    constraints: Constraints,
}

/// There are few of them, so each is looked at.
async fn list(call: Call<PartOfList, NoBody>) -> Result<List<RegistrationTokenView>, Problem> {
    let part = call.parameters.first_to_last()?;
    let now = call.services.now();
    let mut ids = call.services.store.ids(AggregateKind::RegistrationToken).await?;
    ids.retain(|id| part.after.as_ref().is_none_or(|after| id > after));
    ids.sort_unstable();
    let more = ids.len() > part.limit as usize;
    ids.truncate(part.limit as usize);
    let mut items = Vec::with_capacity(ids.len());
    for id in &ids {
        let folded = call.services.registration_tokens.fresh(id).await;
        let folded = folded.map_err(|error| Problem::internal(&error))?;
        items.extend(folded.state.issued().map(|token| RegistrationTokenView::of(token, now)));
    }
    Ok(List { items, next: ids.pop().filter(|_| more) })
}

async fn issue(
    call: Call<Nothing, Json<IssueRegistrationToken>>,
) -> Result<RegistrationTokenView, Problem> {
    let Json(IssueRegistrationToken { label, uses, expires_at, constraints }) = &call.body;
    let is_good = |label: &String| label.chars().count() <= 200 && !label.contains('\0');
    if !label.as_ref().is_none_or(is_good) {
        return Err(Problem::invalid("a label has up to 200 characters"));
    }
    let operation = Operation::IssueRegistrationToken(NewRegistrationToken {
        label: label.clone(),
        uses: *uses,
        expires_at: *expires_at,
        constraints: constraints.clone(),
    });
    token(call.perform(operation).await?)
}

async fn revoke(call: Call<One, NoBody>) -> Result<RegistrationTokenView, Problem> {
    let token_id = call.parameters.token_id;
    token(call.perform(Operation::RevokeRegistrationToken { token_id }).await?)
}

fn token(outcome: Outcome) -> Result<RegistrationTokenView, Problem> {
    match outcome {
        Outcome::RegistrationToken(token) => Ok(*token),
        other => Err(Problem::internal(&format!("an operation on a token gave {other:?}"))),
    }
}
