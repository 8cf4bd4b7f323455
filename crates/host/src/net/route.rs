//! Routes: what `virtual_routes` and `static_routes` say of one, and the messages that add and remove it.

use super::Encap;
use super::rtnl::{NetError, Rtnl};
use netlink_packet_core::{DefaultNla, NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteMetric, RouteMplsTtlPropagation,
    RouteNextHop, RouteNextHopFlags, RoutePreference, RouteProtocol, RouteRealm, RouteScope, RouteType, RouteVia,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;
use std::fmt;
use std::net::IpAddr;

/// `RTPROT_KEEPALIVED`: who made a route or a rule, unless the configuration says otherwise.
pub const PROTOCOL: u8 = 18;
/// The main table.
pub const TABLE_MAIN: u32 = 254;
/// What the kernel gives an IPv6 route without a metric.
const METRIC6: u32 = 1024;

/// An address and the length of a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    /// The address; its host part is ignored.
    pub ip: IpAddr,
    /// Length in bits: 0 to 32 or 128.
    pub length: u8,
}

impl Prefix {
    /// The whole of IPv4 or IPv6: `default`.
    pub const fn all(ipv6: bool) -> Self {
        let ip = if ipv6 {
            IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED)
        } else {
            IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED)
        };
        Self { ip, length: 0 }
    }

    /// The same with the host part zero, as the kernel shows it.
    pub fn masked(self) -> Self {
        let ip = match self.ip {
            IpAddr::V4(ip) => {
                let mask = u32::MAX.checked_shl(32u32.saturating_sub(self.length.into())).unwrap_or(0);
                IpAddr::V4((u32::from(ip) & mask).into())
            }
            IpAddr::V6(ip) => {
                let mask = u128::MAX.checked_shl(128u32.saturating_sub(self.length.into())).unwrap_or(0);
                IpAddr::V6((u128::from(ip) & mask).into())
            }
        };
        Self { ip, ..self }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.length)
    }
}

/// What makes a route one and the same for the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteKey {
    /// The routing table.
    pub table: u32,
    /// Where the packets go to.
    pub to: Prefix,
    /// `tos`; only of IPv4.
    pub tos: u8,
    /// `metric`; the kernel turns 0 of IPv6 into 1024, and so does [`RouteKey::normal`].
    pub metric: u32,
}

impl RouteKey {
    /// The key as the kernel will show it.
    pub fn normal(self) -> Self {
        let metric = if self.to.ip.is_ipv6() && self.metric == 0 { METRIC6 } else { self.metric };
        let tos = if self.to.ip.is_ipv6() { 0 } else { self.tos };
        Self { to: self.to.masked(), metric, tos, ..self }
    }
}

impl fmt::Display for RouteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "route to {} in table {}", self.to, self.table)
    }
}

/// What becomes of a packet that takes the route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RouteKind {
    /// It is forwarded.
    #[default]
    Unicast,
    /// It is for this host.
    Local,
    /// It is for all on the link.
    Broadcast,
    /// It is for this host, one of several.
    Anycast,
    /// It is for a group.
    Multicast,
    /// It is dropped without a word.
    Blackhole,
    /// It is refused: host unreachable.
    Unreachable,
    /// It is refused: prohibited.
    Prohibit,
    /// The next rule decides.
    Throw,
}

impl RouteKind {
    const fn raw(self) -> RouteType {
        match self {
            Self::Unicast => RouteType::Unicast,
            Self::Local => RouteType::Local,
            Self::Broadcast => RouteType::Broadcast,
            Self::Anycast => RouteType::Anycast,
            Self::Multicast => RouteType::Multicast,
            Self::Blackhole => RouteType::BlackHole,
            Self::Unreachable => RouteType::Unreachable,
            Self::Prohibit => RouteType::Prohibit,
            Self::Throw => RouteType::Throw,
        }
    }
}

/// A number a route holds for its connections, by the kernel's number of it (`RTAX_…`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
#[allow(missing_docs)] // The names are those of `ip route`.
pub enum Metric {
    Mtu = 2,
    Window = 3,
    Rtt = 4,
    RttVar = 5,
    SsThresh = 6,
    Cwnd = 7,
    AdvMss = 8,
    Reordering = 9,
    HopLimit = 10,
    InitCwnd = 11,
    Features = 12,
    RtoMin = 13,
    InitRwnd = 14,
    QuickAck = 15,
    FastOpenNoCookie = 17,
}
const LOCK: u16 = 1;

/// One way of a route with several, or the only one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hop {
    /// `via`, which may be of the other family.
    pub via: Option<IpAddr>,
    /// `dev`: the interface's number.
    pub index: Option<u32>,
    /// `weight`, 1 to 256; only where there are several.
    pub weight: u16,
    /// `onlink`: the next hop is taken to be on the link.
    pub onlink: bool,
    /// `realms`: from, to; only of IPv4.
    pub realm: Option<(u16, u16)>,
    /// `encap`: what packets are wrapped in.
    pub encap: Option<Encap>,
}

/// A route and all that can be said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Where to, in which table, how dear.
    pub key: RouteKey,
    /// What becomes of the packets.
    pub kind: RouteKind,
    /// `from`; only of IPv6 (the kernel's sub-trees).
    pub from: Option<Prefix>,
    /// `src`: the address that connections of this host begin from.
    pub source: Option<IpAddr>,
    /// `scope`; when nothing is said it follows from the rest, as with `ip route`.
    pub scope: Option<u8>,
    /// `protocol`; [`PROTOCOL`] when nothing is said.
    pub protocol: Option<u8>,
    /// The ways. None: the kind needs none (blackhole and so on).
    pub hops: Vec<Hop>,
    /// `mtu`, `advmss` and so on.
    pub metrics: Vec<(Metric, u32)>,
    /// Which of the metrics the kernel must not change: `mtu lock 1400`.
    pub locked: Vec<Metric>,
    /// `congctl`.
    pub congestion: Option<String>,
    /// `pref`: 0 medium, 1 high, 3 low; only of IPv6.
    pub preference: Option<u8>,
    /// `expires` in seconds; only of IPv6.
    pub expires: Option<u32>,
    /// `ttl-propagate`.
    pub ttl_propagate: Option<bool>,
}

impl Route {
    /// A route of which nothing more is said.
    pub const fn new(to: Prefix) -> Self {
        Self {
            key: RouteKey { table: TABLE_MAIN, to, tos: 0, metric: 0 },
            kind: RouteKind::Unicast,
            from: None,
            source: None,
            scope: None,
            protocol: None,
            hops: Vec::new(),
            metrics: Vec::new(),
            locked: Vec::new(),
            congestion: None,
            preference: None,
            expires: None,
            ttl_propagate: None,
        }
    }

    fn scope(&self) -> RouteScope {
        if let Some(scope) = self.scope {
            return RouteScope::from(scope);
        }
        let direct = self.hops.iter().all(|hop| hop.via.is_none());
        match self.kind {
            RouteKind::Local => RouteScope::Host,
            RouteKind::Broadcast | RouteKind::Multicast | RouteKind::Anycast => RouteScope::Link,
            RouteKind::Unicast if direct && self.key.to.ip.is_ipv4() => RouteScope::Link,
            _ => RouteScope::Universe,
        }
    }

    fn message(&self) -> RouteMessage {
        let mut message = key_message(&self.key);
        message.header.kind = self.kind.raw();
        message.header.scope = self.scope();
        message.header.protocol = RouteProtocol::from(self.protocol.unwrap_or(PROTOCOL));
        let attributes = &mut message.attributes;
        if let Some(from) = self.from {
            message.header.source_prefix_length = from.length;
            attributes.push(RouteAttribute::Source(RouteAddress::from(from.masked().ip)));
        }
        attributes.extend(self.source.map(|ip| RouteAttribute::PrefSource(RouteAddress::from(ip))));
        attributes.extend(self.preference.map(|value| RouteAttribute::Preference(RoutePreference::from(value))));
        attributes.extend(self.expires.map(RouteAttribute::Expires));
        attributes.extend(self.ttl_propagate.map(|on| {
            let value = if on { RouteMplsTtlPropagation::Enabled } else { RouteMplsTtlPropagation::Disabled };
            RouteAttribute::TtlPropagate(value)
        }));
        let metrics = self.metric_attributes();
        if !metrics.is_empty() {
            attributes.push(RouteAttribute::Metrics(metrics));
        }
        match self.hops.as_slice() {
            [] => {}
            [hop] => {
                attributes.extend(hop_attributes(hop, self.key.to.ip));
                attributes.extend(hop.index.map(RouteAttribute::Oif));
                if hop.onlink {
                    message.header.flags |= RouteFlags::Onlink;
                }
            }
            hops => {
                let hops = hops.iter().map(|hop| next_hop(hop, self.key.to.ip)).collect();
                attributes.push(RouteAttribute::MultiPath(hops));
            }
        }
        message
    }

    fn metric_attributes(&self) -> Vec<RouteMetric> {
        let number = |kind: u16, value: u32| RouteMetric::Other(DefaultNla::new(kind, value.to_ne_bytes().to_vec()));
        let locks = self.locked.iter().fold(0u32, |bits, metric| bits | 1 << (*metric as u16));
        let mut metrics: Vec<_> = self.metrics.iter().map(|(metric, value)| number(*metric as u16, *value)).collect();
        metrics.extend((locks != 0).then(|| number(LOCK, locks)));
        metrics.extend(self.congestion.clone().map(RouteMetric::CcAlgo));
        metrics
    }
}

fn hop_attributes(hop: &Hop, to: IpAddr) -> Vec<RouteAttribute> {
    let mut attributes = Vec::new();
    attributes.extend(hop.via.map(|via| match via {
        _ if via.is_ipv4() == to.is_ipv4() => RouteAttribute::Gateway(RouteAddress::from(via)),
        IpAddr::V4(ip) => RouteAttribute::Via(RouteVia::Inet(ip)),
        IpAddr::V6(ip) => RouteAttribute::Via(RouteVia::Inet6(ip)),
    }));
    attributes.extend(hop.encap.iter().flat_map(Encap::attributes));
    attributes.extend(hop.realm.map(|(source, destination)| RouteAttribute::Realm(RouteRealm { source, destination })));
    attributes
}

fn next_hop(hop: &Hop, to: IpAddr) -> RouteNextHop {
    let mut next = RouteNextHop::default();
    next.hops = u8::try_from(hop.weight.saturating_sub(1)).unwrap_or(u8::MAX);
    next.interface_index = hop.index.unwrap_or(0);
    if hop.onlink {
        next.flags |= RouteNextHopFlags::Onlink;
    }
    next.attributes = hop_attributes(hop, to);
    next
}

fn key_message(key: &RouteKey) -> RouteMessage {
    let key = key.normal();
    let mut message = RouteMessage::default();
    message.header.address_family = if key.to.ip.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    message.header.destination_prefix_length = key.to.length;
    message.header.tos = key.tos;
    message.header.table = u8::try_from(key.table).unwrap_or(RouteHeader::RT_TABLE_UNSPEC);
    message.attributes = vec![
        RouteAttribute::Destination(RouteAddress::from(key.to.ip)),
        RouteAttribute::Table(key.table),
        RouteAttribute::Priority(key.metric),
    ];
    message
}

/// The route that a message of the kernel's is about; `None` for families other than IP and for the kernel's cache.
pub(crate) fn key_of(message: &RouteMessage) -> Option<RouteKey> {
    let header = &message.header;
    if header.flags.contains(RouteFlags::Cloned) {
        return None;
    }
    let mut key = RouteKey {
        table: header.table.into(),
        to: Prefix { length: header.destination_prefix_length, ..Prefix::all(ipv6(header.address_family)?) },
        tos: header.tos,
        metric: 0,
    };
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(ip)) => key.to.ip = (*ip).into(),
            RouteAttribute::Destination(RouteAddress::Inet6(ip)) => key.to.ip = (*ip).into(),
            RouteAttribute::Table(table) => key.table = *table,
            RouteAttribute::Priority(metric) => key.metric = *metric,
            _ => {}
        }
    }
    Some(key)
}

pub(super) fn ipv6(family: AddressFamily) -> Option<bool> {
    match family {
        AddressFamily::Inet => Some(false),
        AddressFamily::Inet6 => Some(true),
        _ => None,
    }
}

impl Rtnl {
    /// Adds the route, or changes it to what is said where the table has it.
    pub fn add_route(&mut self, route: &Route) -> Result<(), NetError> {
        self.change(RouteNetlinkMessage::NewRoute(route.message()), NLM_F_CREATE | NLM_F_REPLACE)
            .map_err(|errno| NetError::new(format!("adding {}", route.key), errno))
    }

    /// Removes the route; that it is not there is no error. `true`: it was there.
    pub fn remove_route(&mut self, key: &RouteKey) -> Result<bool, NetError> {
        let mut message = key_message(key);
        message.header.scope = RouteScope::NoWhere; // Of any scope.
        match self.change(RouteNetlinkMessage::DelRoute(message), 0) {
            Ok(()) => Ok(true),
            Err(Errno::ESRCH | Errno::ENODEV | Errno::ENOENT) => Ok(false),
            Err(errno) => Err(NetError::new(format!("removing {key}"), errno)),
        }
    }

    /// All routes of IPv4 and IPv6.
    pub fn routes(&mut self) -> Result<Vec<RouteKey>, NetError> {
        let mut found = Vec::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut message = RouteMessage::default();
            message.header.address_family = family;
            let before = found.len();
            self.dump(&RouteNetlinkMessage::GetRoute(message), |message| match message {
                Some(RouteNetlinkMessage::NewRoute(message)) => found.extend(key_of(&message)),
                Some(_) => {}
                None => found.truncate(before),
            })
            .map_err(|errno| NetError::new("listing routes", errno))?;
        }
        Ok(found)
    }
}

#[cfg(test)]
#[path = "route_tests.rs"]
mod tests;
