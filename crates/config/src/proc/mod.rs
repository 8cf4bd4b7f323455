//! What the kernel's files `/proc/net/ip_vs`, `ip_vs_conn`, `ip_vs_stats` and `ip_vs_stats_percpu` would say, byte for byte:
//! for exporters and scripts that read those. Addresses, ports and counters are hexadecimal there.
//!
//! Pure text, written line by line to any writer; nothing is collected, so that the size of a table does not matter. What the
//! kernel prints in the order of its hash tables is printed here in the order given.

mod connections;
mod stats;
mod table;

pub use connections::{CONNECTIONS_HEAD, connection};
pub use stats::{stats, stats_percpu};
pub(crate) use table::labels;
pub use table::table;

use rvs_wire::{Addr, Be16, Family};
use std::net::IpAddr;

/// Ticks in a second of the kernel that the formats are compatible with: `/proc/net/ip_vs` has persistence timeouts in
/// ticks. 250 is what Debian's and Ubuntu's server kernels were built with.
pub const TICKS_PER_SECOND: u64 = 250;

/// An address as the connection list has it: eight hexadecimal digits, or all eight groups of IPv6 in full.
fn address(addr: Addr, family: Family) -> String {
    match addr.to_ip(family) {
        IpAddr::V4(v4) => format!("{:08X}", u32::from(v4)),
        IpAddr::V6(v6) => v6.segments().map(|group| format!("{group:04x}")).join(":"),
    }
}

/// `ADDRESS:PORT`, an IPv6 address in brackets.
fn endpoint(addr: Addr, family: Family, port: Be16) -> String {
    let text = address(addr, family);
    match family {
        Family::V4 => format!("{text}:{:04X}", port.host()),
        Family::V6 => format!("[{text}]:{:04X}", port.host()),
    }
}

#[cfg(test)]
mod golden_tests;
