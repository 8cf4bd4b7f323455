//! Addresses, networks and ports.

use super::number::integer;
use crate::keepalived::field::{Args, Bad, Words};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

fn address<T: std::str::FromStr>(args: &mut Args<'_>, what: &str) -> Result<T, Bad> {
    let word = args.need(what)?;
    word.text.parse().map_err(|_| Bad::new(word.span, format!("'{}' is no {what}", word.text)))
}

macro_rules! plain {
    ($($ty:ty, $syntax:literal, $what:literal;)*) => {
        $(impl Words for $ty {
            fn syntax() -> String {
                $syntax.into()
            }
            fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
                address(args, $what)
            }
            fn words(&self) -> Vec<String> {
                vec![self.to_string()]
            }
        })*
    };
}
plain! {
    IpAddr, "ADDRESS", "IP address";
    Ipv4Addr, "IPV4-ADDRESS", "IPv4 address";
    Ipv6Addr, "IPV6-ADDRESS", "IPv6 address";
}

/// An address with the length of its network's prefix, if that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Net {
    /// The address.
    pub address: IpAddr,
    /// Bits of the prefix.
    pub prefix: Option<u8>,
}

impl Net {
    /// The prefix, or that of a single host.
    pub fn prefix_or_host(&self) -> u8 {
        self.prefix.unwrap_or(if self.address.is_ipv4() { 32 } else { 128 })
    }

    /// Reads `ADDRESS[/BITS]`; `default` and `any` are everything.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_text(text: &str, v6: bool) -> Result<Self, String> {
        if matches!(text, "default" | "any" | "all") {
            let address = if v6 { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
            return Ok(Self { address, prefix: Some(0) });
        }
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| format!("parsed invalid IP {text}"))?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match bits {
            None => None,
            Some(bits) => {
                let bits = integer(bits, 0, most)?;
                u8::try_from(bits).ok()
            }
        };
        Ok(Self { address, prefix })
    }

    /// `ADDRESS[/BITS]`.
    pub fn text(&self) -> String {
        match self.prefix {
            Some(prefix) => format!("{}/{prefix}", self.address),
            None => self.address.to_string(),
        }
    }
}

/// An address and perhaps a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The address.
    pub address: IpAddr,
    /// The port; none is any, or that of the service.
    pub port: Option<u16>,
}

impl Default for Endpoint {
    fn default() -> Self {
        Self { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), port: None }
    }
}

impl Words for Endpoint {
    fn syntax() -> String {
        "ADDRESS [PORT]".into()
    }

    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        let address = address(args, "IP address")?;
        let port = match args.word() {
            None => None,
            // Several files in the wild write 0 for any port.
            Some(word) => {
                let port = integer(&word.text, 0, 65535).map_err(|text| {
                    // The original counts from 1 when it complains.
                    Bad::new(word.span, text.replace("[0,", "[1,"))
                })?;
                u16::try_from(port).ok().filter(|port| *port > 0)
            }
        };
        Ok(Self { address, port })
    }

    fn words(&self) -> Vec<String> {
        std::iter::once(self.address.to_string()).chain(self.port.map(|port| port.to_string())).collect()
    }
}

/// A mail or DNS server: a name or an address, and perhaps a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// A name or an address.
    pub host: String,
    /// The port.
    pub port: Option<u16>,
}

impl Words for Host {
    fn syntax() -> String {
        "HOST [PORT]".into()
    }

    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        let word = args.need("a host")?;
        // All digits and dots, but no address: nobody's name.
        let numeric = word.text.chars().all(|c| c.is_ascii_digit() || c == '.') || word.text.contains(':');
        if word.text.is_empty() || numeric && word.text.parse::<IpAddr>().is_err() {
            return Err(Bad::new(word.span, format!("Invalid smtp server {}", word.text)));
        }
        let port = match args.word() {
            Some(port) => Some(integer(&port.text, 1, 65535).map_err(|text| Bad::new(port.span, text))?),
            None => None,
        };
        Ok(Self { host: word.text.clone(), port: port.and_then(|port| u16::try_from(port).ok()) })
    }

    fn words(&self) -> Vec<String> {
        std::iter::once(self.host.clone()).chain(self.port.map(|port| port.to_string())).collect()
    }
}

/// A mask of IPv4 or the length of a prefix of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Granularity {
    /// IPv4: a mask of leading ones.
    Mask(Ipv4Addr),
    /// IPv6: bits.
    Prefix(u8),
}

impl Words for Granularity {
    fn syntax() -> String {
        "NETMASK|PREFIX".into()
    }

    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        let word = args.need("a netmask")?;
        if let Ok(prefix) = integer(&word.text, 1, 128) {
            return Ok(Self::Prefix(u8::try_from(prefix).unwrap_or(128)));
        }
        let bad = |family: &str| {
            Bad::new(word.span, format!("Invalid {family} persistence_granularity specified - {}", word.text))
        };
        let mask: Ipv4Addr = word.text.parse().map_err(|_| bad("IPv4"))?;
        let bits = u32::from(mask);
        if bits.leading_ones() + bits.trailing_zeros() < 32 || bits == 0 {
            Err(bad("IPv4"))
        } else {
            Ok(Self::Mask(mask))
        }
    }

    fn words(&self) -> Vec<String> {
        vec![match self {
            Self::Mask(mask) => mask.to_string(),
            Self::Prefix(bits) => bits.to_string(),
        }]
    }
}
