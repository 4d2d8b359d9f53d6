//! A relying party's own server: takes what this server posts to it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::until;

/// Listens on loopback; ends with the test.
pub struct Listener {
    pub url: String,
    shared: Arc<Mutex<Shared>>,
    task: tokio::task::JoinHandle<()>,
}

struct Shared {
    /// Bodies, in order.
    bodies: Vec<String>,
    heads: Vec<String>,
    status: u16,
    answer: String,
    delay: Duration,
}

impl Listener {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/backchannel", listener.local_addr().unwrap());
        let shared = Arc::new(Mutex::new(Shared {
            bodies: vec![],
            heads: vec![],
            status: 200,
            answer: String::new(),
            delay: Duration::ZERO,
        }));
        let inner = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(connection, Arc::clone(&inner)));
            }
        });
        Self { url, shared, task }
    }

    /// Answers with this status from now on.
    pub fn answer(&self, status: u16) {
        self.shared.lock().unwrap().status = status;
    }

    /// Answers with this JSON from now on.
    pub fn say(&self, answer: &serde_json::Value) {
        self.shared.lock().unwrap().answer = answer.to_string();
    }

    /// Takes its time from now on.
    pub fn wait(&self, delay: Duration) {
        self.shared.lock().unwrap().delay = delay;
    }

    /// What has come, in order.
    pub fn bodies(&self) -> Vec<String> {
        self.shared.lock().unwrap().bodies.clone()
    }

    /// The request lines and headers of what has come.
    pub fn heads(&self) -> Vec<String> {
        self.shared.lock().unwrap().heads.clone()
    }

    /// Waits until so many requests have come.
    pub async fn has(&self, count: usize) {
        until("a request to the relying party", || async { self.bodies().len() >= count }).await;
    }

    /// The logout tokens that have come.
    pub fn logout_tokens(&self) -> Vec<String> {
        let token = |body: &String| {
            let mut fields = url::form_urlencoded::parse(body.as_bytes());
            let (name, value) = fields.next().unwrap();
            assert_eq!((&*name, fields.next()), ("logout_token", None));
            value.into_owned()
        };
        self.bodies().iter().map(token).collect()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One request for each connection.
async fn serve(mut connection: TcpStream, shared: Arc<Mutex<Shared>>) {
    let mut bytes = Vec::new();
    let (head, body) = loop {
        let mut buffer = [0; 4096];
        let Ok(read) = connection.read(&mut buffer).await else { return };
        bytes.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
            });
            if body.len() >= length.unwrap_or(0) {
                break (head.to_owned(), body.to_owned());
            }
        }
        if read == 0 {
            return;
        }
    };
    let (status, answer, delay) = {
        let mut shared = shared.lock().unwrap();
        shared.bodies.push(body);
        shared.heads.push(head);
        (shared.status, shared.answer.clone(), shared.delay)
    };
    tokio::time::sleep(delay).await;
    let kind = if answer.is_empty() { "" } else { "content-type: application/json\r\n" };
    let answer = format!(
        "HTTP/1.1 {status} X\r\n{kind}content-length: {}\r\nconnection: close\r\n\r\n{answer}",
        answer.len()
    );
    let _ = connection.write_all(answer.as_bytes()).await;
}
