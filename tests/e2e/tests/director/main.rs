//! The director end to end: our tools and our data plane in network namespaces, with real clients and real servers.
//!
//! Every test builds its own laboratory, so that they run side by side. They need root and the tools under test
//! (`cargo xtask dist`, or the directory named by `RVS_BIN_DIR`).
#![allow(clippy::unwrap_used)]

#[path = "../../../../crates/config/src/metrics/strict.rs"]
mod strict;

mod accounting;
mod atomic;
mod bulk;
mod flood;
mod fragments;
mod ftp;
mod hooks;
mod icmp;
mod life;
mod limits;
mod local;
mod marks;
mod matrix;
mod neighbours;
mod observe;
mod persist;
mod pmtu;
mod replay;
mod retire;
mod rewrite;
mod scale;
mod sctp;
mod shells;
mod spread;
mod status;
mod sysctl;
mod unit;
mod why;

use lab::Family;
use lab::topology::VIP;
use std::net::{SocketAddr, SocketAddrV4};

/// The virtual address with this port.
const fn vip(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(VIP, port)
}

/// The virtual address of a family with this port.
const fn at(family: Family, port: u16) -> SocketAddr {
    SocketAddr::new(family.vip(), port)
}
