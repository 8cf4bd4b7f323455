//! Ethernet II.
//!
//! ```text
//! +---------------+---------------+------+
//! | destination 6 |   source 6    | type |
//! +---------------+---------------+------+
//! ```

use crate::Be16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Length of the header.
pub const LEN: usize = 14;
/// EtherType of IPv4.
pub const IPV4: Be16 = Be16::new(0x0800);
/// EtherType of IPv6.
pub const IPV6: Be16 = Be16::new(0x86dd);

/// The header.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Eth {
    /// Destination MAC, in 16-bit pieces so that it can be copied without byte loads.
    pub dst: [u16; 3],
    /// Source MAC.
    pub src: [u16; 3],
    /// EtherType.
    pub ethertype: Be16,
}

impl Eth {
    /// Whether the frame is for a group (multicast or broadcast).
    #[inline(always)]
    pub const fn is_group(&self) -> bool {
        self.dst[0].to_ne_bytes()[0] & 1 != 0
    }
}
