//! What the kernel's verifier says about the programs. The loading is done by the separate binary `verifier`, which the test
//! on the old kernel runs as well.

use crate::build;
use crate::run::{cargo, run, step};
use crate::suite;
use crate::workspace::Workspace;
use anyhow::Result;
use std::path::PathBuf;
use std::process::Command;

/// Compiles the tool and returns its path.
pub(crate) fn binary(ws: &Workspace) -> Result<PathBuf> {
    step("verifier: compile", || {
        // As the suite makes it with its tests: what it measures is done by the kernel.
        run(cargo(ws).args(["build", "--quiet", "--bin", "verifier"]).args(suite::ALL))
    })?;
    Ok(ws.target.join("suite/verifier"))
}

/// Builds the object and holds it against the budget.
pub(crate) fn verifier(ws: &Workspace, flags: &[String]) -> Result<()> {
    build::object(ws)?;
    check(ws, flags)
}

/// Holds the object that is there against the budget.
pub(crate) fn check(ws: &Workspace, flags: &[String]) -> Result<()> {
    let tool = binary(ws)?;
    run(Command::new(tool).args(flags).arg("--budget").arg(ws.root.join("xtask/verifier-budget.toml")).arg(ws.object()))
}
