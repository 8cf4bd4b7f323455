//! The demo, a balanced site in network namespaces, and the benches. The work is done by binaries of other packages.

use crate::run::{cargo, run, step};
use crate::workspace::Workspace;
use crate::{build, setup};
use anyhow::Result;
use std::process::Command;

/// Prepares everything and runs the demo with the given flags.
pub(crate) fn demo(ws: &Workspace, flags: &[String]) -> Result<()> {
    prepare(ws, "rvs-e2e", "demo")?;
    run(Command::new(ws.target.join("release/demo")).args(flags).env("RVS_BIN_DIR", ws.sbin()))
}

/// Prepares everything, then measures what a packet costs and what goes through.
pub(crate) fn bench(ws: &Workspace, flags: &[String]) -> Result<()> {
    prepare(ws, "rvs-benches", "packets")?;
    prepare(ws, "rvs-e2e", "bench")?;
    let object = ws.object().with_file_name("bench.o");
    run(Command::new(ws.target.join("release/packets")).args(flags).env("RVS_BENCH_OBJECT", object))?;
    run(Command::new(ws.target.join("release/bench")).args(flags).env("RVS_BIN_DIR", ws.sbin()))
}

fn prepare(ws: &Workspace, package: &str, binary: &str) -> Result<()> {
    setup::setup(ws)?;
    build::dist(ws)?;
    step(&format!("{binary}: compile"), || {
        run(cargo(ws).args(["build", "--quiet", "--release", "--package", package, "--bin", binary]))
    })
}
