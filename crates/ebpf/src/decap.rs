//! The real server's end of a tunnel: takes IP-in-IP (RFC 2003, RFC 2473, RFC 4213), GRE (RFC 2784) and GUE apart, any family in
//! any, where the kernel has no tunnel device for it.

use crate::access::Skb;
use crate::maps::gue_port;
use aya_ebpf::bindings::{
    BPF_F_ADJ_ROOM_DECAP_L3_IPV4, BPF_F_ADJ_ROOM_DECAP_L3_IPV6, BPF_F_ADJ_ROOM_FIXED_GSO,
    BPF_FIB_LKUP_RET_FWD_DISABLED, BPF_FIB_LKUP_RET_NOT_FWDED, TC_ACT_SHOT, TC_ACT_UNSPEC,
    bpf_adj_room_mode::BPF_ADJ_ROOM_MAC, bpf_fib_lookup,
};
use aya_ebpf::helpers::generated as helpers;
use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;
use core::mem::{size_of, zeroed};
use rvs_core::flow::L3;
use rvs_core::packet::{Packet, PacketMut};
use rvs_wire::eth::{self, Eth};
use rvs_wire::ipv4::{self, Ipv4, proto};
use rvs_wire::ipv6::{self, Ipv6};
use rvs_wire::tunnel::{Gre, GreSum, Gue};
use rvs_wire::udp::Udp;
use rvs_wire::{Be16, Family};

/// A tunnel around a packet.
#[derive(Clone, Copy)]
struct Wrapped {
    /// Bytes in front of the inner packet, behind the frame's header.
    len: usize,
    /// EtherType of the inner packet.
    inside: Be16,
}

/// Takes the outer headers off packets that are tunnelled to this host; leaves all others alone.
#[classifier]
pub fn rvs_decap(ctx: TcContext) -> i32 {
    let skb = Skb(ctx.skb.skb);
    // SAFETY: the kernel hands a valid context to the program.
    if unsafe { (*skb.0).pkt_type } != 0 {
        return TC_ACT_UNSPEC;
    }
    let Some(frame) = skb.read::<Eth>(0) else { return TC_ACT_UNSPEC };
    let Some(wrapped) = look(skb, frame.ethertype) else { return TC_ACT_UNSPEC };
    if !ends_here(skb, frame.ethertype) {
        return TC_ACT_UNSPEC;
    }
    if unwrap(skb, frame, wrapped).is_some() { TC_ACT_UNSPEC } else { TC_ACT_SHOT }
}

/// Whether the tunnel ends at this host: a router passes those of others on. (A host that doesn't forward has no use for what is
/// not its own, and the kernel doesn't look it up.)
#[inline(always)]
fn ends_here(skb: Skb, outside: Be16) -> bool {
    // SAFETY: plain data, for which zero is a value.
    let mut fib: bpf_fib_lookup = unsafe { zeroed() };
    if outside == eth::IPV4 {
        let Some(outer) = skb.read::<Ipv4>(L3) else { return false };
        fib.family = Family::V4.raw();
        fib.__bindgen_anon_3.ipv4_src = outer.src.raw();
        fib.__bindgen_anon_4.ipv4_dst = outer.dst.raw();
    } else {
        let Some(outer) = skb.read::<Ipv6>(L3) else { return false };
        fib.family = Family::V6.raw();
        fib.__bindgen_anon_3.ipv6_src = outer.src.words();
        fib.__bindgen_anon_4.ipv6_dst = outer.dst.words();
    }
    // SAFETY: the context is valid, the parameters are ours and of the size given.
    let result = unsafe {
        fib.ifindex = (*skb.0).ifindex;
        helpers::bpf_fib_lookup(skb.0.cast(), &raw mut fib, size_of::<bpf_fib_lookup>() as i32, 0)
    } as u32;
    matches!(result, BPF_FIB_LKUP_RET_NOT_FWDED | BPF_FIB_LKUP_RET_FWD_DISABLED)
}

/// Whether the packet is a tunnel's: whole, with an outer header without options.
#[inline(always)]
fn look(skb: Skb, outside: Be16) -> Option<Wrapped> {
    // Step by step: joined by `&&`, the compiler reads ahead of the checks and the verifier objects.
    let (proto, at) = if outside == eth::IPV4 {
        let outer: Ipv4 = skb.read(L3)?;
        if outer.version_ihl != 0x45 || outer.is_fragment() {
            return None;
        }
        (outer.proto, ipv4::LEN)
    } else if outside == eth::IPV6 {
        (skb.read::<Ipv6>(L3)?.next, ipv6::LEN)
    } else {
        return None;
    };
    let wrapped = match proto {
        proto::IPIP => Wrapped { len: at, inside: eth::IPV4 },
        proto::IPV6 => Wrapped { len: at, inside: eth::IPV6 },
        proto::GRE => gre(skb, at)?,
        proto::UDP => gue(skb, at)?,
        _ => return None,
    };
    is_packet(skb, wrapped).then_some(wrapped)
}

/// GRE without options but a checksum, which is left to the inner packet's own.
#[inline(always)]
fn gre(skb: Skb, at: usize) -> Option<Wrapped> {
    let head: Gre = skb.read(L3 + at)?;
    let len = if head.flags == Be16::ZERO {
        size_of::<Gre>()
    } else if head.flags == Gre::CHECKSUM {
        size_of::<GreSum>()
    } else {
        return None;
    };
    Some(Wrapped { len: at + len, inside: head.protocol })
}

/// GUE of version 0 without options, to the port that was configured.
#[inline(always)]
fn gue(skb: Skb, at: usize) -> Option<Wrapped> {
    let udp: Udp = skb.read(L3 + at)?;
    if udp.dport != gue_port() {
        return None;
    }
    let head: Gue = skb.read(L3 + at + size_of::<Udp>())?;
    if head.version != 0 || head.flags != Be16::ZERO {
        return None;
    }
    let inside = match head.protocol {
        proto::IPIP => eth::IPV4,
        proto::IPV6 => eth::IPV6,
        _ => return None,
    };
    Some(Wrapped { len: at + size_of::<Udp>() + Gue::LEN, inside })
}

/// Whether what is inside begins like a packet of its family.
#[inline(always)]
fn is_packet(skb: Skb, wrapped: Wrapped) -> bool {
    if wrapped.inside == eth::IPV4 {
        return skb.read::<Ipv4>(L3 + wrapped.len).is_some_and(|inner| inner.header_len().is_some());
    }
    wrapped.inside == eth::IPV6 && skb.read::<Ipv6>(L3 + wrapped.len).is_some_and(|inner| inner.is_valid())
}

/// Takes the outer headers off.
#[inline(always)]
fn unwrap(skb: Skb, frame: Eth, wrapped: Wrapped) -> Option<()> {
    // Older kernels don't know the flags, and need none where the family stays.
    let family = if frame.ethertype == wrapped.inside {
        0
    } else if wrapped.inside == eth::IPV4 {
        BPF_F_ADJ_ROOM_DECAP_L3_IPV4
    } else {
        BPF_F_ADJ_ROOM_DECAP_L3_IPV6
    };
    let flags = (BPF_F_ADJ_ROOM_FIXED_GSO | family) as u64;
    // SAFETY: the context is valid.
    let shrunk = unsafe { helpers::bpf_skb_adjust_room(skb.0, -(wrapped.len as i32), BPF_ADJ_ROOM_MAC, flags) };
    if shrunk != 0 {
        return None;
    }
    let mut packet = skb;
    packet.write(0, Eth { ethertype: wrapped.inside, ..frame })
}
