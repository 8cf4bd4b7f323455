//! Bad input: whatever arrives, nobody changes state; it is counted, and the log is not flooded.

use crate::config::{Dialect, VIP, instance};
use crate::{LIMIT, master};
use anyhow::{Result, ensure};
use lab::director::tool;
use lab::eventually;
use lab::packet::{Frame, Ipv4};
use lab::pair::{Pair, Side, Whose, start};
use lab::wire::Wire;
use socket2::{Domain, Protocol, Socket, Type};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);

/// The same numbers at every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

fn checksum(bytes: &[u8]) -> u16 {
    let sum: u32 = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    !((sum & 0xffff) + (sum >> 16)) as u16
}

/// An advert of version 2 for the virtual address, with a right checksum.
fn advert(vrid: u8, priority: u8, password: &[u8; 8]) -> Vec<u8> {
    let mut bytes = vec![0x21, vrid, priority, 1, 1, 1, 0, 0, 10, 0, 1, 10];
    bytes.extend(password);
    let sum = checksum(&bytes);
    bytes[6..8].copy_from_slice(&sum.to_be_bytes());
    bytes
}

fn status(pair: &Pair) -> Result<serde_json::Value> {
    let command = pair.side(Side::A).command(tool("rvs")?);
    Ok(serde_json::from_str(&command.args(&format!("vrrp --json --socket {}/a.sock", pair.dir().display())).ok()?)?)
}

#[test]
fn a_flood_of_bad_adverts_moves_nobody() -> Result<()> {
    let Some(pair) = start()? else { return Ok(()) };
    let a = pair.keepalived(Side::A, Whose::Ours, &instance(Dialect::V2, Side::A, 100, ""))?;
    master(&pair, Side::A, VIP)?;
    let lines = a.log().lines().count();
    let sent = pair.client().enter(flood)??;
    eventually(LIMIT, || {
        let status = status(&pair)?;
        let number = |value: &serde_json::Value| value.as_u64().unwrap_or(0);
        let counters = &status["instances"][0]["counters"];
        let malformed: u64 =
            status["malformed"].as_object().into_iter().flatten().map(|(_, value)| number(value)).sum();
        let named =
            ["auth_failure", "ip_ttl_err", "packet_len_err", "checksum_err", "version_err", "invalid_type_rcvd"];
        let refused: u64 = named.iter().map(|name| number(&counters[*name])).sum();
        // Sockets lose what does not fit, but never most of it: the thread drains them before anything else.
        let counted = malformed + refused + number(&status["unknown_vrid"]) + number(&status["unwanted"]);
        ensure!(counted > sent / 4, "{counted} of {sent} counted: {status}");
        ensure!(number(&status["unknown_vrid"]) > 0 && number(&counters["auth_failure"]) > 0, "{status}");
        ensure!(status["instances"][0]["state"] == "MASTER", "{status}");
        Ok(())
    })?;
    ensure!(a.count("Entering MASTER STATE") == 1 && a.count("Entering BACKUP STATE (init)") == 1, "{}", a.log());
    ensure!(a.count("Entering FAULT STATE") == 0, "{}", a.log());
    let more = a.log().lines().count() - lines;
    ensure!(more < 200, "{more} lines for {sent} packets");
    master(&pair, Side::A, VIP)
}

/// Some 10,000 packets a second for two seconds; how many there were.
fn flood() -> Result<u64> {
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(112)))?;
    socket.set_multicast_ttl_v4(255)?;
    let low = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(112)))?;
    low.set_multicast_ttl_v4(1)?;
    let index = std::fs::read_to_string("/proc/thread-self/net/dev_mcast").unwrap_or_default();
    ensure!(index.contains("eth0"), "no interface");
    let from = Ipv4Addr::new(10, 0, 1, 100);
    socket.set_multicast_if_v4(&from)?;
    low.set_multicast_if_v4(&from)?;
    let to = SocketAddrV4::new(GROUP, 0).into();
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let good = advert(51, 200, b"secret\0\0");
    let (begun, mut sent) = (Instant::now(), 0);
    while sent < 20_000 {
        let mut packet = match sent % 5 {
            0 => advert(51, 200, b"wrong\0\0\0"),
            1 => advert(99, 255, b"secret\0\0"),
            2 => good[..(numbers.next() % good.len() as u64) as usize].to_vec(),
            3 => (0..numbers.next() % 300).map(|_| numbers.next() as u8).collect(),
            _ => good.clone(),
        };
        if packet == good && sent % 5 != 4 {
            packet.pop(); // A whole one with the right password would rightly be believed.
        }
        let by = if sent % 5 == 4 { &low } else { &socket };
        // A full queue of the sender loses a packet, as a network would.
        if by.send_to(&packet, &to).is_ok() {
            sent += 1;
        }
        let due = std::time::Duration::from_micros(sent * 100);
        lab::wait::pass_until(begun + due);
    }
    Ok(sent)
}

#[test]
fn random_and_truncated_arp_and_bfd_change_nothing() -> Result<()> {
    let Some(pair) = start()? else { return Ok(()) };
    let config = |side: Side, priority: u8| {
        let (own, other) = (side.number(), 3 - side.number());
        let session =
            format!("bfd_instance peer {{\n neighbor_ip 10.0.1.{other}\n source_ip 10.0.1.{own}\n multiplier 20\n}}\n");
        format!("{session}{}", instance(Dialect::V3, side, priority, "track_bfd {\n peer weight -5\n }\n"))
    };
    let mut a = pair.keepalived(Side::A, Whose::Ours, &config(Side::A, 150))?;
    let b = pair.keepalived(Side::B, Whose::Original, &config(Side::B, 100))?;
    master(&pair, Side::A, VIP)?;
    eventually(LIMIT, || a.said("Tracked BFD instance peer is UP"))?;
    let lines = a.log().lines().count();
    let wire = Wire::open(&pair.client(), "eth0")?;
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    for round in 0..8000_u64 {
        let frame = if round % 2 == 0 { arp(&mut numbers) } else { bfd(&mut numbers) };
        wire.send_bytes(&frame)?;
        // As fast as the receivers' queues are emptied, so that all of it arrives.
        lab::wait::pass_until(Instant::now() + std::time::Duration::from_micros(100));
    }
    a.alive()?;
    ensure!(a.count("Tracked BFD instance peer is DOWN") == 0, "{}", a.log());
    ensure!(a.count("Entering MASTER STATE") == 1 && b.count("Entering MASTER STATE") == 0, "{}", a.log());
    let more = a.log().lines().count() - lines;
    ensure!(more < 100, "{more} lines");
    pair.client().ip("neigh flush all")?;
    master(&pair, Side::A, VIP)
}

/// The client's MAC address.
const CLIENT: [u8; 6] = [2, 0, 0, 0, 1, 100];

fn random(numbers: &mut Numbers, most: u64) -> Vec<u8> {
    (0..numbers.next() % most).map(|_| numbers.next() as u8).collect()
}

/// ARP: of random bytes, or a request that is cut short. None says whose the addresses are: anybody on a segment may.
fn arp(numbers: &mut Numbers) -> Vec<u8> {
    let mut frame = [&[255; 6], &CLIENT, &[0x08, 0x06][..]].concat();
    if numbers.next().is_multiple_of(2) {
        frame.extend(random(numbers, 60));
    } else {
        let request = [
            0,
            1,
            8,
            0,
            6,
            4,
            0,
            1,
            2,
            0,
            0,
            0,
            1,
            100,
            10,
            0,
            1,
            100,
            0,
            0,
            0,
            0,
            0,
            0,
            10,
            0,
            1,
            numbers.next() as u8,
        ];
        frame.extend(&request[..(numbers.next() % request.len() as u64) as usize]);
    }
    frame
}

/// BFD that seems to come from the neighbour: of random bytes, or a control packet that is cut short.
fn bfd(numbers: &mut Numbers) -> Vec<u8> {
    let down = [0x20, 0x40, 3, 24, 0, 0, 0, 9, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let mut data = random(numbers, 80);
    if numbers.next().is_multiple_of(2) {
        data = down[..(numbers.next() % down.len() as u64) as usize].to_vec();
    } else if let Some(first) = data.first_mut() {
        // Of another version, so that no chance makes a good one of it.
        *first &= 0x1f;
    }
    let (from, to) = ((Ipv4Addr::new(10, 0, 1, 2), 49_152), (Ipv4Addr::new(10, 0, 1, 1), 3784));
    let ip = Ipv4::udp(from, to, &data).ttl(255);
    Frame { src: CLIENT, dst: [2, 0, 0, 0, 1, 1], ip }.bytes()
}
