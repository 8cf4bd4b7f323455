//! The contract between a protocol and the world.
//!
//! A protocol (VRRP, BFD, a health check) is a value: it is handed an input and the time, queues outputs, and says when it
//! wants to be woken. It has no clock, no socket and no thread, so that tests and simulations drive it as the daemon does.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod rng;
mod time;
mod timers;

pub use rng::Rng;
pub use time::Time;
pub use timers::TimerTable;

/// A protocol as a value.
pub trait Machine {
    /// What happens to it: a packet came, a link went down, a script ended.
    type Input;
    /// What it wants done: send this, add that address, run those scripts.
    type Output;

    /// Takes an input. Time never runs backwards between calls; an implementation takes an earlier `now` for the latest it saw.
    fn handle(&mut self, now: Time, input: Self::Input);

    /// Does what is due at `now`; nothing when called early.
    fn wake(&mut self, now: Time);

    /// When it wants [`Machine::wake`]; `None`: only an input can move it.
    fn deadline(&self) -> Option<Time>;

    /// The next output, in the order in which they are to be carried out.
    fn poll(&mut self) -> Option<Self::Output>;
}
