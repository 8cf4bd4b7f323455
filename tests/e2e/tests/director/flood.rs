//! A flood of SYNs from everywhere, while those who are served already go on as if nothing was, and others come.

use crate::vip;
use anyhow::{Context as _, Result, ensure};
use lab::any::Packet;
use lab::client::Greeted;
use lab::packet::tcp_flags;
use lab::topology::{CLIENT_MAC, DIRECTOR_FRONT_MAC};
use lab::wait::secs;
use lab::wire::Wire;
use lab::{Lab, Topology, echo, eventually, start};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Connections that must not notice.
const ESTABLISHED: usize = 100;
/// Threads that keep them busy.
const THREADS: usize = 4;
/// The flood ends after so many packets, or after so long.
const PACKETS: u32 = 1_000_000;
const LONGEST: Duration = secs(5);
/// Room for connections: a small part of the flood fills it.
const CAPACITY: &str = "65536";

/// Sends and receives over all of these connections in turn, until told to stop and at least once after that. Tells how
/// often.
fn converse(connections: &mut [Greeted], stop: &AtomicBool, rounds: &AtomicU64) -> Result<()> {
    let message = [0x5a; 1000];
    loop {
        let last = stop.load(Ordering::Relaxed);
        for (n, greeted) in connections.iter_mut().enumerate() {
            let stream = &mut greeted.stream;
            let mut back = [0; 1000];
            stream.write_all(&message).and_then(|()| stream.read_exact(&mut back)).with_context(|| format!("{n}"))?;
            ensure!(back == message, "other bytes came back");
        }
        rounds.fetch_add(1, Ordering::Relaxed);
        if last {
            return Ok(());
        }
    }
}

/// Sends SYNs from sources that do not repeat soon. Tells how many.
fn flood(lab: &Lab) -> Result<u32> {
    let wire = Wire::open(&lab.client(), "eth0")?;
    let (end, mut state) = (Instant::now() + LONGEST, 0x2545_f491_u32);
    for sent in 0..PACKETS {
        if sent % 1024 == 0 && Instant::now() >= end {
            return Ok(sent);
        }
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        let [a, b, c, _] = state.to_be_bytes();
        let from = SocketAddr::new(Ipv4Addr::new(11, a, b, c).into(), 1024 + (state >> 3) as u16 % 60_000);
        let syn = Packet::tcp(from, vip(echo::PORT).into(), tcp_flags::SYN, state, 0);
        wire.send_bytes(&syn.frame(CLIENT_MAC, DIRECTOR_FRONT_MAC))?;
    }
    Ok(PACKETS)
}

#[test]
fn a_flood_of_syns_neither_touches_the_established_nor_keeps_others_out() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(2))? else { return Ok(()) };
    let service = vip(echo::PORT);
    lab.tool("ipvsadm")?.env("RVS_CONN_CAPACITY", CAPACITY).args(&format!("-A -t {service} -s rr")).ok()?;
    for n in lab.numbers() {
        lab.ipvsadm(&format!("-a -t {service} -r {}:7 -m", lab::topology::server(n)))?;
        // The servers' answers to nobody end there.
        lab.server(n).ip("route add blackhole 11.0.0.0/8")?;
    }
    let mut connections: Vec<Greeted> = (0..ESTABLISHED).map(|_| lab.greet(service)).collect::<Result<_>>()?;
    for greeted in &connections {
        greeted.stream.set_read_timeout(Some(secs(30)))?;
    }
    let (stop, rounds) = (AtomicBool::new(false), AtomicU64::new(0));
    let (sent, before, after) = thread::scope(|scope| -> Result<_> {
        let talk = |part| scope.spawn(|| converse(part, &stop, &rounds));
        let talkers: Vec<_> = connections.chunks_mut(ESTABLISHED / THREADS).map(talk).collect();
        let before = rounds.load(Ordering::Relaxed);
        let sent = flood(&lab);
        let after = rounds.load(Ordering::Relaxed);
        stop.store(true, Ordering::Relaxed);
        for talker in talkers {
            talker.join().unwrap()?;
        }
        Ok((sent?, before, after))
    })?;
    println!("{sent} SYNs, {} rounds of {} messages meanwhile", after - before, ESTABLISHED / THREADS);
    ensure!(sent > 2 * CAPACITY.parse::<u32>()?, "{sent} SYNs are no flood for a table of {CAPACITY}");
    ensure!(after > before, "nobody talked meanwhile");
    let table = lab.connections()?;
    let established = table.iter().filter(|c| c.source.starts_with("10.0.1.100:") && c.state == "ESTABLISHED").count();
    assert_eq!(established, ESTABLISHED);
    // Nor does it keep others out: what never answered makes room as soon as the flood leaves it a moment.
    let late = eventually(secs(10), || lab.greet(service)).context("nobody new gets in after the flood")?;
    late.bye()?;
    Ok(())
}
