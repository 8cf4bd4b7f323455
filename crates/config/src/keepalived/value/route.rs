//! A line of `virtual_routes` and `static_routes`: what `ip route add` takes.

use super::net::Net;
use super::number::integer;
use crate::keepalived::field::{Args, Bad, Words};
use std::net::IpAddr;

/// Names of what a route does with a packet.
const KINDS: [&str; 9] =
    ["unicast", "local", "broadcast", "multicast", "anycast", "throw", "unreachable", "prohibit", "blackhole"];

/// Metrics that are numbers and can be locked.
const METRICS: [&str; 14] = [
    "mtu",
    "hoplimit",
    "advmss",
    "rtt",
    "rttvar",
    "reordering",
    "window",
    "cwnd",
    "ssthresh",
    "rto_min",
    "initcwnd",
    "initrwnd",
    "quickack",
    "fastopen_no_cookie",
];

/// Options of one word that are kept as they are written.
const NAMED: [&str; 11] =
    ["protocol", "scope", "tos", "dsfield", "realms", "congctl", "pref", "ttl-propagate", "expires", "features", "vrf"];

/// One metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name as `ip route` knows it.
    pub name: String,
    /// True if the kernel must not change it.
    pub lock: bool,
    /// Its value; times in milliseconds.
    pub value: u32,
}

/// One way to go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NextHop {
    /// The router.
    pub via: Option<IpAddr>,
    /// The interface.
    pub dev: Option<String>,
    /// Its share among several.
    pub weight: Option<u8>,
    /// The router is on the link though its address does not say so.
    pub onlink: bool,
    /// An encapsulation, as `ip route` knows it, without the word itself.
    pub encap: Vec<String>,
}

/// Where a route goes among others to the same network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Placing {
    /// Before them.
    #[default]
    Prepend,
    /// After them.
    Append,
    /// Not at all, if there is one.
    Add,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// What it does: `unicast`, `blackhole` and so on.
    pub kind: String,
    /// Where to.
    pub to: Net,
    /// The source address that it suggests.
    pub src: Option<IpAddr>,
    /// The source network that it is for (IPv6).
    pub from: Option<Net>,
    /// Its table, by name or number.
    pub table: Option<String>,
    /// Its priority among routes.
    pub metric: Option<u32>,
    /// Its only way to go.
    pub hop: NextHop,
    /// Several ways to go.
    pub hops: Vec<NextHop>,
    /// Metrics.
    pub metrics: Vec<Metric>,
    /// Other options of one word: name and word.
    pub named: Vec<(String, String)>,
    /// Where it goes among others.
    pub placing: Placing,
    /// Its disappearance does not matter.
    pub no_track: bool,
    /// The group of instances that its disappearance matters to; for static routes.
    pub track_group: Option<String>,
}

impl Route {
    /// A route to a network with nothing said about it.
    pub fn new(to: Net) -> Self {
        Self {
            kind: "unicast".into(),
            to,
            src: None,
            from: None,
            table: None,
            metric: None,
            hop: NextHop::default(),
            hops: Vec::new(),
            metrics: Vec::new(),
            named: Vec::new(),
            placing: Placing::Prepend,
            no_track: false,
            track_group: None,
        }
    }

    /// True if it ends packets here, so that it needs no interface.
    pub fn is_terminal(&self) -> bool {
        matches!(self.kind.as_str(), "blackhole" | "unreachable" | "prohibit" | "throw")
    }

    /// The interfaces that it names.
    pub fn devices(&self) -> impl Iterator<Item = &str> {
        self.hops.iter().chain([&self.hop]).filter_map(|hop| hop.dev.as_deref())
    }

    fn option(&mut self, word: &str, args: &mut Args<'_>) -> Result<bool, Bad> {
        match word {
            "src" => self.src = Some(IpAddr::parse(args)?),
            "from" => self.from = Some(network(args, true)?),
            "table" => self.table = Some(args.need("a table")?.text.clone()),
            "metric" | "priority" | "preference" => self.metric = Some(number(args, u32::MAX)?),
            "add" => self.placing = Placing::Add,
            "append" => self.placing = Placing::Append,
            "prepend" => self.placing = Placing::Prepend,
            "no_track" => self.no_track = true,
            "track_group" => self.track_group = Some(args.need("a group")?.text.clone()),
            "or" => self.hops.push(NextHop { via: Some(IpAddr::parse(args)?), ..NextHop::default() }),
            "nexthop" => self.hops.push(NextHop::default()),
            kind if KINDS.contains(&kind) => self.kind = kind.to_owned(),
            metric if METRICS.contains(&metric) => {
                let lock = args.take("lock");
                self.metrics.push(Metric { name: metric.to_owned(), lock, value: milliseconds(args)? });
            }
            name if NAMED.contains(&name) => {
                let name = if name == "dsfield" { "tos" } else { name };
                self.named.push((name.to_owned(), args.need(name)?.text.clone()));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl NextHop {
    fn option(&mut self, word: &str, args: &mut Args<'_>) -> Result<bool, Bad> {
        match word {
            "via" | "gw" => {
                let _ = args.take("inet") || args.take("inet6");
                let word = args.need("an address")?;
                let text = || format!("invalid route via address {}", word.text);
                self.via = Some(word.text.parse().map_err(|_| Bad::new(word.span, text()))?);
            }
            "dev" | "oif" => self.dev = Some(super::IfName::parse(args)?.0),
            "weight" => self.weight = Some(u8::try_from(number(args, 255)?).unwrap_or(255)),
            "onlink" => self.onlink = true,
            "encap" => {
                self.encap.push(args.need("a kind of encapsulation")?.text.clone());
                if matches!(self.encap[0].as_str(), "mpls" | "ila") {
                    self.encap.push(args.need("a label")?.text.clone());
                }
                while let Some(name @ ("id" | "dst" | "src" | "tos" | "ttl" | "hoplimit" | "flags")) = args.peek() {
                    args.word();
                    self.encap.extend([name.to_owned(), args.need(name)?.text.clone()]);
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn words(&self, words: &mut Vec<String>) {
        let via = self.via.map(|via| via.to_string());
        let weight = self.weight.map(|weight| weight.to_string());
        for (name, value) in [("via", via), ("dev", self.dev.clone()), ("weight", weight)] {
            words.extend(value.into_iter().flat_map(|value| [name.to_owned(), value]));
        }
        words.extend(self.onlink.then(|| "onlink".to_owned()));
        if !self.encap.is_empty() {
            words.push("encap".into());
            words.extend(self.encap.iter().cloned());
        }
    }
}

fn number(args: &mut Args<'_>, most: u32) -> Result<u32, Bad> {
    let word = args.need("a number")?;
    let value = integer(&word.text, 0, i64::from(most)).map_err(|text| Bad::new(word.span, text))?;
    Ok(u32::try_from(value).unwrap_or(most))
}

/// A number that may be a time with its unit.
fn milliseconds(args: &mut Args<'_>) -> Result<u32, Bad> {
    let word = args.need("a number")?;
    let text = word.text.as_str();
    let (digits, factor) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(digits), _) => (digits, 1),
        (None, Some(digits)) => (digits, 1000),
        (None, None) => (text, 1),
    };
    let value = integer(digits, 0, i64::from(u32::MAX)).map_err(|text| Bad::new(word.span, text))?;
    u32::try_from(value.saturating_mul(factor)).map_err(|_| Bad::new(word.span, format!("'{text}' is too long")))
}

/// A network of a route or rule.
pub(super) fn network(args: &mut Args<'_>, v6: bool) -> Result<Net, Bad> {
    let word = args.need("a network")?;
    network_text(&word.text, v6, word.span, args)
}

fn network_text(text: &str, v6: bool, span: crate::keepalived::span::Span, args: &mut Args<'_>) -> Result<Net, Bad> {
    match Net::from_text(text, v6) {
        Ok(net) => Ok(net),
        Err(why) => match text.split_once('/').and_then(|(address, bits)| Some((address.parse().ok()?, bits))) {
            // As for addresses: with a prefix out of range the original takes that of a host.
            Some((address, bits)) if !bits.is_empty() => {
                args.complain(Bad::new(span, why));
                Ok(Net { address, prefix: None })
            }
            _ => Err(Bad::new(span, format!("VRRP {why}. skipping IP..."))),
        },
    }
}

impl Words for Route {
    fn syntax() -> String {
        "[KIND] [to] NETWORK [via ADDRESS] [dev INTERFACE] [onlink] [src ADDRESS] [table TABLE] [metric NUMBER] \
         [nexthop via ADDRESS dev INTERFACE weight NUMBER …] [mtu [lock] NUMBER] [… as `ip route add`] \
         [add|append|prepend] [no_track] [track_group NAME]"
            .into()
    }

    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        let mut to = None;
        let mut v6 = false;
        let mut route = Self::new(Net { address: IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), prefix: Some(0) });
        while let Some(word) = args.word() {
            let text = word.text.as_str();
            match text {
                "inet6" => v6 = true,
                "inet" | "to" if to.is_none() => {}
                _ => {
                    let hop = route.hops.last_mut().unwrap_or(&mut route.hop);
                    if hop.option(text, args)? || route.option(text, args)? {
                        continue;
                    }
                    if to.is_some() {
                        return Err(Bad::new(word.span, format!("Unknown route option {text}")));
                    }
                    to = Some(network_text(text, v6, word.span, args)?);
                }
            }
        }
        route.to = to.ok_or_else(|| Bad::new(args.span(), "the route has no destination"))?;
        // `via A or B` is two ways of the same kind.
        if !route.hops.is_empty() && route.hop != NextHop::default() {
            let first = std::mem::take(&mut route.hop);
            route.hops.insert(0, first);
        }
        Ok(route)
    }

    fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        if self.kind != "unicast" {
            words.push(self.kind.clone());
        }
        words.push(self.to.text());
        let mut pair = |name: &str, value: Option<String>| {
            words.extend(value.into_iter().flat_map(|value| [name.to_owned(), value]));
        };
        pair("from", self.from.map(|from| from.text()));
        pair("src", self.src.map(|src| src.to_string()));
        pair("table", self.table.clone());
        pair("metric", self.metric.map(|metric| metric.to_string()));
        for (name, value) in &self.named {
            pair(name, Some(value.clone()));
        }
        pair("track_group", self.track_group.clone());
        for metric in &self.metrics {
            words.push(metric.name.clone());
            words.extend(metric.lock.then(|| "lock".to_owned()));
            words.push(metric.value.to_string());
        }
        match self.placing {
            Placing::Prepend => {}
            Placing::Append => words.push("append".into()),
            Placing::Add => words.push("add".into()),
        }
        words.extend(self.no_track.then(|| "no_track".to_owned()));
        self.hop.words(&mut words);
        for hop in &self.hops {
            words.push("nexthop".into());
            hop.words(&mut words);
        }
        words
    }
}
