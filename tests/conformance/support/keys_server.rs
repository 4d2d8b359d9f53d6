//! A client's own server, where its keys and request objects are found.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Serves one document on loopback, and counts how often it is asked for.
#[derive(Clone)]
pub struct KeysServer {
    pub uri: String,
    answer: Arc<Mutex<Document>>,
    asked: Arc<AtomicUsize>,
}

/// What it answers.
#[derive(Clone)]
pub struct Document {
    pub status: u16,
    /// Header lines, each with its end.
    pub headers: String,
    pub body: String,
    /// How long it takes.
    pub delay: Duration,
}

impl Document {
    fn json(status: u16, document: &Value) -> Self {
        let headers = "content-type: application/json\r\ncache-control: max-age=600\r\n";
        Self { headers: headers.to_owned(), ..Self::object(&document.to_string()).with(status) }
    }

    /// A request object, of which nothing is said how long it is good.
    pub fn object(body: &str) -> Self {
        Self {
            status: 200,
            headers: "content-type: application/oauth-authz-req+jwt\r\n".to_owned(),
            body: body.to_owned(),
            delay: Duration::ZERO,
        }
    }

    /// The same with another status.
    pub fn with(self, status: u16) -> Self {
        Self { status, ..self }
    }
}

impl KeysServer {
    pub async fn start(document: &Value) -> Self {
        Self::serving(Document::json(200, document)).await
    }

    pub async fn serving(document: Document) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/jwks", listener.local_addr().unwrap());
        let server = Self { uri, answer: Arc::new(Mutex::new(document)), asked: Arc::default() };
        let here = server.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(here.clone().answer(stream));
            }
        });
        server
    }

    async fn answer(self, mut stream: TcpStream) {
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await;
        self.asked.fetch_add(1, Ordering::SeqCst);
        let Document { status, headers, body, delay } = self.answer.lock().unwrap().clone();
        tokio::time::sleep(delay).await;
        let answer = format!(
            "HTTP/1.1 {status} X\r\n{headers}connection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let _ = stream.write_all(answer.as_bytes()).await;
    }

    /// From now on it answers this.
    pub fn say(&self, status: u16, document: &Value) {
        self.serve(Document::json(status, document));
    }

    /// From now on it answers this.
    pub fn serve(&self, document: Document) {
        *self.answer.lock().unwrap() = document;
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}
