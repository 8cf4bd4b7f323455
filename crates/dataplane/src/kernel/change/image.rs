//! A copy of all configuration records, taken at once, and the table that packets see in it.
//!
//! Taken while no writer works. Everything that refers to something else is checked here, so that a damaged map becomes an
//! error that names it and never an index out of range.

use super::store::{Area, Store, Way};
use crate::Error;
use rvs_core::abi::{
    self, Control, DestId, DestState, Forward, ListEntry, SchedState, Service, ServiceId, ServiceKey, ServiceSlot,
};
use rvs_core::sched;
use rvs_intent::{Dest, Engine, Openings, Service as IntentService, Table, Timeouts, Tunnel, TunnelKind};
use rvs_wire::{Addr, Be16, Family};

/// Whether data connections of FTP belong to a service: it has the port of control connections.
pub(crate) fn is_ftp(key: &ServiceKey) -> bool {
    key.proto != 0 && key.port == rvs_core::ftp::CONTROL
}

/// The fields of `CONTROL` that configuration is about.
#[derive(Clone, Debug)]
pub(crate) struct Heads {
    /// Generation that packets see.
    pub(crate) generation: u32,
    /// Equal to `generation` when the tables are settled.
    pub(crate) prepared: u32,
    /// Number of service records ever used.
    pub(crate) services_used: u32,
    /// Number of destination records ever used.
    pub(crate) dests_used: u32,
    /// Where to look for room in `LISTS`.
    pub(crate) lists_cursor: u32,
    /// Where to look for room in `TABLES`.
    pub(crate) tables_cursor: u32,
    /// Number of services by mark, as packets believe.
    pub(crate) mark_services: u32,
    /// Number of FTP services, as packets believe.
    pub(crate) ftp_services: u32,
    /// Services with a persistence engine that packets look for.
    pub(crate) engine_services: u32,
    /// Scheduler versions given out.
    pub(crate) sched_versions: u32,
    /// Versions of the timeouts.
    pub(crate) timeouts: [abi::Timeouts; 2],
}

/// A destination record.
#[derive(Clone, Debug)]
pub(crate) struct DestRecord {
    /// Address.
    pub(crate) addr: Addr,
    /// Port.
    pub(crate) port: Be16,
    /// Family.
    pub(crate) family: u8,
    /// State.
    pub(crate) state: DestState,
    /// Service it is or was of.
    pub(crate) service: ServiceId,
    /// Uses of this index.
    pub(crate) serial: u32,
    /// Way to it.
    pub(crate) way: Way,
    /// Active connections.
    pub(crate) active: u32,
    /// What became of new connections.
    pub(crate) openings: Openings,
    /// Inactive connections.
    pub(crate) inactive: u32,
    /// Templates.
    pub(crate) persist: u32,
    /// When it was deleted.
    pub(crate) trashed_at: u32,
    /// Upper threshold that packets go by.
    pub(crate) u_threshold: u32,
    /// Lower threshold.
    pub(crate) l_threshold: u32,
    /// Where in `LISTS` its settings are.
    pub(crate) entry: u32,
}

impl DestRecord {
    /// Whether nothing refers to it any more.
    pub(crate) fn idle(&self) -> bool {
        // A program that is just scheduling may count a connection later; records rest for a while before they are reused.
        self.active == 0 && self.inactive == 0 && self.persist == 0
    }
}

impl From<abi::Dest> for DestRecord {
    fn from(raw: abi::Dest) -> Self {
        let state = match raw.state.get() {
            1 => DestState::Live,
            2 => DestState::Trash,
            _ => DestState::Free,
        };
        Self {
            addr: raw.addr,
            port: raw.port,
            family: raw.family,
            state,
            service: raw.service,
            serial: raw.serial,
            way: Way { ifindex: raw.hop_ifindex, gateway: raw.hop_gateway, source: raw.hop_source },
            active: raw.active.get(),
            openings: Openings {
                answered: raw.answered.get(),
                refused: raw.refused.get(),
                unanswered: raw.unanswered.get(),
            },
            inactive: raw.inactive.get(),
            persist: raw.persist.get(),
            trashed_at: raw.trashed_at,
            u_threshold: raw.u_threshold.get(),
            l_threshold: raw.l_threshold.get(),
            entry: raw.entry.get(),
        }
    }
}

/// A copy of the configuration records.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    /// From `CONTROL`.
    pub(crate) heads: Heads,
    /// The used part of `SERVICES`.
    pub(crate) services: Vec<Service>,
    /// The list in force of each of them; empty when the service does not exist.
    pub(crate) lists: Vec<Vec<ListEntry>>,
    /// The used part of `DESTS`.
    pub(crate) dests: Vec<DestRecord>,
}

/// The slot of a service in force, if it exists.
pub(crate) fn present(service: &Service, generation: u32) -> Option<&ServiceSlot> {
    let slot = &service.slots[abi::active(service.slots.map(|slot| slot.generation), generation)?];
    (slot.present == 1).then_some(slot)
}

fn damaged(what: impl std::fmt::Display) -> Error {
    Error::State(format!("the tables in the kernel are damaged: {what}; `rvs teardown` removes them"))
}

impl Image {
    /// Copies the records.
    pub(crate) fn capture(store: &impl Store) -> Result<Self, Error> {
        let control: Control = store.load(Area::Control, 0)?;
        let heads = Heads {
            generation: control.generation.get(),
            prepared: control.prepared,
            services_used: control.services_used,
            dests_used: control.dests_used,
            lists_cursor: control.lists_cursor,
            tables_cursor: control.tables_cursor,
            mark_services: control.mark_services,
            ftp_services: control.ftp_services,
            engine_services: control.engine_services,
            sched_versions: control.sched_versions,
            timeouts: control.timeouts,
        };
        let services =
            (0..heads.services_used).map(|id| store.load(Area::Services, id)).collect::<Result<Vec<Service>, _>>()?;
        let dests = (0..heads.dests_used)
            .map(|id| store.load::<abi::Dest>(Area::Dests, id).map(DestRecord::from))
            .collect::<Result<Vec<_>, _>>()?;
        let list = |service: &Service| match present(service, heads.generation) {
            None => Ok(Vec::new()),
            Some(slot) => (slot.first..slot.first.saturating_add(slot.count))
                .map(|at| {
                    let entry: ListEntry = store.load(Area::Lists, at)?;
                    if entry.dest >= heads.dests_used {
                        return Err(damaged(format_args!("list entry {at} refers to destination {}", entry.dest)));
                    }
                    Ok(entry)
                })
                .collect(),
        };
        let lists = services.iter().map(list).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { heads, services, lists, dests })
    }

    /// The slot in force of the service `id`, if it exists.
    pub(crate) fn slot(&self, id: ServiceId) -> Option<&ServiceSlot> {
        present(self.services.get(id as usize)?, self.heads.generation)
    }

    /// The ids of the services that exist, in the order in which they were added.
    pub(crate) fn order(&self) -> Vec<ServiceId> {
        let mut ids: Vec<(u32, ServiceId)> =
            (0..self.heads.services_used).filter_map(|id| Some((self.slot(id)?.order, id))).collect();
        ids.sort_unstable();
        ids.into_iter().map(|(_, id)| id).collect()
    }

    /// The destination record that a list entry refers to.
    pub(crate) fn dest(&self, id: DestId) -> Result<&DestRecord, Error> {
        self.dests.get(id as usize).ok_or_else(|| damaged(format_args!("destination {id} does not exist")))
    }

    /// The timeouts in force.
    pub(crate) fn timeouts(&self) -> abi::Timeouts {
        let slots = &self.heads.timeouts;
        let active = abi::active([slots[0].generation, slots[1].generation], self.heads.generation);
        slots[active.unwrap_or(0)]
    }

    /// The table that packets see. `sched` is what [`Store::sched`] gives.
    pub(crate) fn table(&self, sched: &[(u32, SchedState)]) -> Result<Table, Error> {
        let timeouts = self.timeouts();
        let services = self.order().into_iter().map(|id| self.service(id, sched)).collect::<Result<_, _>>()?;
        let timeouts = Timeouts {
            tcp: timeouts.tcp[states::ESTABLISHED],
            tcp_fin: timeouts.tcp[states::FIN_WAIT],
            udp: timeouts.udp,
        };
        Ok(Table { services, timeouts })
    }

    fn service(&self, id: ServiceId, sched: &[(u32, SchedState)]) -> Result<IntentService, Error> {
        let record = &self.services[id as usize];
        let slot = self.slot(id).ok_or_else(|| damaged(format_args!("service {id} does not exist")))?;
        let kept = sched.get(id as usize).copied().unwrap_or((0, SchedState::START));
        let dests = self.lists[id as usize].iter().map(|entry| self.intent_dest(entry)).collect::<Result<_, _>>()?;
        Ok(IntentService {
            key: record.key,
            sched: sched::Kind::from_raw(slot.sched)
                .ok_or_else(|| damaged(format_args!("service {id} has scheduler {}", slot.sched)))?,
            flags: slot.flags,
            persist_secs: slot.persist_secs,
            netmask: slot.netmask,
            engine: (slot.engine == ENGINE_SIP).then_some(Engine::Sip),
            sched_state: rvs_core::tables::sched_state(kept.0, kept.1, slot),
            dests,
        })
    }

    fn intent_dest(&self, entry: &ListEntry) -> Result<Dest, Error> {
        let record = self.dest(entry.dest)?;
        let bad = |what: &str| damaged(format_args!("destination {} has a wrong {what}", entry.dest));
        Ok(Dest {
            addr: record.addr,
            family: Family::from_raw(record.family).ok_or_else(|| bad("family"))?,
            port: record.port,
            forward: u8::try_from(entry.configured)
                .ok()
                .and_then(Forward::from_raw)
                .ok_or_else(|| bad("forwarding method"))?,
            weight: entry.weight,
            last_weight: entry.last_weight,
            u_threshold: entry.u_threshold,
            l_threshold: entry.l_threshold,
            tunnel: Tunnel {
                kind: match entry.tun_type {
                    0 => TunnelKind::Ipip,
                    1 => TunnelKind::Gue,
                    2 => TunnelKind::Gre,
                    _ => return Err(bad("tunnel type")),
                },
                port: entry.tun_port,
                flags: entry.tun_flags,
            },
        })
    }
}

/// The number of the persistence engine `sip` in a slot.
pub(crate) const ENGINE_SIP: u32 = 1;

/// Indexes into [`abi::Timeouts::tcp`] that `ipvsadm --set` changes.
pub(crate) mod states {
    /// Established.
    pub(crate) const ESTABLISHED: usize = 1;
    /// FIN seen.
    pub(crate) const FIN_WAIT: usize = 4;
}
