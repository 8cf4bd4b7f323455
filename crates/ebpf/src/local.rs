//! Real servers that are this host: packets are left to its own stack, unchanged.
//!
//! Where such a server is configured for masquerading with another address or port than the service's, the packet is steered
//! to the socket that listens there, instead of being rewritten: a TCP connection then has the virtual address on both sides, and
//! replies need no translation. Those of UDP get theirs at the way out ([`rvs_core::here`]).

use crate::access::Skb;
use aya_ebpf::bindings::bpf_sock_tuple;
use aya_ebpf::helpers::generated as helpers;
use core::mem::{size_of_val, zeroed};
use rvs_core::flow::{Flow, piece};
use rvs_core::plan::Plan;
use rvs_wire::ipv4::proto;
use rvs_wire::tcp::RST;

/// In this network namespace.
const HERE: u64 = -1i64 as u64;

/// Steers a packet for a destination on this host to the socket it is for. `false`: there is none, and the packet must not get
/// to whoever listens at the service's own address and port.
#[inline(always)]
pub(crate) fn steer(skb: Skb, flow: &Flow, plan: &Plan) -> bool {
    if plan.here == 0 || !flow.has_ports() || flow.piece != piece::WHOLE {
        return true;
    }
    match flow.proto {
        proto::TCP if is_established(skb, flow) => true,
        // No RST is answered by another.
        proto::TCP => assign(skb, flow, plan) || flow.tcp_flags & RST != 0,
        proto::UDP => assign(skb, flow, plan),
        _ => true,
    }
}

/// Whether a socket knows the packet's connection: it needs no help then, and must not be handed to a listener.
#[inline(always)]
fn is_established(skb: Skb, flow: &Flow) -> bool {
    const LISTEN: u32 = 10;
    // SAFETY: plain data, for which zero is a value.
    let mut tuple: bpf_sock_tuple = unsafe { zeroed() };
    let len = fill(&mut tuple, flow, &flow.key.dst, flow.key.dport.raw());
    // SAFETY: the context is valid, the tuple ours and of the size given; the socket is released.
    unsafe {
        let socket = helpers::bpf_skc_lookup_tcp(skb.0.cast(), &raw mut tuple, len, HERE, 0);
        if socket.is_null() {
            return false;
        }
        let state = (*socket).state;
        helpers::bpf_sk_release(socket.cast());
        state != LISTEN
    }
}

/// Hands the packet to the socket bound to the destination's address and port; `false`: there is none.
#[inline(always)]
fn assign(skb: Skb, flow: &Flow, plan: &Plan) -> bool {
    // SAFETY: as above.
    let mut tuple: bpf_sock_tuple = unsafe { zeroed() };
    let len = fill(&mut tuple, flow, &plan.addr, plan.port.raw());
    // SAFETY: as above.
    unsafe {
        let socket = if flow.proto == proto::TCP {
            helpers::bpf_skc_lookup_tcp(skb.0.cast(), &raw mut tuple, len, HERE, 0)
        } else {
            helpers::bpf_sk_lookup_udp(skb.0.cast(), &raw mut tuple, len, HERE, 0)
        };
        if socket.is_null() {
            return false;
        }
        helpers::bpf_sk_assign(skb.0.cast(), socket.cast(), 0);
        helpers::bpf_sk_release(socket.cast());
    }
    true
}

/// Fills in the client's side of the flow and a side here; the length that goes with the family.
#[inline(always)]
fn fill(tuple: &mut bpf_sock_tuple, flow: &Flow, addr: &rvs_wire::Addr, port: u16) -> u32 {
    // SAFETY: either part of the union is plain data.
    unsafe {
        if flow.is_v6() {
            let v6 = &mut tuple.__bindgen_anon_1.ipv6;
            v6.saddr = flow.key.src.words();
            v6.daddr = addr.words();
            v6.sport = flow.key.sport.raw();
            v6.dport = port;
            return size_of_val(v6) as u32;
        }
        let v4 = &mut tuple.__bindgen_anon_1.ipv4;
        v4.saddr = flow.key.src.last().raw();
        v4.daddr = addr.last().raw();
        v4.sport = flow.key.sport.raw();
        v4.dport = port;
        size_of_val(v4) as u32
    }
}
