//! What lies between the outer and the inner IP header of a tunnel: GRE (RFC 2784) and GUE (Generic UDP Encapsulation, as Linux
//! implements version 0).

use crate::Be16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// GRE without options.
///
/// ```text
/// +-+-------------------+---------+-------------------------------+
/// |C|     reserved      | Version |         Protocol Type         |
/// +-+-------------------+---------+-------------------------------+
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Gre {
    /// Flags and version.
    pub flags: Be16,
    /// EtherType of what is inside.
    pub protocol: Be16,
}

/// GRE with a checksum.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct GreSum {
    /// Flags ([`Gre::CHECKSUM`]) and protocol.
    pub head: Gre,
    /// Internet checksum over this header and all that follows.
    pub checksum: Be16,
    /// Zero.
    pub reserved: Be16,
}

impl Gre {
    /// Length without options.
    pub const LEN: usize = 4;
    /// Length with a checksum.
    pub const LEN_SUM: usize = 8;
    /// Flag "checksum present".
    pub const CHECKSUM: Be16 = Be16::new(0x8000);
}

/// GUE without options.
///
/// ```text
/// +---+-+---------+---------------+-------------------------------+
/// |Ver|C|  Hlen   | Proto / ctype |             Flags             |
/// +---+-+---------+---------------+-------------------------------+
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Gue {
    /// Version 0, no control message, no options: 0.
    pub version: u8,
    /// IP protocol number of what is inside.
    pub protocol: u8,
    /// No flags: 0.
    pub flags: Be16,
}

impl Gue {
    /// Length without options.
    pub const LEN: usize = 4;
}
