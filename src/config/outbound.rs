//! `[outbound]`: what the server may call by itself.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use chancery_domain::time::Lifetime;
use ipnet::IpNet;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use url::Host;

use super::declaration::{Check, Report, settings};
use super::problem::Refusal;
use super::value::{Kind, TextSetting};

settings! {
    /// What the server may call by itself: the URLs that clients registered (keys,
    /// request objects, sector identifiers, logout) and the operator's webhooks. It calls
    /// public addresses by https only, follows no redirects and uses no proxy.
    Outbound in "outbound" {
        /// How long a call may take from the look-up of the name to the last byte, in
        /// seconds.
        timeout: Lifetime = default 10 within 1..=120;
        /// The longest answer that is read, in bytes.
        largest_answer: u32 = default 262_144 within 1024..=16_777_216;
        /// Files with certificates (PEM) of authorities that are trusted besides the
        /// public ones.
        extra_ca_files: Vec<CaFile> = default [];
        /// Call loopback addresses too. For tests, and for what runs on this machine.
        allow_loopback: bool = default false;
        /// Call private addresses too (RFC 1918, RFC 4193, RFC 6598). Link-local ones and
        /// the clouds' metadata services are never called.
        allow_private_networks: bool = default false;
        /// Call http URLs too, on loopback and private addresses as far as those are
        /// allowed. Public ones are called by https only.
        allow_http: bool = default false;
        /// Hosts that are never called, by their names (with all names below them), their
        /// addresses, or their networks.
        blocked_hosts: Vec<BlockedHost> = default [];
    }
}

impl Check for Outbound {
    fn check(&self, report: &mut Report<'_>) {
        if self.allow_http && !self.allow_loopback && !self.allow_private_networks {
            report.contradiction(
                "allow_http",
                "has no effect: plain HTTP is for loopback and private addresses, and neither is \
                 allowed",
                "set outbound.allow_loopback or outbound.allow_private_networks as well, or leave \
                 it out",
            );
        }
    }
}

/// A file with the certificates of authorities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaFile {
    pub path: PathBuf,
    pub certificates: Vec<CertificateDer<'static>>,
}

impl TextSetting for CaFile {
    const KIND: Kind = Kind::text("paths");

    fn parse(text: &str, base: &Path) -> Result<Self, Refusal> {
        let path = PathBuf::parse(text, base)?;
        let remedy = "name a PEM file of certificates that this user may read";
        let refused = |why: String| Refusal::new(format!("{} {why}", path.display()), remedy);
        let content =
            std::fs::read(&path).map_err(|error| refused(format!("can't be read: {error}")))?;
        let certificates = CertificateDer::pem_slice_iter(&content)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| refused(format!("is not PEM: {error}")))?;
        if certificates.is_empty() {
            return Err(refused("holds no certificate".to_owned()));
        }
        let mut roots = rustls::RootCertStore::empty();
        for certificate in &certificates {
            roots
                .add(certificate.clone())
                .map_err(|error| refused(format!("holds a certificate that is none: {error}")))?;
        }
        Ok(Self { path, certificates })
    }
}

/// A host, or a network of them, that is never called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlockedHost {
    /// With all names below it.
    Name(String),
    Network(IpNet),
}

impl BlockedHost {
    /// Does it mean this host?
    #[must_use]
    pub fn covers(&self, host: &Host<&str>) -> bool {
        match (self, host) {
            (Self::Name(blocked), Host::Domain(name)) => {
                let name = name.trim_end_matches('.');
                let before = name.strip_suffix(blocked.as_str());
                before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
            }
            (Self::Network(_), Host::Ipv4(address)) => self.is_address((*address).into()),
            (Self::Network(_), Host::Ipv6(address)) => self.is_address((*address).into()),
            _ => false,
        }
    }

    /// Does it mean this address?
    #[must_use]
    pub fn is_address(&self, address: IpAddr) -> bool {
        match self {
            Self::Name(_) => false,
            Self::Network(network) => network.contains(&address.to_canonical()),
        }
    }
}

impl TextSetting for BlockedHost {
    const KIND: Kind = Kind::text("host names, addresses or networks");

    fn parse(text: &str, _: &Path) -> Result<Self, Refusal> {
        let bad = || {
            Refusal::new(
                format!("\"{text}\" is not a host"),
                "give a name like internal.example.com, an address like 192.0.2.7 or \
                 2001:db8::7, or a network like 192.0.2.0/24",
            )
        };
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Network(address.to_canonical().into()));
        }
        if let Ok(network) = text.parse::<IpNet>() {
            return Ok(Self::Network(network));
        }
        match Host::parse(text.trim_end_matches('.')) {
            Ok(Host::Domain(name)) if !name.is_empty() && !name.starts_with('.') => {
                Ok(Self::Name(name))
            }
            _ => Err(bad()),
        }
    }
}
