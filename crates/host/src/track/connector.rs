//! The kernel's messages about processes (the proc connector): begun, changed its program or name, ended.
//!
//! They are told in the first network namespace only, and only to those with `CAP_NET_ADMIN`.

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, NetlinkAddr, bind, recvfrom, send};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

const NETLINK_CONNECTOR: i32 = 11;
/// `CN_IDX_PROC` and `CN_VAL_PROC`.
const PROC: u32 = 1;
/// `PROC_CN_MCAST_LISTEN`
const LISTEN: u32 = 1;
const NLMSG_DONE: u16 = 3;
/// Lengths of `nlmsghdr` and `cn_msg`.
const HEADERS: usize = 16 + 20;
/// Room for messages that were not read yet (`process_monitor_rcv_bufs`).
const ROOM: usize = 1 << 20;
/// Messages read in one go.
const READS: usize = 256;

/// What happened to a process (not to a mere thread).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Happening {
    /// It began, or is another program or has another name now.
    Changed(u32),
    /// It ended.
    Ended(u32),
    /// Messages were lost: everything has to be looked at.
    Lost,
}

/// The listener.
#[derive(Debug)]
pub(super) struct Connector(Socket);

impl Connector {
    pub(super) fn open() -> io::Result<Self> {
        let protocol = Some(Protocol::from(NETLINK_CONNECTOR));
        let socket = Socket::new(Domain::from(libc::AF_NETLINK), Type::DGRAM.cloexec().nonblocking(), protocol)?;
        socket.set_recv_buffer_size(ROOM)?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, PROC))?;
        send(socket.as_raw_fd(), &request(), MsgFlags::empty())?;
        Ok(Self(socket))
    }

    /// Takes what was told. Never waits. `true`: there may be more.
    pub(super) fn drain(&self, happenings: &mut Vec<Happening>) -> bool {
        let mut buffer = [0; 1024];
        for _ in 0..READS {
            match recvfrom::<NetlinkAddr>(self.0.as_raw_fd(), &mut buffer) {
                // Only the kernel is believed.
                Ok((length, from)) if from.is_some_and(|from| from.pid() == 0) => {
                    happenings.extend(parse(&buffer[..length]));
                }
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::ENOBUFS) => happenings.push(Happening::Lost),
                Err(_) => return false,
            }
        }
        true
    }
}

impl AsFd for Connector {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn request() -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADERS + 4);
    bytes.extend((HEADERS as u32 + 4).to_ne_bytes());
    bytes.extend(NLMSG_DONE.to_ne_bytes());
    bytes.extend([0; 10]); // Flags, sequence, port.
    bytes.extend(PROC.to_ne_bytes());
    bytes.extend(PROC.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend(4u16.to_ne_bytes());
    bytes.extend([0; 2]);
    bytes.extend(LISTEN.to_ne_bytes());
    bytes
}

/// Reads one message: `proc_event` is what, CPU, time stamp (8 bytes), then what depends on it.
fn parse(bytes: &[u8]) -> Option<Happening> {
    let word = |at: usize| {
        let field = bytes.get(HEADERS + at..)?.first_chunk::<4>()?;
        Some(u32::from_ne_bytes(*field))
    };
    let leader = |at: usize| {
        let (thread, process) = (word(at)?, word(at + 4)?);
        (thread == process).then_some(process)
    };
    match word(0)? {
        1 => leader(24).map(Happening::Changed), // Fork: the child is behind the parent.
        2 | 0x200 => leader(16).map(Happening::Changed), // Another program, another name.
        0x8000_0000 => leader(16).map(Happening::Ended),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(what: u32, words: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0; HEADERS];
        bytes.extend(what.to_ne_bytes());
        bytes.extend([0; 12]);
        bytes.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
        bytes
    }

    #[test]
    fn messages_are_read_and_those_of_threads_left_out() {
        assert_eq!(parse(&message(1, &[5, 5, 9, 9])), Some(Happening::Changed(9)));
        assert_eq!(parse(&message(1, &[5, 5, 10, 9])), None);
        assert_eq!(parse(&message(2, &[7, 7])), Some(Happening::Changed(7)));
        assert_eq!(parse(&message(0x200, &[7, 7, 0, 0, 0, 0])), Some(Happening::Changed(7)));
        assert_eq!(parse(&message(0x8000_0000, &[7, 7])), Some(Happening::Ended(7)));
        assert_eq!(parse(&message(0x8000_0000, &[8, 7])), None);
        assert_eq!(parse(&message(0x40, &[7, 7])), None);
        let whole = message(1, &[5, 5, 9, 9]);
        for length in 0..whole.len() {
            assert_eq!(parse(&whole[..length]), None, "{length}");
        }
    }
}
