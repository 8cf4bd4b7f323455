//! The little of rtnetlink that is needed: which interfaces there are, which way a packet would go, and being told when
//! interfaces change. Talks to the network namespace that the calling thread was in when the socket was made.

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send, socket,
};
use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Message types and flags, with the kernel's numbers.
pub(crate) mod kind {
    /// An interface is there or has changed.
    pub(crate) const NEWLINK: u16 = 16;
    /// An interface is gone.
    pub(crate) const DELLINK: u16 = 17;
    /// Asks for interfaces.
    pub(crate) const GETLINK: u16 = 18;
    /// Makes a route.
    pub(crate) const NEWROUTE: u16 = 24;
    /// Asks for a route.
    pub(crate) const GETROUTE: u16 = 26;
    /// Makes a rule of routing.
    pub(crate) const NEWRULE: u16 = 32;
    /// Removes one.
    pub(crate) const DELRULE: u16 = 33;
    /// Asks for them.
    pub(crate) const GETRULE: u16 = 34;
    pub(super) const ERROR: u16 = 2;
    pub(super) const DONE: u16 = 3;
    pub(super) const REQUEST: u16 = 1;
    pub(super) const ACK: u16 = 4;
    pub(super) const DUMP: u16 = 0x300;
}

/// Flags of requests that change something.
pub(crate) mod flags {
    /// In place of the one that is there.
    pub(crate) const REPLACE: u16 = 0x100;
    /// Only if there is none.
    pub(crate) const EXCLUSIVE: u16 = 0x200;
    /// Make it if there is none.
    pub(crate) const CREATE: u16 = 0x400;
}

/// Multicast group of changes of interfaces, as a bit of the address.
const GROUP_LINK: u32 = 1;
const HEADER: usize = 16;

/// A netlink socket.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    sequence: u32,
    /// For what comes: clearing as much for each answer would cost more than the answers.
    buffer: RefCell<Vec<u8>>,
}

/// The longest that the kernel sends at once.
const LONGEST: usize = 64 * 1024;

/// A message: its type, and what follows the header.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// Type.
    pub(crate) kind: u16,
    /// Fixed part and attributes.
    pub(crate) body: Vec<u8>,
}

impl Socket {
    /// For requests.
    pub(crate) fn new() -> io::Result<Self> {
        Self::bound(0)
    }

    /// Also told of changes of interfaces.
    pub(crate) fn watching_links() -> io::Result<Self> {
        Self::bound(GROUP_LINK)
    }

    fn bound(groups: u32) -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
        Ok(Self { fd, sequence: 0, buffer: RefCell::new(vec![0; LONGEST]) })
    }

    /// Sends a request with `body` (fixed part and attributes) and returns what comes back: one message, or with `dump` all
    /// up to the end.
    pub(crate) fn request(&mut self, kind: u16, dump: bool, body: &[u8]) -> io::Result<Vec<Message>> {
        self.send(kind, if dump { kind::DUMP } else { 0 }, body)?;
        let mut replies = Vec::new();
        loop {
            for (sequence, message) in self.receive()? {
                match message.kind {
                    _ if sequence != self.sequence => {}
                    kind::DONE => return Ok(replies),
                    kind::ERROR => return error(&message.body).map(|()| replies),
                    _ => replies.push(message),
                }
            }
            if !dump && !replies.is_empty() {
                return Ok(replies);
            }
        }
    }

    /// Sends a request that changes something, and waits until it is done.
    pub(crate) fn change(&mut self, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
        self.send(kind, flags | kind::ACK, body)?;
        loop {
            for (sequence, message) in self.receive()? {
                if sequence == self.sequence && message.kind == kind::ERROR {
                    return error(&message.body);
                }
            }
        }
    }

    fn send(&mut self, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
        self.sequence += 1;
        let flags = kind::REQUEST | flags;
        let mut packet = Vec::with_capacity(HEADER + body.len());
        packet.extend(((HEADER + body.len()) as u32).to_ne_bytes());
        packet.extend(kind.to_ne_bytes());
        packet.extend(flags.to_ne_bytes());
        packet.extend(self.sequence.to_ne_bytes());
        packet.extend(0u32.to_ne_bytes());
        packet.extend(body);
        send(self.fd.as_raw_fd(), &packet, MsgFlags::empty()).map(drop).map_err(io::Error::from)
    }

    /// The next messages, with their sequence numbers. Waits for them.
    pub(crate) fn receive(&self) -> io::Result<Vec<(u32, Message)>> {
        let mut buffer = self.buffer.borrow_mut();
        let length = recv(self.fd.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        let mut rest = &buffer[..length];
        let mut messages = Vec::new();
        while let Some(header) = rest.first_chunk::<HEADER>() {
            let size = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
            let kind = u16::from_ne_bytes([header[4], header[5]]);
            let sequence = u32::from_ne_bytes([header[8], header[9], header[10], header[11]]);
            let Some(body) = rest.get(HEADER..size) else { break };
            messages.push((sequence, Message { kind, body: body.to_vec() }));
            rest = rest.get(size.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(messages)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn error(body: &[u8]) -> io::Result<()> {
    match body.first_chunk::<4>().map(|code| i32::from_ne_bytes(*code)) {
        Some(0) => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(-code)),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// The attributes in `bytes`: type (without flags) and value.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    const FLAGS: u16 = 0xc000;
    std::iter::from_fn(move || {
        let header = bytes.first_chunk::<4>()?;
        let size = u16::from_ne_bytes([header[0], header[1]]) as usize;
        let kind = u16::from_ne_bytes([header[2], header[3]]) & !FLAGS;
        let value = bytes.get(4..size)?;
        bytes = bytes.get(size.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// Appends an attribute.
pub(crate) fn push_attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    body.extend((4 + value.len() as u16).to_ne_bytes());
    body.extend(kind.to_ne_bytes());
    body.extend(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

/// A 32-bit number at the start of an attribute's value.
pub(crate) fn number(value: &[u8]) -> Option<u32> {
    value.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

/// A NUL-terminated string in an attribute's value.
pub(crate) fn text(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_survive_the_round_trip_and_damage_ends_them() {
        let mut body = Vec::new();
        push_attribute(&mut body, 3, b"eth0\0");
        push_attribute(&mut body, 4, &7u32.to_ne_bytes());
        let read: Vec<_> = attributes(&body).collect();
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].0, text(read[0].1)), (3, "eth0".to_owned()));
        assert_eq!((read[1].0, number(read[1].1)), (4, Some(7)));
        for cut in 0..body.len() {
            assert!(attributes(&body[..cut]).count() <= 2);
        }
        assert_eq!(attributes(&[3, 0, 1, 0, 9, 9, 9, 9]).count(), 0, "shorter than its header");
    }
}
