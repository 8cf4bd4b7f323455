//! Whom the recorded edits and packets go to: the programs in the kernel, and the core in memory.

use crate::common;
use rvs_core::abi::ServiceKey;
use rvs_core::model::{Model, Server};
use rvs_dataplane::Dataplane;
use rvs_dataplane::kernel::{Director, Hook};
use rvs_dataplane::limits::Limits;
use rvs_intent::{Capabilities, Edit, NoInterfaces, Rules, Service, Table};
use rvs_wire::Addr;

const LIMITS: Limits = Limits { conns: 1 << 17, services: 1024, dests: 1 << 14 };

/// A director.
pub(crate) trait Subject {
    /// Its name in messages.
    fn name(&self) -> &'static str;

    /// Changes, made at once.
    fn update(&mut self, edits: &[Edit]);

    /// The frame as it leaves; `None` when it does not.
    fn packet(&mut self, frame: &[u8]) -> Option<Vec<u8>>;

    /// The same for a frame with a firewall mark.
    fn marked(&mut self, frame: &[u8], mark: u32) -> Option<Vec<u8>>;

    /// Address, weight, active and inactive connections of a service's servers.
    fn counts(&mut self, key: ServiceKey) -> Vec<(Addr, i32, u32, u32)>;
}

/// Both directors, with interfaces and routes for the recorded addresses.
pub(crate) fn subjects() -> [Box<dyn Subject>; 2] {
    for line in [
        "link add v0 type veth peer name v1",
        "link set lo up",
        "addr add 10.0.2.1/24 dev v0",
        "addr add 10.0.1.1/24 dev v0",
        "addr add fd00:2::1/64 dev v0 nodad",
        "addr add fd00:1::1/64 dev v0 nodad",
        "link set v0 up",
        "link set v1 up",
    ] {
        common::ip(line);
    }
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
    std::fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1").unwrap();
    [Box::new(Director::open_with(&LIMITS).unwrap()), Box::new(InMemory::new())]
}

impl Subject for Director {
    fn name(&self) -> &'static str {
        "the programs"
    }

    fn update(&mut self, edits: &[Edit]) {
        Dataplane::update(self, edits).unwrap();
    }

    fn packet(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        self.marked(frame, 0)
    }

    fn marked(&mut self, frame: &[u8], mark: u32) -> Option<Vec<u8>> {
        let run = self.test_run_marked(Hook::Tc, mark, &common::to_loopback(frame)).unwrap();
        (run.code == 7).then_some(run.packet)
    }

    fn counts(&mut self, key: ServiceKey) -> Vec<(Addr, i32, u32, u32)> {
        let listing = self.listing().unwrap();
        let service = listing.services.iter().find(|s| s.service.key == key).unwrap();
        service.dests.iter().map(|d| (d.dest.addr, d.dest.weight, d.active, d.inactive)).collect()
    }
}

/// The core in memory, with the table that its configuration comes from.
pub(crate) struct InMemory {
    table: Table,
    pub(crate) model: Model,
}

impl InMemory {
    pub(crate) fn new() -> Self {
        Self { table: Table::default(), model: Model::new(1 << 17) }
    }

    fn configure(&mut self, service: &Service) {
        let server = |dest: &rvs_intent::Dest| Server {
            addr: dest.addr,
            port: dest.port.host(),
            weight: dest.weight,
            forward: dest.forward,
            u_threshold: dest.u_threshold,
            l_threshold: dest.l_threshold,
            last_weight: dest.last_weight,
            family: dest.family.raw(),
            tunnel: (dest.tunnel.kind as u8, dest.tunnel.flags as u8, dest.tunnel.port.host()),
        };
        if service.key.proto == 0 {
            self.model.control.mark_services = 1;
        }
        let servers: Vec<_> = service.dests.iter().map(server).collect();
        let settings = (service.flags, service.persist_secs);
        self.model.set_service(service.key, service.sched, settings, service.sched_state, &servers);
    }
}

impl Subject for InMemory {
    fn name(&self) -> &'static str {
        "the core in memory"
    }

    fn update(&mut self, edits: &[Edit]) {
        // As the tools do: what the schedulers have come to is where they go on from.
        for service in &mut self.table.services {
            service.sched_state = self.model.sched_state(&service.key).unwrap();
        }
        let rules = Rules { capabilities: Capabilities::ALL_IPVS, net: &NoInterfaces };
        let old = self.table.clone();
        self.table.apply_all(edits, &rules).unwrap();
        for service in self.table.services.clone().iter().filter(|service| !old.services.contains(service)) {
            self.configure(service);
        }
    }

    fn packet(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        self.marked(frame, 0)
    }

    fn marked(&mut self, frame: &[u8], mark: u32) -> Option<Vec<u8>> {
        self.model.marked(frame, mark).1
    }

    fn counts(&mut self, key: ServiceKey) -> Vec<(Addr, i32, u32, u32)> {
        let weights = self.table.service(&key).unwrap().dests.iter().map(|dest| dest.weight);
        let counts = self.model.counts(&key).into_iter().zip(weights);
        counts.map(|((addr, active, inactive), weight)| (addr, weight, active, inactive)).collect()
    }
}
