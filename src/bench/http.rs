//! HTTP/1.1 as a virtual user speaks it: connections that are kept, one request at a time.
//!
//! A connection's work is done by the user's own task, so that a request costs no hand-over from
//! one task to another.

use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use url::{Origin as UrlOrigin, Url};

use crate::outbound::crypto_provider;

/// The longest answer that is read.
const LONGEST: usize = 1 << 20;

/// A connection that stood idle for so long is looked at before it is used: the server may have
/// closed it.
const IDLE: Duration = Duration::from_secs(1);

/// Why there is no answer. Says nothing of what was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    #[error("no connection to {authority}: {reason}")]
    Unreachable { authority: String, reason: String },
    #[error("no answer within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    #[error("the answer breaks off or is no HTTP: {0}")]
    Broken(String),
    #[error("the answer is longer than {LONGEST} bytes")]
    TooLong,
    #[error("a request that can't be sent: {0}")]
    BadRequest(String),
}

impl CallError {
    /// The kind of error, in a word.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::TimedOut(_) => "timed out",
            Self::Broken(_) => "broken answer",
            Self::TooLong => "answer too long",
            Self::BadRequest(_) => "bad request",
        }
    }
}

/// An http or https URL, taken apart once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    origin: Arc<Origin>,
    /// With its query, if it has one.
    path: String,
}

/// Whom to connect to.
#[derive(Debug, PartialEq, Eq)]
struct Origin {
    is_https: bool,
    host: String,
    port: u16,
    authority: HeaderValue,
}

impl Target {
    /// Nothing: it is no http or https URL.
    #[must_use]
    pub fn of(url: &Url) -> Option<Self> {
        let UrlOrigin::Tuple(scheme, host, port) = url.origin() else { return None };
        if scheme != "https" && scheme != "http" {
            return None;
        }
        let name = url.host_str()?;
        let authority = match url.port() {
            Some(port) => format!("{name}:{port}"),
            None => name.to_owned(),
        };
        let host = host.to_string();
        let origin = Origin {
            is_https: scheme == "https",
            // Sockets know IPv6 addresses without their brackets.
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            authority: HeaderValue::from_str(&authority).ok()?,
        };
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        Some(Self { origin: Arc::new(origin), path: format!("{}{query}", url.path()) })
    }

    /// The same with further parameters.
    #[must_use]
    pub fn with_query(&self, query: &str) -> Self {
        let mark = if self.path.contains('?') { '&' } else { '?' };
        let path = format!("{}{mark}{query}", self.path);
        Self { origin: Arc::clone(&self.origin), path }
    }

    /// The whole URL.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.origin.is_https { "https" } else { "http" };
        // It was made of a text.
        let authority = self.origin.authority.to_str().unwrap_or_default();
        format!("{scheme}://{authority}{}", self.path)
    }

    /// The host without its port: what cookies belong to.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.origin.host
    }

    /// The path and query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// A request. No `Debug`: it holds secrets.
pub struct Outgoing<'a> {
    method: Method,
    target: &'a Target,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl<'a> Outgoing<'a> {
    #[must_use]
    pub const fn get(target: &'a Target) -> Self {
        Self { method: Method::GET, target, headers: Vec::new(), body: Bytes::new() }
    }

    /// A form, already encoded.
    #[must_use]
    pub fn form(target: &'a Target, form: String) -> Self {
        let media_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        let headers = vec![(CONTENT_TYPE, media_type)];
        Self { method: Method::POST, target, headers, body: form.into() }
    }

    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    fn build(&self) -> Result<Request<Full<Bytes>>, CallError> {
        let body = Full::new(self.body.clone());
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        let path = self.target.path.parse();
        *request.uri_mut() =
            path.map_err(|_| CallError::BadRequest("its URL is none".to_owned()))?;
        let headers = request.headers_mut();
        headers.insert(HOST, self.target.origin.authority.clone());
        for (name, value) in &self.headers {
            headers.append(name.clone(), value.clone());
        }
        Ok(request)
    }
}

/// An answer, whatever its status. No `Debug`: it holds secrets.
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// A virtual user's connections: one for each origin.
pub struct Wire {
    tls: TlsConnector,
    patience: Duration,
    kept: Vec<(Arc<Origin>, Kept)>,
}

/// A connection that is open.
struct Kept {
    sender: SendRequest<Full<Bytes>>,
    /// What moves the bytes; gone when the connection is.
    driver: Option<Driver>,
    last_used: Instant,
}

type Driver = Pin<Box<Connection<TokioIo<Box<dyn Stream>>, Full<Bytes>>>>;

trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for S {}

impl Wire {
    /// With nothing open yet; an answer may take this long.
    #[must_use]
    pub fn new(tls: Arc<ClientConfig>, patience: Duration) -> Self {
        Self { tls: tls.into(), patience, kept: Vec::new() }
    }

    /// Sends a request and reads the whole answer.
    pub async fn call(&mut self, request: &Outgoing<'_>) -> Result<Answer, CallError> {
        let patience = self.patience;
        // What a call that fails or is given up had open, is closed.
        let answered = timeout(patience, self.exchange(request)).await;
        answered.unwrap_or(Err(CallError::TimedOut(patience)))
    }

    async fn exchange(&mut self, outgoing: &Outgoing<'_>) -> Result<Answer, CallError> {
        let origin = &outgoing.target.origin;
        let mut request = outgoing.build()?;
        if let Some(mut kept) = self.take(origin)
            && kept.is_good().await
        {
            match kept.send(request).await {
                Sent::Answered(answer) => return Ok(self.keep(origin, kept, answer)),
                Sent::Failed(error) => return Err(error),
                // The server closed it at this very moment: nothing was sent.
                Sent::Not(back, _) => request = back,
            }
        }
        let mut kept = self.connect(origin).await?;
        match kept.send(request).await {
            Sent::Answered(answer) => Ok(self.keep(origin, kept, answer)),
            Sent::Failed(error) | Sent::Not(_, error) => Err(error),
        }
    }

    fn take(&mut self, origin: &Arc<Origin>) -> Option<Kept> {
        let at = self.kept.iter().position(|(own, _)| own == origin)?;
        Some(self.kept.swap_remove(at).1)
    }

    fn keep(&mut self, origin: &Arc<Origin>, mut kept: Kept, answer: Answer) -> Answer {
        if kept.driver.is_some() {
            kept.last_used = Instant::now();
            self.kept.push((Arc::clone(origin), kept));
        }
        answer
    }

    async fn connect(&self, origin: &Origin) -> Result<Kept, CallError> {
        let unreachable = |reason: String| CallError::Unreachable {
            authority: format!("{}:{}", origin.host, origin.port),
            reason,
        };
        let tcp = TcpStream::connect((origin.host.as_str(), origin.port)).await;
        let tcp = tcp.map_err(|error| unreachable(error.to_string()))?;
        tcp.set_nodelay(true).map_err(|error| unreachable(error.to_string()))?;
        let stream: Box<dyn Stream> = if origin.is_https {
            let name = ServerName::try_from(origin.host.clone());
            let name = name.map_err(|error| unreachable(error.to_string()))?;
            let tls = self.tls.connect(name, tcp).await;
            Box::new(tls.map_err(|error| unreachable(error.to_string()))?)
        } else {
            Box::new(tcp)
        };
        let opened = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = opened.map_err(|error| unreachable(error.to_string()))?;
        Ok(Kept { sender, driver: Some(Box::pin(connection)), last_used: Instant::now() })
    }
}

/// What became of a request.
enum Sent {
    Answered(Answer),
    Failed(CallError),
    /// Nothing of it was sent: the connection had ended.
    Not(Request<Full<Bytes>>, CallError),
}

impl Kept {
    /// Is it open still?
    async fn is_good(&mut self) -> bool {
        if self.last_used.elapsed() > IDLE {
            look(&mut self.driver).await;
        }
        driven(&mut self.driver, self.sender.ready()).await.is_ok()
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Sent {
        let answering = self.sender.try_send_request(request);
        let response = match driven(&mut self.driver, answering).await {
            Ok(response) => response,
            Err(mut error) => {
                let back = error.take_message();
                let error = CallError::Broken(error.into_error().to_string());
                return back.map_or(Sent::Failed(error.clone()), |back| Sent::Not(back, error));
            }
        };
        match driven(&mut self.driver, read(response)).await {
            Ok(answer) => Sent::Answered(answer),
            Err(error) => Sent::Failed(error),
        }
    }
}

async fn read(response: Response<Incoming>) -> Result<Answer, CallError> {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, LONGEST).collect().await.map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            CallError::TooLong
        } else {
            CallError::Broken(error.to_string())
        }
    })?;
    Ok(Answer { status: head.status.as_u16(), headers: head.headers, body: body.to_bytes() })
}

/// Waits for something that comes of a connection, and does the connection's work meanwhile.
async fn driven<T>(driver: &mut Option<Driver>, awaited: impl Future<Output = T>) -> T {
    let mut awaited = pin!(awaited);
    poll_fn(|context| {
        if let Poll::Ready(value) = awaited.as_mut().poll(context) {
            return Poll::Ready(value);
        }
        if let Some(connection) = driver
            && connection.as_mut().poll(context).is_ready()
        {
            *driver = None;
        }
        awaited.as_mut().poll(context)
    })
    .await
}

/// Takes notice of a connection that was closed.
async fn look(driver: &mut Option<Driver>) {
    poll_fn(|context| {
        if let Some(connection) = driver
            && connection.as_mut().poll(context).is_ready()
        {
            *driver = None;
        }
        Poll::Ready(())
    })
    .await;
}

/// The TLS of all virtual users: public authorities, and these besides.
pub fn client_config(
    extra: &[rustls::pki_types::CertificateDer<'static>],
) -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for certificate in extra {
        roots.add(certificate.clone())?;
    }
    let config = ClientConfig::builder_with_provider(crypto_provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wire({} connections)", self.kept.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart_for_the_wire() {
        let target = |text: &str| Target::of(&text.parse().unwrap());
        let own = target("http://[::1]:8080/token").unwrap();
        assert_eq!((own.host(), own.path()), ("::1", "/token"));
        assert_eq!(own.origin.authority, "[::1]:8080");
        let as_example = target("https://as.example/authorize?tenant=1").unwrap();
        assert_eq!(as_example.with_query("a=b").path(), "/authorize?tenant=1&a=b");
        assert_eq!((as_example.origin.port, as_example.origin.is_https), (443, true));
        assert_eq!(as_example.origin.authority, "as.example");
        assert_eq!(own.with_query("a=b").url(), "http://[::1]:8080/token?a=b");
        assert_eq!(target("mailto:ada@example.com"), None);
        assert_eq!(target("ftp://example.com/"), None);
    }
}
