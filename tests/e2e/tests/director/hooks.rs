//! The other hook: XDP in the driver decides as TC does. Offloads are off, as XDP needs it on cables between namespaces:
//! there a sender would leave checksums unfinished, and packets larger than frames.

use crate::vip;
use anyhow::{Result, ensure};
use lab::client::ask_again;
use lab::topology::CLIENT;
use lab::wait::secs;
use lab::{Lab, Method, Topology, echo, eventually, start};
use std::io::{Read as _, Write as _};
use std::net::SocketAddrV4;

/// A director whose interfaces are served by this mode.
fn on_hook(method: Method, mode: &str, shown: &str) -> Result<Option<Lab>> {
    let Some(lab) = start(Topology::of(method).offloads(false))? else { return Ok(None) };
    // A veth takes redirected frames only when its other end, the switch's, receives like a driver does; and the switch must
    // not send on what it then puts together as one large packet.
    for port in ["cl.eth0", "dr.eth0", "dr.eth1", "rt.eth0", "rt.eth1", "rs1.eth0", "rs2.eth0", "rs3.eth0"] {
        lab.switch().command("ethtool").args(&format!("-K {port} gro on tx off tso off gso off")).ok()?;
    }
    for proto in ["-t", "-u"] {
        lab.serve(proto, vip(echo::PORT), "-s rr", echo::PORT, &[1, 1, 1])?;
    }
    for interface in ["eth0", "eth1"] {
        lab.rvs(&format!("attach {interface} --mode {mode}"))?;
        let status = lab.rvs("status")?;
        let line = status.lines().find(|line| line.starts_with(interface)).unwrap_or_default();
        assert!(line.contains(shown), "{status}");
    }
    Ok(Some(lab))
}

fn works(method: Method, mode: &str, shown: &str) -> Result<()> {
    let Some(lab) = on_hook(method, mode, shown)? else { return Ok(()) };
    assert_eq!(lab.sequence_tcp(vip(echo::PORT), 6)?, "3 2 1 3 2 1");
    assert_eq!(lab.sequence_udp(vip(echo::PORT), 6)?, "3 2 1 3 2 1");
    let socket = lab.udp_from(SocketAddrV4::new(CLIENT, 0), vip(echo::PORT))?;
    let reason = match method {
        Method::Nat => "nat_in",
        Method::Dr => "dr",
        Method::Tun => "tun",
    };
    // TC finds next hops, for each CPU; where one is known, packets are finished by XDP itself.
    eventually(secs(5), || {
        let before = lab.reasons()?;
        for _ in 0..100 {
            ensure!(ask_again(&socket)? == "rs3", "another server answers");
        }
        let after = lab.reasons()?;
        ensure!(after[reason] - before[reason] >= 100, "{after:?} after {before:?}");
        let deferred = after["deferred"] - before["deferred"];
        ensure!(deferred < 20, "XDP left {deferred} packets to TC");
        Ok(())
    })?;

    let mut greeted = lab.greet(vip(echo::PORT))?;
    let data = crate::bulk::noise(200_000);
    let mut back = vec![0; data.len()];
    for (part, back) in data.chunks(10_000).zip(back.chunks_mut(10_000)) {
        greeted.stream.write_all(part)?;
        greeted.stream.read_exact(back)?;
    }
    assert!(back == data, "the echo differs");
    Ok(())
}

#[test]
fn nat_works_on_native_xdp() -> Result<()> {
    works(Method::Nat, "xdp", "xdp native")
}

#[test]
fn dr_works_on_native_xdp() -> Result<()> {
    works(Method::Dr, "xdp", "xdp native")
}

#[test]
fn tun_works_on_native_xdp() -> Result<()> {
    works(Method::Tun, "xdp", "xdp native")
}

/// Generic XDP would break checksums that are still unfinished, as a veth's may be.
#[test]
fn generic_xdp_is_refused_where_it_would_break_packets() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(1))? else { return Ok(()) };
    lab.serve("-t", vip(echo::PORT), "-s rr", echo::PORT, &[1])?;
    let outcome = lab.tool("rvs")?.args("attach eth0 --mode xdp-generic").run()?;
    assert_ne!(outcome.status, 0);
    assert!(outcome.stderr.contains("eth0") && outcome.stderr.contains("tc"), "{outcome}");
    assert_eq!(lab.greet(vip(echo::PORT))?.name, "rs1");
    Ok(())
}
