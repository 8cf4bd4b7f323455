//! Listings and saved rules, once or again and again.

use super::{NOT_LISTED, with_dataplane};
use crate::report;
use crate::world::{Access, Woken, World};
use rvs_config::ipvsadm::{self, ListRequest, Shown, connections, daemons, json, messages, save, save_full};
use rvs_dataplane::{Dataplane, Error};
use std::io::{ErrorKind, IsTerminal as _};
use std::time::Duration;

/// Clears a terminal and goes to its upper left corner.
const CLEAR: &str = "\x1b[H\x1b[2J\x1b[3J";

/// `-L`.
pub(super) fn list(world: &mut World<'_>, request: &ListRequest) -> i32 {
    match request.watch {
        None => with_dataplane(world, Access::Existing, |dataplane, world| match text(dataplane, request, world) {
            Ok(Some(text)) => world.print(&text),
            Ok(None) => world.fail(NOT_LISTED, messages::NO_SERVICE),
            Err(error) => world.fail(NOT_LISTED, &error.to_string()),
        }),
        Some(secs) => watch(world, request, Duration::from_secs(secs.into())),
    }
}

/// Lists until interrupted, or until nobody reads any more. The data plane is looked for each time: it may come and go.
fn watch(world: &mut World<'_>, request: &ListRequest, interval: Duration) -> i32 {
    let clear = if std::io::stdout().is_terminal() && !request.json { CLEAR } else { "" };
    let mut between = "";
    loop {
        let mut read_on = true;
        let status =
            with_dataplane(world, Access::Existing, |dataplane, world| match text(dataplane, request, world) {
                Ok(Some(text)) => {
                    let written = write!(world.out, "{clear}{between}{text}").and_then(|()| world.out.flush());
                    match written {
                        Ok(()) => 0,
                        Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                            read_on = false;
                            0
                        }
                        Err(error) => world.fail(NOT_LISTED, &format!("cannot write the output: {error}")),
                    }
                }
                Ok(None) => world.fail(NOT_LISTED, messages::NO_SERVICE),
                Err(error) => world.fail(NOT_LISTED, &error.to_string()),
            });
        if status != 0 || !read_on || (world.pause)(interval) == Woken::Interrupted {
            return status;
        }
        between = if clear.is_empty() && !request.json { "\n" } else { "" };
    }
}

/// The text of a listing; `None` when the service asked for does not exist.
fn text(dataplane: &mut dyn Dataplane, request: &ListRequest, world: &World<'_>) -> Result<Option<String>, Error> {
    if request.json {
        // One document a line when there are several.
        let print = if request.watch.is_some() { report::json_line } else { report::json };
        return Ok(document(dataplane, request)?.map(|value| print(&value)));
    }
    Ok(match &request.shown {
        Shown::Table => ipvsadm::list(&dataplane.listing()?, None, request, world.names),
        Shown::Service(key) => ipvsadm::list(&dataplane.listing()?, Some(key), request, world.names),
        Shown::Connections => Some(connections(&dataplane.connections()?, request, world.names)),
        Shown::Timeouts => {
            let timeouts = dataplane.listing()?.timeouts;
            Some(format!("Timeout (tcp tcpfin udp): {} {} {}\n", timeouts.tcp, timeouts.tcp_fin, timeouts.udp))
        }
        Shown::Daemons => Some(daemons(&dataplane.daemons()?)),
    })
}

fn document(dataplane: &mut dyn Dataplane, request: &ListRequest) -> Result<Option<serde_json::Value>, Error> {
    Ok(match &request.shown {
        Shown::Table => json::services(&dataplane.listing()?, None, request.unsorted),
        Shown::Service(key) => json::services(&dataplane.listing()?, Some(key), request.unsorted),
        Shown::Connections => Some(json::connections(&dataplane.connections()?)),
        Shown::Timeouts => Some(json::timeouts(&dataplane.listing()?.timeouts)),
        Shown::Daemons => Some(json::daemons(&dataplane.daemons()?)),
    })
}

/// Prints the table as rules.
pub(crate) fn saved(world: &mut World<'_>, numeric: bool, full: bool) -> i32 {
    with_dataplane(world, Access::Existing, |dataplane, world| {
        let text = dataplane.listing().and_then(|listing| {
            Ok(match full {
                true => save_full(&listing, &dataplane.daemons()?, numeric, world.names),
                false => save(&listing, numeric, world.names),
            })
        });
        match text {
            Ok(text) => world.print(&text),
            Err(error) => world.fail(NOT_LISTED, &error.to_string()),
        }
    })
}
