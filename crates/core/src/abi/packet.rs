//! Records that packets are sent and told apart by: next hops, interfaces, fates of fragments, rules for marks.

use super::*;

/// A next hop, cached per CPU: value of the map `HOPS`.
#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct Hop {
    /// The IP destination that this entry is for.
    pub dst: Addr,
    /// The IP source that it is for; unspecified for packets to real servers.
    pub src: Addr,
    /// The gateway's address, or the destination's own.
    pub gateway: Addr,
    /// Valid until (coarse monotonic nanoseconds).
    pub until: u64,
    /// Way out.
    pub ifindex: u32,
    /// Its MTU for this route; 0: unknown.
    pub mtu: u32,
    /// Destination MAC.
    pub dmac: [u8; 6],
    /// Source MAC.
    pub smac: [u8; 6],
    /// Family of `dst`.
    pub family: u8,
    /// 1: the MAC addresses are good; 2: the next hop is this host itself.
    pub resolved: u8,
    /// 1: the way out takes frames from XDP.
    pub xdp: u8,
    /// Zero.
    pub pad: u8,
}

/// An interface that has `rvs_xdp`: value of the map `XDP_PORTS`, at [`xdp_slot`] of its index.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct XdpPort {
    /// Its index; 0: none here.
    pub ifindex: u32,
    /// Its MAC address: XDP sees also frames for others when the interface listens to all.
    pub mac: [u8; 6],
    /// 1: in the driver, which then takes frames from XDP, too; 0: before the stack.
    pub native: u8,
    /// Zero.
    pub pad: u8,
}

/// What became of the first fragment of a packet: value of the map `FATES`.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Fate {
    /// Until when it holds (coarse monotonic nanoseconds).
    pub expires: u64,
    /// Forwarded: the connection.
    pub conn: ConnId,
    /// Its [`Conn::serial`].
    pub serial: u32,
    /// One of [`fates`].
    pub kind: u8,
    /// Forwarded: 1 towards the client.
    pub outward: u8,
    /// Zero.
    pub pad: [u8; 6],
}

/// Values of [`Fate::kind`].
pub mod fates {
    /// Left to the host.
    pub const PASSED: u8 = 0;
    /// Sent on.
    pub const FORWARDED: u8 = 1;
    /// Dropped.
    pub const DROPPED: u8 = 2;
}

/// A rule that marks packets: value of the map `MARK_RULES`. A new connection's packet gets the mark of the first rule that it
/// matches.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct MarkRule {
    /// Network of the source, under `src_mask`.
    pub src: Addr,
    /// Its mask; all zero: any source.
    pub src_mask: Addr,
    /// Network of the destination, under `dst_mask`.
    pub dst: Addr,
    /// Its mask.
    pub dst_mask: Addr,
    /// Destination ports, each from the first to the second, host order; 0 to 0: unused, except that the first pair then means
    /// any port.
    pub ports: [[u16; 2]; MARK_RANGES],
    /// The mark; never 0.
    pub mark: u32,
    /// IP protocol; 0: any.
    pub proto: u8,
    /// Address family.
    pub family: u8,
    /// Zero.
    pub pad: u16,
}

/// A health check by the virtual service: value of the map `PROBES`, under its firewall mark. See [`crate::probe`].
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Probe {
    /// Address of the real server, which the checker connects to.
    pub rip: Addr,
    /// Address of the virtual service.
    pub vip: Addr,
    /// Port of the real server, which the checker connects to.
    pub rport: Be16,
    /// Port of the virtual service.
    pub vport: Be16,
    /// Family of both addresses.
    pub family: u8,
    /// [`Forward::Route`] or [`Forward::Tunnel`].
    pub forward: u8,
    /// Tunnel type.
    pub tun_type: u8,
    /// Tunnel flags.
    pub tun_flags: u8,
    /// Tunnel port.
    pub tun_port: Be16,
    /// Zero.
    pub pad: [u16; 3],
}

/// Most entries of `PROBES`.
pub const MAX_PROBES: u32 = 16384;

/// Whom a health check went to: value of the map `PROBE_FLOWS`, under what its answer comes with.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct ProbeFlow {
    /// Address of the real server.
    pub rip: Addr,
    /// Its port.
    pub rport: Be16,
    /// Zero.
    pub pad: [u16; 3],
}

/// Ranges of ports in a [`MarkRule`].
pub const MARK_RANGES: usize = 6;
/// Entries of `MARK_RULES`: two lists, of which one holds.
pub const MARK_RULES: u32 = 256;

/// Entries of `XDP_PORTS`.
pub const XDP_SLOTS: u32 = 256;

/// Where an interface is kept in `XDP_PORTS`. Two with the same slot can't both have XDP's help; TC serves the other.
#[inline(always)]
pub const fn xdp_slot(ifindex: u32) -> u32 {
    ifindex % XDP_SLOTS
}
