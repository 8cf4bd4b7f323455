//! A hand on a cable: frames of our own making sent from an interface, past the stack of its namespace.

use crate::any::Packet;
use crate::lab::Lab;
use crate::netns::Netns;
use crate::packet::{Frame, Ipv4};
use crate::topology::{CLIENT_MAC, DIRECTOR_BACK_MAC, DIRECTOR_FRONT_MAC, server_mac};
use anyhow::{Context as _, Result, ensure};
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, bind, send, socket};
use std::os::fd::{AsRawFd as _, OwnedFd};

/// A packet socket on one interface.
#[derive(Debug)]
pub struct Wire {
    socket: OwnedFd,
}

impl Wire {
    /// Takes hold of an interface.
    pub fn open(ns: &Netns, interface: &str) -> Result<Self> {
        ns.enter(|| {
            let address = getifaddrs()?
                .filter(|entry| entry.interface_name == interface)
                .find_map(|entry| entry.address?.as_link_addr().copied())
                .with_context(|| format!("no interface {interface}"))?;
            let (family, flags) = (AddressFamily::Packet, SockFlag::SOCK_CLOEXEC);
            let socket = socket(family, SockType::Raw, flags, SockProtocol::EthAll)?;
            bind(socket.as_raw_fd(), &address)?;
            Ok(Self { socket })
        })?
    }

    /// Sends a frame.
    pub fn send(&self, frame: &Frame) -> Result<()> {
        self.send_bytes(&frame.bytes())
    }

    /// Sends a frame that is given as bytes.
    pub fn send_bytes(&self, bytes: &[u8]) -> Result<()> {
        let sent = send(self.socket.as_raw_fd(), bytes, MsgFlags::empty())?;
        ensure!(sent == bytes.len(), "{sent} of {} bytes sent", bytes.len());
        Ok(())
    }
}

impl Lab {
    /// Sends a packet from the client's interface to the director.
    pub fn inject(&self, ip: Ipv4) -> Result<()> {
        Wire::open(&self.client(), "eth0")?.send(&Frame { src: CLIENT_MAC, dst: DIRECTOR_FRONT_MAC, ip })
    }

    /// Sends a packet from the interface of real server `n` to the director.
    pub fn inject_from_server(&self, n: u8, ip: Ipv4) -> Result<()> {
        Wire::open(&self.server(n), "eth0")?.send(&Frame { src: server_mac(n), dst: DIRECTOR_BACK_MAC, ip })
    }

    /// Sends packets from the client's interface to the director, in this order.
    pub fn inject_packets(&self, packets: &[Packet]) -> Result<()> {
        let wire = Wire::open(&self.client(), "eth0")?;
        packets.iter().try_for_each(|packet| wire.send_bytes(&packet.frame(CLIENT_MAC, DIRECTOR_FRONT_MAC)))
    }

    /// Sends packets from the interface of real server `n` to the director, in this order.
    pub fn inject_packets_from_server(&self, n: u8, packets: &[Packet]) -> Result<()> {
        let wire = Wire::open(&self.server(n), "eth0")?;
        packets.iter().try_for_each(|packet| wire.send_bytes(&packet.frame(server_mac(n), DIRECTOR_BACK_MAC)))
    }
}
