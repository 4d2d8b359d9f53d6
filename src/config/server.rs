//! `[server]`: who the server is, and where it listens.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use chancery_domain::time::Lifetime;
use ipnet::IpNet;
use url::{Host, Url};

use super::declaration::{Check, Report, settings};
use super::problem::Refusal;
use super::value::{Kind, TextSetting};

settings! {
    /// Who the server is, and where it listens.
    Server in "server" {
        /// The issuer: the URL by which clients know this server. It stands in every
        /// token and in the metadata; all endpoints are below it. https, or http on a
        /// loopback host; no query, no fragment, no slash at the end (RFC 8414 §2).
        issuer: Issuer = required "https://login.example.com";
        /// Where to listen: HOST:PORT, HOST being an IP address, or localhost for both
        /// loopback addresses. Anything but loopback needs `[tls]` or
        /// `behind_tls_proxy`.
        listen: Vec<Listen> = default ["127.0.0.1:8080"];
        /// Threads that serve requests. 0: as many as there are processor cores.
        workers: u16 = default 0 within 0..=1024;
        /// How many grants stay in memory, at about 4 KB each. Those that were used longest ago
        /// leave, and are read from the store when they are needed again.
        grants_in_memory: u32 = default 16_384 within 256..=16_777_216;
        /// A proxy in front of this server terminates TLS and reaches it over plain
        /// HTTP, by a network that nobody else can read.
        behind_tls_proxy: bool = default false;
        /// Proxies, as IP addresses or networks (192.0.2.0/24), whose X-Forwarded-For
        /// header is believed. That of anyone else is ignored.
        trusted_proxies: Vec<Proxy> = default [];
        /// How long running requests may take to finish when the server is told to stop.
        shutdown_grace: Lifetime = default 30 within 0..=3600;
        /// The name of this node in the events that it writes. Left out: a random name at
        /// each start.
        node: Option<NodeName> = optional "node-1";
    }
}

impl Server {
    /// Every address to listen on.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        Listen::addresses(&self.listen)
    }

    /// Looks for addresses that would speak plain HTTP with strangers.
    fn check_transport(&self, has_tls: bool, report: &mut Report<'_>) {
        let plain_in_public = self.addresses().into_iter().find(|address| !is_loopback(address));
        if let Some(address) = plain_in_public
            && !self.behind_tls_proxy
            && !has_tls
        {
            report.contradiction(
                "listen",
                &format!("{address} is not a loopback address, and this server speaks plain HTTP"),
                "listen on 127.0.0.1 or localhost; or give a certificate in [tls]; or, where a proxy in front terminates TLS, set \
                 server.behind_tls_proxy = true",
            );
        }
        if has_tls && !self.issuer.is_https() {
            report.contradiction(
                "issuer",
                "is an http URL, but this server has a certificate and speaks TLS only",
                "make the issuer an https URL, or leave the section [tls] out",
            );
        }
    }

    /// How many threads serve requests.
    #[must_use]
    pub fn worker_count(&self) -> usize {
        match self.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            workers => usize::from(workers),
        }
    }

    /// Is this peer a proxy whose forwarded headers are believed?
    #[must_use]
    pub fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.trusted_proxies.iter().any(|proxy| proxy.0.contains(&peer))
    }
}

impl Check for Server {
    fn check(&self, report: &mut Report<'_>) {
        if self.listen.is_empty() {
            report.contradiction(
                "listen",
                "is empty, so nobody could reach the server",
                "give at least one address, for example: listen = [\"127.0.0.1:8080\"]",
            );
        }
        self.check_transport(report.has_tls, report);
        if self.behind_tls_proxy && !self.issuer.is_https() {
            report.contradiction(
                "issuer",
                "is an http URL, but server.behind_tls_proxy says that clients come over TLS",
                "make the issuer the https URL of the proxy, or set server.behind_tls_proxy = \
                 false",
            );
        }
    }
}

fn is_loopback(address: &SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

/// The issuer identifier: compared as text, so kept as text (RFC 8414 §2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    text: String,
    url: Url,
}

impl Issuer {
    /// As it stands in tokens and metadata, without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// Do clients come over TLS? Then cookies are `Secure`.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The path below which all endpoints are: empty, or with a slash at its
    /// beginning and none at its end.
    #[must_use]
    pub fn path(&self) -> &str {
        self.url.path().trim_end_matches('/')
    }

    /// The URL of an endpoint, whose path begins with a slash.
    #[must_use]
    pub fn endpoint(&self, path: &str) -> String {
        format!("{}{path}", self.text)
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TextSetting for Issuer {
    const KIND: Kind = Kind::text("a URL");

    fn parse(text: &str, _: &Path) -> Result<Self, Refusal> {
        let example = "give a URL like https://login.example.com";
        let url = Url::parse(text)
            .map_err(|error| Refusal::new(format!("is not a URL: {error}"), example))?;
        let loopback = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => return Err(Refusal::new("has no host", example)),
        };
        match url.scheme() {
            "https" => {}
            "http" if loopback => {}
            "http" => {
                return Err(Refusal::new(
                    "is an http URL of a host that is not loopback",
                    "make it https (RFC 8414 §2); a proxy may terminate TLS, see \
                     server.behind_tls_proxy",
                ));
            }
            scheme => {
                return Err(Refusal::new(format!("has the scheme {scheme}"), example));
            }
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(Refusal::new(
                "has a query or a fragment",
                "leave out everything from the ? or # on (RFC 8414 §2)",
            ));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::new(
                "holds a user name or password",
                "leave out what is before @",
            ));
        }
        let normal = url.as_str().trim_end_matches('/');
        if text != normal {
            return Err(Refusal::new(
                "is not in its normal form, by which clients will compare it",
                format!("write it as {normal}"),
            ));
        }
        Ok(Self { text: text.to_owned(), url })
    }
}

/// One entry of `listen`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// One address; two for `localhost`.
    pub addresses: Vec<SocketAddr>,
}

impl Listen {
    /// The addresses of all these, each once.
    #[must_use]
    pub fn addresses(all: &[Self]) -> Vec<SocketAddr> {
        let mut addresses: Vec<_> =
            all.iter().flat_map(|listen| listen.addresses.iter().copied()).collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    }
}

impl TextSetting for Listen {
    const KIND: Kind = Kind::text("addresses like 127.0.0.1:8080");

    fn parse(text: &str, _: &Path) -> Result<Self, Refusal> {
        if let Some(port) = text.strip_prefix("localhost:").and_then(|port| port.parse().ok()) {
            let addresses = vec![
                SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
                SocketAddr::from((Ipv6Addr::LOCALHOST, port)),
            ];
            return Ok(Self { addresses });
        }
        text.parse().map(|address| Self { addresses: vec![address] }).map_err(|_| {
            Refusal::new(
                format!("\"{text}\" is not an address and a port"),
                "give an IP address (or localhost) and a port, like 127.0.0.1:8080 or [::1]:8080",
            )
        })
    }
}

/// A proxy, or a network of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proxy(pub IpNet);

impl TextSetting for Proxy {
    const KIND: Kind = Kind::text("IP addresses or networks");

    fn parse(text: &str, _: &Path) -> Result<Self, Refusal> {
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        match network {
            Ok(network) if network.prefix_len() == 0 => Err(Refusal::new(
                format!("{text} would believe anyone"),
                "name the addresses of your own proxies",
            )),
            Ok(network) => Ok(Self(network)),
            Err(_) => Err(Refusal::new(
                format!("\"{text}\" is not an IP address or network"),
                "give an address like 192.0.2.7 or a network like 192.0.2.0/24",
            )),
        }
    }
}

/// The name of a node in event metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeName(String);

impl NodeName {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TextSetting for NodeName {
    const KIND: Kind = Kind::text("a name");

    fn parse(text: &str, _: &Path) -> Result<Self, Refusal> {
        let good = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        if !good {
            return Err(Refusal::new(
                "is not a good name for a node",
                "give 1 to 64 letters, digits, hyphens, underscores and dots",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}
