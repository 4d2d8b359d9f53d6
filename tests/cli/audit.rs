//! `chancery audit`, on what `chancery sample` made up

use std::sync::LazyLock;

use serde_json::Value;

use crate::program::{DONE, Data, NOT_FOUND, REFUSED, USAGE, run};

/// A store with a history, for all of these tests: they only read it.
static SAMPLE: LazyLock<Data> = LazyLock::new(|| {
    let data = Data::new();
    let made = data
        .run(&["sample", "--grants", "1500", "--clients", "8", "--days", "20", "--json"])
        .json();
    assert_eq!(made["grants"], 1500);
    data
});

fn ask(arguments: &[&str]) -> Value {
    let arguments = [&["audit"], arguments, &["--json"]].concat();
    let answer = SAMPLE.run(&arguments).json();
    assert!(answer["as_of"]["position"].as_u64().unwrap() > 1500, "{}", answer["as_of"]);
    answer
}

/// As people see it: the answer, and what is said beside it.
fn told(arguments: &[&str]) -> (String, String) {
    let ended = SAMPLE.run(&[&["audit"], arguments].concat());
    assert_eq!(ended.code, DONE, "{ended:?}");
    (ended.out, ended.err)
}

fn items(answer: &Value) -> &Vec<Value> {
    answer["items"].as_array().unwrap()
}

/// All parts of a list.
fn all(arguments: &[&str], list: &str) -> Vec<Value> {
    let mut found = vec![];
    let mut after: Option<String> = None;
    loop {
        let mut arguments = arguments.to_vec();
        if let Some(after) = &after {
            arguments.extend(["--after", after]);
        }
        let answer = ask(&arguments);
        found.extend(answer[list].as_array().unwrap().iter().cloned());
        match answer["next"].as_str() {
            Some(next) => after = Some(next.to_owned()),
            None => return found,
        }
    }
}

/// The day, so many days ago, as the sample's history has it.
fn days_ago(days: u64) -> String {
    let newest = ask(&["incidents", "--limit", "1"]);
    let day = items(&newest)[0]["happened_at"].as_str().unwrap()[..10].to_owned();
    let date = time::Date::parse(&day, &time::format_description::well_known::Iso8601::DATE);
    (date.unwrap() - time::Duration::days(i64::try_from(days).unwrap())).to_string()
}

#[test]
fn a_made_up_history_holds_together() {
    let replayed = SAMPLE.run(&["replay", "--json"]).json();
    assert_eq!(replayed["differences"].as_array().map(Vec::len), Some(0), "{replayed}");
    for model in replayed["projections"].as_array().unwrap() {
        assert_eq!(model["verdict"], "matches", "{model}");
    }
    let grants = SAMPLE.run(&["grant", "list", "--limit", "2000", "--json"]).json();
    assert_eq!(grants.as_array().unwrap().len(), 1500);
}

#[test]
fn the_same_seed_makes_the_same_history_and_only_in_an_empty_store() {
    let history = |seed| {
        let data = Data::new();
        let made = ["sample", "--grants", "50", "--seed", seed, "--clients", "4", "--log-only"];
        data.run(&made).done();
        let again = data.run(&["sample", "--grants", "1"]).fails(REFUSED);
        assert!(again.contains("has a history already"), "{again}");
        let grants = data.events().into_iter().filter(|own| own["aggregate_type"] == "grant");
        grants.map(|own| own["event_type"].to_string()).collect::<Vec<_>>()
    };
    assert_eq!(history("3"), history("3"));
    assert_ne!(history("3"), history("4"));
}

#[test]
fn a_folder_that_is_not_there_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("new");
    let data = data.to_str().unwrap();
    run(&["sample", "--grants", "20", "--data", data]).done();
    run(&["replay", "--data", data]).done();
}

#[test]
fn access_on_a_day_is_that_of_the_grants_alive_then() {
    let day = days_ago(5);
    let found = all(&["access", "--on", &day, "--limit", "100"], "items");
    assert!(found.len() > 50, "{}", found.len());
    let ids: std::collections::BTreeSet<_> =
        found.iter().map(|item| item["grant_id"].to_string()).collect();
    assert_eq!(ids.len(), found.len(), "each once");
    for item in &found {
        let from = item["from"]["happened_at"].as_str().unwrap();
        let until = item["until"].as_str().unwrap();
        assert!(from[..10] <= *day && until[..10] >= *day, "{item}");
        if item.get("subject").is_some() {
            assert!(item["consent"]["rests_on"]["grant_id"].is_string(), "{item}");
        }
    }
    // All grants, looked at one by one, say the same.
    let grants = SAMPLE.run(&["grant", "list", "--limit", "2000", "--json"]).json();
    let begins = format!("{day}T00:00:00.000Z");
    let expected = grants.as_array().unwrap().iter().filter(|grant| {
        let id = grant["grant_id"].as_str().unwrap();
        let created = grant["created_at"].as_i64().unwrap();
        // Far from the ends of the day, where seconds would count.
        let noon =
            time::OffsetDateTime::parse(&begins, &time::format_description::well_known::Rfc3339);
        let noon = noon.unwrap().unix_timestamp() + 43_200;
        let lives = grant["expires_at"].as_i64().is_some_and(|end| end > noon);
        let had_tokens = matches!(grant["state"].as_str(), Some("active"));
        had_tokens && created < noon - 60 && lives && !id.is_empty()
    });
    for grant in expected {
        assert!(ids.contains(&grant["grant_id"].to_string()), "{grant}");
    }
    let client = found[0]["client_id"].as_str().unwrap();
    let of_client = all(&["access", "--on", &day, "--client", client, "--limit", "100"], "items");
    let own = found.iter().filter(|item| item["client_id"] == client).count();
    assert_eq!(of_client.len(), own);
    let (out, err) = told(&["access", "--on", &day, "--limit", "3"]);
    assert!(out.contains("by consent") && err.contains("true at position"), "{out}{err}");
    assert!(err.contains("--after "), "{err}");
}

#[test]
fn incidents_name_what_was_revoked() {
    let found = all(&["incidents", "--limit", "100"], "items");
    let of_kind = |kind: &str| found.iter().filter(|own| own["kind"] == kind).collect::<Vec<_>>();
    let replayed = of_kind("code_replayed");
    assert!(!replayed.is_empty() && !of_kind("wrong_client").is_empty(), "{found:?}");
    for incident in replayed {
        assert_eq!(incident["revoked"]["grant"]["cause"], "code_replayed");
    }
    let grant = found[0]["grant_id"].as_str().unwrap();
    let one = ask(&["incidents", "--grant", grant]);
    assert_eq!(items(&one)[0], found[0]);
    let only = ask(&["incidents", "--kind", "code_replayed"]);
    assert!(items(&only).iter().all(|own| own["kind"] == "code_replayed"));
    let (out, _) = told(&["incidents", "--kind", "code_replayed"]);
    assert!(out.contains("the grant"), "{out}");
}

#[test]
fn a_grant_and_its_lineage_are_told_to_people() {
    let incident = ask(&["incidents", "--kind", "code_replayed", "--limit", "1"]);
    let grant = items(&incident)[0]["grant_id"].as_str().unwrap().to_owned();
    let subject = items(&incident)[0]["subject"].as_str().unwrap().to_owned();
    let client = items(&incident)[0]["client_id"].as_str().unwrap().to_owned();
    let (tree, _) = told(&["lineage", "--grant", &grant]);
    for words in
        ["code, until", "PRESENTED AGAIN", "access token 1 (JWT, key", "ended: code_replayed"]
    {
        assert!(tree.contains(words), "{words} in {tree}");
    }
    let (all, _) = told(&["lineage", "--subject", &subject, "--client", &client]);
    assert!(all.starts_with("consent ") && all.contains(&grant), "{all}");
    let (now, _) = told(&["grant", &grant]);
    assert!(now.contains("revoked") && now.contains("SHA-256 of the text"), "{now}");
    let told_now = ask(&["grant", &grant]);
    let position = told_now["events"][0]["position"].to_string();
    let then = ask(&["grant", &grant, "--position", &position]);
    assert_eq!((&then["more_since"], then["events"].as_array().unwrap().len()), (&true.into(), 1));
}

#[test]
fn a_client_s_end_names_the_grants_that_it_ended() {
    let clients = SAMPLE.run(&["client", "list", "--json"]).json();
    let disabled = clients.as_array().unwrap().iter().find(|client| client["state"] == "disabled");
    let client = disabled.expect("one is switched off")["client_id"].as_str().unwrap();
    let changes = ask(&["client", client]);
    let last = items(&changes).last().unwrap();
    assert_eq!(last["event_type"], "ClientDisabled");
    assert_eq!(last["reason"], "its secret has leaked");
    let reference = last["reference"].as_str().unwrap();
    let ended = all(&["cascade", reference], "grants");
    for grant in &ended {
        assert_eq!(grant["revoked"]["cause"], "client_disabled");
        assert_eq!(grant["revoked"]["because_of"], reference);
    }
    let (out, _) = told(&["client", client]);
    assert!(out.contains("redirect_uris: nothing →"), "{out}");
    let (out, _) = told(&["cascade", reference]);
    assert!(out.contains("The client was disabled"), "{out}");
}

#[test]
fn what_a_key_signed_is_told_for_each_client() {
    let keys = SAMPLE.run(&["key", "list", "--json"]).json();
    let keys: Vec<_> = keys.as_array().unwrap().iter().map(|key| &key["kid"]).collect();
    assert!(keys.len() > 1, "it was replaced: {keys:?}");
    let mut all_grants = std::collections::BTreeSet::new();
    for key in keys {
        let key = key.as_str().unwrap();
        let grants = all(&["signed-by", key, "--limit", "500"], "grants");
        for grant in &grants {
            assert!(!grant["tokens"].as_array().unwrap().is_empty(), "{grant}");
            all_grants.insert(grant["grant_id"].to_string());
        }
        let of_client =
            all(&["signed-by", key, "--client", "service-001", "--limit", "500"], "grants");
        let own = grants.iter().filter(|grant| grant["client_id"] == "service-001").count();
        assert_eq!(of_client.len(), own);
    }
    assert!(all_grants.len() > 1200, "{}", all_grants.len());
    let (out, _) = told(&["alive"]);
    assert!(out.contains("lives on for"), "{out}");
}

#[test]
fn what_is_not_there_or_can_t_be_is_said_so() {
    let unknown = "0123456789abcdef0123456789abcdef";
    for (arguments, code) in [
        (vec!["access"], USAGE),
        (vec!["access", "--on", "yesterday"], USAGE),
        (vec!["access", "--on", "2026-05-01", "--after", "x"], USAGE),
        (vec!["lineage"], USAGE),
        (vec!["lineage", "--subject", unknown], USAGE),
        (vec!["lineage", "--grant", unknown], NOT_FOUND),
        (vec!["lineage", "--consent", unknown], NOT_FOUND),
        (vec!["incidents", "--kind", "theft"], USAGE),
        (vec!["signed-by", "unknown"], NOT_FOUND),
        (vec!["grant", unknown], NOT_FOUND),
        (vec!["grant", unknown, "--at", "1", "--position", "2"], USAGE),
        (vec!["client", "nobody"], NOT_FOUND),
        (vec!["cascade", "client"], USAGE),
        (vec!["cascade", "client/nobody/1"], NOT_FOUND),
        (vec!["alive", "--grant", unknown], NOT_FOUND),
    ] {
        SAMPLE.run(&[vec!["audit"], arguments].concat()).fails(code);
    }
    let help = run(&["audit", "--help"]).done();
    for question in ["access", "lineage", "incidents", "signed-by", "grant", "client", "alive"] {
        assert!(help.contains(question), "{question}");
    }
}
