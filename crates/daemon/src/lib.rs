//! The daemon: keepalived's configuration, the protocols as machines and the edge of the world, brought together.
//!
//! [`plan`] says what is to be done, purely. [`world`] is the prompt thread: the machines of VRRP and BFD with their sockets and
//! what they hold. [`run`] is everything else: start and end, signals, scripts, notifying, dumps.
#![forbid(unsafe_code)]

pub mod dump;
pub mod keeper;
pub mod plan;
pub mod run;
pub mod world;

/// The version of the original whose behaviour this is; programs that look at it expect this form.
pub const COMPATIBLE: &str = "2.2.7";
