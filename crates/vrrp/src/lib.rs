//! VRRP versions 2 and 3 (RFC 3768, RFC 5798, RFC 9568) as keepalived speaks them, as values.
//!
//! Nothing here has a clock, a socket or a thread.
#![forbid(unsafe_code)]

mod instance;
mod io;
pub mod packet;
pub mod params;
mod router;
mod stats;
pub mod track;
mod units;

pub use instance::{Instance, Reject};
pub use io::{Datagram, Event, Input, Interface, Log, Notify, Output, Received, ScriptEnd, State, wall_clock};
pub use params::Name;
pub use router::{Group, Router};
pub use stats::{RouterStats, Stats};
pub use units::{Centis, Priority, Seconds, Vrid, skew_v2, skew_v3};
