//! A mail to a server: the plain dialogue of RFC 5321, as the original holds it (HELO, several recipients, no encryption, which
//! its configuration cannot ask for). Every answer is bounded in length and time.

use super::message::one_line;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

/// The longest answer, all its lines together, in bytes.
const LONGEST_ANSWER: u64 = 64 * 1024;

/// Where mail goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// `smtp_server`
    pub address: SocketAddr,
    /// `smtp_connect_timeout`: for connecting and for each answer.
    pub timeout: Duration,
    /// `smtp_helo_name`
    pub helo: String,
}

/// Why a mail was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// The server cannot be reached.
    #[error("SMTP connection ERROR to {0}: {1}.")]
    Connect(SocketAddr, String),
    /// It took too long.
    #[error("Timeout {1} SMTP server {0}.")]
    Timeout(SocketAddr, &'static str),
    /// The connection broke, or the answer is none.
    #[error("Error reading data from remote SMTP server {0}: {1}.")]
    Broken(SocketAddr, String),
    /// The server does not want to talk.
    #[error("Error connecting SMTP server {0}. SMTP status code = {1}")]
    Unwelcome(SocketAddr, u16),
    /// The server said no.
    #[error("Error processing {step} cmd on SMTP server {server}. SMTP status code = {code}")]
    Refused {
        /// The server.
        server: SocketAddr,
        /// What it said no to: `HELO`, `MAIL`, `RCPT`, `DATA`, `DOT`.
        step: &'static str,
        /// Its number.
        code: u16,
    },
}

struct Dialogue<'a> {
    server: &'a Server,
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl Dialogue<'_> {
    /// Sends a line, or several, and wants this answer.
    async fn say(&mut self, step: &'static str, text: &str, wanted: u16) -> Result<(), MailError> {
        let (server, patience) = (self.server.address, self.server.timeout);
        let talk = async {
            let broken = |error: std::io::Error| MailError::Broken(server, error.to_string());
            self.writer.write_all(text.as_bytes()).await.map_err(broken)?;
            self.answer().await
        };
        let code = timeout(patience, talk).await.map_err(|_| MailError::Timeout(server, "reading data from"))??;
        if code == wanted { Ok(()) } else { Err(MailError::Refused { server, step, code }) }
    }

    /// Reads an answer of one or several lines.
    async fn answer(&mut self) -> Result<u16, MailError> {
        let broken = |reason: &str| MailError::Broken(self.server.address, reason.to_owned());
        let mut bounded = (&mut self.reader).take(LONGEST_ANSWER);
        loop {
            let mut line = Vec::new();
            bounded.read_until(b'\n', &mut line).await.map_err(|error| broken(&error.to_string()))?;
            if line.last() != Some(&b'\n') {
                return Err(broken("the connection was closed or the answer is too long"));
            }
            let number = line.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
            let code =
                number.and_then(|digits| digits.parse().ok()).ok_or_else(|| broken("the answer has no number"))?;
            if line.get(3) != Some(&b'-') {
                return Ok(code);
            }
        }
    }
}

/// Sends one message (as [`super::Alert::message`] makes it) to all recipients. It goes to those that the server takes; an error
/// if it takes none of them.
pub async fn send(server: &Server, from: &str, to: &[String], message: &str) -> Result<(), MailError> {
    let address = server.address;
    let connecting = timeout(server.timeout, TcpStream::connect(address)).await;
    let stream = connecting
        .map_err(|_| MailError::Timeout(address, "connecting"))?
        .map_err(|error| MailError::Connect(address, error.to_string()))?;
    let (reader, writer) = stream.into_split();
    let mut dialogue = Dialogue { server, reader: BufReader::new(reader), writer };
    dialogue.say("connection", "", 220).await.map_err(|error| match error {
        MailError::Refused { server, code, .. } => MailError::Unwelcome(server, code),
        other => other,
    })?;
    dialogue.say("HELO", &format!("HELO {}\r\n", one_line(&server.helo)), 250).await?;
    dialogue.say("MAIL", &format!("MAIL FROM:<{}>\r\n", bare(from)), 250).await?;
    let mut refused = None;
    let mut taken = false;
    for recipient in to {
        match dialogue.say("RCPT", &format!("RCPT TO:<{}>\r\n", bare(recipient)), 250).await {
            Ok(()) => taken = true,
            Err(error @ MailError::Refused { .. }) => {
                tracing::info!("{error}");
                refused = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    if let Some(error) = refused.filter(|_| !taken) {
        return Err(error);
    }
    dialogue.say("DATA", "DATA\r\n", 354).await?;
    dialogue.say("DOT", message, 250).await?;
    // The mail is theirs now; how they say good-bye changes nothing.
    let _ = dialogue.say("QUIT", "QUIT\r\n", 221).await;
    Ok(())
}

/// The address out of `Name <address>`.
fn bare(address: &str) -> String {
    let inner = address.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(inner, _)| inner);
    one_line(inner.unwrap_or(address).trim())
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
