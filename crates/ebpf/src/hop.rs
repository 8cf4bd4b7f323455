//! Next hops: where a frame goes, remembered per CPU.
//!
//! The kernel's routing and neighbour tables are the truth. An entry that TC looked up holds for [`HOLD_NS`]; then one packet
//! takes the kernel's own way out again, which keeps its neighbour machinery at work (a cached MAC address alone would never
//! be probed), and refreshes the entry. As long as the neighbour is unknown every packet goes that way: the kernel resolves
//! it and keeps the packets until the answer comes. XDP only uses what TC found.

use crate::access::Skb;
use crate::maps::{DESTS, HOPS, XDP_PORTS};
use crate::stage;
use aya_ebpf::bindings::{
    BPF_FIB_LKUP_RET_FRAG_NEEDED, BPF_FIB_LKUP_RET_FWD_DISABLED, BPF_FIB_LKUP_RET_NO_NEIGH, BPF_FIB_LKUP_RET_SUCCESS,
    bpf_fib_lookup, bpf_redir_neigh,
};
use aya_ebpf::helpers::generated as helpers;
use core::mem::{size_of, zeroed};
use rvs_core::abi::{Hop, XdpPort, xdp_slot};
use rvs_core::plan::Plan;
use rvs_wire::eth::{self, Eth};
use rvs_wire::{Addr, Be32, Family};

/// Entries per CPU; a power of two.
pub(crate) const ENTRIES: u32 = 1024;

/// How long a resolved entry holds.
const HOLD_NS: u64 = 1_000_000_000;
/// How long an unresolved one does.
const RETRY_NS: u64 = 10_000_000;

/// How the kernel names IPv4 to its look-ups.
const AF_INET: u8 = Family::V4.raw();

/// How a packet leaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// With the MAC addresses of the entry.
    Direct,
    /// Through the kernel's neighbour table.
    Neighbour,
}

/// An entry that XDP can send by: it holds, has MAC addresses, and leads out of an interface that takes frames from XDP. (A
/// driver without a program of its own drops them without a word.)
#[inline(always)]
pub(crate) fn fresh(plan: &Plan, now: u64) -> Option<&'static Hop> {
    let hop = entry(plan)?;
    (is_for(hop, plan) && hop.until > now && hop.resolved == 1 && hop.xdp == 1).then_some(&*hop)
}

/// The next hop for a plan, looked up anew when the entry is too old. `None`: there is no way.
#[inline(always)]
pub(crate) fn find(skb: Skb, plan: &Plan, now: u64) -> Option<(&'static Hop, Way)> {
    let hop = entry(plan)?;
    if is_for(hop, plan) && hop.until > now {
        let way = if hop.resolved == 1 { Way::Direct } else { Way::Neighbour };
        return Some((hop, way));
    }
    stage::refresh_hop(skb, plan, now).then_some((&*hop, Way::Neighbour))
}

/// The entry that a plan's next hop has, whatever is in it.
#[inline(always)]
pub(crate) fn entry(plan: &Plan) -> Option<&'static mut Hop> {
    let key = plan.next.fold().raw() ^ source(plan).fold().raw().rotate_left(7);
    let index = key.wrapping_mul(0x9e37_79b1) >> 22;
    // SAFETY: a per-CPU value that only this program run touches now.
    HOPS.get_ptr_mut(index & (ENTRIES - 1)).map(|p| unsafe { &mut *p })
}

#[inline(always)]
fn is_for(hop: &Hop, plan: &Plan) -> bool {
    hop.dst == plan.next && hop.src == source(plan)
}

/// Replies are routed by their source, too (policy routing by virtual address); what goes to real servers is not.
#[inline(always)]
fn source(plan: &Plan) -> Addr {
    if plan.outward != 0 { plan.addr } else { Addr::UNSPECIFIED }
}

/// Asks the kernel.
#[inline(always)]
pub(crate) fn refresh(skb: Skb, plan: &Plan, now: u64) -> bool {
    let Some(hop) = entry(plan) else { return false };
    // SAFETY: plain data, for which zero is a value.
    let mut fib: bpf_fib_lookup = unsafe { zeroed() };
    fib.family = AF_INET;
    fib.__bindgen_anon_3.ipv4_src = source(plan).last().raw();
    fib.__bindgen_anon_4.ipv4_dst = plan.next.last().raw();
    // SAFETY: the context is valid, the parameters are ours and of the size given.
    let result = unsafe {
        fib.ifindex = (*skb.0).ifindex;
        helpers::bpf_fib_lookup(skb.0.cast(), &raw mut fib, size_of::<bpf_fib_lookup>() as i32, 0)
    } as u32;
    let resolved = matches!(result, BPF_FIB_LKUP_RET_SUCCESS | BPF_FIB_LKUP_RET_FRAG_NEEDED);
    let (ifindex, gateway) = match result {
        _ if resolved => (fib.ifindex, gateway_of(&fib)),
        BPF_FIB_LKUP_RET_NO_NEIGH => (fib.ifindex, gateway_of(&fib)),
        BPF_FIB_LKUP_RET_FWD_DISABLED => match configured(plan) {
            Some(way) => way,
            None => return false,
        },
        _ => return false,
    };
    let mut mtu = 0;
    // SAFETY: the context is valid; the helper writes one word.
    unsafe { helpers::bpf_check_mtu(skb.0.cast(), ifindex, &raw mut mtu, 0, 0) };
    *hop = Hop {
        dst: plan.next,
        src: source(plan),
        gateway,
        until: now + if resolved { HOLD_NS } else { RETRY_NS },
        ifindex,
        mtu,
        dmac: fib.dmac,
        smac: fib.smac,
        family: AF_INET,
        resolved: resolved as u8,
        xdp: xdp_port(ifindex).is_some_and(|port| port.native == 1) as u8,
        pad: 0,
    };
    true
}

/// The interface with this index, if it has our program at XDP.
#[inline(always)]
pub(crate) fn xdp_port(ifindex: u32) -> Option<&'static XdpPort> {
    // SAFETY: values of arrays live as long as the program.
    let port: &XdpPort = XDP_PORTS.get_ptr(xdp_slot(ifindex)).map(|p| unsafe { &*p })?;
    (port.ifindex == ifindex).then_some(port)
}

#[inline(always)]
fn gateway_of(fib: &bpf_fib_lookup) -> Addr {
    // SAFETY: the look-up was for IPv4, and writes the gateway here.
    Addr::v4(Be32::from_raw(unsafe { fib.__bindgen_anon_4.ipv4_dst }))
}

/// The way that the tools found when the destination was configured: for hosts that do not forward, where the kernel refuses
/// look-ups of forwarded packets although DR and TUN need none.
#[inline(always)]
fn configured(plan: &Plan) -> Option<(u32, Addr)> {
    if plan.outward != 0 {
        return None;
    }
    // SAFETY: values of arrays live as long as the program.
    let dest = DESTS.get_ptr(plan.dest).map(|p| unsafe { &*p })?;
    (dest.hop_ifindex != 0).then_some((dest.hop_ifindex, dest.hop_gateway))
}

/// The frame header for an entry with MAC addresses.
#[inline(always)]
pub(crate) fn header(hop: &Hop) -> Eth {
    Eth { dst: halves(&hop.dmac), src: halves(&hop.smac), ethertype: eth::IPV4 }
}

/// A MAC address as frames are read.
#[inline(always)]
pub(crate) fn halves(mac: &[u8; 6]) -> [u16; 3] {
    [u16::from_ne_bytes([mac[0], mac[1]]), u16::from_ne_bytes([mac[2], mac[3]]), u16::from_ne_bytes([mac[4], mac[5]])]
}

/// Hands a packet to the kernel's neighbour table.
#[inline(always)]
pub(crate) fn to_neighbour(hop: &Hop) -> i32 {
    // SAFETY: plain data, for which zero is a value.
    let mut to: bpf_redir_neigh = unsafe { zeroed() };
    to.nh_family = AF_INET as u32;
    to.__bindgen_anon_1.ipv4_nh = hop.gateway.last().raw();
    // SAFETY: the parameters are ours and of the size given.
    unsafe { helpers::bpf_redirect_neigh(hop.ifindex, &raw mut to, size_of::<bpf_redir_neigh>() as i32, 0) as i32 }
}
