//! The JSON Schemas of events, as they are served.

use std::collections::BTreeMap;

use chancery_domain::event::{metadata_schema, schemas, type_name};
use serde_json::{Value, json};

/// All of them. Made once.
pub struct Schemas {
    /// By what comes after `/schemas/`: `grant/CodeRedeemed/1`.
    documents: BTreeMap<String, String>,
    /// What there is.
    index: String,
    /// The events, by each name that they are asked for by.
    names: BTreeMap<String, &'static str>,
}

impl Schemas {
    /// Those of the server with this issuer.
    #[must_use]
    pub fn of(issuer: &str) -> Self {
        let mut documents = BTreeMap::new();
        let mut names = BTreeMap::new();
        let mut index = Vec::new();
        let mut add = |path: String, title: &str, schema: schemars::Schema| {
            let url = format!("{issuer}/schemas/{path}");
            let mut document = schema.to_value();
            if let Some(members) = document.as_object_mut() {
                members.insert("$id".to_owned(), Value::from(url.as_str()));
                members.insert("title".to_owned(), Value::from(title));
            }
            documents.insert(path, document.to_string());
            url
        };
        for event in schemas() {
            let (kind, name, version) = (event.kind, event.name, event.version);
            let type_name = type_name(kind, name, version);
            let url = add(format!("{kind}/{name}/{version}"), &type_name, event.schema);
            index.push(json!({
                "type": type_name,
                "aggregate_type": kind.as_str(),
                "event_type": name,
                "event_version": version,
                "schema": url,
                "written": event.is_current,
            }));
            names.insert(name.to_owned(), name);
            names.insert(type_name, name);
        }
        let metadata = add("metadata".to_owned(), "metadata", metadata_schema());
        let index = json!({ "events": index, "metadata": metadata }).to_string();
        Self { documents, index, names }
    }

    /// The schema at a path below `/schemas/`.
    #[must_use]
    pub fn document(&self, path: &str) -> Option<&str> {
        self.documents.get(path).map(String::as_str)
    }

    /// Names all schemas.
    #[must_use]
    pub fn index(&self) -> &str {
        &self.index
    }

    /// The `event_type` of events that are called this: `CodeRedeemed`, or
    /// `chancery.grant.CodeRedeemed.v1`.
    #[must_use]
    pub fn event_type(&self, name: &str) -> Option<&'static str> {
        self.names.get(name).copied()
    }
}
