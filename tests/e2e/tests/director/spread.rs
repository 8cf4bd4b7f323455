//! Who gets which request: the recorded sequences of the kernel's schedulers, by each forwarding method and protocol.

use crate::vip;
use anyhow::Result;
use lab::{Lab, Method, Topology, echo, http, start};

/// rs1, rs2, rs3 were added in this order; the newest comes first.
const RR: &str = "3 2 1 3 2 1 3 2 1 3 2 1";
/// Weights 1, 2, 3 added one by one.
const WRR: &str = "3 2 1 3 3 2 3 2 1 3 3 2";
/// Weights 1, 2, 3 met by a scheduler that is new to the service.
const WRR_AFRESH: &str = "3 3 2 3 2 1 3 3 2 3 2 1";
/// Weights 1, 2, 3, connections closed at once.
const WLC: &str = "3 2 1 3 2 3 3 2 1 3 2 3";

fn sequence(lab: &Lab, proto: &str) -> Result<String> {
    match proto {
        "-t" => lab.sequence_tcp(vip(echo::PORT), 12),
        _ => lab.sequence_udp(vip(echo::PORT), 12),
    }
}

fn schedulers(method: Method) -> Result<()> {
    let Some(lab) = start(Topology::of(method))? else { return Ok(()) };
    for proto in ["-t", "-u"] {
        for (sched, weights, expected) in [
            ("rr", [1, 1, 1], RR),
            ("rr", [5, 1, 1], RR),
            ("wrr", [1, 2, 3], WRR),
            ("lc", [1, 2, 3], RR),
            ("wlc", [1, 2, 3], WLC),
        ] {
            // Deleted servers would come back with the connections that they had.
            lab.rvs("teardown")?;
            lab.serve(proto, vip(echo::PORT), &format!("-s {sched}"), echo::PORT, &weights)?;
            assert_eq!(sequence(&lab, proto)?, expected, "{} {proto} {sched} {weights:?}", method.name());
        }
        // The last table was wlc's.
        lab.ipvsadm(&format!("-E {proto} {} -s rr", vip(echo::PORT)))?;
        assert_eq!(sequence(&lab, proto)?, RR, "{} {proto}: -E to rr", method.name());
        lab.ipvsadm(&format!("-E {proto} {} -s wrr", vip(echo::PORT)))?;
        assert_eq!(sequence(&lab, proto)?, WRR_AFRESH, "{} {proto}: -E to wrr", method.name());
    }
    let table = lab.table()?;
    assert!(table[0].dests.iter().all(|dest| dest.forward == method.word()), "{table:?}");
    Ok(())
}

#[test]
fn nat_follows_the_recorded_sequences() -> Result<()> {
    schedulers(Method::Nat)
}

#[test]
fn dr_follows_the_recorded_sequences() -> Result<()> {
    schedulers(Method::Dr)
}

#[test]
fn tun_follows_the_recorded_sequences() -> Result<()> {
    schedulers(Method::Tun)
}

/// Real web servers asked by a real curl.
fn web(method: Method) -> Result<()> {
    let Some(lab) = start(Topology::of(method).http())? else { return Ok(()) };
    lab.serve("-t", vip(http::PORT), "-s rr", http::PORT, &[1, 1, 1])?;
    let answers: Vec<String> = (0..6).map(|_| lab.web(vip(http::PORT))).collect::<Result<_>>()?;
    assert_eq!(answers, ["rs3", "rs2", "rs1", "rs3", "rs2", "rs1"]);
    Ok(())
}

#[test]
fn nat_serves_the_web() -> Result<()> {
    web(Method::Nat)
}

#[test]
fn dr_serves_the_web() -> Result<()> {
    web(Method::Dr)
}

#[test]
fn tun_serves_the_web() -> Result<()> {
    web(Method::Tun)
}

#[test]
fn nat_maps_ports() -> Result<()> {
    let Some(lab) = start(Topology::nat().http())? else { return Ok(()) };
    lab.serve("-t", vip(8000), "-s rr", echo::OTHER_PORT, &[1, 1, 1])?;
    lab.serve("-u", vip(8000), "-s rr", echo::OTHER_PORT, &[1, 1, 1])?;
    lab.serve("-t", vip(http::PORT), "-s rr", http::OTHER_PORT, &[1, 1, 1])?;
    assert_eq!(lab.sequence_tcp(vip(8000), 6)?, "3 2 1 3 2 1");
    assert_eq!(lab.sequence_udp(vip(8000), 6)?, "3 2 1 3 2 1");
    assert_eq!([lab.web(vip(http::PORT))?, lab.web(vip(http::PORT))?], ["rs3", "rs2"]);
    Ok(())
}

#[test]
fn services_take_their_turns_each_for_itself() -> Result<()> {
    let Some(lab) = start(Topology::nat())? else { return Ok(()) };
    lab.serve("-t", vip(echo::PORT), "-s rr", echo::PORT, &[1, 1, 1])?;
    lab.serve("-t", vip(8000), "-s rr", echo::OTHER_PORT, &[1, 1, 1])?;
    lab.serve("-u", vip(echo::PORT), "-s rr", echo::PORT, &[1, 1, 1])?;
    assert_eq!(lab.sequence_tcp(vip(echo::PORT), 2)?, "3 2");
    assert_eq!(lab.sequence_tcp(vip(8000), 1)?, "3");
    assert_eq!(lab.sequence_udp(vip(echo::PORT), 2)?, "3 2");
    assert_eq!(lab.sequence_tcp(vip(echo::PORT), 2)?, "1 3");
    assert_eq!(lab.sequence_tcp(vip(8000), 2)?, "2 1");
    // One service gone leaves the others as they were.
    lab.ipvsadm(&format!("-D -t {}", vip(8000)))?;
    assert_eq!(lab.sequence_udp(vip(echo::PORT), 1)?, "1");
    assert_eq!(lab.sequence_tcp(vip(echo::PORT), 1)?, "2");
    assert!(lab.greet(vip(8000)).is_err());
    Ok(())
}

/// Three methods in one service: rs1 by NAT, rs2 by DR, rs3 by a tunnel. NAT answers come back the way they went.
#[test]
fn one_service_mixes_methods() -> Result<()> {
    let Some(lab) = start(Topology::tun())? else { return Ok(()) };
    lab.server(1).ip("route replace default via 10.0.2.1")?;
    lab.server(1).ip("addr del 10.0.1.10/32 dev lo")?;
    let at = vip(echo::PORT);
    lab.restore(&format!(
        "-A -t {at} -s rr\n-a -t {at} -r 10.0.2.11:7 -m\n-a -t {at} -r 10.0.2.12:7 -g\n-a -t {at} -r 10.0.2.13:7 -i\n"
    ))?;
    assert_eq!(lab.sequence_tcp(at, 6)?, "3 2 1 3 2 1");
    Ok(())
}
