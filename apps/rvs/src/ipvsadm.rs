//! The personality `ipvsadm`: a command line against the data plane.
//!
//! A command line is understood before a data plane is asked for, so a wrong one has no effect at all and needs no privileges.

use crate::world::{Access, World};
use rvs_config::ipvsadm::restore::Rule;
use rvs_config::ipvsadm::{
    self, Action, ListRequest, Shown, UsageError, VERSION, connections, help, list, messages, parse, read_script, save,
};
use rvs_core::abi::ServiceKey;
use rvs_dataplane::{Dataplane, Error, UpdateError};
use rvs_intent::{Edit, Refusal};
use std::ffi::OsString;

/// Status of a command that the data plane refuses.
const REFUSED: i32 = 255;
/// Status when there is no data plane.
const NO_DATAPLANE: i32 = 2;
/// Status of a listing that cannot be had.
const NOT_LISTED: i32 = 1;

/// Does what the words behind the program's name ask for; the exit status.
pub fn run(args: &[OsString], world: &mut World<'_>) -> i32 {
    let action = match parse(args, world.names) {
        Ok(action) => action,
        Err(UsageError { text, status }) => return world.fail(status, &text),
    };
    match action {
        Action::Help => world.print(&help()),
        Action::Version => world.print(&format!("{VERSION}\n")),
        Action::Edit(edit) => with_dataplane(world, access(&edit), |dataplane, world| {
            match dataplane.update(std::slice::from_ref(&edit)) {
                Ok(()) => 0,
                Err(UpdateError::Refused { refusal, .. }) => world.fail(REFUSED, &messages::refusal(&edit, &refusal)),
                Err(UpdateError::Failed(error)) => world.fail(REFUSED, &error.to_string()),
            }
        }),
        Action::Restore => restore(world, false),
        Action::List(request) => {
            with_dataplane(world, Access::Existing, |dataplane, world| match listing(dataplane, &request, world) {
                Ok(Some(text)) => world.print(&text),
                Ok(None) => world.fail(NOT_LISTED, messages::NO_SERVICE),
                Err(error) => world.fail(NOT_LISTED, &error.to_string()),
            })
        }
        Action::Save { numeric } => saved(world, numeric),
        Action::Zero(key) => with_dataplane(world, Access::Existing, |dataplane, world| zero(dataplane, key, world)),
        Action::StartDaemon(_) => {
            world.fail(REFUSED, "Connection synchronisation is not supported by this version of RVS")
        }
        Action::StopDaemon(_) => {
            with_dataplane(world, Access::Existing, |_, world| world.fail(REFUSED, messages::NO_DAEMON))
        }
    }
}

/// Prints the table as rules.
pub(crate) fn saved(world: &mut World<'_>, numeric: bool) -> i32 {
    with_dataplane(world, Access::Existing, |dataplane, world| match dataplane.listing() {
        Ok(listing) => world.print(&save(&listing, numeric, world.names)),
        Err(error) => world.fail(NOT_LISTED, &error.to_string()),
    })
}

/// Applies the rules of standard input, all or none: in addition to the table, or in its place.
pub(crate) fn restore(world: &mut World<'_>, replace: bool) -> i32 {
    let mut bytes = Vec::new();
    if let Err(error) = world.stdin.read_to_end(&mut bytes) {
        return world.fail(NO_DATAPLANE, &format!("cannot read the rules: {error}"));
    }
    let rules = match read_script(&String::from_utf8_lossy(&bytes), world.names) {
        Ok(rules) => rules,
        Err(ipvsadm::ScriptError { line, error }) => return not_restored(world, line, &error.text, error.status),
    };
    // The rule that clears the table first stands on no line.
    let flush = replace.then_some(Rule { line: 0, edit: Edit::Flush });
    let rules: Vec<Rule> = flush.into_iter().chain(rules).collect();
    let edits: Vec<Edit> = rules.iter().map(|rule| rule.edit.clone()).collect();
    let access =
        if edits.iter().any(|edit| access(edit) == Access::Create) { Access::Create } else { Access::Existing };
    with_dataplane(world, access, |dataplane, world| match dataplane.update(&edits) {
        Ok(()) => 0,
        Err(UpdateError::Refused { index, refusal }) => refused_rule(world, &rules, index, &refusal),
        Err(UpdateError::Failed(error)) => world.fail(REFUSED, &format!("{error}; nothing was restored")),
    })
}

fn refused_rule(world: &mut World<'_>, rules: &[Rule], index: usize, refusal: &Refusal) -> i32 {
    let (line, text) = match rules.get(index) {
        Some(rule) => (rule.line, messages::refusal(&rule.edit, refusal)),
        None => (0, refusal.to_string()),
    };
    not_restored(world, line, &text, REFUSED)
}

fn not_restored(world: &mut World<'_>, line: usize, text: &str, status: i32) -> i32 {
    world.fail(status, &format!("line {line}: {}; nothing was restored", text.trim_end()))
}

fn zero(dataplane: &mut dyn Dataplane, key: Option<ServiceKey>, world: &mut World<'_>) -> i32 {
    match dataplane.zero(key) {
        Ok(()) => 0,
        Err(UpdateError::Refused { .. }) => world.fail(REFUSED, messages::NO_SERVICE),
        Err(UpdateError::Failed(error)) => world.fail(REFUSED, &error.to_string()),
    }
}

/// The text of a listing; `None` when the service asked for does not exist.
fn listing(dataplane: &mut dyn Dataplane, request: &ListRequest, world: &World<'_>) -> Result<Option<String>, Error> {
    Ok(match &request.shown {
        Shown::Table => list(&dataplane.listing()?, None, request, world.names),
        Shown::Service(key) => list(&dataplane.listing()?, Some(key), request, world.names),
        Shown::Connections => Some(connections(&dataplane.connections()?, request, world.names)),
        Shown::Timeouts => {
            let timeouts = dataplane.listing()?.timeouts;
            Some(format!("Timeout (tcp tcpfin udp): {} {} {}\n", timeouts.tcp, timeouts.tcp_fin, timeouts.udp))
        }
        // None ever runs.
        Shown::Daemons => Some(String::new()),
    })
}

/// Only what stays when the table was empty before needs a data plane to stay in.
const fn access(edit: &Edit) -> Access {
    match edit {
        Edit::AddService(_) | Edit::SetTimeouts(_) => Access::Create,
        _ => Access::Existing,
    }
}

fn with_dataplane(
    world: &mut World<'_>,
    access: Access,
    act: impl FnOnce(&mut dyn Dataplane, &mut World<'_>) -> i32,
) -> i32 {
    match (world.open)(access) {
        Ok(mut dataplane) => act(dataplane.as_mut(), world),
        Err(Error::Permission(_)) => world.fail(
            NO_DATAPLANE,
            "Can't initialize ipvs: Permission denied (you must be root)\n\
             Are you sure that IP Virtual Server is built in the kernel or as module?",
        ),
        Err(error) => world.fail(NO_DATAPLANE, &format!("Can't initialize ipvs: {error}")),
    }
}
