//! `rvs unit`: what `ipvsadm.service` does when it starts, stops and reloads: restore the saved rules, save them, and whatever
//! `/etc/default/ipvsadm` wants of connection synchronisation.
//!
//! Only the order of things and their files are known here; rules are read and printed by the tools themselves.

use crate::world::World;
use crate::{atomic, ipvsadm, scripts};
use rvs_config::boot::{self, Boot};
use rvs_config::ipvsadm::{read_script, save};
use rvs_config::names::Names;
use rvs_dataplane::Dataplane;
use rvs_dataplane::model::Model;
use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// What to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::Subcommand)]
pub enum Step {
    /// Restore the saved rules; begin connection synchronisation.
    Start,
    /// End connection synchronisation; save the rules and clear the table.
    Stop,
    /// Restore the saved rules in the place of the table, in one step.
    Reload,
}

/// Exit status when something was not done.
const FAILED: i32 = 1;
/// Rules may hold addresses that are nobody's business.
const RULES_MODE: u32 = 0o600;

/// Does a step with the files below `root`; the exit status. What can still be done after an error is done.
pub fn run(step: Step, root: &Path, world: &mut World<'_>) -> i32 {
    let boot = match settings(&root.join("etc/default/ipvsadm")) {
        Ok(boot) => boot,
        Err(text) => return world.fail(FAILED, &text),
    };
    let rules = rules_file(root);
    match step {
        Step::Start => load(&boot, &rules, world).max(daemons(&boot, "--start-daemon", world)),
        Step::Stop => daemons(&boot, "--stop-daemon", world).max(store(&boot, &rules, world)),
        Step::Reload => load(&boot, &rules, world),
    }
}

fn settings(path: &Path) -> Result<Boot, String> {
    match fs::read_to_string(path) {
        Ok(text) => boot::parse(&text).map_err(|error| format!("{}: {error}", path.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Boot::without_file()),
        Err(error) => Err(format!("cannot read {}: {error}", path.display())),
    }
}

/// Where rules are saved: the file that there is, else the one that the distribution would have.
fn rules_file(root: &Path) -> PathBuf {
    let (red_hat, debian) = (root.join("etc/sysconfig/ipvsadm"), root.join("etc/ipvsadm.rules"));
    let is_red_hat = red_hat.exists() || (!debian.exists() && root.join("etc/sysconfig").is_dir());
    if is_red_hat { red_hat } else { debian }
}

/// Runs a tool with this input; its status, output and complaints.
fn call(tool: impl FnOnce(&mut World<'_>) -> i32, stdin: &str, world: &mut World<'_>) -> (i32, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let inner = &mut World {
        stdin: &mut stdin.as_bytes(),
        stdin_name: None,
        out: &mut out,
        err: &mut err,
        names: world.names,
        open: &mut *world.open,
        pause: &mut *world.pause,
    };
    let status = tool(inner);
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim_end().to_owned();
    (status, text(out), text(err))
}

fn load(boot: &Boot, rules: &Path, world: &mut World<'_>) -> i32 {
    if !boot.auto {
        return world.print("AUTO is not \"true\" in /etc/default/ipvsadm: rules are neither restored nor saved\n");
    }
    let text = match fs::read_to_string(rules) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return world.print(&format!("{} does not exist: nothing to restore\n", rules.display()));
        }
        Err(error) => return world.fail(FAILED, &format!("cannot read {}: {error}", rules.display())),
    };
    match call(|world| scripts::restore(&[], world), &text, world) {
        (0, ..) => world.print(&format!("restored {}\n", rules.display())),
        (_, _, complaint) => world.fail(FAILED, &format!("{}: {complaint}", rules.display())),
    }
}

/// Saves, then clears; a table that could not be saved is not cleared.
fn store(boot: &Boot, rules: &Path, world: &mut World<'_>) -> i32 {
    if !boot.auto {
        return 0;
    }
    let (status, saved, complaint) = call(|world| scripts::save(&[OsString::from("-n")], world), "", world);
    if status != 0 {
        return world.fail(FAILED, &format!("the rules were not saved: {complaint}"));
    }
    let said = match keep(rules, &saved, world.names) {
        Ok(Kept::AsItWas) => format!("{} says the same already\n", rules.display()),
        Ok(Kept::Replaced) => format!("saved {}\n", rules.display()),
        Err(error) => return world.fail(FAILED, &format!("the rules were not saved in {}: {error}", rules.display())),
    };
    match call(|world| ipvsadm::run(&[OsString::from("-C")], world), "", world) {
        (0, ..) => world.print(&said),
        (_, _, complaint) => world.fail(FAILED, &format!("the table was saved but not cleared: {complaint}")),
    }
}

/// What became of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kept {
    AsItWas,
    Replaced,
}

/// Writes the rules down, unless the file has the same already: then its comments, and thresholds, which are not part of the
/// format, stay.
fn keep(rules: &Path, saved: &str, names: &dyn Names) -> io::Result<Kept> {
    let old = fs::read_to_string(rules).ok();
    if old.is_some_and(|old| normal(&old, names).is_some_and(|old| old.trim_end() == saved)) {
        return Ok(Kept::AsItWas);
    }
    let end = if saved.is_empty() { "" } else { "\n" };
    let head = rules.file_name().unwrap_or_default().to_string_lossy();
    atomic::replace(rules, RULES_MODE, |out| -> io::Result<()> { write!(out, "# {head}\n{saved}{end}") })?;
    Ok(Kept::Replaced)
}

/// What a table restored from these rules would be saved as.
fn normal(rules: &str, names: &dyn Names) -> Option<String> {
    let edits: Vec<_> = read_script(rules, names).ok()?.rules.into_iter().map(|rule| rule.edit).collect();
    let mut model = Model::default();
    model.update(&edits).ok()?;
    Some(save(&model.listing().ok()?, true, names))
}

fn daemons(boot: &Boot, command: &str, world: &mut World<'_>) -> i32 {
    let mut worst = 0;
    for daemon in &boot.daemons {
        let mut args: Vec<OsString> = [command, daemon].map(OsString::from).into();
        if command == "--start-daemon" {
            args.extend(["--mcast-interface", &boot.interface, "--syncid", &boot.sync_id].map(OsString::from));
        }
        let (status, _, complaint) = call(|world| ipvsadm::run(&args, world), "", world);
        if status != 0 {
            worst = world.fail(FAILED, &format!("connection synchronisation ({daemon}): {complaint}"));
        }
    }
    worst
}

#[cfg(test)]
mod tests;
