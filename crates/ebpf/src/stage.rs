//! The large stages as global functions: the verifier checks each once, by itself, instead of along every path that leads to
//! it. They take at most five arguments, and memory by pointers that may be null as far as it knows.

use crate::access::{Skb, Xdp};
use crate::kernel::{self, Maps, TcMaps, XdpMaps};
use crate::{answer, hop, tc, verdict, xdp};
use aya_ebpf::bindings::{__sk_buff, xdp_md};
use rvs_core::abi::{ConnId, ServiceId};
use rvs_core::begin::{self, Choice, New, Stages};
use rvs_core::decide::{Unknown, known};
use rvs_core::flow::{Flow, classify};
use rvs_core::plan::Plan;
use rvs_core::service::{self, Found};
use rvs_core::verdict::Reason;

/// No destination can take the connection.
pub(crate) const NONE: i64 = -1;
/// Another CPU was faster: try again.
pub(crate) const AGAIN: i64 = -2;

/// One decision of a service's scheduler.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_schedule(id: ServiceId, which: u32) -> i64 {
    kernel::schedule(id, which)
}

/// One decision of a service's scheduler.
#[inline(always)]
pub(crate) fn schedule(id: ServiceId, which: u32) -> i64 {
    stage_schedule(id, which)
}

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

/// A client's persistence template: its entry and control, each in half a word; 0 when there is none.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_find_template(flow: *const Flow, id: ServiceId, which: u32, now: u64) -> u64 {
    if flow.is_null() {
        return 0;
    }
    // SAFETY: not null, and the verifier knows its size from the type.
    let flow = unsafe { &*flow };
    let Some(found) = service::at(&TcMaps {}, id, which as usize) else { return 0 };
    begin::find_template(&TcMaps {}, flow, &found, now).map_or(0, |c| (c.entry as u64) << 32 | c.control as u64)
}

/// Makes a client's persistence template; -1 when the table is full.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_create_template(flow: *const Flow, id: ServiceId, which: u32, now: u64, entry: u32) -> i64 {
    if flow.is_null() {
        return -1;
    }
    // SAFETY: as above.
    let flow = unsafe { &*flow };
    let Some(found) = service::at(&TcMaps {}, id, which as usize) else { return -1 };
    begin::create_template(&TcMaps {}, flow, &found, now, entry).map_or(-1, i64::from)
}

/// Makes a connection; -1 when the table is full.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_create(flow: *const Flow, id: ServiceId, which: u32, new: *const New) -> i64 {
    if flow.is_null() || new.is_null() {
        return -1;
    }
    // SAFETY: as above.
    let (flow, new) = unsafe { (&*flow, &*new) };
    let Some(found) = service::at(&TcMaps {}, id, which as usize) else { return -1 };
    begin::create(&TcMaps {}, flow, &found, new).map_or(-1, i64::from)
}

impl<const XDP: bool> Stages for Maps<XDP> {
    #[inline(always)]
    fn find_template(&self, flow: &Flow, found: &Found<'_>, now: u64) -> Option<Choice> {
        match stage_find_template(flow, found.id, found.which as u32, now) {
            0 => None,
            packed => Some(Choice { entry: (packed >> 32) as u32, control: packed as u32 }),
        }
    }

    #[inline(always)]
    fn create_template(&self, flow: &Flow, found: &Found<'_>, now: u64, entry: u32) -> Option<ConnId> {
        u32::try_from(stage_create_template(flow, found.id, found.which as u32, now, entry)).ok()
    }

    #[inline(always)]
    fn create(&self, flow: &Flow, found: &Found<'_>, new: &New) -> Option<ConnId> {
        u32::try_from(stage_create(flow, found.id, found.which as u32, new)).ok()
    }
}

/// No reason has this number: the packet is of no connection.
const UNKNOWN: u32 = u32::MAX;

macro_rules! decision {
    ($known:ident, $begin:ident, $decide:ident, $maps:ty, $hook:literal) => {
        #[doc = concat!("Decides a packet of a known connection, for ", $hook, "; the number of the reason, or [`UNKNOWN`].")]
        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $known(flow: *const Flow, plan: *mut Plan, unknown: *mut Unknown) -> u32 {
            if flow.is_null() || plan.is_null() || unknown.is_null() {
                return Reason::NoConfig as u32;
            }
            // SAFETY: not null, and the verifier knows their sizes from the types.
            let (flow, plan, unknown) = unsafe { (&*flow, &mut *plan, &mut *unknown) };
            match known(&<$maps>::default(), flow, plan) {
                Ok(reason) => reason as u32,
                Err(nothing) => {
                    *unknown = nothing;
                    UNKNOWN
                }
            }
        }

        #[doc = concat!("Decides a packet that is of no connection, for ", $hook, "; the number of the reason.")]
        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $begin(flow: *const Flow, hash: u64, now: u64, plan: *mut Plan) -> u32 {
            if flow.is_null() || plan.is_null() {
                return Reason::NoConfig as u32;
            }
            // SAFETY: as above.
            let (flow, plan) = unsafe { (&*flow, &mut *plan) };
            begin::begin(&<$maps>::default(), flow, hash, now, plan) as u32
        }

        #[doc = concat!("Decides a packet, for ", $hook, ": [`rvs_core::decide::decide`] in stages.")]
        #[inline(always)]
        pub(crate) fn $decide(flow: &Flow, plan: &mut Plan) -> Reason {
            let mut unknown = Unknown { hash: 0, now: 0 };
            let number = match $known(flow, plan, &raw mut unknown) {
                UNKNOWN => $begin(flow, unknown.hash, unknown.now, plan),
                number => number,
            };
            reason(number)
        }
    };
}

decision!(stage_known_tc, stage_begin_tc, decide_tc, TcMaps, "TC");
decision!(stage_known_xdp, stage_begin_xdp, decide_xdp, XdpMaps, "XDP");

/// A reason that went through a register.
#[inline(always)]
fn reason(number: u32) -> Reason {
    Reason::from_raw(number as u8).unwrap_or(Reason::NoConfig)
}

macro_rules! classification {
    ($stage:ident, $classify:ident, $access:ident, $context:ty) => {
        /// Understands a packet; the number of the reason why it is none of ours, or [`UNKNOWN`] when it may be.
        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $stage(context: *mut $context, flow: *mut Flow) -> u32 {
            if flow.is_null() {
                return Reason::NoConfig as u32;
            }
            // SAFETY: not null, and the verifier knows its size from the type.
            match classify(&$access(context), unsafe { &mut *flow }) {
                Ok(()) => UNKNOWN,
                Err(reason) => reason as u32,
            }
        }

        /// Understands a packet, or says why it is none of ours.
        #[inline(always)]
        pub(crate) fn $classify(packet: $access, flow: &mut Flow) -> Result<(), Reason> {
            match $stage(packet.0, flow) {
                UNKNOWN => Ok(()),
                number => Err(reason(number)),
            }
        }
    };
}

classification!(stage_classify_tc, classify_tc, Skb, __sk_buff);
classification!(stage_classify_xdp, classify_xdp, Xdp, xdp_md);

macro_rules! application {
    ($stage:ident, $apply:ident, $access:ident, $context:ty, $hook:ident) => {
        /// Applies a plan to a packet; 0 when it could not be.
        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $stage(context: *mut $context, flow: *const Flow, plan: *const Plan) -> u32 {
            if flow.is_null() || plan.is_null() {
                return 0;
            }
            // SAFETY: not null, and the verifier knows their sizes from the types.
            let (flow, plan) = unsafe { (&*flow, &*plan) };
            $hook::apply($access(context), flow, plan).is_some() as u32
        }

        /// Applies a plan to a packet.
        #[inline(always)]
        pub(crate) fn $apply(packet: $access, flow: &Flow, plan: &Plan) -> Option<()> {
            ($stage(packet.0, flow, plan) != 0).then_some(())
        }
    };
}

application!(stage_apply_tc, apply_tc, Skb, __sk_buff, tc);
application!(stage_apply_xdp, apply_xdp, Xdp, xdp_md, xdp);

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
