//! Gratuitous ARP as keepalived sends it: a broadcast *request* in which sender and target are the address, and the target's
//! hardware address is the broadcast address.

use core::net::Ipv4Addr;

/// An Ethernet address.
pub type Mac = [u8; 6];

const BROADCAST: Mac = [0xff; 6];

/// A gratuitous ARP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GratuitousArp {
    /// Who has the address now.
    pub mac: Mac,
    /// The address.
    pub address: Ipv4Addr,
}

impl GratuitousArp {
    /// The length of the frame, without padding.
    pub const LEN: usize = 42;

    /// The Ethernet frame.
    pub fn emit(&self) -> Vec<u8> {
        let mut frame = Vec::with_capacity(Self::LEN);
        frame.extend(BROADCAST);
        frame.extend(self.mac);
        frame.extend([0x08, 0x06]);
        // Ethernet, IPv4, 6 and 4 bytes, request.
        frame.extend([0, 1, 8, 0, 6, 4, 0, 1]);
        frame.extend(self.mac);
        frame.extend(self.address.octets());
        frame.extend(BROADCAST);
        frame.extend(self.address.octets());
        frame
    }

    /// Reads a frame: `None` unless it is an ARP packet over Ethernet and IPv4 whose sender and target are the same address
    /// (requests and replies alike, RFC 5227 section 3).
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let frame = frame.first_chunk::<{ Self::LEN }>()?;
        let operation = u16::from_be_bytes([frame[20], frame[21]]);
        let fixed = frame[12..14] == [0x08, 0x06] && frame[14..20] == [0, 1, 8, 0, 6, 4];
        if !fixed || !(1..=2).contains(&operation) || frame[28..32] != frame[38..42] {
            return None;
        }
        let mut mac = [0; 6];
        mac.copy_from_slice(&frame[22..28]);
        Some(Self { mac, address: Ipv4Addr::new(frame[28], frame[29], frame[30], frame[31]) })
    }
}
