//! The IPv4 header around an advert. The original writes it itself (a raw socket with `IP_HDRINCL`), so that the
//! Authentication Header can cover it; for IPv6 the kernel writes it.

use super::Malformed;
use core::net::Ipv4Addr;
use rvs_wire::checksum::checksum;

/// VRRP's protocol number.
pub const PROTOCOL_VRRP: u8 = 112;
/// The Authentication Header's.
pub(super) const PROTOCOL_AH: u8 = 51;
/// The length of a header without options.
pub(super) const IPV4_LEN: usize = 20;
/// Internetwork control, as adverts are marked.
const TOS: u8 = 0xc0;

/// What is read from an IPv4 header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ipv4 {
    pub(super) header_len: usize,
    pub(super) total_len: usize,
    pub(super) ttl: u8,
    pub(super) protocol: u8,
    pub(super) source: Ipv4Addr,
    pub(super) destination: Ipv4Addr,
}

/// Reads the header. Its checksum was verified by the kernel, which delivers no packet with a bad one.
pub(super) fn parse(bytes: &[u8]) -> Result<Ipv4, Malformed> {
    let Some(header) = bytes.first_chunk::<IPV4_LEN>() else { return Err(Malformed::IpTruncated) };
    if header[0] >> 4 != 4 {
        return Err(Malformed::IpVersion);
    }
    let header_len = usize::from(header[0] & 0x0f) * 4;
    if header_len < IPV4_LEN || header_len > bytes.len() {
        return Err(Malformed::IpHeaderLength);
    }
    // More fragments, or an offset: the kernel reassembles, so that a part cannot be ours.
    if u16::from_be_bytes([header[6], header[7]]) & 0x3fff != 0 {
        return Err(Malformed::Fragment);
    }
    let address = |at: usize| Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]);
    Ok(Ipv4 {
        header_len,
        total_len: usize::from(u16::from_be_bytes([header[2], header[3]])),
        ttl: header[8],
        protocol: header[9],
        source: address(12),
        destination: address(16),
    })
}

/// A header without options for `payload` bytes.
pub(super) fn header(
    source: Ipv4Addr,
    destination: Ipv4Addr,
    protocol: u8,
    ttl: u8,
    id: u16,
    payload: usize,
) -> [u8; IPV4_LEN] {
    let mut header = [0; IPV4_LEN];
    header[0] = 0x45;
    header[1] = TOS;
    // An advert has at most 255 addresses: never near 65535 bytes.
    header[2..4].copy_from_slice(&((IPV4_LEN + payload) as u16).to_be_bytes());
    header[4..6].copy_from_slice(&id.to_be_bytes());
    header[8] = ttl;
    header[9] = protocol;
    header[12..16].copy_from_slice(&source.octets());
    header[16..20].copy_from_slice(&destination.octets());
    let sum = checksum(&header).raw().to_ne_bytes();
    header[10..12].copy_from_slice(&sum);
    header
}
