//! Why a run of a check failed: one name per cause, stable, for status pages and metrics. The sentences of the log are made of
//! them in `sentence`; nothing here formats for people.

/// The reason of a failed run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reason {
    /// The connection was refused or an ICMP error came; the error number of the system where there is one.
    Refused(i32),
    /// The connection did not come about in time.
    ConnectTimeout,
    /// The peer said nothing for too long, or its answer as a whole took too long.
    ReadTimeout,
    /// The connection was reset in the middle.
    Reset,
    /// The connection ended before the answer did.
    ClosedEarly,
    /// The answer is longer than a check reads.
    TooLong,
    /// The answer is not of the protocol; what is wrong with it.
    Malformed(&'static str),
    /// The handshake of TLS failed; why.
    Tls(String),
    /// Another HTTP status than asked for; 0 for an answer without one.
    Status(u16),
    /// Another digest than asked for.
    Digest([u8; 16]),
    /// The contents do not match the expression.
    NoMatch,
    /// The contents match an expression that they must not.
    Match,
    /// The mail server's greeting is not 220.
    Greeting,
    /// The mail server's answer to HELO is not 250.
    Helo,
    /// The mail server's answer to QUIT is not 221.
    Quit,
    /// The name server's response code.
    Rcode(u8),
    /// The answer does not fit what was asked for.
    Mismatch,
    /// The program's exit status.
    Exit(i32),
    /// The signal that the program died of.
    Signal(i32),
    /// The program took too long and was stopped.
    ScriptTimeout,
    /// The program could not be started; why.
    Spawn(String),
    /// The number in the file says failed.
    FileValue(i64),
    /// The session is not up.
    SessionDown,
    /// The server says that it is not serving: agent, gRPC, Redis loading, a database starting; what it said.
    NotServing(String),
    /// The server refuses the user; what it said.
    Denied(String),
    /// The server has another role than asked for; which.
    Role(String),
}

impl Reason {
    /// Its name: lower case, words joined by underscores, the same in every version.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::ConnectTimeout => "connect_timeout",
            Self::ReadTimeout => "read_timeout",
            Self::Reset => "reset",
            Self::ClosedEarly => "closed_early",
            Self::TooLong => "too_long",
            Self::Malformed(_) => "malformed",
            Self::Tls(_) => "tls",
            Self::Status(_) => "status",
            Self::Digest(_) => "digest",
            Self::NoMatch => "no_match",
            Self::Match => "match",
            Self::Greeting => "greeting",
            Self::Helo => "helo",
            Self::Quit => "quit",
            Self::Rcode(_) => "rcode",
            Self::Mismatch => "mismatch",
            Self::Exit(_) => "exit",
            Self::Signal(_) => "signal",
            Self::ScriptTimeout => "script_timeout",
            Self::Spawn(_) => "spawn",
            Self::FileValue(_) => "file_value",
            Self::SessionDown => "session_down",
            Self::NotServing(_) => "not_serving",
            Self::Denied(_) => "denied",
            Self::Role(_) => "role",
        }
    }
}

/// Bytes of a peer as text for the log: printable ASCII, at most 80 characters, anything else as a dot.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    line.iter().take(80).map(|&byte| if (0x20..0x7f).contains(&byte) { char::from(byte) } else { '.' }).collect()
}

/// For people, as a part of a sentence.
impl core::fmt::Display for Reason {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Refused(0) => write!(out, "refused"),
            Self::Refused(errno) => write!(out, "errno {errno} ({})", error_text(*errno)),
            Self::ConnectTimeout => write!(out, "timeout while connecting"),
            Self::ReadTimeout => write!(out, "timeout while reading"),
            Self::Reset => write!(out, "connection reset"),
            Self::ClosedEarly => write!(out, "connection closed before the answer was complete"),
            Self::TooLong => write!(out, "answer too long"),
            Self::Malformed(what) => write!(out, "malformed answer: {what}"),
            Self::Tls(why) => write!(out, "TLS: {why}"),
            Self::Status(0) => write!(out, "no HTTP status"),
            Self::Status(code) => write!(out, "HTTP status {code}"),
            Self::Digest(digest) => write!(out, "digest {}", crate::genhash::hex(digest)),
            Self::NoMatch => write!(out, "contents do not match"),
            Self::Match => write!(out, "contents match"),
            Self::Greeting => write!(out, "bad greeting banner"),
            Self::Helo => write!(out, "bad HELO response"),
            Self::Quit => write!(out, "bad QUIT response"),
            Self::Rcode(code) => write!(out, "rcode {code}"),
            Self::Mismatch => write!(out, "reply data mismatch"),
            Self::Exit(status) => write!(out, "exited with status {status}"),
            Self::Signal(signal) => write!(out, "due to signal {signal}"),
            Self::ScriptTimeout => write!(out, "program timed out"),
            Self::Spawn(why) => write!(out, "program not started: {why}"),
            Self::FileValue(value) => write!(out, "the file says {value}"),
            Self::SessionDown => write!(out, "session not up"),
            Self::NotServing(said) => write!(out, "not serving: {said}"),
            Self::Denied(said) => write!(out, "access denied: {said}"),
            Self::Role(role) => write!(out, "role is {role}"),
        }
    }
}

/// What the C library says to the errors that connecting can end with.
fn error_text(errno: i32) -> &'static str {
    match errno {
        1 => "Operation not permitted",
        13 => "Permission denied",
        99 => "Cannot assign requested address",
        100 => "Network is down",
        101 => "Network is unreachable",
        104 => "Connection reset by peer",
        110 => "Connection timed out",
        111 => "Connection refused",
        112 => "Host is down",
        113 => "No route to host",
        _ => "error",
    }
}
