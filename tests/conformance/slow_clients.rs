//! Clients that send slowly, or too much: they are told, and hold nothing for long.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::support::{StoreKind, TestServer};

both_stores! {
    a_head_that_does_not_come_is_waited_for_no_longer_than_that,
    a_body_that_does_not_come_is_waited_for_no_longer_than_that,
    a_body_that_drips_is_waited_for_no_longer_than_that,
    a_body_that_nobody_reads_holds_no_connection,
    a_body_that_comes_in_time_may_come_in_parts,
    a_body_that_is_too_long_is_refused_before_it_is_sent,
    a_body_that_turns_out_too_long_is_refused,
    further_connections_wait_until_one_is_closed,
}

const ONE_SECOND: &str = "[http]\nrequest_timeout = 1\nmax_body_bytes = 2048\n";

const HEAD: &str = "POST /token HTTP/1.1\r\nHost: as\r\n\
    Content-Type: application/x-www-form-urlencoded\r\n";

struct Slow {
    stream: TcpStream,
    began: Instant,
}

impl Slow {
    async fn at(server: &TestServer) -> Self {
        let address = server.address.trim_start_matches("http://").to_owned();
        Self { stream: TcpStream::connect(address).await.unwrap(), began: Instant::now() }
    }

    async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// What is answered until the server closes the connection, which it does soon.
    async fn answer(mut self) -> String {
        let mut answer = vec![];
        let read = timeout(Duration::from_secs(20), self.stream.read_to_end(&mut answer));
        read.await.expect("the connection is closed").unwrap();
        String::from_utf8(answer).unwrap()
    }

    /// So many parts of a body, five in a second.
    async fn drip(&mut self, parts: u32) {
        for _ in 0..parts {
            sleep(Duration::from_millis(200)).await;
            self.send("a").await;
        }
    }
}

/// RFC 9110 §15.5.9
async fn a_head_that_does_not_come_is_waited_for_no_longer_than_that(store: StoreKind) {
    let server = TestServer::with_settings(store, ONE_SECOND).await;
    let mut slow = Slow::at(&server).await;
    slow.send("POST /token HTTP/1.1\r\nHost:").await;
    let began = slow.began;
    let answer = slow.answer().await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(began.elapsed() > Duration::from_millis(500));
}

/// RFC 9110 §15.5.9
async fn a_body_that_does_not_come_is_waited_for_no_longer_than_that(store: StoreKind) {
    let server = TestServer::with_settings(store, ONE_SECOND).await;
    let mut slow = Slow::at(&server).await;
    slow.send(&format!("{HEAD}Content-Length: 20\r\n\r\ngrant_type=")).await;
    let began = slow.began;
    let answer = slow.answer().await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.ends_with("the request did not come within 1 s\n"), "{answer}");
    assert!(began.elapsed() > Duration::from_millis(900));
}

async fn a_body_that_drips_is_waited_for_no_longer_than_that(store: StoreKind) {
    let server = TestServer::with_settings(store, ONE_SECOND).await;
    for framing in ["Content-Length: 2000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n1000\r\n"] {
        let mut slow = Slow::at(&server).await;
        slow.send(&format!("{HEAD}{framing}")).await;
        slow.drip(4).await;
        let answer = slow.answer().await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
}

async fn a_body_that_nobody_reads_holds_no_connection(store: StoreKind) {
    let server = TestServer::with_settings(store, ONE_SECOND).await;
    for framing in ["Content-Length: 2000", "Transfer-Encoding: chunked"] {
        let mut slow = Slow::at(&server).await;
        slow.send(&format!("GET /jwks HTTP/1.1\r\nHost: as\r\n{framing}\r\n\r\n")).await;
        let answer = slow.answer().await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    }
}

async fn a_body_that_comes_in_time_may_come_in_parts(store: StoreKind) {
    let server = TestServer::with_settings(store, ONE_SECOND).await;
    let mut slow = Slow::at(&server).await;
    slow.send(&format!("{HEAD}Connection: close\r\nContent-Length: 4\r\n\r\nb")).await;
    slow.drip(3).await;
    let answer = slow.answer().await;
    assert!(answer.starts_with("HTTP/1.1 401 ") || answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("\"error\""), "{answer}");
}

/// RFC 9110 §15.5.14: its length says so, and nothing of it is read.
async fn a_body_that_is_too_long_is_refused_before_it_is_sent(store: StoreKind) {
    let server = TestServer::with_settings(store, ONE_SECOND).await;
    for (path, length) in [("/token", 2049_u64), ("/login", 65_537), ("/register", 10_000_000_000)]
    {
        let mut slow = Slow::at(&server).await;
        let head = HEAD.replace("/token", path);
        slow.send(&format!("{head}Content-Length: {length}\r\n\r\n")).await;
        let began = slow.began;
        let mut first = [0; 13];
        timeout(Duration::from_secs(10), slow.stream.read_exact(&mut first))
            .await
            .unwrap()
            .unwrap();
        let expected = if path == "/register" { b"HTTP/1.1 404 " } else { b"HTTP/1.1 413 " };
        assert_eq!(&first, expected, "{path}");
        assert!(began.elapsed() < Duration::from_secs(5));
    }
}

/// RFC 9110 §15.5.14
async fn a_body_that_turns_out_too_long_is_refused(store: StoreKind) {
    let server = TestServer::with_settings(store, ONE_SECOND).await;
    let mut slow = Slow::at(&server).await;
    let part = format!("400\r\n{}\r\n", "a".repeat(0x400));
    slow.send(&format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n{part}{part}{part}")).await;
    let mut first = [0; 13];
    timeout(Duration::from_secs(10), slow.stream.read_exact(&mut first)).await.unwrap().unwrap();
    assert_eq!(&first, b"HTTP/1.1 413 ");
}

async fn further_connections_wait_until_one_is_closed(store: StoreKind) {
    let settings = "[http]\nrequest_timeout = 60\nmax_connections = 16\n";
    let server = TestServer::with_settings(store, settings).await;
    let mut open = vec![];
    for _ in 0..16 {
        let mut slow = Slow::at(&server).await;
        slow.send("GET /jwks HTTP/1.1\r\n").await;
        open.push(slow);
    }
    sleep(Duration::from_millis(500)).await;
    let mut further = Slow::at(&server).await;
    further.send("GET /jwks HTTP/1.1\r\nHost: as\r\nConnection: close\r\n\r\n").await;
    let mut answer = [0; 12];
    let early = timeout(Duration::from_secs(1), further.stream.read_exact(&mut answer)).await;
    assert!(early.is_err(), "{early:?}");
    drop(open);
    timeout(Duration::from_secs(10), further.stream.read_exact(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}
