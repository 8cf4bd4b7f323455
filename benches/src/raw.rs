//! A packet socket: frames out of one interface, many with one call. Must not know what the frames are.
#![expect(unsafe_code, reason = "neither std nor nix can send many messages of a packet socket with one call")]

use anyhow::{Context, Result, ensure};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, OwnedFd};

/// Frames handed over with one call.
pub const BATCH: usize = 64;

/// A socket that sends frames as they are.
#[derive(Debug)]
pub struct Raw {
    fd: OwnedFd,
}

impl Raw {
    /// Opens it for this interface. It receives nothing, and sends past the queueing discipline.
    pub fn open(interface: &str) -> Result<Self> {
        let index = nix::net::if_::if_nametoindex(interface).with_context(|| format!("no interface {interface}"))?;
        let fd =
            socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None).context("a packet socket")?;
        let on: libc::c_int = 1;
        let buffer: libc::c_int = 64 << 20;
        set(&fd, libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, on).context("PACKET_QDISC_BYPASS")?;
        set(&fd, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, buffer).context("SO_SNDBUFFORCE")?;
        // SAFETY: integers only, for which zero is a value.
        let mut address: libc::sockaddr_ll = unsafe { zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_ifindex = i32::try_from(index)?;
        // SAFETY: the address is of the length told, and outlives the call.
        let bound = unsafe {
            libc::bind(fd.as_raw_fd(), (&raw const address).cast(), size_of::<libc::sockaddr_ll>() as libc::socklen_t)
        };
        ensure!(bound == 0, "binding to {interface}: {}", io::Error::last_os_error());
        Ok(Self { fd })
    }

    /// Sends at most [`BATCH`] frames; tells how many have been sent, at least one.
    pub fn send<'a>(&self, frames: impl Iterator<Item = &'a [u8]>) -> io::Result<usize> {
        let mut pieces: [libc::iovec; BATCH] = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH];
        // SAFETY: integers and pointers, for which zero is a value.
        let mut messages: [libc::mmsghdr; BATCH] = unsafe { zeroed() };
        let mut count = 0;
        for ((frame, piece), message) in frames.zip(&mut pieces).zip(&mut messages) {
            // Never written to by a call that sends.
            *piece = libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() };
            message.msg_hdr.msg_iov = piece;
            message.msg_hdr.msg_iovlen = 1;
            count += 1;
        }
        // SAFETY: the first `count` messages were filled above; they point to `pieces` and to the frames, all alive here.
        let sent = unsafe { libc::sendmmsg(self.fd.as_raw_fd(), messages.as_mut_ptr(), count, 0) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

fn set(fd: &OwnedFd, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the value is of the length told, and outlives the call.
    let done = unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, (&raw const value).cast(), len) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
