//! An advertisement as values, and its bytes.

use super::ah::{self, AhKey};
use super::checksum;
use super::ip;
use super::trailer::{self, HmacKey, Sequence};
use super::{AUTH_LEN, HEADER_LEN, TYPE_ADVERTISEMENT, Version};
use core::net::{IpAddr, Ipv4Addr};

/// What an advertisement says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Advert {
    /// The virtual router.
    pub vrid: u8,
    /// The sender's priority; 0: it stops being master.
    pub priority: u8,
    /// What the versions do differently.
    pub body: Body,
    /// The virtual addresses, in the sender's order.
    pub addresses: Vec<IpAddr>,
}

/// What the versions do differently.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Body {
    /// Version 2.
    V2 {
        /// Seconds, as in the field: 0 is possible and wrong.
        interval: u8,
        /// The authentication.
        legacy: Legacy,
    },
    /// Version 3.
    V3 {
        /// Hundredths of a second, twelve bits as in the field: 0 is possible and wrong.
        interval: u16,
    },
}

/// The authentication of version 2.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Legacy {
    /// Type 0.
    None,
    /// Type 1: a password in clear text, filled up with zeros.
    Password([u8; AUTH_LEN]),
    /// Type 2: an Authentication Header, with its sequence number.
    Header {
        /// The sequence number.
        sequence: u32,
    },
}

impl Body {
    /// The version.
    pub fn version(&self) -> Version {
        match self {
            Self::V2 { .. } => Version::V2,
            Self::V3 { .. } => Version::V3,
        }
    }
}

/// The way an advert goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Envelope {
    /// The sender's address.
    pub source: IpAddr,
    /// The multicast group or the peer.
    pub destination: IpAddr,
    /// Time to live or hop limit.
    pub hop_limit: u8,
    /// The IPv4 identification; unused for IPv6.
    pub id: u16,
}

/// What the checksum of version 3 over IPv4 covers. Version 2 has no pseudo header, IPv6 always has one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChecksumForm {
    /// A pseudo header of source and destination (RFC 5798).
    Pseudo,
    /// The packet alone, as version 2 (RFC 9568 and several routers).
    Bare,
    /// A pseudo header with this destination whatever the real one: what old versions of keepalived send to unicast peers.
    PseudoTo(Ipv4Addr),
}

/// What makes an advert believable.
#[derive(Clone, Copy, Debug)]
pub struct Seal<'a> {
    /// The form of the checksum.
    pub checksum: ChecksumForm,
    /// The key of the Authentication Header; needed for [`Legacy::Header`].
    pub ah: Option<&'a AhKey>,
    /// The key and sequence of the newer trailer.
    pub trailer: Option<(&'a HmacKey, Sequence)>,
}

/// The bytes to give to a raw socket: for IPv4 the whole packet with its IP header, for IPv6 the VRRP packet.
///
/// Addresses of another family than the envelope's, and more than 255, do not fit into an advert and are left out.
pub fn emit(advert: &Advert, envelope: &Envelope, seal: &Seal<'_>) -> Vec<u8> {
    let mut pdu = pdu(advert, envelope, seal.checksum);
    if let Some((key, sequence)) = seal.trailer {
        let trailer = trailer::seal(key, sequence, advert.body.version(), envelope.source, &pdu);
        pdu.extend(trailer);
    }
    let (IpAddr::V4(source), IpAddr::V4(destination)) = (envelope.source, envelope.destination) else { return pdu };
    let Body::V2 { legacy: Legacy::Header { sequence }, .. } = advert.body else {
        let header = ip::header(source, destination, ip::PROTOCOL_VRRP, envelope.hop_limit, envelope.id, pdu.len());
        return [&header[..], &pdu].concat();
    };
    let payload = ah::AH_LEN + pdu.len();
    let header = ip::header(source, destination, ip::PROTOCOL_AH, envelope.hop_limit, envelope.id, payload);
    let mut auth = ah::header(source.octets(), sequence);
    if let Some(key) = seal.ah {
        ah::seal(key, &header, &mut auth, &pdu, !destination.is_multicast());
    }
    [&header[..], &auth, &pdu].concat()
}

/// The VRRP packet with its checksum.
fn pdu(advert: &Advert, envelope: &Envelope, form: ChecksumForm) -> Vec<u8> {
    let v4 = envelope.source.is_ipv4();
    let addresses = || advert.addresses.iter().filter(|address| address.is_ipv4() == v4).take(255);
    let count = addresses().count();
    let mut pdu = Vec::with_capacity(HEADER_LEN + count * if v4 { 4 } else { 16 } + AUTH_LEN);
    let version = advert.body.version();
    pdu.extend([(version.number() << 4) | TYPE_ADVERTISEMENT, advert.vrid, advert.priority, count as u8]);
    match &advert.body {
        Body::V2 { interval, legacy } => pdu.extend([legacy.number(), *interval]),
        Body::V3 { interval } => pdu.extend((interval & 0x0fff).to_be_bytes()),
    }
    pdu.extend([0, 0]);
    for address in addresses() {
        match address {
            IpAddr::V4(address) => pdu.extend(address.octets()),
            IpAddr::V6(address) => pdu.extend(address.octets()),
        }
    }
    if let Body::V2 { legacy, .. } = &advert.body {
        pdu.extend(match legacy {
            Legacy::Password(password) => *password,
            _ => [0; AUTH_LEN],
        });
    }
    let covered = pdu.len();
    let pseudo = match (v4, version, form) {
        (true, Version::V2, _) | (true, Version::V3, ChecksumForm::Bare) => 0,
        (true, Version::V3, ChecksumForm::PseudoTo(group)) => {
            checksum::pseudo(envelope.source, IpAddr::V4(group), covered)
        }
        _ => checksum::pseudo(envelope.source, envelope.destination, covered),
    };
    checksum::fill(&mut pdu, covered, pseudo);
    pdu
}

impl Legacy {
    /// The number in the header.
    pub fn number(&self) -> u8 {
        match self {
            Self::None => 0,
            Self::Password(_) => 1,
            Self::Header { .. } => 2,
        }
    }
}
