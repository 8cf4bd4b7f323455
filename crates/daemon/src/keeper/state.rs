//! What a daemon leaves to the next one: administrative states always; health and what is in the table while the table is
//! ours. A file that makes no sense is as good as none.

use super::Keeper;
use rvs_checker::{Admin, Advice, Dest, RealState, ServiceState, Wish};
use rvs_core::abi::ServiceKey;
use rvs_wire::{Addr, Be16, Family};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// The form of the file.
const VERSION: u64 = 1;
/// The longest file that is read.
const LONGEST: u64 = 64 << 20;

/// What a daemon leaves.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct State {
    pub(super) services: BTreeMap<String, SavedService>,
}

/// What it leaves of a virtual server.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct SavedService {
    /// It is in the table, and what is known of its health holds.
    pub(super) live: bool,
    /// Its services in the table.
    pub(super) keys: Vec<ServiceKey>,
    pub(super) state: ServiceState,
    /// Why administrators did what they did.
    pub(super) reasons: BTreeMap<SocketAddr, String>,
}

impl Keeper {
    /// What the next daemon is to know. `live`: the table is as it is for it.
    pub fn state(&self, live: bool) -> State {
        let mut services = BTreeMap::new();
        for unit in &self.units {
            let mut state = unit.service.state();
            if !live {
                state.reals.retain(|_, real| real.admin != Admin::Ready);
                if state.reals.is_empty() {
                    continue;
                }
            }
            let keys = unit.server.members.iter().map(|member| member.key).collect();
            let saved = SavedService { live, keys, state, reasons: unit.reasons.clone() };
            services.insert(unit.name.to_string(), saved);
        }
        State { services }
    }
}

/// A service as text: `tcp 10.0.1.10:80`, `mark 7 inet`.
pub fn key_text(key: &ServiceKey) -> String {
    let family = Family::from_raw(key.family).unwrap_or_default();
    if key.proto == 0 {
        let word = if family == Family::V4 { "inet" } else { "inet6" };
        return format!("mark {} {word}", key.addr.last().raw());
    }
    let proto = match key.proto {
        6 => "tcp".to_owned(),
        17 => "udp".to_owned(),
        132 => "sctp".to_owned(),
        other => other.to_string(),
    };
    format!("{proto} {}", SocketAddr::new(key.addr.to_ip(family), key.port.host()))
}

fn key_of(text: &str) -> Option<ServiceKey> {
    let mut words = text.split(' ');
    let (kind, what) = (words.next()?, words.next()?);
    if kind == "mark" {
        let family = if words.next()? == "inet6" { Family::V6 } else { Family::V4 };
        let addr = Addr::mark(what.parse().ok()?);
        return Some(ServiceKey { addr, port: Be16::ZERO, proto: 0, family: family.raw() });
    }
    let proto = match kind {
        "tcp" => 6,
        "udp" => 17,
        "sctp" => 132,
        other => other.parse().ok()?,
    };
    let at: SocketAddr = what.parse().ok()?;
    let (addr, family) = match at.ip() {
        IpAddr::V4(ip) => (Addr::from(ip), Family::V4),
        IpAddr::V6(ip) => (Addr::from(ip), Family::V6),
    };
    Some(ServiceKey { addr, port: Be16::new(at.port()), proto, family: family.raw() })
}

fn advice(advice: Advice) -> Value {
    match advice {
        Advice::Weight(weight) => json!({ "weight": weight }),
        Advice::Add(delta) => json!({ "add": delta }),
        Advice::Percent(percent) => json!({ "percent": percent }),
    }
}

fn advice_of(value: &Value) -> Option<Advice> {
    let (name, number) = value.as_object()?.iter().next()?;
    Some(match name.as_str() {
        "weight" => Advice::Weight(number.as_i64()?),
        "add" => Advice::Add(number.as_i64()?),
        "percent" => Advice::Percent(u16::try_from(number.as_u64()?).ok()?),
        _ => return None,
    })
}

const WISHES: [(&str, Wish); 3] = [("ready", Wish::Ready), ("drain", Wish::Drain), ("maint", Wish::Maint)];
const ADMINS: [Admin; 3] = [Admin::Ready, Admin::Drain, Admin::Maint];

fn check(&(up, advised, wish): &(bool, Advice, Wish)) -> Value {
    let wish = WISHES.iter().find(|(_, known)| *known == wish).map_or("ready", |(name, _)| name);
    json!({ "up": up, "advice": advice(advised), "wish": wish })
}

fn check_of(value: &Value) -> Option<(bool, Advice, Wish)> {
    let word = value["wish"].as_str()?;
    let wish = WISHES.iter().find(|(name, _)| *name == word)?.1;
    Some((value["up"].as_bool()?, advice_of(&value["advice"])?, wish))
}

impl State {
    fn json(&self) -> Value {
        let service = |(name, saved): (&String, &SavedService)| {
            let real = |(address, real): (&SocketAddr, &RealState)| {
                json!({
                    "address": address.to_string(),
                    "admin": real.admin.name(),
                    "why": saved.reasons.get(address),
                    "checks": real.checks.iter().map(check).collect::<Vec<_>>(),
                })
            };
            let entry = |(dest, weight): (&Dest, &i64)| match dest {
                Dest::Real(at) => json!({ "real": at.to_string(), "weight": weight }),
                Dest::Sorry(at) => json!({ "sorry": at.to_string(), "weight": weight }),
            };
            json!({
                "name": name,
                "live": saved.live,
                "keys": saved.keys.iter().map(key_text).collect::<Vec<_>>(),
                "quorum_up": saved.state.quorum_up,
                "table": saved.state.table.iter().map(entry).collect::<Vec<_>>(),
                "reals": saved.state.reals.iter().map(real).collect::<Vec<_>>(),
            })
        };
        json!({ "version": VERSION, "services": self.services.iter().map(service).collect::<Vec<_>>() })
    }

    fn of(value: &Value) -> Option<Self> {
        if value["version"].as_u64()? != VERSION {
            return None;
        }
        let mut services = BTreeMap::new();
        for service in value["services"].as_array()? {
            let (name, saved) = saved_of(service)?;
            services.insert(name, saved);
        }
        Some(Self { services })
    }
}

fn saved_of(value: &Value) -> Option<(String, SavedService)> {
    let mut state = ServiceState { quorum_up: value["quorum_up"].as_bool()?, ..ServiceState::default() };
    for entry in value["table"].as_array()? {
        let dest = match (entry["real"].as_str(), entry["sorry"].as_str()) {
            (Some(at), _) => Dest::Real(at.parse().ok()?),
            (None, at) => Dest::Sorry(at?.parse().ok()?),
        };
        state.table.insert(dest, entry["weight"].as_i64()?);
    }
    let mut reasons = BTreeMap::new();
    for real in value["reals"].as_array()? {
        let address: SocketAddr = real["address"].as_str()?.parse().ok()?;
        let word = real["admin"].as_str()?;
        let admin = *ADMINS.iter().find(|admin| admin.name() == word)?;
        let checks = real["checks"].as_array()?.iter().map(check_of).collect::<Option<_>>()?;
        reasons.extend(real["why"].as_str().map(|why| (address, why.to_owned())));
        state.reals.insert(address, RealState { admin, checks });
    }
    let keys = value["keys"].as_array()?.iter().map(|key| key_of(key.as_str()?)).collect::<Option<_>>()?;
    let name = value["name"].as_str()?.to_owned();
    Some((name, SavedService { live: value["live"].as_bool()?, keys, state, reasons }))
}

/// Reads what an earlier daemon has left; `Err`: what is wrong with the file, which is then as good as none.
pub fn read(path: &Path) -> Result<State, String> {
    let mut text = String::new();
    match fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(State::default()),
        opened => opened.and_then(|file| file.take(LONGEST).read_to_string(&mut text)),
    }
    .map_err(|error| format!("{}: {error}", path.display()))?;
    let value: Value = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    State::of(&value).ok_or_else(|| format!("{}: not as this version writes it", path.display()))
}

/// Replaces the file in one step; only root may read it.
pub fn write(path: &Path, state: &State) -> io::Result<()> {
    let beside = path.with_extension("new");
    let _ = fs::remove_file(&beside); // One that somebody died over.
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(state.json().to_string().as_bytes())?;
    drop(file);
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nonsense_is_as_good_as_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        assert_eq!(read(&path), Ok(State::default()));
        let at: SocketAddr = "10.0.2.11:80".parse().unwrap();
        let v6: SocketAddr = "[fd00::1]:80".parse().unwrap();
        let checks = vec![(true, Advice::Add(-3), Wish::Drain), (false, Advice::Percent(75), Wish::Ready)];
        let state = ServiceState {
            quorum_up: true,
            table: [(Dest::Real(at), 3), (Dest::Sorry(v6), 0)].into(),
            reals: [(at, RealState { admin: Admin::Maint, checks })].into(),
        };
        let keys = ["tcp 10.0.1.10:80", "mark 7 inet6", "udp [fd00::2]:53"].map(|text| key_of(text).unwrap()).to_vec();
        let saved = SavedService { live: true, keys, state, reasons: [(at, "because".to_owned())].into() };
        let state = State { services: [("[10.0.1.10]:tcp:80".to_owned(), saved)].into() };
        write(&path, &state).unwrap();
        assert_eq!(read(&path), Ok(state.clone()));
        write(&path, &state).unwrap();
        for text in ["", "{}", "[1]", "{\"version\":1,\"services\":[{}]}", "{\"version\":2,\"services\":[]}"] {
            fs::write(&path, text).unwrap();
            assert!(read(&path).is_err(), "{text}");
        }
    }
}
