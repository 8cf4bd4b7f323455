//! What a check writes to the log and into mails: keepalived's sentences where it has one, byte for byte. A sentence is data
//! until somebody knows which real server of which virtual server it is about, since a check may be shared by several.

use crate::verdict::Met;
use crate::{CheckParams, Probe, Reason};
use core::net::SocketAddr;
use std::sync::Arc;

/// Something to write to the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sentence {
    pub(crate) params: Arc<CheckParams>,
    /// Whom the run was about: of several mail servers, the one whose turn it was.
    pub(crate) address: SocketAddr,
    pub(crate) what: What,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum What {
    /// The check has succeeded after a failure, or for the first time.
    Succeeded,
    /// An expectation about a page was met.
    Page(Met, String),
    /// One failure of several. `tried`: how often was tried again before.
    Failure { reason: Reason, tried: u32 },
    /// The failure that counts. `counted`: it is said how often was tried again.
    Failed { reason: Reason, counted: bool },
}

/// The line for a check that begins to work, or rests (`ha_suspend`).
pub fn activation(active: bool, real: &str, service: &str) -> String {
    let word = if active { "Activating" } else { "Suspending" };
    format!("{word} healthchecker for service {real} for VS {service}")
}

/// An endpoint as keepalived writes it: `[10.0.0.1]:25`.
pub(crate) fn pair(address: SocketAddr) -> String {
    format!("[{}]:{}", address.ip(), address.port())
}

impl Sentence {
    /// The line of the log; `real` and `service` as the log names them (`[10.0.2.11]:tcp:80`). `None`: keepalived is silent here.
    pub fn text(&self, real: &str, service: &str) -> Option<String> {
        Some(match &self.what {
            What::Succeeded => return self.succeeded(real, service),
            What::Page(met, path) => {
                let what = match met {
                    Met::Status => "HTTP status code",
                    Met::Digest => "MD5 digest",
                    Met::Regex => "Regex match",
                };
                format!("{what} success to {real} url({path})")
            }
            What::Failure { reason, tried } => match &self.params.probe {
                Probe::Misc(_) => self.program(reason, *tried, real, service),
                _ => self.failure(reason, real),
            },
            What::Failed { reason, counted } => self.failed(reason, *counted, real, service),
        })
    }

    fn succeeded(&self, real: &str, service: &str) -> Option<String> {
        Some(match &self.params.probe {
            Probe::Tcp => format!("TCP connection to {real} success."),
            Probe::Http(_) => format!("Remote Web server {real} succeed on service."),
            Probe::Smtp(_) => format!("Remote SMTP server {real} succeed on service."),
            Probe::Dns(_) => return None,
            Probe::Udp(_) => format!("UDP connection to {real} success."),
            Probe::Ping => format!("ICMP connection to {real} success."),
            Probe::Misc(misc) => {
                format!("Misc check for [{real} VS {service}] by [{}] succeeded.", program(&misc.command))
            }
            other => format!("{} on service {real} succeeded.", other.keyword()),
        })
    }

    fn failure(&self, reason: &Reason, real: &str) -> String {
        let timeout = matches!(reason, Reason::ConnectTimeout | Reason::ReadTimeout);
        match &self.params.probe {
            Probe::Tcp if timeout => format!("TCP connection to {real} timeout."),
            Probe::Tcp => format!("TCP connection to {real} failed."),
            Probe::Http(_) => page(reason, real),
            Probe::Smtp(_) => format!("SMTP_CHECK {}", smtp(self.address, reason)),
            Probe::Dns(_) => format!("DNS_CHECK ({real}) {}", dns(reason)),
            Probe::Udp(_) if *reason == Reason::Mismatch => format!("UDP check to {real} reply data mismatch."),
            Probe::Udp(_) => format!("UDP connection to {real} failed."),
            Probe::Ping if timeout => format!("ICMP connection to address {real} timeout."),
            Probe::Ping => format!("ICMP connection to address {real} failed."),
            other => format!("{} on service {real} failed ({reason}).", other.keyword()),
        }
    }

    /// A program's failure after so many retries.
    fn program(&self, reason: &Reason, tried: u32, real: &str, service: &str) -> String {
        let Probe::Misc(misc) = &self.params.probe else { return String::new() };
        let retries = self.params.pace.retry;
        let how = match (retries, tried) {
            (0, _) => " with retry disabled".to_owned(),
            (_, 0) => format!(", will do {retries} retries"),
            _ if tried >= retries => format!(" after {retries} retries"),
            _ => format!(" on retry {tried}/{retries}"),
        };
        let what = format!("Misc check for [{real} VS {service}] by [{}]", program(&misc.command));
        match reason {
            Reason::ScriptTimeout => format!("{what} timed out{how}."),
            other => format!("{what} failed{how} ({other})."),
        }
    }

    fn failed(&self, reason: &Reason, counted: bool, real: &str, service: &str) -> String {
        let retries = self.params.pace.retry;
        let after = if counted { format!(" after {retries} retries") } else { String::new() };
        match &self.params.probe {
            Probe::Tcp => format!("TCP_CHECK on service {real} failed{after}."),
            Probe::Http(_) => format!("HTTP_CHECK on service {real} failed{after}."),
            Probe::Smtp(_) => self.failure(reason, real),
            Probe::Dns(_) => format!("{}{after}", self.failure(reason, real)),
            Probe::Udp(_) => format!("UDP_CHECK on service {real} failed{after}."),
            Probe::Ping => format!("ICMP CHECK on service {real} of {service} failed{after}."),
            Probe::Misc(_) => self.program(reason, retries, real, service),
            other => format!("{} on service {real} failed{after} ({reason}).", other.keyword()),
        }
    }
}

fn mail_name(probe: &Probe) -> &'static str {
    match probe {
        Probe::Tcp => "TCP CHECK",
        Probe::Udp(_) => "UDP CHECK",
        Probe::Ping => "ICMP CHECK",
        Probe::Misc(_) => "MISC CHECK",
        Probe::Dns(_) => "DNS_CHECK:",
        Probe::Http(_) | Probe::Smtp(_) => "CHECK",
        Probe::File(_) => "FILE CHECK",
        Probe::Bfd(_) => "BFD CHECK",
        Probe::Agent(_) => "AGENT CHECK",
        Probe::Grpc(_) => "GRPC CHECK",
        Probe::Redis(_) => "REDIS CHECK",
        Probe::Mysql(_) => "MYSQL CHECK",
        Probe::Pgsql(_) => "PGSQL CHECK",
    }
}

/// The body of the mail about a success.
pub(crate) fn mail_up(probe: &Probe) -> String {
    let word = if matches!(probe, Probe::Misc(_)) { "succeeded" } else { "succeed" };
    format!("=> {} {word} on service <=", mail_name(probe))
}

/// The body of the mail about a failure.
pub(crate) fn mail_down(params: &CheckParams, address: SocketAddr, reason: &Reason) -> String {
    let name = mail_name(&params.probe);
    match params.probe {
        Probe::Http(_) => format!("=> {name} failed on service : HTTP request failed <="),
        Probe::Smtp(_) => format!("=> {name} failed on service : {} <=", smtp(address, reason)),
        _ => format!("=> {name} failed on service <="),
    }
}

fn smtp(address: SocketAddr, reason: &Reason) -> String {
    let what = match reason {
        Reason::Greeting => "Bad greeting banner from",
        Reason::Helo => "Bad HELO response from",
        Reason::Quit => "Bad quit response from",
        Reason::ConnectTimeout => "Connection timeout to",
        Reason::ReadTimeout => "Read timeout from",
        Reason::Refused(_) => "Could not connect to",
        _ => "Read error from",
    };
    format!("{what} server {}", pair(address))
}

fn program(command: &[String]) -> &str {
    command.first().map_or("", String::as_str)
}

fn page(reason: &Reason, real: &str) -> String {
    let what = match reason {
        Reason::Status(_) => "HTTP status code error to",
        Reason::Digest(_) => "MD5 digest error to",
        Reason::NoMatch => "Regex match failed",
        Reason::Match => "Regex no match failed",
        Reason::ConnectTimeout => "Timeout connecting",
        Reason::ReadTimeout => "Timeout WEB read",
        Reason::Refused(_) => "Connection failed",
        Reason::Tls(why) => return format!("SSL handshake/communication error connecting to server ({why}) {real}."),
        _ => "Read error with",
    };
    format!("{what} server {real}.")
}

fn dns(reason: &Reason) -> String {
    match reason {
        Reason::Rcode(code) => format!("read error occurred. (rcode = {code})"),
        Reason::ConnectTimeout | Reason::ReadTimeout => "read timeout from socket".to_owned(),
        Reason::Refused(_) => format!("failed to read socket; {reason}"),
        other => format!("read error occurred. ({other})"),
    }
}
