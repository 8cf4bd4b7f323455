//! The edge of the world for protocols: what they want done is done here, what happens is told from here.
//!
//! Everything that needs a clock, a socket, a thread, a process or a file is in this crate, in small modules that know
//! nothing of each other's purpose. It must not know any protocol, any configuration text, or the balancer.
#![deny(unsafe_code)]

pub mod clock;
pub mod daemon;
pub mod log;
pub mod mail;
pub mod memory;
pub mod metrics;
pub mod net;
pub mod notify;
pub mod script;
pub mod socket;
mod sys;
#[cfg(test)]
mod testing;
pub mod thread;
pub mod track;
