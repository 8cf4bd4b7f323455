//! The real server's end of a tunnel: takes IP-in-IP apart (RFC 2003), where the kernel has no tunnel device for it.

use crate::access::Skb;
use aya_ebpf::bindings::{BPF_F_ADJ_ROOM_FIXED_GSO, TC_ACT_SHOT, TC_ACT_UNSPEC, bpf_adj_room_mode::BPF_ADJ_ROOM_MAC};
use aya_ebpf::helpers::generated as helpers;
use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;
use rvs_core::flow::L3;
use rvs_core::packet::Packet;
use rvs_wire::eth::{self, Eth};
use rvs_wire::ipv4::{self, Ipv4, proto};

/// Takes the outer header off packets that are IP in IP for this host; leaves all others alone.
#[classifier]
pub fn rvs_decap(ctx: TcContext) -> i32 {
    let skb = Skb(ctx.skb.skb);
    if !is_tunnelled(skb) {
        return TC_ACT_UNSPEC;
    }
    let flags = BPF_F_ADJ_ROOM_FIXED_GSO as u64;
    // SAFETY: the context is valid.
    let shrunk = unsafe { helpers::bpf_skb_adjust_room(skb.0, -(ipv4::LEN as i32), BPF_ADJ_ROOM_MAC, flags) };
    if shrunk == 0 { TC_ACT_UNSPEC } else { TC_ACT_SHOT }
}

/// A whole packet with an outer header without options, and IPv4 inside.
#[inline(always)]
fn is_tunnelled(skb: Skb) -> bool {
    // SAFETY: the kernel hands a valid context to the program.
    if unsafe { (*skb.0).pkt_type } != 0 {
        return false;
    }
    // Step by step: joined by `&&`, the compiler reads ahead of the checks and the verifier objects.
    let Some(frame) = skb.read::<Eth>(0) else { return false };
    if frame.ethertype != eth::IPV4 {
        return false;
    }
    let Some(outer) = skb.read::<Ipv4>(L3) else { return false };
    if outer.version_ihl != 0x45 || outer.is_fragment() || outer.proto != proto::IPIP {
        return false;
    }
    let Some(inner) = skb.read::<Ipv4>(L3 + ipv4::LEN) else { return false };
    inner.header_len().is_some()
}
