//! What makes one table out of another: each change once, as people would say it, whatever way led there.
//!
//! Only what can be configured is compared. Where schedulers stand and the order of destinations come of the way, not of the
//! wish, so they make no difference.

use crate::model::{Dest, Service, Table, Timeouts};
use rvs_core::abi::ServiceKey;
use rvs_wire::{Addr, Be16};
use std::collections::HashMap;

/// One difference between two tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A service that is not there yet; its destinations follow as changes of their own.
    AddService(Service),
    /// A service with other settings.
    EditService {
        /// As it is.
        old: Service,
        /// As it will be.
        new: Service,
    },
    /// A service that goes; its destinations stand before it as changes of their own.
    RemoveService(Service),
    /// A destination that is not there yet.
    AddDest(ServiceKey, Dest),
    /// A destination with other settings.
    EditDest {
        /// Its service.
        key: ServiceKey,
        /// As it is.
        old: Dest,
        /// As it will be.
        new: Dest,
    },
    /// A destination that goes. Its connections lose their server.
    RemoveDest(ServiceKey, Dest),
    /// Other timeouts.
    Timeouts {
        /// As they are.
        old: Timeouts,
        /// As they will be.
        new: Timeouts,
    },
}

/// The changes that lead from `old` to `new`: timeouts, then service by service in the order of `old`, then what is new in the
/// order of `new`.
pub fn diff(old: &Table, new: &Table) -> Vec<Change> {
    let mut changes = Vec::new();
    if old.timeouts != new.timeouts {
        changes.push(Change::Timeouts { old: old.timeouts, new: new.timeouts });
    }
    let by_key: HashMap<ServiceKey, &Service> = new.services.iter().map(|service| (service.key, service)).collect();
    let mut seen: HashMap<ServiceKey, ()> = HashMap::new();
    for service in &old.services {
        seen.insert(service.key, ());
        match by_key.get(&service.key) {
            Some(wanted) => same_service(service, wanted, &mut changes),
            None => {
                changes.extend(service.dests.iter().map(|dest| Change::RemoveDest(service.key, dest.clone())));
                changes.push(Change::RemoveService(service.clone()));
            }
        }
    }
    for service in new.services.iter().filter(|service| !seen.contains_key(&service.key)) {
        changes.push(Change::AddService(service.clone()));
        changes.extend(service.dests.iter().rev().map(|dest| Change::AddDest(service.key, dest.clone())));
    }
    changes
}

/// What is configured of a service itself.
fn settings(service: &Service) -> impl PartialEq + use<> {
    (service.sched, service.flags, service.persist_secs, service.netmask, service.engine)
}

/// What is configured of a destination besides its address.
fn dest_settings(dest: &Dest) -> impl PartialEq + use<> {
    (dest.family, dest.forward, dest.weight, dest.u_threshold, dest.l_threshold, dest.tunnel)
}

fn same_service(old: &Service, new: &Service, changes: &mut Vec<Change>) {
    let key = old.key;
    if settings(old) != settings(new) {
        changes.push(Change::EditService { old: old.clone(), new: new.clone() });
    }
    let at = |dest: &Dest| -> (Addr, Be16) { (dest.addr, dest.port) };
    let by_address: HashMap<(Addr, Be16), &Dest> = new.dests.iter().map(|dest| (at(dest), dest)).collect();
    for dest in &old.dests {
        match by_address.get(&at(dest)) {
            Some(wanted) if dest_settings(dest) == dest_settings(wanted) => {}
            Some(wanted) => changes.push(Change::EditDest { key, old: dest.clone(), new: (*wanted).clone() }),
            None => changes.push(Change::RemoveDest(key, dest.clone())),
        }
    }
    let had: HashMap<(Addr, Be16), ()> = old.dests.iter().map(|dest| (at(dest), ())).collect();
    let added = new.dests.iter().rev().filter(|dest| !had.contains_key(&at(dest)));
    changes.extend(added.map(|dest| Change::AddDest(key, dest.clone())));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::{Edit, ServiceSettings};
    use rvs_wire::Family;
    use std::net::Ipv4Addr;

    fn key(port: u16) -> ServiceKey {
        let addr = Ipv4Addr::new(10, 0, 1, 10).into();
        ServiceKey { addr, port: Be16::new(port), proto: 6, family: Family::V4.raw() }
    }

    fn service(port: u16, sched: &str) -> Edit {
        let netmask = Ipv4Addr::BROADCAST.into();
        let sched = sched.to_owned();
        Edit::AddService(ServiceSettings { key: key(port), sched, flags: 0, persist_secs: 0, netmask, engine: None })
    }

    fn dest(last: u8, weight: i32) -> Dest {
        Dest { weight, ..Dest::new(Ipv4Addr::new(10, 0, 2, last).into(), Family::V4, Be16::new(80)) }
    }

    fn table(edits: &[Edit]) -> Table {
        let mut table = Table::default();
        edits.iter().for_each(|edit| table.apply(edit).unwrap());
        table
    }

    #[test]
    fn each_kind_of_change_is_found() {
        let old = table(&[
            service(80, "rr"),
            Edit::AddDest(key(80), dest(11, 1)),
            Edit::AddDest(key(80), dest(12, 1)),
            service(81, "rr"),
            Edit::AddDest(key(81), dest(11, 1)),
            service(82, "rr"),
        ]);
        let new = table(&[
            service(80, "wrr"),
            Edit::AddDest(key(80), dest(11, 5)),
            Edit::AddDest(key(80), dest(13, 1)),
            service(82, "rr"),
            service(83, "rr"),
            Edit::AddDest(key(83), dest(11, 1)),
            Edit::SetTimeouts(Timeouts { tcp: 10, tcp_fin: 0, udp: 0 }),
        ]);
        let names: Vec<&str> = diff(&old, &new)
            .iter()
            .map(|change| match change {
                Change::Timeouts { .. } => "timeouts",
                Change::AddService(_) => "+service",
                Change::EditService { .. } => "service",
                Change::RemoveService(_) => "-service",
                Change::AddDest(..) => "+dest",
                Change::EditDest { .. } => "dest",
                Change::RemoveDest(..) => "-dest",
            })
            .collect();
        let expected = ["timeouts", "service", "-dest", "dest", "+dest", "-dest", "-service", "+service", "+dest"];
        assert_eq!(names, expected);
    }

    #[test]
    fn the_way_to_a_table_makes_no_difference() {
        let one = table(&[service(80, "rr"), Edit::AddDest(key(80), dest(11, 1)), Edit::AddDest(key(80), dest(12, 0))]);
        let other = table(&[
            service(80, "rr"),
            Edit::AddDest(key(80), dest(12, 7)),
            Edit::AddDest(key(80), dest(11, 1)),
            Edit::EditDest(key(80), dest(12, 0)),
        ]);
        assert_eq!(diff(&one, &other), []);
        assert_eq!(diff(&one, &one), []);
    }
}
