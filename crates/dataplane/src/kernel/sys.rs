//! The commands of `bpf(2)` on pinned objects, links and programs that aya does not offer.
//!
//! One of the files that may be unsafe. Everything it exports to other files but [`bpf`] is safe: buffers are measured before
//! their addresses are handed over.
#![allow(unsafe_code)] // Raw system calls; each block says why it is sound.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Commands of `bpf(2)`, with the kernel's numbers.
pub(super) mod cmd {
    pub(crate) const MAP_LOOKUP: u32 = 1;
    pub(crate) const MAP_UPDATE: u32 = 2;
    pub(crate) const MAP_DELETE: u32 = 3;
    pub(crate) const OBJ_PIN: u32 = 6;
    pub(crate) const OBJ_GET: u32 = 7;
    pub(crate) const TEST_RUN: u32 = 10;
    pub(crate) const INFO_BY_FD: u32 = 15;
    pub(crate) const MAP_LOOKUP_BATCH: u32 = 24;
    pub(crate) const MAP_UPDATE_BATCH: u32 = 26;
    pub(crate) const LINK_CREATE: u32 = 28;
    pub(crate) const LINK_UPDATE: u32 = 29;
    pub(crate) const LINK_DETACH: u32 = 34;
}

/// What a link is attached to; the kernel's numbers of attach types.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(crate) enum AttachType {
    /// `BPF_SK_LOOKUP`, to a network namespace.
    SkLookup = 36,
    /// `BPF_XDP`, to an interface.
    Xdp = 37,
    /// `BPF_TCX_INGRESS`, to an interface.
    TcxIngress = 46,
    /// `BPF_TCX_EGRESS`, to an interface.
    TcxEgress = 47,
}

/// Runs one command of `bpf(2)`.
///
/// # Safety
/// Every address in `attr` must be valid for what the command reads and writes there.
pub(super) unsafe fn bpf<T>(command: u32, attr: &mut T) -> io::Result<i64> {
    // SAFETY: `attr` is a live, initialised structure of the given size; the addresses in it are the caller's promise.
    let done = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<T>()) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(done) }
}

/// A new descriptor out of the result of a command that returns one.
///
/// # Safety
/// `raw` must be a descriptor that nothing else owns.
unsafe fn owned(raw: i64) -> OwnedFd {
    // SAFETY: the caller's promise; descriptors fit in an i32.
    unsafe { OwnedFd::from_raw_fd(raw as i32) }
}

#[repr(C)]
#[derive(Default)]
struct ObjAttr {
    path: u64,
    fd: u32,
    flags: u32,
}

fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// Opens what is pinned at `path`: a map, program or link.
pub(crate) fn obj_get(path: &Path) -> io::Result<OwnedFd> {
    let path = c_path(path)?;
    let mut attr = ObjAttr { path: path.as_ptr() as u64, ..ObjAttr::default() };
    // SAFETY: the path is a NUL-terminated string that outlives the call; the result is a fresh descriptor.
    unsafe { bpf(cmd::OBJ_GET, &mut attr).map(|fd| owned(fd)) }
}

/// Pins a map, program or link at `path`.
pub(crate) fn obj_pin(fd: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = c_path(path)?;
    let mut attr = ObjAttr { path: path.as_ptr() as u64, fd: fd.as_raw_fd() as u32, flags: 0 };
    // SAFETY: the path is a NUL-terminated string that outlives the call.
    unsafe { bpf(cmd::OBJ_PIN, &mut attr).map(drop) }
}

#[repr(C)]
#[derive(Default)]
struct InfoAttr {
    fd: u32,
    len: u32,
    info: u64,
}

/// Fills `info` with what the kernel tells about an object.
///
/// # Safety
/// `T` must be valid for any bytes the kernel may write.
unsafe fn info<T: Default>(fd: BorrowedFd<'_>) -> io::Result<T> {
    let mut info = T::default();
    let mut attr =
        InfoAttr { fd: fd.as_raw_fd() as u32, len: size_of::<T>() as u32, info: std::ptr::from_mut(&mut info) as u64 };
    // SAFETY: `info` is writable for `len` bytes; any bytes are a valid `T` (the caller's promise).
    unsafe { bpf(cmd::INFO_BY_FD, &mut attr)? };
    Ok(info)
}

/// What the kernel says of a map.
#[repr(C)]
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct MapInfo {
    /// Kind of map, the kernel's number.
    pub(crate) kind: u32,
    /// Its id.
    pub(crate) id: u32,
    /// Bytes of a key.
    pub(crate) key_size: u32,
    /// Bytes of a value.
    pub(crate) value_size: u32,
    /// Number of entries at most.
    pub(crate) max_entries: u32,
    /// Flags it was created with.
    pub(crate) flags: u32,
}

/// The kernel's number of a per-CPU array.
pub(crate) const PERCPU_ARRAY: u32 = 6;
/// The kernel's flag of a map that can be mapped into memory.
pub(crate) const F_MMAPABLE: u32 = 1 << 10;
/// `BPF_F_NO_PREALLOC`: elements of a hash map take memory when they come to be.
pub(crate) const F_NO_PREALLOC: u32 = 1;

/// What the kernel says of a link, as far as it concerns us.
#[repr(C, align(8))]
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct LinkInfo {
    /// Kind of link, the kernel's number.
    pub(crate) kind: u32,
    /// Its id.
    pub(crate) id: u32,
    /// Id of its program.
    pub(crate) prog_id: u32,
    pad: u32,
    /// Inode of the network namespace, or index of the interface; 0 when that has died.
    pub(crate) target: u32,
    /// Attach type, where the kernel tells it.
    pub(crate) attach_type: u32,
    rest: [u64; 8],
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct ProgInfo {
    kind: u32,
    id: u32,
    tag: [u8; 8],
}

/// Reads the description of a map.
pub(crate) fn map_info(fd: BorrowedFd<'_>) -> io::Result<MapInfo> {
    // SAFETY: plain integers.
    unsafe { info(fd) }
}

/// Reads the description of a link.
pub(crate) fn link_info(fd: BorrowedFd<'_>) -> io::Result<LinkInfo> {
    // SAFETY: plain integers.
    unsafe { info(fd) }
}

/// The id of a program.
pub(crate) fn prog_id(fd: BorrowedFd<'_>) -> io::Result<u32> {
    // SAFETY: plain integers.
    let info: ProgInfo = unsafe { info(fd)? };
    Ok(info.id)
}

#[repr(C)]
#[derive(Default)]
struct LinkAttr {
    prog_fd: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
    extra: [u64; 4],
}

/// Attaches a program to an interface (by index) or a network namespace (by descriptor); the link lives as long as the
/// descriptor or a pin of it. `flags` are those of the attach type (XDP: `XDP_FLAGS_*`).
pub(crate) fn link_create(prog: BorrowedFd<'_>, target: u32, kind: AttachType, flags: u32) -> io::Result<OwnedFd> {
    let mut attr =
        LinkAttr { prog_fd: prog.as_raw_fd() as u32, target, attach_type: kind as u32, flags, ..LinkAttr::default() };
    // SAFETY: no addresses in it; the result is a fresh descriptor.
    unsafe { bpf(cmd::LINK_CREATE, &mut attr).map(|fd| owned(fd)) }
}

/// Detaches a link, whoever still holds it; its program has seen its last packet when this returns.
pub(crate) fn link_detach(link: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = LinkUpdateAttr { link_fd: link.as_raw_fd() as u32, ..LinkUpdateAttr::default() };
    // SAFETY: no addresses in it; the command reads the first field alone, the rest is zero.
    unsafe { bpf(cmd::LINK_DETACH, &mut attr).map(drop) }
}

#[repr(C)]
#[derive(Default)]
struct LinkUpdateAttr {
    link_fd: u32,
    new_prog_fd: u32,
    flags: u32,
    old_prog_fd: u32,
}

/// Replaces the program of a link; no packet sees neither of them.
pub(crate) fn link_update(link: BorrowedFd<'_>, prog: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = LinkUpdateAttr {
        link_fd: link.as_raw_fd() as u32,
        new_prog_fd: prog.as_raw_fd() as u32,
        ..LinkUpdateAttr::default()
    };
    // SAFETY: no addresses in it.
    unsafe { bpf(cmd::LINK_UPDATE, &mut attr).map(drop) }
}

#[repr(C)]
#[derive(Default)]
struct TestRunAttr {
    prog_fd: u32,
    retval: u32,
    size_in: u32,
    size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    ctx_size_in: u32,
    ctx_size_out: u32,
    ctx_in: u64,
    ctx_out: u64,
    flags: u32,
    cpu: u32,
    batch: u32,
    pad: u32,
}

/// What a test run gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestRun {
    /// The program's return code.
    pub code: u32,
    /// The packet afterwards.
    pub packet: Vec<u8>,
    /// Nanoseconds of one run, on average.
    pub nanos: u32,
}

/// Room for what a program adds in front of or behind a packet.
const GROWTH: usize = 4096;

/// The kernel's `xdp_md`: what a program at XDP is told about a packet.
#[repr(C)]
struct XdpContext {
    data: u32,
    data_end: u32,
    data_meta: u32,
    ingress_ifindex: u32,
    rx_queue_index: u32,
    egress_ifindex: u32,
}

/// What a program is told of the packet of a test run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Told {
    /// Nothing: commands.
    Nothing,
    /// XDP: the interface that it came in through.
    Xdp(u32),
    /// TC: that it is a trial, by [`rvs_core::abi::TRIAL`], and its firewall mark.
    Tc(u32),
}

/// Runs a program on a packet without sending it anywhere, `repeat` times.
pub(crate) fn test_run(prog: BorrowedFd<'_>, packet: &[u8], repeat: u32, told: Told) -> io::Result<TestRun> {
    let mut out = vec![0u8; packet.len() + GROWTH];
    let mut attr = TestRunAttr {
        prog_fd: prog.as_raw_fd() as u32,
        size_in: packet.len() as u32,
        size_out: out.len() as u32,
        data_in: packet.as_ptr() as u64,
        data_out: out.as_mut_ptr() as u64,
        repeat,
        ..TestRunAttr::default()
    };
    let context = XdpContext {
        data: 0,
        data_end: packet.len() as u32,
        data_meta: 0,
        ingress_ifindex: if let Told::Xdp(from) = told { from } else { 0 },
        rx_queue_index: 0,
        egress_ifindex: 0,
    };
    // The beginning of the kernel's `__sk_buff`; all that may be told of is zero but the mark and the priority.
    let mut skb = [0u32; 9];
    if let Told::Tc(mark) = told {
        skb[2] = mark;
    }
    skb[8] = rvs_core::abi::TRIAL;
    match told {
        Told::Nothing => {}
        Told::Xdp(_) => {
            attr.ctx_in = (&raw const context) as u64;
            attr.ctx_size_in = size_of::<XdpContext>() as u32;
        }
        Told::Tc(_) => {
            attr.ctx_in = (&raw const skb) as u64;
            attr.ctx_size_in = size_of_val(&skb) as u32;
        }
    }
    // SAFETY: `packet` is readable for `size_in` bytes, `out` writable for `size_out` bytes, the contexts are whole; all outlive the call.
    unsafe { bpf(cmd::TEST_RUN, &mut attr)? };
    out.truncate(attr.size_out as usize);
    Ok(TestRun { code: attr.retval, packet: out, nanos: attr.duration })
}
