//! TLS at the server itself (RFC 9325, FAPI 2.0 Security Profile §5.2.2).

use std::path::PathBuf;
use std::sync::Arc;

use chancery::config::{Config, Sources};
use chancery::outbound::crypto_provider;
use rcgen::{CertificateParams, KeyPair};
use reqwest::Client;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::support::{StoreKind, TestServer, until};

both_stores! {
    both_versions_are_spoken_and_http_over_them,
    the_operator_may_want_the_newest_only,
    old_versions_and_weak_ciphers_are_refused,
    a_replaced_certificate_is_seen_without_a_restart,
    a_bad_certificate_leaves_the_one_before,
}

/// A certificate for this machine, and where it and its key stand.
struct Files {
    folder: TempDir,
    certificate: CertificateDer<'static>,
}

impl Files {
    fn new() -> Self {
        let mut files =
            Self { folder: TempDir::new().unwrap(), certificate: CertificateDer::from(vec![]) };
        files.replace();
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Another certificate, with another key.
    fn replace(&mut self) {
        let key = KeyPair::generate().unwrap();
        let made = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let made = made.self_signed(&key).unwrap();
        std::fs::write(self.path("key.pem"), key.serialize_pem()).unwrap();
        std::fs::write(self.path("tls.pem"), made.pem()).unwrap();
        self.certificate = made.der().clone();
    }

    fn settings(&self, more: &str) -> String {
        format!(
            "[tls]\ncertificate_file = \"{}\"\nkey_file = \"{}\"\n{more}",
            self.path("tls.pem").display(),
            self.path("key.pem").display()
        )
    }

    /// What trusts this certificate and no other, and speaks these versions.
    fn client(&self, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        ClientConfig::builder_with_provider(crypto_provider())
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    async fn metadata(
        &self,
        server: &TestServer,
        versions: &[&'static SupportedProtocolVersion],
    ) -> reqwest::Result<serde_json::Value> {
        let http = Client::builder()
            .use_preconfigured_tls(self.client(versions))
            .no_proxy()
            .build()
            .unwrap();
        let url = format!("{}/.well-known/openid-configuration", server.address);
        http.get(url).send().await?.json().await
    }
}

const BOTH: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];

/// RFC 9325 §3.1.1, RFC 7301
async fn both_versions_are_spoken_and_http_over_them(store: StoreKind) {
    let files = Files::new();
    let server = TestServer::over_tls(store, &files.settings("")).await;
    for (one, name) in [(&version::TLS12, "1.2"), (&version::TLS13, "1.3")] {
        let metadata =
            files.metadata(&server, &[one]).await.unwrap_or_else(|e| panic!("{name}: {e:?}"));
        assert_eq!(metadata["issuer"], server.issuer);
        assert!(metadata["token_endpoint"].as_str().unwrap().starts_with("https://"));
        for protocol in ["h2", "http/1.1"] {
            let mut config = files.client(&[one]);
            config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
            let address = server.address.trim_start_matches("https://");
            let stream = TcpStream::connect(address).await.unwrap();
            let connector = TlsConnector::from(Arc::new(config));
            let stream = connector.connect("127.0.0.1".try_into().unwrap(), stream).await.unwrap();
            let chosen = stream.get_ref().1.alpn_protocol();
            assert_eq!(chosen, Some(protocol.as_bytes()), "{name}");
        }
    }
    // Plain HTTP gets nothing.
    let plain = server.address.replace("https:", "http:");
    let http = Client::builder().no_proxy().build().unwrap();
    assert!(http.get(plain).send().await.is_err());
}

async fn the_operator_may_want_the_newest_only(store: StoreKind) {
    let files = Files::new();
    let server = TestServer::over_tls(store, &files.settings("min_version = \"1.3\"\n")).await;
    assert!(files.metadata(&server, &[&version::TLS12]).await.is_err());
    assert!(files.metadata(&server, &[&version::TLS13]).await.is_ok());
}

/// A client's first message: this version at most, and these cipher suites.
fn client_hello(newest: u16, suites: &[u16]) -> Vec<u8> {
    let length = |length: usize| u16::try_from(length).unwrap().to_be_bytes();
    let mut hello = newest.to_be_bytes().to_vec();
    hello.extend([7; 32]);
    hello.push(0);
    hello.extend(length(suites.len() * 2));
    hello.extend(suites.iter().flat_map(|suite| suite.to_be_bytes()));
    hello.extend([1, 0]);
    // Groups: P-256. Signatures: ECDSA and RSA with SHA-256. Points: uncompressed.
    let extensions: &[u8] =
        &[0, 10, 0, 4, 0, 2, 0, 23, 0, 13, 0, 6, 0, 4, 4, 3, 4, 1, 0, 11, 0, 2, 1, 0];
    hello.extend(length(extensions.len()));
    hello.extend(extensions);
    let mut record = vec![22, 3, 1];
    record.extend(length(hello.len() + 4));
    record.extend([1, 0]);
    record.extend(length(hello.len()));
    record.extend(hello);
    record
}

/// The type of the answer's first record, and for an alert which one.
async fn answer(server: &TestServer, hello: &[u8]) -> (u8, u8) {
    let address = server.address.trim_start_matches("https://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(hello).await.unwrap();
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).await.unwrap();
    (answer[0], answer[6])
}

/// RFC 9325 §3.1.1, §4.1, §4.2
async fn old_versions_and_weak_ciphers_are_refused(store: StoreKind) {
    const ALERT: u8 = 21;
    const HANDSHAKE: u8 = 22;
    const GOOD: &[u16] = &[0xc02b, 0xc02c, 0xcca9];
    let files = Files::new();
    let server = TestServer::over_tls(store, &files.settings("")).await;
    for suite in GOOD {
        assert_eq!(answer(&server, &client_hello(0x0303, &[*suite])).await.0, HANDSHAKE);
    }
    for old in [0x0300, 0x0301, 0x0302] {
        let (kind, alert) = answer(&server, &client_hello(old, GOOD)).await;
        assert_eq!((kind, alert), (ALERT, 70), "{old:#x}: protocol_version");
    }
    // CBC, RSA key exchange, finite-field Diffie-Hellman, 3DES, RC4.
    for weak in [0xc009, 0xc023, 0xc024, 0x009c, 0x002f, 0x009e, 0xc008, 0x0005] {
        let (kind, alert) = answer(&server, &client_hello(0x0303, &[weak])).await;
        assert_eq!((kind, alert), (ALERT, 40), "{weak:#x}: handshake_failure");
    }
}

async fn a_replaced_certificate_is_seen_without_a_restart(store: StoreKind) {
    let mut files = Files::new();
    let server = TestServer::over_tls(store, &files.settings("")).await;
    assert!(files.metadata(&server, BOTH).await.is_ok());
    files.replace();
    until("the new certificate", async || files.metadata(&server, BOTH).await.is_ok()).await;
}

async fn a_bad_certificate_leaves_the_one_before(store: StoreKind) {
    let files = Files::new();
    let server = TestServer::over_tls(store, &files.settings("")).await;
    std::fs::write(files.path("tls.pem"), "no certificate").unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    assert!(files.metadata(&server, BOTH).await.is_ok());
    let mut later = files;
    later.replace();
    until("the new certificate", async || later.metadata(&server, BOTH).await.is_ok()).await;
}

fn problems(issuer: &str, listen: &str, more: &str) -> String {
    let file = format!(
        "[server]\nissuer = \"{issuer}\"\nlisten = [\"{listen}\"]\n[store]\nurl = \"sqlite:///x\"\n\
         [master_key]\nenv = \"NOT_ASKED\"\n{more}"
    );
    Config::load(&Sources::of_text("test.toml", file))
        .err()
        .map_or_else(String::new, |e| e.to_string())
}

#[test]
fn with_a_certificate_any_address_may_be_listened_on() {
    let files = Files::new();
    let (issuer, public) = ("https://login.example.com", "0.0.0.0:443");
    assert!(problems(issuer, public, "").contains("plain HTTP"));
    assert_eq!(problems(issuer, public, &files.settings("")), "");
    assert!(
        problems("http://localhost:80", "127.0.0.1:80", &files.settings("")).contains("issuer")
    );
}

#[test]
fn certificates_and_keys_that_do_not_fit_are_problems_of_the_settings() {
    let (files, others) = (Files::new(), Files::new());
    let said = |certificate: PathBuf, key: PathBuf| {
        let tls = format!(
            "[tls]\ncertificate_file = \"{}\"\nkey_file = \"{}\"\n",
            certificate.display(),
            key.display()
        );
        problems("https://login.example.com", "127.0.0.1:443", &tls)
    };
    let (certificate, key) = (files.path("tls.pem"), files.path("key.pem"));
    assert_eq!(said(certificate.clone(), key.clone()), "");
    assert!(said(certificate.clone(), others.path("key.pem")).contains("don't go together"));
    assert!(said(key.clone(), key.clone()).contains("no PEM file with certificates"));
    assert!(said(certificate.clone(), certificate.clone()).contains("no PEM file with a private"));
    assert!(said(certificate, files.path("nothing")).contains("can't be read"));
    let half = format!("[tls]\nkey_file = \"{}\"\n", key.display());
    let said = problems("https://login.example.com", "127.0.0.1:443", &half);
    assert!(said.contains("without a certificate"), "{said}");
}
