//! The steps that led to a decision, for people and for scripts.

use rvs_core::abi::ServiceKey;
use rvs_core::service::mark_of;
use rvs_wire::ipv4::proto;
use rvs_wire::{Addr, Be16, Family};
use serde::Serialize;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// An address and port.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(transparent)]
pub struct Endpoint(pub SocketAddr);

impl Endpoint {
    /// Out of a record; `None` when its family is none.
    pub(crate) fn new(addr: Addr, family: u8, port: Be16) -> Option<Self> {
        Some(Self(SocketAddr::new(addr.to_ip(Family::from_raw(family)?), port.host())))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of a protocol with ports.
pub fn protocol(number: u8) -> String {
    match number {
        proto::TCP => "TCP".to_owned(),
        proto::UDP => "UDP".to_owned(),
        proto::SCTP => "SCTP".to_owned(),
        proto::ICMP => "ICMP".to_owned(),
        proto::ICMPV6 => "ICMPv6".to_owned(),
        other => format!("protocol {other}"),
    }
}

/// What a service is looked for by.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sought {
    /// A firewall mark.
    Mark(u32),
    /// Protocol, address and port.
    Exact(String, SocketAddr),
    /// Protocol and address; a service of all ports.
    AllPorts(String, IpAddr),
}

impl Sought {
    pub(crate) fn new(key: &ServiceKey) -> Self {
        if key.proto == 0 {
            return Self::Mark(mark_of(key));
        }
        let ip = key.addr.to_ip(Family::from_raw(key.family).unwrap_or_default());
        match key.port.host() {
            0 => Self::AllPorts(protocol(key.proto), ip),
            port => Self::Exact(protocol(key.proto), SocketAddr::new(ip, port)),
        }
    }
}

impl fmt::Display for Sought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mark(mark) => write!(f, "mark {mark}"),
            Self::Exact(proto, at) => write!(f, "{proto} {at}"),
            Self::AllPorts(proto, ip) => write!(f, "{proto} {ip} on all ports"),
        }
    }
}

/// A state and the time that is left in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Expiring {
    /// As `ipvsadm -Lnc` names it.
    pub state: &'static str,
    /// Whole seconds.
    pub expires_secs: u64,
}

/// A real server that a scheduler could choose.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Candidate {
    /// Which.
    pub server: Endpoint,
    /// Weight; 0: quiesced.
    pub weight: i32,
    /// Active connections.
    pub active: u32,
    /// Inactive connections.
    pub inactive: u32,
    /// Connections at which it is overloaded; 0: never.
    pub upper_threshold: u32,
    /// Whether it is.
    pub overloaded: bool,
    /// What the scheduler compares, load per weight; of schedulers that compare loads.
    pub load: Option<String>,
    /// Whether it was chosen.
    pub chosen: bool,
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { server, weight, active, inactive, .. } = self;
        write!(f, "{server}: weight {weight}, {active} active, {inactive} inactive")?;
        if let Some(load) = &self.load {
            write!(f, ", load {load}")?;
        }
        f.write_str(match self {
            Self { chosen: true, .. } => ": chosen",
            Self { weight: ..=0, .. } => ": skipped, quiesced by weight 0",
            Self { overloaded: true, .. } => ": skipped, overloaded",
            Self { load: Some(_), .. } => ": not the least loaded",
            _ => ": not its turn",
        })?;
        if self.upper_threshold != 0 {
            write!(f, " (upper threshold {})", self.upper_threshold)?;
        }
        Ok(())
    }
}

/// One step.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// It is of no connection.
    NoConnection,
    /// It is of a connection.
    Connection {
        /// Its state and time before the packet.
        #[serde(flatten)]
        expiring: Expiring,
        /// Whether the packet comes from the real server.
        reply: bool,
        /// The real server.
        server: Option<Endpoint>,
        /// Whether a persistence template brought it about.
        persistent: bool,
    },
    /// The connection is over: its time is up, or a SYN begins a new one.
    ConnectionOver {
        /// Whether its time is up.
        expired: bool,
    },
    /// Rules that mark packets were tried.
    MarkRules {
        /// The number of the one that fits, as `rvs mark list` numbers them.
        rule: Option<usize>,
        /// The mark; 0: none.
        mark: u32,
    },
    /// A service was looked for.
    Service {
        /// By what.
        sought: Sought,
        /// Whether there is one.
        found: bool,
        /// Its scheduler.
        scheduler: Option<&'static str>,
        /// Its persistence timeout.
        persistent_secs: Option<u32>,
        /// Number of its real servers.
        servers: Option<u32>,
    },
    /// The client has a persistence template.
    Template {
        /// The client, or its network.
        client: IpAddr,
        /// Whose it is.
        server: Option<Endpoint>,
        /// Its state and time.
        #[serde(flatten)]
        expiring: Expiring,
    },
    /// The client has none that holds.
    NoTemplate {
        /// The client, or its network.
        client: IpAddr,
        /// The real server of the one that no longer holds.
        over: Option<Endpoint>,
        /// Whether that is because the real server was deleted.
        server_gone: bool,
    },
    /// The scheduler was asked.
    Schedule {
        /// Which.
        scheduler: &'static str,
        /// Whether chance has a say, so that the packet itself may go elsewhere.
        at_random: bool,
        /// What it chose from, newest first.
        candidates: Vec<Candidate>,
        /// What it chose.
        chosen: Option<Endpoint>,
    },
    /// The client would get a persistence template.
    NewTemplate {
        /// The client, or its network.
        client: IpAddr,
        /// For how long, at least.
        secs: u32,
    },
    /// A connection would begin.
    NewConnection {
        /// Its state and time.
        #[serde(flatten)]
        expiring: Expiring,
    },
    /// The way out.
    Way {
        /// Interface.
        interface: String,
        /// Next hop, when it is not the destination itself.
        gateway: Option<IpAddr>,
        /// Largest packet of the way; 0: unknown.
        mtu: u32,
        /// Largest packet that fits when it is to be put into a tunnel.
        inner_mtu: Option<u32>,
        /// Whether this is the way that was found when the real server was configured, because this host does not forward.
        configured: bool,
    },
    /// There is no way out.
    NoWay {
        /// Whither.
        to: IpAddr,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoConnection => f.write_str("no connection has these addresses and ports"),
            Self::Connection { expiring: Expiring { state, expires_secs }, reply, server, persistent } => {
                let side = if *reply { "an answer of" } else { "a packet of" };
                write!(f, "{side} a connection in state {state}, which expires in {expires_secs} s")?;
                server.map_or(Ok(()), |server| write!(f, "; its real server is {server}"))?;
                f.write_str(if *persistent { ", by persistence" } else { "" })
            }
            Self::ConnectionOver { expired: true } => f.write_str("a connection had these ports, but its time is up"),
            Self::ConnectionOver { expired: false } => {
                f.write_str("a connection had these ports, but it is over: a SYN begins a new one")
            }
            Self::MarkRules { rule: Some(rule), mark } => {
                write!(f, "rule {rule} of `rvs mark list` marks it with {mark}")
            }
            Self::MarkRules { rule: None, .. } => f.write_str("no rule of `rvs mark list` fits it"),
            Self::Service { sought, found: false, .. } => write!(f, "there is no service {sought}"),
            Self::Service { sought, scheduler, persistent_secs, servers, .. } => {
                write!(f, "service {sought}: scheduler {}", scheduler.unwrap_or("unknown"))?;
                persistent_secs.map_or(Ok(()), |secs| write!(f, ", persistent {secs} s"))?;
                match servers.unwrap_or(0) {
                    1 => f.write_str(", 1 real server"),
                    count => write!(f, ", {count} real servers"),
                }
            }
            Self::Template { client, server, expiring } => {
                write!(f, "{client} has a persistence template")?;
                server.map_or(Ok(()), |server| write!(f, " for {server}"))?;
                write!(f, ", state {}, which expires in {} s", expiring.state, expiring.expires_secs)
            }
            Self::NoTemplate { client, over: None, .. } => write!(f, "{client} has no persistence template"),
            Self::NoTemplate { client, over: Some(server), server_gone } => {
                let why = if *server_gone { "that server was deleted" } else { "its time is up" };
                write!(f, "{client} had a persistence template for {server}, but {why}")
            }
            Self::Schedule { scheduler, at_random: true, chosen: Some(server), .. } => {
                write!(f, "{scheduler} draws {server}, by chance: the packet's own draw may be another, among")
            }
            Self::Schedule { scheduler, chosen: Some(server), .. } => write!(f, "{scheduler} chooses {server} among"),
            Self::Schedule { scheduler, candidates, .. } if candidates.is_empty() => {
                write!(f, "{scheduler} has no real servers to choose from")
            }
            Self::Schedule { scheduler, .. } => write!(f, "{scheduler} can choose none among"),
            Self::NewTemplate { client, secs } => write!(f, "{client} would get a persistence template for {secs} s"),
            Self::NewConnection { expiring: Expiring { state, expires_secs } } => {
                write!(f, "a connection would begin in state {state}, with a timeout of {expires_secs} s")
            }
            Self::Way { interface, gateway, mtu, inner_mtu, configured } => {
                write!(f, "out of {interface}")?;
                gateway.map_or(Ok(()), |gateway| write!(f, " through {gateway}"))?;
                write!(f, ", MTU {mtu}")?;
                inner_mtu.map_or(Ok(()), |most| write!(f, ", {most} inside the tunnel"))?;
                f.write_str(if *configured {
                    " (the way found when it was configured: this host does not forward)"
                } else {
                    ""
                })
            }
            Self::NoWay { to } => write!(f, "the host has no route to {to}"),
        }
    }
}
