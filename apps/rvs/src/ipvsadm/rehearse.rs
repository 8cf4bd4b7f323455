//! What a command or a file of rules would change, without changing it.

use super::restore::Prepared;
use super::{NO_DATAPLANE, NOT_LISTED, REFUSED, with_dataplane};
use crate::report;
use crate::world::{Access, World};
use rvs_config::ipvsadm::{changes, explained, json, messages};
use rvs_dataplane::{Dataplane, UpdateError};
use rvs_intent::{Edit, Refusal, diff as differences};
use std::ffi::OsStr;

/// What ends a complaint about rules that would be refused.
const NOTHING: &str = "nothing would be restored";
/// What ends a complaint about rules that cannot be compared.
const INCOMPARABLE: &str = "cannot compare";

/// `--dry-run` of a single change.
pub(super) fn edit(world: &mut World<'_>, edit: &Edit, json: bool) -> i32 {
    with_dataplane(world, Access::Existing, |dataplane, world| {
        let refused =
            |_: usize, refusal: &Refusal, world: &mut World<'_>| world.fail(REFUSED, &messages::refusal(edit, refusal));
        match changed(dataplane, std::slice::from_ref(edit), json, world, refused) {
            Ok((text, _)) => world.print(&text),
            Err(status) => status,
        }
    })
}

/// `--dry-run` of a restore: in addition to the table, or in its place.
pub(crate) fn rehearse_restore(world: &mut World<'_>, replace: bool, json: bool) -> i32 {
    let prepared = match Prepared::from_stdin(replace, NOTHING, world) {
        Ok(prepared) => prepared,
        Err(status) => return status,
    };
    with_dataplane(world, Access::Existing, |dataplane, world| {
        let refused =
            |index: usize, refusal: &Refusal, world: &mut World<'_>| prepared.refused(index, refusal, NOTHING, world);
        match changed(dataplane, &prepared.edits, json, world, refused) {
            Ok((text, _)) => world.print(&text),
            Err(status) => status,
        }
    })
}

/// `--diff`: what restoring the rules of a file in place of the table would change. Status as diff(1): 0 nothing, 1 something,
/// 2 trouble.
pub(super) fn diff(world: &mut World<'_>, file: &OsStr, json: bool) -> i32 {
    let prepared = if file == "-" {
        Prepared::from_stdin(true, INCOMPARABLE, world)
    } else {
        let name = file.to_string_lossy().into_owned();
        match std::fs::read(file) {
            Ok(bytes) => Prepared::new(&bytes, Some(name), true, INCOMPARABLE, world),
            Err(error) => Err(world.fail(NO_DATAPLANE, &format!("{name}: {error}"))),
        }
    };
    let prepared = match prepared {
        Ok(prepared) => prepared,
        // A file that makes no sense is trouble, whatever its line alone would have had as status.
        Err(_) => return NO_DATAPLANE,
    };
    with_dataplane(world, Access::Existing, |dataplane, world| {
        let refused = |index: usize, refusal: &Refusal, world: &mut World<'_>| {
            prepared.refused(index, refusal, INCOMPARABLE, world)
        };
        match changed(dataplane, &prepared.edits, json, world, refused) {
            Ok((text, count)) => match world.print(&text) {
                0 => i32::from(count != 0),
                status => status,
            },
            Err(_) => NO_DATAPLANE,
        }
    })
}

/// The text of what the edits would change, and of how many changes.
fn changed(
    dataplane: &mut dyn Dataplane,
    edits: &[Edit],
    json: bool,
    world: &mut World<'_>,
    refused: impl FnOnce(usize, &Refusal, &mut World<'_>) -> i32,
) -> Result<(String, usize), i32> {
    let listing = dataplane.listing().map_err(|error| world.fail(NOT_LISTED, &error.to_string()))?;
    let then = match dataplane.preview(edits) {
        Ok(then) => then,
        Err(UpdateError::Refused { index, refusal }) => return Err(refused(index, &refusal, world)),
        Err(UpdateError::Failed(error)) => return Err(world.fail(REFUSED, &error.to_string())),
    };
    let found = explained(&differences(&listing.table(), &then), &listing);
    let text = if json { report::json(&json::changes(&found)) } else { changes(&found) };
    Ok((text, found.len()))
}
