//! TLS where this server terminates it itself (RFC 8446, RFC 5246 as RFC 9325
//! wants it): the certificate that is shown, and its replacement while serving.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, version};

use crate::config::tls::{Files, MinVersion, Pair, PairError, Tls};
use crate::outbound::crypto_provider;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(3);

/// Why TLS is not spoken.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error(transparent)]
    Pair(#[from] PairError),
    #[error("TLS can't be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// The certificate that is shown now.
pub struct Certificates {
    files: Files,
    /// What was read last, good or not.
    read: RwLock<Pair>,
    shown: RwLock<Arc<CertifiedKey>>,
}

impl Certificates {
    /// Reads the files that the settings name; nothing if they name none.
    pub async fn load(settings: &Tls) -> Result<Option<Self>, TlsError> {
        let Some(files) = settings.files() else { return Ok(None) };
        let pair = read(&files).await?;
        let shown = RwLock::new(pair.parse()?);
        Ok(Some(Self { files, read: RwLock::new(pair), shown }))
    }

    /// Takes what the files hold, each time they change.
    pub async fn follow(&self) {
        let mut said = None;
        loop {
            tokio::time::sleep(LOOK).await;
            match self.renew().await {
                Ok(is_new) => {
                    said = None;
                    if is_new {
                        tracing::info!("the TLS certificate was replaced");
                    }
                }
                // Files that are gone stay gone for a while.
                Err(error) if said.as_ref() == Some(&error.to_string()) => {}
                Err(error) => {
                    tracing::error!(%error, "the old TLS certificate stays: {error}");
                    said = Some(error.to_string());
                }
            }
        }
    }

    /// Is there a new certificate? One file may be there before the other: then
    /// they don't go together yet.
    async fn renew(&self) -> Result<bool, PairError> {
        let pair = read(&self.files).await?;
        if *self.read.read().unwrap_or_else(PoisonError::into_inner) == pair {
            return Ok(false);
        }
        let parsed = pair.parse();
        *self.read.write().unwrap_or_else(PoisonError::into_inner) = pair;
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = parsed?;
        Ok(true)
    }
}

async fn read(files: &Files) -> Result<Pair, PairError> {
    let of = files.clone();
    let read = tokio::task::spawn_blocking(move || of.read()).await;
    read.unwrap_or_else(|error| {
        let path = files.certificate.clone();
        let source = std::io::Error::other(error);
        Err(PairError::Unreadable { path, is_key: false, source })
    })
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Certificates({})", self.files.certificate.display())
    }
}

/// Shows whatever is shown at that moment.
#[derive(Debug)]
struct Shown(Arc<Certificates>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.shown.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// How the listeners speak TLS. The cipher suites are those that rustls has:
/// ECDHE with AES-GCM or ChaCha20-Poly1305, and those of TLS 1.3.
pub fn server_config(
    certificates: &Arc<Certificates>,
    least: MinVersion,
) -> Result<ServerConfig, TlsError> {
    let versions: &[_] = match least {
        MinVersion::Tls12 => &[&version::TLS13, &version::TLS12],
        MinVersion::Tls13 => &[&version::TLS13],
    };
    let mut config = ServerConfig::builder_with_provider(crypto_provider())
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Shown(Arc::clone(certificates))));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
