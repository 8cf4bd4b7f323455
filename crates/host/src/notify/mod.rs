//! Telling scripts and FIFOs what happens.

mod fifo;
mod notice;
mod queue;

pub use fifo::{BACKLOG, Fifo};
pub use notice::Notice;
pub use queue::{Job, Queues, WAITING};
