//! Taking a real server out of service: gently ([`drain`]) or at once ([`purge`]).

use super::{NOT_LISTED, REFUSED, with_dataplane};
use crate::report;
use crate::world::{Access, Woken, World};
use rvs_config::ipvsadm::{Target, json, messages};
use rvs_dataplane::{Dataplane, Error, UpdateError};
use rvs_intent::{Connection, Dest, Edit, ListedDest, Refusal};
use serde_json::json;
use std::time::{Duration, Instant};

/// Time between two looks at the connections.
const STEP: Duration = Duration::from_millis(500);
/// Status when connections are left.
const LEFT: i32 = 1;
/// Status when Ctrl-C ended the wait: that of a program that the signal ends.
const INTERRUPTED: i32 = 130;

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Drained,
    TimeUp,
    Interrupted,
}

/// What is left at a real server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Left {
    active: u32,
    inactive: u32,
    /// Of the inactive ones, those that are over.
    over: u32,
    templates: u32,
}

impl Left {
    /// Connections that may still carry something.
    fn live(self) -> u32 {
        self.active + self.inactive.saturating_sub(self.over)
    }
}

/// `--drain`: sets the weight to 0 and waits until no connection may carry anything any more.
pub(super) fn drain(world: &mut World<'_>, target: &Target, limit: Option<u32>, as_json: bool) -> i32 {
    with_dataplane(world, Access::Existing, |dataplane, world| match drained(dataplane, target, limit, world) {
        Ok((end, left, weight, waited)) => {
            let status = match end {
                End::Drained => 0,
                End::TimeUp => LEFT,
                End::Interrupted => INTERRUPTED,
            };
            let text = if as_json {
                report::json(&drain_report(target, end, left, weight, waited))
            } else {
                sentence(target, end, left, weight, waited)
            };
            match world.print(&text) {
                0 => status,
                failed => failed,
            }
        }
        Err(status) => status,
    })
}

type Outcome = (End, Left, i32, Duration);

fn drained(
    dataplane: &mut dyn Dataplane,
    target: &Target,
    limit: Option<u32>,
    world: &mut World<'_>,
) -> Result<Outcome, i32> {
    let Some(before) = look(dataplane, target).map_err(|error| world.fail(NOT_LISTED, &error.to_string()))? else {
        return Err(missing(dataplane, target, world));
    };
    let weight = before.dest.weight;
    if weight != 0 {
        let edit = Edit::EditDest(target.key, Dest { weight: 0, ..before.dest });
        let updated = dataplane.update(std::slice::from_ref(&edit));
        let status = super::finished(world, updated, |refusal| messages::refusal(&edit, refusal));
        if status != 0 {
            return Err(status);
        }
    }
    let (began, limit) = (Instant::now(), limit.map(|secs| Duration::from_secs(secs.into())));
    let mut slept = Duration::ZERO;
    loop {
        let left = left(dataplane, target).map_err(|error| world.fail(NOT_LISTED, &error.to_string()))?;
        let waited = slept.max(began.elapsed());
        if left.live() == 0 {
            return Ok((End::Drained, left, weight, waited));
        }
        let rest = limit.map(|limit| limit.saturating_sub(waited));
        if rest == Some(Duration::ZERO) {
            return Ok((End::TimeUp, left, weight, waited));
        }
        let step = rest.map_or(STEP, |rest| rest.min(STEP));
        if (world.pause)(step) == Woken::Interrupted {
            return Ok((End::Interrupted, left, weight, waited));
        }
        slept += step;
    }
}

fn look(dataplane: &mut dyn Dataplane, target: &Target) -> Result<Option<ListedDest>, Error> {
    Ok(dataplane.listing()?.dest(&target.key, target.addr, target.port).cloned())
}

/// Complains that there is no such real server, or not even the service.
fn missing(dataplane: &mut dyn Dataplane, target: &Target, world: &mut World<'_>) -> i32 {
    let edit = Edit::DeleteDest(target.key, target.addr, target.port);
    let known = dataplane.listing().is_ok_and(|listing| listing.table().service(&target.key).is_some());
    let refusal = if known { Refusal::NoDest } else { Refusal::NoService };
    world.fail(REFUSED, &messages::refusal(&edit, &refusal))
}

/// What is left. Nothing when somebody has deleted the real server meanwhile: then its connections have lost their server.
fn left(dataplane: &mut dyn Dataplane, target: &Target) -> Result<Left, Error> {
    let Some(listed) = look(dataplane, target)? else { return Ok(Left::default()) };
    let ListedDest { active, inactive, persist: templates, .. } = listed;
    let mut left = Left { active, inactive, over: 0, templates };
    if active == 0 && inactive != 0 {
        let its = |conn: &&Connection| conn.dest == (target.addr, target.port) && conn.is_over();
        let over = dataplane.connections()?.iter().filter(its).count();
        left.over = u32::try_from(over).unwrap_or(u32::MAX).min(inactive);
    }
    Ok(left)
}

fn sentence(target: &Target, end: End, left: Left, weight: i32, waited: Duration) -> String {
    let server = target.to_string();
    let secs = waited.as_secs();
    let what = match end {
        End::Drained => format!("drained after {secs} s"),
        End::TimeUp => format!("not drained after {secs} s"),
        End::Interrupted => format!("interrupted after {secs} s"),
    };
    let mut text = format!("{server}: {what}; {} active and {} inactive connections", left.active, left.inactive);
    if left.over != 0 {
        text += &format!(" ({} of them over)", left.over);
    }
    text += &match weight {
        0 => "; its weight was 0 before".to_owned(),
        weight => format!("; its weight is 0 now, and was {weight}"),
    };
    if left.templates != 0 {
        text += &format!("; {} persistence templates still lead clients to it", left.templates);
    }
    text + "\n"
}

fn drain_report(target: &Target, end: End, left: Left, weight: i32, waited: Duration) -> serde_json::Value {
    let end = match end {
        End::Drained => "drained",
        End::TimeUp => "time_up",
        End::Interrupted => "interrupted",
    };
    let report = json!({
        "real_server": target.to_string(),
        "end": end,
        "waited_seconds": waited.as_secs(),
        "weight_before": weight,
        "active": left.active,
        "inactive": left.inactive,
        "over": left.over,
        "persistent": left.templates,
    });
    json::document("drain", report)
}

/// `--purge-dest`: ends the connections now.
pub(super) fn purge(world: &mut World<'_>, target: &Target, as_json: bool) -> i32 {
    with_dataplane(world, Access::Existing, |dataplane, world| {
        match dataplane.purge(&target.key, target.addr, target.port) {
            Ok(ended) if as_json => {
                let report = json!({ "real_server": target.to_string(), "ended": ended });
                world.print(&report::json(&json::document("purge", report)))
            }
            Ok(ended) => world.print(&format!("{target}: {ended} connections ended\n")),
            Err(UpdateError::Refused { refusal, .. }) => {
                let edit = Edit::DeleteDest(target.key, target.addr, target.port);
                world.fail(REFUSED, &messages::refusal(&edit, &refusal))
            }
            Err(UpdateError::Failed(error)) => world.fail(REFUSED, &error.to_string()),
        }
    })
}
