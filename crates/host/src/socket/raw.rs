//! Raw sockets of VRRP (protocol 112) and its authentication header (51), one per interface and family. What the packets say
//! is not known here.

use super::receive::{Drained, Packet, drain};
use crate::net::NetError;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn, SockaddrIn6, sendmsg, setsockopt, sockopt};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use std::io::IoSlice;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// `IPPROTO_VRRP`.
pub const VRRP: u8 = 112;
/// `IPPROTO_AH`.
pub const AH: u8 = 51;
/// The hop limit of all VRRP packets to groups.
const HOP_LIMIT: u32 = 255;
/// Type of service 0xc0: network control.
const CONTROL: u32 = 0xc0;

/// What a raw socket is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawOptions {
    /// [`VRRP`] or [`AH`].
    pub protocol: u8,
    /// Of IPv6; else of IPv4.
    pub ipv6: bool,
    /// The interface, by name and number. `None`: any, for unicast peers that need no interface.
    pub interface: Option<(String, u32)>,
    /// The groups to join on the interface; several instances of one interface may use different ones.
    pub groups: Vec<IpAddr>,
    /// Only to send by: the kernel keeps next to nothing of what arrives.
    pub send_only: bool,
    /// Room for what was not read yet, in bytes; `kernel_rx_buf_size`, `vrrp_rx_bufs_policy`. `None`: the kernel's default.
    pub room: Option<usize>,
}

/// A raw socket.
#[derive(Debug)]
pub struct RawSocket {
    socket: Socket,
    ipv6: bool,
    index: u32,
}

impl RawSocket {
    /// Opens it in the calling thread's network namespace. Needs `CAP_NET_RAW`.
    pub fn open(options: &RawOptions) -> Result<Self, NetError> {
        let place = options.interface.as_ref().map_or_else(|| "any interface".to_owned(), |(name, _)| name.clone());
        let failed = |error: std::io::Error| {
            let errno = Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
            NetError::new(format!("opening a raw socket of protocol {} on {place}", options.protocol), errno)
        };
        Self::open_io(options).map_err(failed)
    }

    fn open_io(options: &RawOptions) -> std::io::Result<Self> {
        let domain = if options.ipv6 { Domain::IPV6 } else { Domain::IPV4 };
        let socket =
            Socket::new(domain, Type::RAW.nonblocking().cloexec(), Some(Protocol::from(i32::from(options.protocol))))?;
        let mut index = 0;
        if let Some((name, number)) = &options.interface {
            socket.bind_device(Some(name.as_bytes()))?;
            index = *number;
        }
        match (options.send_only, options.room) {
            (true, _) => setsockopt(&socket, sockopt::RcvBuf, &0)?,
            (false, Some(bytes)) => setsockopt(&socket, sockopt::RcvBufForce, &bytes)
                .or_else(|_| setsockopt(&socket, sockopt::RcvBuf, &bytes))?,
            (false, None) => {}
        }
        if options.ipv6 {
            socket.set_unicast_hops_v6(HOP_LIMIT)?;
            socket.set_multicast_hops_v6(HOP_LIMIT)?;
            socket.set_multicast_loop_v6(false)?;
            socket.set_tclass_v6(CONTROL)?;
            if index != 0 {
                socket.set_multicast_if_v6(index)?;
            }
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
            setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true)?;
        } else {
            socket.set_header_included_v4(true)?;
            socket.set_multicast_loop_v4(false)?;
            setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
            setsockopt(&socket, sockopt::Ipv4RecvTtl, &true)?;
        }
        let opened = Self { socket, ipv6: options.ipv6, index };
        for group in &options.groups {
            opened.join(*group)?;
        }
        Ok(opened)
    }

    /// Joins a group on the socket's interface; joining again is nothing.
    pub fn join(&self, group: IpAddr) -> std::io::Result<()> {
        let joined = match group {
            IpAddr::V4(group) => self.socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(self.index)),
            IpAddr::V6(group) => self.socket.join_multicast_v6(&group, self.index),
        };
        match joined {
            Err(error) if error.raw_os_error() == Some(libc::EADDRINUSE) => Ok(()),
            other => other,
        }
    }

    /// Sends a packet of IPv4 with its header: source, TTL and all are as the bytes say; the kernel fills in the header's
    /// checksum, total length and, where it is 0, the identification.
    pub fn send_v4(&self, bytes: &[u8], to: Ipv4Addr) -> Result<(), Errno> {
        let to = SockaddrIn::from(SocketAddrV4::new(to, 0));
        let parts = [IoSlice::new(bytes)];
        sendmsg(self.socket.as_raw_fd(), &parts, &[], MsgFlags::MSG_DONTWAIT, Some(&to)).map(drop)
    }

    /// Sends what follows the IPv6 header, from this source, with this hop limit.
    pub fn send_v6(&self, bytes: &[u8], from: Ipv6Addr, to: Ipv6Addr, hop_limit: u8) -> Result<(), Errno> {
        let scope = if to.is_multicast() || to.is_unicast_link_local() { self.index } else { 0 };
        let to = SockaddrIn6::from(SocketAddrV6::new(to, 0, 0, scope));
        let info = libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: from.octets() }, ipi6_ifindex: self.index };
        let limit = libc::c_int::from(hop_limit);
        let control = [ControlMessage::Ipv6PacketInfo(&info), ControlMessage::Ipv6HopLimit(&limit)];
        sendmsg(self.socket.as_raw_fd(), &[IoSlice::new(bytes)], &control, MsgFlags::MSG_DONTWAIT, Some(&to)).map(drop)
    }

    /// Hands each pending packet to `each`, as many as one batch holds. Never waits.
    pub fn drain(&self, each: impl FnMut(Packet)) -> Result<Drained, Errno> {
        drain(&self.socket, each)
    }

    /// Whether it is of IPv6.
    pub const fn is_ipv6(&self) -> bool {
        self.ipv6
    }
}

impl AsFd for RawSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Rtnl;
    use crate::testing::{Ns, eventually, is_root, joined};

    const GROUP4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
    const GROUP6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);

    fn open(ns: &Ns, name: &str, ipv6: bool, groups: &[IpAddr]) -> RawSocket {
        ns.run(|| {
            let index = Rtnl::open().unwrap().interface_named(name).unwrap().unwrap().index;
            RawSocket::open(&RawOptions {
                protocol: VRRP,
                ipv6,
                interface: Some((name.into(), index)),
                groups: groups.to_vec(),
                send_only: false,
                room: Some(65536),
            })
            .unwrap()
        })
    }

    fn header(source: Ipv4Addr, to: Ipv4Addr, ttl: u8) -> Vec<u8> {
        let mut bytes = vec![0x45, 0xc0, 0, 0, 0, 0, 0, 0, ttl, VRRP, 0, 0];
        bytes.extend(source.octets());
        bytes.extend(to.octets());
        bytes.extend(b"advert");
        bytes
    }

    fn one(socket: &RawSocket) -> Packet {
        let mut found = None;
        eventually("packet", || {
            socket.drain(|packet| found = Some(packet)).unwrap();
            found.is_some()
        });
        found.unwrap()
    }

    #[test]
    fn an_ipv4_advert_reaches_the_group_as_it_was_made() {
        if !is_root() {
            return;
        }
        let (left, right) = joined();
        let sender = open(&left, "v0", false, &[GROUP4.into()]);
        let receiver = open(&right, "v1", false, &[GROUP4.into()]);
        receiver.join(GROUP4.into()).unwrap();
        let hidden = Ipv4Addr::new(192, 0, 2, 1); // No address of the sender: `mcast_src_ip` may hide it.
        for source in [Ipv4Addr::new(10, 9, 0, 1), hidden] {
            sender.send_v4(&header(source, GROUP4, 255), GROUP4).unwrap();
            let packet = one(&receiver);
            assert_eq!((packet.source, packet.destination), (source.into(), Some(GROUP4.into())));
            assert_eq!(packet.hop_limit, Some(255));
            assert_eq!(packet.bytes[1], 0xc0);
            assert_eq!(packet.bytes[12..16], source.octets());
            assert_eq!(&packet.bytes[20..], b"advert");
            assert!(packet.interface > 0);
        }
        assert_eq!(sender.drain(|packet| panic!("heard itself: {packet:?}")).unwrap(), Drained::default());
        let peer = Ipv4Addr::new(10, 9, 0, 2);
        sender.send_v4(&header(Ipv4Addr::new(10, 9, 0, 1), peer, 17), peer).unwrap();
        let packet = one(&receiver);
        assert_eq!((packet.destination, packet.hop_limit), (Some(peer.into()), Some(17)));
    }

    #[test]
    fn an_ipv6_advert_comes_with_addresses_and_hop_limit() {
        if !is_root() {
            return;
        }
        let (left, right) = joined();
        let sender = open(&left, "v0", true, &[]);
        let receiver = open(&right, "v1", true, &[GROUP6.into()]);
        let from: Ipv6Addr = "fd09::1".parse().unwrap();
        for (to, limit) in [(GROUP6, 255), ("fd09::2".parse().unwrap(), 64)] {
            sender.send_v6(b"advert", from, to, limit).unwrap();
            let packet = one(&receiver);
            assert_eq!((packet.source, packet.destination), (from.into(), Some(to.into())));
            assert_eq!((packet.hop_limit, packet.bytes.as_slice()), (Some(limit), &b"advert"[..]));
        }
    }

    #[test]
    fn a_flood_is_taken_in_batches_and_what_is_too_long_is_dropped() {
        if !is_root() {
            return;
        }
        let (left, right) = joined();
        let sender = open(&left, "v0", true, &[]);
        let receiver = open(&right, "v1", true, &[]);
        let (from, to) = ("fd09::1".parse().unwrap(), "fd09::2".parse().unwrap());
        sender.send_v6(b"first", from, to, 255).unwrap();
        one(&receiver); // The neighbour is known from here on.
        sender.send_v6(&[0; 5000], from, to, 255).unwrap();
        for _ in 0..super::super::receive::BATCH {
            sender.send_v6(b"x", from, to, 255).unwrap();
        }
        let mut all = Drained::default();
        let mut most = 0;
        eventually("all", || {
            let drained = receiver.drain(|_| {}).unwrap();
            most = most.max(drained.packets + drained.dropped);
            all.packets += drained.packets;
            all.dropped += drained.dropped;
            all.packets == super::super::receive::BATCH
        });
        assert_eq!(all.dropped, 1);
        assert!(most <= super::super::receive::BATCH);
    }

    #[test]
    fn a_missing_interface_is_named() {
        if !is_root() {
            return;
        }
        let options = RawOptions {
            protocol: VRRP,
            ipv6: false,
            interface: Some(("nosuch0".into(), 99)),
            groups: vec![],
            send_only: true,
            room: None,
        };
        let error = Ns::new().run(|| RawSocket::open(&options).unwrap_err());
        assert_eq!(error.to_string(), "opening a raw socket of protocol 112 on nosuch0: No such device");
    }
}
