//! `[tls]`: the certificate, where this server terminates TLS itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::declaration::{Check, Report, settings};
use super::value::choice;
use crate::outbound::crypto_provider;

settings! {
    /// TLS at this server itself. Left out: it speaks plain HTTP, on loopback or behind a
    /// proxy that terminates TLS.
    Tls in "tls" {
        /// A file with the certificate (PEM), and after it those between it and an
        /// authority that clients know. Replaced files are taken within seconds, without
        /// a restart; if the new ones are bad, the old certificate stays.
        certificate_file: Option<PathBuf> = optional "/etc/chancery/tls.pem";
        /// A file with its private key (PEM; PKCS#8, SEC 1 or PKCS#1), which nobody else
        /// should be able to read.
        key_file: Option<PathBuf> = optional "/etc/chancery/tls.key";
        /// The oldest version of TLS that is spoken. 1.2 comes with ECDHE and AES-GCM or
        /// ChaCha20-Poly1305 only.
        min_version: MinVersion = default "1.2";
    }
}

choice! {
    /// A version of TLS.
    MinVersion, "a version of TLS" {
        /// RFC 5246, and later ones.
        Tls12 = "1.2",
        /// RFC 8446
        Tls13 = "1.3",
    }
}

/// Where certificate and key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Tls {
    /// Does this server terminate TLS?
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.certificate_file.is_some() && self.key_file.is_some()
    }

    /// Where certificate and key are.
    #[must_use]
    pub fn files(&self) -> Option<Files> {
        let (certificate, key) = (self.certificate_file.clone()?, self.key_file.clone()?);
        Some(Files { certificate, key })
    }
}

impl Check for Tls {
    fn check(&self, report: &mut Report<'_>) {
        let Some(files) = self.files() else {
            if self.certificate_file.is_some() {
                report.contradiction(
                    "certificate_file",
                    "is given without its private key",
                    "give tls.key_file as well",
                );
            }
            if self.key_file.is_some() {
                report.contradiction(
                    "key_file",
                    "is given without a certificate",
                    "give tls.certificate_file as well",
                );
            }
            return;
        };
        if let Err(error) = files.read().and_then(|pair| pair.parse()) {
            let (name, remedy) = match error {
                PairError::Unreadable { is_key: false, .. } | PairError::NoCertificate(_) => {
                    ("certificate_file", "name a PEM file of certificates that this user may read")
                }
                PairError::Unreadable { is_key: true, .. } | PairError::NoKey(_) => {
                    ("key_file", "name a PEM file of a private key that this user may read")
                }
                PairError::Mismatch(_) => {
                    ("key_file", "name the key that the certificate was made for")
                }
            };
            report.contradiction(name, &error.to_string(), remedy);
        }
    }
}

/// Why there is no certificate to show.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    #[error("{} can't be read: {source}", path.display())]
    Unreadable { path: PathBuf, is_key: bool, source: std::io::Error },
    #[error("the certificate file is no PEM file with certificates: {0}")]
    NoCertificate(pem::Error),
    #[error("the key file is no PEM file with a private key: {0}")]
    NoKey(pem::Error),
    #[error("certificate and private key don't go together: {0}")]
    Mismatch(rustls::Error),
}

/// The contents of both files.
#[derive(PartialEq, Eq)]
pub struct Pair {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Files {
    pub fn read(&self) -> Result<Pair, PairError> {
        let read = |path: &Path, is_key| {
            std::fs::read(path).map_err(|source| PairError::Unreadable {
                path: path.to_owned(),
                is_key,
                source,
            })
        };
        Ok(Pair { certificate: read(&self.certificate, false)?, key: read(&self.key, true)? })
    }
}

impl Pair {
    /// Certificates and key, which belong together.
    pub fn parse(&self) -> Result<Arc<CertifiedKey>, PairError> {
        let chain = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<Result<Vec<_>, _>>()
            .map_err(PairError::NoCertificate)?;
        if chain.is_empty() {
            return Err(PairError::NoCertificate(pem::Error::NoItemsFound));
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(PairError::NoKey)?;
        CertifiedKey::from_der(chain, key, &crypto_provider())
            .map(Arc::new)
            .map_err(PairError::Mismatch)
    }
}
