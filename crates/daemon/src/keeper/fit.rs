//! What makes the table of a director fit the virtual servers, whatever it holds: the fewest edits, what comes before what
//! goes. Services that are nobody's business of ours stay.

use rvs_core::abi::{Forward, ServiceKey};
use rvs_intent::{Dest, Edit, Service, ServiceSettings, Table, Timeouts};
use rvs_wire::{Addr, Be16};
use std::collections::{HashMap, HashSet};

/// A service as it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) settings: ServiceSettings,
    pub(super) dests: Vec<Dest>,
}

/// What happens to services that nobody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Others {
    /// These go, the others stay.
    Remove(HashSet<ServiceKey>),
    /// All go.
    RemoveAll,
}

/// The edits.
pub(super) fn fit(table: &Table, wanted: &[Wanted], others: &Others, timeouts: Option<Timeouts>) -> Vec<Edit> {
    let mut edits = Vec::new();
    if let Some(given) = timeouts.filter(|given| differ(*given, table.timeouts)) {
        edits.push(Edit::SetTimeouts(given));
    }
    let there: HashMap<ServiceKey, &Service> = table.services.iter().map(|service| (service.key, service)).collect();
    for one in wanted {
        let key = one.settings.key;
        let Some(service) = there.get(&key) else {
            edits.push(Edit::AddService(one.settings.clone()));
            edits.extend(one.dests.iter().map(|dest| Edit::AddDest(key, dest.clone())));
            continue;
        };
        if !same_settings(service, &one.settings) {
            edits.push(Edit::EditService(one.settings.clone()));
        }
        dests(service, one, &mut edits);
    }
    let kept: HashSet<ServiceKey> = wanted.iter().map(|one| one.settings.key).collect();
    let goes = |key: &ServiceKey| match others {
        Others::Remove(keys) => keys.contains(key),
        Others::RemoveAll => true,
    };
    let gone = table.services.iter().map(|service| service.key).filter(|key| !kept.contains(key) && goes(key));
    edits.extend(gone.map(Edit::DeleteService));
    edits
}

fn dests(service: &Service, wanted: &Wanted, edits: &mut Vec<Edit>) {
    let key = service.key;
    let place = |dest: &Dest| -> (Addr, Be16) { (dest.addr, dest.port) };
    let there: HashMap<(Addr, Be16), &Dest> = service.dests.iter().map(|dest| (place(dest), dest)).collect();
    let mut kept = HashSet::new();
    for dest in &wanted.dests {
        kept.insert(place(dest));
        match there.get(&place(dest)) {
            None => edits.push(Edit::AddDest(key, dest.clone())),
            Some(known) if same_dest(known, dest) => {}
            Some(_) => edits.push(Edit::EditDest(key, dest.clone())),
        }
    }
    let gone = service.dests.iter().filter(|dest| !kept.contains(&place(dest)));
    edits.extend(gone.map(|dest| Edit::DeleteDest(key, dest.addr, dest.port)));
}

fn differ(given: Timeouts, now: Timeouts) -> bool {
    [(given.tcp, now.tcp), (given.tcp_fin, now.tcp_fin), (given.udp, now.udp)]
        .into_iter()
        .any(|(given, now)| given != 0 && given != now)
}

fn same_settings(service: &Service, settings: &ServiceSettings) -> bool {
    service.sched.name() == settings.sched
        && service.flags == settings.flags
        && service.persist_secs == settings.persist_secs
        && service.netmask == settings.netmask
        && service.engine.map(rvs_intent::Engine::name) == settings.engine.as_deref()
}

/// A destination on this host is shown as local, whatever was asked for.
fn same_dest(known: &Dest, wanted: &Dest) -> bool {
    let forward = known.forward == wanted.forward || known.forward == Forward::Local;
    let tunnel = wanted.forward != Forward::Tunnel || known.forward == Forward::Local || known.tunnel == wanted.tunnel;
    forward
        && tunnel
        && known.weight == wanted.weight
        && known.u_threshold == wanted.u_threshold
        && known.l_threshold == wanted.l_threshold
}
