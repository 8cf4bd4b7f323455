//! Installing Debian packages without side effects: no questions, no services started.

use crate::run::run;
use anyhow::{Context, Result};
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether this is Debian or something made of it, with apt.
pub(crate) fn available() -> bool {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    debian_like(&release) && Path::new("/usr/bin/apt-get").exists()
}

/// Whether an os-release file is Debian's or a derivative's.
fn debian_like(release: &str) -> bool {
    release
        .lines()
        .filter_map(|line| line.strip_prefix("ID=").or_else(|| line.strip_prefix("ID_LIKE=")))
        .any(|ids| ids.trim_matches('"').split(' ').any(|id| id == "debian" || id == "ubuntu"))
}

/// An apt-get that asks nothing and says only what goes wrong.
pub(crate) fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command
        .args(["--quiet", "--quiet", "--option", "Dpkg::Use-Pty=0", "--option", "APT::Sandbox::User=root"])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdout(Stdio::null());
    command
}

/// Refreshes the package lists, once in the life of this process.
pub(crate) fn update() -> Result<()> {
    static DONE: AtomicBool = AtomicBool::new(false);
    if !DONE.load(Ordering::Relaxed) {
        run(apt_get().arg("update"))?;
        DONE.store(true, Ordering::Relaxed);
    }
    Ok(())
}

/// Installs the packages, as the package lists have them now.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let _quiet = NoServices::start()?;
    update()?;
    run(apt_get().args(["install", "--yes", "--no-install-recommends"]).args(packages))
}

const POLICY: &str = "/usr/sbin/policy-rc.d";

/// While this lives, packages that bring a service (nginx) don't start it: a policy of the machine's own is left alone.
struct NoServices {
    ours: bool,
}

impl NoServices {
    fn start() -> Result<Self> {
        match OpenOptions::new().write(true).create_new(true).mode(0o755).open(POLICY) {
            Ok(mut file) => {
                file.write_all(
                    b"#!/bin/sh\n# Written by `cargo xtask setup`, which removes it when it is done.\nexit 101\n",
                )?;
                Ok(Self { ours: true })
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Self { ours: false }),
            Err(error) => Err(error).with_context(|| format!("writing {POLICY}")),
        }
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.ours {
            // Nothing can be done about a failure here, and it is visible: services stay off.
            let _ = fs::remove_file(POLICY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_and_its_children_are_recognised() {
        assert!(debian_like("NAME=\"Debian GNU/Linux\"\nID=debian\n"));
        assert!(debian_like("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"));
        assert!(!debian_like("ID=fedora\nID_LIKE=\"rhel\"\nVERSION_ID=debian\n"));
    }
}
