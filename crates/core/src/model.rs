//! Tables in memory, and a director made of them: the same decisions without a kernel. For tests, simulation and the
//! comparison with the eBPF programs.

use crate::abi::{
    Bucket, Conn, ConnId, Control, Counters, Dest, DestId, DestState, Forward, ListEntry, SchedState, Service,
    ServiceId, ServiceKey, ServiceSlot, Timeouts,
};
use crate::answer::{self, Answer};
use crate::begin::Stages;
use crate::conn::{life, tcp, udp};
use crate::flow::{Flow, L3, classify};
use crate::plan::Plan;
use crate::sched::{self, Candidate, Candidates, Kind, Visitor, Walk};
use crate::service::Found;
use crate::tables::{Count, Tables, sched_state};
use crate::verdict::{Outcome, Reason};
use crate::{decide, rewrite};
use core::cell::{Cell, RefCell};
use rvs_wire::eth::{self, Eth};
use rvs_wire::ipv4::Ipv4;
use rvs_wire::{Addr, checksum};
use std::collections::BTreeMap;
use std::vec::Vec;
use zerocopy::{FromBytes, IntoBytes};

/// Everything a director knows, in vectors.
#[derive(Debug)]
pub struct Model {
    /// The clock, nanoseconds.
    pub now: Cell<u64>,
    /// The root record.
    pub control: Control,
    /// Services.
    pub services: Vec<Service>,
    /// Lists of destinations.
    pub lists: Vec<ListEntry>,
    /// Destinations.
    pub dests: Vec<Dest>,
    /// Connections.
    pub conns: Vec<Conn>,
    /// Their hash table.
    pub buckets: Vec<Bucket>,
    /// Packet counters by service and by destination.
    pub counters: RefCell<(BTreeMap<ServiceId, Counters>, BTreeMap<DestId, Counters>)>,
    /// MTU of every way out.
    pub mtu: u32,
    /// Seed of the hash.
    pub seed: u64,
    free: RefCell<Vec<ConnId>>,
    index: BTreeMap<[u8; 20], ServiceId>,
    sched: RefCell<BTreeMap<ServiceId, (u32, SchedState)>>,
}

/// A destination of a service in a [`Model`].
#[derive(Clone, Copy, Debug)]
pub struct Server {
    /// Address.
    pub addr: Addr,
    /// Port, host order.
    pub port: u16,
    /// Weight.
    pub weight: i32,
    /// Forwarding method.
    pub forward: Forward,
    /// Upper threshold.
    pub u_threshold: u32,
    /// Lower threshold.
    pub l_threshold: u32,
}

impl Model {
    /// An empty director with room for so many connections.
    pub fn new(connections: usize) -> Self {
        let buckets = connections.next_power_of_two().max(64);
        let control = Control { abi: crate::abi::ABI_VERSION, prepared: 1, ..Control::default() };
        control.generation.set(1);
        let mut control = control;
        control.timeouts[0] = Timeouts { generation: 1, tcp: tcp::TIMEOUTS, udp: udp::TIMEOUT, pad: [0; 3] };
        Self {
            now: Cell::new(1_000_000_000_000),
            control,
            services: Vec::new(),
            lists: Vec::new(),
            dests: Vec::new(),
            conns: (0..connections).map(|_| Conn::default()).collect(),
            buckets: (0..buckets).map(|_| Bucket::default()).collect(),
            counters: RefCell::default(),
            mtu: 1500,
            seed: 0x1234_5678_9abc_def0,
            free: RefCell::new((0..connections as u32).rev().collect()),
            index: BTreeMap::new(),
            sched: RefCell::default(),
        }
    }

    /// Adds a service with all its servers, given in the order of adding.
    pub fn add_service(&mut self, key: ServiceKey, kind: Kind, flags: u16, persist_secs: u32, servers: &[Server]) {
        let id = self.services.len() as u32;
        let first = self.lists.len() as u32;
        let mut state = kind.changed(SchedState::START, core::iter::empty());
        let mut weights = Vec::new();
        let mut entries = Vec::new();
        for server in servers {
            let dest = self.dests.len() as u32;
            self.dests.push(Dest {
                addr: server.addr,
                port: rvs_wire::Be16::new(server.port),
                family: key.family,
                state: Cell::new(DestState::Live as u8),
                service: id,
                hop_source: Addr::v4(rvs_wire::Be32::new(0x0a00_0201)),
                u_threshold: Cell::new(server.u_threshold),
                l_threshold: Cell::new(server.l_threshold),
                ..Dest::default()
            });
            entries.insert(
                0,
                ListEntry {
                    dest,
                    weight: server.weight,
                    forward: server.forward as u8,
                    u_threshold: server.u_threshold,
                    l_threshold: server.l_threshold,
                    last_weight: server.weight,
                    ..ListEntry::default()
                },
            );
            weights.insert(0, server.weight);
            state = kind.changed(state, weights.iter().copied());
        }
        for (i, entry) in entries.iter().enumerate() {
            self.dests[entry.dest as usize].entry.set(first + i as u32);
        }
        self.lists.extend(entries);
        let slot = ServiceSlot {
            generation: 1,
            present: 1,
            sched: kind as u8,
            flags,
            first,
            count: servers.len() as u32,
            persist_secs,
            sched_version: 1,
            sched_start: state,
            netmask: Addr::v6([u32::MAX; 4]),
            ..ServiceSlot::default()
        };
        let service = Service { key, slots: [slot, ServiceSlot::default()], ..Service::default() };
        self.services.push(service);
        self.index.insert(key_bytes(&key), id);
    }

    /// What becomes of a frame: the reason, and the frame as it leaves (forwarded or answered).
    pub fn packet(&self, frame: &[u8]) -> (Reason, Option<Vec<u8>>) {
        let mut flow = Flow::default();
        if let Err(reason) = classify(frame, &mut flow) {
            return (reason, None);
        }
        let mut plan = Plan::default();
        let reason = decide::decide(self, &flow, &mut plan);
        match reason.outcome() {
            Outcome::Forwarded => self.forward(frame, &flow, &plan, reason),
            Outcome::Answered => (reason, self.answer(frame, &flow, reason, 0, &plan)),
            Outcome::Passed | Outcome::Dropped => (reason, None),
        }
    }

    /// The sweeper's round over everything.
    pub fn sweep(&self) {
        for id in 0..self.conns.len() as u32 {
            life::sweep(self, id, self.now.get());
        }
    }

    fn forward(&self, frame: &[u8], flow: &Flow, plan: &Plan, reason: Reason) -> (Reason, Option<Vec<u8>>) {
        if !plan.fits(flow.len, self.mtu) {
            if flow.dont_fragment == 0 {
                return (Reason::TooBig, None);
            }
            let mtu = (self.mtu - plan.growth()) as u16;
            return (Reason::FragNeeded, self.answer(frame, flow, Reason::FragNeeded, mtu, plan));
        }
        let mut out = frame.to_vec();
        let done = if plan.is_translation(flow) {
            rewrite::translate_icmp(&mut out[..], flow, plan)
        } else if plan.is_nat() {
            rewrite::nat(&mut out[..], flow, plan)
        } else {
            rewrite::hop(&mut out[..]).and_then(|inner| {
                if plan.is_tunnel() {
                    let source = self.dest(plan.dest)?.hop_source;
                    let outer = rewrite::tunnel_header(&inner, source, plan.addr);
                    out.splice(L3..L3, outer.as_bytes().iter().copied());
                }
                Some(())
            })
        };
        if done.is_some() { (reason, Some(out)) } else { (Reason::RewriteFailed, None) }
    }

    fn answer(&self, frame: &[u8], flow: &Flow, reason: Reason, mtu: u16, plan: &Plan) -> Option<Vec<u8>> {
        let answer = Answer::for_reason(reason, mtu)?;
        let mut about = Ipv4::read_from_prefix(frame.get(L3..)?).ok()?.0;
        if !answer::may_answer(Addr::v4(about.src)) {
            return None;
        }
        let source = if plan.outward != 0 { self.dest(plan.dest)?.hop_source } else { Addr::v4(about.dst) };
        if reason == Reason::FragNeeded {
            about = about.hop();
        }
        let mut quote = frame.get(L3..)?.to_vec();
        quote.truncate((flow.len as usize).min(answer::QUOTE_MAX));
        about.write_to_prefix(&mut quote).ok()?;
        let eth = Eth::read_from_prefix(frame).ok()?.0;
        let mut out = Eth { dst: eth.src, src: eth.dst, ethertype: eth::IPV4 }.as_bytes().to_vec();
        out.extend(answer::ip_header(&about, source, quote.len()).as_bytes());
        out.extend(answer.header(checksum::sum(&quote)).as_bytes());
        out.extend(quote);
        Some(out)
    }
}

fn key_bytes(key: &ServiceKey) -> [u8; 20] {
    let mut bytes = [0; 20];
    bytes.copy_from_slice(key.as_bytes());
    bytes
}

impl Tables for Model {
    fn now(&self) -> u64 {
        self.now.get()
    }

    fn control(&self) -> Option<&Control> {
        Some(&self.control)
    }

    fn hash_seed(&self) -> u64 {
        self.seed
    }

    fn bucket_mask(&self) -> u32 {
        self.buckets.len() as u32 - 1
    }

    fn bucket(&self, index: u32) -> Option<&Bucket> {
        self.buckets.get(index as usize)
    }

    fn lock(&self, bucket: &Bucket) {
        assert_eq!(bucket.lock.val.replace(1), 0, "one lock at a time");
    }

    fn unlock(&self, bucket: &Bucket) {
        assert_eq!(bucket.lock.val.replace(0), 1, "unlocked what was locked");
    }

    fn conn(&self, id: ConnId) -> Option<&Conn> {
        self.conns.get(id as usize)
    }

    fn alloc_conn(&self) -> Option<ConnId> {
        self.free.borrow_mut().pop()
    }

    fn free_conn(&self, id: ConnId) -> bool {
        self.free.borrow_mut().push(id);
        true
    }

    fn service_id(&self, key: &ServiceKey) -> Option<ServiceId> {
        self.index.get(&key_bytes(key)).copied()
    }

    fn service(&self, id: ServiceId) -> Option<&Service> {
        self.services.get(id as usize)
    }

    fn slot_generation(&self, id: ServiceId, which: usize) -> u32 {
        self.services.get(id as usize).map_or(0, |service| service.slots[which].generation)
    }

    fn list_entry(&self, index: u32) -> Option<&ListEntry> {
        self.lists.get(index as usize)
    }

    fn dest(&self, id: DestId) -> Option<&Dest> {
        self.dests.get(id as usize)
    }

    fn schedule(&self, found: &Found<'_>) -> Option<u32> {
        let (id, slot) = (found.id, found.slot);
        let kind = Kind::from_raw(slot.sched)?;
        let mut kept = self.sched.borrow_mut();
        let (version, state) = kept.get(&id).copied().unwrap_or_default();
        let mut state = sched_state(version, state, slot);
        let index = sched::pick(kind, &List { model: self, slot }, &mut state)?;
        kept.insert(id, (slot.sched_version, state));
        Some(index)
    }

    fn add(&self, counter: &Cell<u32>, by: i32) {
        counter.set(counter.get().checked_add_signed(by).expect("a counter never goes below zero"));
    }

    fn count(&self, service: ServiceId, dest: DestId, what: Count) {
        let mut counters = self.counters.borrow_mut();
        let (services, dests) = &mut *counters;
        for counters in [services.entry(service).or_default(), dests.entry(dest).or_default()] {
            what.add_to(counters);
        }
    }

    fn can_send(&self, _plan: &Plan, _len: u32) -> bool {
        true
    }

    fn can_answer(&self) -> bool {
        true
    }
}

impl Stages for Model {}

/// A service's list, as its scheduler sees it.
struct List<'a> {
    model: &'a Model,
    slot: &'a ServiceSlot,
}

impl Candidates for List<'_> {
    fn count(&self) -> u32 {
        self.slot.count
    }

    fn walk<V: Visitor>(&self, start: u32, steps: u32, mut visitor: V) -> V {
        for step in 0..steps {
            let index = (start + step) % self.slot.count;
            let entry = self.model.lists[(self.slot.first + index) as usize];
            let dest = &self.model.dests[entry.dest as usize];
            if visitor.visit(index, candidate(&entry, dest)) == Walk::Break {
                break;
            }
        }
        visitor
    }
}

/// A destination as schedulers see it.
fn candidate(entry: &ListEntry, dest: &Dest) -> Candidate {
    Candidate {
        weight: entry.weight,
        overloaded: dest.overload.get() != 0,
        active: dest.active.get(),
        inactive: dest.inactive.get(),
    }
}
