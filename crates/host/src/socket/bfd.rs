//! UDP as BFD uses it (RFC 5881, section 4; RFC 5883, section 5): control packets to port 3784 or 4784, sent with TTL 255 from a
//! port of 49152 and above, received with the TTL they came with, so that the session can tell a neighbour from a stranger.

use super::receive::{Drained, Packet, drain};
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use rvs_machine::Rng;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

/// Single hop.
pub const PORT: u16 = 3784;
/// Multihop.
pub const MULTIHOP_PORT: u16 = 4784;
/// Where source ports begin.
const FIRST_SOURCE_PORT: u16 = 49152;
/// How many source ports are tried before giving up.
const TRIES: usize = 64;
/// Room for packets that were not read yet.
const ROOM: usize = 256 * 1024;

/// The listener of all sessions of a family and port.
#[derive(Debug)]
pub struct BfdListener(Socket);

impl BfdListener {
    /// Listens on all addresses of the calling thread's namespace.
    pub fn open(ipv6: bool, port: u16) -> io::Result<Self> {
        let socket = udp(ipv6)?;
        let any: IpAddr = if ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        socket.bind(&SocketAddr::new(any, port).into())?;
        socket.set_recv_buffer_size(ROOM)?;
        if ipv6 {
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
            setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true)?;
        } else {
            setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
            setsockopt(&socket, sockopt::Ipv4RecvTtl, &true)?;
        }
        Ok(Self(socket))
    }

    /// Hands each pending packet to `each`, as many as one batch holds. Never waits.
    pub fn drain(&self, each: impl FnMut(Packet)) -> Result<Drained, Errno> {
        drain(&self.0, each)
    }
}

impl AsFd for BfdListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The sender of one session: all its packets must come from one port.
#[derive(Debug)]
pub struct BfdSender(Socket);

impl BfdSender {
    /// Binds to the session's source address, if it has one, and a free port. `hop_limit`: 255, or what the configuration says.
    pub fn open(source: Option<IpAddr>, ipv6: bool, hop_limit: u8, rng: &mut Rng) -> io::Result<Self> {
        let socket = udp(ipv6)?;
        if ipv6 {
            socket.set_unicast_hops_v6(hop_limit.into())?;
        } else {
            socket.set_ttl_v4(hop_limit.into())?;
        }
        let any: IpAddr = if ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        let mut result = Err(io::Error::from_raw_os_error(libc::EADDRINUSE));
        for _ in 0..TRIES {
            let above = rng.below(u64::from(u16::MAX - FIRST_SOURCE_PORT) + 1) as u16; // Below 16384.
            result = socket.bind(&SocketAddr::new(source.unwrap_or(any), FIRST_SOURCE_PORT + above).into());
            match &result {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                _ => break,
            }
        }
        result.map(|()| Self(socket))
    }

    /// Sends a control packet. Never waits.
    pub fn send(&self, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        self.0.send_to(bytes, &to.into()).map(drop)
    }
}

fn udp(ipv6: bool) -> io::Result<Socket> {
    let domain = if ipv6 { Domain::IPV6 } else { Domain::IPV4 };
    let socket = Socket::new(domain, Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
    if ipv6 {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{eventually, is_root, joined};

    #[test]
    fn control_packets_carry_their_ttl_and_come_from_high_ports() {
        if !is_root() {
            return;
        }
        let (left, right) = joined();
        for (ipv6, to, from) in [(false, "10.9.0.2", "10.9.0.1"), (true, "fd09::2", "fd09::1")] {
            let listener = right.run(|| BfdListener::open(ipv6, PORT).unwrap());
            let to = SocketAddr::new(to.parse().unwrap(), PORT);
            let source: IpAddr = from.parse().unwrap();
            let mut rng = Rng::new(7);
            let senders =
                left.run(|| [255, 254].map(|limit| BfdSender::open(Some(source), ipv6, limit, &mut rng).unwrap()));
            let mut packets: Vec<Packet> = Vec::new();
            for sender in &senders {
                sender.send(b"control", to).unwrap();
            }
            eventually("packets", || {
                listener.drain(|packet| packets.push(packet)).unwrap();
                packets.len() == 2
            });
            packets.sort_by_key(|packet| packet.hop_limit);
            assert_eq!(packets.iter().map(|packet| packet.hop_limit).collect::<Vec<_>>(), [Some(254), Some(255)]);
            assert!(packets.iter().all(|packet| packet.source_port >= FIRST_SOURCE_PORT && packet.source == source));
            assert_eq!(packets[0].destination, Some(to.ip()));
            assert_ne!(packets[0].source_port, packets[1].source_port);
        }
    }
}
