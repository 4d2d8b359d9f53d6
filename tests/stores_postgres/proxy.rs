//! Stands between a store and PostgreSQL, and breaks the connection at the
//! moment of a COMMIT.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use url::Url;

/// What befalls the next COMMIT, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It never reaches the server.
    CommitLost,
    /// The server commits, and its answer is lost.
    AnswerLost,
    /// The connection breaks at once, and the COMMIT reaches the server later.
    CommitLate,
}

pub struct Proxy {
    /// The database's URL, by way of the proxy.
    pub url: String,
    fault: Arc<Mutex<Option<Fault>>>,
}

impl Proxy {
    /// Stands before the server of this database's URL.
    pub async fn before(url: &str) -> Self {
        let mut url = Url::parse(url).unwrap();
        let (host, port) = (url.host_str().unwrap().to_owned(), url.port().unwrap_or(5432));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fault = Arc::new(Mutex::new(None));
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
        let proxy = Self { url: url.into(), fault: Arc::clone(&fault) };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect((host.as_str(), port)).await.unwrap();
                tokio::spawn(carry(client, server, Arc::clone(&fault)));
            }
        });
        proxy
    }

    pub fn arm(&self, fault: Fault) {
        *self.fault.lock().unwrap() = Some(fault);
    }

    pub fn has_struck(&self) -> bool {
        self.fault.lock().unwrap().is_none()
    }
}

async fn carry(client: TcpStream, server: TcpStream, fault: Arc<Mutex<Option<Fault>>>) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let answers = tokio::spawn(copy(from_server, to_client));
    let Some((fault, commit, mut to_server)) = questions(from_client, to_server, &fault).await
    else {
        return;
    };
    match fault {
        Fault::CommitLost => answers.abort(),
        Fault::AnswerLost => {
            answers.abort();
            // The halves that carried answers are gone with the task, so this
            // waits on the clock: the server needs only the question.
            to_server.write_all(&commit).await.unwrap();
            sleep(Duration::from_millis(200)).await;
        }
        Fault::CommitLate => {
            answers.abort();
            sleep(Duration::from_millis(400)).await;
            to_server.write_all(&commit).await.unwrap();
            sleep(Duration::from_millis(200)).await;
        }
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let _ = tokio::io::copy(&mut from, &mut to).await;
}

/// Carries what the client says, up to a COMMIT that a fault waits for.
async fn questions(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    fault: &Mutex<Option<Fault>>,
) -> Option<(Fault, Vec<u8>, OwnedWriteHalf)> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let length = from.read(&mut buffer).await.ok()?;
        if length == 0 {
            return None;
        }
        let said = &buffer[..length];
        // A simple query on its own: Q, its length, COMMIT and a zero.
        if said == b"Q\0\0\0\x0bCOMMIT\0"
            && let Some(fault) = fault.lock().unwrap().take()
        {
            return Some((fault, said.to_vec(), to));
        }
        to.write_all(said).await.ok()?;
    }
}
