//! The demo: a balanced site in network namespaces. The work is done by a binary of another package.

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

/// Installs and builds what a binary of a package of ours needs, and the binary.
pub(crate) fn prepare(ws: &Workspace, package: &str, binary: &str) -> Result<()> {
    setup::setup(ws)?;
    build::dist(ws)?;
    step(&format!("{binary}: compile"), || {
        run(cargo(ws).args(["build", "--quiet", "--release", "--package", package, "--bin", binary]))
    })
}
