//! The JSON Schema of every event: what readers outside rely on.
//!
//! `schemas/<aggregate>/<Event>.v<version>.json` is what was promised. What is
//! written now has to keep to it: members may be added, none may be taken away,
//! become optional, or be something else. A change that keeps to it is written
//! to the file (and fails once, so that it is looked at and committed); one that
//! does not is refused, and needs a new version of the event. The file of an
//! earlier version stays, and so does the struct that it is made of.
#![expect(clippy::unwrap_used, reason = "these are tests, helpers and all")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use chancery_domain::event::{EventSchema, metadata_schema, schemas, type_name};
use serde_json::{Map, Value, json};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemas")
}

fn file_of(event: &EventSchema) -> PathBuf {
    let name = format!("{}.v{}.json", event.name, event.version);
    folder().join(event.kind.as_str()).join(name)
}

/// Every schema, by its file.
fn current() -> Vec<(PathBuf, Value)> {
    let mut all: Vec<_> =
        schemas().into_iter().map(|event| (file_of(&event), event.schema.to_value())).collect();
    all.push((folder().join("metadata.json"), metadata_schema().to_value()));
    all
}

/// Where a schema does not keep to what was promised.
fn broken(promised: &Value, now: &Value) -> Vec<String> {
    let mut comparison = Comparison { promised, now, found: vec![], seen: BTreeSet::new() };
    comparison.schema(promised, now, "");
    comparison.found
}

struct Comparison<'a> {
    /// The documents, for references.
    promised: &'a Value,
    now: &'a Value,
    found: Vec<String>,
    seen: BTreeSet<(String, String)>,
}

/// What says nothing of values, or is compared by itself.
const ASIDE: &[&str] = &[
    "$schema",
    "$defs",
    "$ref",
    "title",
    "description",
    "default",
    "properties",
    "required",
    "items",
    "additionalProperties",
    "enum",
    "anyOf",
    "oneOf",
    "allOf",
    "type",
];

impl Comparison<'_> {
    fn schema(&mut self, promised: &Value, now: &Value, at: &str) {
        let references = [promised, now].map(|schema| schema["$ref"].as_str().unwrap_or_default());
        let pair = (references[0].to_owned(), references[1].to_owned());
        // Only two references name what they stand for: it is compared once.
        if references.iter().all(|reference| !reference.is_empty()) && !self.seen.insert(pair) {
            return;
        }
        for schema in [promised, now] {
            if says_more_than_its_reference(schema) {
                self.tell(at, "says more beside a reference, which can't be compared");
            }
        }
        let (promised, now) = (resolved(promised, self.promised), resolved(now, self.now));
        let (Some(promised), Some(now)) = (promised.as_object(), now.as_object()) else {
            if promised != now {
                self.tell(at, "is another schema");
            }
            return;
        };
        self.types(promised, now, at);
        self.members(promised, now, at);
        for name in ["items", "additionalProperties"] {
            match (promised.get(name), now.get(name)) {
                (Some(promised), Some(now)) => self.schema(promised, now, &format!("{at}/{name}")),
                (Some(_), None) => self.tell(at, &format!("{name} is not said any more")),
                // Who reads by this schema would refuse the members of later ones.
                (None, Some(_)) if name == "additionalProperties" => {
                    self.tell(at, "leaves no room for more members");
                }
                (None, _) => {}
            }
        }
        for name in ["anyOf", "oneOf", "allOf"] {
            self.variants(name, promised, now, at);
        }
        for name in promised.keys().chain(now.keys()).collect::<BTreeSet<_>>() {
            if !ASIDE.contains(&name.as_str()) && promised.get(name) != now.get(name) {
                self.tell(at, &format!("{name} is another"));
            }
        }
    }

    fn types(&mut self, promised: &Map<String, Value>, now: &Map<String, Value>, at: &str) {
        let (promised_types, types) = (types_of(promised), types_of(now));
        if promised_types != types && (types.is_empty() || !types.is_subset(&promised_types)) {
            self.tell(at, &format!("was {promised_types:?} and is {types:?}"));
        }
        // Another word may come; that there are words and which were known stays.
        if let Some(words) = promised.get("enum").and_then(Value::as_array) {
            let now = now.get("enum").and_then(Value::as_array);
            if now.is_none_or(|now| words.iter().any(|word| !now.contains(word))) {
                self.tell(at, "a word is gone");
            }
        }
    }

    fn members(&mut self, promised: &Map<String, Value>, now: &Map<String, Value>, at: &str) {
        let none = Map::new();
        let properties = |schema: &Map<String, Value>| {
            schema.get("properties").and_then(Value::as_object).unwrap_or(&none).clone()
        };
        let (before, after) = (properties(promised), properties(now));
        for (name, promised) in &before {
            match after.get(name) {
                Some(now) => self.schema(promised, now, &format!("{at}/{name}")),
                None => self.tell(at, &format!("{name} is gone")),
            }
        }
        let required = |schema: &Map<String, Value>| -> BTreeSet<String> {
            let names = schema.get("required").and_then(Value::as_array).into_iter().flatten();
            names.map(|name| name.as_str().unwrap().to_owned()).collect()
        };
        for name in required(promised).difference(&required(now)) {
            self.tell(at, &format!("{name} may be left out"));
        }
    }

    fn variants(
        &mut self,
        name: &str,
        promised: &Map<String, Value>,
        now: &Map<String, Value>,
        at: &str,
    ) {
        let variants = |schema: &Map<String, Value>| -> Vec<Value> {
            schema.get(name).and_then(Value::as_array).cloned().unwrap_or_default()
        };
        let (before, after) = (variants(promised), variants(now));
        if after.len() < before.len() || (before.is_empty() && !after.is_empty()) {
            self.tell(at, &format!("{name} is another"));
        }
        for (number, (before, after)) in before.iter().zip(&after).enumerate() {
            self.schema(before, after, &format!("{at}/{name}/{number}"));
        }
        // Another variant may come where readers expect one, but not another type.
        let types = |variant: &Value, document| {
            resolved(variant, document).as_object().map(types_of).unwrap_or_default()
        };
        let known: BTreeSet<_> =
            before.iter().flat_map(|variant| types(variant, self.promised)).collect();
        for variant in after.iter().skip(before.len()) {
            let types = types(variant, self.now);
            if types.is_empty() || !types.is_subset(&known) {
                self.tell(at, &format!("{name} may be {types:?} too"));
            }
        }
    }

    fn tell(&mut self, at: &str, what: &str) {
        self.found.push(format!("{}: {what}", if at.is_empty() { "/" } else { at }));
    }
}

fn types_of(schema: &Map<String, Value>) -> BTreeSet<String> {
    match schema.get("type") {
        Some(Value::String(one)) => [one.clone()].into(),
        Some(Value::Array(several)) => {
            several.iter().map(|one| one.as_str().unwrap().to_owned()).collect()
        }
        _ => BTreeSet::new(),
    }
}

fn says_more_than_its_reference(schema: &Value) -> bool {
    const REMARKS: &[&str] = &["$schema", "$defs", "$ref", "title", "description", "default"];
    schema["$ref"].is_string()
        && schema.as_object().unwrap().keys().any(|name| !REMARKS.contains(&name.as_str()))
}

/// What a schema refers to, and that in turn, to the end.
fn resolved(schema: &Value, document: &Value) -> Value {
    let mut schema = schema;
    while let Some(reference) = schema["$ref"].as_str() {
        schema = document.pointer(reference.trim_start_matches('#')).unwrap();
    }
    schema.clone()
}

#[test]
fn every_event_keeps_to_the_schema_that_was_promised() {
    let mut changed = vec![];
    for (file, now) in current() {
        let text = serde_json::to_string_pretty(&now).unwrap() + "\n";
        let before = std::fs::read_to_string(&file).unwrap_or_default();
        if before == text {
            continue;
        }
        if !before.is_empty() {
            let broken = broken(&serde_json::from_str(&before).unwrap(), &now);
            assert!(
                broken.is_empty(),
                "{} breaks its promise: {broken:#?}\nGive the event a new version instead",
                file.display()
            );
        }
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        changed.push(file);
    }
    assert!(changed.is_empty(), "written anew, look at them and commit them: {changed:#?}");
}

#[test]
fn no_promise_is_forgotten() {
    let known: BTreeSet<_> = current().into_iter().map(|(file, _)| file).collect();
    for kind in std::fs::read_dir(folder()).unwrap() {
        let kind = kind.unwrap().path();
        let files = if kind.is_dir() {
            let entries = std::fs::read_dir(&kind).unwrap();
            entries.map(|entry| entry.unwrap().path()).collect()
        } else {
            vec![kind]
        };
        for file in files {
            assert!(known.contains(&file), "{} is of no event any more", file.display());
        }
    }
}

/// Holds all samples of an event against a schema; gives how many there are.
fn samples_fit(event: &EventSchema, schema: &Value) -> usize {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/events");
    let validator = jsonschema::validator_for(schema).unwrap();
    let beginning = format!("{}.v{}.", event.name, event.version);
    let mut checked = 0;
    for entry in std::fs::read_dir(samples.join(event.kind.as_str())).unwrap() {
        let path = entry.unwrap().path();
        if !path.file_name().unwrap().to_str().unwrap().starts_with(&beginning) {
            continue;
        }
        let sample = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let errors: Vec<_> =
            validator.iter_errors(&sample).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", path.display());
        checked += 1;
    }
    checked
}

/// The samples are of every event, with and without what is optional.
#[test]
fn every_sample_fits_its_schema() {
    for event in schemas() {
        let checked = samples_fit(&event, event.schema.as_value());
        assert!(checked > 0, "no sample of {} version {}", event.name, event.version);
    }
}

/// Schemas are open: what they forgot to name would fit all the same.
#[test]
fn a_sample_holds_nothing_that_its_schema_does_not_name() {
    for event in schemas() {
        let mut schema = event.schema.as_value().clone();
        close(&mut schema);
        samples_fit(&event, &schema);
    }
}

/// Leaves no room for members that are not named.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(schema) => {
            let is_object = schema.get("type").is_some_and(|name| name == "object");
            for (name, part) in schema.iter_mut() {
                // The variants of a flattened enum are closed by the whole.
                let flattened = is_object && ["oneOf", "anyOf", "allOf"].contains(&name.as_str());
                if !flattened {
                    close(part);
                }
            }
            if is_object && !schema.contains_key("additionalProperties") {
                schema.insert("unevaluatedProperties".to_owned(), json!(false));
            }
        }
        Value::Array(parts) => parts.iter_mut().for_each(close),
        _ => {}
    }
}

#[test]
fn a_schema_refuses_what_is_not_the_event() {
    for event in schemas() {
        let validator = jsonschema::validator_for(event.schema.as_value()).unwrap();
        assert!(!validator.is_valid(&json!("text")), "{}", event.name);
        if event.schema.get("required").is_some() {
            assert!(!validator.is_valid(&json!({})), "{}", event.name);
        }
        let more = json!({ "a_member_of_the_future": 1 });
        let open = event.schema.get("additionalProperties").is_none();
        assert!(open, "{} leaves no room: {more}", event.name);
    }
}

#[test]
fn no_two_events_have_one_name() {
    let names: BTreeSet<_> =
        schemas().iter().map(|event| type_name(event.kind, event.name, event.version)).collect();
    assert_eq!(names.len(), schemas().len());
    assert!(names.contains("chancery.grant.CodeRedeemed.v1"));
}

/// The current one is the last, and none before it is forgotten.
#[test]
fn versions_of_an_event_are_counted_from_one() {
    let all = schemas();
    for current in all.iter().filter(|event| event.is_current) {
        let same = |event: &&EventSchema| (event.kind, event.name) == (current.kind, current.name);
        let versions: Vec<_> =
            all.iter().filter(same).map(|event| (event.version, event.is_current)).collect();
        let last: usize = current.version.parse().unwrap();
        let numbers: Vec<_> = (1..=last).map(|number| number.to_string()).collect();
        let expected: Vec<_> =
            (1..=last).zip(&numbers).map(|(n, number)| (number.as_str(), n == last)).collect();
        assert_eq!(versions, expected, "{}", current.name);
    }
}

#[test]
fn what_breaks_a_promise_is_found() {
    let promised = json!({
        "type": "object",
        "properties": {
            "at": { "type": "integer", "format": "int64" },
            "why": { "type": ["string", "null"] },
            "kind": { "enum": ["a", "b"], "type": "string" },
            "parts": { "type": "array", "items": { "$ref": "#/$defs/Part" } },
        },
        "required": ["at"],
        "$defs": { "Part": { "type": "object", "properties": { "n": { "type": "string" } } } },
    });
    let changed = |pointer: &str, value: Value| {
        let mut now = promised.clone();
        *now.pointer_mut(pointer).unwrap() = value;
        broken(&promised, &now)
    };
    for (pointer, value) in [
        ("/type", json!("string")),
        ("/required", json!([])),
        ("/properties", json!({})),
        ("/properties/at/type", json!("string")),
        ("/properties/at/format", json!("int32")),
        ("/properties/kind/enum", json!(["a"])),
        ("/properties/parts", json!({ "type": "array" })),
        ("/properties/parts/items", json!({ "type": "string" })),
        ("/$defs/Part/properties", json!({})),
        ("/$defs/Part/properties/n/type", json!(["string", "null"])),
    ] {
        assert!(!changed(pointer, value.clone()).is_empty(), "{pointer} {value}");
    }
    for (pointer, value) in [
        ("/required", json!(["at", "why"])),
        ("/properties/why/type", json!("string")),
        ("/properties/kind/enum", json!(["a", "b", "c"])),
        ("/$defs/Part/properties", json!({ "n": { "type": "string" }, "m": {} })),
    ] {
        assert_eq!(changed(pointer, value.clone()), Vec::<String>::new(), "{pointer} {value}");
    }
    let mut more = promised.clone();
    more["properties"]["new"] = json!({ "type": "string" });
    more["description"] = json!("In other words.");
    assert_eq!(broken(&promised, &more), Vec::<String>::new());
}

/// Each is what a refactoring can bring about, and hides behind a reference.
#[test]
fn what_breaks_a_promise_is_found_behind_references() {
    let defs = |properties: Value, defs: Value| json!({ "type": "object", "properties": properties, "$defs": defs });
    let part = |name: &str| json!({ "$ref": format!("#/$defs/{name}") });
    let text = json!({ "type": "string" });
    let number = json!({ "type": "integer" });
    for (promised, now) in [
        (
            defs(json!({ "a": part("A") }), json!({ "A": part("B"), "B": text })),
            defs(json!({ "a": part("A") }), json!({ "A": part("B"), "B": number })),
        ),
        (
            defs(json!({ "a": text, "b": number }), json!({})),
            defs(json!({ "a": part("A"), "b": part("A") }), json!({ "A": text })),
        ),
        (
            defs(json!({ "a": part("A"), "b": part("A") }), json!({ "A": text })),
            defs(json!({ "a": text, "b": number }), json!({})),
        ),
        (
            json!({ "$ref": "#/$defs/A", "properties": { "a": text }, "$defs": { "A": {} } }),
            json!({ "$ref": "#/$defs/A", "$defs": { "A": {} } }),
        ),
    ] {
        assert!(!broken(&promised, &now).is_empty(), "{promised} {now}");
    }
}

#[test]
fn a_schema_that_was_open_stays_open() {
    let promised = json!({ "type": "object", "properties": {} });
    for closed in [json!(false), json!({ "type": "string" })] {
        let mut now = promised.clone();
        now["additionalProperties"] = closed;
        assert!(!broken(&promised, &now).is_empty(), "{now}");
    }
}

#[test]
fn a_variant_may_come_but_not_another_type() {
    let object = json!({ "type": "object" });
    let promised = json!({ "anyOf": [object, object] });
    let with = |variant: Value| broken(&promised, &json!({ "anyOf": [object, object, variant] }));
    assert_eq!(with(object.clone()), Vec::<String>::new());
    for variant in [json!({ "type": "null" }), json!({ "type": "string" }), json!({})] {
        assert!(!with(variant.clone()).is_empty(), "{variant}");
    }
}
