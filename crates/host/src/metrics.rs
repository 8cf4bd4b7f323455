//! A web server for one page: what is measured, as Prometheus reads it. Off unless asked for; meant for the loopback.
//!
//! A request's head is bounded in length and time, connections in number; there is no body, and every connection serves one
//! request.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The longest head of a request, in bytes.
const LONGEST_HEAD: usize = 8192;
/// How long a request and its answer may take.
const LONGEST_TALK: Duration = Duration::from_secs(10);
/// How many are served at once.
const AT_ONCE: usize = 16;
/// Pause after the system refused a connection, for want of descriptors.
const REFUSED: Duration = Duration::from_millis(100);
const TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Makes the page anew for each request. Called on the runtime; must not wait.
pub type Page = Arc<dyn Fn() -> String + Send + Sync>;

/// The server; ends when dropped.
#[derive(Debug)]
pub struct MetricsServer {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl MetricsServer {
    /// Listens. Must be called on a runtime.
    pub async fn start(address: SocketAddr, page: Page) -> io::Result<Self> {
        Self::start_with(address, page, LONGEST_TALK).await
    }

    async fn start_with(address: SocketAddr, page: Page, longest: Duration) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { address, task: tokio::spawn(serve(listener, page, longest)) })
    }

    /// Where it listens; the port that was chosen if 0 was asked for.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, page: Page, longest: Duration) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(REFUSED).await;
            continue;
        };
        let page = Arc::clone(&page);
        tokio::spawn(async move {
            let _place = place;
            // Whoever asks slowly or goes away gets nothing.
            let _ = timeout(longest, talk(stream, page)).await;
        });
    }
}

async fn talk(mut stream: TcpStream, page: Page) -> io::Result<()> {
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if head.len() > LONGEST_HEAD {
            return finish(stream, answer("431 Request Header Fields Too Large", "too long\n", true)).await;
        }
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            length => head.extend(&buffer[..length]),
        }
    }
    finish(stream, respond(&head, &page)).await
}

async fn finish(mut stream: TcpStream, answer: String) -> io::Result<()> {
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    // What was sent after the head is taken off the line: closing over unread bytes would reset the connection and lose the
    // answer.
    let mut rest = [0; 1024];
    for _ in 0..LONGEST_HEAD / rest.len() {
        if stream.read(&mut rest).await? == 0 {
            break;
        }
    }
    Ok(())
}

fn respond(head: &[u8], page: &Page) -> String {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = std::str::from_utf8(line).unwrap_or_default().split(' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    let path = target.and_then(|target| target.split('?').next());
    match (method, path, version.is_some_and(|version| version.starts_with("HTTP/1."))) {
        (_, _, false) => answer("400 Bad Request", "bad request\n", true),
        (Some("GET"), Some("/metrics"), _) => answer("200 OK", &page(), true),
        (Some("HEAD"), Some("/metrics"), _) => answer("200 OK", &page(), false),
        (Some("GET" | "HEAD"), _, _) => answer("404 Not Found", "see /metrics\n", method == Some("GET")),
        _ => answer("405 Method Not Allowed", "GET or HEAD\n", true),
    }
}

fn answer(status: &str, body: &str, with_body: bool) -> String {
    let length = body.len();
    let body = if with_body { body } else { "" };
    format!("HTTP/1.1 {status}\r\nContent-Type: {TYPE}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{DEADLINE, runtime};

    fn ask(request: &[u8]) -> String {
        runtime().block_on(async {
            let page: Page = Arc::new(|| "keepalived_up 1\n".into());
            let server = MetricsServer::start("127.0.0.1:0".parse().unwrap(), page).await.unwrap();
            let talk = async {
                let mut stream = TcpStream::connect(server.address()).await.unwrap();
                stream.write_all(request).await.unwrap();
                let mut text = String::new();
                stream.read_to_string(&mut text).await.unwrap();
                text
            };
            timeout(DEADLINE, talk).await.unwrap()
        })
    }

    #[test]
    fn the_page_and_nothing_else() {
        let text = ask(b"GET /metrics?x HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.contains("version=0.0.4"), "{text}");
        assert!(text.ends_with("Content-Length: 16\r\nConnection: close\r\n\r\nkeepalived_up 1\n"), "{text}");
        let text = ask(b"HEAD /metrics HTTP/1.0\r\n\r\n");
        assert!(text.contains("Content-Length: 16\r\n") && text.ends_with("\r\n\r\n"), "{text}");
        for (request, status) in [
            (&b"GET / HTTP/1.1\r\n\r\n"[..], "404"),
            (b"POST /metrics HTTP/1.1\r\n\r\nbody", "405"),
            (b"GET /metrics\r\n\r\n", "400"),
            (b"\xff\xfe\r\n\r\n", "400"),
            (b"\r\n\r\n", "400"),
        ] {
            let text = ask(request);
            assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{text}");
        }
    }

    #[test]
    fn a_head_without_end_is_refused() {
        let long = [b"GET /metrics HTTP/1.1\r\nX: ".as_slice(), &[b'a'; LONGEST_HEAD + 100]].concat();
        assert!(ask(&long).starts_with("HTTP/1.1 431 "));
    }

    #[test]
    fn those_who_say_nothing_do_not_keep_others_out_for_ever() {
        runtime().block_on(async {
            let address = "127.0.0.1:0".parse().unwrap();
            let page: Page = Arc::new(|| "x 1\n".into());
            let server = MetricsServer::start_with(address, page, Duration::from_millis(200)).await.unwrap();
            let mut idle = Vec::new();
            for _ in 0..AT_ONCE {
                idle.push(TcpStream::connect(server.address()).await.unwrap());
            }
            let mut stream = TcpStream::connect(server.address()).await.unwrap();
            stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").await.unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            assert!(text.ends_with("x 1\n"), "{text}");
        });
    }
}
