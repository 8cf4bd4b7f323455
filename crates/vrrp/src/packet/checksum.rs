//! The checksum in VRRP's header: version 2 sums the packet alone, version 3 a pseudo header as well, and not everybody
//! agrees on that (RFC 5798 leaves it open for IPv4, RFC 9568 leaves it out, keepalived puts it in).

use super::PROTOCOL_VRRP;
use core::net::IpAddr;
use rvs_wire::checksum::{fold, sum};

/// The sum of the pseudo header for `len` bytes of VRRP (RFC 768, RFC 8200 8.1).
pub(super) fn pseudo(source: IpAddr, destination: IpAddr, len: usize) -> u64 {
    let mut bytes = [0; 40];
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            bytes[..4].copy_from_slice(&source.octets());
            bytes[4..8].copy_from_slice(&destination.octets());
            bytes[9] = PROTOCOL_VRRP;
            bytes[10..12].copy_from_slice(&(len as u16).to_be_bytes());
        }
        (source, destination) => {
            bytes[..16].copy_from_slice(&sixteen(source));
            bytes[16..32].copy_from_slice(&sixteen(destination));
            bytes[32..36].copy_from_slice(&(len as u32).to_be_bytes());
            bytes[39] = PROTOCOL_VRRP;
        }
    }
    sum(&bytes)
}

/// True if the bytes, the checksum among them, and the pseudo header sum to zero.
pub(super) fn holds(bytes: &[u8], pseudo: u64) -> bool {
    fold(sum(bytes) + pseudo) == 0xffff
}

/// Writes the checksum into a VRRP packet whose checksum is zero.
pub(super) fn fill(pdu: &mut [u8], covered: usize, pseudo: u64) {
    let value = !fold(sum(&pdu[..covered]) + pseudo);
    pdu[6..8].copy_from_slice(&value.to_ne_bytes());
}

/// An address in sixteen bytes; IPv4 in the first four.
pub(super) fn sixteen(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&address.octets());
            bytes
        }
        IpAddr::V6(address) => address.octets(),
    }
}
