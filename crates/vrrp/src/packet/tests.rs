//! Captured bytes, and properties over random ones.

use super::*;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use proptest::prelude::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

const PLAIN: Seal<'static> = Seal { checksum: ChecksumForm::Pseudo, ah: None, trailer: None };

/// What the original sent, without the Ethernet header.
const V2_PASSWORD: &str = "45c0 002c 0001 0000 ff70 cf8d 0a00 0101 e000 0012 2133 6402 0101 2768 0a00 010a 0a00
    010b 7365 6372 6574 0000";
const V2_STOP: &str = "45c0 002c 0007 0000 ff70 cf87 0a00 0101 e000 0012 2133 0002 0101 8b68 0a00 010a 0a00
    010b 7365 6372 6574 0000";
const V3_IPV4: &str = "45c0 0020 0001 0000 ff70 cf99 0a00 0101 e000 0012 313d 9601 0032 41f5 0a00 010a";
const V3_IPV6: &str = "313e 9602 0032 3e69 fe80 0000 0000 0000 0000 0000 0000 0062 fd00 0001 0000 0000 0000 0000
    0000 0010";
const V2_UNICAST: &str = "45c0 002c 0001 0000 ff70 a49e 0a00 0102 0a00 0101 2133 6402 0101 2768 0a00 010a 0a00
    010b 7365 6372 6574 0000";

fn recorded_v2(priority: u8) -> Advert {
    Advert {
        vrid: 51,
        priority,
        body: Body::V2 { interval: 1, legacy: Legacy::Password(*b"secret\0\0") },
        addresses: vec![ip("10.0.1.10"), ip("10.0.1.11")],
    }
}

fn envelope(source: &str, destination: &str, id: u16) -> Envelope {
    Envelope { source: ip(source), destination: ip(destination), hop_limit: 255, id }
}

#[test]
fn adverts_are_those_of_the_original_to_the_byte() {
    assert_eq!(emit(&recorded_v2(100), &envelope("10.0.1.1", "224.0.0.18", 1), &PLAIN), hex(V2_PASSWORD));
    assert_eq!(emit(&recorded_v2(0), &envelope("10.0.1.1", "224.0.0.18", 7), &PLAIN), hex(V2_STOP));
    assert_eq!(emit(&recorded_v2(100), &envelope("10.0.1.2", "10.0.1.1", 1), &PLAIN), hex(V2_UNICAST));
    let v3 = Advert { vrid: 61, priority: 150, body: Body::V3 { interval: 50 }, addresses: vec![ip("10.0.1.10")] };
    assert_eq!(emit(&v3, &envelope("10.0.1.1", "224.0.0.18", 1), &PLAIN), hex(V3_IPV4));
    let v6 = Advert { vrid: 62, addresses: vec![ip("fe80::62"), ip("fd00:1::10")], ..v3 };
    assert_eq!(emit(&v6, &envelope("fe80::ff:fe00:101", "ff02::12", 0), &PLAIN), hex(V3_IPV6));
}

#[test]
fn adverts_of_the_original_are_read() {
    let bytes = hex(V2_PASSWORD);
    let packet = Packet::parse_v4(&bytes).unwrap();
    assert!(packet.checksum_bare() && packet.expected_len() == bytes.len());
    assert_eq!(packet.advert(), Some(recorded_v2(100)));
    let bytes = hex(V3_IPV6);
    let source: Ipv6Addr = "fe80::ff:fe00:101".parse().unwrap();
    let packet = Packet::parse_v6(&bytes, source, "ff02::12".parse().unwrap(), Some(255)).unwrap();
    assert!(packet.checksum_pseudo());
    assert_eq!(packet.addresses().collect::<Vec<_>>(), [ip("fe80::62"), ip("fd00:1::10")]);
}

#[test]
fn the_forms_of_the_checksum_are_told_apart() {
    let advert = Advert { vrid: 1, priority: 9, body: Body::V3 { interval: 100 }, addresses: vec![ip("10.0.1.10")] };
    let way = envelope("10.0.1.1", "10.0.1.2", 1);
    let group = Ipv4Addr::new(224, 0, 0, 18);
    for form in [ChecksumForm::Pseudo, ChecksumForm::Bare, ChecksumForm::PseudoTo(group)] {
        let bytes = emit(&advert, &way, &Seal { checksum: form, ..PLAIN });
        let packet = Packet::parse_v4(&bytes).unwrap();
        assert_eq!(packet.checksum_pseudo(), form == ChecksumForm::Pseudo);
        assert_eq!(packet.checksum_bare(), form == ChecksumForm::Bare);
        assert_eq!(packet.checksum_to(IpAddr::V4(group)), form == ChecksumForm::PseudoTo(group));
    }
}

#[test]
fn gratuitous_arp_and_neighbour_advertisement_are_those_of_the_original() {
    let arp = GratuitousArp { mac: [2, 0, 0, 0, 1, 1], address: Ipv4Addr::new(10, 0, 1, 10) };
    let recorded = hex("ffff ffff ffff 0200 0000 0101 0806 0001 0800 0604 0001 0200 0000 0101 0a00 010a
        ffff ffff ffff 0a00 010a");
    assert_eq!(arp.emit(), recorded);
    assert_eq!(GratuitousArp::parse(&recorded), Some(arp));
    let na = UnsolicitedNa { mac: [2, 0, 0, 0, 1, 1], address: "fe80::62".parse().unwrap(), router: true };
    let recorded = hex("3333 0000 0001 0200 0000 0101 86dd 6000 0000 0020 3aff fe80 0000 0000 0000 0000 0000 0000
        0062 ff02 0000 0000 0000 0000 0000 0000 0001 8800 d5d8 a000 0000 fe80 0000 0000 0000 0000 0000 0000 0062
        0201 0200 0000 0101");
    assert_eq!(na.emit(), recorded);
    assert_eq!(UnsolicitedNa::parse(&recorded), Some(na));
}

#[test]
fn adverts_with_authentication_header_are_those_of_the_original_to_the_byte() {
    let key = AhKey(*b"secret\0\0");
    let advert = |vrid, priority, sequence, address| Advert {
        vrid,
        priority,
        body: Body::V2 { interval: 1, legacy: Legacy::Header { sequence } },
        addresses: vec![ip(address)],
    };
    let seal = Seal { ah: Some(&key), ..PLAIN };
    // Captured from keepalived 2.2.7: multicast, its farewell, and to a peer, where the time to live is not covered.
    let multicast =
        hex("45c0 0040 0001 0000 ff33 cfb6 0a00 0101 e000 0012 7004 0000 0a00 0101 0000 0001 7857 ac59 4360 e2ef
        c07d 55a3 2133 ff01 0201 d2bf 0a00 010a 0000 0000 0000 0000");
    let farewell =
        hex("45c0 0040 0002 0000 ff33 cfb5 0a00 0101 e000 0012 7004 0000 0a00 0101 0000 0002 8008 57d6 f983 da7f
        6f1e e298 2133 0001 0201 d1c0 0a00 010a 0000 0000 0000 0000");
    let unicast =
        hex("45c0 0040 0001 0000 ff33 a4c7 0a00 0101 0a00 0102 7004 0000 0a00 0101 0000 0001 6eb1 dc87 b38d 9fa1
        3324 1c21 2134 ff01 0201 d2bc 0a00 010c 0000 0000 0000 0000");
    let group = |id| envelope("10.0.1.1", "224.0.0.18", id);
    assert_eq!(emit(&advert(51, 255, 1, "10.0.1.10"), &group(1), &seal), multicast);
    assert_eq!(emit(&advert(51, 0, 2, "10.0.1.10"), &group(2), &seal), farewell);
    assert_eq!(emit(&advert(52, 255, 1, "10.0.1.12"), &envelope("10.0.1.1", "10.0.1.2", 1), &seal), unicast);
    assert!(Packet::parse_v4(&unicast).unwrap().ah_holds(&key, true));
}

#[test]
fn the_authentication_header_holds_until_a_covered_byte_changes() {
    let key = AhKey(*b"secret\0\0");
    let advert = Advert { body: Body::V2 { interval: 1, legacy: Legacy::Header { sequence: 7 } }, ..recorded_v2(100) };
    for (destination, unicast) in [("224.0.0.18", false), ("10.0.1.2", true)] {
        let bytes = emit(&advert, &envelope("10.0.1.1", destination, 3), &Seal { ah: Some(&key), ..PLAIN });
        let packet = Packet::parse_v4(&bytes).unwrap();
        assert!(packet.ah_holds(&key, unicast) && packet.ah_spi_holds() && packet.checksum_bare());
        assert_eq!((packet.ah_sequence(), packet.advert()), (Some(7), Some(advert.clone())));
        assert!(!packet.ah_holds(&AhKey(*b"other\0\0\0"), unicast));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            // Type of service, header checksum; the time to live of unicast. (6 and 7 make a fragment of it.)
            let mutable = matches!(at, 1 | 10 | 11) || (unicast && at == 8);
            let holds = Packet::parse_v4(&changed).is_ok_and(|packet| packet.ah_holds(&key, unicast));
            assert_eq!(holds, mutable, "byte {at}");
        }
    }
}

#[test]
fn hmac_md5_is_that_of_rfc_2202() {
    // Test case 2 of RFC 2202, through the primitive that the Authentication Header uses.
    use hmac::{Hmac, Mac as _};
    let mut mac = Hmac::<md5::Md5>::new_from_slice(b"Jefe").unwrap();
    mac.update(b"what do ya want for nothing?");
    assert_eq!(mac.finalize().into_bytes()[..], hex("750c783e6ab0b503eaa86e310a5db738"));
}

#[test]
fn the_trailer_binds_advert_and_sender_and_nothing_that_changes_on_the_way() {
    let key = HmacKey::new(3, vec![7; 32]).unwrap();
    let seal = Seal { trailer: Some((&key, Sequence::at(1_700_000_000_500_000_000))), ..PLAIN };
    let bytes = emit(&recorded_v2(100), &envelope("10.0.1.1", "224.0.0.18", 1), &seal);
    let packet = Packet::parse_v4(&bytes).unwrap();
    assert_eq!(bytes.len(), packet.expected_len() + TRAILER_LEN);
    let trailer = packet.trailer().unwrap().unwrap();
    assert_eq!((trailer.key_id, trailer.sequence.0), (3, (1_700_000_000 << 32) | (0x8000 << 16)));
    assert!(packet.trailer_holds(&key));
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        // The source among the IP header, the advert but for its checksum, the trailer but for bytes read before.
        let bound = matches!(at, 12..16 | 20..26 | 28..) && !(bytes.len() - 28..bytes.len() - 24).contains(&at);
        let Ok(packet) = Packet::parse_v4(&changed) else { continue };
        if bound {
            assert!(!packet.trailer_holds(&key), "byte {at}");
        }
    }
}

#[test]
fn sequences_survive_the_wrap_of_the_seconds() {
    let last = Sequence(u64::MAX);
    assert!(last.next().after(last) && !last.after(last.next()));
    assert_eq!(Sequence::at(1_500_000_000).seconds(), 1);
}

fn addresses(v4: bool) -> BoxedStrategy<Vec<IpAddr>> {
    if v4 {
        prop::collection::vec(any::<[u8; 4]>().prop_map(|octets| IpAddr::V4(octets.into())), 0..40).boxed()
    } else {
        prop::collection::vec(any::<[u8; 16]>().prop_map(|octets| IpAddr::V6(octets.into())), 0..40).boxed()
    }
}

fn body() -> impl Strategy<Value = Body> {
    let legacy = prop_oneof![
        Just(Legacy::None),
        any::<[u8; 8]>().prop_map(Legacy::Password),
        any::<u32>().prop_map(|sequence| Legacy::Header { sequence }),
    ];
    prop_oneof![
        (any::<u8>(), legacy).prop_map(|(interval, legacy)| Body::V2 { interval, legacy }),
        (0u16..4096).prop_map(|interval| Body::V3 { interval }),
    ]
}

proptest! {
    #[test]
    fn what_is_sent_is_what_is_read(
        vrid in any::<u8>(), priority in any::<u8>(), body in body(), id in any::<u16>(), hop_limit in any::<u8>(),
        addresses in addresses(true), source in any::<[u8; 4]>(), destination in any::<[u8; 4]>(),
    ) {
        let advert = Advert { vrid, priority, body, addresses };
        let way = Envelope { source: IpAddr::V4(source.into()), destination: IpAddr::V4(destination.into()), hop_limit, id };
        let bytes = emit(&advert, &way, &Seal { ah: Some(&AhKey([1; 8])), ..PLAIN });
        let packet = Packet::parse_v4(&bytes).unwrap();
        prop_assert_eq!(packet.expected_len(), bytes.len());
        prop_assert_eq!(packet.ip_total_len(), Some(bytes.len()));
        prop_assert_eq!(packet.advert(), Some(advert));
        prop_assert_eq!((packet.source(), packet.destination(), packet.hop_limit()), (way.source, way.destination, Some(hop_limit)));
    }

    #[test]
    fn what_is_sent_over_ipv6_is_what_is_read(
        vrid in any::<u8>(), priority in any::<u8>(), interval in 0u16..4096, addresses in addresses(false),
        source in any::<[u8; 16]>(), destination in any::<[u8; 16]>(),
    ) {
        let advert = Advert { vrid, priority, body: Body::V3 { interval }, addresses };
        let (source, destination) = (Ipv6Addr::from(source), Ipv6Addr::from(destination));
        let way = Envelope { source: source.into(), destination: destination.into(), hop_limit: 255, id: 0 };
        let bytes = emit(&advert, &way, &PLAIN);
        let packet = Packet::parse_v6(&bytes, source, destination, Some(255)).unwrap();
        prop_assert!(packet.checksum_pseudo());
        prop_assert_eq!(packet.advert(), Some(advert));
    }

    #[test]
    fn any_bytes_give_a_packet_or_a_reason(mut bytes in prop::collection::vec(any::<u8>(), 0..200), shape in 0u8..4) {
        // Random bytes seldom begin like a packet; shapes 1 to 3 help them.
        if shape > 0 && bytes.len() > 28 {
            bytes[0] = 0x45;
            bytes[6..8].fill(0);
            bytes[9] = if shape == 1 { 112 } else { 51 };
            (bytes[20], bytes[21]) = (112, 4);
        }
        exercise(Packet::parse_v4(&bytes));
        exercise(Packet::parse_v6(&bytes, Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST, None));
        let _ = (GratuitousArp::parse(&bytes), UnsolicitedNa::parse(&bytes));
    }

    #[test]
    fn truncated_and_damaged_adverts_give_a_packet_or_a_reason(cut in 0usize..200, at in 0usize..60, flip in any::<u8>(), body in body()) {
        let advert = Advert { body, ..recorded_v2(100) };
        let mut bytes = emit(&advert, &envelope("10.0.1.1", "224.0.0.18", 1), &Seal { ah: Some(&AhKey([1; 8])), ..PLAIN });
        bytes.truncate(cut);
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= flip;
        }
        exercise(Packet::parse_v4(&bytes));
    }

    #[test]
    fn frames_are_read_as_they_are_sent(mac in any::<Mac>(), v4 in any::<[u8; 4]>(), v6 in any::<[u8; 16]>(), router in any::<bool>()) {
        let arp = GratuitousArp { mac, address: v4.into() };
        prop_assert_eq!(GratuitousArp::parse(&arp.emit()), Some(arp));
        let na = UnsolicitedNa { mac, address: v6.into(), router };
        prop_assert_eq!(UnsolicitedNa::parse(&na.emit()), Some(na));
    }
}

/// Calls everything that reads; none may panic.
fn exercise(packet: Result<Packet<'_>, Malformed>) {
    let packet = match packet {
        Ok(packet) => packet,
        Err(reason) => return assert!(Malformed::ALL.contains(&reason) && !reason.label().is_empty()),
    };
    let key = HmacKey::new(1, vec![1; 32]).unwrap();
    let _ =
        (packet.advert(), packet.addresses().count(), packet.password(), packet.trailer(), packet.trailer_holds(&key));
    let _ = (packet.ah_holds(&AhKey([0; 8]), true), packet.ah_spi_holds(), packet.ah_sequence());
    let _ = (packet.checksum_bare(), packet.checksum_pseudo(), packet.is_padded(packet.expected_len()));
}
