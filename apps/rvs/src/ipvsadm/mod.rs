//! The personality `ipvsadm`: a command line against the data plane.
//!
//! A command line is understood before a data plane is asked for, so a wrong one has no effect at all and needs no privileges.

mod drain;
mod rehearse;
mod restore;
mod view;

pub(crate) use rehearse::rehearse_restore;
pub(crate) use restore::restore;
pub(crate) use view::saved;

use crate::world::{Access, World};
use rvs_config::ipvsadm::{Action, UsageError, VERSION, help, messages, parse};
use rvs_core::abi::ServiceKey;
use rvs_dataplane::{Dataplane, Error, UpdateError};
use rvs_intent::{Edit, Refusal};
use std::ffi::OsString;

/// Status of a command that the data plane refuses.
const REFUSED: i32 = 255;
/// Status when there is no data plane, or no command line that makes sense.
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
            finished(world, dataplane.update(std::slice::from_ref(&edit)), |refusal| messages::refusal(&edit, refusal))
        }),
        Action::Restore => restore(world, false),
        Action::List(request) => view::list(world, &request),
        Action::Save { numeric, full } => saved(world, numeric, full),
        Action::Zero(key) => with_dataplane(world, Access::Existing, |dataplane, world| zero(dataplane, key, world)),
        Action::StartDaemon(daemon) => with_dataplane(world, Access::Existing, |dataplane, world| {
            finished(world, dataplane.start_daemon(&daemon), daemon_refusal)
        }),
        Action::StopDaemon(role) => with_dataplane(world, Access::Existing, |dataplane, world| {
            finished(world, dataplane.stop_daemon(role), daemon_refusal)
        }),
        Action::Diff { file, json } => rehearse::diff(world, &file, json),
        Action::Drain { target, limit, json } => drain::drain(world, &target, limit, json),
        Action::Purge { target, json } => drain::purge(world, &target, json),
        Action::DryRun { action, json } => match *action {
            Action::Edit(edit) => rehearse::edit(world, &edit, json),
            // The option goes with nothing else.
            _ => rehearse_restore(world, false, json),
        },
    }
}

/// The exit status of a change; a refusal is put into words.
fn finished(world: &mut World<'_>, done: Result<(), UpdateError>, words: impl FnOnce(&Refusal) -> String) -> i32 {
    match done {
        Ok(()) => 0,
        Err(UpdateError::Refused { refusal, .. }) => world.fail(REFUSED, &words(&refusal)),
        Err(UpdateError::Failed(error)) => world.fail(REFUSED, &error.to_string()),
    }
}

fn daemon_refusal(refusal: &Refusal) -> String {
    messages::refusal(&Edit::Flush, refusal)
}

fn zero(dataplane: &mut dyn Dataplane, key: Option<ServiceKey>, world: &mut World<'_>) -> i32 {
    finished(world, dataplane.zero(key), |_| messages::NO_SERVICE.to_owned())
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
