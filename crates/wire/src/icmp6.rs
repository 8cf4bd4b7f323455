//! ICMPv6 (RFC 4443): the errors, types below 128, which carry the head of the packet they are about. Their checksum includes
//! a pseudo header of the addresses.

use crate::Be16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Length of the header of an error.
pub const LEN: usize = 8;
/// Offset of the checksum.
pub const CHECKSUM: usize = 2;

/// Destination unreachable.
pub const UNREACHABLE: u8 = 1;
/// Packet too big.
pub const TOO_BIG: u8 = 2;
/// Time exceeded.
pub const TIME_EXCEEDED: u8 = 3;

/// Code of [`UNREACHABLE`]: port.
pub const PORT: u8 = 4;

/// The header of an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Icmp6 {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// Checksum over pseudo header, header and payload.
    pub checksum: Be16,
    /// Upper half of the parameter.
    pub high: Be16,
    /// Lower half of the parameter: the MTU of [`TOO_BIG`].
    pub low: Be16,
}

impl Icmp6 {
    /// Whether it is an error (RFC 4443, section 2.1).
    #[inline(always)]
    pub const fn is_error(&self) -> bool {
        self.kind < 128
    }
}
