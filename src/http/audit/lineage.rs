//! Every token that descends from a consent, or from a grant.

use actix_web::http::Method;
use chancery_domain::ids::{ConsentId, GrantId};
use schemars::JsonSchema;
use serde::Deserialize;

use super::parameters::{fifty, part};
use crate::audit::lineage::{ConsentLineage, Lineage, of_consent, of_grant};
use crate::audit::{Records, Stated};
use crate::http::api::endpoint::{Call, Endpoint, NoBody};
use crate::http::api::problem::Problem;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new(
            Method::GET,
            "/consents/{consent_id}/lineage",
            ("getConsentLineage", "Which grants, codes and tokens descend from that consent?"),
            consent,
        ),
        Endpoint::new(
            Method::GET,
            "/grants/{grant_id}/lineage",
            ("getGrantLineage", "Which codes and tokens descend from that grant?"),
            grant,
        ),
    ]
}

#[derive(Deserialize, JsonSchema)]
struct OfConsent {
    consent_id: ConsentId,
    /// How many grants at most.
    #[serde(default = "fifty")]
    #[schemars(range(min = 1, max = 1000))]
    limit: u32,
    /// The grants after this one: `next` of the list before.
    #[schemars(length(min = 1, max = 255))]
    after: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
struct OfGrant {
    grant_id: GrantId,
}

async fn consent(call: Call<OfConsent, NoBody>) -> Result<Stated<ConsentLineage>, Problem> {
    let asked = &call.parameters;
    let part = part(asked.limit, asked.after.as_ref())?;
    Ok(of_consent(&Records::of(&call.services.store), asked.consent_id, part).await?)
}

async fn grant(call: Call<OfGrant, NoBody>) -> Result<Stated<Lineage>, Problem> {
    Ok(of_grant(&Records::of(&call.services.store), call.parameters.grant_id).await?)
}
