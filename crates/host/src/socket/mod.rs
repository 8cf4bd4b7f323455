//! The sockets of VRRP and BFD. All are non-blocking, bounded in what they hold, and handed over whole: before a protocol acts
//! on a timer, everything that has arrived is taken out first.

pub mod bfd;
mod frame;
pub mod raw;
mod receive;

pub use frame::FrameSender;
pub use receive::{BATCH, Drained, LONGEST, Packet};
