//! The control socket: how commands reach the process that holds the lock of
//! an embedded store.
//!
//! A Unix socket in the data folder that its owner alone may open. A request
//! is one line of JSON, and so is its reply; a connection may carry several,
//! one after the other. What the file says is no promise: the lock of the
//! store alone decides who may write, and whoever holds it replaces a socket
//! that an earlier process left behind.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader,
};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

use super::{AdminError, Operation, Outcome, perform};
use crate::services::Services;

/// The socket's name in the data folder.
pub const FILE: &str = "chancery.sock";

/// The longest request or reply, in bytes.
const LONGEST: u64 = 4 * 1024 * 1024;

/// How long to wait before more connections are taken after one failed.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug, Serialize, Deserialize)]
struct Request {
    operation: Operation,
    /// Who asks: stands in the events as their actor.
    operator: String,
}

/// `{"ok": …}` or `{"error": …}`
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reply {
    Ok(Outcome),
    Error(AdminError),
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Nobody listens: no server runs, or it is just starting or ending.
    #[error("nobody listens on the control socket {}", .0.display())]
    NobodyListens(PathBuf),
    /// The request may have been carried out, or not.
    #[error("the server ended before it answered: look whether it was done")]
    NoAnswer,
    #[error("the control socket: {0}")]
    Io(#[from] io::Error),
    #[error("the server does not speak like this version of Chancery: {0}")]
    Unreadable(serde_json::Error),
}

/// A control socket that is listened on, by the process that holds the store's
/// lock.
pub struct ControlSocket {
    path: PathBuf,
    listening: JoinHandle<()>,
}

impl ControlSocket {
    /// Listens in this data folder. Runs on the current thread, which must be
    /// one of actix's.
    pub fn open(services: Arc<Services>, folder: &Path) -> io::Result<Self> {
        let path = folder.join(FILE);
        // Nobody may open it before its permissions are set, so it gets its
        // name last.
        let unnamed = folder.join("chancery.sock.new");
        remove(&unnamed)?;
        let opened = File::open(folder)?;
        let listener = UnixListener::bind(reachable(&opened, &unnamed)?)?;
        fs::set_permissions(&unnamed, Permissions::from_mode(0o600))?;
        fs::rename(&unnamed, &path)?;
        let listening = actix::spawn(listen(listener, services));
        Ok(Self { path, listening })
    }

    /// Takes no more requests. Those being carried out go on.
    pub fn close(self) {
        self.listening.abort();
        if let Err(error) = remove(&self.path) {
            tracing::debug!(%error, "the control socket was not removed: {error}");
        }
    }
}

/// Does a server listen in this folder?
pub async fn is_listened_on(folder: &Path) -> bool {
    connect(folder).await.is_ok()
}

async fn connect(folder: &Path) -> io::Result<UnixStream> {
    let opened = File::open(folder)?;
    UnixStream::connect(reachable(&opened, &folder.join(FILE))?).await
}

/// Asks the process that listens in this folder to perform an operation.
pub async fn send(
    folder: &Path,
    operation: Operation,
    operator: &str,
) -> Result<Result<Outcome, AdminError>, SocketError> {
    let stream = connect(folder).await.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            SocketError::NobodyListens(folder.join(FILE))
        }
        _ => SocketError::Io(error),
    })?;
    let request = Request { operation, operator: operator.to_owned() };
    let mut stream = BufReader::new(stream);
    write_line(stream.get_mut(), &request).await?;
    let line = read_line(&mut stream).await.ok().flatten().ok_or(SocketError::NoAnswer)?;
    match serde_json::from_slice(&line).map_err(SocketError::Unreadable)? {
        Reply::Ok(outcome) => Ok(Ok(outcome)),
        Reply::Error(error) => Ok(Err(error)),
    }
}

async fn listen(listener: UnixListener, services: Arc<Services>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let services = Arc::clone(&services);
                actix::spawn(async move {
                    if let Err(error) = converse(stream, &services).await {
                        tracing::debug!(%error, "a control connection ended: {error}");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the control socket could not take a connection: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn converse(stream: UnixStream, services: &Services) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(line) = read_line(&mut stream).await? {
        let reply = match serde_json::from_slice::<Request>(&line) {
            Ok(request) => answer(services, request).await,
            // The line may hold a secret, and serde names the value it meets.
            Err(error) => Reply::Error(AdminError::Invalid(format!(
                "the server does not know this request (column {}): is it of another version?",
                error.column()
            ))),
        };
        write_line(stream.get_mut(), &reply).await?;
    }
    Ok(())
}

async fn answer(services: &Services, request: Request) -> Reply {
    match perform(services, request.operation, &request.operator).await {
        Ok(outcome) => Reply::Ok(outcome),
        Err(error) => Reply::Error(error),
    }
}

async fn write_line<T: Serialize>(stream: &mut UnixStream, value: &T) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    stream.write_all(&line).await
}

/// One line; none at the end of what is sent.
async fn read_line(stream: &mut BufReader<impl AsyncRead + Unpin>) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    stream.take(LONGEST).read_until(b'\n', &mut line).await?;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The path of a socket may have some hundred bytes only. A longer one is
/// reached through the folder that is open here.
fn reachable(folder: &File, path: &Path) -> io::Result<PathBuf> {
    const LONGEST_PATH: usize = 100;
    let fits = path.as_os_str().len() <= LONGEST_PATH;
    let name = path.file_name().filter(|_| !fits && cfg!(target_os = "linux"));
    match name {
        Some(name) => {
            Ok(Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name))
        }
        None if fits => Ok(path.to_owned()),
        None => {
            let why = "the path of the data folder is too long for a control socket";
            Err(io::Error::new(io::ErrorKind::InvalidInput, why))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_is_reached_through_its_folder() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("x".repeat(120));
        fs::create_dir(&folder).unwrap();
        let opened = File::open(&folder).unwrap();
        let path = folder.join(FILE);
        let short = reachable(&opened, &path).unwrap();
        assert!(short.as_os_str().len() < 100, "{}", short.display());
        let listener = std::os::unix::net::UnixListener::bind(&short).unwrap();
        assert!(path.exists());
        std::os::unix::net::UnixStream::connect(reachable(&opened, &path).unwrap()).unwrap();
        drop(listener);
    }

    #[tokio::test]
    async fn a_line_that_does_not_end_is_no_request() {
        let mut whole = BufReader::new(&b"{}\n[]\n"[..]);
        assert_eq!(read_line(&mut whole).await.unwrap().unwrap(), b"{}");
        assert_eq!(read_line(&mut whole).await.unwrap().unwrap(), b"[]");
        assert_eq!(read_line(&mut whole).await.unwrap(), None);
        assert!(read_line(&mut BufReader::new(&b"{\"operation\""[..])).await.is_err());
    }

    #[actix::test]
    async fn nobody_listening_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let operation = Operation::RotateKey { algorithm: None };
        let nobody = send(folder.path(), operation.clone(), "ada").await;
        assert!(matches!(nobody, Err(SocketError::NobodyListens(_))), "{nobody:?}");

        // Left behind by a process that is gone.
        drop(UnixListener::bind(folder.path().join(FILE)).unwrap());
        let nobody = send(folder.path(), operation, "ada").await;
        assert!(matches!(nobody, Err(SocketError::NobodyListens(_))), "{nobody:?}");
    }
}
