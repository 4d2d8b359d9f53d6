//! The settings in force, without their secrets.

use actix_web::http::Method;
use schemars::JsonSchema;
use serde::Serialize;

use crate::config::problem::Place;
use crate::http::api::endpoint::{Call, Endpoint, List, NoBody, Nothing};
use crate::http::api::problem::Problem;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::new(
        Method::GET,
        "/configuration",
        ("getConfiguration", "Show the settings in force on this node, and where each comes from"),
        show,
    )]
}

/// One setting.
#[derive(Serialize, JsonSchema)]
struct Setting {
    /// The table that it stands in, as TOML writes it.
    table: String,
    name: &'static str,
    /// As TOML; a secret is `"..."`. Absent: not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    /// Where it was given: `default`, `file:LINE`, a variable's name, or
    /// `command line`.
    from: String,
}

async fn show(call: Call<Nothing, NoBody>) -> Result<List<Setting>, Problem> {
    let setting = |setting: &crate::config::show::Effective| Setting {
        table: setting.table.clone(),
        name: setting.name,
        value: setting.value.clone(),
        from: match &setting.place {
            Place::Default => "default".to_owned(),
            Place::File { line, .. } => format!("file:{line}"),
            Place::Environment { variable } => variable.clone(),
            Place::CommandLine => "command line".to_owned(),
        },
    };
    Ok(List { items: call.services.config.in_force.iter().map(setting).collect(), next: None })
}
