//! System calls besides `bpf` that nix lacks: the grace period for programs, the name of a device's driver, two clocks.
//!
//! One of the files that may be unsafe; everything it exports is safe.
#![allow(unsafe_code)] // Raw system calls; each block says why it is sound.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Waits until every program run that has begun by now has ended.
///
/// The system call waits for a grace period of the kernel's RCU, under which programs run. Where it is not offered (kernels
/// with tickless CPUs), the thread visits every CPU: it can only run there when no program does, as those run with
/// preemption by tasks disabled.
pub(crate) fn wait_for_programs() -> io::Result<()> {
    const MEMBARRIER_CMD_GLOBAL: i32 = 1;
    // SAFETY: no addresses are passed.
    if unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) } == 0 {
        return Ok(());
    }
    let this = nix::unistd::Pid::from_raw(0);
    let before = nix::sched::sched_getaffinity(this)?;
    let online = aya::util::online_cpus().map_err(|(_, error)| error)?;
    for cpu in online {
        let mut only = nix::sched::CpuSet::new();
        only.set(cpu as usize)?;
        // A CPU that may not be used is one that we cannot check; the others still are.
        let _ = nix::sched::sched_setaffinity(this, &only);
    }
    nix::sched::sched_setaffinity(this, &before)?;
    Ok(())
}

/// The name of the driver behind an interface, as `ethtool -i` prints it.
pub(crate) fn driver_name(socket: BorrowedFd<'_>, interface: &str) -> io::Result<String> {
    const SIOCETHTOOL: libc::c_ulong = 0x8946;
    const ETHTOOL_GDRVINFO: u32 = 3;
    #[repr(C)]
    struct DriverInfo {
        command: u32,
        driver: [u8; 32],
        rest: [u8; 160],
    }
    #[repr(C)]
    struct Request {
        name: [u8; libc::IFNAMSIZ],
        data: *mut DriverInfo,
        pad: [u64; 2],
    }
    let mut info = DriverInfo { command: ETHTOOL_GDRVINFO, driver: [0; 32], rest: [0; 160] };
    let mut request = Request { name: [0; libc::IFNAMSIZ], data: std::ptr::from_mut(&mut info), pad: [0; 2] };
    if interface.len() >= request.name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    request.name[..interface.len()].copy_from_slice(interface.as_bytes());
    // SAFETY: `request` has the layout of `struct ifreq`, its pointer leads to a `struct ethtool_drvinfo` (196 bytes); both
    // outlive the call.
    if unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL, std::ptr::from_mut(&mut request)) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let end = info.driver.iter().position(|byte| *byte == 0).unwrap_or(info.driver.len());
    Ok(String::from_utf8_lossy(&info.driver[..end]).into_owned())
}

/// The clocks that records are stamped with.
#[derive(Clone, Copy)]
pub(crate) enum Clock {
    /// `CLOCK_MONOTONIC`: what traced packets are stamped with.
    Monotonic = libc::CLOCK_MONOTONIC as isize,
    /// `CLOCK_MONOTONIC_COARSE`: what connections expire by.
    MonotonicCoarse = libc::CLOCK_MONOTONIC_COARSE as isize,
    /// `CLOCK_BOOTTIME`: what the trash is stamped with.
    Boot = libc::CLOCK_BOOTTIME as isize,
}

/// Nanoseconds of a clock.
pub(crate) fn now(clock: Clock) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is writable. The call cannot fail for these clocks.
    unsafe { libc::clock_gettime(clock as libc::clockid_t, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Hour, minute and second of a second since 1970, in the local time zone.
pub(crate) fn local_time(second: u64) -> [u32; 3] {
    let time = second as libc::time_t;
    // SAFETY: plain integers and a pointer that is not looked at, for which zero is a value.
    let mut parts: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both structures outlive the call.
    if unsafe { libc::localtime_r(&raw const time, &raw mut parts) }.is_null() {
        return [(second / 3600 % 24) as u32, (second / 60 % 60) as u32, (second % 60) as u32];
    }
    [parts.tm_hour, parts.tm_min, parts.tm_sec].map(|part| part as u32)
}
