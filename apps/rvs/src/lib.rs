//! The commands of RVS: what each name of the one binary does.
//!
//! Only wiring: text is understood and made in `rvs-config`, tables and packets are `rvs-dataplane`'s.
#![forbid(unsafe_code)]

pub mod cli;
pub mod commands;
pub mod ipvsadm;
pub mod mark;
pub mod pause;
pub mod personality;
pub mod report;
pub mod scripts;
pub mod world;
