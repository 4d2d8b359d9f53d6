//! The settings, from every source, right and wrong.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;

use chancery_domain::client::AccessTokenFormat;
use chancery_domain::time::Lifetime;
use server::Issuer;
use store::Location;
use value::TextSetting as _;

use super::*;

/// The least that can be given; line 2 is the issuer.
const LEAST: &str = "\
[server]
issuer = \"https://login.example.com\"
[store]
url = \"sqlite:///var/lib/chancery\"
[master_key]
file = \"/etc/chancery/master.key\"
";

fn load(text: impl Into<String>) -> Result<Loaded, Problems> {
    Config::load(&Sources::of_text("chancery.toml", text))
}

fn good(text: impl Into<String>) -> Config {
    load(text).unwrap_or_else(|problems| panic!("{problems}")).config
}

/// The settings alone, wherever each came from.
fn settled(config: Config) -> Config {
    Config { in_force: vec![], ..config }
}

/// The problems of the least settings with these lines after them, from line 7.
fn wrong(more: &str) -> Vec<String> {
    lines(load(format!("{LEAST}{more}")).map(|loaded| panic!("{:?}", loaded.config)))
}

fn lines(result: Result<Loaded, Problems>) -> Vec<String> {
    let problems = result.unwrap_err().to_string();
    problems.replace("\n    ", " > ").lines().map(str::to_owned).collect()
}

fn with_variable(name: &str, value: &str) -> Result<Loaded, Problems> {
    Config::load(&Sources::of_text("chancery.toml", LEAST).with_variable(name, value))
}

/// The comments of `config show --defaults` are a public text.
#[test]
fn the_defaults_are_documented() {
    insta::assert_snapshot!(show::defaults());
}

#[test]
fn the_documented_defaults_parse_to_the_defaults() {
    let documented = show::defaults();
    let as_printed = settled(good(documented.clone()));
    let least = settled(good(LEAST));
    let uncommented: String =
        uncomment(&documented, |setting| setting.presence == declaration::Presence::Default);
    let written = settled(good(uncommented.clone()));
    assert_eq!(as_printed, written);
    assert_eq!(as_printed, least);
    // The comparison is worth something only if the lines are really there.
    let expected = SECTIONS
        .iter()
        .filter(|section| !section.keyed)
        .flat_map(|section| section.settings)
        .filter(|setting| setting.presence == declaration::Presence::Default);
    let sources = Sources::of_text("chancery.toml", uncommented).collect();
    for setting in expected {
        assert!(sources.sections[setting.section].contains_key(setting.name), "{}", setting.name);
    }
}

/// The documented text with the marks taken from these settings' lines.
fn uncomment(text: &str, which: impl Fn(&declaration::Setting) -> bool) -> String {
    let mut section = "";
    let mut result = String::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
        }
        if line.starts_with("#[") {
            break;
        }
        let marked = line.strip_prefix('#').and_then(|rest| {
            let (name, _) = rest.split_once(" = ")?;
            let settings = SECTIONS.iter().find(|s| s.name == section)?.settings;
            settings.iter().find(|setting| setting.name == name).filter(|s| which(s)).map(|_| rest)
        });
        result.push_str(marked.unwrap_or(line));
        result.push('\n');
    }
    result
}

#[test]
fn every_example_is_good_and_every_setting_is_documented() {
    for section in SECTIONS {
        assert!(!section.doc.trim().is_empty(), "[{}]", section.name);
        for setting in section.settings {
            assert!(setting.doc.trim().ends_with('.'), "{}.{}", setting.section, setting.name);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    fs::write(&password, "secret\n").unwrap();
    // Each optional setting alone, since some exclude each other.
    for (section, setting) in SECTIONS.iter().flat_map(|s| s.settings.iter().map(move |x| (s, x))) {
        if setting.presence != declaration::Presence::Optional {
            continue;
        }
        let example =
            setting.text.replace("/etc/chancery/postgres-password", password.to_str().unwrap());
        let mut text = LEAST.replace("sqlite:///var/lib/chancery", "postgres://db.example/c");
        if section.name == "master_key" {
            text = text.replace("file = \"/etc/chancery/master.key\"\n", "");
        }
        let heading = format!("[{}]\n", section.name);
        good(text.replace(&heading, &format!("{heading}{} = {example}\n", setting.name)));
    }
    good(format!("{LEAST}[scopes.x]\ndescription = {}", scopes::ScopeText::SETTINGS[0].text));
}

#[test]
fn no_two_settings_share_a_variable() {
    let all: Vec<_> = SECTIONS.iter().flat_map(SectionInfo::variables).collect();
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    assert!(all.contains(&"CHANCERY_SERVER_ISSUER".to_owned()));
}

#[test]
fn all_syntax_errors_are_found_with_their_lines() {
    let problems = lines(load("[server\nworkers = 2\n[store]\nurl = \"x\n"));
    assert!(problems.iter().any(|line| line.starts_with("chancery.toml:1:8: ")), "{problems:?}");
    assert!(problems.iter().any(|line| line.starts_with("chancery.toml:4:9: ")), "{problems:?}");
}

#[test]
fn a_repeated_setting_is_found() {
    let problems = lines(load(LEAST.replace("[store]", "issuer = \"https://b.example\"\n[store]")));
    assert_eq!(problems.len(), 1);
    assert!(problems[0].starts_with("chancery.toml:3:1: duplicate key"), "{problems:?}");
}

#[test]
fn all_problems_are_found_at_once_in_the_order_of_the_file() {
    let problems = wrong(
        "[tokens]\n\
         acces_token_lifetime = 300\n\
         id_token_lifetime = \"3600\"\n\
         authorization_code_lifetime = 900\n\
         access_token_format = \"opaqe\"\n\
         [sesions]\n\
         [keys]\n\
         extra_algorithms = [\"RS256\", \"plain\", 3]\n\
         require_par = true\n",
    );
    assert_eq!(
        problems,
        [
            "chancery.toml:8:1: tokens.acces_token_lifetime: is no setting > did you mean \
             access_token_lifetime?",
            "chancery.toml:9:21: tokens.id_token_lifetime: is a string where a number belongs > \
             write it without quotes: id_token_lifetime = 3600",
            "chancery.toml:10:31: tokens.authorization_code_lifetime: 900 is out of range > give \
             seconds from 1 to 600",
            "chancery.toml:11:23: tokens.access_token_format: \"opaqe\" is not known here > did \
             you mean \"opaque\"? give one of: jwt, opaque",
            "chancery.toml:12:2: sesions: is no section > did you mean [sessions]?",
            "chancery.toml:14:30: keys.extra_algorithms: \"plain\" is not known here > give one \
             of: ES256, RS256, EdDSA, ES384, ES512, RS384, RS512, PS256, PS384, PS512",
            "chancery.toml:14:39: keys.extra_algorithms: is a number where a string belongs > for \
             example: extra_algorithms = []",
            "chancery.toml:15:1: keys.require_par: is no setting > it belongs below \
             [authorization]",
        ]
    );
}

#[test]
fn what_is_missing_is_said_at_its_section() {
    assert_eq!(
        lines(load("[server]\nworkers = 2\n")),
        [
            "chancery.toml: store.url: is missing > for example: url = \
             \"sqlite:///var/lib/chancery\"",
            "chancery.toml: master_key.file: is missing, and so are command and env: the master \
             key must come from somewhere > for example: file = \"/etc/chancery/master.key\"",
            "chancery.toml:1:2: server.issuer: is missing > for example: issuer = \
             \"https://login.example.com\"",
        ]
    );
}

#[test]
fn wrong_types_say_what_belongs() {
    for (more, expected) in [
        ("[authorization]\nrequire_par = \"true\"", "write it without quotes: require_par = true"),
        ("[authorization]\nrequire_par = 1", "is a number where true or false belongs"),
        (
            "[keys]\nextra_algorithms = \"RS256\"",
            "put it in brackets: extra_algorithms = [\"RS256\"]",
        ),
        ("[log]\nfilter = 3", "is a number where a string belongs"),
        ("[tokens]\nid_token_lifetime = 1.5", "is a fraction where a number belongs"),
        ("[tokens]\nid_token_lifetime = 99999999999999999999", "too big a number"),
        ("[tokens]\nid_token_lifetime = -1", "-1 is out of range"),
        ("[login]\nmax_delay = 2026-01-01", "is a date where"),
        ("[[tokens]]", "is a list where a table belongs"),
        ("[scopes]\nx = 1", "is not a table"),
        ("[scopes.x]", "scopes.x.description: is missing"),
        ("[scopes.\"a b\"]\ndescription = \"x\"", "is not a name that a scope can have"),
        ("[scopes.x]\ndescription = \"x\"\nclaim = []", "did you mean claims?"),
        ("[log]\nfilter = \"verbose\"", "\"verbose\" is not a level"),
        ("[log]\nfilter = \"chancery=loud\"", "is not a filter"),
        ("[http]\ncors_extra_origins = [\"*\"]", "would allow every site"),
        ("[http]\ncors_extra_origins = [\"https://a.example/\"]", "write it as https://a.example"),
        ("[http]\nmax_body_bytes = 1", "give a number from 1024 to 16777216"),
    ] {
        let problems = wrong(more);
        assert_eq!(problems.len(), 1, "{more}: {problems:?}");
        assert!(problems[0].contains(expected), "{more}: {problems:?}");
    }
}

/// RFC 8414 §2
#[test]
fn an_issuer_is_https_and_in_its_normal_form() {
    for text in [
        "https://login.example.com",
        "https://login.example.com:8443/tenant/a",
        "http://localhost:8080",
        "http://127.0.0.1",
        "http://[::1]:8080",
    ] {
        let issuer = Issuer::parse(text, Path::new("")).unwrap();
        assert_eq!(issuer.as_str(), text);
        assert_eq!(issuer.endpoint("/token"), format!("{text}/token"));
    }
    for (text, part) in [
        ("login.example.com", "not a URL"),
        ("http://login.example.com", "make it https"),
        ("http://localhost.example.com", "make it https"),
        ("ftp://login.example.com", "has the scheme ftp"),
        ("mailto:a@example.com", "has no host"),
        ("https://login.example.com?x=1", "query or a fragment"),
        ("https://login.example.com#x", "query or a fragment"),
        ("https://me@login.example.com", "user name"),
        ("https://login.example.com/", "write it as https://login.example.com"),
        ("https://LOGIN.example.com:443", "write it as https://login.example.com"),
    ] {
        let refusal = Issuer::parse(text, Path::new("")).unwrap_err();
        let said = format!("{} > {}", refusal.message, refusal.remedy);
        assert!(said.contains(part), "{text}: {said}");
    }
}

#[test]
fn what_is_good_alone_may_contradict() {
    for (from, to, expected) in [
        (
            "[store]",
            "listen = [\"127.0.0.1:8080\", \"0.0.0.0:80\"]\n[store]",
            "chancery.toml:3:10: server.listen: 0.0.0.0:80 is not a loopback address",
        ),
        ("[store]", "listen = []\n[store]", "chancery.toml:3:10: server.listen: is empty"),
        (
            "https://login.example.com\"",
            "http://localhost\"\nbehind_tls_proxy = true",
            "chancery.toml:2:10: server.issuer: is an http URL, but",
        ),
        (
            "[store]",
            "trusted_proxies = [\"10.0.0.0/8\", \"0.0.0.0/0\"]\n[store]",
            "chancery.toml:3:34: server.trusted_proxies: 0.0.0.0/0 would believe anyone",
        ),
        (
            "[master_key]",
            "password = \"x\"\n[master_key]",
            "chancery.toml:5:12: store.password: is given, but SQLite has no password",
        ),
        (
            "sqlite:///var/lib/chancery\"",
            "postgres://a:b@db/c\"\npassword = \"x\"",
            "chancery.toml:5:12: store.password: is given, but the URL",
        ),
        ("sqlite:///var/lib", "sqlite:/var/lib", "chancery.toml:4:7: store.url: is neither"),
        ("sqlite:///var", "sqlite:///var?mode=rw", "chancery.toml:4:7: store.url: has ?"),
        (
            "[master_key]",
            "[master_key]\nenv = \"KEY\"",
            "chancery.toml:6:7: master_key.env: is given besides master_key.file",
        ),
        (
            "file = \"/etc/chancery/master.key\"",
            "command = []",
            "chancery.toml:6:11: master_key.command: is empty",
        ),
        (
            "file = \"/etc/chancery/master.key\"",
            "env = \"c2VjcmV0IQ==\"",
            "chancery.toml:6:7: master_key.env: is not the name",
        ),
        (
            "[server]",
            "[tokens]\nrefresh_token_absolute_lifetime = 60\n[server]",
            "chancery.toml:2:35: tokens.refresh_token_absolute_lifetime: is shorter",
        ),
        (
            "[server]",
            "[authorization]\nrequire_par = true\npar_public_clients = false\n[server]",
            "chancery.toml:3:22: authorization.par_public_clients: is false while",
        ),
    ] {
        let problems = lines(load(LEAST.replacen(from, to, 1)));
        assert_eq!(problems.len(), 1, "{to}: {problems:?}");
        assert!(problems[0].starts_with(expected), "{to}: {problems:?}");
    }
}

#[test]
fn variables_win_over_the_file() {
    let text = format!("{LEAST}[tokens]\naccess_token_lifetime = 60\n");
    let sources = Sources::of_text("chancery.toml", text)
        .with_variable("CHANCERY_TOKENS_ACCESS_TOKEN_LIFETIME", "90")
        .with_variable("CHANCERY_TOKENS_ACCESS_TOKEN_FORMAT", "opaque")
        .with_variable("CHANCERY_AUTHORIZATION_REQUIRE_PAR", "true")
        .with_variable("CHANCERY_SERVER_LISTEN", "127.0.0.1:1, [::1]:2")
        .with_variable("CHANCERY_KEYS_EXTRA_ALGORITHMS", "[\"RS256\", \"EdDSA\"]")
        .with_variable("CHANCERY_SCOPES", "{ \"a:b\" = { description = \"see\" } }")
        .with_variable("HOME", "/root");
    let loaded = Config::load(&sources).unwrap();
    let config = &loaded.config;
    assert_eq!(config.tokens.access_token_lifetime, Lifetime::from_seconds(90));
    assert_eq!(config.tokens.access_token_format, AccessTokenFormat::Opaque);
    assert!(config.authorization.require_par);
    assert_eq!(config.server.addresses().len(), 2);
    assert_eq!(config.keys.algorithms().len(), 3);
    assert_eq!(config.scopes["a:b"].description, "see");
    let shown = show::effective_toml(&loaded.config.in_force, Some("chancery.toml"));
    for (setting, from) in [
        ("issuer = \"https://login.example.com\"", "chancery.toml:2"),
        ("access_token_lifetime = 90", "CHANCERY_TOKENS_ACCESS_TOKEN_LIFETIME"),
        ("id_token_lifetime = 3600", "default"),
        ("description = \"see\"", "CHANCERY_SCOPES"),
    ] {
        let line = shown.lines().find(|line| line.starts_with(setting)).unwrap();
        assert!(line.ends_with(&format!("# {from}")), "{line}");
    }
    assert!(shown.contains("# node is not set"));
    assert!(shown.contains("[scopes.\"a:b\"]"));
}

#[test]
fn what_is_shown_is_the_same_settings_again() {
    let loaded = load(format!("{LEAST}[scopes.\"a:b\"]\ndescription = \"see\"\n")).unwrap();
    let again = good(show::effective_toml(&loaded.config.in_force, None));
    // What is not the same is where it was written.
    let in_force = loaded.config.in_force.clone();
    assert_eq!(Config { in_force, ..again }, loaded.config);
}

#[test]
fn everything_can_come_from_variables() {
    let sources = Sources::default()
        .with_variable("CHANCERY_SERVER_ISSUER", "https://login.example.com")
        .with_variable("CHANCERY_STORE_URL", "sqlite:///var/lib/chancery")
        .with_variable("CHANCERY_MASTER_KEY_FILE", "/etc/chancery/master.key");
    assert_eq!(settled(Config::load(&sources).unwrap().config), settled(good(LEAST)));
}

#[test]
fn a_variable_that_sets_nothing_is_an_error() {
    for (name, value, expected) in [
        (
            "CHANCERY_TOKEN_ACCESS_TOKEN_LIFETIME",
            "60",
            "CHANCERY_TOKEN_ACCESS_TOKEN_LIFETIME: is no setting > did you mean \
             CHANCERY_TOKENS_ACCESS_TOKEN_LIFETIME?",
        ),
        ("CHANCERY_ZZZ", "60", "CHANCERY_ZZZ: is no setting > unset it;"),
        (
            "CHANCERY_TOKENS_ACCESS_TOKEN_LIFETIME",
            "soon",
            "CHANCERY_TOKENS_ACCESS_TOKEN_LIFETIME: tokens.access_token_lifetime: is a string \
             where a number belongs > for example: CHANCERY_TOKENS_ACCESS_TOKEN_LIFETIME = 300",
        ),
        (
            "CHANCERY_SERVER_LISTEN",
            "127.0.0.1:80,here",
            "CHANCERY_SERVER_LISTEN: server.listen: \"here\" is not an address and a port",
        ),
        ("CHANCERY_SCOPES", "x", "CHANCERY_SCOPES: scopes: is not TOML"),
    ] {
        let problems = lines(with_variable(name, value));
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with(expected), "{problems:?}");
    }
}

#[test]
fn a_variable_named_for_the_master_key_is_no_error() {
    let text =
        LEAST.replace("file = \"/etc/chancery/master.key\"", "env = \"CHANCERY_MASTER_KEY\"");
    let sources =
        Sources::of_text("chancery.toml", text).with_variable("CHANCERY_MASTER_KEY", "00");
    assert!(Config::load(&sources).is_ok());
    assert!(with_variable("CHANCERY_MASTER_KEY", "00").is_err());
}

/// A Kubernetes service called "chancery" puts these into every container.
#[test]
fn service_links_are_no_errors() {
    for name in [
        "CHANCERY_PORT",
        "CHANCERY_SERVICE_HOST",
        "CHANCERY_SERVICE_PORT_HTTP",
        "CHANCERY_PORT_8080_TCP_ADDR",
    ] {
        assert!(with_variable(name, "tcp://10.0.0.1:8080").is_ok(), "{name}");
    }
}

#[test]
fn no_secret_is_shown() {
    let text = LEAST.replace(
        "url = \"sqlite:///var/lib/chancery\"",
        "url = \"postgres://db.example/c\"\npassword = \"hunter2\"",
    );
    let loaded = load(&text).unwrap();
    let in_url =
        load(text.replace("\npassword = \"hunter2\"", "").replace("//db", "//u:hunter2@db"))
            .unwrap();
    let in_query =
        load(text.replace("\npassword = \"hunter2\"", "").replace("/c\"", "/c?password=hunter2\""))
            .unwrap();
    for loaded in [loaded, in_url, in_query] {
        assert!(!format!("{loaded:?}").contains("hunter2"));
        assert!(!show::effective_toml(&loaded.config.in_force, None).contains("hunter2"));
        let Location::Postgres(url) = loaded.config.store.location() else { panic!() };
        assert!(!format!("{url:?}").contains("hunter2"));
        #[expect(clippy::disallowed_methods, reason = "to see that it gets through")]
        let url = url.expose().to_owned();
        assert!(url.contains("hunter2"), "{url}");
    }
    // Nor by a message about it.
    let problems = lines(load(text.replace("\"hunter2\"", "[\"hunter2\"]")));
    assert!(!problems.concat().contains("hunter2"), "{problems:?}");
}

#[test]
fn a_password_file_is_read_beside_the_configuration_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("pw"), "p@ss word\n").unwrap();
    let text = LEAST.replace(
        "url = \"sqlite:///var/lib/chancery\"",
        "url = \"postgres://me@db.example/c\"\npassword_file = \"pw\"",
    );
    let file = folder.path().join("chancery.toml");
    let config = Config::load(&Sources::of_text(&file, &text)).unwrap().config;
    let Location::Postgres(url) = config.store.location() else { panic!() };
    #[expect(clippy::disallowed_methods, reason = "to see that it gets through")]
    let url = url.expose().to_owned();
    assert_eq!(url, "postgres://me:p%40ss%20word@db.example/c");

    let missing = lines(Config::load(&Sources::of_text(&file, text.replace("\"pw\"", "\"no\""))));
    assert!(missing[0].contains("can't be read"), "{missing:?}");
}

#[test]
fn relative_paths_start_at_the_file_that_names_them() {
    let text = LEAST.replace("/var/lib/", "data/").replace("/etc/chancery/", "");
    let loaded = Config::load(&Sources::of_text("/srv/chancery.toml", &text)).unwrap();
    assert_eq!(
        loaded.config.store.location(),
        Location::Sqlite(PathBuf::from("/srv/data/chancery"))
    );
    assert_eq!(loaded.config.master_key.file, Some(PathBuf::from("/srv/master.key")));
}

#[test]
fn only_named_proxies_are_trusted() {
    let text = LEAST.replace("[store]", "trusted_proxies = [\"10.1.0.0/16\", \"::1\"]\n[store]");
    let server = good(text).server;
    let trusts = |address: &str| server.trusts(address.parse::<IpAddr>().unwrap());
    assert!(trusts("10.1.2.3") && trusts("::ffff:10.1.2.3") && trusts("::1"));
    assert!(!trusts("10.2.0.1") && !trusts("127.0.0.1"));
}

#[test]
fn quickstart_is_its_own_issuer_on_loopback() {
    let loaded = Config::quickstart("localhost:9000", Path::new("some/data")).unwrap();
    let config = &loaded.config;
    assert_eq!(config.server.issuer.as_str(), "http://localhost:9000");
    let addresses: Vec<_> = config.server.addresses().iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["127.0.0.1:9000", "[::1]:9000"]);
    assert_eq!(config.store.location(), Location::Sqlite("some/data".into()));
    assert_eq!(config.master_key.file, Some("some/data/master.key".into()));
    let six = Config::quickstart("[::1]:9000", Path::new("d")).unwrap().config;
    assert_eq!(six.server.issuer.as_str(), "http://[::1]:9000");

    for (listen, part) in [
        ("0.0.0.0:8080", "is not a loopback address"),
        ("192.0.2.7:8080", "is not a loopback address"),
        ("example.com:8080", "is not an address and a port"),
        ("8080", "is not an address and a port"),
        ("localhost:0", "port 0"),
    ] {
        let problems = lines(Config::quickstart(listen, Path::new("d")));
        assert!(problems[0].starts_with("command line: --listen: "), "{problems:?}");
        assert!(problems[0].contains(part), "{problems:?}");
    }
}

#[test]
fn a_file_that_is_not_there_is_said_so() {
    let problems = Sources::of_process(Some(Path::new("/nowhere/chancery.toml"))).err().unwrap();
    assert!(problems.to_string().starts_with("/nowhere/chancery.toml: can't be read:"));
}

#[tokio::test]
async fn the_master_key_comes_from_a_file_or_a_command() {
    use master_key::{MasterKeyBytes, Source};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let seven = MasterKeyBytes::parse(&"07".repeat(32)).unwrap();
    for text in [
        format!("{}\n", "07".repeat(32)),
        "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=".to_owned(),
        " BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc\n".to_owned(),
    ] {
        fs::write(&path, text).unwrap();
        assert_eq!(Source::File(&path).obtain().await.unwrap(), seven);
    }
    let arguments = [path.to_str().unwrap().to_owned()];
    assert_eq!(Source::Command("cat", &arguments).obtain().await.unwrap(), seven);

    for bad in ["", "07", "+7".repeat(32).as_str(), "BwcHBwcH"] {
        fs::write(&path, bad).unwrap();
        let error = Source::File(&path).obtain().await.unwrap_err().to_string();
        assert!(error.contains("is not a master key"), "{error}");
    }
    let failed = Source::Command("false", &[]).obtain().await.unwrap_err().to_string();
    assert!(failed.contains("false, failed: exit status: 1"), "{failed}");
    assert!(Source::Environment("CHANCERY_NO_SUCH_KEY").obtain().await.is_err());
    assert_eq!(format!("{seven:?}"), "MasterKeyBytes(…)");
}

/// RFC 7518 §3.2: a secret is the client's own, so there is no key of the
/// server's for it.
#[test]
fn the_server_signs_with_no_shared_secret() {
    for setting in ["signing_algorithm = \"HS256\"", "extra_algorithms = [\"HS512\"]"] {
        let text = format!("{LEAST}[keys]\n{setting}\n");
        assert!(Config::load(&Sources::of_text("chancery.toml", text)).is_err(), "{setting}");
    }
}

#[test]
fn a_key_that_is_encrypted_to_does_for_all_algorithms_of_its_kind() {
    for (setting, names) in [
        ("", &["ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW"][..]),
        ("encryption_algorithms = [\"RSA-OAEP\"]", &["RSA-OAEP", "RSA-OAEP-256"]),
        ("encryption_algorithms = []", &[]),
    ] {
        let text = format!("{LEAST}[keys]\n{setting}\n");
        let keys = Config::load(&Sources::of_text("chancery.toml", text)).unwrap().config.keys;
        let found: Vec<_> =
            keys.key_management_algorithms().iter().map(|alg| alg.as_str()).collect();
        assert_eq!(found, names);
        assert_eq!(keys.all_algorithms().len(), 1 + names.len().min(1));
    }
    let text = format!("{LEAST}[keys]\nencryption_algorithms = [\"A128KW\"]\n");
    assert!(Config::load(&Sources::of_text("chancery.toml", text)).is_err());
}

#[test]
fn what_is_wrong_with_a_hook_is_said_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let good_script = file("good.rhai", "fn token(input) { #{} }");
    let bad_script = file("bad.rhai", "\nfn token(input) {\n  let\n}");
    let secret = "secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"";
    let url = "url = \"https://hooks.example.com/x\"";
    for (lines, expected) in [
        ("script = \"GOOD\"".to_owned(), "hooks.x.on: is missing"),
        ("on = []\nscript = \"GOOD\"".to_owned(), "hooks.x.on: names no point"),
        ("on = [\"tokens\"]\nscript = \"GOOD\"".to_owned(), "did you mean \"token\"?"),
        ("on = [\"token\"]".to_owned(), "give a script or a url"),
        (format!("on = [\"token\"]\nscript = \"GOOD\"\n{url}"), "leave one of them out"),
        ("on = [\"token\"]\nscript = \"BAD\"".to_owned(), "bad.rhai:4:"),
        ("on = [\"par\"]\nscript = \"GOOD\"".to_owned(), "has no function for the point par"),
        ("on = [\"token\"]\nscript = \"nowhere.rhai\"".to_owned(), "can't be read"),
        (format!("on = [\"token\"]\n{url}"), "holds no secret to sign by"),
        (format!("on = [\"token\"]\n{url}\nsecret = \"short\""), "holds no secret to sign by"),
        (format!("on = [\"discovery\"]\n{url}\n{secret}"), "discovery is for scripts"),
        (format!("on = [\"registration\"]\nclients = \"named\"\n{url}\n{secret}"), "no client is"),
        (format!("on = [\"par\"]\nsees_claims = true\n{url}\n{secret}"), "is for the point token"),
        (format!("on = [\"token\"]\nurl = \"ftp://x\"\n{secret}"), "is not such a URL"),
    ] {
        let lines = lines.replace("GOOD", &good_script).replace("BAD", &bad_script);
        let found = wrong(&format!("[hooks.x]\n{lines}\n")).join("\n");
        assert!(found.contains(expected), "{lines}\n{found}");
        assert!(found.contains("chancery.toml:"), "{found}");
    }
    let found = wrong(&format!("[hooks.\"a b\"]\non = [\"token\"]\n{url}\n{secret}\n")).join("\n");
    assert!(found.contains("is not a name that a hook can have"), "{found}");

    let config = good(format!(
        "{LEAST}[hooks.a]\non = [\"token\"]\nscript = \"{good_script}\"\n\
         [hooks.b]\non = [\"token\", \"par\"]\n{url}\n{secret}\n"
    ));
    assert_eq!(config.hooks["a"].on_failure, hooks::OnFailure::Closed);
    assert!(!format!("{config:?}").contains("MfKQ9r8"));
}
