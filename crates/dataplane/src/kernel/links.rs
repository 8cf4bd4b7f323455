//! The interfaces of this network namespace, as far as it matters which programs fit them.

use super::netlink::{Message, Socket, attributes, kind, number, text};
use super::{failed, os};
use crate::Error;
use std::os::fd::AsFd;

/// Interfaces that carry Ethernet headers.
const ARPHRD_ETHER: u16 = 1;
const IFF_LOOPBACK: u32 = 8;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_XDP: u16 = 43;
const IFLA_XDP_ATTACHED: u16 = 2;
const IFLA_XDP_PROG_ID: u16 = 4;
const IFLA_PARENT_DEV_NAME: u16 = 56;

/// An interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interface {
    /// Index.
    pub(crate) index: u32,
    /// Name.
    pub(crate) name: String,
    /// Largest packet.
    pub(crate) mtu: u32,
    /// Its MAC address.
    pub(crate) mac: [u8; 6],
    /// Kind of a virtual interface (`veth`, `bridge`, …).
    pub(crate) kind: Option<String>,
    /// Whether a device of the machine (or of its hypervisor) is behind it.
    pub(crate) physical: bool,
    /// Whether its packets have Ethernet headers.
    pub(crate) ethernet: bool,
    /// Whether it is the loopback.
    pub(crate) loopback: bool,
    /// How XDP is attached to it: 0 not, 1 native, 2 generic, 3 offloaded, 4 several.
    pub(crate) xdp_attached: u8,
    /// The XDP program's id.
    pub(crate) xdp_prog: Option<u32>,
}

/// All interfaces of this network namespace.
pub(crate) fn interfaces() -> Result<Vec<Interface>, Error> {
    let read = || {
        let mut body = vec![0u8; 16];
        // A fixed part of zeros asks for all of them.
        body[0] = libc::AF_UNSPEC as u8;
        Socket::new()?.request(kind::GETLINK, true, &body)
    };
    let messages = read().map_err(|error| failed("listing the interfaces", error))?;
    Ok(messages.iter().filter(|message| message.kind == kind::NEWLINK).filter_map(parse).collect())
}

fn parse(message: &Message) -> Option<Interface> {
    let fixed = message.body.first_chunk::<16>()?;
    let flags = u32::from_ne_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]);
    let mut interface = Interface {
        index: u32::from_ne_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
        ethernet: u16::from_ne_bytes([fixed[2], fixed[3]]) == ARPHRD_ETHER,
        loopback: flags & IFF_LOOPBACK != 0,
        ..Interface::default()
    };
    for (kind, value) in attributes(&message.body[16..]) {
        match kind {
            IFLA_ADDRESS => interface.mac = value.first_chunk().copied().unwrap_or_default(),
            IFLA_MTU => interface.mtu = number(value).unwrap_or(0),
            IFLA_IFNAME => interface.name = text(value),
            IFLA_LINKINFO => {
                interface.kind =
                    attributes(value).find(|(kind, _)| *kind == IFLA_INFO_KIND).map(|(_, name)| text(name));
            }
            IFLA_PARENT_DEV_NAME => interface.physical = true,
            IFLA_XDP => {
                for (kind, value) in attributes(value) {
                    match kind {
                        IFLA_XDP_ATTACHED => interface.xdp_attached = value.first().copied().unwrap_or(0),
                        IFLA_XDP_PROG_ID => interface.xdp_prog = number(value),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Some(interface)
}

/// The name of an interface's driver; empty where it has none.
pub(crate) fn driver(interface: &str) -> String {
    let read = || {
        use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
        let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
        os::driver_name(socket.as_fd(), interface)
    };
    read().unwrap_or_default()
}
