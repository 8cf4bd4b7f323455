//! `cargo xtask`: everything a developer or a CI machine does to this project, in one place.
//!
//! This file is the list of commands and their arguments; each command's work is in the module of its name. xtask must not
//! contain anything that the product needs at run time.
#![forbid(unsafe_code)]

mod apt;
mod bench;
mod build;
mod demo;
mod guestbench;
mod guestcontrol;
mod initramfs;
mod install;
mod oldkernel;
mod run;
mod setup;
mod suite;
mod tidy;
mod toolchain;
mod verifier;
mod workspace;

use anyhow::{Context, Result, bail};
use std::process::ExitCode;
use workspace::Workspace;

const HELP: &str = "\
Usage: cargo xtask COMMAND [OPTIONS]

  setup                   install what building and testing need (as root on Debian or Ubuntu), or say what is missing
  build [--debug]         the eBPF object and the binary `rvs` that embeds it
  dist                    build, then lay out target/dist: sbin/{rvs,ipvsadm,ipvsadm-save,ipvsadm-restore} and what belongs to them
  install [--prefix DIR] [--destdir DIR] [--no-build]
                          dist, then put programs, units, manual pages, completions and documents below the prefix
                          (/usr/local), behind the destdir when one is given; --no-build takes what dist laid out before
  demo [--keep|--clean] [--json]
                          setup, dist, then a balanced site in network namespaces, shown at work
  test [--fast]           setup, build, then every test; --fast leaves out what needs namespaces or a virtual machine
  test --only PART        one part of that: setup, format, tidy, build, clippy, verifier, 'old kernel', doctests,
                          documentation; on what the others have made before
  bench [PART]... [--page] [--json] [OPTIONS]
                          measures: `packets` (the packet path alone), `throughput` (through namespaces, beside plain
                          forwarding, nftables, HAProxy and nginx), `guest` (beside the kernel's IPVS, in QEMU), `control`
                          (tools and daemon beside ipvsadm and keepalived; `--no-guest` leaves QEMU out); all of them when
                          none is named. OPTIONS go to the part that is named; --page writes docs/performance.md with its plots
  tidy                    the house rules that a compiler cannot check
  verifier [--json]       what the kernel's verifier says about each eBPF program, against the checked-in budget
  oldkernel               boot the oldest supported kernel in QEMU and balance real requests there
";

fn main() -> ExitCode {
    match command() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Reads the command line and runs the command.
fn command() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_else(|| "help".into());
    let rest: Vec<String> = args.collect();
    let has = |flag: &str| rest.iter().any(|arg| arg == flag);
    let allow = |flags: &[&str]| match rest.iter().find(|arg| !flags.contains(&arg.as_str())) {
        Some(arg) => bail!("{name}: unknown argument `{arg}`; see `cargo xtask help`"),
        None => Ok(()),
    };
    let ws = Workspace::find().context("finding the workspace")?;
    match name.as_str() {
        "setup" => allow(&[]).and_then(|()| setup::setup(&ws)),
        "build" => allow(&["--debug"]).and_then(|()| {
            build::object(&ws)?;
            build::binary(&ws, if has("--debug") { build::Profile::Debug } else { build::Profile::Release }).map(drop)
        }),
        "dist" => allow(&[]).and_then(|()| build::dist(&ws)),
        "install" => install::install(&ws, &rest),
        "demo" => allow(&["--keep", "--json", "--clean"]).and_then(|()| demo::demo(&ws, &rest)),
        "test" => match rest.as_slice() {
            [only, part] if only == "--only" => suite::only(&ws, part),
            _ => allow(&["--fast"]).and_then(|()| suite::suite(&ws, has("--fast"))),
        },
        "bench" => bench::bench(&ws, &rest),
        "tidy" => allow(&[]).and_then(|()| tidy::tidy(&ws)),
        "verifier" => allow(&["--json"]).and_then(|()| verifier::verifier(&ws, &rest)),
        "oldkernel" => allow(&[]).and_then(|()| oldkernel::oldkernel(&ws)),
        "help" | "-h" | "--help" => {
            print!("{HELP}");
            Ok(())
        }
        _ => bail!("unknown command `{name}`; see `cargo xtask help`"),
    }
}
