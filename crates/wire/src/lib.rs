//! Headers to and from bytes, checksums, and the types that keep byte orders apart.
//!
//! Owned by nobody and owning nothing: every other crate, the eBPF programs included, reads packets through these types.
//! Nothing here looks at a table, a clock or a socket, and nothing here is unsafe.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod addr;
pub mod be;
pub mod checksum;
pub mod eth;
pub mod icmp;
pub mod icmp6;
pub mod ipv4;
pub mod ipv6;
pub mod sctp;
pub mod tcp;
pub mod tunnel;
pub mod udp;

pub use addr::{Addr, Family};
pub use be::{Be16, Be32};
