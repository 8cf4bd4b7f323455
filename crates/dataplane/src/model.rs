//! A data plane in memory: no packets, the same edits and listings.
//!
//! Stands behind everything above the kernel in tests, and behind read-only commands in a namespace that has no director yet.

use crate::{Dataplane, Error, UpdateError};
use rvs_core::abi::{Counters, ServiceKey};
use rvs_intent::{
    Capabilities, Connection, Dest, Edit, ListedDest, ListedService, Listing, LocalNet, NoInterfaces, Rates, Refusal,
    Rules, Service, Table, Totals,
};

/// Hash buckets that IPVS has by default: `size=` in ipvsadm's banner.
pub const DEFAULT_TABLE_SIZE: u32 = 4096;

/// A table and the rules that edits of it are judged by.
pub struct Model {
    table: Table,
    capabilities: Capabilities,
    net: Box<dyn LocalNet>,
    connections: Vec<Connection>,
}

impl Default for Model {
    fn default() -> Self {
        Self::new(Capabilities::THIS_VERSION, Box::new(NoInterfaces))
    }
}

impl Model {
    /// An empty table of a director with these capabilities, on a host with these interfaces.
    pub fn new(capabilities: Capabilities, net: Box<dyn LocalNet>) -> Self {
        Self { table: Table::default(), capabilities, net, connections: Vec::new() }
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

fn listed_dest(dest: &Dest) -> ListedDest {
    let (counters, rates) = (Counters::default(), Rates::default());
    ListedDest { dest: dest.clone(), active: 0, inactive: 0, persist: 0, counters, rates }
}

fn listed_service(service: &Service) -> ListedService {
    ListedService {
        service: Service { dests: Vec::new(), ..service.clone() },
        counters: Counters::default(),
        rates: Rates::default(),
        dests: service.dests.iter().map(listed_dest).collect(),
    }
}

impl Dataplane for Model {
    fn update(&mut self, edits: &[Edit]) -> Result<(), UpdateError> {
        let rules = Rules { capabilities: self.capabilities, net: self.net.as_ref() };
        self.table.apply_all(edits, &rules).map_err(|(index, refusal)| UpdateError::Refused { index, refusal })
    }

    fn listing(&mut self) -> Result<Listing, Error> {
        Ok(Listing {
            services: self.table.services.iter().map(listed_service).collect(),
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
