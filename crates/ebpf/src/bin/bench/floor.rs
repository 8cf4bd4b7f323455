//! The floor: what forwarding a packet costs at least. It parses, looks up one entry of a hash map and rewrites the MAC
//! addresses; no counter, no checksum, no state, no expiry. Ratios to it travel between machines. Never part of a director.

use crate::bare::{BARE_FLOWS, Key, Target};
use aya_ebpf::bindings::xdp_action;
use aya_ebpf::btf_maps::HashMap;
use aya_ebpf::helpers::generated as helpers;
use aya_ebpf::macros::{btf_map, classifier, xdp};
use aya_ebpf::programs::{TcContext, XdpContext};
use core::mem::size_of;
use rvs_wire::eth::{self, Eth};
use rvs_wire::ipv4::{self, Ipv4};
use rvs_wire::ipv6::{self, Ipv6};
use rvs_wire::udp::Ports;
use rvs_wire::{Addr, Be16};

/// `TC_ACT_SHOT`.
const SHOT: i32 = 2;

/// The floor at XDP.
#[xdp]
pub fn floor_xdp(ctx: XdpContext) -> u32 {
    match out(ctx.data(), ctx.data_end()) {
        // SAFETY: a helper that takes two numbers.
        Some(ifindex) => unsafe { helpers::bpf_redirect(ifindex, 0) as u32 },
        None => xdp_action::XDP_DROP,
    }
}

/// The floor at TC.
#[classifier]
pub fn floor_tc(ctx: TcContext) -> i32 {
    match out(ctx.data(), ctx.data_end()) {
        // SAFETY: as above.
        Some(ifindex) => unsafe { helpers::bpf_redirect(ifindex, 0) as i32 },
        None => SHOT,
    }
}

/// Rewrites the MAC addresses as the flow's entry tells, and returns the interface to leave by. IPv4 without options.
#[inline(always)]
fn out(start: usize, end: usize) -> Option<u32> {
    const L4: usize = eth::LEN + ipv4::LEN;
    if start + L4 + size_of::<Ports>() > end {
        return None;
    }
    let (eth, ip, ports) = (start as *mut Eth, (start + eth::LEN) as *const Ipv4, (start + L4) as *const Ports);
    // SAFETY: all three lie within the packet, as just compared; map values live as long as the program.
    unsafe {
        if (*eth).ethertype != eth::IPV4 || (*ip).version_ihl != 0x45 || (*ip).is_fragment() {
            return None;
        }
        let (sport, dport) = ((*ports).sport, (*ports).dport);
        let key = Key { src: (*ip).src, dst: (*ip).dst, sport, dport, proto: (*ip).proto as u32 };
        let target: *const Target = BARE_FLOWS.get_ptr(&key)?;
        let [a, b, c, d, e, f] = (*target).mac;
        *eth = Eth { dst: [a, b, c], src: [d, e, f], ethertype: eth::IPV4 };
        Some((*target).ifindex)
    }
}

/// A flow of IPv6.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Key6 {
    src: Addr,
    dst: Addr,
    sport: Be16,
    dport: Be16,
    proto: u32,
}

#[btf_map]
static FLOOR6_FLOWS: HashMap<Key6, Target, 1024> = HashMap::new();

/// The floor of IPv6 at XDP.
#[xdp]
pub fn floor6_xdp(ctx: XdpContext) -> u32 {
    match out6(ctx.data(), ctx.data_end()) {
        // SAFETY: as above.
        Some(ifindex) => unsafe { helpers::bpf_redirect(ifindex, 0) as u32 },
        None => xdp_action::XDP_DROP,
    }
}

/// The floor of IPv6 at TC.
#[classifier]
pub fn floor6_tc(ctx: TcContext) -> i32 {
    match out6(ctx.data(), ctx.data_end()) {
        // SAFETY: as above.
        Some(ifindex) => unsafe { helpers::bpf_redirect(ifindex, 0) as i32 },
        None => SHOT,
    }
}

/// The same for IPv6 without extension headers: programs of their own, so that neither family pays for telling them apart.
#[inline(always)]
fn out6(start: usize, end: usize) -> Option<u32> {
    const L4: usize = eth::LEN + ipv6::LEN;
    if start + L4 + size_of::<Ports>() > end {
        return None;
    }
    let (eth, ip, ports) = (start as *mut Eth, (start + eth::LEN) as *const Ipv6, (start + L4) as *const Ports);
    // SAFETY: as above.
    unsafe {
        if (*eth).ethertype != eth::IPV6 {
            return None;
        }
        let (sport, dport) = ((*ports).sport, (*ports).dport);
        let key = Key6 { src: (*ip).src, dst: (*ip).dst, sport, dport, proto: (*ip).next as u32 };
        let target: *const Target = FLOOR6_FLOWS.get_ptr(&key)?;
        let [a, b, c, d, e, f] = (*target).mac;
        *eth = Eth { dst: [a, b, c], src: [d, e, f], ethertype: eth::IPV6 };
        Some((*target).ifindex)
    }
}
