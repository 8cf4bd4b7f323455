//! Encapsulation by a route (`encap` of `ip route`): a tunnel without an interface.

use netlink_packet_route::route::{
    MplsLabel, RouteAttribute, RouteIp6Tunnel, RouteIpTunnel, RouteLwEnCapType, RouteLwTunnelEncap, RouteMplsIpTunnel,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a tunnel's outer header says; what is missing is the kernel's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outer<A> {
    /// The number of the tunnel.
    pub id: Option<u64>,
    /// To whom.
    pub to: Option<A>,
    /// From whom.
    pub from: Option<A>,
    /// The time to live or hop limit.
    pub ttl: Option<u8>,
    /// The type of service or traffic class.
    pub tos: Option<u8>,
}

/// An encapsulation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encap {
    /// `encap ip`
    Ip(Outer<Ipv4Addr>),
    /// `encap ip6`
    Ip6(Outer<Ipv6Addr>),
    /// `encap mpls`: labels of 20 bits, the outermost first.
    Mpls(Vec<u32>),
}

impl Encap {
    pub(super) fn attributes(&self) -> [RouteAttribute; 2] {
        let (kind, parts) = match self {
            Self::Ip(outer) => {
                let id = outer.id.map(RouteIpTunnel::Id);
                let to = outer.to.map(RouteIpTunnel::Destination);
                let from = outer.from.map(RouteIpTunnel::Source);
                let rest = [outer.ttl.map(RouteIpTunnel::Ttl), outer.tos.map(RouteIpTunnel::Tos)];
                let parts = [id, to, from].into_iter().chain(rest).flatten().map(RouteLwTunnelEncap::Ip);
                (RouteLwEnCapType::Ip, parts.collect())
            }
            Self::Ip6(outer) => {
                let id = outer.id.map(RouteIp6Tunnel::Id);
                let to = outer.to.map(RouteIp6Tunnel::Destination);
                let from = outer.from.map(RouteIp6Tunnel::Source);
                let rest = [outer.ttl.map(RouteIp6Tunnel::Hoplimit), outer.tos.map(RouteIp6Tunnel::Tc)];
                let parts = [id, to, from].into_iter().chain(rest).flatten().map(RouteLwTunnelEncap::Ip6);
                (RouteLwEnCapType::Ip6, parts.collect())
            }
            Self::Mpls(labels) => {
                let last = labels.len().saturating_sub(1);
                let label = |(at, label): (usize, &u32)| MplsLabel {
                    label: *label,
                    traffic_class: 0,
                    bottom_of_stack: at == last,
                    ttl: 0,
                };
                let stack = labels.iter().enumerate().map(label).collect();
                let part = RouteLwTunnelEncap::Mpls(RouteMplsIpTunnel::Destination(stack));
                (RouteLwEnCapType::Mpls, vec![part])
            }
        };
        [RouteAttribute::EncapType(kind), RouteAttribute::Encap(parts)]
    }

    /// Reads the words behind `encap`: its kind, then names and values.
    ///
    /// # Errors
    /// What is wrong, or that this kind or setting is not known here.
    pub fn parse(words: &[String]) -> Result<Self, String> {
        let (kind, rest) = words.split_first().ok_or("encap without a kind")?;
        match kind.as_str() {
            "ip" => Ok(Self::Ip(outer(rest, |address| match address {
                IpAddr::V4(address) => Some(address),
                IpAddr::V6(_) => None,
            })?)),
            "ip6" => Ok(Self::Ip6(outer(rest, |address| match address {
                IpAddr::V6(address) => Some(address),
                IpAddr::V4(_) => None,
            })?)),
            "mpls" => {
                let stack = rest.first().ok_or("encap mpls without labels")?;
                let label = |text: &str| text.parse().ok().filter(|label: &u32| *label < 1 << 20);
                let labels: Option<Vec<u32>> = stack.split('/').map(label).collect();
                labels.map(Self::Mpls).ok_or_else(|| format!("encap mpls: `{stack}` are no labels"))
            }
            other => Err(format!("encap {other}: RVS knows ip, ip6 and mpls")),
        }
    }
}

fn outer<A>(words: &[String], of: impl Fn(IpAddr) -> Option<A>) -> Result<Outer<A>, String> {
    let mut outer = Outer { id: None, to: None, from: None, ttl: None, tos: None };
    for pair in words.chunks(2) {
        let [name, value] = pair else { return Err(format!("encap: {} needs a value", pair.concat())) };
        let bad = || format!("encap: {name}: `{value}` cannot be that");
        let address = || value.parse().ok().and_then(&of).ok_or_else(bad);
        match name.as_str() {
            "id" => outer.id = Some(value.parse().map_err(|_| bad())?),
            "dst" => outer.to = Some(address()?),
            "src" => outer.from = Some(address()?),
            "ttl" | "hoplimit" => outer.ttl = Some(value.parse().map_err(|_| bad())?),
            "tos" | "tc" => outer.tos = Some(value.parse().map_err(|_| bad())?),
            _ => return Err(format!("encap: {name} is not known here")),
        }
    }
    Ok(outer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Hop, Prefix, Route, Rtnl};
    use crate::testing::{in_namespace, ip, ip_output};

    fn parse(text: &str) -> Result<Encap, String> {
        Encap::parse(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_kernel_takes_it_as_that_of_ip_route() {
        in_namespace(|| {
            ip("link add v0 type veth peer name v1");
            ip("link set v0 up");
            ip("link set v1 up");
            let mut rtnl = Rtnl::open().unwrap();
            let index = rtnl.interface_named("v0").unwrap().unwrap().index;
            for (to, text) in [("10.77.0.0", "ip id 7 dst 10.9.9.2 ttl 9"), ("10.78.0.0", "ip6 id 8 dst fd00::2 tc 4")]
            {
                let mut route = Route::new(Prefix { ip: to.parse().unwrap(), length: 24 });
                let encap = Some(parse(text).unwrap());
                route.hops = vec![Hop { index: Some(index), encap, ..Hop::default() }];
                rtnl.add_route(&route).unwrap();
            }
            let shown = ip_output("route show");
            assert!(shown.contains("10.77.0.0/24  encap ip id 7 src 0.0.0.0 dst 10.9.9.2 ttl 9"), "{shown}");
            assert!(shown.contains("10.78.0.0/24  encap ip6 id 8 src :: dst fd00::2"), "{shown}");
        });
    }

    #[test]
    fn labels_are_a_stack_and_nonsense_is_told() {
        assert_eq!(parse("mpls 16/17"), Ok(Encap::Mpls(vec![16, 17])));
        let [_, RouteAttribute::Encap(parts)] = Encap::Mpls(vec![16, 17]).attributes() else { panic!("no parts") };
        let RouteLwTunnelEncap::Mpls(RouteMplsIpTunnel::Destination(stack)) = &parts[0] else { panic!("no stack") };
        assert_eq!(stack.iter().map(|label| label.bottom_of_stack).collect::<Vec<_>>(), [false, true]);
        for bad in ["", "mpls", "mpls 1048576", "ip dst fd00::1", "ip ttl 256", "ip id", "ip flags 1", "seg6 x"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
