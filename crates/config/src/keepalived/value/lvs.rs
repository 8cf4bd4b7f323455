//! Values of virtual servers: what a service is known by, forwarding, the sync daemon.

use super::choice::{Family, Protocol};
use super::net::{Endpoint, Net};
use super::number::integer;
use crate::keepalived::field::{Args, Bad, Words};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a virtual server is known by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ServiceKey {
    /// An address and a port.
    Address(Endpoint),
    /// A firewall mark.
    Mark(u32),
    /// A `virtual_server_group`.
    Group(String),
}

impl Default for ServiceKey {
    fn default() -> Self {
        Self::Address(Endpoint::default())
    }
}

impl ServiceKey {
    /// As the original's messages and notifications name it: `[ADDRESS]:tcp:PORT`, `FWM N`, `[GROUP]:tcp:0`.
    pub fn text(&self, protocol: Option<Protocol>) -> String {
        let protocol = match protocol {
            Some(Protocol::Tcp) => "tcp",
            Some(Protocol::Udp) => "udp",
            Some(Protocol::Sctp) => "sctp",
            None => "none",
        };
        match self {
            Self::Address(at) => format!("[{}]:{protocol}:{}", at.address, at.port.unwrap_or(0)),
            Self::Mark(mark) => format!("FWM {mark}"),
            Self::Group(name) => format!("[{name}]:{protocol}:0"),
        }
    }
}

fn mark(args: &mut Args<'_>) -> Result<u32, Bad> {
    let word = args.need("a firewall mark")?;
    let mark = integer(&word.text, 1, i64::from(u32::MAX)).map_err(|text| Bad::new(word.span, text))?;
    Ok(u32::try_from(mark).unwrap_or(u32::MAX))
}

impl Words for ServiceKey {
    fn syntax() -> String {
        "ADDRESS [PORT]|fwmark NUMBER|group NAME".into()
    }

    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        if args.take("fwmark") {
            Ok(Self::Mark(mark(args)?))
        } else if args.take("group") {
            Ok(Self::Group(args.need("a group")?.text.clone()))
        } else {
            Endpoint::parse(args).map(Self::Address)
        }
    }

    fn words(&self) -> Vec<String> {
        match self {
            Self::Address(at) => at.words(),
            Self::Mark(mark) => vec!["fwmark".into(), mark.to_string()],
            Self::Group(name) => vec!["group".into(), name.clone()],
        }
    }
}

/// A line of a `virtual_server_group`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupMember {
    /// Addresses from the first to the last, and a port.
    Range {
        /// The first address.
        first: IpAddr,
        /// The last address; the first again for a single one.
        last: IpAddr,
        /// The port.
        port: Option<u16>,
    },
    /// All addresses of a network, and a port.
    Network {
        /// The network.
        net: Net,
        /// The port.
        port: Option<u16>,
    },
    /// A firewall mark.
    Mark {
        /// The mark.
        mark: u32,
        /// Its family, where that is not clear.
        family: Option<Family>,
    },
}

impl GroupMember {
    /// The first and the last address, if it has addresses.
    pub fn bounds(&self) -> Option<(IpAddr, IpAddr)> {
        match self {
            Self::Range { first, last, .. } => Some((*first, *last)),
            Self::Network { net, .. } => Some(match net.address {
                IpAddr::V4(address) => {
                    let host = u32::MAX.checked_shr(net.prefix_or_host().into()).unwrap_or(0);
                    let base = u32::from(address) & !host;
                    (IpAddr::V4(Ipv4Addr::from(base)), IpAddr::V4(Ipv4Addr::from(base | host)))
                }
                IpAddr::V6(address) => {
                    let host = u128::MAX.checked_shr(net.prefix_or_host().into()).unwrap_or(0);
                    let base = u128::from(address) & !host;
                    (IpAddr::V6(Ipv6Addr::from(base)), IpAddr::V6(Ipv6Addr::from(base | host)))
                }
            }),
            Self::Mark { .. } => None,
        }
    }
}

/// The last address of a range: all of it, or its last part.
fn last_of(first: IpAddr, text: &str) -> Option<IpAddr> {
    if let Ok(last) = text.parse::<IpAddr>()
        && !(first.is_ipv6() && last.is_ipv4())
    {
        return (last.is_ipv4() == first.is_ipv4()).then_some(last);
    }
    match first {
        IpAddr::V4(first) => {
            let [a, b, c, _] = first.octets();
            Some(IpAddr::V4(Ipv4Addr::new(a, b, c, text.parse().ok()?)))
        }
        IpAddr::V6(first) => {
            let mut parts = first.segments();
            parts[7] = u16::from_str_radix(text, 16).ok()?;
            Some(IpAddr::V6(Ipv6Addr::from(parts)))
        }
    }
}

impl Words for GroupMember {
    fn syntax() -> String {
        "ADDRESS[-LAST|/BITS] [PORT]|fwmark NUMBER [inet|inet6]".into()
    }

    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        if args.take("fwmark") {
            let mark = mark(args)?;
            let family = if args.is_empty() { None } else { Some(Family::parse(args)?) };
            return Ok(Self::Mark { mark, family });
        }
        let word = args.need("an address")?;
        let bad = || Bad::new(word.span, format!("Invalid virtual server group IP address {}", word.text));
        let port = match args.word() {
            None => None,
            Some(port) => {
                let value = integer(&port.text, 1, 65535).map_err(|text| Bad::new(port.span, text))?;
                u16::try_from(value).ok()
            }
        };
        if word.text.contains('/') {
            return Ok(Self::Network { net: Net::from_text(&word.text, false).map_err(|_| bad())?, port });
        }
        let (first, last) = word.text.split_once('-').map_or((word.text.as_str(), None), |(a, b)| (a, Some(b)));
        let first: IpAddr = first.parse().map_err(|_| bad())?;
        let last = match last {
            Some(text) => last_of(first, text).filter(|last| *last >= first).ok_or_else(bad)?,
            None => first,
        };
        Ok(Self::Range { first, last, port })
    }

    fn words(&self) -> Vec<String> {
        let with_port =
            |text: String, port: &Option<u16>| std::iter::once(text).chain(port.map(|port| port.to_string())).collect();
        match self {
            Self::Range { first, last, port } if first == last => with_port(first.to_string(), port),
            Self::Range { first, last, port } => with_port(format!("{first}-{last}"), port),
            Self::Network { net, port } => with_port(net.text(), port),
            Self::Mark { mark, family } => {
                let family = family.iter().flat_map(Words::words);
                ["fwmark".to_owned(), mark.to_string()].into_iter().chain(family).collect()
            }
        }
    }
}

/// How a tunnel's checksums are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TunnelChecksum {
    /// Not at all.
    None,
    /// In full.
    Full,
    /// By the receiver.
    Remote,
}

/// How packets get to a real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Forward {
    /// By masquerading.
    Nat,
    /// By direct routing.
    Dr,
    /// By IP in IP.
    Ipip,
    /// By generic UDP encapsulation.
    Gue {
        /// The port.
        port: u16,
        /// Checksums.
        checksum: Option<TunnelChecksum>,
    },
    /// By GRE.
    Gre {
        /// Checksums.
        checksum: Option<TunnelChecksum>,
    },
}

impl Forward {
    /// True for the tunnels.
    pub fn is_tunnel(self) -> bool {
        !matches!(self, Self::Nat | Self::Dr)
    }
}

impl Words for Forward {
    fn syntax() -> String {
        "NAT|DR|TUN [type ipip|type gue port NUMBER|type gre] [nocsum|csum|remcsum]".into()
    }

    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        let word = args.need("a forwarding method")?;
        match word.text.as_str() {
            "NAT" => return Ok(Self::Nat),
            "DR" => return Ok(Self::Dr),
            "TUN" => {}
            other => {
                return Err(Bad::new(word.span, format!("unknown [{other}] routing method")).help("NAT, DR or TUN"));
            }
        }
        if !args.take("type") {
            return Ok(Self::Ipip);
        }
        let kind = args.need("a kind of tunnel")?;
        let mut port = None;
        if args.take("port") {
            let word = args.need("a port")?;
            let value = integer(&word.text, 1, 65535).map_err(|text| Bad::new(word.span, text))?;
            port = u16::try_from(value).ok();
        }
        let checksum = match args.peek() {
            Some("nocsum") => Some(TunnelChecksum::None),
            Some("csum") => Some(TunnelChecksum::Full),
            Some("remcsum") => Some(TunnelChecksum::Remote),
            _ => None,
        };
        if checksum.is_some() {
            args.word();
        }
        match (kind.text.as_str(), port) {
            ("ipip", None) if checksum.is_none() => Ok(Self::Ipip),
            ("gue", Some(port)) => Ok(Self::Gue { port, checksum }),
            ("gue", None) => Err(Bad::new(kind.span, "a tunnel of type gue needs a port")),
            ("gre", None) if checksum != Some(TunnelChecksum::Remote) => Ok(Self::Gre { checksum }),
            ("ipip" | "gre", _) => Err(Bad::new(args.span(), format!("'{}' does not go with this", kind.text))),
            (other, _) => Err(Bad::new(kind.span, format!("unknown tunnel type '{other}'")).help("ipip, gue or gre")),
        }
    }

    fn words(&self) -> Vec<String> {
        let checksum = |checksum: Option<TunnelChecksum>| {
            checksum.map_or("", |checksum| match checksum {
                TunnelChecksum::None => " nocsum",
                TunnelChecksum::Full => " csum",
                TunnelChecksum::Remote => " remcsum",
            })
        };
        let text = match self {
            Self::Nat => "NAT".into(),
            Self::Dr => "DR".into(),
            Self::Ipip => "TUN".into(),
            Self::Gue { port, checksum: sum } => format!("TUN type gue port {port}{}", checksum(*sum)),
            Self::Gre { checksum: sum } => format!("TUN type gre{}", checksum(*sum)),
        };
        text.split(' ').map(str::to_owned).collect()
    }
}

/// The daemon that keeps the connections of two directors alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncDaemon {
    /// The interface that it sends and listens on.
    pub interface: String,
    /// The instance whose state it follows: sends as master, listens as backup. Both at once if none.
    pub instance: Option<String>,
    /// Its number; the VRID of the instance if none.
    pub id: Option<u8>,
    /// The greatest message, in bytes.
    pub maxlen: Option<u16>,
    /// The UDP port.
    pub port: Option<u16>,
    /// The TTL.
    pub ttl: Option<u8>,
    /// The multicast group.
    pub group: Option<IpAddr>,
}

impl Words for SyncDaemon {
    fn syntax() -> String {
        "INTERFACE [[inst] INSTANCE] [id 0…255] [maxlen 1…65507] [port NUMBER] [ttl 1…255] [group ADDRESS]".into()
    }

    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        let mut daemon = Self { interface: super::IfName::parse(args)?.0, ..Self::default() };
        let mut first = true;
        while let Some(word) = args.word() {
            let mut number = |min, max| -> Result<i64, Bad> {
                let word = args.need("a number")?;
                integer(&word.text, min, max).map_err(|text| Bad::new(word.span, text))
            };
            match word.text.as_str() {
                "inst" => daemon.instance = Some(args.need("an instance")?.text.clone()),
                "id" => daemon.id = u8::try_from(number(0, 255)?).ok(),
                "maxlen" => daemon.maxlen = u16::try_from(number(1, 65507)?).ok(),
                "port" => daemon.port = u16::try_from(number(1, 65535)?).ok(),
                "ttl" => daemon.ttl = u8::try_from(number(1, 255)?).ok(),
                "group" => daemon.group = Some(IpAddr::parse(args)?),
                // An old form: the instance without a word before it, and after that its number.
                _ if first => daemon.instance = Some(word.text.clone()),
                text => match integer(text, 0, 255) {
                    Ok(id) if daemon.id.is_none() => daemon.id = u8::try_from(id).ok(),
                    _ => return Err(Bad::new(word.span, format!("unknown option '{text}' of lvs_sync_daemon"))),
                },
            }
            first = false;
        }
        Ok(daemon)
    }

    fn words(&self) -> Vec<String> {
        let number = |value: Option<u16>| value.map(|value| value.to_string());
        let options = [
            ("inst", self.instance.clone()),
            ("id", number(self.id.map(u16::from))),
            ("maxlen", number(self.maxlen)),
            ("port", number(self.port)),
            ("ttl", number(self.ttl.map(u16::from))),
            ("group", self.group.map(|group| group.to_string())),
        ];
        let options = options.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value?])).flatten();
        std::iter::once(self.interface.clone()).chain(options).collect()
    }
}

/// Time-outs of connections, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LvsTimeouts {
    /// Established TCP.
    pub tcp: Option<u32>,
    /// TCP after FIN.
    pub tcpfin: Option<u32>,
    /// UDP.
    pub udp: Option<u32>,
}

impl Words for LvsTimeouts {
    fn syntax() -> String {
        "[tcp SECONDS] [tcpfin SECONDS] [udp SECONDS]".into()
    }

    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        let mut timeouts = Self::default();
        if args.is_empty() {
            return Err(Bad::new(args.span(), "at least one time-out must be given").help(Self::syntax()));
        }
        while let Some(word) = args.word() {
            let slot = match word.text.as_str() {
                "tcp" => &mut timeouts.tcp,
                "tcpfin" => &mut timeouts.tcpfin,
                "udp" => &mut timeouts.udp,
                other => return Err(Bad::new(word.span, format!("unknown time-out '{other}'")).help(Self::syntax())),
            };
            let value = args.need("a time in seconds")?;
            // A month: more than that the kernel refuses.
            let seconds = integer(&value.text, 1, 31 * 86400).map_err(|text| Bad::new(value.span, text))?;
            *slot = u32::try_from(seconds).ok();
        }
        Ok(timeouts)
    }

    fn words(&self) -> Vec<String> {
        let all = [("tcp", self.tcp), ("tcpfin", self.tcpfin), ("udp", self.udp)];
        all.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value?.to_string()])).flatten().collect()
    }
}

/// `lvs_flush_on_stop`: whether services are removed one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlushOnStop {
    /// Service by service, without their real servers.
    pub services: bool,
}

impl Words for FlushOnStop {
    fn syntax() -> String {
        "[VS]".into()
    }
    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        Ok(Self { services: args.take("VS") })
    }
    fn words(&self) -> Vec<String> {
        self.services.then(|| "VS".to_owned()).into_iter().collect()
    }
}

/// A time with a default: the keyword alone means 360 seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Persistence(pub u32);

impl Words for Persistence {
    fn syntax() -> String {
        "[SECONDS (1…2678400)]".into()
    }
    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        let Some(word) = args.word() else { return Ok(Self(360)) };
        let seconds = integer(&word.text, 1, 2_678_400).map_err(|text| Bad::new(word.span, text))?;
        Ok(Self(u32::try_from(seconds).unwrap_or(360)))
    }
    fn words(&self) -> Vec<String> {
        vec![self.0.to_string()]
    }
}
