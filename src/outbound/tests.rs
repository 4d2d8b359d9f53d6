//! Calls to real servers on this machine.

use std::future::Future;
use std::net::SocketAddr;

use chancery_domain::time::Lifetime;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::config::outbound::CaFile;
use crate::config::value::TextSetting as _;

fn settings() -> settings::Outbound {
    settings::Outbound {
        timeout: Lifetime::from_seconds(1),
        largest_answer: 1024,
        extra_ca_files: vec![],
        allow_loopback: true,
        allow_private_networks: false,
        allow_http: true,
        blocked_hosts: vec![],
    }
}

async fn get(settings: &settings::Outbound, url: &str) -> Result<Fetched, OutboundError> {
    let outbound = Outbound::new(settings, figures::Outbound::default()).unwrap();
    outbound.get(&Url::parse(url).unwrap(), "application/json").await
}

/// Reads a request's head and a body as long as it says.
async fn request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return text;
            }
        }
        let mut chunk = [0; 1024];
        let count = stream.read(&mut chunk).await.unwrap();
        assert!(count > 0, "a request ends early");
        read.extend_from_slice(&chunk[..count]);
    }
}

/// Serves each connection with this.
async fn serve<F: Future<Output = ()> + Send + 'static>(
    each: impl Fn(tokio::net::TcpStream) -> F + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            tokio::spawn(each(listener.accept().await.unwrap().0));
        }
    });
    address
}

async fn answer(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), answer: &str) -> String {
    let asked = request(stream).await;
    // The client may have had enough.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
    asked
}

async fn answering(text: impl Into<String>) -> SocketAddr {
    let text = text.into();
    serve(move |mut stream| {
        let text = text.clone();
        async move { drop(answer(&mut stream, &text).await) }
    })
    .await
}

#[tokio::test]
async fn an_answer_is_handed_over_with_its_type_and_age() {
    let address = answering(
        "HTTP/1.1 200 OK\r\nContent-Type: Application/JWK-Set+json; charset=utf-8\r\n\
         Cache-Control: max-age=77\r\nContent-Length: 2\r\n\r\n{}",
    )
    .await;
    let fetched = get(&settings(), &format!("http://{address}/keys")).await.unwrap();
    assert_eq!(fetched.status, 200);
    assert_eq!(fetched.content_type.as_deref(), Some("application/jwk-set+json"));
    assert_eq!(fetched.body, b"{}");
    assert_eq!(fetched.max_age, Some(77));
}

#[tokio::test]
async fn a_post_carries_its_headers_its_body_and_our_name() {
    let (sender, mut asked) = tokio::sync::mpsc::unbounded_channel();
    let address = serve(move |mut stream| {
        let sender = sender.clone();
        async move {
            let text = answer(&mut stream, "HTTP/1.1 204 No Content\r\n\r\n").await;
            sender.send(text).unwrap();
        }
    })
    .await;
    let outbound = Outbound::new(&settings(), figures::Outbound::default()).unwrap();
    let url = Url::parse(&format!("http://{address}/logout?x=1")).unwrap();
    let headers = [("X-Signature", "abc")];
    let form = "application/x-www-form-urlencoded";
    let fetched = outbound.post(&url, &headers, form, b"logout_token=x".to_vec()).await.unwrap();
    assert_eq!(fetched.status, 204);
    let asked = asked.recv().await.unwrap();
    assert!(asked.starts_with("POST /logout?x=1 HTTP/1.1\r\n"), "{asked}");
    for line in ["x-signature: abc", "user-agent: Chancery", &format!("content-type: {form}")] {
        assert!(asked.contains(line), "{line} in {asked}");
    }
    assert!(asked.ends_with("\r\n\r\nlogout_token=x"), "{asked}");

    let split = outbound.post(&url, &[("X-A", "a\r\nb: c")], form, vec![]).await;
    assert_eq!(split, Err(OutboundError::BadHeader));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let goal = answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let start = answering(format!(
        "HTTP/1.1 302 Found\r\nLocation: http://{goal}/\r\nContent-Length: 0\r\n\r\n"
    ))
    .await;
    let fetched = get(&settings(), &format!("http://{start}/")).await.unwrap();
    assert_eq!(fetched.status, 302);
}

#[tokio::test]
async fn an_answer_too_long_is_not_read_to_its_end() {
    let announced = answering("HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n").await;
    let endless = serve(|mut stream| async move {
        request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        while stream.write_all(&[b'x'; 500]).await.is_ok() {}
    })
    .await;
    for address in [announced, endless] {
        let error = get(&settings(), &format!("http://{address}/")).await.unwrap_err();
        let host = "127.0.0.1".to_owned();
        assert_eq!(error, OutboundError::TooLarge { host, limit: 1024 });
    }
}

#[tokio::test]
async fn a_slow_answer_is_given_up() {
    let silent = serve(|mut stream| async move {
        request(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let dripping = serve(|mut stream| async move {
        request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        while stream.write_all(b".").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    for address in [silent, dripping] {
        let error = get(&settings(), &format!("http://{address}/")).await.unwrap_err();
        assert_eq!(error, OutboundError::TimedOut { host: "127.0.0.1".to_owned() });
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_none() {
    let address = answering("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{}").await;
    let error = get(&settings(), &format!("http://{address}/")).await.unwrap_err();
    assert_eq!(error, OutboundError::Broken { host: "127.0.0.1".to_owned() });
}

/// Names as well as literals, in all their spellings; the server is there, so a
/// connection would have given an answer.
#[tokio::test]
async fn this_machine_and_its_network_are_not_called() {
    let address = answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let port = address.port();
    let closed = settings::Outbound { allow_loopback: false, allow_http: false, ..settings() };
    for host in ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"] {
        let error = get(&closed, &format!("https://{host}:{port}/")).await.unwrap_err();
        assert!(matches!(error, OutboundError::AddressRefused { .. }), "{host}: {error:?}");
    }
    // What is open is open for loopback only.
    for host in ["10.0.0.1", "169.254.169.254", "0.0.0.0", "[fd00::1]"] {
        for scheme in ["http", "https"] {
            let error = get(&settings(), &format!("{scheme}://{host}:{port}/")).await.unwrap_err();
            assert!(matches!(error, OutboundError::AddressRefused { .. }), "{host}: {error:?}");
        }
    }
    assert!(get(&settings(), &format!("http://localhost:{port}/")).await.is_ok());
}

#[tokio::test]
async fn plain_http_is_for_what_the_operator_opened() {
    let closed = settings::Outbound { allow_http: false, ..settings() };
    let error = get(&closed, "http://127.0.0.1/").await.unwrap_err();
    assert_eq!(error, OutboundError::PlainHttp { host: "127.0.0.1".to_owned() });
    // Never in public.
    let error = get(&settings(), "http://8.8.8.8/").await.unwrap_err();
    assert!(matches!(error, OutboundError::AddressRefused { .. }), "{error:?}");
    for url in ["ftp://rp.example/", "data:,x", "https://user@rp.example/"] {
        assert_eq!(get(&settings(), url).await, Err(OutboundError::BadUrl), "{url}");
    }
}

#[tokio::test]
async fn blocked_hosts_are_not_called() {
    let blocked = ["localhost", "127.0.0.1"]
        .map(|host| settings::BlockedHost::parse(host, std::path::Path::new("")).unwrap());
    let blocked = settings::Outbound { blocked_hosts: blocked.into(), ..settings() };
    for host in ["localhost", "LOCALHOST.", "app.localhost", "127.0.0.1"] {
        let error = get(&blocked, &format!("http://{host}/")).await.unwrap_err();
        assert!(matches!(error, OutboundError::BlockedHost { .. }), "{host}: {error:?}");
    }
    let error = get(&blocked, "http://notlocalhost/").await.unwrap_err();
    assert!(matches!(error, OutboundError::Unresolvable { .. }), "{error:?}");
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = get(&settings(), &format!("http://{address}/")).await.unwrap_err();
    assert!(matches!(error, OutboundError::Unreachable { .. }), "{error:?}");
}

/// A certificate for localhost, its key, and the file of its authority.
fn certificate() -> (CertificateDer<'static>, PrivateKeyDer<'static>, tempfile::NamedTempFile) {
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let own = own.signed_by(&key, &issuer).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), issuer.pem()).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    (own.der().clone(), key, file)
}

#[tokio::test]
async fn an_authority_that_the_operator_named_is_trusted_and_no_other() {
    let (certificate, key, ca) = certificate();
    let tls = ServerConfig::builder_with_provider(crypto_provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let address = serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            answer(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        }
    })
    .await;
    let url = format!("https://localhost:{}/", address.port());
    let error = get(&settings(), &url).await.unwrap_err();
    assert!(
        matches!(&error, OutboundError::Unreachable { reason, .. } if reason.contains("certificate")),
        "{error:?}"
    );

    let file = CaFile::parse(ca.path().to_str().unwrap(), std::path::Path::new("")).unwrap();
    let trusting = settings::Outbound { extra_ca_files: vec![file], ..settings() };
    assert_eq!(get(&trusting, &url).await.unwrap().status, 200);
    // The certificate is not for this name.
    let other = format!("https://127.0.0.1:{}/", address.port());
    assert!(get(&trusting, &other).await.is_err());
}

#[test]
fn a_file_without_certificates_is_a_problem() {
    let empty = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(empty.path(), "no PEM").unwrap();
    let parsed = |path: &str| CaFile::parse(path, std::path::Path::new(""));
    assert!(parsed(empty.path().to_str().unwrap()).is_err());
    assert!(parsed("/nowhere/ca.pem").is_err());
}

#[test]
fn errors_name_the_host_and_no_more_of_the_url() {
    let settings = settings::Outbound { allow_http: false, ..settings() };
    let outbound = Outbound::new(&settings, figures::Outbound::default()).unwrap();
    let url = Url::parse("http://rp.example/path?secret=1").unwrap();
    let text = outbound.check(&url).unwrap_err().to_string();
    assert!(text.contains("rp.example") && !text.contains("secret"), "{text}");
}
