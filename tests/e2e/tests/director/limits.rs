//! Servers that take no more: weight 0, thresholds, deletion.

use crate::vip;
use anyhow::Result;
use lab::client::ask_again;
use lab::packet::{Frame, Ipv4};
use lab::topology::{CLIENT, CLIENT_MAC, DIRECTOR_FRONT_MAC, VIP};
use lab::wait::secs;
use lab::wire::Wire;
use lab::{Topology, echo, eventually, start};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddrV4;
use std::time::Duration;

#[test]
fn weight_0_keeps_connections_and_takes_no_new_ones() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(2))? else { return Ok(()) };
    let at = vip(echo::PORT);
    lab.serve("-t", at, "-s rr", echo::PORT, &[1, 1])?;
    let mut greeted = lab.greet(at)?;
    assert_eq!(greeted.name, "rs2");
    lab.ipvsadm(&format!("-e -t {at} -r 10.0.2.12:7 -m -w 0"))?;
    assert_eq!(lab.sequence_tcp(at, 4)?, "1 1 1 1");
    greeted.stream.write_all(b"still here")?;
    let mut back = [0; 10];
    greeted.stream.read_exact(&mut back)?;
    assert_eq!(&back, b"still here");
    lab.ipvsadm(&format!("-e -t {at} -r 10.0.2.12:7 -m -w 1"))?;
    assert!(lab.sequence_tcp(at, 4)?.contains('2'));
    Ok(())
}

#[test]
fn thresholds_open_and_close_a_server() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(1))? else { return Ok(()) };
    let at = vip(echo::PORT);
    lab.ipvsadm("--set 0 0 1")?;
    lab.restore(&format!("-A -u {at} -s rr\n-a -u {at} -r 10.0.2.11:7 -m -x 3 -y 2\n"))?;
    let refused = || {
        let error = lab.ask(at).unwrap_err();
        let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        assert_eq!(kind, Some(ErrorKind::ConnectionRefused), "{error:#}");
    };
    assert_eq!(lab.sequence_udp(at, 3)?, "1 1 1");
    refused();
    // A connection that exists is not touched by it.
    eventually(secs(5), || lab.ask(at))?;
    let listing = lab.ipvsadm("-Ln --thresholds")?;
    let line = listing.lines().find(|line| line.contains("10.0.2.11:7")).unwrap_or_default();
    assert!(line.split_whitespace().skip(2).take(2).eq(["3", "2"]), "{listing}");
    Ok(())
}

#[test]
fn an_overloaded_server_is_passed_over() -> Result<()> {
    let Some(lab) = start(Topology::dr().servers(2))? else { return Ok(()) };
    let at = vip(echo::PORT);
    lab.restore(&format!("-A -t {at} -s rr\n-a -t {at} -r 10.0.2.11:7 -g\n-a -t {at} -r 10.0.2.12:7 -g -x 1\n"))?;
    assert_eq!(lab.sequence_tcp(at, 5)?, "2 1 1 1 1");
    Ok(())
}

/// The client's packets end in silence, and the connection goes on when the server is added again.
#[test]
fn a_deleted_destination_falls_silent_and_resumes() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(2))? else { return Ok(()) };
    let at = vip(echo::PORT);
    lab.serve("-t", at, "-s rr", echo::PORT, &[1, 1])?;
    lab.serve("-u", at, "-s rr", echo::PORT, &[1, 1])?;
    let mut greeted = lab.greet(at)?;
    let socket = lab.udp_from(SocketAddrV4::new(CLIENT, 0), at)?;
    assert_eq!((greeted.name.as_str(), ask_again(&socket)?.as_str()), ("rs2", "rs2"));
    for proto in ["-t", "-u"] {
        lab.ipvsadm(&format!("-d {proto} {at} -r 10.0.2.12:7"))?;
    }
    assert_eq!(lab.sequence_tcp(at, 2)?, "1 1");
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    let error = ask_again(&socket).unwrap_err();
    let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    assert!(matches!(kind, Some(ErrorKind::WouldBlock | ErrorKind::TimedOut)), "no silence: {error:#}");
    greeted.stream.set_read_timeout(Some(Duration::from_millis(100)))?;
    greeted.stream.write_all(b"hello?")?;
    let kind = greeted.stream.read(&mut [0; 8]).unwrap_err().kind();
    assert!(matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut), "no silence: {kind}");
    for proto in ["-t", "-u"] {
        lab.ipvsadm(&format!("-a {proto} {at} -r 10.0.2.12:7 -m"))?;
    }
    assert_eq!(eventually(secs(2), || ask_again(&socket))?, "rs2");
    greeted.stream.set_read_timeout(Some(secs(10)))?;
    let mut back = [0; 6];
    greeted.stream.read_exact(&mut back)?;
    assert_eq!(&back, b"hello?");
    Ok(())
}

/// When the table is full, new connections find no place and are counted; those that are there are not touched.
#[test]
fn a_full_table_keeps_what_it_has() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(1))? else { return Ok(()) };
    let at = vip(echo::PORT);
    lab.tool("ipvsadm")?.env("RVS_CONN_CAPACITY", "1024").args(&format!("-A -t {at} -s rr")).ok()?;
    lab.restore(&format!("-a -t {at} -r 10.0.2.11:7 -m\n-A -u {at} -s rr\n-a -u {at} -r 10.0.2.11:7 -m\n"))?;
    let mut greeted = lab.greet(at)?;
    let flood = Wire::open(&lab.client(), "eth0")?;
    for port in 10_000..12_000 {
        let ip = Ipv4::udp((CLIENT, port), (VIP, echo::PORT), b"one of many");
        flood.send(&Frame { src: CLIENT_MAC, dst: DIRECTOR_FRONT_MAC, ip })?;
    }
    let socket = lab.udp_from(SocketAddrV4::new(CLIENT, 0), at)?;
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    assert!(ask_again(&socket).is_err(), "there was a place");
    let refused = lab.reasons()?.get("table_full").copied();
    assert!(refused > Some(900), "{refused:?} were refused");
    let (active, inactive) = lab.counts()?;
    assert!((1, 900) <= (active, inactive) && active + inactive <= 1024, "{active} active, {inactive} inactive");
    greeted.stream.write_all(b"still here")?;
    let mut back = [0; 10];
    greeted.stream.read_exact(&mut back)?;
    assert_eq!(&back, b"still here");
    Ok(())
}
