//! A balancer stripped to the bone, to measure the real one against in the same run: options, states, timeouts, services and
//! reasons are left out; what stays is one look-up by five words, the rewrite, one counter and the way out. Never part of a
//! director.

use aya_ebpf::bindings::xdp_action;
use aya_ebpf::btf_maps::{HashMap, PerCpuArray};
use aya_ebpf::helpers::generated as helpers;
use aya_ebpf::macros::{btf_map, xdp};
use aya_ebpf::programs::XdpContext;
use core::mem::size_of;
use rvs_wire::checksum::Delta;
use rvs_wire::eth::{self, Eth};
use rvs_wire::ipv4::{self, Ipv4, proto};
use rvs_wire::tcp;
use rvs_wire::udp::Ports;
use rvs_wire::{Be16, Be32};

/// A flow, IPv4 only.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Key {
    pub(crate) src: Be32,
    pub(crate) dst: Be32,
    pub(crate) sport: Be16,
    pub(crate) dport: Be16,
    pub(crate) proto: u32,
}

/// Where it goes: 0 NAT, 3 DR, 2 TUN, as the kernel numbers them.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Target {
    addr: Be32,
    source: Be32,
    port: Be16,
    forward: u16,
    pub(crate) mac: [u16; 6],
    pub(crate) ifindex: u32,
    last: u64,
}

#[btf_map]
pub(crate) static BARE_FLOWS: HashMap<Key, Target, 1048576> = HashMap::new();
#[btf_map]
static BARE_STATS: PerCpuArray<[u64; 2], 16> = PerCpuArray::new();

#[inline(always)]
fn at<T>(ctx: &XdpContext, offset: usize) -> Option<*mut T> {
    let (start, end) = (ctx.data(), ctx.data_end());
    if start + offset + size_of::<T>() > end { None } else { Some((start + offset) as *mut T) }
}

/// Forwards TCP over IPv4 without options.
#[xdp]
pub fn bare_xdp(ctx: XdpContext) -> u32 {
    forward(&ctx).unwrap_or(xdp_action::XDP_PASS)
}

#[inline(always)]
fn forward(ctx: &XdpContext) -> Option<u32> {
    const L4: usize = eth::LEN + ipv4::LEN;
    // SAFETY: every pointer was checked by `at` and is used before the packet changes; map values live as long as the program.
    unsafe {
        let ip: *mut Ipv4 = at(ctx, eth::LEN)?;
        let ports: *mut Ports = at(ctx, L4)?;
        let checksum: *mut Be16 = at(ctx, L4 + tcp::CHECKSUM)?;
        if (*at::<Eth>(ctx, 0)?).ethertype != eth::IPV4 || (*ip).version_ihl != 0x45 || (*ip).is_fragment() {
            return None;
        }
        let len = (*ip).total_len;
        let (sport, dport) = ((*ports).sport, (*ports).dport);
        let key = Key { src: (*ip).src, dst: (*ip).dst, sport, dport, proto: (*ip).proto as u32 };
        let target: *mut Target = BARE_FLOWS.get_ptr_mut(&key)?;
        (*target).last = helpers::bpf_ktime_get_coarse_ns();
        let stats = BARE_STATS.get_ptr_mut(0)?;
        (*stats)[0] += 1;
        (*stats)[1] += len.host() as u64;
        let to = *target;
        let mut header = (*ip).hop();
        if to.forward == 0 {
            let delta = Delta::NONE.dword(header.dst, to.addr);
            header.dst = to.addr;
            header.checksum = delta.apply(header.checksum);
            *checksum = delta.word(dport, to.port).apply(*checksum);
            (*ports).dport = to.port;
        }
        *ip = header;
        if to.forward == 2 {
            if helpers::bpf_xdp_adjust_head(ctx.ctx, -(ipv4::LEN as i32)) != 0 {
                return Some(xdp_action::XDP_DROP);
            }
            let outer: *mut Ipv4 = at(ctx, eth::LEN)?;
            *outer = Ipv4 {
                version_ihl: 0x45,
                tos: 0,
                total_len: Be16::new(len.host().wrapping_add(ipv4::LEN as u16)),
                id: Be16::ZERO,
                frag: Be16::ZERO,
                ttl: 64,
                proto: proto::IPIP,
                checksum: Be16::ZERO,
                src: to.source,
                dst: to.addr,
            }
            .with_checksum();
        }
        let [a, b, c, d, e, f] = to.mac;
        *at::<Eth>(ctx, 0)? = Eth { dst: [a, b, c], src: [d, e, f], ethertype: eth::IPV4 };
        Some(helpers::bpf_redirect(to.ifindex, 0) as u32)
    }
}
