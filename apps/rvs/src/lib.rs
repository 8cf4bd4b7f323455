//! The commands of RVS: what each name of the one binary does.
//!
//! Only wiring: text is understood and made in `rvs-config`, tables and packets are `rvs-dataplane`'s.
#![forbid(unsafe_code)]

mod atomic;
pub mod check;
pub mod cli;
pub mod commands;
pub mod complete;
pub mod config;
pub mod documents;
pub mod explain;
pub mod genhash;
pub mod glance;
pub mod ipvsadm;
pub mod keepalived;
pub mod mark;
pub mod metrics;
pub mod pause;
pub mod personality;
pub mod proc;
pub mod report;
pub mod scripts;
mod stream;
pub mod sysctl;
pub mod trace;
pub mod unit;
pub mod world;
