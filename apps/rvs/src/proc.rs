//! `rvs proc`: the kernel's files of IPVS, out of our tables.

use crate::stream::{stream, unwritten};
use rvs_config::proc;
use rvs_dataplane::{Dataplane, Error};
use std::io::Write;
use std::ops::ControlFlow;

/// A file below `/proc/net`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum File {
    /// Services and destinations.
    IpVs,
    /// Connections and persistence templates.
    IpVsConn,
    /// Connections, packets and bytes of all services together.
    IpVsStats,
    /// The same for each CPU.
    IpVsStatsPercpu,
}

/// Prints what the file would say.
///
/// # Errors
/// The tables cannot be read, or the output not written.
pub fn print(file: File, dataplane: &mut dyn Dataplane, out: &mut dyn Write) -> Result<(), Error> {
    stream(out, |out| match file {
        File::IpVs => proc::table(&dataplane.listing()?, out).map_err(unwritten),
        File::IpVsStats => proc::stats(&dataplane.totals()?, out).map_err(unwritten),
        File::IpVsStatsPercpu => proc::stats_percpu(&dataplane.totals()?, out).map_err(unwritten),
        File::IpVsConn => connections(dataplane, out),
    })
}

fn connections(dataplane: &mut dyn Dataplane, out: &mut dyn Write) -> Result<(), Error> {
    let mut written = out.write_all(proc::CONNECTIONS_HEAD.as_bytes());
    dataplane.each_connection(&mut |entry| {
        if written.is_ok() {
            written = out.write_all(proc::connection(entry).as_bytes());
        }
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    written.map_err(unwritten)
}
