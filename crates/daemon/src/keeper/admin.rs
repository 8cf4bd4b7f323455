//! What administrators decide about real servers: found by what people call them, kept apart from health.

use super::Keeper;
use super::unit::Unit;
use rvs_checker::{Admin, ServiceInput};
use rvs_machine::{Machine, Time};
use rvs_wire::Family;
use std::net::{IpAddr, SocketAddr};

/// What an administrator decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The virtual server, as the log names it, or `ADDRESS:PORT`, `fwmark:N` or the name of a group.
    pub service: String,
    /// The real server, as the log names it, or `ADDRESS:PORT`, or its address alone.
    pub real: String,
    /// What about it.
    pub state: Admin,
    /// Why; may be empty.
    pub why: String,
}

/// What it was about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// The virtual server's name in the log.
    pub service: String,
    /// The real server's.
    pub real: String,
}

/// Whether an address and a port are what `text` says; without a port in it any will do.
fn is_at(text: &str, address: IpAddr, port: u16) -> bool {
    match text.parse::<SocketAddr>() {
        Ok(at) => at == SocketAddr::new(address, port),
        Err(_) => text.trim_start_matches('[').trim_end_matches(']').parse() == Ok(address),
    }
}

fn is_service(unit: &Unit, text: &str) -> bool {
    if *unit.name == *text {
        return true;
    }
    let (proto, place) = match text.split_once('/') {
        Some(("tcp", place)) => (Some(6), place),
        Some(("udp", place)) => (Some(17), place),
        Some(("sctp", place)) => (Some(132), place),
        _ => (None, text),
    };
    let mark =
        place.strip_prefix("fwmark:").or_else(|| place.strip_prefix("fwmark ")).and_then(|mark| mark.parse().ok());
    let group = unit.name.strip_prefix('[').and_then(|name| name.strip_suffix("]:0"));
    let of_member = |member: &rvs_intent::ServiceSettings| match Family::from_raw(member.key.family) {
        _ if member.key.proto == 0 => mark == Some(member.key.addr.last().raw()),
        Some(family) => {
            proto.is_none_or(|proto| proto == member.key.proto)
                && is_at(place, member.key.addr.to_ip(family), member.key.port.host())
        }
        None => false,
    };
    group == Some(text) || unit.server.members.iter().any(of_member)
}

impl Keeper {
    /// The virtual server and the real server that somebody means.
    fn find(&self, service: &str, real: &str) -> Result<(usize, SocketAddr), String> {
        let units: Vec<usize> = (0..self.units.len()).filter(|at| is_service(&self.units[*at], service)).collect();
        // What is called so to the letter is meant, whatever else could be.
        let exact = units.iter().copied().find(|at| *self.units[*at].name == *service);
        let at = match (exact, &units[..]) {
            (Some(at), _) | (None, &[at]) => at,
            (None, []) => {
                let names: Vec<&str> = self.units.iter().take(10).map(|unit| &*unit.name).collect();
                return Err(format!("there is no virtual server `{service}`; there are {}", list(&names)));
            }
            (None, several) => {
                let names: Vec<&str> = several.iter().map(|at| &*self.units[*at].name).collect();
                return Err(format!("`{service}` may be {}", list(&names)));
            }
        };
        let unit = &self.units[at];
        let reals = &unit.server.params.reals;
        let means = |params: &&rvs_checker::RealParams| {
            params.name == real || is_at(real, params.address.ip(), params.address.port())
        };
        let found: Vec<_> = reals.iter().filter(means).collect();
        match &found[..] {
            [params] => Ok((at, params.address)),
            [] => {
                let names: Vec<&str> = reals.iter().take(10).map(|params| params.name.as_str()).collect();
                Err(format!("virtual server {} has no real server `{real}`; it has {}", unit.name, list(&names)))
            }
            several => {
                let names: Vec<&str> = several.iter().map(|params| params.name.as_str()).collect();
                Err(format!("`{real}` may be {}", list(&names)))
            }
        }
    }

    /// Does what an administrator has decided; `Err`: whom he can mean, if nobody is meant or several.
    pub fn decide(&mut self, now: Time, decision: &Decision) -> Result<Decided, String> {
        let (at, real) = self.find(&decision.service, &decision.real)?;
        let (state, why) = (decision.state, one_line(&decision.why));
        let unit = &mut self.units[at];
        match state {
            Admin::Ready => drop(unit.reasons.remove(&real)),
            Admin::Drain | Admin::Maint => drop(unit.reasons.insert(real, why.clone())),
        }
        unit.service.handle(now, ServiceInput::Admin { real, state, why });
        let decided = Decided { service: unit.name.to_string(), real: unit.real_name(real).to_owned() };
        self.collect(at);
        self.changed = true;
        Ok(decided)
    }
}

/// Reasons go to the log: a line and not more.
fn one_line(text: &str) -> String {
    text.chars().take(500).map(|char| if char.is_control() { ' ' } else { char }).collect()
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
