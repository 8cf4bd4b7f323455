//! VRRP packets as bytes: reading them without trusting them, writing them as the original does, and the frames that tell
//! neighbours where an address went.
//!
//! Nothing here knows an instance's state. Reading is total: any bytes give a packet or one named reason.

mod advert;
mod ah;
mod arp;
mod checksum;
mod ip;
mod ndisc;
mod reason;
#[cfg(test)]
mod tests;
mod trailer;
mod view;

pub use advert::{Advert, Body, ChecksumForm, Envelope, Legacy, Seal, emit};
pub use ah::{AH_LEN, AhKey};
pub use arp::{GratuitousArp, Mac};
pub use ip::PROTOCOL_VRRP;
pub use ndisc::UnsolicitedNa;
pub use reason::Malformed;
pub use trailer::{HmacKey, Sequence, TRAILER_LEN, Trailer, TrailerError};
pub use view::Packet;

/// The version of the protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    /// RFC 3768: seconds, passwords.
    V2,
    /// RFC 9568: hundredths of a second, IPv6.
    V3,
}

impl Version {
    /// The number in the packet.
    pub const fn number(self) -> u8 {
        match self {
            Self::V2 => 2,
            Self::V3 => 3,
        }
    }
}

/// The length of VRRP's header.
pub const HEADER_LEN: usize = 8;
/// The length of version 2's authentication data, there whatever the type of authentication.
pub const AUTH_LEN: usize = 8;
/// The one type of packet there is.
pub const TYPE_ADVERTISEMENT: u8 = 1;
