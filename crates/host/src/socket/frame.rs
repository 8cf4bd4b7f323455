//! Sending whole Ethernet frames: gratuitous ARP and unsolicited neighbour advertisements, which must go out with a source MAC
//! address of our choice. Receives nothing.

use crate::net::NetError;
use crate::sys;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, sendto};
use socket2::{Domain, Protocol, Socket, Type};
use std::os::fd::AsRawFd;

/// The shortest frame: two MAC addresses and a type.
const SHORTEST: usize = 14;

/// The sender, for all interfaces of a namespace.
#[derive(Debug)]
pub struct FrameSender(Socket);

impl FrameSender {
    /// Opens it in the calling thread's network namespace. Needs `CAP_NET_RAW`.
    pub fn open() -> Result<Self, NetError> {
        // Protocol 0: no frame is ever handed to this socket.
        Socket::new(Domain::PACKET, Type::RAW.nonblocking().cloexec(), Some(Protocol::from(0))).map(Self).map_err(
            |error| {
                NetError::new("opening a packet socket", Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
            },
        )
    }

    /// Sends a frame, from its destination MAC address on, out of the interface of this number. `EINVAL`: it is too short.
    pub fn send(&self, index: u32, frame: &[u8]) -> Result<(), Errno> {
        if frame.len() < SHORTEST {
            return Err(Errno::EINVAL);
        }
        sendto(self.0.as_raw_fd(), frame, &sys::link_address(index)?, MsgFlags::MSG_DONTWAIT).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Rtnl;
    use crate::testing::{eventually, ip, ip_json, is_root, joined};

    #[test]
    fn a_gratuitous_arp_moves_an_address_to_its_new_holder() {
        if !is_root() {
            return;
        }
        let (left, right) = joined();
        right.run(|| {
            ip("neigh replace 10.9.0.77 lladdr 02:00:00:00:00:99 nud stale dev v1");
        });
        let mut frame = vec![0xff; 6];
        let mac = [2, 0, 0, 0, 0, 7];
        frame.extend(mac);
        frame.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        frame.extend(mac);
        frame.extend([10, 9, 0, 77]);
        frame.extend([0xff; 6]);
        frame.extend([10, 9, 0, 77]);
        left.run(|| {
            let index = Rtnl::open().unwrap().interface_named("v0").unwrap().unwrap().index;
            let sender = FrameSender::open().unwrap();
            sender.send(index, &frame).unwrap();
            assert_eq!(sender.send(index, &frame[..13]), Err(Errno::EINVAL));
            assert_eq!(sender.send(4711, &frame), Err(Errno::ENXIO));
        });
        right.run(|| {
            eventually("neighbour changed", || {
                let all = ip_json("neigh show dev v1");
                all.as_array().unwrap().iter().any(|n| n["dst"] == "10.9.0.77" && n["lladdr"] == "02:00:00:00:00:07")
            });
        });
    }
}
