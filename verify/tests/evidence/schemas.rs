//! The schemas that a bundle brings along say what the program reads.

use std::collections::BTreeSet;

use chancery_verify::format::names;
use serde_json::Value;

use crate::bundles::*;

fn schema(name: &str) -> Value {
    let path = format!("{}/schemas/{name}.schema.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn names_of(object: &Value) -> BTreeSet<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn each_schema_has_the_members_of_its_file() {
    let bundle = Log::example().bundle_since(7).all();
    let first = |name: &str| -> Value {
        let text = String::from_utf8(bundle[name].clone()).unwrap();
        let text = if name.ends_with("ndjson") { text.lines().next().unwrap() } else { &text };
        serde_json::from_str(text).unwrap()
    };
    for (name, file) in [
        ("manifest", names::MANIFEST),
        ("event", names::EVENTS),
        ("proof", names::PROOFS),
        ("head", names::HEADS),
        ("consistency", names::CONSISTENCY),
    ] {
        assert_eq!(names_of(&schema(name)["properties"]), names_of(&first(file)), "{name}");
    }
    for (name, file) in
        [("checkpoint-keys", names::CHECKPOINT_KEYS), ("signing-keys", names::SIGNING_KEYS)]
    {
        let (schema, keys) = (schema(name), first(file));
        let known = names_of(&schema["properties"]["keys"]["items"]["properties"]);
        let written = names_of(&keys["keys"][0]);
        assert!(written.is_subset(&known), "{name}: {written:?}");
        assert!(written.len() + 2 >= known.len(), "{name}: {known:?}");
    }
    assert_eq!(schema("envelope")["required"][0], "command_id");
}
