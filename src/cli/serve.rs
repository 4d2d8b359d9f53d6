//! `chancery serve`: the server, for real.

use std::future::pending;
use std::io;
use std::sync::Arc;

use clap::Args as ClapArgs;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::SettingsFile;
use super::exit::{CliError, ExitCode};
use crate::admin::socket::ControlSocket;
use crate::app::{Node, Routes, StartError, listen, master_key, open_store};
use crate::clock::SystemClock;
use crate::config::no_color;
use crate::config::store::Location;
use crate::entropy::SystemEntropy;
use crate::telemetry;

const EXAMPLES: &str = "\
Examples:
  chancery serve --config /etc/chancery/chancery.toml
  CHANCERY_LOG_FORMAT=json chancery serve

`chancery config show --defaults` prints a configuration file to start from.";

/// Run the server
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    pub settings: SettingsFile,
}

/// Serves until told to stop.
pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    let config = args.settings.load()?.config;
    let telemetry = telemetry::install(&config, !no_color());
    let telemetry = telemetry.map_err(|error| not_started(&error.into()))?;
    let master = master_key(&config).await.map_err(|error| not_started(&error))?;
    let open = open_store(&config).await.map_err(|error| not_started(&error))?;
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let node = Node::assemble(config, open, master, clock, entropy)
        .await
        .map_err(|error| not_started(&error))?;
    let served = serve(node, |_| {}, |_| {}).await;
    telemetry.finish().await;
    served
}

/// Serves with a node until a signal says to stop: running requests finish, and
/// what was accepted is written.
pub async fn serve(
    node: Node,
    extra: impl Routes,
    ready: impl FnOnce(&Node),
) -> Result<ExitCode, CliError> {
    let told_to_stop = told_to_stop();
    let background = node.keep_up();
    let control =
        match node.services.config.store.location() {
            Location::Sqlite(folder) => {
                let open = ControlSocket::open(Arc::clone(&node.services), &folder);
                Some(open.map_err(|error| {
                    CliError::failed(format_args!("the control socket: {error}"))
                })?)
            }
            Location::Postgres(_) => None,
        };
    let listening = listen(&node.services, extra).map_err(|error| not_started(&error))?;
    for address in &listening.addresses {
        tracing::info!(server.address = %address, "listening on {address}");
    }
    for address in &listening.metrics {
        tracing::info!(metrics.address = %address, "metrics at http://{address}/metrics");
    }
    let issuer = node.services.issuer();
    tracing::info!(server.issuer = %issuer, node = %node.services.node, "ready as {issuer}");
    ready(&node);
    let (stop, services) = (listening.handle.clone(), Arc::clone(&node.services));
    let told = tokio::spawn(async move {
        told_to_stop.await;
        tracing::info!("stopping: running requests finish first");
        services.closing.begin();
        stop.stop(true).await;
    });
    let served = listening.run().await;
    told.abort();
    if let Some(control) = control {
        control.close();
    }
    background.stop().await;
    node.close().await;
    served.map_err(|error| not_started(&error))?;
    tracing::info!("stopped");
    Ok(ExitCode::Done)
}

/// SIGTERM or SIGINT, from this call on: whoever is told that the server is
/// ready may stop it at once.
pub(super) fn told_to_stop() -> impl Future<Output = ()> {
    let terminate = signal(SignalKind::terminate());
    let interrupt = signal(SignalKind::interrupt());
    async {
        tokio::select! {
            () = heard(terminate) => {}
            () = heard(interrupt) => {}
        }
    }
}

async fn heard(signal: io::Result<Signal>) {
    match signal {
        Ok(mut signal) => drop(signal.recv().await),
        Err(error) => {
            tracing::warn!(%error, "a signal can't be waited for: {error}");
            pending::<()>().await;
        }
    }
}

/// Why the server did not start, and what to do.
#[must_use]
pub fn not_started(error: &StartError) -> CliError {
    let code = match error {
        StartError::Store(_) => ExitCode::StoreUnavailable,
        _ => ExitCode::Failed,
    };
    let failure = CliError::new(code, error);
    match error {
        StartError::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse => failure
            .hint(
                "another program listens there: stop it, or choose another port \
                 (server.listen in the configuration, or `chancery quickstart --listen \
                 localhost:PORT`)",
            ),
        _ => failure,
    }
}
