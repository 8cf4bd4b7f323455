//! A data plane in memory: no packets, the same edits and listings.
//!
//! Stands behind everything above the kernel in tests, and behind read-only commands in a namespace that has no director yet.

use crate::{Dataplane, Error, UpdateError};
use rvs_core::abi::{Counters, ServiceKey};
use rvs_intent::{
    Capabilities, Connection, Daemon, DaemonRole, Dest, Edit, ListedDest, ListedService, Listing, LocalNet,
    NoInterfaces, Openings, Rates, Refusal, Rules, Service, Table, Totals,
};
use rvs_wire::{Addr, Be16};
use std::net::IpAddr;

/// Hash buckets that IPVS has by default: `size=` in ipvsadm's banner.
pub const DEFAULT_TABLE_SIZE: u32 = 4096;

/// A table and the rules that edits of it are judged by.
pub struct Model {
    table: Table,
    capabilities: Capabilities,
    net: Box<dyn LocalNet>,
    connections: Vec<Connection>,
    /// Interfaces that daemons can be started on; none: this version has no connection synchronisation.
    sync: Vec<String>,
    daemons: Vec<Daemon>,
}

/// Most bytes of a synchronisation message on an interface with an MTU of 1500: without the headers of IP and UDP.
const SYNC_MESSAGE: [u16; 2] = [1500 - 20 - 8, 1500 - 40 - 8];

impl Default for Model {
    fn default() -> Self {
        Self::new(Capabilities::THIS_VERSION, Box::new(NoInterfaces))
    }
}

impl Model {
    /// An empty table of a director with these capabilities, on a host with these interfaces.
    pub fn new(capabilities: Capabilities, net: Box<dyn LocalNet>) -> Self {
        let (connections, sync, daemons) = (Vec::new(), Vec::new(), Vec::new());
        Self { table: Table::default(), capabilities, net, connections, sync, daemons }
    }

    /// Lets daemons of the connection synchronisation be started on these interfaces.
    pub fn allow_sync(&mut self, interfaces: &[&str]) {
        self.sync = interfaces.iter().map(|name| (*name).to_owned()).collect();
    }

    /// The table as it is.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Replaces the connections that [`Dataplane::connections`] shows.
    pub fn set_connections(&mut self, connections: Vec<Connection>) {
        self.connections = connections;
    }
}

fn listed_dest(service: &ServiceKey, dest: &Dest, connections: &[Connection]) -> ListedDest {
    let (counters, rates) = (Counters::default(), Rates::default());
    let its = connections.iter().filter(|conn| conn.dest == (dest.addr, dest.port) && conn.virt.0 == { service.addr });
    let (mut active, mut inactive, mut persist) = (0, 0, 0);
    for conn in its {
        let count = match conn.state {
            _ if conn.template => &mut persist,
            "ESTABLISHED" | "SYN_RECV" => &mut active,
            _ => &mut inactive,
        };
        *count += 1;
    }
    ListedDest { dest: dest.clone(), active, inactive, persist, counters, rates, openings: Openings::default() }
}

fn listed_service(service: &Service, connections: &[Connection]) -> ListedService {
    ListedService {
        service: Service { dests: Vec::new(), ..service.clone() },
        counters: Counters::default(),
        rates: Rates::default(),
        dests: service.dests.iter().map(|dest| listed_dest(&service.key, dest, connections)).collect(),
    }
}

impl Dataplane for Model {
    fn update(&mut self, edits: &[Edit]) -> Result<(), UpdateError> {
        self.table = self.preview(edits)?;
        Ok(())
    }

    fn preview(&mut self, edits: &[Edit]) -> Result<Table, UpdateError> {
        let rules = Rules { capabilities: self.capabilities, net: self.net.as_ref() };
        let refused = |(index, refusal)| UpdateError::Refused { index, refusal };
        // As the kernel: messages of the daemons have no room for a server of the other family.
        let mixed = |edit: &Edit| match edit {
            Edit::AddDest(key, dest) => key.family != dest.family.raw(),
            _ => false,
        };
        if let Some(index) = edits.iter().position(mixed).filter(|_| !self.daemons.is_empty()) {
            return Err(refused((index, Refusal::Invalid)));
        }
        let mut table = self.table.clone();
        table.apply_all(edits, &rules).map_err(refused)?;
        Ok(table)
    }

    fn listing(&mut self) -> Result<Listing, Error> {
        Ok(Listing {
            services: self.table.services.iter().map(|service| listed_service(service, &self.connections)).collect(),
            timeouts: self.table.timeouts,
            conn_table_size: DEFAULT_TABLE_SIZE,
        })
    }

    fn connections(&mut self) -> Result<Vec<Connection>, Error> {
        Ok(self.connections.clone())
    }

    fn totals(&mut self) -> Result<Totals, Error> {
        let cpus = aya::util::nr_cpus()
            .map_err(|(context, source)| Error::Io { context: format!("counting CPUs: {context}"), source })?;
        Ok(Totals { per_cpu: vec![Counters::default(); cpus], ..Totals::default() })
    }

    fn zero(&mut self, service: Option<ServiceKey>) -> Result<(), UpdateError> {
        match service {
            Some(key) if self.table.service(&key).is_none() => {
                Err(UpdateError::Refused { index: 0, refusal: Refusal::NoService })
            }
            _ => Ok(()),
        }
    }

    fn purge(&mut self, service: &ServiceKey, addr: Addr, port: Be16) -> Result<u32, UpdateError> {
        let refused = |refusal| UpdateError::Refused { index: 0, refusal };
        let known = self.table.service(service).ok_or(refused(Refusal::NoService))?;
        let dest = known.dests.iter().find(|dest| dest.addr == addr && dest.port == port);
        dest.ok_or(refused(Refusal::NoDest))?;
        let before = self.connections.len();
        self.connections.retain(|conn| conn.dest != (addr, port) || conn.virt.0 != { service.addr });
        Ok(u32::try_from(before - self.connections.len()).unwrap_or(u32::MAX))
    }

    fn daemons(&mut self) -> Result<Vec<Daemon>, Error> {
        Ok(self.daemons.clone())
    }

    fn start_daemon(&mut self, daemon: &Daemon) -> Result<(), UpdateError> {
        let refused = |refusal| Err(UpdateError::Refused { index: 0, refusal });
        if self.sync.is_empty() {
            return refused(Refusal::Unsupported(crate::NO_SYNC.to_owned()));
        }
        let mixed = |service: &Service| service.dests.iter().any(|dest| dest.family.raw() != service.key.family);
        if self.table.services.iter().any(mixed) {
            return refused(Refusal::Invalid);
        }
        if self.daemons.iter().any(|running| running.role == daemon.role) {
            return refused(Refusal::DaemonRuns);
        }
        if !self.sync.contains(&daemon.interface) {
            return refused(Refusal::NoDevice);
        }
        let most = SYNC_MESSAGE[usize::from(matches!(daemon.group, IpAddr::V6(_)))];
        self.daemons.push(Daemon { maxlen: daemon.maxlen.or(Some(most)), ..daemon.clone() });
        self.daemons.sort_by_key(|daemon| daemon.role);
        Ok(())
    }

    fn stop_daemon(&mut self, role: DaemonRole) -> Result<(), UpdateError> {
        let at = self.daemons.iter().position(|daemon| daemon.role == role);
        let at = at.ok_or(UpdateError::Refused { index: 0, refusal: Refusal::NoDaemon })?;
        self.daemons.remove(at);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rvs_intent::{ServiceSettings, Timeouts};

    #[test]
    fn an_update_takes_place_as_a_whole_or_not_at_all() {
        let mut model = Model::default();
        let settings = ServiceSettings {
            key: ServiceKey { proto: 6, ..ServiceKey::default() },
            sched: "rr".into(),
            flags: 0,
            persist_secs: 0,
            netmask: Default::default(),
            engine: None,
        };
        let add = Edit::AddService(settings);
        let timeouts = Edit::SetTimeouts(Timeouts { tcp: 1, tcp_fin: 1, udp: 1 });
        match model.update(&[timeouts, add.clone(), add]) {
            Err(UpdateError::Refused { index: 2, refusal: Refusal::ServiceExists }) => {}
            other => panic!("{other:?}"),
        }
        assert_eq!(model.table(), &Table::default());
    }
}
