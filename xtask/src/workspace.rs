//! Where things are: the project's root, cargo's target directory, and the places that other parts of the project rely on.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// The checkout and its target directory.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// The directory of the workspace's Cargo.toml.
    pub(crate) root: PathBuf,
    /// Cargo's target directory: `CARGO_TARGET_DIR`, else `target` in the root.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// The workspace that this xtask was compiled in.
    pub(crate) fn find() -> Result<Self> {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask's directory has no parent")?.to_path_buf();
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(dir) => std::path::absolute(dir)?,
            None => root.join("target"),
        };
        Ok(Self { root, target })
    }

    /// The eBPF object that `crates/dataplane` embeds.
    pub(crate) fn object(&self) -> PathBuf {
        self.root.join("target/bpf/rvs.o")
    }

    /// The directory of the laid-out binaries.
    pub(crate) fn sbin(&self) -> PathBuf {
        self.root.join("target/dist/sbin")
    }

    /// The cache of the old-kernel test.
    pub(crate) fn oldkernel(&self) -> PathBuf {
        self.root.join("target/oldkernel")
    }

    /// What the steps of the test suite said.
    pub(crate) fn test_logs(&self) -> PathBuf {
        self.target.join("test-logs")
    }

    /// A path for people: relative to the root when it lies below it.
    pub(crate) fn show<'a>(&self, path: &'a Path) -> std::path::Display<'a> {
        path.strip_prefix(&self.root).unwrap_or(path).display()
    }
}
