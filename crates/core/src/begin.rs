//! How a connection begins: a service, a persistence template or a scheduler's choice, a record, two entries in the table.

use crate::abi::{
    Conn, ConnId, Control, Dest, DestId, DestState, FlowKey, Forward, ListEntry, ServiceId, ServiceKey,
    TEMPLATE_FAMILY, conn_flags, flags,
};
use crate::conn::life::End;
use crate::conn::table::Entered;
use crate::conn::{Column, Direction, Hit, embryo, life, proto, table};
use crate::decide::{answer, forwarded};
use crate::flow::{Flow, piece};
use crate::ftp::{self, expect};
use crate::here;
use crate::plan::Plan;
use crate::probe;
use crate::service::{self, Found};
use crate::sip;
use crate::tables::{Count, Tables};
use crate::tunnel;
use crate::verdict::Reason;
use rvs_wire::ipv4::proto::{AH, ESP, TCP, UDP};
use rvs_wire::tcp::RST;
use rvs_wire::{Addr, Be16};

/// The large steps of a beginning, apart from each other because program stacks are small: the eBPF side puts each into a
/// function of its own, everybody else uses them as they are.
pub trait Stages: Tables + Sized {
    /// See [`find_template`].
    #[inline(always)]
    fn find_template(&self, flow: &Flow, found: &Found<'_>) -> Option<Choice> {
        find_template(self, flow, found)
    }

    /// See [`create_template`].
    #[inline(always)]
    fn create_template(&self, flow: &Flow, found: &Found<'_>, entry: u32, id: ConnId) -> bool {
        create_template(self, flow, found, entry, id)
    }

    /// See [`expect::meet`].
    #[inline(always)]
    fn meet(&self, flow: &Flow) -> Option<Result<ConnId, Reason>> {
        expect::meet(self, flow)
    }

    /// See [`create`].
    #[inline(always)]
    fn create(&self, flow: &Flow, service: ServiceId, choice: Choice, id: ConnId) -> Result<(), Reason> {
        create(self, flow, service, choice, id)
    }
}

/// A destination for a new connection.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// Its entry in the lists.
    pub entry: u32,
    /// The template that decided it, plus 1.
    pub control: u32,
}

/// Decides a packet that is of no connection.
#[inline(always)]
pub fn begin<T: Stages>(tables: &T, flow: &Flow, plan: &mut Plan) -> Reason {
    let Some(control) = tables.control() else { return Reason::NoConfig };
    if probe::are_on(control, tables.now()) && tables.probe_answered(flow, plan) {
        return if tables.can_answer() { Reason::ProbeIn } else { Reason::Deferred };
    }
    if flow.is_icmp() && (control.settings().schedule_icmp == 0 || !tables.can_answer()) {
        return Reason::IcmpUnrelated;
    }
    // AH and ESP only follow the IKE exchange they belong to.
    if matches!(flow.proto, AH | ESP) {
        return Reason::NotBalanced;
    }
    // Marks are not seen everywhere; and a packet at the end of its hops must not move a scheduler before it is left to TC.
    let expected = expect::may_be(tables, flow);
    if !tables.can_answer() && (service::has_marks(tables) || flow.ttl <= 1 || expected) {
        return Reason::Deferred;
    }
    if expected && flow.ttl > 1 {
        match tables.meet(flow) {
            Some(Ok(id)) => return first(tables, flow, plan, id),
            Some(Err(reason)) => return reason,
            None => {}
        }
    }
    let Some(found) = service::lookup(tables, flow) else {
        return if flow.is_icmp() { Reason::IcmpUnrelated } else { nobodys(tables, flow, control, plan) };
    };
    let opens = flow.is_icmp() || proto::opens(flow.proto, flow.tcp_flags, control.settings());
    if !opens || flow.key.sport == ftp::DATA {
        return Reason::NoConnection;
    }
    // Of the other ports of an FTP service's address, those of persistent clients are its own, all others the host's.
    let persistent = found.slot.flags & flags::PERSISTENT != 0;
    let other_port = found.port == ftp::CONTROL && flow.key.dport != ftp::CONTROL;
    // A datagram that is scheduled by itself must not move a scheduler before it is left to TC.
    let by_itself = found.slot.flags & flags::ONE_PACKET != 0;
    if !tables.can_answer() && (other_port || by_itself || found.slot.engine != 0) {
        return Reason::Deferred;
    }
    if other_port && !persistent {
        return Reason::NoService;
    }
    if persistent && found.slot.engine != 0 && !flow.is_icmp() {
        if flow.proto != UDP {
            return Reason::NoCallId;
        }
        if flow.tcp_flags == 0 {
            // The hook looks into the datagram, and asks again.
            return Reason::Deferred;
        }
        if tables.call() == sip::NONE {
            return Reason::NoCallId;
        }
    }
    if control.drops_next() {
        return Reason::Shed;
    }
    let choice = match choose(tables, flow, &found) {
        Ok(choice) => choice,
        Err(Reason::NoDestination) if other_port && tables.can_answer() => return Reason::NoService,
        // To a cache that is down: the client gets to the origin itself.
        Err(Reason::NoDestination) if found.mark != 0 && control.settings().cache_bypass != 0 => {
            return Reason::Bypass;
        }
        Err(reason) => return reason,
    };
    let Some(entry) = tables.list_entry(choice.entry) else { return Reason::ConfigRace };
    if flow.ttl <= 1 && entry.forward != Forward::Local as u8 {
        return if flow.is_icmp() { Reason::TtlExceededSilent } else { answer(tables, Reason::TtlExceeded) };
    }
    // A datagram in pieces gets a connection, so that the others find the way of the first.
    if flow.proto == UDP && found.slot.flags & flags::ONE_PACKET != 0 && flow.piece == piece::WHOLE {
        return one_packet(tables, flow, &found, entry, plan);
    }
    let state = first_state(tables, flow, entry.forward == Forward::Masq as u8);
    let id = match record(tables, flow, proto::is_embryonic(flow.key.proto, state)) {
        Ok(id) => id,
        Err(reason) => return reason,
    };
    if let Err(reason) = tables.create(flow, found.id, choice, id) {
        return reason;
    }
    if let Some(conn) = tables.conn(id) {
        tables.count(found.id, conn.dest.get(), Count::Conn);
    }
    first(tables, flow, plan, id)
}

/// A packet of no connection and for no service: the host's, unless it is a masqueraded real server's, which is told that its
/// connection is gone (`nat_icmp_send`).
#[inline(always)]
fn nobodys<T: Tables>(tables: &T, flow: &Flow, control: &Control, plan: &mut Plan) -> Reason {
    if control.engine_services != 0 && flow.proto == UDP {
        if !tables.can_answer() {
            return Reason::Deferred;
        }
        match calls(tables, flow, control, plan) {
            Reason::NoService => {}
            reason => return reason,
        }
    }
    let is_reset = flow.proto == TCP && flow.tcp_flags & RST != 0;
    if control.settings().nat_icmp_send == 0 || is_reset || !flow.has_ports() {
        return Reason::NoService;
    }
    if !tables.can_answer() {
        return Reason::Deferred;
    }
    match tables.masqueraded_server(&flow.key, control.dests_used, false) {
        Some(dest) => {
            // The answer comes from the director's own address.
            plan.outward = 1;
            plan.dest = dest;
            Reason::NoMaster
        }
        None => Reason::NoService,
    }
}

/// A datagram that may be a call which a masqueraded real server of a service with a persistence engine begins by itself:
/// [`Reason::NoService`] when it is not. Otherwise the hook has to do something first, and then to ask again: to look into the
/// datagram or, when it has looked, to [`call_out`].
#[inline(always)]
fn calls<T: Tables>(tables: &T, flow: &Flow, control: &Control, plan: &mut Plan) -> Reason {
    let Some(server) = tables.masqueraded_server(&flow.key, control.dests_used, true) else { return Reason::NoService };
    if flow.tcp_flags != 0 && tables.call() == sip::NONE {
        return Reason::NoService;
    }
    plan.dest = server;
    Reason::Deferred
}

/// Whether a destination is of a service with a persistence engine and a port, which calls of its own can come from.
#[inline(always)]
pub fn has_engine<T: Tables>(tables: &T, dest: &Dest) -> bool {
    service::now(tables, dest.service).is_some_and(|found| found.slot.engine != 0 && found.port != Be16::ZERO)
}

/// Begins the connection of a call that the real server `plan.dest` begins: it is the service's, as if the one who is called had
/// called it, and so is the call's template, so that what comes of it finds this server. [`Reason::LostRace`]: it is there now,
/// look again. The flow is what it was before, in the end: program stacks are small.
#[inline(always)]
pub fn call_out<T: Stages>(tables: &T, flow: &mut Flow, plan: &mut Plan) -> Reason {
    let server = plan.dest;
    let (Some(dest), Some((entry, _))) = (tables.dest(server), life::entry_of(tables, server)) else {
        return Reason::NoService;
    };
    let (Some(found), Some(owner)) = (service::now(tables, dest.service), tables.service(dest.service)) else {
        return Reason::NoService;
    };
    plan.next = flow.key.dst;
    plan.addr = owner.key.addr;
    plan.port = owner.key.port;
    plan.forward = Forward::Masq as u8;
    plan.outward = 1;
    plan.family = flow.key.family;
    plan.inside = flow.key.family;
    if flow.ttl <= 1 {
        return Reason::TtlExceeded;
    }
    let (from, from_port) = (flow.key.src, flow.key.sport);
    flow.key.src = flow.key.dst;
    flow.key.sport = flow.key.dport;
    flow.key.dst = owner.key.addr;
    flow.key.dport = owner.key.port;
    let reason = call_in(tables, flow, &found, entry, server);
    flow.key.dst = flow.key.src;
    flow.key.dport = flow.key.sport;
    flow.key.src = from;
    flow.key.sport = from_port;
    reason
}

/// The template and the connection of a call, whose flow is from the one who is called to the service, with this entry and its
/// server.
#[inline(always)]
fn call_in<T: Stages>(tables: &T, flow: &Flow, found: &Found<'_>, entry: u32, server: DestId) -> Reason {
    let known = tables.find_template(flow, found);
    let control = match known {
        Some(choice) if choice.entry == entry => choice.control,
        other => {
            // Of another server until now: the call goes on with this one.
            if let Some(other) = other
                && let Some(template) = tables.conn(other.control.wrapping_sub(1))
            {
                life::retire(tables, other.control.wrapping_sub(1), template);
            }
            let Some(id) = tables.alloc_conn() else { return Reason::TableFull };
            if !tables.create_template(flow, found, entry, id) {
                return Reason::TableFull;
            }
            id.wrapping_add(1)
        }
    };
    tables.count(found.id, server, Count::Conn);
    if found.slot.flags & flags::ONE_PACKET != 0 {
        tables.count(found.id, server, Count::Out(flow.len));
        return Reason::NatOut;
    }
    // The same two ends may have been in another call, with another server.
    if let Some(hit) = table::find(tables, &flow.key, table::hash(&flow.key, tables)) {
        life::expire(tables, hit.id, hit.conn, tables.now(), End::Now);
    }
    let Some(id) = tables.alloc_conn() else { return Reason::TableFull };
    match tables.create(flow, found.id, Choice { entry, control }, id) {
        Ok(()) => Reason::LostRace,
        Err(reason) => reason,
    }
}

/// Whether a destination is the masqueraded real server that a packet comes from.
#[inline(always)]
pub fn is_masqueraded_source(dest: &Dest, entry: &ListEntry, key: &ServiceKey, from: &FlowKey) -> bool {
    let same = dest.state.get() == DestState::Live as u8 && entry.forward == Forward::Masq as u8;
    let protocol = key.proto == from.proto || key.proto == 0;
    let port = dest.port == from.sport || dest.port == Be16::ZERO;
    same && protocol && port && dest.family == from.family && dest.addr == from.src
}

/// Sends on the first packet of a connection.
#[inline(always)]
fn first<T: Tables>(tables: &T, flow: &Flow, plan: &mut Plan, id: ConnId) -> Reason {
    let Some(conn) = tables.conn(id) else { return Reason::TableFull };
    plan.set(id, conn, Direction::In);
    if !tables.can_send(plan, flow.len) {
        // The connection exists now; the TC hook finds it and does (and counts) the rest.
        return Reason::Deferred;
    }
    tables.count(conn.service.get(), plan.dest, Count::In(flow.len));
    conn.in_pkts.set(conn.in_pkts.get().wrapping_add(1));
    forwarded(flow, plan)
}

/// One-packet scheduling: the packet goes to its destination, and nothing is kept of it. Answers are no business of ours: a
/// masqueraded one is not translated.
#[inline(always)]
fn one_packet<T: Tables>(tables: &T, flow: &Flow, found: &Found<'_>, entry: &ListEntry, plan: &mut Plan) -> Reason {
    let Some(dest) = tables.dest(entry.dest) else { return Reason::ConfigRace };
    plan.dest = entry.dest;
    plan.next = dest.addr;
    plan.addr = dest.addr;
    plan.port = if dest.port == Be16::ZERO { flow.key.dport } else { dest.port };
    plan.forward = entry.forward;
    plan.outward = 0;
    plan.family = dest.family;
    plan.inside = flow.key.family;
    plan.tun_type = entry.tun_type;
    // Of a datagram that is masqueraded they would mean something else.
    plan.tun_flags = if plan.is_nat() { 0 } else { entry.tun_flags as u8 };
    plan.tun_port = entry.tun_port;
    plan.tun_source = tunnel::source_port(&flow.key);
    let same_place = plan.addr == flow.key.dst && plan.port == flow.key.dport;
    plan.here = here::is_elsewhere(entry, same_place) as u8;
    if !tables.can_send(plan, flow.len) {
        // As if it had not been here: the TC hook schedules it anew.
        return Reason::Deferred;
    }
    tables.count(found.id, plan.dest, Count::Conn);
    tables.count(found.id, plan.dest, Count::In(flow.len));
    forwarded(flow, plan)
}

/// A template's destination, or the scheduler's.
#[inline(always)]
fn choose<T: Stages>(tables: &T, flow: &Flow, found: &Found<'_>) -> Result<Choice, Reason> {
    let persistent = found.slot.flags & flags::PERSISTENT != 0;
    if persistent && let Some(choice) = tables.find_template(flow, found) {
        return Ok(choice);
    }
    let index = tables.schedule(found, &flow.key);
    // That nobody was found may come of it, too.
    if !service::unchanged(tables, found) {
        return Err(Reason::ConfigRace);
    }
    let index = index.ok_or_else(|| answer(tables, Reason::NoDestination))?;
    let entry = found.slot.first.wrapping_add(index);
    if !persistent {
        return Ok(Choice { entry, control: 0 });
    }
    // A template is as credible as the packet that it is made for.
    let id = record(tables, flow, proto::is_embryonic(flow.proto, proto::NONE))?;
    if tables.create_template(flow, found, entry, id) {
        Ok(Choice { entry, control: id.wrapping_add(1) })
    } else {
        // Another CPU made it at the same time, or the table is full.
        tables.find_template(flow, found).ok_or(Reason::TableFull)
    }
}

/// A free record.
///
/// # Errors
/// There is none for a connection of this kind.
#[inline(always)]
fn record<T: Tables>(tables: &T, flow: &Flow, embryonic: bool) -> Result<ConnId, Reason> {
    if embryonic {
        embryo::take(tables, embryo::ring_of(&flow.key, tables.seed()))
    } else {
        tables.alloc_conn().ok_or(Reason::TableFull)
    }
}

/// Finds a client's template, and restarts its timer. One whose time is up (and that controls nothing) is ended; one whose
/// destination takes no more connections of its clients is retired.
#[inline(always)]
pub fn find_template<T: Tables>(tables: &T, flow: &Flow, found: &Found<'_>) -> Option<Choice> {
    let now = tables.now();
    let key = template_key(flow, found);
    let call = call(tables, found);
    let hit = table::find(tables, &key, template_hash(tables, &key, call))?;
    if hit.conn.rev_hash.get() != call {
        return None;
    }
    let over = life::is_expired(hit.conn, now) && hit.conn.controlled.get() == 0;
    if over && life::expire(tables, hit.id, hit.conn, now, End::TimeUp) {
        return None;
    }
    match template_entry(tables, hit.conn) {
        Some(entry) => {
            life::refresh(hit.conn, now, found.slot.persist_secs.wrapping_mul(1000));
            Some(Choice { entry, control: hit.id.wrapping_add(1) })
        }
        None => {
            life::retire(tables, hit.id, hit.conn);
            None
        }
    }
}

/// Under which key a client's template is kept: its network, no port, the service; for FTP and for services of all ports
/// without the service's port; for services by mark the mark and nothing else.
#[inline(always)]
pub fn template_key(flow: &Flow, found: &Found<'_>) -> FlowKey {
    if found.mark != 0 {
        return FlowKey {
            src: flow.key.src.masked(found.slot.netmask),
            dst: Addr::mark(found.mark),
            sport: Be16::ZERO,
            dport: Be16::ZERO,
            proto: 0,
            family: flow.key.family | TEMPLATE_FAMILY,
            pad: 0,
        };
    }
    let all_ports = found.port == Be16::ZERO || found.port == ftp::CONTROL;
    FlowKey {
        src: flow.key.src.masked(found.slot.netmask),
        dst: flow.key.dst,
        sport: Be16::ZERO,
        dport: if all_ports { Be16::ZERO } else { found.port },
        proto: flow.key.proto,
        family: flow.key.family | TEMPLATE_FAMILY,
        pad: 0,
    }
}

/// Under which hash: that of the key, and of what a persistence engine found.
#[inline(always)]
fn template_hash<T: Tables>(tables: &T, key: &FlowKey, call: u64) -> u64 {
    (table::hash(key, tables) ^ call.wrapping_mul(0x9e37_79b9_7f4a_7c15)) | 1
}

/// What the service's persistence engine found; 0: it has none.
#[inline(always)]
fn call<T: Tables>(tables: &T, found: &Found<'_>) -> u64 {
    if found.slot.engine != 0 { tables.call() } else { 0 }
}

/// The present entry of a template's destination, when it still takes connections of its clients. They stay with a server
/// that is being quiesced (weight 0), unless `expire_quiescent_template` says otherwise.
#[inline(always)]
fn template_entry<T: Tables>(tables: &T, template: &Conn) -> Option<u32> {
    let (index, entry) = life::entry_of(tables, template.dest.get())?;
    let leaves = entry.weight == 0 && tables.control()?.settings().expire_quiescent_template != 0;
    (!leaves).then_some(index)
}

/// Makes a client's template of a free record. `false`: the table is full, or another CPU was faster; the record is given back.
#[inline(always)]
pub fn create_template<T: Tables>(tables: &T, flow: &Flow, found: &Found<'_>, entry: u32, id: ConnId) -> bool {
    let now = tables.now();
    let Some(conn) = tables.conn(id) else { return false };
    let entry = tables.list_entry(entry);
    let (Some(entry), Some(dest)) = (entry, entry.and_then(|entry| tables.dest(entry.dest))) else {
        life::discard(conn, now);
        return false;
    };
    let key = template_key(flow, found);
    let call = call(tables, found);
    identify(conn, &key, template_hash(tables, &key, call));
    conn.rev_hash.set(call);
    conn.state.set(0);
    conn.daddr.set(dest.addr);
    conn.dport.set(if key.dport == Be16::ZERO { Be16::ZERO } else { dest.port });
    conn.dfamily.set(dest.family);
    serve(conn, found.id, entry);
    life::refresh(conn, now, found.slot.persist_secs.wrapping_mul(1000));
    let embryonic = proto::is_embryonic(flow.proto, proto::NONE);
    let flags = conn_flags::LIVE | conn_flags::TEMPLATE | if embryonic { conn_flags::EMBRYO } else { 0 };
    let entered = enter_table(tables, id, conn, flags) == Entered::Done;
    if entered && conn.rev_hash.get() != 0 {
        tables.keep_engine_data(id);
    }
    entered
}

/// Makes a connection of a free record: its entries in the table, its count at its destination.
///
/// # Errors
/// The table is full, the configuration changed on the way, or another CPU was faster; the record is given back.
#[inline(always)]
pub fn create<T: Tables>(
    tables: &T,
    flow: &Flow,
    service: ServiceId,
    choice: Choice,
    id: ConnId,
) -> Result<(), Reason> {
    let now = tables.now();
    let conn = tables.conn(id).ok_or(Reason::TableFull)?;
    let (entry, owner) = (tables.list_entry(choice.entry), tables.service(service));
    let dest = entry.and_then(|entry| tables.dest(entry.dest));
    let (Some(entry), Some(dest), Some(owner)) = (entry, dest, owner) else {
        life::discard(conn, now);
        return Err(Reason::ConfigRace);
    };
    let masq = entry.forward == Forward::Masq as u8;
    let state = first_state(tables, flow, masq);
    let embryonic = proto::is_embryonic(flow.key.proto, state);
    identify(conn, &flow.key, table::hash(&flow.key, tables));
    // A service of all ports keeps the client's choice of port, and so does FTP's for ports that are not its own; so does one
    // by mark, if it is persistent.
    let key = owner.key;
    let keeps_port = flow.key.dport != key.port && (key.proto != 0 || choice.control != 0);
    let dport = if keeps_port || dest.port == Be16::ZERO { flow.key.dport } else { dest.port };
    conn.daddr.set(dest.addr);
    conn.dport.set(dport);
    conn.dfamily.set(dest.family);
    serve(conn, service, entry);
    conn.mark.set(service::mark_of(&key));
    if masq {
        let port = flow.key.dport.host();
        let read =
            flow.key.proto == TCP && tables.control().is_some_and(|control| control.settings().is_ftp_port(port));
        conn.tun_flags.set(if read { ftp::IS_CONTROL } else { 0 });
    }
    let elsewhere = here::is_elsewhere(entry, dest.addr == flow.key.dst && dport == flow.key.dport);
    if entry.forward == Forward::Local as u8 {
        conn.tun_flags.set(if elsewhere { here::ELSEWHERE } else { 0 });
    }
    let flags = conn_flags::LIVE
        | if masq { 0 } else { conn_flags::NO_OUTPUT }
        | if embryonic { conn_flags::EMBRYO } else { 0 }
        | if proto::is_active(flow.key.proto, state) { 0 } else { conn_flags::INACTIVE };
    conn.state.set(state);
    conn.control.set(choice.control);
    life::refresh(conn, now, life::timeout_ms(tables, flow.key.proto, state));
    match enter_table(tables, id, conn, flags) {
        Entered::Done => {}
        Entered::Full => return Err(Reason::TableFull),
        Entered::Taken => return Err(Reason::LostRace),
    }
    if choice.control != 0
        && let Some(template) = tables.conn(choice.control.wrapping_sub(1))
    {
        tables.add(&template.controlled, 1);
    }
    if masq && !enter_reverse(tables, id, conn) {
        return Err(Reason::TableFull);
    }
    Ok(())
}

/// The state that the first packet leads to; an ICMP error about an unknown connection leads to none.
#[inline(always)]
fn first_state<T: Tables>(tables: &T, flow: &Flow, masq: bool) -> u8 {
    if flow.is_icmp() {
        return proto::NONE;
    }
    let column = if masq { Column::Input } else { Column::InputOnly };
    let secure = tables.control().is_some_and(Control::secure_tcp);
    proto::next(flow.proto, proto::NONE, flow.tcp_flags, column, secure)
}

/// Writes a connection's identity.
#[inline(always)]
pub(crate) fn identify(conn: &Conn, key: &FlowKey, hash: u64) {
    conn.caddr.set(key.src);
    conn.vaddr.set(key.dst);
    conn.cport.set(key.sport);
    conn.vport.set(key.dport);
    conn.proto.set(key.proto);
    conn.family.set(key.family);
    conn.hash.set(hash);
    conn.rev_hash.set(0);
    conn.in_pkts.set(0);
    conn.control.set(0);
    conn.controlled.set(0);
    conn.mark.set(0);
    conn.serial.set(conn.serial.get().wrapping_add(1));
}

/// Writes whose connection it is and how it is forwarded.
#[inline(always)]
fn serve(conn: &Conn, service: ServiceId, entry: &ListEntry) {
    conn.dest.set(entry.dest);
    conn.service.set(service);
    conn.forward.set(entry.forward);
    conn.tun_type.set(entry.tun_type);
    conn.tun_flags.set(entry.tun_flags as u8);
    conn.tun_port.set(entry.tun_port);
}

/// Enters a finished record under its client's key and counts it; gives it back when it does not get in.
#[inline(always)]
pub(crate) fn enter_table<T: Tables>(tables: &T, id: ConnId, conn: &Conn, flags: u8) -> Entered {
    conn.flags.set(flags);
    let entered = table::insert(tables, conn.hash.get(), Direction::In, id);
    if entered != Entered::Done {
        life::discard(conn, tables.now());
    } else if let Some(dest) = tables.dest(conn.dest.get()) {
        life::bind(tables, dest, flags);
    }
    entered
}

/// Enters a connection under its real server's key, too; ends it when there is no room.
///
/// The newest connection gets a real server's answers, where an older one has the same ports: two virtual services can lead
/// the same client port to the same server.
#[inline(always)]
pub(crate) fn enter_reverse<T: Tables>(tables: &T, id: ConnId, conn: &Conn) -> bool {
    let key = FlowKey {
        src: conn.daddr.get(),
        dst: conn.caddr.get(),
        sport: conn.dport.get(),
        dport: conn.cport.get(),
        proto: conn.proto.get(),
        family: conn.family.get(),
        pad: 0,
    };
    let hash = table::hash(&key, tables);
    let older = table::find(tables, &key, hash).filter(|older| matches!(older.direction, Direction::Out));
    enter_answers(tables, id, conn, hash, older)
}

/// Enters a connection under the hash of its answers, in the place of an older one; ends it when there is no room.
#[inline(always)]
pub(crate) fn enter_answers<T: Tables>(tables: &T, id: ConnId, conn: &Conn, hash: u64, older: Option<Hit<'_>>) -> bool {
    if let Some(older) = older {
        table::remove(tables, hash, Direction::Out, older.id);
        older.conn.rev_hash.set(0);
    }
    if table::insert(tables, hash, Direction::Out, id) != Entered::Done {
        life::expire(tables, id, conn, tables.now(), End::Now);
        return false;
    }
    conn.rev_hash.set(hash);
    true
}
