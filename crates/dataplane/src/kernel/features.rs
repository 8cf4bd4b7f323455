//! What the kernel and the caller must have.

use crate::Error;
use std::fs;

/// The oldest kernel that the programs load on: the first with all of `bpf_loop`, timers and spin locks in maps of classifiers
/// that is supported for long.
const OLDEST: (u32, u32) = (6, 1);
/// The first kernel with links at TC (tcx).
const TCX: (u32, u32) = (6, 6);

/// Capabilities, with the kernel's numbers.
const CAP_NET_ADMIN: u32 = 12;
const CAP_SYS_ADMIN: u32 = 21;

/// The kernel's release, as `uname -r` prints it.
pub(crate) fn release() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Whether TC programs are attached by links here; else by the older clsact.
pub(crate) fn tcx() -> bool {
    version(&release()).is_some_and(|version| version >= TCX)
}

/// Whether the kernel describes its types.
pub(crate) fn btf() -> bool {
    fs::exists("/sys/kernel/btf/vmlinux").unwrap_or(false)
}

/// Whether this process may load and attach programs.
pub(crate) fn privileged() -> bool {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    [CAP_NET_ADMIN, CAP_SYS_ADMIN].iter().all(|capability| effective & (1 << capability) != 0)
}

/// Refuses with the name of what is missing.
pub(crate) fn require() -> Result<(), Error> {
    if !privileged() {
        return Err(Error::Permission("RVS needs root (CAP_NET_ADMIN and CAP_SYS_ADMIN)".into()));
    }
    supported(&release())
}

fn supported(release: &str) -> Result<(), Error> {
    match version(release) {
        Some(version) if version < OLDEST => Err(Error::Unsupported(format!(
            "kernel {release} lacks what RVS needs (timers, spin locks and loops in eBPF programs): it must be {}.{} or newer",
            OLDEST.0, OLDEST.1
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_kernels_are_refused_by_name_and_odd_ones_given_a_chance() {
        for (release, good) in
            [("5.10.0-28-amd64", false), ("6.0.19", false), ("6.1.0", true), ("7.0", true), ("", true)]
        {
            assert_eq!(supported(release).is_ok(), good, "{release}");
        }
        assert!(supported("5.10.0").unwrap_err().to_string().contains("kernel 5.10.0"));
    }
}
