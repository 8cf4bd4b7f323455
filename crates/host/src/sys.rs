//! The system calls that no library wraps. The only file of this crate with unsafe code.
#![allow(unsafe_code)]

use nix::errno::Errno;
use nix::sys::socket::{LinkAddr, SockaddrLike};
use std::mem::size_of;

/// Gives the calling thread a real-time priority: `SCHED_RR`, 1 to 99. Children do not inherit it.
pub(crate) fn schedule_round_robin(priority: i32) -> Result<(), Errno> {
    let parameter = libc::sched_param { sched_priority: priority };
    // SAFETY: `parameter` is a whole `sched_param` and outlives the call; thread 0 is the calling one.
    let result =
        unsafe { libc::sched_setscheduler(0, libc::SCHED_RR | libc::SCHED_RESET_ON_FORK, &raw const parameter) };
    Errno::result(result).map(drop)
}

/// The scheduling policy of the calling thread, without flags.
pub(crate) fn scheduling_policy() -> Result<i32, Errno> {
    // SAFETY: takes no pointer; thread 0 is the calling one.
    let policy = Errno::result(unsafe { libc::sched_getscheduler(0) })?;
    Ok(policy & !libc::SCHED_RESET_ON_FORK)
}

/// Sets the nice value of the calling thread: -20 to 19.
pub(crate) fn set_nice(nice: i32) -> Result<(), Errno> {
    // SAFETY: takes no pointer; on Linux process 0 is the calling thread.
    Errno::result(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) }).map(drop)
}

/// Gives free memory of all heaps back to the system, where the C library can.
pub(crate) fn trim_heaps() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes no pointer; it is safe to be called by several threads.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Blocks from this size on, in bytes, are mappings of their own, which go when they are freed. By itself the C library takes
/// ever larger ones from its heaps.
pub(crate) fn map_blocks_from(size: i32) {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes no pointer; the option is one that the C library knows.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, size);
    }
    #[cfg(not(target_env = "gnu"))]
    let _ = size;
}

/// The address of an interface for a packet socket that sends whole frames.
pub(crate) fn link_address(index: u32) -> Result<LinkAddr, Errno> {
    let raw = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as libc::sa_family_t,
        sll_protocol: 0,
        sll_ifindex: i32::try_from(index).map_err(|_| Errno::ENODEV)?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: `raw` is a whole `sockaddr_ll` of that length, and its family says so.
    unsafe { LinkAddr::from_raw((&raw const raw).cast(), Some(length)) }.ok_or(Errno::EINVAL)
}

/// Who a child process is to be, applied between fork and exec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Become {
    /// The user.
    pub(crate) uid: u32,
    /// The group.
    pub(crate) gid: u32,
    /// All supplementary groups; the parent's are not kept.
    pub(crate) groups: Vec<u32>,
}

/// Makes `command` start as somebody else. The library's own way cannot set supplementary groups.
pub(crate) fn become_in_child(command: &mut tokio::process::Command, who: Become) {
    let drop_privileges = move || {
        // SAFETY: the list outlives the call and its length is given; the others take no pointers. All three are plain system
        // calls, allowed between fork and exec.
        let done = unsafe {
            libc::setgroups(who.groups.len(), who.groups.as_ptr()) == 0
                && libc::setgid(who.gid) == 0
                && libc::setuid(who.uid) == 0
        };
        if done { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    };
    // SAFETY: the closure allocates nothing, takes no lock and makes only the system calls above.
    unsafe { command.pre_exec(drop_privileges) };
}

/// How far local time is ahead of UTC at this moment, in seconds.
pub(crate) fn local_offset(seconds: u64) -> i64 {
    let Ok(time) = libc::time_t::try_from(seconds) else { return 0 };
    let mut calendar = std::mem::MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are to whole values that outlive the call. Nothing in this program changes the environment, from
    // which the time zone is read. All-zero bytes are a valid `tm`, also when the call fails.
    let calendar = unsafe {
        libc::localtime_r(&raw const time, calendar.as_mut_ptr());
        calendar.assume_init()
    };
    calendar.tm_gmtoff
}
