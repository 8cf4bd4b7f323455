//! What the tools and the daemon take with large tables beside the originals, which need the kernel's IPVS: both in the same virtual
//! machine as [`crate::guestbench`], whose clock goes by instructions. `guest/control` says what happens in it.

use crate::guestbench;
use crate::run::step;
use crate::workspace::Workspace;
use anyhow::{Result, ensure};
use std::path::PathBuf;

/// What a measurement's line begins with.
const MARK: &str = "rvs-control: ";

/// Boots the machine with what is in `target/dist`; the file that its lines are in.
pub(crate) fn measure(ws: &Workspace) -> Result<PathBuf> {
    let kernel = guestbench::kernel(ws)?;
    let mut root = guestbench::file_system(ws, &kernel, include_bytes!("../guest/control"))?;
    root.link("sbin/keepalived", "rvs");
    // The distribution's.
    root.command("usr/sbin/keepalived")?;
    let mut lines = String::new();
    step(&format!("Linux {} in QEMU, with large tables (ten minutes or so)", kernel.release()), || {
        guestbench::boot(ws, &kernel, "control", &root, |line| {
            eprintln!("    | {line}");
            if line.starts_with(MARK) {
                lines = format!("{lines}{line}\n");
            }
        })
    })?;
    ensure!(!lines.is_empty(), "the virtual machine has measured nothing");
    let path = ws.oldkernel().join("control.txt");
    std::fs::write(&path, lines)?;
    Ok(path)
}
