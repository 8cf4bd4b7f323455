//! A deterministic world for VRRP: directors on a virtual network, in virtual time, with everything that can happen to them.
//!
//! A seed is a whole story: who there is, what is configured, when links lose, double, delay and turn around packets, when
//! directors sleep, die and come back. The same seed is the same story to the last packet. After every step the world is
//! asked whether what must always hold does.

mod invariants;
mod net;
mod node;
mod story;
mod world;

pub use story::{Story, tell, tell_of_a_sleeper};
pub use world::World;
