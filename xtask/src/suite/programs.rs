//! The programs of tests: how cargo makes them, which there are, and how each is run.

use super::step::{Pace, Step};
use crate::run::cargo;
use crate::workspace::Workspace;
use anyhow::{Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What cargo is to take: the same everywhere, for another choice has dependencies with other features, compiled anew.
pub(crate) const ALL: [&str; 5] = ["--workspace", "--features", "xtask/verifier", "--profile", "suite"];

/// Programs that wait for timers, servers and processes: their package, their name, and how many of their tests run at once
/// (none: as many as there are processors). The first ones take longest. All others compute. More at once would not be done
/// sooner: each laboratory has programs to load, and each namespace locks all others out while it comes and goes.
const WAITING: [(&str, Option<&str>, Option<u8>); 8] = [
    ("rvs-e2e", Some("director"), Some(3)),
    ("rvs-e2e", Some("vrrp"), Some(3)),
    ("rvs-e2e", Some("check"), Some(3)),
    ("rvs-prober", Some("it"), Some(3)),
    ("rvs-host", None, None),
    ("rvs-daemon", None, None),
    ("rvs-dataplane", None, None),
    ("rvs-e2e", None, None),
];

/// Tests that hold milliseconds against milliseconds, or an end against the original's few seconds, by the beginnings of their
/// names: they run while nothing else does.
const PROMPT: (&str, &str, [&str; 4]) = ("rvs-e2e", "vrrp", ["failover::", "bfd::", "bad::", "accept::"]);

/// What is left out of a fast run.
const NAMESPACES: &str = "rvs-e2e";

/// A program that cargo made.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Program {
    package: String,
    /// Of the target.
    name: String,
    /// `lib`, `bin`, `test`.
    kind: String,
    /// Where the package's Cargo.toml is.
    dir: PathBuf,
    file: PathBuf,
}

/// Makes them all and tells which.
pub(super) fn compile(ws: &Workspace) -> Command {
    let mut command = cargo(ws);
    command.args(["test", "--no-run", "--quiet", "--message-format", "json-render-diagnostics"]).args(ALL);
    command
}

/// Makes what can be made before the eBPF programs are.
pub(super) fn compile_ahead(ws: &Workspace) -> Command {
    let mut command = cargo(ws);
    command.args(["build", "--tests", "--keep-going", "--quiet"]).args(ALL);
    command
}

/// The tests, as steps.
#[derive(Default)]
pub(super) struct Tests {
    /// Those that are to be alone.
    pub(super) prompt: Vec<Step>,
    pub(super) others: Vec<Step>,
}

/// The steps that run what cargo told of.
pub(super) fn found(ws: &Workspace, told: &str, fast: bool) -> Result<Tests> {
    let mut programs: Vec<Program> = told.lines().filter_map(program).collect();
    ensure!(!programs.is_empty(), "cargo made no tests");
    programs.retain(|program| !(fast && program.package == NAMESPACES));
    let row = |program: &Program| WAITING.iter().position(|row| fits(row, program));
    programs.sort_by_key(|program| (row(program).unwrap_or(WAITING.len()), program.package.clone()));
    let (package, name, tests) = PROMPT;
    let mut found = Tests::default();
    for program in &programs {
        let mut step = step(ws, program, row(program));
        if program.package == package && program.name == name {
            let mut prompt = self::step(ws, program, row(program));
            prompt.name += " (prompt)";
            prompt.command.args(tests);
            found.prompt.push(prompt);
            step.command.args(tests.iter().flat_map(|test| ["--skip", test]));
        }
        found.others.push(step);
    }
    Ok(found)
}

fn fits((package, name, _): &(&str, Option<&str>, Option<u8>), program: &Program) -> bool {
    program.package == *package && name.is_none_or(|name| program.name == name && program.kind == "test")
}

/// A program as a step: in its package's directory and with what cargo would tell it.
fn step(ws: &Workspace, program: &Program, row: Option<usize>) -> Step {
    let mut command = Command::new(&program.file);
    let like = cargo(ws);
    command.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(&program.dir).env("CARGO_MANIFEST_DIR", &program.dir);
    if let Some(threads) = row.and_then(|row| WAITING[row].2) {
        command.env("RUST_TEST_THREADS", threads.to_string());
    }
    let pace = if row.is_some() { Pace::Waits } else { Pace::Computes };
    let short = program.package.strip_prefix("rvs-").unwrap_or(&program.package);
    let name = match program.kind.as_str() {
        "lib" => short.to_owned(),
        "test" => format!("{short}: {}", program.name),
        _ => format!("{short}: {} itself", program.name),
    };
    Step { tests: true, ..Step::new(&name, pace, command) }
}

/// The program that a line of cargo's JSON tells of.
fn program(line: &str) -> Option<Program> {
    let told: serde_json::Value = serde_json::from_str(line).ok()?;
    if told["profile"]["test"] != true {
        return None;
    }
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let dir = Path::new(told["manifest_path"].as_str()?).parent()?.to_path_buf();
    Some(Program {
        package: package(told["package_id"].as_str()?)?,
        name: text(&told["target"]["name"])?,
        kind: text(&told["target"]["kind"][0])?,
        dir,
        file: told["executable"].as_str()?.into(),
    })
}

/// The name in an identifier: `path+file:///x/crates/wire#rvs-wire@0.1.0`, or `…/xtask#0.1.0` where the directory is called so.
fn package(id: &str) -> Option<String> {
    let (path, rest) = id.rsplit_once('#')?;
    match rest.split_once('@') {
        Some((name, _)) => Some(name.to_owned()),
        None => Some(path.rsplit('/').next()?.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_those_of_tests() {
        let line = r#"{"reason":"compiler-artifact","package_id":"path+file:///r/tests/e2e#rvs-e2e@0.1.0",
            "manifest_path":"/r/tests/e2e/Cargo.toml","target":{"kind":["test"],"name":"check"},
            "profile":{"test":true},"executable":"/r/target/check-1"}"#;
        let made = program(line).unwrap();
        assert_eq!((made.package.as_str(), made.name.as_str(), made.kind.as_str()), ("rvs-e2e", "check", "test"));
        assert_eq!(made.dir, Path::new("/r/tests/e2e"));
        assert_eq!(program(&line.replace("true", "false")), None);
        assert_eq!(program("   Compiling x"), None);
        assert_eq!(package("path+file:///r/xtask#0.1.0").as_deref(), Some("xtask"));
    }

    #[test]
    fn a_row_without_a_name_is_for_what_is_left_of_its_package() {
        let of = |package: &str, name: &str, kind: &str| Program {
            package: package.into(),
            name: name.into(),
            kind: kind.into(),
            dir: "/".into(),
            file: "/".into(),
        };
        let row = |program: &Program| WAITING.iter().position(|row| fits(row, program));
        assert_eq!(row(&of("rvs-e2e", "check", "test")), Some(2));
        assert_eq!(row(&of("rvs-e2e", "lab", "lib")), Some(7));
        assert_eq!(row(&of("rvs-config", "keepalived", "test")), None);
    }
}
