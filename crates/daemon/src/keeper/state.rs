//! What a daemon leaves to the next one: administrative states always; health and what is in the table while the table is
//! ours. A file that makes no sense is as good as none.

use super::Keeper;
use rvs_checker::{Admin, Advice, Dest, RealState, ServiceState, Wish};
use rvs_core::abi::ServiceKey;
use rvs_wire::{Addr, Be16, Family};
use serde::{Deserialize, Serialize, Serializer};
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

/// The file. It is written and read without a copy of all of it: there may be thousands of real servers.
#[derive(Serialize, Deserialize)]
struct Document<L> {
    version: u64,
    services: L,
}

#[derive(Serialize, Deserialize)]
struct ServiceText {
    name: String,
    live: bool,
    keys: Vec<String>,
    quorum_up: bool,
    table: Vec<EntryText>,
    reals: Vec<RealText>,
}

#[derive(Serialize, Deserialize)]
struct EntryText {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    real: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    sorry: Option<SocketAddr>,
    weight: i64,
}

#[derive(Serialize, Deserialize)]
struct RealText {
    address: SocketAddr,
    admin: AdminText,
    #[serde(default)]
    why: Option<String>,
    checks: Vec<CheckText>,
}

#[derive(Serialize, Deserialize)]
struct CheckText {
    up: bool,
    advice: AdviceText,
    wish: AdminText,
}

#[derive(Serialize, Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum AdminText {
    Ready,
    Drain,
    Maint,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum AdviceText {
    Weight(i64),
    Add(i64),
    Percent(u16),
}

const ADMINS: [(AdminText, Admin, Wish); 3] = [
    (AdminText::Ready, Admin::Ready, Wish::Ready),
    (AdminText::Drain, Admin::Drain, Wish::Drain),
    (AdminText::Maint, Admin::Maint, Wish::Maint),
];

fn check_text(&(up, advice, wish): &(bool, Advice, Wish)) -> CheckText {
    let advice = match advice {
        Advice::Weight(weight) => AdviceText::Weight(weight),
        Advice::Add(delta) => AdviceText::Add(delta),
        Advice::Percent(percent) => AdviceText::Percent(percent),
    };
    let wish = ADMINS.iter().find(|(_, _, known)| *known == wish).map_or(AdminText::Ready, |(text, ..)| *text);
    CheckText { up, advice, wish }
}

fn check_of(text: &CheckText) -> (bool, Advice, Wish) {
    let advice = match text.advice {
        AdviceText::Weight(weight) => Advice::Weight(weight),
        AdviceText::Add(delta) => Advice::Add(delta),
        AdviceText::Percent(percent) => Advice::Percent(percent),
    };
    (text.up, advice, ADMINS[text.wish as usize].2)
}

fn service_text((name, saved): (&String, &SavedService)) -> ServiceText {
    let real = |(address, real): (&SocketAddr, &RealState)| RealText {
        address: *address,
        admin: ADMINS.iter().find(|(_, known, _)| *known == real.admin).map_or(AdminText::Ready, |(text, ..)| *text),
        why: saved.reasons.get(address).cloned(),
        checks: real.checks.iter().map(check_text).collect(),
    };
    let entry = |(dest, weight): (&Dest, &i64)| match dest {
        Dest::Real(at) => EntryText { real: Some(*at), sorry: None, weight: *weight },
        Dest::Sorry(at) => EntryText { real: None, sorry: Some(*at), weight: *weight },
    };
    ServiceText {
        name: name.clone(),
        live: saved.live,
        keys: saved.keys.iter().map(key_text).collect(),
        quorum_up: saved.state.quorum_up,
        table: saved.state.table.iter().map(entry).collect(),
        reals: saved.state.reals.iter().map(real).collect(),
    }
}

fn saved_of(text: ServiceText) -> Option<(String, SavedService)> {
    let mut state = ServiceState { quorum_up: text.quorum_up, ..ServiceState::default() };
    for entry in text.table {
        let dest = entry.real.map(Dest::Real).or(entry.sorry.map(Dest::Sorry))?;
        state.table.insert(dest, entry.weight);
    }
    let mut reasons = BTreeMap::new();
    for real in text.reals {
        let admin = ADMINS[real.admin as usize].1;
        let checks = real.checks.iter().map(check_of).collect();
        reasons.extend(real.why.map(|why| (real.address, why)));
        state.reals.insert(real.address, RealState { admin, checks });
    }
    let keys = text.keys.iter().map(|key| key_of(key)).collect::<Option<_>>()?;
    Some((text.name, SavedService { live: text.live, keys, state, reasons }))
}

/// Services one after the other, each made when it is written.
struct Services<'a>(&'a State);

impl Serialize for Services<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.services.iter().map(service_text))
    }
}

/// Reads what an earlier daemon has left; `Err`: what is wrong with the file, which is then as good as none.
pub fn read(path: &Path) -> Result<State, String> {
    let file = match fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(State::default()),
        opened => opened.map_err(|error| format!("{}: {error}", path.display()))?,
    };
    let document: Document<Vec<ServiceText>> = serde_json::from_reader(io::BufReader::new(file.take(LONGEST)))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    let services: Option<_> = document.services.into_iter().map(saved_of).collect();
    let known = services.filter(|_| document.version == VERSION).map(|services| State { services });
    known.ok_or_else(|| format!("{}: not as this version writes it", path.display()))
}

/// Replaces the file in one step; only root may read it.
pub fn write(path: &Path, state: &State) -> io::Result<()> {
    let beside = path.with_extension("new");
    let _ = fs::remove_file(&beside); // One that somebody died over.
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    let mut file = io::BufWriter::new(file);
    serde_json::to_writer(&mut file, &Document { version: VERSION, services: Services(state) })?;
    file.flush()?;
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
