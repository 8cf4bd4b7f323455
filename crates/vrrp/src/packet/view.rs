//! A received packet, read in place: its envelope and its fields, none of them believed yet.

use super::ah::{self, AH_LEN, AhKey};
use super::checksum;
use super::ip::{self, Ipv4};
use super::trailer::{self, HmacKey, TRAILER_LEN, Trailer, TrailerError};
use super::{AUTH_LEN, Advert, Body, HEADER_LEN, Legacy, Malformed, Version};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A VRRP packet whose header is there; the rest of it may be missing.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    source: IpAddr,
    destination: IpAddr,
    hop_limit: Option<u8>,
    /// IPv4: the header, as values and as bytes.
    ip: Option<(Ipv4, &'a [u8])>,
    ah: Option<&'a [u8; AH_LEN]>,
    header: &'a [u8; HEADER_LEN],
    /// From VRRP's header to the last byte received.
    pdu: &'a [u8],
    /// All bytes received, the IP header among them.
    len: usize,
}

impl<'a> Packet<'a> {
    /// Reads what a raw IPv4 socket gives: the packet with its IP header.
    pub fn parse_v4(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let ipv4 = ip::parse(bytes)?;
        let (header_bytes, mut rest) = bytes.split_at(ipv4.header_len);
        let mut auth = None;
        match ipv4.protocol {
            ip::PROTOCOL_VRRP => {}
            ip::PROTOCOL_AH => {
                let (header, behind) = rest.split_first_chunk::<AH_LEN>().ok_or(Malformed::AhTruncated)?;
                if header[0] != ip::PROTOCOL_VRRP {
                    return Err(Malformed::AhProtocol);
                }
                if usize::from(header[1]) != AH_LEN / 4 - 2 {
                    return Err(Malformed::AhLength);
                }
                auth = Some(header);
                rest = behind;
            }
            _ => return Err(Malformed::IpProtocol),
        }
        Ok(Self {
            source: IpAddr::V4(ipv4.source),
            destination: IpAddr::V4(ipv4.destination),
            hop_limit: Some(ipv4.ttl),
            ip: Some((ipv4, header_bytes)),
            ah: auth,
            header: rest.first_chunk().ok_or(Malformed::VrrpTruncated)?,
            pdu: rest,
            len: bytes.len(),
        })
    }

    /// Reads what a raw IPv6 socket gives: the VRRP packet. `hop_limit`: from the control message, if there was one.
    pub fn parse_v6(
        bytes: &'a [u8],
        source: Ipv6Addr,
        destination: Ipv6Addr,
        hop_limit: Option<u8>,
    ) -> Result<Self, Malformed> {
        Ok(Self {
            source: IpAddr::V6(source),
            destination: IpAddr::V6(destination),
            hop_limit,
            ip: None,
            ah: None,
            header: bytes.first_chunk().ok_or(Malformed::VrrpTruncated)?,
            pdu: bytes,
            len: bytes.len(),
        })
    }

    /// The sender's address.
    pub fn source(&self) -> IpAddr {
        self.source
    }

    /// Where it was sent to.
    pub fn destination(&self) -> IpAddr {
        self.destination
    }

    /// Time to live or hop limit, if known.
    pub fn hop_limit(&self) -> Option<u8> {
        self.hop_limit
    }

    /// The number in the place of the version.
    pub fn version_number(&self) -> u8 {
        self.header[0] >> 4
    }

    /// The version, if it is one.
    pub fn version(&self) -> Option<Version> {
        match self.version_number() {
            2 => Some(Version::V2),
            3 => Some(Version::V3),
            _ => None,
        }
    }

    /// The type of packet.
    pub fn kind(&self) -> u8 {
        self.header[0] & 0x0f
    }

    /// The virtual router; 0 is possible.
    pub fn vrid(&self) -> u8 {
        self.header[1]
    }

    /// The priority.
    pub fn priority(&self) -> u8 {
        self.header[2]
    }

    /// How many addresses it says it has.
    pub fn count(&self) -> u8 {
        self.header[3]
    }

    /// Version 2: the type of authentication.
    pub fn auth_type(&self) -> u8 {
        self.header[4]
    }

    /// Version 2: the interval in seconds.
    pub fn seconds(&self) -> u8 {
        self.header[5]
    }

    /// Version 3: the interval in hundredths of a second.
    pub fn centis(&self) -> u16 {
        u16::from_be_bytes([self.header[4], self.header[5]]) & 0x0fff
    }

    /// True if an Authentication Header is there.
    pub fn has_ah(&self) -> bool {
        self.ah.is_some()
    }

    /// The Authentication Header's sequence number.
    pub fn ah_sequence(&self) -> Option<u32> {
        self.ah.map(|ah| u32::from_be_bytes([ah[8], ah[9], ah[10], ah[11]]))
    }

    /// True if the Authentication Header's SPI is the source address.
    pub fn ah_spi_holds(&self) -> bool {
        matches!((self.ah, self.source), (Some(ah), IpAddr::V4(source)) if ah[4..8] == source.octets())
    }

    /// True if there is an Authentication Header and its digest is right.
    pub fn ah_holds(&self, key: &AhKey, unicast: bool) -> bool {
        match (self.ah, self.ip) {
            (Some(ah), Some((_, ip))) => ah::verify(key, ip, ah, self.pdu, unicast),
            _ => false,
        }
    }

    /// The length of the VRRP packet by its own account.
    pub fn pdu_len(&self) -> usize {
        let address = if self.source.is_ipv4() { 4 } else { 16 };
        let auth = if self.version_number() == 2 { AUTH_LEN } else { 0 };
        HEADER_LEN + usize::from(self.count()) * address + auth
    }

    /// How many bytes should have been received without a trailer: headers and the VRRP packet.
    pub fn expected_len(&self) -> usize {
        self.len - self.pdu.len() + self.pdu_len()
    }

    /// How many bytes were received.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Never: VRRP's header is there.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The length by the IPv4 header.
    pub fn ip_total_len(&self) -> Option<usize> {
        self.ip.map(|(ip, _)| ip.total_len)
    }

    /// The VRRP packet, if all of it is there.
    fn whole(&self) -> Option<&'a [u8]> {
        self.pdu.get(..self.pdu_len())
    }

    /// The bytes of the trailer, if exactly one is there.
    fn trailer_bytes(&self) -> Option<&'a [u8; TRAILER_LEN]> {
        self.pdu.get(self.pdu_len()..)?.try_into().ok()
    }

    /// True if there is exactly a trailer behind the VRRP packet. Padding cannot be as long.
    pub fn has_trailer(&self) -> bool {
        self.trailer_bytes().is_some()
    }

    /// The trailer, unless none is there.
    pub fn trailer(&self) -> Option<Result<Trailer, TrailerError>> {
        self.trailer_bytes().map(Trailer::parse)
    }

    /// True if there is a trailer and its digest is right.
    pub fn trailer_holds(&self, key: &HmacKey) -> bool {
        match (self.version(), self.whole(), self.trailer_bytes()) {
            (Some(version), Some(pdu), Some(trailer)) => trailer::verify(key, version, self.source, pdu, trailer),
            _ => false,
        }
    }

    /// True if the bytes beyond `expected` can be padding to Ethernet's minimum of 60 bytes, less VLAN tags that the kernel
    /// removed.
    pub fn is_padded(&self, expected: usize) -> bool {
        const MINIMUM: usize = 60 - 14;
        expected < MINIMUM && expected < self.len && self.len <= MINIMUM && (MINIMUM - self.len).is_multiple_of(4)
    }

    /// True if the checksum is right without a pseudo header.
    pub fn checksum_bare(&self) -> bool {
        self.whole().is_some_and(|pdu| checksum::holds(pdu, 0))
    }

    /// True if the checksum is right with a pseudo header of source and destination.
    pub fn checksum_pseudo(&self) -> bool {
        self.checksum_to(self.destination)
    }

    /// True if the checksum is right with a pseudo header of the source and this destination.
    pub fn checksum_to(&self, destination: IpAddr) -> bool {
        let pseudo = |len| checksum::pseudo(self.source, destination, len);
        self.whole().is_some_and(|pdu| checksum::holds(pdu, pseudo(pdu.len())))
    }

    /// Version 2: the password field.
    pub fn password(&self) -> Option<&'a [u8; AUTH_LEN]> {
        if self.version_number() != 2 {
            return None;
        }
        self.whole()?.last_chunk()
    }

    /// The addresses; empty if they are not all there.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<'a> {
        let v4 = self.source.is_ipv4();
        let size = if v4 { 4 } else { 16 };
        let bytes = self.whole().map_or(&[][..], |pdu| &pdu[HEADER_LEN..]);
        bytes.chunks_exact(size).take(usize::from(self.count())).map(move |octets| {
            if v4 {
                IpAddr::V4(Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]))
            } else {
                let mut all = [0; 16];
                all.copy_from_slice(octets);
                IpAddr::V6(all.into())
            }
        })
    }

    /// The packet as values, if it is a whole advertisement of a known version; authentication is not looked at.
    pub fn advert(&self) -> Option<Advert> {
        self.whole()?;
        let body = match self.version()? {
            Version::V3 => Body::V3 { interval: self.centis() },
            Version::V2 => {
                let legacy = match (self.auth_type(), self.ah_sequence()) {
                    (2, Some(sequence)) => Legacy::Header { sequence },
                    (1, _) => Legacy::Password(*self.password()?),
                    _ => Legacy::None,
                };
                Body::V2 { interval: self.seconds(), legacy }
            }
        };
        let addresses = self.addresses().collect();
        (self.kind() == super::TYPE_ADVERTISEMENT).then_some(Advert {
            vrid: self.vrid(),
            priority: self.priority(),
            body,
            addresses,
        })
    }
}
