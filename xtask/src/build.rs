//! The eBPF object, the binary that embeds it, and the directory that both are laid out in.

use crate::install;
use crate::run::{cargo, run, step};
use crate::toolchain;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How the user-space binary is compiled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Profile {
    /// Optimised.
    Release,
    /// For debuggers.
    Debug,
}

/// Compiles the eBPF programs and puts the object where `crates/dataplane` embeds it from.
pub(crate) fn object(ws: &Workspace) -> Result<()> {
    let toolchain = toolchain::find().map_err(|refused| {
        anyhow::anyhow!("no Rust compiler for eBPF; run `cargo xtask setup`\n  {}", refused.join("\n  "))
    })?;
    let Some(linker) = toolchain::bpf_linker() else {
        bail!("bpf-linker {} is not installed; run `cargo xtask setup`", toolchain::BPF_LINKER);
    };
    // The linker by name: cargo's fingerprint then does not depend on where it is installed.
    let linker_dir = linker.parent().context("bpf-linker lies in no directory")?;
    let path = std::env::join_paths(
        std::iter::once(linker_dir.to_path_buf())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    )?;
    // Without the last flag each small memcpy or memset becomes a loop over bytes: half the speed, seven times the
    // instructions for the verifier.
    let flags =
        ["-Cdebuginfo=2", "-Clinker=bpf-linker", "-Clink-arg=--btf", "-Clink-arg=--disable-expand-memcpy-in-order"];
    let target = ws.target.join("bpf");
    step("eBPF programs", || {
        run(Command::new(&toolchain.cargo)
            .args([
                "build",
                "--quiet",
                "--release",
                "--target",
                "bpfel-unknown-none",
                "-Z",
                "build-std=core",
                "--manifest-path",
            ])
            .arg(ws.root.join("crates/ebpf/Cargo.toml"))
            .arg("--target-dir")
            .arg(&target)
            .env("PATH", path)
            .env("RUSTC", &toolchain.rustc)
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
            // Set by the cargo and rustup that run xtask; they would lead this compiler to the other one's libraries.
            .env_remove("LD_LIBRARY_PATH")
            .env_remove("RUSTUP_TOOLCHAIN")
            .env_remove("RUSTFLAGS"))
        .context("compiling crates/ebpf")?;
        let made = target.join("bpfel-unknown-none/release");
        replace(&made.join("bench"), &ws.object().with_file_name("bench.o"))?;
        replace(&made.join("rvs"), &ws.object())
    })
}

/// Compiles `rvs` and returns its path.
pub(crate) fn binary(ws: &Workspace, profile: Profile) -> Result<PathBuf> {
    let (flags, dir): (&[&str], _) = match profile {
        Profile::Release => (&["--release"], "release"),
        Profile::Debug => (&[], "debug"),
    };
    step("rvs", || run(cargo(ws).args(["build", "--quiet", "--package", "rvs"]).args(flags)))?;
    Ok(ws.target.join(dir).join("rvs"))
}

/// Builds everything and lays out `target/dist`.
pub(crate) fn dist(ws: &Workspace) -> Result<()> {
    object(ws)?;
    let binary = binary(ws, Profile::Release)?;
    let sbin = ws.sbin();
    let tree = sbin.parent().context("the programs lie in a tree")?;
    install::lay_out(ws, &binary, &install::Target::tree(tree.to_path_buf()))?;
    eprintln!("==> {}", ws.show(&sbin));
    Ok(())
}

/// Puts a copy of `from` at `to` in one step, and only if it differs: what depends on it is not rebuilt needlessly, and a
/// program that runs keeps its own file.
pub(crate) fn replace(from: &Path, to: &Path) -> Result<()> {
    let new = fs::read(from).with_context(|| format!("reading {}", from.display()))?;
    if fs::read(to).is_ok_and(|old| old == new) {
        return Ok(());
    }
    fs::create_dir_all(to.parent().context("no directory to copy to")?)?;
    let temporary = to.with_extension(format!("{}.new", std::process::id()));
    fs::copy(from, &temporary)
        .and_then(|_| fs::rename(&temporary, to))
        .with_context(|| format!("writing {}", to.display()))
}

/// Makes `at` a symbolic link to `to`, whatever it was.
pub(crate) fn link(to: &str, at: &Path) -> Result<()> {
    if fs::read_link(at).is_ok_and(|old| old == Path::new(to)) {
        return Ok(());
    }
    if at.symlink_metadata().is_ok() {
        fs::remove_file(at)?;
    }
    std::os::unix::fs::symlink(to, at).with_context(|| format!("linking {}", at.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_made_once_and_renewed_when_the_source_changes() {
        let dir = std::env::temp_dir().join(format!("rvs-xtask-replace-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let (from, to) = (dir.join("from"), dir.join("deep/to"));
        fs::write(&from, "one").unwrap();
        replace(&from, &to).unwrap();
        let first = fs::metadata(&to).unwrap().modified().unwrap();
        replace(&from, &to).unwrap();
        assert_eq!(fs::metadata(&to).unwrap().modified().unwrap(), first);
        fs::write(&from, "two").unwrap();
        replace(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(&to).unwrap(), "two");
        fs::remove_dir_all(&dir).unwrap();
    }
}
