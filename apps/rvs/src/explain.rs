//! `rvs explain`: where a packet would go, and each step that leads there.

use crate::report;
use clap::{Args, ValueEnum};
use rvs_dataplane::Error;
use rvs_dataplane::kernel::Director;
use rvs_dataplane::kernel::explain::{Explanation, Query, Step};
use rvs_wire::ipv4::proto;
use rvs_wire::tcp;
use std::net::IpAddr;
use std::str::FromStr;

/// Which packet.
#[derive(Args, Debug, Clone, Copy)]
pub struct Packet {
    /// Who sends it: `ADDRESS`, `ADDRESS:PORT` or `[ADDRESS]:PORT`; port 40000 if none is given
    #[arg(value_name = "CLIENT[:PORT]")]
    client: End,
    /// To whom; without a port, that of the only service of the address
    #[arg(value_name = "SERVICE[:PORT]")]
    service: End,
    /// Its protocol
    #[arg(long, value_enum, default_value_t = Protocol::Tcp)]
    proto: Protocol,
    /// The firewall mark that it comes with
    #[arg(long, default_value_t = 0, value_name = "MARK", value_parser = mark)]
    mark: u32,
    /// TCP flags, such as syn or fin,ack [default: syn]
    #[arg(long, value_name = "FLAGS")]
    flags: Option<Flags>,
}

/// A protocol that is balanced.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "each is the protocol of its name")]
pub enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

/// An address, perhaps with a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct End(pub IpAddr, pub Option<u16>);

impl FromStr for End {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if let Ok(ip) = bare.parse() {
            return Ok(Self(ip, None));
        }
        let wrong = || format!("`{text}` is none of ADDRESS, ADDRESS:PORT and [ADDRESS]:PORT");
        let (ip, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let ip = match ip.strip_prefix('[') {
            Some(rest) => IpAddr::V6(rest.strip_suffix(']').and_then(|ip| ip.parse().ok()).ok_or_else(wrong)?),
            None => IpAddr::V4(ip.parse().map_err(|_| wrong())?),
        };
        match port.parse() {
            Ok(port @ 1..) => Ok(Self(ip, Some(port))),
            _ => Err(format!("`{port}` is no port: 1 to 65535")),
        }
    }
}

fn mark(text: &str) -> Result<u32, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| format!("`{text}` is no mark: 0 to 4294967295, or 0x0 to 0xffffffff"))
}

/// Flags of a TCP segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flags(u8);

/// The flags by name; psh and urg change nothing, but packets have them.
const FLAGS: [(&str, u8); 7] =
    [("syn", tcp::SYN), ("ack", tcp::ACK), ("fin", tcp::FIN), ("rst", tcp::RST), ("psh", 8), ("urg", 32), ("none", 0)];

impl FromStr for Flags {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let one = |name: &str| {
            let found = FLAGS.iter().find(|(known, _)| *known == name);
            found.map(|(_, bit)| *bit).ok_or_else(|| format!("`{name}` is none of syn, ack, fin, rst, psh, urg, none"))
        };
        let bits = text.split([',', '|', '+']).map(one).try_fold(0, |all, bit| bit.map(|bit| all | bit))?;
        Ok(Self(bits))
    }
}

impl Packet {
    fn query(self) -> Result<Query, Error> {
        if self.proto != Protocol::Tcp && self.flags.is_some() {
            return Err(Error::State("--flags is for --proto tcp alone".to_owned()));
        }
        Ok(Query {
            client: (self.client.0, self.client.1),
            service: (self.service.0, self.service.1),
            proto: match self.proto {
                Protocol::Tcp => proto::TCP,
                Protocol::Udp => proto::UDP,
                Protocol::Sctp => proto::SCTP,
            },
            mark: self.mark,
            tcp_flags: self.flags.map_or(tcp::SYN, |flags| flags.0),
        })
    }
}

/// Runs the command; what it prints.
///
/// # Errors
/// No director, a packet that cannot be, or tables that cannot be read.
pub fn run(packet: Packet, as_json: bool) -> Result<String, Error> {
    let query = packet.query()?;
    let none = || Error::State("there is no director in this network namespace: no packet is balanced".to_owned());
    let told = Director::existing()?.ok_or_else(none)?.explain(&query)?;
    Ok(if as_json { report::json(&report::to_value(&told)) } else { text(&told) })
}

/// One step a line, the outcome last.
fn text(told: &Explanation) -> String {
    let mut text = format!("{} {} > {}\n", told.protocol, told.from, told.to);
    for step in &told.steps {
        text += &format!("  {step}\n");
        if let Step::Schedule { candidates, .. } = step {
            text.extend(candidates.iter().map(|candidate| format!("    {candidate}\n")));
        }
    }
    let (outcome, reason, description) = (told.outcome, told.reason, told.description);
    match &told.destination {
        Some(at) => {
            let seen = at.seen_from.map_or(String::new(), |seen| format!(", as if from {seen}"));
            let how = if at.method == "local" { "on this host".to_owned() } else { format!("by {}", at.method) };
            text + &format!("→ {} {how}{seen} ({reason})\n", at.address)
        }
        None => text + &format!("→ {outcome}: {reason}: {description}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser, Debug)]
    struct Line {
        #[command(flatten)]
        packet: Packet,
    }

    fn parse(line: &str) -> Result<Query, String> {
        let words = ["explain"].into_iter().chain(line.split_whitespace());
        let line = Line::try_parse_from(words).map_err(|error| error.to_string())?;
        line.packet.query().map_err(|error| error.to_string())
    }

    #[test]
    fn packets_are_understood() {
        let query = parse("10.0.1.100:4000 10.0.1.10:80").unwrap();
        assert_eq!(
            (query.client.1, query.service.1, query.proto, query.tcp_flags),
            (Some(4000), Some(80), 6, tcp::SYN)
        );
        let query = parse("fd00::1 [fd00::2]:53 --proto udp --mark 0x10").unwrap();
        assert_eq!((query.client.1, query.service.1, query.proto, query.mark), (None, Some(53), 17, 16));
        assert_eq!(query.client.0.to_string(), "fd00::1");
        for (flags, bits) in [("fin,ack", tcp::FIN | tcp::ACK), ("syn|ack", tcp::SYN | tcp::ACK), ("none", 0)] {
            assert_eq!(parse(&format!("10.0.1.100 10.0.1.10 --flags {flags}")).unwrap().tcp_flags, bits);
        }
    }

    #[test]
    fn nonsense_is_refused_with_the_reason() {
        for (line, why) in [
            ("10.0.1.100", "SERVICE"),
            ("client 10.0.1.10", "none of ADDRESS"),
            ("10.0.1.100:0 10.0.1.10", "no port"),
            ("10.0.1.100 10.0.1.10:65536", "no port"),
            ("fd00::zz 10.0.1.10", "none of ADDRESS"),
            ("[10.0.1.100]:80 10.0.1.10", "none of ADDRESS"),
            ("10.0.1.100 10.0.1.10 --flags syn,fun", "`fun` is none of syn"),
            ("10.0.1.100 10.0.1.10 --proto udp --flags syn", "tcp alone"),
            ("10.0.1.100 10.0.1.10 --proto icmp", "invalid value"),
            ("10.0.1.100 10.0.1.10 --mark -", "no mark"),
        ] {
            let error = parse(line).expect_err(line);
            assert!(error.contains(why), "{line}: {error}");
        }
    }
}
