//! The compiler for the eBPF programs: any rustc that has the sources of `core` and an LLVM that bpf-linker can read.
//!
//! Stable compilers do, with `RUSTC_BOOTSTRAP=1`: all that is needed of nightly is building `core` for the target.

use crate::run::{output, which};
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The version of bpf-linker that the project is built with.
pub(crate) const BPF_LINKER: &str = "0.13.0";
/// Major version of the LLVM that bpf-linker is built against. It reads bitcode of this and of earlier versions.
pub(crate) const LLVM: u32 = 22;

/// A usable compiler.
#[derive(Debug)]
pub(crate) struct Toolchain {
    /// Its rustc.
    pub(crate) rustc: PathBuf,
    /// The cargo beside it.
    pub(crate) cargo: PathBuf,
}

/// The first usable toolchain: the distribution's, the one that started xtask, then those of rustup; or why each is not.
pub(crate) fn find() -> Result<Toolchain, Vec<String>> {
    let mut refused = Vec::new();
    for dir in candidates() {
        match check(&dir) {
            Ok(toolchain) => return Ok(toolchain),
            Err(why) => refused.push(format!("{}: {why}", dir.join("rustc").display())),
        }
    }
    Err(refused)
}

/// `bin` directories that hold a rustc.
fn candidates() -> Vec<PathBuf> {
    let mut dirs = vec![PathBuf::from("/usr/bin")];
    if let Ok(sysroot) = output(Command::new("rustc").args(["--print", "sysroot"])) {
        dirs.push(Path::new(sysroot.trim()).join("bin"));
    }
    let rustup = std::env::var_os("RUSTUP_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".rustup")));
    if let Some(toolchains) = rustup.and_then(|home| home.join("toolchains").read_dir().ok()) {
        let mut found: Vec<_> = toolchains.flatten().map(|entry| entry.path().join("bin")).collect();
        found.sort();
        dirs.extend(found);
    }
    dirs.retain(|dir| dir.join("rustc").exists());
    dirs.dedup();
    dirs
}

/// Why the compiler in this directory can or cannot be used.
fn check(bin: &Path) -> Result<Toolchain, String> {
    let rustc = bin.join("rustc");
    let ask = |args: &[&str]| {
        output(Command::new(&rustc).args(args).env_remove("LD_LIBRARY_PATH")).map_err(|error| error.to_string())
    };
    let cargo = bin.join("cargo");
    if !cargo.exists() {
        return Err("no cargo beside it".into());
    }
    let sysroot = ask(&["--print", "sysroot"])?;
    if !Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core").exists() {
        return Err("the standard library's sources are missing (rust-src)".into());
    }
    match llvm_major(&ask(&["-vV"])?) {
        Some(major) if major <= LLVM => Ok(Toolchain { rustc, cargo }),
        Some(major) => Err(format!("its LLVM {major} is newer than bpf-linker's {LLVM}")),
        None => Err("it does not tell its LLVM version".into()),
    }
}

/// The LLVM version in the output of `rustc -vV`.
fn llvm_major(version: &str) -> Option<u32> {
    version.lines().find_map(|line| line.strip_prefix("LLVM version: "))?.split('.').next()?.parse().ok()
}

/// bpf-linker, if the version that the project is built with is installed.
pub(crate) fn bpf_linker() -> Option<PathBuf> {
    let path = which("bpf-linker")?;
    let version = output(Command::new(&path).arg("--version")).ok()?;
    (version.trim() == format!("bpf-linker {BPF_LINKER}")).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llvm_version_is_read_from_what_rustc_prints() {
        assert_eq!(llvm_major("rustc 1.96.0 (ac68faa20 2026-05-25)\nhost: x\nLLVM version: 22.1.8\n"), Some(22));
        assert_eq!(llvm_major("rustc 1.96.0\n"), None);
    }
}
