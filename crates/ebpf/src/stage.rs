//! The large stages as global functions: the verifier checks each once, by itself, instead of along every path that leads to
//! it. They take at most five arguments, and memory by pointers that may be null as far as it knows.

mod choice;
mod conns;

pub(crate) use choice::{AGAIN, NONE, pick, pick_with_state, schedule};
pub(crate) use conns::{call_out, expect_answers, expire, note_first_word, probe_answered, sent};

use crate::access::{Skb, Xdp};
use crate::kernel::{self, Maps, TcMaps, XdpMaps};
use crate::pieces::{self, Hold};
use crate::{answer, ftp, hop, local, sip, sum, sweep, tc, verdict, xdp};
use aya_ebpf::bindings::{__sk_buff, xdp_md};
use rvs_core::abi::{ConnId, FlowKey, Hop, ServiceId, Talk};
use rvs_core::begin::{self, Choice, Stages};
use rvs_core::conn::embryo::{self, Taken};
use rvs_core::conn::table::{self, Entered};
use rvs_core::decide::known;
use rvs_core::flow::{self, Flow, Walked, classify};
use rvs_core::fragment;
use rvs_core::ftp::{Expected, expect};
use rvs_core::path_mtu;
use rvs_core::plan::Plan;
use rvs_core::rewrite;
use rvs_core::service::{self, Found};
use rvs_core::short;
use rvs_core::tables::Tables;
use rvs_core::verdict::Reason;
use rvs_wire::Be16;

/// Takes a connection index from a shard; -1 when it has none.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_take_index(shard: u32) -> i64 {
    kernel::take_index(shard).map_or(-1, i64::from)
}

/// Takes a connection index from a shard; -1 when it has none.
#[inline(always)]
pub(crate) fn take_index(shard: u32) -> i64 {
    stage_take_index(shard)
}

/// Puts an entry into a bucket; the number of what became of it.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_put(bucket: u32, entry: u64) -> u32 {
    table::put(&TcMaps::at(0), bucket, entry) as u32
}

/// Puts an entry into a bucket.
#[inline(always)]
pub(crate) fn put(bucket: u32, entry: u64) -> Entered {
    const DONE: u32 = Entered::Done as u32;
    const FULL: u32 = Entered::Full as u32;
    match stage_put(bucket, entry) {
        DONE => Entered::Done,
        FULL => Entered::Full,
        _ => Entered::Taken,
    }
}

/// Looks into a bucket.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_look_into(bucket: u32, entry: u64) -> u32 {
    table::look(&TcMaps::at(0), bucket, entry)
}

/// Looks into a bucket.
#[inline(always)]
pub(crate) fn look(bucket: u32, entry: u64) -> u32 {
    stage_look_into(bucket, entry)
}

/// What [`stage_try_embryo`] gives besides a record's index.
const TRY_AGAIN: i64 = -1;
/// Likewise.
const FLOODED: i64 = -2;

/// Takes a record for an embryonic connection of this ring, if there is one.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_try_embryo(ring: u32, now: u64) -> i64 {
    match embryo::try_take(&TcMaps::at(now), ring) {
        Taken::Record(id) => i64::from(id),
        Taken::Again => TRY_AGAIN,
        Taken::Flooded => FLOODED,
    }
}

/// Takes a record for an embryonic connection of this ring, if there is one.
#[inline(always)]
pub(crate) fn try_embryo(ring: u32, now: u64) -> Taken {
    match stage_try_embryo(ring, now) {
        TRY_AGAIN => Taken::Again,
        FLOODED => Taken::Flooded,
        id => Taken::Record(id as ConnId),
    }
}

/// Works out the defences anew; 0 when it cannot.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_defend() -> u32 {
    sweep::defend().is_some() as u32
}

/// Works out the defences anew; whether it could.
#[inline(always)]
pub(crate) fn defend() -> bool {
    stage_defend() != 0
}

/// A client's persistence template: its entry and control, each in half a word; 0 when there is none.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_find_template(flow: *const Flow, id: ServiceId, which: u32, now: u64) -> u64 {
    let maps = TcMaps::at(now);
    if flow.is_null() {
        return 0;
    }
    // SAFETY: not null, and the verifier knows its size from the type.
    let flow = unsafe { &*flow };
    let Some(found) = service::at(&maps, id, which as usize) else { return 0 };
    begin::find_template(&maps, flow, &found).map_or(0, |c| (c.entry as u64) << 32 | c.control as u64)
}

/// Makes a client's persistence template of the record in half of `ids`, for the destination in the other; 0 when the table is
/// full.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_create_template(flow: *const Flow, id: ServiceId, which: u32, now: u64, ids: u64) -> u32 {
    let maps = TcMaps::at(now);
    if flow.is_null() {
        return 0;
    }
    // SAFETY: as above.
    let flow = unsafe { &*flow };
    let Some(found) = service::at(&maps, id, which as usize) else { return 0 };
    begin::create_template(&maps, flow, &found, (ids >> 32) as u32, ids as u32) as u32
}

/// What [`stage_create`] gives when the connection was made; else the number of a reason plus 1.
const MADE: u32 = 0;

/// Makes a connection of a free record, to the destination in half of `choice`, under the template in the other.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_create(flow: *const Flow, id: ServiceId, now: u64, choice: u64, record: ConnId) -> u32 {
    let maps = TcMaps::at(now);
    if flow.is_null() {
        return Reason::NoConfig as u32 + 1;
    }
    // SAFETY: as above.
    let flow = unsafe { &*flow };
    let choice = Choice { entry: (choice >> 32) as u32, control: choice as u32 };
    begin::create(&maps, flow, id, choice, record).map_or_else(|reason| reason as u32 + 1, |()| MADE)
}

/// Begins the data connection that a packet was expected for: its number; [`NONE`] when it was not; [`MET`] minus the number
/// of the reason why it can't.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_meet(flow: *const Flow, now: u64) -> i64 {
    if flow.is_null() {
        return NONE;
    }
    // SAFETY: not null, and the verifier knows its size from the type.
    match expect::meet(&TcMaps::at(now), unsafe { &*flow }) {
        None => NONE,
        Some(Err(reason)) => MET - reason as i64,
        Some(Ok(id)) => id as i64,
    }
}

/// See [`stage_meet`].
const MET: i64 = -16;

/// Enters a data connection that was announced; `whose` is an [`Expected`], `port` its port in host order.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_expect(parent: ConnId, whose: u32, port: u32, now: u64) -> u32 {
    let whose = if whose == Expected::Client as u32 { Expected::Client } else { Expected::Server };
    match expect::expect(&TcMaps::at(now), parent, whose, Be16::new(port as u16)) {
        Ok(()) => ftp::FINE,
        Err(reason) => reason as u32,
    }
}

/// Enters a data connection that was announced; [`ftp::FINE`], or the number of the reason why it can't.
#[inline(always)]
pub(crate) fn expect(parent: ConnId, whose: Expected, port: Be16, now: u64) -> u32 {
    stage_expect(parent, whose as u32, port.host() as u32, now)
}

/// Sees to a packet of a control connection.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_tend(skb: *mut __sk_buff, flow: *mut Flow, plan: *const Plan, now: u64) -> u32 {
    if flow.is_null() || plan.is_null() {
        return Reason::NoConfig as u32;
    }
    // SAFETY: not null, and the verifier knows their sizes from the types.
    ftp::tend(Skb(skb), unsafe { &mut *flow }, unsafe { &*plan }, now)
}

/// Sees to a packet of a control connection; [`ftp::FINE`], or the number of the reason why it is to be dropped.
#[inline(always)]
pub(crate) fn tend(skb: Skb, flow: &mut Flow, plan: &Plan, now: u64) -> u32 {
    stage_tend(skb.0, flow, plan, now)
}

/// Replaces a text in a payload; 0 when it can't be.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_replace(skb: *mut __sk_buff, flow: *mut Flow, growth: i32) -> u32 {
    if flow.is_null() {
        return 0;
    }
    // SAFETY: as above.
    ftp::replace(Skb(skb), unsafe { &mut *flow }, growth).is_some() as u32
}

/// Replaces a text in a payload.
#[inline(always)]
pub(crate) fn replace(skb: Skb, flow: &mut Flow, growth: i32) -> bool {
    stage_replace(skb.0, flow, growth) != 0
}

/// Moves the numbers in a TCP header; 0 when it can't be.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_shift(skb: *mut __sk_buff, flow: *const Flow, plan: *const Plan, talk: *const Talk) -> u32 {
    if flow.is_null() || plan.is_null() || talk.is_null() {
        return 0;
    }
    // SAFETY: as above.
    ftp::shift(Skb(skb), unsafe { &*flow }, unsafe { &*plan }, unsafe { &*talk }).is_some() as u32
}

/// Moves the numbers in a TCP header.
#[inline(always)]
pub(crate) fn shift(skb: Skb, flow: &Flow, plan: &Plan, talk: &Talk) -> bool {
    stage_shift(skb.0, flow, plan, talk) != 0
}

/// Lets a persistence engine look into a datagram; always 0.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_engine(skb: *mut __sk_buff, flow: *mut Flow) -> u32 {
    if !flow.is_null() {
        // SAFETY: not null, and the verifier knows its size from the type.
        sip::look(Skb(skb), unsafe { &mut *flow });
    }
    0
}

/// Lets a persistence engine look into a datagram.
#[inline(always)]
pub(crate) fn engine(skb: Skb, flow: &mut Flow) {
    stage_engine(skb.0, flow);
}

/// Keeps what an engine found; always 0.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_keep_engine_data(template: ConnId, serial: u32) -> u32 {
    sip::keep(template, serial);
    0
}

/// Keeps what an engine found.
#[inline(always)]
pub(crate) fn keep_engine_data(template: ConnId, serial: u32) {
    stage_keep_engine_data(template, serial);
}

impl<const XDP: bool> Stages for Maps<XDP> {
    #[inline(always)]
    fn find_template(&self, flow: &Flow, found: &Found<'_>) -> Option<Choice> {
        match stage_find_template(flow, found.id, found.which as u32, self.now()) {
            0 => None,
            packed => Some(Choice { entry: (packed >> 32) as u32, control: packed as u32 }),
        }
    }

    #[inline(always)]
    fn meet(&self, flow: &Flow) -> Option<Result<ConnId, Reason>> {
        let met = stage_meet(flow, self.now());
        match met {
            NONE => None,
            met if met < 0 => Some(Err(reason((MET - met) as u32))),
            met => Some(Ok(met as ConnId)),
        }
    }

    #[inline(always)]
    fn create_template(&self, flow: &Flow, found: &Found<'_>, entry: u32, id: ConnId) -> bool {
        let ids = (entry as u64) << 32 | id as u64;
        stage_create_template(flow, found.id, found.which as u32, self.now(), ids) != 0
    }

    #[inline(always)]
    fn create(&self, flow: &Flow, service: ServiceId, choice: Choice, id: ConnId) -> Result<(), Reason> {
        let packed = (choice.entry as u64) << 32 | choice.control as u64;
        match stage_create(flow, service, self.now(), packed, id) {
            MADE => Ok(()),
            number => Err(reason(number.wrapping_sub(1))),
        }
    }
}

macro_rules! walk {
    ($stage:ident, $walk:ident, $access:ident, $context:ty) => {
        /// Walks along IPv6 extension headers.
        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $stage(context: *mut $context, next: u32, at: u32) -> u64 {
            flow::walk(&$access(context), next as u8, at as u16).0
        }

        /// Walks along IPv6 extension headers.
        #[inline(always)]
        pub(crate) fn $walk(packet: $access, next: u8, at: u16) -> Walked {
            Walked($stage(packet.0, next as u32, at as u32))
        }
    };
}

walk!(stage_walk_tc, walk_tc, Skb, __sk_buff);
walk!(stage_walk_xdp, walk_xdp, Xdp, xdp_md);

/// No reason has this number: the packet is of no connection.
const UNKNOWN: u32 = u32::MAX;

macro_rules! decision {
    ($look:ident, $begin:ident, $decide:ident, $maps:ty, $access:ident, $context:ty) => {
        /// Understands a packet and, if it is of a known connection, decides it; the number of the reason, or [`UNKNOWN`].
        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $look(context: *mut $context, flow: *mut Flow, plan: *mut Plan, now: u64) -> u32 {
            if flow.is_null() || plan.is_null() {
                return Reason::NoConfig as u32;
            }
            // SAFETY: not null, and the verifier knows their sizes from the types.
            let (flow, plan) = unsafe { (&mut *flow, &mut *plan) };
            match classify(&$access(context), flow) {
                Ok(()) => known(&<$maps>::at(now), flow, plan).map_or(UNKNOWN, |reason| reason as u32),
                Err(reason) => reason as u32,
            }
        }

        /// Decides a packet that is of no connection; the number of the reason.
        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $begin(flow: *const Flow, plan: *mut Plan, now: u64) -> u32 {
            if flow.is_null() || plan.is_null() {
                return Reason::NoConfig as u32;
            }
            // SAFETY: as above.
            let (flow, plan) = unsafe { (&*flow, &mut *plan) };
            begin::begin(&<$maps>::at(now), flow, plan) as u32
        }

        /// Understands and decides a packet: the number of the reason.
        #[inline(always)]
        pub(crate) fn $decide(packet: $access, flow: &mut Flow, plan: &mut Plan, now: u64) -> u32 {
            match $look(packet.0, flow, plan, now) {
                UNKNOWN => {}
                number => return number,
            }
            const LOST: u32 = Reason::LostRace as u32;
            match $begin(flow, plan, now) {
                LOST => match $look(packet.0, flow, plan, now) {
                    UNKNOWN => LOST,
                    number => number,
                },
                number => number,
            }
        }
    };
}

decision!(stage_look_tc, stage_begin_tc, decide_tc, TcMaps, Skb, __sk_buff);
decision!(stage_look_xdp, stage_begin_xdp, decide_xdp, XdpMaps, Xdp, xdp_md);

/// No hook's code: the packet has to take the long way.
const LONG_WAY: u32 = 0xffff;

macro_rules! short_way {
    ($stage:ident, $short:ident, $access:ident, $context:ty, $hook:ident -> $code:ty, $family:ident) => {
        /// The short way of a packet of this family; gives the hook's code, or [`LONG_WAY`].
        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $stage(context: *mut $context, now: u64) -> u32 {
            let packet = $access(context);
            let code = short::$family(&packet).and_then(|flow| $hook::short(packet, &flow, now));
            code.map_or(LONG_WAY, |code| code as u32)
        }

        /// The short way of a packet of this family; gives the hook's code.
        #[inline(always)]
        pub(crate) fn $short(packet: $access, now: u64) -> Option<$code> {
            match $stage(packet.0, now) {
                LONG_WAY => None,
                code => Some(code as $code),
            }
        }
    };
}

short_way!(stage_short4_xdp, short4_xdp, Xdp, xdp_md, xdp -> u32, ipv4);
short_way!(stage_short6_xdp, short6_xdp, Xdp, xdp_md, xdp -> u32, ipv6);
short_way!(stage_short4_tc, short4_tc, Skb, __sk_buff, tc -> i32, ipv4);
short_way!(stage_short6_tc, short6_tc, Skb, __sk_buff, tc -> i32, ipv6);

/// A reason that went through a register.
#[inline(always)]
pub(crate) fn reason(number: u32) -> Reason {
    Reason::from_raw(number as u8).unwrap_or(Reason::NoConfig)
}

macro_rules! application {
    ($stage:ident, $apply:ident, $access:ident, $context:ty, $hook:ident::$does:ident) => {
        /// Applies a plan to a packet; 0 when it could not be.
        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $stage(context: *mut $context, flow: *const Flow, plan: *const Plan) -> u32 {
            if flow.is_null() || plan.is_null() {
                return 0;
            }
            // SAFETY: not null, and the verifier knows their sizes from the types.
            let (flow, plan) = unsafe { (&*flow, &*plan) };
            $hook::$does($access(context), flow, plan).is_some() as u32
        }

        /// Applies a plan to a packet.
        #[inline(always)]
        pub(crate) fn $apply(packet: $access, flow: &Flow, plan: &Plan) -> Option<()> {
            ($stage(packet.0, flow, plan) != 0).then_some(())
        }
    };
}

application!(stage_apply_tc, apply_tc, Skb, __sk_buff, tc::apply);
application!(stage_wrap_tc, wrap_tc, Skb, __sk_buff, tc::wrap);
application!(stage_wrap_own, wrap_own, Skb, __sk_buff, tc::wrap_own);
application!(stage_apply_xdp, apply_xdp, Xdp, xdp_md, xdp::apply);

/// Applies a plan to a packet and sends it; gives the hook's code.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_forward(skb: *mut __sk_buff, flow: *mut Flow, plan: *const Plan, number: u32, now: u64) -> i32 {
    if flow.is_null() || plan.is_null() {
        return verdict::tc(Reason::NoConfig);
    }
    // SAFETY: not null, and the verifier knows their sizes from the types.
    tc::forward(Skb(skb), unsafe { &mut *flow }, unsafe { &*plan }, number, now)
}

/// Applies a plan to a packet and sends it; gives the hook's code.
#[inline(always)]
pub(crate) fn forward(skb: Skb, flow: &mut Flow, plan: &Plan, number: u32, now: u64) -> i32 {
    stage_forward(skb.0, flow, plan, number, now)
}

/// Sends a finished packet towards the next hop of a plan; gives the hook's code.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_send(skb: *mut __sk_buff, plan: *const Plan, now: u64) -> i32 {
    // SAFETY: checked, and the verifier knows its size from the type.
    if plan.is_null() { verdict::tc(Reason::NoConfig) } else { tc::send(Skb(skb), unsafe { &*plan }, now) }
}

/// Sends a finished packet towards the next hop of a plan; gives the hook's code.
#[inline(always)]
pub(crate) fn send(skb: Skb, plan: &Plan, now: u64) -> i32 {
    stage_send(skb.0, plan, now)
}

/// Looks up the next hop of a plan anew; 0 when there is no way.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_refresh_hop(skb: *mut __sk_buff, plan: *const Plan, now: u64) -> u32 {
    if plan.is_null() {
        return 0;
    }
    // SAFETY: not null, and the verifier knows its size from the type.
    hop::refresh(Skb(skb), unsafe { &*plan }, now) as u32
}

/// Looks up the next hop of a plan anew.
#[inline(always)]
pub(crate) fn refresh_hop(skb: Skb, plan: &Plan, now: u64) -> bool {
    stage_refresh_hop(skb.0, plan, now) != 0
}

/// Hands a packet to the kernel's neighbour table; gives the hook's code. Apart for its stack: it is rare.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_to_neighbour(hop: *const Hop) -> i32 {
    if hop.is_null() {
        return verdict::tc(Reason::NoRoute);
    }
    // SAFETY: not null, and the verifier knows its size from the type.
    hop::redirect_to_neighbour(unsafe { &*hop })
}

/// Hands a packet to the kernel's neighbour table; gives the hook's code.
#[inline(always)]
pub(crate) fn to_neighbour(hop: &Hop) -> i32 {
    stage_to_neighbour(hop)
}

/// The mark of the first of our rules that a packet matches; 0: none.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_mark(key: *const FlowKey, first: u32, count: u32) -> u32 {
    // SAFETY: checked, and the verifier knows its size from the type.
    if key.is_null() { 0 } else { kernel::mark_by_rules(unsafe { &*key }, first, count) }
}

/// The mark of the first of our rules that a packet matches; 0: none.
#[inline(always)]
pub(crate) fn mark_by_rules(key: &FlowKey, first: u32, count: u32) -> u32 {
    stage_mark(key, first, count)
}

/// A masqueraded destination of the first `count` that a packet comes from; -1: none.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_server(from: *const FlowKey, count: u32, engine: u32) -> i64 {
    // SAFETY: checked, and the verifier knows its size from the type.
    if from.is_null() { -1 } else { kernel::masqueraded_server(unsafe { &*from }, count, engine != 0) }
}

/// A masqueraded destination of the first `count` that a packet comes from; -1: none.
#[inline(always)]
pub(crate) fn masqueraded_server(from: &FlowKey, count: u32, engine: bool) -> i64 {
    stage_server(from, count, engine as u32)
}

/// Remembers what became of a first fragment, and lets those go that wait for it; 0 when the packet was lost by that.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_first_piece(
    skb: *mut __sk_buff,
    flow: *const Flow,
    plan: *const Plan,
    number: u32,
    now: u64,
) -> u32 {
    if flow.is_null() || plan.is_null() {
        return 0;
    }
    // SAFETY: not null, and the verifier knows their sizes from the types.
    let (flow, plan) = unsafe { (&*flow, &*plan) };
    let fate = fragment::fate(&TcMaps::at(now), plan, reason(number));
    pieces::remember(flow, &fate);
    pieces::release(Skb(skb), flow).is_some() as u32
}

/// Remembers what became of a first fragment, and lets those go that wait for it.
#[inline(always)]
pub(crate) fn first_piece(skb: Skb, flow: &Flow, plan: &Plan, number: u32, now: u64) -> Option<()> {
    (stage_first_piece(skb.0, flow, plan, number, now) != 0).then_some(())
}

/// Holds a fragment, or a copy of it.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_hold(skb: *mut __sk_buff, flow: *const Flow, now: u64, copy: u32) -> u32 {
    if flow.is_null() || (copy != 0 && !service::has_marks(&TcMaps::at(now))) {
        return Hold::Lost as u32;
    }
    // SAFETY: not null, and the verifier knows its size from the type.
    pieces::hold(Skb(skb), unsafe { &*flow }, now, copy != 0) as u32
}

/// Holds a fragment that came before the first one.
#[inline(always)]
pub(crate) fn hold(skb: Skb, flow: &Flow, now: u64) -> Hold {
    Hold::from_raw(stage_hold(skb.0, flow, now, 0))
}

/// Holds a copy of a fragment that goes on to the host, if there are services by mark.
#[inline(always)]
pub(crate) fn hold_copy(skb: Skb, flow: &Flow, now: u64) -> Hold {
    Hold::from_raw(stage_hold(skb.0, flow, now, 1))
}

/// Cuts a packet into fragments; 0 when it can't be.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_cut(skb: *mut __sk_buff, flow: *const Flow, mtu: u32) -> u32 {
    if flow.is_null() {
        return 0;
    }
    // SAFETY: not null, and the verifier knows its size from the type.
    pieces::cut(Skb(skb), unsafe { &*flow }, mtu).is_some() as u32
}

/// Cuts a packet into fragments.
#[inline(always)]
pub(crate) fn cut(skb: Skb, flow: &Flow, mtu: u32) -> Option<()> {
    (stage_cut(skb.0, flow, mtu) != 0).then_some(())
}

/// Steers a packet for this host to its socket; always 0.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_steer(skb: *mut __sk_buff, flow: *const Flow, plan: *const Plan) -> u32 {
    if flow.is_null() || plan.is_null() {
        return 0;
    }
    // SAFETY: not null, and the verifier knows their sizes from the types.
    local::steer(Skb(skb), unsafe { &*flow }, unsafe { &*plan }) as u32
}

/// Steers a packet for this host to its socket; `false`: there is none.
#[inline(always)]
pub(crate) fn steer(skb: Skb, flow: &Flow, plan: &Plan) -> bool {
    stage_steer(skb.0, flow, plan) != 0
}

/// Learns the path MTU of a tunnel from an ICMP error; the number of the reason.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_learn_mtu(skb: *mut __sk_buff, flow: *const Flow, now: u64) -> u32 {
    if flow.is_null() {
        return Reason::NoConfig as u32;
    }
    // SAFETY: not null, and the verifier knows its size from the type.
    path_mtu::learn(&Skb(skb), &TcMaps::at(now), unsafe { &*flow }) as u32
}

/// Learns the path MTU of a tunnel from an ICMP error; the number of the reason.
#[inline(always)]
pub(crate) fn learn_mtu(skb: Skb, flow: &Flow, now: u64) -> u32 {
    stage_learn_mtu(skb.0, flow, now)
}

/// Takes a hop off a packet, or takes that back; 0 when the packet has no IP header.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_hops(skb: *mut __sk_buff, by: u32) -> u32 {
    rewrite::hops(&mut Skb(skb), by as u8).is_some() as u32
}

/// Takes a hop off a packet.
#[inline(always)]
pub(crate) fn hop(skb: Skb) -> Option<()> {
    (stage_hops(skb.0, 0xff) != 0).then_some(())
}

/// Takes back a hop.
#[inline(always)]
pub(crate) fn unhop(skb: Skb) -> Option<()> {
    (stage_hops(skb.0, 1) != 0).then_some(())
}

/// The sum of a part of a packet; -1 when the packet is shorter.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_sum(skb: *mut __sk_buff, from: u32, len: u32) -> i64 {
    sum::of(Skb(skb), from, len).map_or(-1, |sum| sum as i64)
}

/// The sum of a part of a packet.
#[inline(always)]
pub(crate) fn sum(skb: Skb, from: u32, len: u32) -> Option<u64> {
    u64::try_from(stage_sum(skb.0, from, len)).ok()
}

/// Answers a packet with an ICMP error; gives the hook's code.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_answer(skb: *mut __sk_buff, flow: *const Flow, plan: *const Plan, number: u32, mtu: u32) -> i32 {
    if flow.is_null() || plan.is_null() {
        return verdict::tc(Reason::NoConfig);
    }
    // SAFETY: not null, and the verifier knows their sizes from the types.
    let (flow, plan) = unsafe { (&*flow, &*plan) };
    answer::answer(Skb(skb), flow, plan, reason(number), mtu)
}

/// Answers a packet with an ICMP error; gives the hook's code.
#[inline(always)]
pub(crate) fn answer(skb: Skb, flow: &Flow, plan: &Plan, reason: Reason, mtu: u32) -> i32 {
    stage_answer(skb.0, flow, plan, reason as u32, mtu)
}
