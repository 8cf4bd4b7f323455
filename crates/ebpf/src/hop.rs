//! Next hops: where a frame goes, remembered per CPU.
//!
//! The kernel's routing and neighbour tables are the truth. An entry that TC looked up holds for [`HOLD_NS`]; then one packet
//! takes the kernel's own way out again, which keeps its neighbour machinery at work (a cached MAC address alone would never
//! be probed), and refreshes the entry. As long as the neighbour is unknown every packet goes that way: the kernel resolves
//! it and keeps the packets until the answer comes. XDP only uses what TC found.

use crate::access::Skb;
use crate::kernel::dest;
use crate::maps::{DESTS, HOPS, XDP_PORTS};
use crate::stage;
use aya_ebpf::bindings::{
    BPF_FIB_LKUP_RET_FRAG_NEEDED, BPF_FIB_LKUP_RET_FWD_DISABLED, BPF_FIB_LKUP_RET_NO_NEIGH, BPF_FIB_LKUP_RET_NOT_FWDED,
    BPF_FIB_LKUP_RET_SUCCESS, bpf_fib_lookup, bpf_redir_neigh,
};
use aya_ebpf::helpers::generated as helpers;
use core::mem::{size_of, zeroed};
use rvs_core::abi::{Hop, XdpPort, xdp_slot};
use rvs_core::path_mtu;
use rvs_core::plan::Plan;
use rvs_wire::eth::{self, Eth};
use rvs_wire::{Addr, Be32, Family};

/// Entries per CPU; a power of two.
pub(crate) const ENTRIES: u32 = 1024;

/// How long a resolved entry holds.
const HOLD_NS: u64 = 1_000_000_000;
/// How long an unresolved one does.
const RETRY_NS: u64 = 10_000_000;

/// The loopback interface, which has the same index in every network namespace.
pub(crate) const LOOPBACK: u32 = 1;

/// How a packet leaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// With the MAC addresses of the entry.
    Direct,
    /// Through the kernel's neighbour table.
    Neighbour,
    /// To this host's own stack: the client is here.
    Local,
}

/// An entry that holds and has MAC addresses.
#[inline(always)]
pub(crate) fn fresh(plan: &Plan, now: u64) -> Option<&'static Hop> {
    let hop = entry(plan)?;
    (is_for(hop, plan) && hop.until > now && hop.resolved == RESOLVED).then_some(&*hop)
}

/// Whether an entry leads out of an interface that takes frames from XDP. (A driver without a program of its own drops them
/// without a word.)
#[inline(always)]
pub(crate) fn takes_frames(hop: &Hop) -> bool {
    hop.xdp == 1
}

/// The next hop for a plan, looked up anew when the entry is too old. `None`: there is no way.
#[inline(always)]
pub(crate) fn find(skb: Skb, plan: &Plan, now: u64) -> Option<(&'static Hop, Way)> {
    let hop = entry(plan)?;
    if is_for(hop, plan) && hop.until > now {
        let way = match hop.resolved {
            RESOLVED => Way::Direct,
            LOCAL => Way::Local,
            _ => Way::Neighbour,
        };
        return Some((hop, way));
    }
    if !stage::refresh_hop(skb, plan, now) {
        return None;
    }
    Some((&*hop, if hop.resolved == LOCAL { Way::Local } else { Way::Neighbour }))
}

/// [`Hop::resolved`]: the MAC addresses are good.
const RESOLVED: u8 = 1;
/// Whether nobody knows the neighbour's MAC address yet, so that packets wait for it.
#[inline(always)]
pub(crate) fn is_unresolved(hop: &Hop) -> bool {
    hop.resolved == 0
}

/// [`Hop::resolved`]: the next hop is this host.
const LOCAL: u8 = 2;

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
    hop.family == plan.family && hop.dst == plan.next && hop.src == source(plan)
}

/// Replies are routed by their source, too (policy routing by virtual address); what goes to real servers is not.
#[inline(always)]
fn source(plan: &Plan) -> Addr {
    if plan.outward != 0 { plan.addr } else { Addr::UNSPECIFIED }
}

/// The MTU of the way that a plan takes; 0: unknown.
#[inline(always)]
pub(crate) fn mtu(hop: &Hop, plan: &Plan, now: u64) -> u32 {
    if !plan.is_tunnel() {
        return hop.mtu;
    }
    dest(plan.dest).map_or(hop.mtu, |dest| path_mtu::towards(dest, hop.mtu, now))
}

/// Asks the kernel.
#[inline(always)]
pub(crate) fn refresh(skb: Skb, plan: &Plan, now: u64) -> bool {
    let Some(hop) = entry(plan) else { return false };
    // SAFETY: plain data, for which zero is a value.
    let mut fib: bpf_fib_lookup = unsafe { zeroed() };
    ask_for(&mut fib, plan);
    // SAFETY: the context is valid, the parameters are ours and of the size given.
    let result = unsafe {
        fib.ifindex = (*skb.0).ifindex;
        helpers::bpf_fib_lookup(skb.0.cast(), &raw mut fib, size_of::<bpf_fib_lookup>() as i32, 0)
    } as u32;
    let resolved = matches!(result, BPF_FIB_LKUP_RET_SUCCESS | BPF_FIB_LKUP_RET_FRAG_NEEDED);
    let mut state = resolved as u8;
    let (ifindex, gateway) = match result {
        _ if resolved => (fib.ifindex, gateway_of(&fib, plan)),
        BPF_FIB_LKUP_RET_NO_NEIGH => (fib.ifindex, gateway_of(&fib, plan)),
        BPF_FIB_LKUP_RET_FWD_DISABLED => match configured(plan) {
            Some(way) => way,
            None => return false,
        },
        // A client on this host: addresses of our own are not forwarded to.
        BPF_FIB_LKUP_RET_NOT_FWDED if plan.outward != 0 => {
            state = LOCAL;
            (LOOPBACK, plan.next)
        }
        _ => return false,
    };
    let mut mtu = 0;
    if state != LOCAL {
        // SAFETY: the context is valid; the helper writes one word.
        unsafe { helpers::bpf_check_mtu(skb.0.cast(), ifindex, &raw mut mtu, 0, 0) };
    }
    hop.dst = plan.next;
    hop.src = source(plan);
    hop.gateway = gateway;
    hop.until = now + if state == 0 { RETRY_NS } else { HOLD_NS };
    hop.ifindex = ifindex;
    hop.mtu = mtu;
    hop.dmac = fib.dmac;
    hop.smac = fib.smac;
    hop.family = plan.family;
    hop.resolved = state;
    hop.xdp = xdp_port(ifindex).is_some_and(|port| port.native == 1) as u8;
    true
}

/// Fills in what is looked up.
#[inline(always)]
fn ask_for(fib: &mut bpf_fib_lookup, plan: &Plan) {
    fib.family = plan.family;
    if plan.family == Family::V4.raw() {
        fib.__bindgen_anon_3.ipv4_src = source(plan).last().raw();
        fib.__bindgen_anon_4.ipv4_dst = plan.next.last().raw();
    } else {
        fib.__bindgen_anon_3.ipv6_src = source(plan).words();
        fib.__bindgen_anon_4.ipv6_dst = plan.next.words();
    }
}

/// The interface with this index, if it has our program at XDP.
#[inline(always)]
pub(crate) fn xdp_port(ifindex: u32) -> Option<&'static XdpPort> {
    // SAFETY: values of arrays live as long as the program.
    let port: &XdpPort = XDP_PORTS.get_ptr(xdp_slot(ifindex)).map(|p| unsafe { &*p })?;
    (port.ifindex == ifindex).then_some(port)
}

#[inline(always)]
fn gateway_of(fib: &bpf_fib_lookup, plan: &Plan) -> Addr {
    // SAFETY: the look-up wrote the gateway here, in the family of the answer. That may be IPv6 for an IPv4 destination
    // (RFC 5549); such a gateway is not an address of the entry's family, and resolved entries don't need it.
    unsafe {
        if plan.family == Family::V4.raw() {
            Addr::v4(Be32::from_raw(fib.__bindgen_anon_4.ipv4_dst))
        } else {
            Addr::v6(fib.__bindgen_anon_4.ipv6_dst)
        }
    }
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
    let ethertype = if hop.family == Family::V4.raw() { eth::IPV4 } else { eth::IPV6 };
    Eth { dst: halves(&hop.dmac), src: halves(&hop.smac), ethertype }
}

/// A MAC address as frames are read.
#[inline(always)]
pub(crate) fn halves(mac: &[u8; 6]) -> [u16; 3] {
    [u16::from_ne_bytes([mac[0], mac[1]]), u16::from_ne_bytes([mac[2], mac[3]]), u16::from_ne_bytes([mac[4], mac[5]])]
}

/// Hands a packet to the kernel's neighbour table.
#[inline(always)]
pub(crate) fn redirect_to_neighbour(hop: &Hop) -> i32 {
    // SAFETY: plain data, for which zero is a value.
    let mut to: bpf_redir_neigh = unsafe { zeroed() };
    to.nh_family = hop.family as u32;
    if hop.family == Family::V4.raw() {
        to.__bindgen_anon_1.ipv4_nh = hop.gateway.last().raw();
    } else {
        to.__bindgen_anon_1.ipv6_nh = hop.gateway.words();
    }
    // SAFETY: the parameters are ours and of the size given.
    unsafe { helpers::bpf_redirect_neigh(hop.ifindex, &raw mut to, size_of::<bpf_redir_neigh>() as i32, 0) as i32 }
}
