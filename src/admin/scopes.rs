//! Operations on scopes: what they mean is changed while the server runs.

use chancery_domain::scope_definition::{
    Definition, ScopeDefined, ScopeDefinitionCommand, ScopeDefinitionError,
};
use chancery_domain::time::UnixTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{AdminError, Outcome};
use crate::aggregates::{ExecuteError, Origin};
use crate::claims::{KnownScope, Source};
use crate::http::oauth::metadata;
use crate::services::Services;
use crate::stores::AppendError;

/// How often a change is made up again after a conflict.
const ATTEMPTS: usize = 4;

/// A scope as its operator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScopeView {
    pub name: String,
    /// Who says what it means; absent: nobody any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    #[serde(flatten)]
    pub definition: Definition,
    /// When an operator defined it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defined_at: Option<UnixTime>,
}

impl ScopeView {
    #[must_use]
    pub fn of(name: &str, scope: &KnownScope) -> Self {
        Self {
            name: name.to_owned(),
            source: Some(scope.source),
            definition: scope.definition.clone(),
            defined_at: scope.defined_at,
        }
    }
}

pub(super) async fn add(
    services: &Services,
    name: String,
    definition: Definition,
    origin: Origin,
) -> Result<Outcome, AdminError> {
    let conflict = |whose: &str| {
        let why =
            format!("{name} is a scope of {whose}: change what it means (chancery scope set)");
        Err(AdminError::Refused(why))
    };
    match services.scopes.get().get(&name).map(|scope| scope.source) {
        Some(Source::Standard) => return conflict("the standard"),
        Some(Source::Settings) => return conflict("the settings"),
        Some(Source::Defined) | None => {}
    }
    let defined = ScopeDefined { name: name.clone(), definition, at: services.now() };
    match execute(services, &name, ScopeDefinitionCommand::Add(defined), &origin).await? {
        Ok(()) => view(services, &name).await,
        Err(error @ ScopeDefinitionError::Exists) => Err(AdminError::Refused(error.to_string())),
        Err(error) => Err(AdminError::Invalid(error.to_string())),
    }
}

pub(super) async fn update(
    services: &Services,
    name: &str,
    changes: &Map<String, Value>,
    origin: Origin,
) -> Result<Outcome, AdminError> {
    for _ in 0..ATTEMPTS {
        let folded = services.scope_definitions.fresh(name).await?;
        let here = folded.state.defined().cloned();
        let table = services.scopes.get();
        let before = here.clone().or_else(|| {
            let known = table.get(name).filter(|scope| scope.source != Source::Defined);
            known.map(|scope| scope.definition.clone())
        });
        let before = before.ok_or_else(|| AdminError::not_found("scope", name))?;
        let definition = changed(&before, changes)?;
        let defined = ScopeDefined { name: name.to_owned(), definition, at: services.now() };
        let command = ScopeDefinitionCommand::Replace { defined, instead_of: here };
        match execute(services, name, command, &origin).await? {
            Ok(()) => return view(services, name).await,
            Err(ScopeDefinitionError::Changed) => {}
            Err(error) => return Err(AdminError::Invalid(error.to_string())),
        }
    }
    Err(AppendError::Conflict.into())
}

/// RFC 7396, one level deep.
fn changed(before: &Definition, changes: &Map<String, Value>) -> Result<Definition, AdminError> {
    const MEMBERS: [&str; 5] = ["description", "localized", "claims", "privileged", "open"];
    let invalid = |error: serde_json::Error| AdminError::Invalid(error.to_string());
    let mut all = match serde_json::to_value(before).map_err(invalid)? {
        Value::Object(all) => all,
        _ => Map::new(),
    };
    for (name, value) in changes {
        if !MEMBERS.contains(&name.as_str()) {
            return Err(AdminError::Invalid(format!("a scope has no {name}")));
        }
        if value.is_null() {
            all.remove(name);
        } else {
            all.insert(name.clone(), value.clone());
        }
    }
    serde_json::from_value(Value::Object(all)).map_err(invalid)
}

pub(super) async fn remove(
    services: &Services,
    name: &str,
    origin: Origin,
) -> Result<Outcome, AdminError> {
    let command = ScopeDefinitionCommand::Remove { now: services.now() };
    match execute(services, name, command, &origin).await? {
        Ok(()) => view(services, name).await,
        Err(ScopeDefinitionError::Unknown) => Err(match services.scopes.get().get(name) {
            Some(_) => AdminError::Refused(format!(
                "{name} means what the standard or the settings say: there is nothing to take back"
            )),
            None => AdminError::not_found("scope", name),
        }),
        Err(error) => Err(AdminError::Invalid(error.to_string())),
    }
}

/// What the domain says to it; else why it could not even be asked.
async fn execute(
    services: &Services,
    name: &str,
    command: ScopeDefinitionCommand,
    origin: &Origin,
) -> Result<Result<(), ScopeDefinitionError>, AdminError> {
    let work = services.work(origin.clone())?;
    match services.scope_definitions.execute(name, vec![command], work).await {
        Ok(_) => Ok(Ok(())),
        Err(ExecuteError::Refused(error)) => Ok(Err(error)),
        Err(ExecuteError::Load(error)) => Err(error.into()),
        Err(ExecuteError::Append(error)) => Err(error.into()),
    }
}

/// The scope after a change, which this node knows of from here on.
async fn view(services: &Services, name: &str) -> Result<Outcome, AdminError> {
    services.scopes.reload(&*services.store, &services.config.scopes).await?;
    metadata::refresh(services);
    let table = services.scopes.get();
    let gone = || ScopeView {
        name: name.to_owned(),
        source: None,
        definition: Definition::default(),
        defined_at: None,
    };
    let view = table.get(name).map_or_else(gone, |scope| ScopeView::of(name, scope));
    Ok(Outcome::Scope(Box::new(view)))
}
