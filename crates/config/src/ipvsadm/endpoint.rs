//! `host[:port]`: addresses of services and servers as the command line writes them.
//!
//! An IPv6 address stands alone or as `[addr]:port`; a host name or service name is looked up.

use super::number;
use crate::names::Names;
use rvs_wire::{Addr, Be16, Family};
use std::net::{IpAddr, Ipv6Addr};

/// An address, and the port if one was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) addr: Addr,
    pub(super) family: Family,
    pub(super) port: Option<Be16>,
}

impl Endpoint {
    /// Reads `text`; names of ports are looked up for the IP protocol `proto`.
    pub(super) fn parse(text: &str, proto: u8, names: &dyn Names) -> Option<Self> {
        // A number alone is a valid IPv4 address to C's library, but hardly ever meant as one.
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let (host, bracket_port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, behind) = rest.split_once(']')?;
                (host, Some(behind.strip_prefix(':')?))
            }
            None => (text, None),
        };
        if let Ok(v6) = host.parse::<Ipv6Addr>() {
            let port = bracket_port.map(|port| parse_port(port, proto, names));
            return Self::new(v6.into(), port);
        }
        // Not IPv6: what stood behind a bracket is forgotten, as the original does.
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) => (host, Some(parse_port(port, proto, names))),
            None => (host, None),
        };
        let v4 = number::ipv4(host).or_else(|| names.host(host))?;
        Self::new(v4.into(), port)
    }

    fn new(ip: IpAddr, port: Option<Option<Be16>>) -> Option<Self> {
        let (addr, family) = Addr::from_ip(ip);
        match port {
            None => Some(Self { addr, family, port: None }),
            Some(port) => Some(Self { addr, family, port: Some(port?) }),
        }
    }
}

fn parse_port(text: &str, proto: u8, names: &dyn Names) -> Option<Be16> {
    let number = number::whole(text, 0..=i64::from(u16::MAX)).and_then(|number| u16::try_from(number).ok());
    number.or_else(|| names.port(text, proto)).map(Be16::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{FixedNames, Services};

    fn parse(text: &str) -> Option<(String, Option<u16>)> {
        let names = FixedNames {
            hosts: vec![("localhost".into(), [127, 0, 0, 1].into())],
            services: Services::parse("http 80/tcp"),
        };
        let found = Endpoint::parse(text, 6, &names)?;
        Some((found.addr.to_ip(found.family).to_string(), found.port.map(Be16::host)))
    }

    #[test]
    fn what_is_an_endpoint() {
        let good = [
            ("10.0.1.10:80", "10.0.1.10", Some(80)),
            ("10.0.1.10", "10.0.1.10", None),
            ("10.0.1:0", "10.0.0.1", Some(0)),
            ("localhost:http", "127.0.0.1", Some(80)),
            ("[fd00:1::10]:80", "fd00:1::10", Some(80)),
            ("fd00:1::10:80", "fd00:1::10:80", None),
            ("[10.0.1.10]:80", "10.0.1.10", None),
        ];
        for (text, host, port) in good {
            assert_eq!(parse(text), Some((host.into(), port)), "{text}");
        }
        for bad in [
            "",
            "80",
            ":80",
            "10.0.1.300:80",
            "10.0.1.10:65536",
            "10.0.1.10:-1",
            "10.0.1.10:",
            "10.0.1.10:nope",
            "nonesuch:80",
            "[fd00:1::10",
            "fd00:1::10]:80",
            "[fd00:1::10]80",
            "[fd00:1::10]",
            "[fe80::1%eth0]:80",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
