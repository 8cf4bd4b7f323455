//! Values of instances: peers, virtual hardware addresses, keys, delays.

use super::basic::Mac;
use super::number::{Seconds, integer};
use crate::keepalived::field::{Args, Bad, Words};
use std::net::IpAddr;

/// A delay of at most 255 seconds.
pub type Delay = Seconds<0, 255_000_000>;

/// A router that adverts are exchanged with by unicast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnicastPeer {
    /// Its address.
    pub address: IpAddr,
    /// The least TTL that its adverts may have.
    pub min_ttl: Option<u8>,
    /// The greatest.
    pub max_ttl: Option<u8>,
}

impl Words for UnicastPeer {
    fn syntax() -> String {
        "ADDRESS [min_ttl 0…255] [max_ttl 0…255]".into()
    }

    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        let word = args.need("an address")?;
        let bad = || Bad::new(word.span, format!("malformed unicast peer address[{}]. Skipping...", word.text));
        let mut peer = Self { address: word.text.parse().map_err(|_| bad())?, min_ttl: None, max_ttl: None };
        while let Some(name @ ("min_ttl" | "max_ttl")) = args.peek() {
            args.word();
            let word = args.need("a TTL")?;
            match integer(&word.text, 0, 255) {
                Ok(ttl) if name == "min_ttl" => peer.min_ttl = u8::try_from(ttl).ok(),
                Ok(ttl) => peer.max_ttl = u8::try_from(ttl).ok(),
                Err(text) => args.complain(Bad::new(word.span, text)),
            }
        }
        if let Some(other) = args.word() {
            args.complain(Bad::new(other.span, format!("'{}' is not expected here", other.text)).help(Self::syntax()));
            while args.word().is_some() {}
        }
        Ok(peer)
    }

    fn words(&self) -> Vec<String> {
        let ttl = |name: &str, value: Option<u8>| value.map(|value| [name.to_owned(), value.to_string()]);
        let ttls = [ttl("min_ttl", self.min_ttl), ttl("max_ttl", self.max_ttl)];
        std::iter::once(self.address.to_string()).chain(ttls.into_iter().flatten().flatten()).collect()
    }
}

/// An interface with the virtual hardware address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UseVmac {
    /// Its name; made of the VRID if none.
    pub name: Option<String>,
    /// Its hardware address; that of the RFC if none.
    pub mac: Option<Mac>,
}

impl Words for UseVmac {
    fn syntax() -> String {
        "[INTERFACE] [MAC]".into()
    }

    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        let mut vmac = Self::default();
        while let Some(word) = args.peek() {
            match Mac::from_text(word) {
                Some(mac) if vmac.mac.is_none() => {
                    args.word();
                    vmac.mac = Some(mac);
                }
                None if vmac.name.is_none() => vmac.name = Some(super::IfName::parse(args)?.0),
                _ => break,
            }
        }
        Ok(vmac)
    }

    fn words(&self) -> Vec<String> {
        self.name.clone().into_iter().chain(self.mac.as_ref().map(Mac::text)).collect()
    }
}

/// An ipvlan interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UseIpvlan {
    /// Its name.
    pub name: Option<String>,
    /// Its address.
    pub address: Option<IpAddr>,
    /// `bridge`, `private` or `vepa`.
    pub mode: Option<String>,
}

impl Words for UseIpvlan {
    fn syntax() -> String {
        "[INTERFACE] [ADDRESS] [bridge|private|vepa]".into()
    }

    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        let mut ipvlan = Self::default();
        while let Some(word) = args.peek() {
            if let (Ok(address), None) = (word.parse(), ipvlan.address) {
                ipvlan.address = Some(address);
                args.word();
            } else if matches!(word, "bridge" | "private" | "vepa") {
                ipvlan.mode = Some(word.to_owned());
                args.word();
            } else if ipvlan.name.is_none() {
                ipvlan.name = Some(super::IfName::parse(args)?.0);
            } else {
                break;
            }
        }
        Ok(ipvlan)
    }

    fn words(&self) -> Vec<String> {
        let address = self.address.map(|address| address.to_string());
        self.name.clone().into_iter().chain(address).chain(self.mode.clone()).collect()
    }
}

/// A keyword that one word may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Never(pub bool);

impl Words for Never {
    fn syntax() -> String {
        "[never]".into()
    }
    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        Ok(Self(args.take("never")))
    }
    fn words(&self) -> Vec<String> {
        self.0.then(|| "never".to_owned()).into_iter().collect()
    }
}

/// `dynamic_interfaces`: whether an interface may come back as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dynamic {
    /// It may have another type or parent.
    pub allow_if_changes: bool,
}

impl Words for Dynamic {
    fn syntax() -> String {
        "[allow_if_changes]".into()
    }
    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        Ok(Self { allow_if_changes: args.take("allow_if_changes") })
    }
    fn words(&self) -> Vec<String> {
        self.allow_if_changes.then(|| "allow_if_changes".to_owned()).into_iter().collect()
    }
}

/// Gratuitous ARP on other interfaces, again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtraGarp {
    /// On all interfaces, not only those with a virtual hardware address.
    pub all: bool,
    /// How often; 0 is never.
    pub interval: Seconds<0, 86_400_000_000>,
}

impl Words for ExtraGarp {
    fn syntax() -> String {
        "[all] SECONDS (0…86400)".into()
    }
    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        Ok(Self { all: args.take("all"), interval: Seconds::parse(args)? })
    }
    fn words(&self) -> Vec<String> {
        self.all.then(|| "all".to_owned()).into_iter().chain(self.interval.words()).collect()
    }
}

/// How long an interface must be down, or up, before that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpDownDelay {
    /// The interface.
    pub interface: String,
    /// After it went down.
    pub down: Delay,
    /// After it came up; as for down if none.
    pub up: Option<Delay>,
}

impl Words for UpDownDelay {
    fn syntax() -> String {
        "INTERFACE DOWN-SECONDS [UP-SECONDS]".into()
    }
    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        let interface = super::IfName::parse(args)?.0;
        let down = Delay::parse(args)?;
        Ok(Self { interface, down, up: if args.is_empty() { None } else { Some(Delay::parse(args)?) } })
    }
    fn words(&self) -> Vec<String> {
        let up = self.up.iter().flat_map(Words::words);
        std::iter::once(self.interface.clone()).chain(self.down.words()).chain(up).collect()
    }
}

/// An interface whose link is polled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkbeatInterface {
    /// The interface.
    pub interface: String,
    /// How; what works if none.
    pub how: Option<super::choice::Linkbeat>,
}

impl Words for LinkbeatInterface {
    fn syntax() -> String {
        "INTERFACE [MII|ETHTOOL|IOCTL]".into()
    }
    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        let interface = super::IfName::parse(args)?.0;
        let how = if args.is_empty() { None } else { Some(super::choice::Linkbeat::parse(args)?) };
        Ok(Self { interface, how })
    }
    fn words(&self) -> Vec<String> {
        std::iter::once(self.interface.clone()).chain(self.how.iter().flat_map(Words::words)).collect()
    }
}

/// A key of `auth_hmac`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HmacKey {
    /// Its number, from 1 to 255.
    pub id: u8,
    /// The key: text, `hex:` with digits, or `file:` with a path.
    pub key: String,
}

impl Words for HmacKey {
    fn syntax() -> String {
        "ID (1…255) TEXT|hex:DIGITS|file:PATH".into()
    }
    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        let word = args.need("a key's number")?;
        let id = integer(&word.text, 1, 255).map_err(|text| Bad::new(word.span, text))?;
        let word = args.need("a key")?;
        let length = match (word.text.strip_prefix("hex:"), word.text.strip_prefix("file:")) {
            (Some(hex), _) if hex.chars().all(|c| c.is_ascii_hexdigit()) && hex.len() % 2 == 0 => hex.len() / 2,
            (Some(_), _) => return Err(Bad::new(word.span, "the key is no sequence of pairs of hexadecimal digits")),
            // Its length is seen when it is read.
            (None, Some(_)) => 32,
            (None, None) => word.text.len(),
        };
        if !(32..=64).contains(&length) {
            return Err(Bad::new(word.span, format!("the key has {length} bytes, it must have 32 to 64")));
        }
        Ok(Self { id: u8::try_from(id).unwrap_or(u8::MAX), key: word.text.clone() })
    }
    fn words(&self) -> Vec<String> {
        vec![self.id.to_string(), self.key.clone()]
    }
}

/// The size of receive buffers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RxBuffers {
    /// By the interface's MTU.
    Mtu,
    /// By the size of an advert.
    Advert,
    /// So many bytes.
    Bytes(u32),
}

impl Words for RxBuffers {
    fn syntax() -> String {
        "MTU|ADVERT|BYTES".into()
    }
    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        let word = args.need("a policy")?;
        Ok(match word.text.as_str() {
            "MTU" => Self::Mtu,
            "ADVERT" => Self::Advert,
            text => {
                let bytes = integer(text, 0, i64::from(i32::MAX)).map_err(|text| Bad::new(word.span, text))?;
                Self::Bytes(u32::try_from(bytes).unwrap_or(u32::MAX))
            }
        })
    }
    fn words(&self) -> Vec<String> {
        vec![match self {
            Self::Mtu => "MTU".into(),
            Self::Advert => "ADVERT".into(),
            Self::Bytes(bytes) => bytes.to_string(),
        }]
    }
}
