//! The settings of a store in a folder of its own: of `chancery quickstart`,
//! and of commands called with `--data`.

use std::net::SocketAddr;
use std::path::Path;

use super::problem::{Place, Problem, Problems, Refusal};
use super::server::Listen;
use super::value::{Item, TextSetting as _, Value};
use super::{Config, Loaded, Sources};

/// Where quickstart listens unless told otherwise.
pub const DEFAULT_QUICKSTART_LISTEN: &str = "localhost:8080";
/// Where quickstart keeps its store unless told otherwise.
pub const DEFAULT_DATA_FOLDER: &str = "chancery-data";
/// The master key's file in such a folder.
pub const MASTER_KEY_FILE: &str = "master.key";

impl Config {
    /// The settings of quickstart: the embedded store and the master key in
    /// `data`, and an issuer that is the address listened on. Neither file nor
    /// environment has a say.
    pub fn quickstart(listen: &str, data: &Path) -> Result<Loaded, Problems> {
        let problem = |setting: &str, refusal: Refusal| Problems {
            file: None,
            list: vec![Problem {
                place: Place::CommandLine,
                setting: setting.to_owned(),
                message: refusal.message,
                remedy: refusal.remedy,
            }],
        };
        let issuer = issuer_of(listen).map_err(|refusal| problem("--listen", refusal))?;
        let folder = data.to_str().ok_or_else(|| {
            problem("--data", Refusal::new("is not UTF-8", "name a folder with a plain name"))
        })?;
        let key_file = format!("{}/{MASTER_KEY_FILE}", folder.trim_end_matches('/'));
        let text = |text: &str| Value::Text(text.to_owned());
        let listen = vec![Item { value: text(listen), place: Place::CommandLine }];
        let sources = Sources::default()
            .with_given("server", "issuer", Value::Text(issuer))
            .with_given("server", "listen", Value::List(listen))
            .with_given("store", "url", Value::Text(format!("sqlite://{folder}")))
            .with_given("master_key", "file", Value::Text(key_file));
        Self::load(&sources)
    }

    /// The settings of the embedded store in `data`, for commands that don't
    /// serve.
    pub fn embedded(data: &Path) -> Result<Loaded, Problems> {
        Self::quickstart(DEFAULT_QUICKSTART_LISTEN, data)
    }
}

/// The issuer of a server that listens there: `http://HOST:PORT`.
fn issuer_of(listen: &str) -> Result<String, Refusal> {
    let addresses = Listen::parse(listen, Path::new(""))?.addresses;
    if let Some(public) = addresses.iter().find(|address| !address.ip().is_loopback()) {
        return Err(Refusal::new(
            format!(
                "{public} is not a loopback address: quickstart is for trying, its passwords \
                     are known to all, and it speaks plain HTTP"
            ),
            "listen on localhost:PORT; to serve others, write a configuration file and use \
             `chancery serve`",
        ));
    }
    let port = addresses.first().map_or(0, SocketAddr::port);
    if port == 0 {
        return Err(Refusal::new(
            "has port 0, but the port is part of the issuer",
            "give the port, like localhost:8080",
        ));
    }
    let url = url::Url::parse(&format!("http://{listen}"))
        .map_err(|error| Refusal::new(error.to_string(), "give HOST:PORT, like localhost:8080"))?;
    Ok(url.as_str().trim_end_matches('/').to_owned())
}
