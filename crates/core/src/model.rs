//! Tables in memory, and a director made of them: the same decisions without a kernel. For tests, simulation and the
//! comparison with the eBPF programs.

mod sent;

use crate::abi::{
    Addresses, BLOCK_ENTRIES, Block, Bucket, CacheKey, Conn, ConnId, Control, Counters, Dest, DestId, DestState, Fate,
    FlowKey, Forward, ListEntry, Locality, MarkRule, NO_PLACE, Probe, ProbeFlow, Remembered, Replicas, SHARDS,
    SchedState, Service, ServiceId, ServiceKey, ServiceSlot, Talk, Timeouts,
};
use crate::answer::{self, Answer};
use crate::begin::Stages;
use crate::conn::{life, table, tcp, udp};
use crate::flow::{Flow, L3, classify, piece};
use crate::plan::Plan;
use crate::sched::{self, Candidate, Candidates, Kind, Request, mh};
use crate::service::Found;
use crate::tables::{Count, Tables, sched_state};
use crate::tunnel::Inner;
use crate::verdict::{Outcome, Reason};
use crate::{begin, decide, fragment, ftp, here, mark, path_mtu, reset, rewrite, sip};
use core::cell::{Cell, RefCell};
use core::net::{Ipv4Addr, Ipv6Addr};
use rvs_wire::eth::{self, Eth};
use rvs_wire::ipv4::Ipv4;
use rvs_wire::ipv6::{Ipv6, MIN_MTU};
use rvs_wire::{Addr, Family, checksum};
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
    /// Rules that mark packets.
    pub mark_rules: Vec<MarkRule>,
    /// Which addresses services and servers have had.
    pub addresses: Addresses,
    /// The director's own addresses, one of each family: where tunnels begin.
    pub own: [Addr; 2],
    /// What is remembered of control connections of FTP.
    pub talks: RefCell<BTreeMap<ConnId, Talk>>,
    /// What persistence engines made templates for, by template.
    pub engine_data: RefCell<BTreeMap<ConnId, Vec<u8>>>,
    /// Health checks by the virtual service, by mark.
    pub probes: RefCell<BTreeMap<u32, Probe>>,
    probe_flows: RefCell<Vec<(FlowKey, ProbeFlow)>>,
    /// What an engine found in the packet at hand.
    found: RefCell<Vec<u8>>,
    called: Cell<u64>,
    fates: RefCell<Vec<(FlowKey, Fate)>>,
    held: RefCell<Vec<Vec<u8>>>,
    free: RefCell<Vec<ConnId>>,
    rings: Vec<Cell<u64>>,
    hands: Vec<Cell<u32>>,
    index: BTreeMap<[u8; 20], ServiceId>,
    sched: RefCell<BTreeMap<ServiceId, (u32, SchedState)>>,
    blocks: Vec<Block>,
    tables: Vec<u16>,
    localities: Vec<Locality>,
    replicas: Vec<Replicas>,
    known: RefCell<BTreeMap<CacheKey, usize>>,
    random: Cell<u32>,
}

/// Addresses that lblc and lblcr can remember in a [`Model`].
const ROOM: usize = 512;

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
    /// Address family, as [`rvs_wire::Family::raw`].
    pub family: u8,
    /// Tunnel type, flags and port.
    pub tunnel: (u8, u8, u16),
    /// Last weight that was not 0.
    pub last_weight: i32,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            addr: Addr::UNSPECIFIED,
            port: 80,
            weight: 1,
            forward: Forward::Masq,
            u_threshold: 0,
            l_threshold: 0,
            family: Family::V4.raw(),
            tunnel: (0, 0, 0),
            last_weight: 1,
        }
    }
}

impl Model {
    /// An empty director with room for so many connections.
    pub fn new(connections: usize) -> Self {
        let buckets = (connections.next_power_of_two() / 2).max(64);
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
            addresses: Addresses::default(),
            mark_rules: Vec::new(),
            own: [Ipv4Addr::new(10, 0, 2, 1).into(), Ipv6Addr::new(0xfd00, 2, 0, 0, 0, 0, 0, 1).into()],
            talks: RefCell::default(),
            engine_data: RefCell::default(),
            probes: RefCell::default(),
            probe_flows: RefCell::default(),
            found: RefCell::default(),
            called: Cell::new(0),
            fates: RefCell::default(),
            held: RefCell::default(),
            free: RefCell::new((0..connections as u32).rev().collect()),
            rings: (0..crate::abi::embryos(connections as u32).max(4 * SHARDS)).map(|_| Cell::new(0)).collect(),
            hands: (0..SHARDS).map(|_| Cell::new(0)).collect(),
            index: BTreeMap::new(),
            sched: RefCell::default(),
            blocks: Vec::new(),
            tables: Vec::new(),
            localities: (0..ROOM).map(|_| Locality::default()).collect(),
            replicas: (0..ROOM).map(|_| Replicas::default()).collect(),
            known: RefCell::default(),
            random: Cell::new(1),
        }
    }

    /// Adds a service with all its servers, given in the order of adding.
    pub fn add_service(&mut self, key: ServiceKey, kind: Kind, flags: u16, persist_secs: u32, servers: &[Server]) {
        let mut state = kind.changed(SchedState::START, core::iter::empty());
        let mut newest_first: Vec<Server> = Vec::new();
        for server in servers {
            newest_first.insert(0, Server { last_weight: server.weight, ..*server });
            state = kind.changed(state, newest_first.iter().map(|server| server.weight));
        }
        self.set_service(key, kind, (flags, persist_secs), state, &newest_first);
    }

    /// Adds a service, or exchanges what it is; servers that it had keep their counts. `servers` are given newest first,
    /// `state` is the scheduler's, both as the tools leave them. `(flags, persist_secs)` as in [`ServiceSlot`].
    pub fn set_service(
        &mut self,
        key: ServiceKey,
        kind: Kind,
        (flags, persist_secs): (u16, u32),
        state: SchedState,
        servers: &[Server],
    ) {
        let id = self.service_id(&key).unwrap_or(self.services.len() as u32);
        let old = self.service(id).map(|service| service.slots[0]).unwrap_or_default();
        let long = BLOCK_ENTRIES as usize;
        self.lists.resize_with(self.lists.len().next_multiple_of(long), ListEntry::default);
        let first = self.lists.len() as u32;
        for dest in self.dests.iter().filter(|dest| dest.service == id) {
            dest.state.set(DestState::Trash as u8);
        }
        let mut dests: Vec<_> = servers.iter().rev().map(|server| self.set_dest(id, server)).collect();
        dests.reverse();
        for (dest, server) in dests.into_iter().zip(servers) {
            self.dests[dest as usize].entry.set(self.lists.len() as u32);
            self.lists.push(ListEntry {
                dest,
                weight: server.weight,
                forward: server.forward as u8,
                tun_type: server.tunnel.0,
                tun_flags: server.tunnel.1 as u16,
                tun_port: rvs_wire::Be16::new(server.tunnel.2),
                u_threshold: server.u_threshold,
                l_threshold: server.l_threshold,
                last_weight: server.last_weight,
                // A server on this host is one that was configured for masquerading.
                configured: if server.forward == Forward::Local { 0 } else { server.forward as u16 },
                ..ListEntry::default()
            });
        }
        self.blocks.resize(self.lists.len().div_ceil(long), Block::default());
        let sched_version = old.sched_version + 1;
        let slot = ServiceSlot {
            generation: 1,
            present: 1,
            sched: kind as u8,
            flags,
            first,
            count: servers.len() as u32,
            persist_secs,
            sched_version,
            sched_start: state,
            netmask: Addr::v6([u32::MAX; 4]),
            table: self.fill_table(kind, servers),
            attached: if old.sched == kind as u8 { old.attached } else { sched_version },
            ..ServiceSlot::default()
        };
        if key.proto != 0 {
            self.addresses.add(key.addr);
        }
        let service = Service { key, slots: [slot, ServiceSlot::default()], ..Service::default() };
        match self.services.get_mut(id as usize) {
            Some(place) => *place = service,
            None => self.services.push(service),
        }
        self.index.insert(key_bytes(&key), id);
    }

    /// The record of a server: the one that it had, or a new one.
    fn set_dest(&mut self, service: ServiceId, server: &Server) -> DestId {
        let is_same = |dest: &Dest| (dest.service, dest.addr, dest.port.host()) == (service, server.addr, server.port);
        if let Some(id) = self.dests.iter().position(is_same) {
            let dest = &self.dests[id];
            dest.state.set(DestState::Live as u8);
            dest.u_threshold.set(server.u_threshold);
            dest.l_threshold.set(server.l_threshold);
            return id as DestId;
        }
        self.addresses.add(server.addr);
        self.dests.push(Dest {
            addr: server.addr,
            port: rvs_wire::Be16::new(server.port),
            family: server.family,
            state: Cell::new(DestState::Live as u8),
            service,
            serial: 1,
            hop_source: self.own[(server.family != 2) as usize],
            u_threshold: Cell::new(server.u_threshold),
            l_threshold: Cell::new(server.l_threshold),
            ..Dest::default()
        });
        self.dests.len() as DestId - 1
    }

    fn fill_table(&mut self, kind: Kind, servers: &[Server]) -> u32 {
        let row = self.tables.len();
        self.tables.resize(row + kind.table_len(), NO_PLACE);
        let one = |server: &Server| {
            let port = rvs_wire::Be16::new(server.port);
            (server.weight, mh::Claimant { addr: server.addr, port, last_weight: server.last_weight })
        };
        let mut claims = std::vec![mh::Claim::default(); servers.len()];
        kind.fill_table(servers.iter().map(one), &mut claims, &mut self.tables[row..]);
        row as u32
    }

    /// Where the scheduler of a service stands now.
    pub fn sched_state(&self, key: &ServiceKey) -> Option<SchedState> {
        let id = self.service_id(key)?;
        let (version, state) = self.sched.borrow().get(&id).copied().unwrap_or_default();
        Some(sched_state(version, state, &self.service(id)?.slots[0]))
    }

    /// Active and inactive connections of a service's servers, newest first.
    pub fn counts(&self, key: &ServiceKey) -> Vec<(Addr, u32, u32)> {
        let Some(slot) = self.service_id(key).and_then(|id| self.service(id)).map(|service| service.slots[0]) else {
            return Vec::new();
        };
        let entries = &self.lists[slot.first as usize..][..slot.count as usize];
        let dests = entries.iter().map(|entry| &self.dests[entry.dest as usize]);
        dests.map(|dest| (dest.addr, dest.active.get(), dest.inactive.get())).collect()
    }

    /// What becomes of a frame: the reason, and the frame as it leaves (forwarded or answered).
    pub fn packet(&self, frame: &[u8]) -> (Reason, Option<Vec<u8>>) {
        self.marked(frame, 0)
    }

    /// The same for a frame that comes with a firewall mark.
    pub fn marked(&self, frame: &[u8], mark: u32) -> (Reason, Option<Vec<u8>>) {
        let mut flow = Flow { mark, ..Flow::default() };
        let mut plan = Plan::default();
        let reason = match classify(frame, &mut flow) {
            Ok(()) => match decide::decide(self, &flow, &mut plan) {
                // Nothing is left to anybody else here but what an engine must look into.
                Reason::Deferred => {
                    self.look(frame, &mut flow);
                    match decide::decide(self, &flow, &mut plan) {
                        Reason::Deferred => match begin::call_out(self, &mut flow, &mut plan) {
                            Reason::LostRace => decide::decide(self, &flow, &mut plan),
                            reason => reason,
                        },
                        reason => reason,
                    }
                }
                reason => reason,
            },
            Err(reason) => reason,
        };
        let unrelated = reason == Reason::IcmpUnrelated && flow.is_icmp();
        let reason = if unrelated { path_mtu::learn(frame, self, &flow) } else { reason };
        let (reason, out) = match reason.outcome() {
            Outcome::Forwarded => {
                let mut frame = frame.to_vec();
                match self.tend(&mut frame, &mut flow, &plan) {
                    Ok(()) => self.forward(&frame, &flow, &plan, reason),
                    Err(reason) => (reason, None),
                }
            }
            Outcome::Answered => (reason, self.answer(frame, &flow, reason, 0, &plan)),
            Outcome::Passed
                if reason == Reason::LocalNode && plan.here != 0 && !here::expect_answers(self, &flow, &plan) =>
            {
                (Reason::TableFull, None)
            }
            Outcome::Passed if reason == Reason::ProbeIn => (reason, self.translated(frame, &flow, &plan)),
            Outcome::Passed if reason == Reason::LocalNode && here::is_readdressed(&flow, &plan) => {
                let plan = Plan { forward: Forward::Masq as u8, ..plan };
                (reason, self.translated(frame, &flow, &plan))
            }
            Outcome::Passed | Outcome::Dropped => (reason, None),
            Outcome::Held => {
                self.held.borrow_mut().push(frame.to_vec());
                (reason, None)
            }
        };
        if fragment::is_first(&flow) {
            let fate = fragment::fate(self, &plan, reason);
            self.fates.borrow_mut().push((fragment::key(&flow), fate));
        }
        (reason, out)
    }

    /// What becomes of the fragments that were held, once more: those whose first one has come by now go on.
    pub fn release(&self) -> Vec<(Reason, Option<Vec<u8>>)> {
        let held = self.held.take();
        held.iter().map(|frame| self.packet(frame)).collect()
    }

    /// The sweeper's round over everything.
    pub fn sweep(&self) {
        for id in 0..self.conns.len() as u32 {
            life::sweep(self, id, self.now.get());
        }
        let free = self.free.borrow().len() as u32;
        self.control.defence.set(self.control.settings().defences(free));
        self.control.drop_rate.set(self.control.settings().drop_rate(free));
    }

    fn tend(&self, frame: &mut Vec<u8>, flow: &mut Flow, plan: &Plan) -> Result<(), Reason> {
        if !ftp::is_control(flow, plan) {
            return Ok(());
        }
        ftp::bytes::tend(self, &mut self.talks.borrow_mut(), frame, flow, plan)
    }

    /// Lets a persistence engine look into a datagram.
    fn look(&self, frame: &[u8], flow: &mut Flow) {
        let mut scan = sip::Scan::new(self.seed);
        let payload = &frame[flow.payload()..L3 + flow.len as usize];
        for (index, byte) in (0..sip::WINDOW).zip(payload) {
            if scan.byte(index, *byte) {
                break;
            }
        }
        let value = payload.get(scan.from as usize..(scan.from + scan.len) as usize);
        self.found.replace(value.unwrap_or_default().to_vec());
        self.called.set(scan.result());
        flow.tcp_flags = 1;
    }

    pub(crate) fn forward(&self, frame: &[u8], flow: &Flow, plan: &Plan, reason: Reason) -> (Reason, Option<Vec<u8>>) {
        let mtu = match self.dest(plan.dest) {
            Some(dest) if plan.is_tunnel() => path_mtu::towards(dest, self.mtu, self.now.get()),
            _ => self.mtu,
        };
        if !plan.fits(flow.len, mtu) {
            if flow.is_v6() && flow.len <= MIN_MTU as u32 {
                return (Reason::TunnelNarrow, None);
            }
            let keeps_df = self.control.settings().pmtu_disc != 0;
            if flow.dont_fragment == 0 || (plan.is_tunnel() && !flow.is_v6() && !keeps_df) {
                let can_be_cut = frame[L3] == 0x45;
                return (if can_be_cut { Reason::Cut } else { Reason::TooBig }, None);
            }
            if flow.is_icmp() || flow.piece == piece::LATER {
                return (Reason::TooBig, None);
            }
            let mtu = (mtu - plan.growth()) as u16;
            return (Reason::FragNeeded, self.answer(frame, flow, Reason::FragNeeded, mtu, plan));
        }
        let mut out = frame.to_vec();
        let done = if plan.is_translation(flow) {
            rewrite::translate_icmp(&mut out[..], flow, plan)
        } else if plan.is_nat() {
            rewrite::nat(&mut out[..], flow, plan)
        } else {
            rewrite::hop(&mut out[..], flow)
                .and_then(|inner| if plan.is_tunnel() { self.encapsulate(&mut out, &inner, plan) } else { Some(()) })
        };
        if done.is_some() { (reason, Some(out)) } else { (Reason::RewriteFailed, None) }
    }

    fn encapsulate(&self, frame: &mut Vec<u8>, inner: &Inner, plan: &Plan) -> Option<()> {
        let keeps_df = self.control.settings().pmtu_disc != 0;
        let inner = &Inner { dont_fragment: inner.dont_fragment && keeps_df, ..*inner };
        let (tunnel, server) = (plan.tunnel(), plan.addr);
        let source = self.dest(plan.dest)?.hop_source;
        let sum = checksum::sum(&frame[L3..L3 + inner.len as usize]);
        frame.splice(L3..L3, core::iter::repeat_n(0, tunnel.growth() as usize));
        rewrite::outer(&mut frame[..], &tunnel, inner, (source, server), tunnel.is_summed().then_some(sum))?;
        let ethertype = if plan.family == Family::V4.raw() { eth::IPV4 } else { eth::IPV6 };
        frame[12..14].copy_from_slice(ethertype.as_bytes());
        Some(())
    }

    /// Purges the connections of a destination; how many.
    pub fn purge(&self, dest: DestId) -> usize {
        (0..self.conns.len() as u32).filter(|id| life::purge(self, *id, dest, self.now.get())).count()
    }

    fn reset(&self, frame: &[u8], flow: &Flow) -> Option<Vec<u8>> {
        let mut out = frame.get(..reset::frame_len(flow)?)?.to_vec();
        reset::write(&mut out[..], flow, false)?;
        let eth = Eth::read_from_prefix(frame).ok()?.0;
        Eth { dst: eth.src, src: eth.dst, ..eth }.write_to_prefix(&mut out).ok()?;
        Some(out)
    }

    fn answer(&self, frame: &[u8], flow: &Flow, reason: Reason, mtu: u16, plan: &Plan) -> Option<Vec<u8>> {
        if reason == Reason::Purged {
            return self.reset(frame, flow);
        }
        let v6 = frame.get(12..14)? == eth::IPV6.as_bytes();
        let answer = Answer::for_reason(reason, mtu, v6)?;
        let eth = Eth::read_from_prefix(frame).ok()?.0;
        let mut out = Eth { dst: eth.src, src: eth.dst, ethertype: eth.ethertype }.as_bytes().to_vec();
        let mut quote = frame.get(L3..)?.to_vec();
        if v6 {
            let mut about = Ipv6::read_from_prefix(&quote).ok()?.0;
            if reason == Reason::FragNeeded {
                about = about.hop();
            }
            let source = if plan.outward != 0 { self.own[1] } else { about.dst };
            quote.truncate((flow.len as usize).min(answer::QUOTE_MAX6));
            about.write_to_prefix(&mut quote).ok()?;
            let ip = answer::ip_header6(about.src, source, quote.len());
            out.extend(ip.as_bytes());
            out.extend(answer.header6(&ip, checksum::sum(&quote)).as_bytes());
        } else {
            let mut about = Ipv4::read_from_prefix(&quote).ok()?.0;
            let source = if plan.outward != 0 { self.own[0] } else { Addr::v4(about.dst) };
            if reason == Reason::FragNeeded {
                about = about.hop();
            }
            quote.truncate((flow.len as usize).min(answer::QUOTE_MAX));
            about.write_to_prefix(&mut quote).ok()?;
            out.extend(answer::ip_header(&about, source, quote.len()).as_bytes());
            out.extend(answer.header(checksum::sum(&quote)).as_bytes());
        }
        out.extend(quote);
        answer::may_answer(flow.key.src, v6).then_some(out)
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

    fn seed(&self) -> u64 {
        self.seed
    }

    fn secret(&self, index: usize) -> u64 {
        table::secrets(self.seed)[index]
    }

    fn addresses(&self) -> Option<&Addresses> {
        Some(&self.addresses)
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

    fn ring_size(&self) -> u32 {
        self.rings.len() as u32 / SHARDS
    }

    fn ring_hand(&self, ring: u32) -> Option<u32> {
        Some(self.hands.get(ring as usize)?.get())
    }

    fn move_hand(&self, ring: u32, from: u32) -> bool {
        self.hands.get(ring as usize).is_some_and(|hand| hand.replace(from.wrapping_add(1)) == from)
    }

    fn ring_place(&self, ring: u32, at: u32) -> Option<&Cell<u64>> {
        let size = self.ring_size();
        self.rings.get((ring * size + at % size) as usize)
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

    fn block(&self, index: u32) -> Option<&Block> {
        self.blocks.get(index as usize)
    }

    fn schedule(&self, found: &Found<'_>, key: &FlowKey) -> Option<u32> {
        let (id, slot) = (found.id, found.slot);
        let kind = Kind::from_raw(slot.sched)?;
        let (version, state) = self.sched.borrow().get(&id).copied().unwrap_or_default();
        let mut state = sched_state(version, state, slot);
        let request = Request { key, flags: slot.flags };
        let index = sched::pick(kind, &List { model: self, service: id, slot }, &request, &mut state)?;
        self.sched.borrow_mut().insert(id, (slot.sched_version, state));
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

    fn masqueraded_server(&self, from: &FlowKey, count: u32, engine: bool) -> Option<DestId> {
        let count = if count == 0 { self.dests.len() } else { count as usize };
        let is_it = |dest: &Dest| {
            let entry = &self.lists[dest.entry.get() as usize];
            let owner = &self.services[dest.service as usize].key;
            begin::is_masqueraded_source(dest, entry, owner, from) && (!engine || begin::has_engine(self, dest))
        };
        self.dests.iter().take(count).position(is_it).map(|id| id as DestId)
    }

    fn probe_flow(&self, key: &FlowKey) -> Option<ProbeFlow> {
        self.probe_flows.borrow().iter().rev().find(|(k, _)| k == key).map(|(_, of)| *of)
    }

    fn fate(&self, key: &FlowKey) -> Option<Fate> {
        self.fates.borrow().iter().rev().find(|(k, _)| k == key).map(|(_, fate)| *fate)
    }

    fn call(&self) -> u64 {
        self.called.get()
    }

    fn keep_engine_data(&self, template: ConnId) {
        self.engine_data.borrow_mut().insert(template, self.found.borrow().clone());
    }

    fn mark_by_rules(&self, key: &FlowKey, first: u32, count: u32) -> u32 {
        self.mark_rules
            .iter()
            .skip(first as usize)
            .take(count as usize)
            .find(|rule| mark::matches(rule, key))
            .map_or(0, |rule| rule.mark)
    }
}

impl Stages for Model {}

/// A service's list, as its scheduler sees it.
struct List<'a> {
    model: &'a Model,
    service: ServiceId,
    slot: &'a ServiceSlot,
}

impl List<'_> {
    fn cache_key(&self, request: &Request<'_>) -> CacheKey {
        CacheKey { service: self.service, attached: self.slot.attached, addr: request.key.dst.words() }
    }

    fn known(&self, request: &Request<'_>) -> Option<usize> {
        self.model.known.borrow().get(&self.cache_key(request)).copied()
    }

    /// A place for a new address; `None`: there is no room.
    fn learn(&self, request: &Request<'_>) -> Option<usize> {
        let mut known = self.model.known.borrow_mut();
        let at = known.len();
        (at < ROOM).then(|| *known.entry(self.cache_key(request)).or_insert(at))
    }
}

impl Candidates for List<'_> {
    fn count(&self) -> u32 {
        self.slot.count
    }

    fn candidate(&self, index: u32) -> Option<Candidate> {
        let entry = self.model.lists.get((self.slot.first + index) as usize)?;
        Some(Candidate::of(entry.weight, self.model.dests.get(entry.dest as usize)?))
    }

    fn place(&self, place: u32) -> Option<u32> {
        let index = *self.model.tables.get((self.slot.table + place) as usize)?;
        (index != NO_PLACE).then_some(index.into())
    }

    fn random(&self) -> u32 {
        // Marsaglia's xorshift.
        let mut x = self.model.random.get();
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        self.model.random.set(x);
        x
    }

    fn first(&self) -> u32 {
        self.slot.first
    }

    fn block(&self, index: u32) -> Option<&Block> {
        let long = self.slot.count > BLOCK_ENTRIES;
        self.model.blocks.get(((self.slot.first + index) / BLOCK_ENTRIES) as usize).filter(|_| long)
    }

    fn version(&self) -> u32 {
        self.slot.sched_version
    }

    fn add(&self, counter: &Cell<u32>) {
        counter.set(counter.get().wrapping_add(1));
    }

    fn now(&self) -> u64 {
        self.model.now.get()
    }

    fn server(&self, index: u32) -> Option<Remembered> {
        let id = self.model.lists.get((self.slot.first + index) as usize)?.dest;
        Some(sched::remembered(id, self.model.dests.get(id as usize)?))
    }

    fn index_of(&self, server: Remembered) -> Option<u32> {
        let dest = self.model.dests.get(server as u32 as usize)?;
        sched::index_in(dest, server, self.slot.first, self.slot.count)
    }

    fn settled(&self) -> bool {
        true
    }

    fn locality(&self, request: &Request<'_>) -> Option<&Locality> {
        self.model.localities.get(self.known(request)?)
    }

    fn add_locality(&self, request: &Request<'_>, server: Remembered) {
        if let Some(at) = self.learn(request) {
            self.model.localities[at].last_use.set(self.now());
            self.model.localities[at].server.set(server);
        }
    }

    fn replicas(&self, request: &Request<'_>) -> Option<&Replicas> {
        self.model.replicas.get(self.known(request)?)
    }

    fn add_replicas(&self, request: &Request<'_>, server: Remembered) {
        if let Some(at) = self.learn(request) {
            self.model.replicas[at].begin(self.now(), server);
        }
    }

    fn replica_hold(&self) -> u64 {
        u64::from(sched::cache::EXPIRATION) * 1_000_000_000
    }

    fn lock(&self, replicas: &Replicas) {
        assert_eq!(replicas.lock.val.replace(1), 0, "one lock at a time");
    }

    fn unlock(&self, replicas: &Replicas) {
        assert_eq!(replicas.lock.val.replace(0), 1, "unlocked what was locked");
    }
}
