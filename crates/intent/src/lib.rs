//! The desired state of a director, and what each edit makes of it.
//!
//! Every tool turns its text into [`Edit`]s; [`Table::apply`] is the one place that knows what an edit does and why the
//! kernel would refuse it. It is pure: a table in, a table out. Putting a table where packets see it is the data plane's work.
#![forbid(unsafe_code)]

pub mod apply;
mod dests;
pub mod diff;
pub mod model;
pub mod observed;
pub mod rules;
mod services;

#[cfg(test)]
mod tests;

pub use apply::{Edit, Refusal, ServiceSettings};
pub use diff::{Change, diff};
pub use model::{Dest, Engine, Service, Table, Timeouts, Tunnel, TunnelKind};
pub use observed::{Connection, Daemon, DaemonRole, ListedDest, ListedService, Listing, Openings, Rates, Totals};
pub use rules::{Capabilities, LocalNet, NoInterfaces, Rules};
