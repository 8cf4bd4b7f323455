//! A socket to the kernel's rtnetlink: one request at a time, each waited for.
//!
//! The kernel carries a request out while it is being sent, so waiting costs no more than the request itself, and things
//! happen in the order in which they were asked for: an address is there before it is announced. The socket belongs to the
//! network namespace of the thread that opened it. This module must not know what the messages mean.

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send, setsockopt, socket,
    sockopt,
};
use nix::sys::time::TimeVal;
use std::os::fd::{AsRawFd, OwnedFd};

/// Room for one batch of messages; the kernel never fills more into one read of a dump.
const BATCH: usize = 64 * 1024;
/// How long an answer may take. The kernel answers at once unless it is wedged.
const PATIENCE: TimeVal = TimeVal::new(5, 0);
/// A dump that changed while it was read is read again this often.
const DUMP_TRIES: usize = 5;
const NLM_F_DUMP_INTR: u16 = 0x10;

/// Why something asked of the kernel was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {errno}", errno = .errno.desc())]
pub struct NetError {
    /// What was asked, in words.
    pub what: String,
    /// What the kernel said.
    pub errno: Errno,
}

impl NetError {
    pub(crate) fn new(what: impl Into<String>, errno: Errno) -> Self {
        Self { what: what.into(), errno }
    }
}

/// The socket.
#[derive(Debug)]
pub struct Rtnl {
    fd: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Rtnl {
    /// Opens it in the calling thread's network namespace.
    pub fn open() -> Result<Self, NetError> {
        let failed = |errno| NetError::new("opening rtnetlink", errno);
        let fd = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)
            .map_err(failed)?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, 0)).map_err(failed)?;
        setsockopt(&fd, sockopt::ReceiveTimeout, &PATIENCE).map_err(failed)?;
        Ok(Self { fd, sequence: 0, buffer: vec![0; BATCH] })
    }

    fn request(&mut self, message: RouteNetlinkMessage, flags: u16) -> Result<(), Errno> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut packet = NetlinkMessage::from(message);
        packet.header.flags = NLM_F_REQUEST | flags;
        packet.header.sequence_number = self.sequence;
        packet.finalize();
        let mut bytes = vec![0; packet.buffer_len()];
        packet.serialize(&mut bytes);
        send(self.fd.as_raw_fd(), &bytes, MsgFlags::empty()).map(drop)
    }

    /// Asks for a change and waits until it is made. `flags`: `NLM_F_CREATE` and the like.
    pub(crate) fn change(&mut self, message: RouteNetlinkMessage, flags: u16) -> Result<(), Errno> {
        self.request(message, flags | NLM_F_ACK)?;
        loop {
            let length = self.receive()?;
            let mut answer = None;
            each_message(&self.buffer[..length], |sequence, _, payload| {
                if sequence == self.sequence
                    && let NetlinkPayload::Error(error) = payload
                {
                    answer = Some(error.raw_code());
                }
            });
            match answer {
                Some(0) => return Ok(()),
                Some(code) => return Err(Errno::from_raw(code.saturating_neg())),
                None => {} // The rest of an earlier answer that was not waited for.
            }
        }
    }

    /// Asks for a list and gives each of its messages to `each`. A list that changed meanwhile is asked for again: `each`
    /// is then told so by `None` and must forget what it got.
    pub(crate) fn dump(
        &mut self,
        message: &RouteNetlinkMessage,
        mut each: impl FnMut(Option<RouteNetlinkMessage>),
    ) -> Result<(), Errno> {
        for _ in 0..DUMP_TRIES {
            self.request(message.clone(), NLM_F_DUMP)?;
            if self.read_dump(&mut each)? {
                return Ok(());
            }
            each(None);
        }
        Err(Errno::EAGAIN)
    }

    /// Reads one list to its end; `false`: it changed under the kernel's hands.
    fn read_dump(&mut self, each: &mut impl FnMut(Option<RouteNetlinkMessage>)) -> Result<bool, Errno> {
        let mut whole = true;
        loop {
            let length = self.receive()?;
            let mut end = None;
            each_message(&self.buffer[..length], |sequence, flags, payload| {
                if sequence != self.sequence {
                    return;
                }
                whole &= flags & NLM_F_DUMP_INTR == 0;
                match payload {
                    NetlinkPayload::InnerMessage(message) => each(Some(message)),
                    NetlinkPayload::Done(_) => end = Some(0),
                    NetlinkPayload::Error(error) => end = Some(error.raw_code()),
                    _ => {}
                }
            });
            match end {
                Some(0) => return Ok(whole),
                Some(code) => return Err(Errno::from_raw(code.saturating_neg())),
                None => {}
            }
        }
    }

    fn receive(&mut self) -> Result<usize, Errno> {
        loop {
            match recv(self.fd.as_raw_fd(), &mut self.buffer, MsgFlags::empty()) {
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Err(Errno::ETIMEDOUT),
                other => return other,
            }
        }
    }
}

/// Goes through a batch of messages: sequence number, flags, content. What cannot be decoded (of a newer kernel) is left
/// out: it is nothing this crate asked for.
pub(crate) fn each_message(mut bytes: &[u8], mut each: impl FnMut(u32, u16, NetlinkPayload<RouteNetlinkMessage>)) {
    while let Some(length) = bytes.first_chunk::<4>().map(|head| u32::from_ne_bytes(*head) as usize) {
        if length < 16 || length > bytes.len() {
            return;
        }
        if let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&bytes[..length]) {
            each(message.header.sequence_number, message.header.flags, message.payload);
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::in_namespace;
    use netlink_packet_route::link::LinkMessage;

    #[test]
    fn a_list_is_read_to_its_end_and_a_refusal_is_the_kernels() {
        in_namespace(|| {
            let mut rtnl = Rtnl::open().unwrap();
            let mut links = 0;
            rtnl.dump(&RouteNetlinkMessage::GetLink(LinkMessage::default()), |message| {
                links += usize::from(message.is_some())
            })
            .unwrap();
            assert_eq!(links, 1);
            let mut gone = LinkMessage::default();
            gone.header.index = 4711;
            assert_eq!(rtnl.change(RouteNetlinkMessage::DelLink(gone), 0), Err(Errno::ENODEV));
        });
    }

    #[test]
    fn garbage_in_a_batch_ends_it() {
        for bytes in [&[][..], &[1], &[0; 16], &[255; 64], &[17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]] {
            each_message(bytes, |_, _, _| panic!("no message was there"));
        }
    }
}
