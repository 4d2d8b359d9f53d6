//! Command lines as people type them.

use chancery_domain::client::AccessTokenFormat;
use chancery_domain::protocol::client_auth_method::ClientAuthMethod;
use chancery_domain::protocol::grant_type::GrantType;
use chancery_domain::protocol::response_type::ResponseType;
use chancery_domain::protocol::scope::Scope;
use clap::CommandFactory as _;

use super::*;

/// All commands, also those that the program does not offer yet.
#[derive(Debug, Parser)]
#[command(name = "chancery")]
enum All {
    Quickstart(quickstart::Args),
    Serve(serve::Args),
    Config(config::Args),
    Migrate(migrate::Args),
    Client(client::Args),
    Account(account::Args),
    RegistrationToken(registration_token::Args),
    Session(session::Args),
    Consent(consent::Args),
    Grant(grant::Args),
    Key(key::Args),
    Events(events::Args),
    Replay(replay::Args),
    Projections(projections::Args),
}

fn parse(line: &str) -> Result<All, clap::Error> {
    All::try_parse_from(std::iter::once("chancery").chain(line.split(' ')))
}

#[test]
fn every_command_is_well_formed() {
    Cli::command().debug_assert();
    All::command().debug_assert();
}

#[test]
fn every_command_has_examples() {
    for command in All::command().get_subcommands() {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(help.contains("Example"), "{} has no examples", command.get_name());
        assert!(help.contains(&format!("chancery {}", command.get_name())));
    }
}

#[test]
fn every_command_but_quickstart_serve_and_config_takes_config_or_data() {
    for line in [
        "migrate",
        "client list",
        "account list",
        "client history web",
        "account history alice",
        "session list alice",
        "consent list alice",
        "registration-token list",
        "grant list",
        "key list",
        "events",
        "replay",
        "projections list",
    ] {
        parse(&format!("{line} --config x.toml")).unwrap();
        parse(&format!("{line} --data dir")).unwrap();
        parse(&format!("{line} --config x.toml --data dir")).unwrap_err();
    }
}

#[test]
fn client_add_takes_what_a_client_is_registered_with() {
    let line = "client add --id web --secret s3cret --redirect-uri https://a.example/cb \
                --redirect-uri https://b.example/cb --grant-type authorization_code --grant-type \
                refresh_token --response-type code --scope openid --auth-method \
                client_secret_post --access-token-format opaque --json";
    let All::Client(client::Args { command: client::Command::Add(add) }) = parse(line).unwrap()
    else {
        panic!("not client add");
    };
    assert_eq!(add.id.unwrap().as_str(), "web");
    assert_eq!(
        add.metadata,
        client::Metadata {
            name: None,
            redirect_uri: vec!["https://a.example/cb".into(), "https://b.example/cb".into()],
            grant_type: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
            response_type: vec![ResponseType::Code],
            scope: vec![Scope::parse("openid").unwrap()],
            auth_method: Some(ClientAuthMethod::SecretPost),
            access_token_format: Some(AccessTokenFormat::Opaque),
            ..client::Metadata::default()
        }
    );
    assert!(add.format.json);
    assert!(!format!("{:?}", add.secret).contains("s3cret"));
}

#[test]
fn a_password_is_never_an_argument() {
    parse("account add alice --password-stdin --claim email=a@example.com").unwrap();
    parse("account add alice").unwrap_err();
    parse("account add alice --password secret").unwrap_err();
}

#[test]
fn a_grant_is_shown_at_one_moment_or_another() {
    let id = "0198f3a2c4d57e0fa1b2c3d4e5f60718";
    parse(&format!("grant show {id} --at 2026-05-01T09:30:00Z")).unwrap();
    parse(&format!("grant show {id} --position 12")).unwrap();
    parse(&format!("grant show {id} --position 12 --at 2026-05-01T09:30:00Z")).unwrap_err();
    parse("grant show web").unwrap_err();
    parse(&format!("grant revoke {id}")).unwrap_err();
    parse(&format!("grant revoke {id} --reason lost")).unwrap();
}

#[test]
fn the_other_commands_take_what_they_need() {
    parse("quickstart --listen localhost:9000 --data dir").unwrap();
    parse("serve --config chancery.toml").unwrap();
    parse("events --after 7 --follow --type A --type B").unwrap();
    parse("key rotate --algorithm ES256").unwrap();
    parse("key withdraw k1").unwrap();
    parse("key withdraw").unwrap_err();
    parse("session end web").unwrap_err();
    parse("consent withdraw 0198f3a2c4d57e0fa1b2c3d4e5f60718").unwrap();
    parse("key rewrap").unwrap_err();
    parse("key rewrap --to-file a --to-env B").unwrap_err();
    parse("key rewrap --to-file new.key --data dir").unwrap();
    parse("projections rebuild").unwrap_err();
    parse("projections rebuild --all").unwrap();
    parse("projections rebuild clients jwks").unwrap();
    parse("config show --defaults --config x.toml").unwrap_err();
}

#[test]
fn a_data_folder_that_is_not_there_is_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let data = Some(folder.path().join("nothing"));
    let error = StoreArgs { data, ..StoreArgs::default() }.load().unwrap_err();
    assert_eq!(error.code, ExitCode::StoreUnavailable);
    let data = Some(folder.path().to_owned());
    let loaded = StoreArgs { data, ..StoreArgs::default() }.load().unwrap();
    assert_eq!(
        loaded.config.store.location(),
        crate::config::store::Location::Sqlite(folder.path().to_owned())
    );
}
