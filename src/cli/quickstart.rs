//! `chancery quickstart`: a server to try, made on the spot.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args as ClapArgs;
use tokio::sync::watch;

use super::exit::{CliError, ExitCode};
use super::output::colours;
use super::serve::{not_started, serve, told_to_stop};
use super::wrong_settings;
use crate::app::{self, Node, OpenStore, StartError, open_store};
use crate::clock::SystemClock;
use crate::config::log::LogFilter;
use crate::config::scopes::ScopeText;
use crate::config::{Config, DEFAULT_DATA_FOLDER, DEFAULT_QUICKSTART_LISTEN, MASTER_KEY_FILE};
use crate::demo::{self, Demo, Found, Seeded};
use crate::entropy::SystemEntropy;
use crate::sealing::MasterKey;
use crate::telemetry;

const EXAMPLES: &str = "\
Examples:
  chancery quickstart
  chancery quickstart --listen localhost:9000 --data /tmp/chancery";

/// Make and run a server to try: a store, keys, demo clients and a demo account
///
/// What was made is kept and used again at the next start. Serves on loopback
/// only: the demo passwords are known to all.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Where to listen; http://HOST:PORT becomes the issuer, and localhost
    /// stands for both loopback addresses
    #[arg(long, value_name = "HOST:PORT", default_value = DEFAULT_QUICKSTART_LISTEN)]
    pub listen: String,
    /// The folder for the store and the master key
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA_FOLDER)]
    pub data: PathBuf,
}

/// Makes what is missing, and serves until told to stop.
pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    let config = settings(&args)?;
    let telemetry = telemetry::install(&config, colours(&io::stderr()));
    let telemetry = telemetry.map_err(|error| not_started(&error.into()))?;
    let is_new = !args.data.join(MASTER_KEY_FILE).exists();
    if is_new {
        // Before there is anything that would have to be tidied up.
        check_addresses(&config, &args.data)?;
    }
    let open = open_store(&config).await.map_err(|error| not_started(&error))?;
    check_addresses(&config, &args.data)?;
    let master = master_key(&args.data, &config, &open).await?;
    let node = Node::assemble(config, open, master, Arc::new(SystemClock), Arc::new(SystemEntropy))
        .await
        .map_err(|error| not_started(&error))?;
    let seeded = demo::seed(&node.services).await.map_err(CliError::failed)?;
    let data = quoted(&args.data.to_string_lossy());
    let (stop, stopping) = watch::channel(false);
    let demo = Demo::new(&node.services, data, stopping).map_err(CliError::failed)?;
    let told_to_stop = told_to_stop();
    tokio::spawn(async move {
        told_to_stop.await;
        stop.send_replace(true);
    });
    let greeting = Greeting { is_new, seeded, data: &args.data };
    let served = serve(
        node,
        move |service| demo::configure(&demo, service),
        |node| say(&greeting.text(&node.services.config, colours(&io::stdout()))),
    )
    .await;
    telemetry.finish().await;
    served
}

fn settings(args: &Args) -> Result<Config, CliError> {
    let loaded = Config::quickstart(&args.listen, &args.data);
    let mut config = loaded.map_err(|problems| wrong_settings(&problems))?.config;
    // What it has to say stands on standard output.
    config.log.filter = LogFilter::quiet();
    let (name, description) = demo::SCOPE;
    let scope =
        ScopeText { description: description.to_owned(), claims: Vec::new(), privileged: false };
    config.scopes.insert(name.to_owned(), scope);
    Ok(config)
}

/// A port that is taken is said to be so before anything is made.
fn check_addresses(config: &Config, data: &Path) -> Result<(), CliError> {
    app::check_addresses(config).map_err(|error| match &error {
        StartError::Listen { address, source } if source.kind() == io::ErrorKind::AddrInUse => {
            let port = address.port().checked_add(1).unwrap_or(8080);
            let mut other = format!("quickstart --listen localhost:{port}");
            if data != Path::new(DEFAULT_DATA_FOLDER) {
                let _ = write!(other, " --data {}", quoted(&data.to_string_lossy()));
            }
            CliError::failed(format_args!("port {} of {} is taken", address.port(), address.ip()))
                .hint(format_args!(
                    "stop the program that listens there, or choose another port: `{} {other}`",
                    program()
                ))
        }
        _ => not_started(&error),
    })
}

/// The master key in the folder; a new one beside a new store.
async fn master_key(
    folder: &Path,
    config: &Config,
    open: &OpenStore,
) -> Result<MasterKey, CliError> {
    let path = folder.join(MASTER_KEY_FILE);
    if path.exists() {
        return app::master_key(config).await.map_err(|error| not_started(&error));
    }
    let written = open.store.last_position().await;
    if written.map_err(|error| not_started(&StartError::Store(error)))? > 0 {
        let message = format_args!("the master key of this store, {}, is gone", path.display());
        return Err(CliError::failed(message).hint(
            "put it back: nothing that it sealed can be read without; or name another folder",
        ));
    }
    MasterKey::create(&path, &SystemEntropy).map_err(CliError::failed)
}

/// If nobody reads standard output, there is a server all the same.
fn say(text: &str) {
    let mut out = io::stdout().lock();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

/// What is said when the server is ready.
struct Greeting<'a> {
    is_new: bool,
    seeded: Seeded,
    data: &'a Path,
}

impl Greeting<'_> {
    fn text(&self, config: &Config, colours: bool) -> String {
        let issuer = &config.server.issuer;
        let style = |code: &str, text: &str| {
            if colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
        };
        let bold = |text: &str| style("1", text);
        let link = |text: &str| style("4;36", text);
        let command = |text: &str| style("36", text);
        let Seeded { client, public_client, account } = self.seeded;
        let folder = if self.is_new { Found::Made } else { Found::There };
        let rows = [
            (folder, "folder", self.data.display().to_string(), "the store and its master key"),
            (client, "client", demo::CLIENT_ID.to_owned(), "its secret is demo-secret"),
            (
                public_client,
                "client",
                demo::PUBLIC_CLIENT_ID.to_owned(),
                "has no secret, uses PKCE",
            ),
            (account, "account", demo::ACCOUNT.to_owned(), "its password is demo"),
        ];
        let width = rows.iter().map(|(_, _, name, _)| name.chars().count()).max().unwrap_or(0);
        let data = quoted(&self.data.to_string_lossy());
        let program = program();

        let mut text = format!("\n{} {}\n\n", bold("Chancery is ready at"), link(issuer.as_str()));
        for (found, kind, name, about) in rows {
            let found = match found {
                Found::Made => "made",
                Found::Moved => "moved",
                Found::There => "kept",
            };
            // Writing to a string does not fail.
            let _ = writeln!(text, "  {found:<6}{kind:<9}{name:<width$}  {about}");
        }
        let _ = write!(
            text,
            "
Log in as {} with the password {}.

{}

  The demo, a relying party of this server:
    {}
  A token for a client itself, with no person:
    {}
  What happened to each grant, from the log:
    {}
    {}

Ctrl-C stops it; what was made is kept. For trying only: its passwords are known to all.

",
            bold(demo::ACCOUNT),
            bold(demo::PASSWORD),
            bold("Three things to try"),
            link(&issuer.endpoint("/demo")),
            command(&format!(
                "curl -u {}:{} -d grant_type=client_credentials {}",
                demo::CLIENT_ID,
                demo::CLIENT_SECRET,
                issuer.endpoint("/token")
            )),
            command(&format!("{program} grant list --data {data}")),
            command(&format!("{program} grant show ID --data {data}")),
        );
        text
    }
}

/// This program, as it was called.
fn program() -> String {
    let name = std::env::args_os().next().unwrap_or_else(|| "chancery".into());
    quoted(&name.to_string_lossy())
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%=~".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting(colours: bool) -> String {
        let data = Path::new("my data");
        let args = Args { listen: "localhost:9000".to_owned(), data: data.to_owned() };
        let config = settings(&args).unwrap();
        let seeded =
            Seeded { client: Found::Made, public_client: Found::There, account: Found::Made };
        Greeting { is_new: true, seeded, data }.text(&config, colours)
    }

    #[test]
    fn what_there_is_to_try_can_be_copied_as_it_stands() {
        let text = greeting(false);
        for line in [
            "    http://localhost:9000/demo\n",
            "    curl -u demo:demo-secret -d grant_type=client_credentials \
             http://localhost:9000/token\n",
            " grant list --data 'my data'\n",
            " grant show ID --data 'my data'\n",
            "  kept  client   demo-public  has no secret",
        ] {
            assert!(text.contains(line), "{line:?} in {text}");
        }
        assert!(!text.contains('\x1b'), "{text}");
        assert!(greeting(true).contains("\x1b[1m"));
    }

    #[test]
    fn a_word_is_quoted_where_a_shell_would_take_it_apart() {
        assert_eq!(quoted("target/release/chancery"), "target/release/chancery");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
