//! VRRP versions 2 and 3 (RFC 3768, RFC 5798, RFC 9568) as keepalived speaks them, as values.
//!
//! Nothing here has a clock, a socket or a thread.
#![forbid(unsafe_code)]

pub mod packet;
mod units;

pub use units::{Centis, Priority, Seconds, Vrid, skew_v2, skew_v3};
