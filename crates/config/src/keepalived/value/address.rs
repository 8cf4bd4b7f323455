//! A line of `virtual_ipaddress` and its like: an address with what `ip address add` knows of it.

use super::net::Net;
use super::number::integer;
use crate::keepalived::field::{Args, Bad, Words};
use std::net::IpAddr;

/// The broadcast address of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Broadcast {
    /// This one.
    Address(IpAddr),
    /// That of the network (`+`).
    Set,
    /// None (`-`).
    Clear,
}

/// How long an IPv6 address is preferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lifetime {
    /// So many seconds; 0 deprecates it.
    Seconds(u32),
    /// For ever.
    Forever,
}

/// An address to put on an interface.
#[derive(Clone, Debug, PartialEq)]
pub struct AddressEntry {
    /// The address and the length of its prefix; none is that of a host.
    pub net: Net,
    /// Its broadcast address.
    pub broadcast: Option<Broadcast>,
    /// Its interface; none is that of the instance, or the default interface.
    pub dev: Option<String>,
    /// Its scope, by name or number.
    pub scope: Option<String>,
    /// Its label, which begins with the interface's name.
    pub label: Option<String>,
    /// The address at the other end.
    pub peer: Option<Net>,
    /// A home address of mobile IPv6.
    pub home: bool,
    /// No duplicate address detection.
    pub nodad: bool,
    /// A template for temporary addresses.
    pub mngtmpaddr: bool,
    /// No route to its network.
    pub noprefixroute: bool,
    /// Join its multicast group.
    pub autojoin: bool,
    /// Its disappearance does not matter.
    pub no_track: bool,
    /// The group of instances that its disappearance matters to; for static addresses.
    pub track_group: Option<String>,
    /// How long it is preferred.
    pub preferred_lft: Option<Lifetime>,
    /// On an interface with the virtual hardware address.
    pub use_vmac: bool,
}

impl AddressEntry {
    /// An address with nothing said about it.
    pub fn new(net: Net) -> Self {
        Self {
            net,
            broadcast: None,
            dev: None,
            scope: None,
            label: None,
            peer: None,
            home: false,
            nodad: false,
            mngtmpaddr: false,
            noprefixroute: false,
            autojoin: false,
            no_track: false,
            track_group: None,
            preferred_lft: None,
            use_vmac: false,
        }
    }

    fn option(&mut self, args: &mut Args<'_>) -> Result<(), Bad> {
        let Some(word) = args.word() else { return Ok(()) };
        match word.text.as_str() {
            "brd" | "broadcast" => {
                let value = args.need("a broadcast address")?;
                self.broadcast = Some(match value.text.as_str() {
                    "+" => Broadcast::Set,
                    "-" => Broadcast::Clear,
                    text => Broadcast::Address(
                        text.parse().map_err(|_| Bad::new(value.span, format!("invalid broadcast address {text}")))?,
                    ),
                });
            }
            "dev" => self.dev = Some(super::IfName::parse(args)?.0),
            "scope" => {
                let value = args.need("a scope")?;
                if !is_scope(&value.text) {
                    let text = format!("Invalid scope '{}' specified for {} - ignoring", value.text, self.net.address);
                    return Err(Bad::new(value.span, text).help("site, link, host, nowhere, global or 0…255"));
                }
                self.scope = Some(value.text.clone());
            }
            "label" => self.label = Some(args.need("a label")?.text.clone()),
            "peer" => {
                let value = args.need("an address")?;
                self.peer = Some(Net::from_text(&value.text, false).map_err(|text| Bad::new(value.span, text))?);
            }
            "home" => self.home = true,
            "-nodad" | "nodad" => self.nodad = true,
            "mngtmpaddr" => self.mngtmpaddr = true,
            "noprefixroute" => self.noprefixroute = true,
            "autojoin" => self.autojoin = true,
            "no_track" => self.no_track = true,
            "track_group" => self.track_group = Some(args.need("a group")?.text.clone()),
            "use_vmac" => self.use_vmac = true,
            "preferred_lft" => {
                let value = args.need("a time")?;
                self.preferred_lft = Some(if value.text == "forever" {
                    Lifetime::Forever
                } else {
                    let seconds = integer(&value.text, 0, i64::from(u32::MAX - 1));
                    let seconds = seconds.map_err(|text| Bad::new(value.span, text))?;
                    Lifetime::Seconds(u32::try_from(seconds).unwrap_or(u32::MAX))
                });
            }
            other => {
                let text = format!("Unknown configuration entry '{other}' for ip address - ignoring");
                return Err(Bad::new(word.span, text));
            }
        }
        Ok(())
    }
}

/// True for the names and numbers of scopes.
pub(super) fn is_scope(text: &str) -> bool {
    matches!(text, "global" | "site" | "link" | "host" | "nowhere") || integer(text, 0, 255).is_ok()
}

/// Reads an address whose prefix may be nonsense: the original goes on with that of a host.
fn net(args: &mut Args<'_>) -> Result<Net, Bad> {
    let word = args.need("an address")?;
    match Net::from_text(&word.text, false) {
        Ok(net) => Ok(net),
        Err(text) => match word.text.split_once('/').and_then(|(address, _)| address.parse().ok()) {
            Some(address) => {
                let net = Net { address, prefix: None };
                let bits = net.prefix_or_host();
                args.complain(Bad::new(word.span, text).help(format!("the prefix is taken for {bits}")));
                Ok(net)
            }
            None => Err(Bad::new(word.span, format!("VRRP {text}. skipping IP..."))),
        },
    }
}

impl Words for AddressEntry {
    fn syntax() -> String {
        "ADDRESS[/BITS] [brd ADDRESS|+|-] [dev INTERFACE] [scope SCOPE] [label TEXT] [peer ADDRESS[/BITS]] [home] [-nodad] \
         [mngtmpaddr] [noprefixroute] [autojoin] [no_track] [track_group NAME] [preferred_lft SECONDS|forever] [use_vmac]"
            .into()
    }

    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        let mut entry = Self::new(net(args)?);
        while !args.is_empty() {
            if let Err(bad) = entry.option(args) {
                args.complain(bad);
            }
        }
        Ok(entry)
    }

    fn words(&self) -> Vec<String> {
        let mut words = vec![self.net.text()];
        let mut pair = |name: &str, value: Option<String>| {
            words.extend(value.into_iter().flat_map(|value| [name.to_owned(), value]));
        };
        pair(
            "brd",
            self.broadcast.map(|brd| match brd {
                Broadcast::Address(address) => address.to_string(),
                Broadcast::Set => "+".into(),
                Broadcast::Clear => "-".into(),
            }),
        );
        pair("dev", self.dev.clone());
        pair("scope", self.scope.clone());
        pair("label", self.label.clone());
        pair("peer", self.peer.map(|peer| peer.text()));
        pair("track_group", self.track_group.clone());
        pair(
            "preferred_lft",
            self.preferred_lft.map(|lifetime| match lifetime {
                Lifetime::Seconds(seconds) => seconds.to_string(),
                Lifetime::Forever => "forever".into(),
            }),
        );
        for (set, name) in [
            (self.home, "home"),
            (self.nodad, "-nodad"),
            (self.mngtmpaddr, "mngtmpaddr"),
            (self.noprefixroute, "noprefixroute"),
            (self.autojoin, "autojoin"),
            (self.no_track, "no_track"),
            (self.use_vmac, "use_vmac"),
        ] {
            words.extend(set.then(|| name.to_owned()));
        }
        words
    }
}
