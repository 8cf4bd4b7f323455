//! ICMP (RFC 792): the errors that carry the head of the packet they are about.
//!
//! ```text
//! +---------------+---------------+-------------------------------+
//! |     Type      |     Code      |           Checksum            |
//! +---------------+---------------+-------------------------------+
//! |            unused             |     next-hop MTU (RFC 1191)   |
//! +-------------------------------+-------------------------------+
//! |      IP header and first bytes of the packet in question      |
//! ```

use crate::Be16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Length of the header.
pub const LEN: usize = 8;
/// Offset of the checksum.
pub const CHECKSUM: usize = 2;

/// Destination unreachable.
pub const UNREACHABLE: u8 = 3;
/// Source quench.
pub const SOURCE_QUENCH: u8 = 4;
/// Time exceeded.
pub const TIME_EXCEEDED: u8 = 11;

/// Code of [`UNREACHABLE`]: port.
pub const PORT: u8 = 3;
/// Code of [`UNREACHABLE`]: fragmentation needed and DF set.
pub const FRAG_NEEDED: u8 = 4;

/// The header.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Icmp {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// Checksum over header and payload.
    pub checksum: Be16,
    /// Unused, zero.
    pub unused: Be16,
    /// MTU of the next hop, with [`FRAG_NEEDED`].
    pub mtu: Be16,
}

impl Icmp {
    /// Whether it is one of the errors that are translated for connections (as IPVS: types 3, 4 and 11).
    #[inline(always)]
    pub const fn is_error(&self) -> bool {
        matches!(self.kind, UNREACHABLE | SOURCE_QUENCH | TIME_EXCEEDED)
    }
}
