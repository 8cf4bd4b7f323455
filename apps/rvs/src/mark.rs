//! `rvs mark`: rules that give packets a firewall mark where connections begin, without a detour through netfilter.

use crate::report;
use clap::{Args, Subcommand};
use rvs_core::abi::{MARK_RANGES, MarkRule};
use rvs_dataplane::Error;
use rvs_dataplane::kernel::Director;
use rvs_wire::ipv4::proto;
use rvs_wire::{Addr, Family};
use serde_json::{Value, json};
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::str::FromStr;

/// What to do with the rules.
#[derive(Subcommand, Debug)]
pub enum Mark {
    /// Add a rule behind the others; the first that matches decides.
    Add(Add),
    /// Print the rules, as the commands that add them.
    List,
    /// Remove a rule, or all.
    Del(Del),
}

/// A rule to be added.
#[derive(Args, Debug, Clone)]
pub struct Add {
    /// tcp, udp, sctp or any
    #[arg(long, default_value = "any")]
    proto: Protocol,
    /// Clients: an address or network [default: any]
    #[arg(long, value_name = "ADDRESS[/PREFIX]")]
    src: Option<Network>,
    /// Virtual address: an address or network
    #[arg(long, value_name = "ADDRESS[/PREFIX]")]
    dst: Network,
    /// Virtual ports, such as 80,443,8000:8080 [default: any]
    #[arg(long, value_name = "PORTS")]
    dports: Option<Ports>,
    /// The mark
    #[arg(long, value_name = "MARK", value_parser = mark_value)]
    set: NonZeroU32,
}

/// A rule to be removed.
#[derive(Args, Debug, Clone)]
#[group(required = true, multiple = false)]
pub struct Del {
    /// Its number in the list, from 1
    number: Option<usize>,
    /// All of them
    #[arg(long)]
    all: bool,
}

fn mark_value(text: &str) -> Result<NonZeroU32, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => text.parse(),
    };
    let range = || format!("`{text}` is no mark: 1 to 4294967295, or 0x1 to 0xffffffff");
    NonZeroU32::new(parsed.map_err(|_| range())?).ok_or_else(range)
}

/// An IP protocol that has ports, or any.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Protocol(u8);

const PROTOCOLS: [(&str, u8); 4] = [("any", 0), ("tcp", proto::TCP), ("udp", proto::UDP), ("sctp", proto::SCTP)];

impl FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = PROTOCOLS.iter().find(|(name, _)| *name == text);
        found.map(|(_, number)| Self(*number)).ok_or_else(|| format!("`{text}` is none of tcp, udp, sctp, any"))
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PROTOCOLS.iter().find(|(_, number)| *number == self.0).map_or("any", |(name, _)| name))
    }
}

/// An address with its prefix.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    addr: Addr,
    family: Family,
    prefix: u8,
}

impl Network {
    fn mask(self) -> Addr {
        let bits: u128 = match (self.family, self.prefix) {
            (_, 0) => 0,
            (Family::V4, prefix) => u128::from(u32::MAX << (32 - prefix)),
            (Family::V6, prefix) => u128::MAX << (128 - prefix),
        };
        let bytes = bits.to_be_bytes();
        let word = |i: usize| u32::from_ne_bytes([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]);
        Addr::v6([word(0), word(4), word(8), word(12)])
    }

    fn from_rule(addr: Addr, mask: Addr, family: Family) -> Self {
        let ones: u32 = mask.words().iter().map(|word| word.count_ones()).sum();
        Self { addr, family, prefix: ones as u8 }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (addr, prefix) = text.split_once('/').map_or((text, None), |(addr, prefix)| (addr, Some(prefix)));
        let (addr, family) = Addr::from_ip(addr.parse().map_err(|_| format!("`{addr}` is no IP address"))?);
        let most = if family == Family::V4 { 32 } else { 128 };
        let prefix = match prefix.map(u8::from_str) {
            None => most,
            Some(Ok(prefix)) if prefix <= most => prefix,
            Some(_) => return Err(format!("the prefix of `{text}` is not 0 to {most}")),
        };
        let network = Self { addr, family, prefix };
        if addr.masked(network.mask()) != addr {
            let first = addr.masked(network.mask()).to_ip(family);
            return Err(format!("`{text}` has bits behind its prefix; the network is {first}/{prefix}"));
        }
        Ok(network)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addr: IpAddr = self.addr.to_ip(self.family);
        let most = if self.family == Family::V4 { 32 } else { 128 };
        if self.prefix == most { write!(f, "{addr}") } else { write!(f, "{addr}/{}", self.prefix) }
    }
}

/// Ranges of ports; none: any port.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ports(Vec<[u16; 2]>);

impl FromStr for Ports {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let port = |text: &str| match text.parse() {
            Ok(port @ 1..) => Ok(port),
            _ => Err(format!("`{text}` is no port: 1 to 65535")),
        };
        let range = |text: &str| {
            let (first, last) = text.split_once([':', '-']).unwrap_or((text, text));
            let range = [port(first)?, port(last)?];
            if range[0] > range[1] { Err(format!("`{text}` ends before it begins")) } else { Ok(range) }
        };
        let ranges: Vec<_> = text.split(',').map(range).collect::<Result<_, String>>()?;
        if ranges.len() > MARK_RANGES {
            return Err(format!("at most {MARK_RANGES} ports or ranges in one rule; use several rules"));
        }
        Ok(Self(ranges))
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, [first, last]) in self.0.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            if first == last { write!(f, "{comma}{first}")? } else { write!(f, "{comma}{first}:{last}")? }
        }
        Ok(())
    }
}

impl Add {
    fn rule(&self) -> Result<MarkRule, Error> {
        let family = self.dst.family;
        let any = Network { addr: Addr::UNSPECIFIED, family, prefix: 0 };
        let src = self.src.unwrap_or(any);
        if src.family != family {
            return Err(Error::State(format!("--src {src} and --dst {} are of different families", self.dst)));
        }
        let mut ports = [[0; 2]; MARK_RANGES];
        for (place, range) in ports.iter_mut().zip(self.dports.iter().flat_map(|ports| &ports.0)) {
            *place = *range;
        }
        Ok(MarkRule {
            src: src.addr,
            src_mask: src.mask(),
            dst: self.dst.addr,
            dst_mask: self.dst.mask(),
            ports,
            mark: self.set.get(),
            proto: self.proto.0,
            family: family.raw(),
            pad: 0,
        })
    }
}

/// A rule as its parts are written.
struct Shown {
    proto: Protocol,
    src: Network,
    dst: Network,
    ports: Ports,
    mark: u32,
}

impl Shown {
    fn new(rule: &MarkRule) -> Self {
        let family = Family::from_raw(rule.family).unwrap_or_default();
        Self {
            proto: Protocol(rule.proto),
            src: Network::from_rule(rule.src, rule.src_mask, family),
            dst: Network::from_rule(rule.dst, rule.dst_mask, family),
            ports: Ports(rule.ports.into_iter().filter(|[_, last]| *last != 0).collect()),
            mark: rule.mark,
        }
    }

    fn command(&self) -> String {
        let mut text = format!("rvs mark add --proto {}", self.proto);
        if self.src.prefix != 0 {
            text += &format!(" --src {}", self.src);
        }
        text += &format!(" --dst {}", self.dst);
        if !self.ports.0.is_empty() {
            text += &format!(" --dports {}", self.ports);
        }
        text + &format!(" --set {}\n", self.mark)
    }

    fn json(&self) -> Value {
        json!({
            "proto": self.proto.to_string(),
            "src": self.src.to_string(),
            "dst": self.dst.to_string(),
            "dports": self.ports.0,
            "mark": self.mark,
        })
    }
}

/// Runs a command; what it prints.
///
/// # Errors
/// No director, a rule that makes no sense or is not there, no room for it.
pub fn run(command: &Mark, as_json: bool) -> Result<String, Error> {
    match command {
        Mark::List => {
            let rules = Director::existing()?.map_or(Ok(Vec::new()), |director| director.mark_rules())?;
            let shown: Vec<Shown> = rules.iter().map(Shown::new).collect();
            return Ok(if as_json {
                report::json(&json!({ "rules": shown.iter().map(Shown::json).collect::<Vec<_>>() }))
            } else {
                shown.iter().map(Shown::command).collect()
            });
        }
        Mark::Add(add) => {
            let rule = add.rule()?;
            Director::open()?.change_mark_rules(|rules| {
                rules.push(rule);
                Ok(())
            })?;
        }
        Mark::Del(del) => {
            let none = || Error::State("there is no such rule; `rvs mark list` numbers them from 1".to_owned());
            let mut director = Director::existing()?.ok_or_else(none)?;
            director.change_mark_rules(|rules| match del.number {
                None => {
                    rules.clear();
                    Ok(())
                }
                Some(number) if (1..=rules.len()).contains(&number) => {
                    rules.remove(number - 1);
                    Ok(())
                }
                Some(_) => Err(none()),
            })?;
        }
    }
    Ok(if as_json { report::json(&json!({ "done": true })) } else { String::new() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser, Debug)]
    struct Line {
        #[command(subcommand)]
        mark: Mark,
    }

    fn parse(line: &str) -> Result<Add, String> {
        match Line::try_parse_from(["mark"].into_iter().chain(line.split_whitespace())) {
            Ok(Line { mark: Mark::Add(add) }) => Ok(add),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn what_is_listed_adds_the_same_again() {
        for line in [
            "add --proto tcp --dst 10.0.1.10 --dports 80,443,8000:8080 --set 10",
            "add --proto udp --src 192.0.2.0/24 --dst 10.0.1.10 --set 4294967295",
            "add --proto any --dst fd00:1::/64 --dports 53 --set 1",
            "add --proto sctp --dst 0.0.0.0/0 --set 7",
        ] {
            let rule = parse(line).unwrap().rule().unwrap();
            assert_eq!(Shown::new(&rule).command(), format!("rvs mark {line}\n"));
        }
        assert_eq!(parse("add --dst 10.0.1.10 --set 0x10").unwrap().rule().unwrap().mark, 16);
    }

    #[test]
    fn nonsense_is_refused_with_the_reason() {
        for (line, why) in [
            ("add --dst 10.0.1.10 --set 0", "no mark"),
            ("add --dst 10.0.1.10/33 --set 1", "not 0 to 32"),
            ("add --dst 10.0.1.10/24 --set 1", "10.0.1.0/24"),
            ("add --dst ten --set 1", "no IP address"),
            ("add --dst 10.0.1.10 --dports 0 --set 1", "no port"),
            ("add --dst 10.0.1.10 --dports 443:80 --set 1", "ends before it begins"),
            ("add --dst 10.0.1.10 --dports 1,2,3,4,5,6,7 --set 1", "at most 6"),
            ("add --proto icmp --dst 10.0.1.10 --set 1", "none of tcp"),
            ("add --dst 10.0.1.10", "--set"),
            ("del", "required"),
        ] {
            let error = parse(line).expect_err(line);
            assert!(error.contains(why), "{line}: {error}");
        }
        let mixed = parse("add --src fd00::/8 --dst 10.0.1.10 --set 1").unwrap().rule().unwrap_err();
        assert!(mixed.to_string().contains("different families"));
    }
}
