//! Taking all pending packets out of a socket, with what the kernel knows of each.

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg};
use std::io::IoSliceMut;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd};

/// The longest packet taken: a VRRP advert of 255 IPv6 addresses with its trailer has 4116 bytes. Longer ones are dropped and
/// counted.
pub const LONGEST: usize = 4608;
/// The most packets taken by one call, so that a flood cannot keep the caller for ever.
pub const BATCH: usize = 64;

/// A packet as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Its bytes: of raw IPv4 with the IP header, else without.
    pub bytes: Vec<u8>,
    /// Who sent it.
    pub source: IpAddr,
    /// The sender's port; 0 where there are none.
    pub source_port: u16,
    /// Whom it was sent to; a group or an address of this host.
    pub destination: Option<IpAddr>,
    /// The number of the interface it came by.
    pub interface: u32,
    /// Its TTL or hop limit.
    pub hop_limit: Option<u8>,
}

/// What a call took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Drained {
    /// Packets handed over.
    pub packets: usize,
    /// Packets dropped as too long or not understood.
    pub dropped: usize,
    /// There may be more.
    pub more: bool,
}

/// Hands each pending packet to `each`, at most [`BATCH`]. Never waits.
pub(crate) fn drain(socket: &impl AsFd, mut each: impl FnMut(Packet)) -> Result<Drained, Errno> {
    let mut drained = Drained::default();
    let mut buffer = [0; LONGEST];
    let mut control = cmsg_space!(libc::in6_pktinfo, libc::in_pktinfo, libc::c_int, libc::c_int);
    for _ in 0..BATCH {
        match receive(socket, &mut buffer, &mut control) {
            Ok(Some(packet)) => {
                drained.packets += 1;
                each(packet);
            }
            Ok(None) => drained.dropped += 1,
            Err(Errno::EAGAIN) => return Ok(drained),
            // An ICMP error for something sent earlier: nothing was received, and the sender's own timers will tell.
            Err(Errno::EINTR | Errno::ECONNREFUSED | Errno::EHOSTUNREACH | Errno::ENETUNREACH | Errno::EHOSTDOWN) => {}
            Err(errno) => return Err(errno),
        }
    }
    drained.more = true;
    Ok(drained)
}

fn receive(socket: &impl AsFd, buffer: &mut [u8], control: &mut [u8]) -> Result<Option<Packet>, Errno> {
    let mut parts = [IoSliceMut::new(buffer)];
    let fd = socket.as_fd().as_raw_fd();
    let message = recvmsg::<SockaddrStorage>(fd, &mut parts, Some(control), MsgFlags::MSG_DONTWAIT)?;
    if message.flags.contains(MsgFlags::MSG_TRUNC) {
        return Ok(None);
    }
    let Some((source, source_port)) = message.address.and_then(address) else { return Ok(None) };
    let mut packet =
        Packet { bytes: Vec::new(), source, source_port, destination: None, interface: 0, hop_limit: None };
    for item in message.cmsgs()? {
        match item {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                packet.interface = u32::try_from(info.ipi_ifindex).unwrap_or(0);
                packet.destination = Some(Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes()).into());
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                packet.interface = info.ipi6_ifindex;
                packet.destination = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into());
            }
            ControlMessageOwned::Ipv4Ttl(limit) => packet.hop_limit = u8::try_from(limit).ok(),
            ControlMessageOwned::Ipv6HopLimit(limit) => packet.hop_limit = u8::try_from(limit).ok(),
            _ => {}
        }
    }
    let length = message.bytes;
    packet.bytes = buffer[..length].to_vec();
    Ok(Some(packet))
}

fn address(storage: SockaddrStorage) -> Option<(IpAddr, u16)> {
    let v4 = storage.as_sockaddr_in().map(|v4| (v4.ip().into(), v4.port()));
    v4.or_else(|| storage.as_sockaddr_in6().map(|v6| (v6.ip().into(), v6.port())))
}
