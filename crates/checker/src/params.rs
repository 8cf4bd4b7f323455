//! What a check is made of: where it goes, how often, and what it asks. Parameters only: nothing here decides anything, and
//! nothing knows how a file spells them. Two checks with equal parameters are the same check and are done once.

use crate::http::{HttpVersion, Url};
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

/// Where the packets of a check go, and how they leave.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Target {
    /// Address and port to connect to; the port is 0 where there is none (echo requests).
    pub address: SocketAddr,
    /// The address to connect from.
    pub bind_address: Option<IpAddr>,
    /// The port to connect from.
    pub bind_port: Option<u16>,
    /// The interface to connect from.
    pub bind_interface: Option<String>,
    /// The firewall mark of the packets; 0: none.
    pub mark: u32,
    /// The real server sees the packets as for this virtual service, and they travel as it forwards. Whoever registers that
    /// with the packet path gives `mark`; sockets connect to `address` all the same.
    pub via_vip: Option<SocketAddr>,
}

impl Target {
    /// This address by the shortest way, with nothing else set.
    pub const fn new(address: SocketAddr) -> Self {
        Self { address, bind_address: None, bind_port: None, bind_interface: None, mark: 0, via_vip: None }
    }
}

/// How often a check is done.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Pace {
    /// Count as failed until the first success.
    pub alpha: bool,
    /// How long each step may take: to connect, and each wait for the peer.
    pub connect_timeout: Duration,
    /// How often to try again before the check counts as failed.
    pub retry: u32,
    /// How long to wait before that.
    pub delay_before_retry: Duration,
    /// How long at most the first run is put off, at random, after [`Pace::BOOTSTRAP`].
    pub warmup: Duration,
    /// From one run to the next.
    pub delay_loop: Duration,
}

impl Pace {
    /// From the start of the daemon to the earliest first run.
    pub const BOOTSTRAP: Duration = Duration::from_secs(1);

    /// keepalived's defaults for a kind of check below a virtual server of this `delay_loop`.
    pub const fn of(probe: &Probe, delay_loop: Duration) -> Self {
        let (retry, delay_before_retry) = match probe {
            Probe::Http(_) => (1, Duration::from_secs(3)),
            Probe::Dns(_) => (3, delay_loop),
            Probe::Misc(_) => (0, Duration::from_secs(1)),
            _ => (1, Duration::from_secs(1)),
        };
        Self {
            alpha: false,
            connect_timeout: Duration::from_secs(5),
            retry,
            delay_before_retry,
            warmup: delay_loop,
            delay_loop,
        }
    }
}

/// A check.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct CheckParams {
    /// Where it goes. Programs, files and sessions have the real server's address here, for the log.
    pub target: Target,
    /// How often.
    pub pace: Pace,
    /// Log every failure, not only the one that counts.
    pub log_all_failures: bool,
    /// What it asks.
    pub probe: Probe,
}

/// What is asked.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Probe {
    /// Connect by TCP.
    Tcp,
    /// Ask for pages, over TLS if so set.
    Http(Http),
    /// Talk to mail servers.
    Smtp(Smtp),
    /// Ask a name server.
    Dns(Dns),
    /// Send a datagram.
    Udp(Udp),
    /// Send an echo request of the target's family.
    Ping,
    /// Run a program.
    Misc(Misc),
    /// Follow the number in a file.
    File(File),
    /// Follow a session of bidirectional forwarding detection.
    Bfd(Bfd),
    /// Ask an agent on the real server.
    Agent(Agent),
    /// Ask by gRPC's health checking protocol.
    Grpc(Grpc),
    /// Say PING to Redis.
    Redis(Redis),
    /// Shake hands with MySQL or MariaDB.
    Mysql(Mysql),
    /// Shake hands with PostgreSQL.
    Pgsql(Pgsql),
}

/// TLS around a conversation.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Tls {
    /// The name of the host in the handshake.
    pub sni: Option<String>,
    /// Refuse certificates that no authority vouches for, that are expired or made out to another name.
    pub verify: bool,
    /// A connection that ends without a farewell of TLS counts as failed.
    pub compliant: bool,
}

/// HTTP_GET and SSL_GET.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Http {
    /// The pages. One is asked for in each run, in turn; all must have come right for a first or renewed success.
    pub urls: Vec<Url>,
    /// The version of HTTP.
    pub version: HttpVersion,
    /// The virtual host of pages that have none of their own. Address and port of the target by default.
    pub virtualhost: Option<String>,
    /// After a failure ask for all pages without a pause.
    pub fast_recovery: bool,
    /// Over TLS.
    pub tls: Option<Tls>,
}

/// SMTP_CHECK.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Smtp {
    /// The name to greet with.
    pub helo: String,
    /// Servers that must all answer, one after the other; if there are none, the target.
    pub hosts: Vec<Target>,
}

/// What is asked of a name server.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum DnsType {
    /// IPv4 addresses.
    A = 1,
    /// Name servers.
    Ns = 2,
    /// An alias.
    Cname = 5,
    /// The start of a zone.
    #[default]
    Soa = 6,
    /// Mail servers.
    Mx = 15,
    /// Texts.
    Txt = 16,
    /// IPv6 addresses.
    Aaaa = 28,
}

/// DNS_CHECK.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Dns {
    /// What is asked for.
    pub kind: DnsType,
    /// The name, with or without a dot at its end; empty: the root.
    pub name: String,
}

/// UDP_CHECK.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Udp {
    /// What is sent.
    pub payload: Vec<u8>,
    /// There must be an answer that fits; without, it is enough that no error comes.
    pub reply: Option<UdpReply>,
}

/// An answer that fits.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct UdpReply {
    /// What it begins with, byte by byte: value, and mask of the bits that count.
    pub pattern: Vec<(u8, u8)>,
    /// The least length in bytes.
    pub min: usize,
    /// The greatest length in bytes.
    pub max: usize,
}

impl Default for UdpReply {
    fn default() -> Self {
        Self { pattern: Vec::new(), min: 0, max: 255 }
    }
}

/// MISC_CHECK.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Misc {
    /// The program, as the log names it (keepalived: with its links resolved), and its arguments.
    pub command: Vec<String>,
    /// The user and group to run it as; `None`: as configured for all.
    pub user: Option<(u32, u32)>,
    /// How long it may take.
    pub timeout: Duration,
    /// Its exit status from 2 on is the weight plus 2.
    pub dynamic: bool,
}

/// FILE_CHECK.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct File {
    /// The name of the tracked file.
    pub name: String,
    /// What its number is multiplied by; 0: a number other than 0 is a failure.
    pub weight: i64,
}

/// BFD_CHECK.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Bfd {
    /// The name of the session.
    pub name: String,
}

/// What an agent's answer may change.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum AgentScope {
    /// Weights only.
    Weight,
    /// Health only.
    Health,
    /// Both.
    #[default]
    Both,
}

/// AGENT_CHECK.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Agent {
    /// What to say first.
    pub send: Option<String>,
    /// What the answer may change.
    pub scope: AgentScope,
}

/// GRPC_CHECK.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Grpc {
    /// The service; empty: the server as a whole.
    pub service: String,
    /// The name of the host in the request; address and port of the target by default.
    pub authority: Option<String>,
    /// Over TLS (with `h2` negotiated).
    pub tls: Option<Tls>,
}

/// REDIS_CHECK.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Redis {
    /// The user.
    pub username: Option<String>,
    /// The password.
    pub password: Option<String>,
    /// The role that the server must have: `master` or `slave`.
    pub role: Option<String>,
}

/// MYSQL_CHECK.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Mysql {
    /// The user to log in as; without one, the server's greeting is enough.
    pub username: Option<String>,
    /// The user's password; none by default.
    pub password: Option<String>,
}

/// PGSQL_CHECK.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Pgsql {
    /// The user to name.
    pub username: String,
    /// The database to name.
    pub database: Option<String>,
    /// Ask for TLS first, as clients do: a server that has it is taken at its word, another is talked to in the clear.
    pub ssl_request: bool,
}

impl Probe {
    /// The name of its block in keepalived.conf.
    pub const fn keyword(&self) -> &'static str {
        match self {
            Self::Tcp => "TCP_CHECK",
            Self::Http(Http { tls: None, .. }) => "HTTP_GET",
            Self::Http(_) => "SSL_GET",
            Self::Smtp(_) => "SMTP_CHECK",
            Self::Dns(_) => "DNS_CHECK",
            Self::Udp(_) => "UDP_CHECK",
            Self::Ping => "PING_CHECK",
            Self::Misc(_) => "MISC_CHECK",
            Self::File(_) => "FILE_CHECK",
            Self::Bfd(_) => "BFD_CHECK",
            Self::Agent(_) => "AGENT_CHECK",
            Self::Grpc(_) => "GRPC_CHECK",
            Self::Redis(_) => "REDIS_CHECK",
            Self::Mysql(_) => "MYSQL_CHECK",
            Self::Pgsql(_) => "PGSQL_CHECK",
        }
    }
}
