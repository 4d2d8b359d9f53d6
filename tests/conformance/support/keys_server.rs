//! A client's own server, where its keys are found.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Serves one document on loopback, and counts how often it is asked for.
#[derive(Clone)]
pub struct KeysServer {
    pub uri: String,
    answer: Arc<Mutex<(u16, String)>>,
    asked: Arc<AtomicUsize>,
}

impl KeysServer {
    pub async fn start(document: &Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/jwks", listener.local_addr().unwrap());
        let answer = Arc::new(Mutex::new((200, document.to_string())));
        let server = Self { uri, answer, asked: Arc::default() };
        let here = server.clone();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                here.asked.fetch_add(1, Ordering::SeqCst);
                let (status, body) = here.answer.lock().unwrap().clone();
                let answer = format!(
                    "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\n\
                     cache-control: max-age=600\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        server
    }

    /// From now on it answers this.
    pub fn say(&self, status: u16, document: &Value) {
        *self.answer.lock().unwrap() = (status, document.to_string());
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}
