//! Text to intent and back: what people type becomes edits, and tables become what people read.
//!
//! Nothing here changes a table or talks to a data plane; names of hosts and services are asked of a [`names::Names`].

pub mod boot;
pub mod ipvsadm;
pub mod keepalived;
pub mod metrics;
pub mod names;
pub mod proc;
pub mod roff;
pub mod sysctl;
