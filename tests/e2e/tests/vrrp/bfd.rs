//! BFD with the distribution's bird, and a virtual router that goes by it.

use crate::config::{Dialect, VIP, instance};
use crate::{LIMIT, master};
use anyhow::{Result, ensure};
use lab::eventually;
use lab::pair::{Side, Whose, start};
use nix::sys::signal::Signal;
use std::fs;

const BIRD: &str = "router id 10.0.1.100;\nprotocol device { }\nprotocol bfd {\n interface \"*\" { min rx interval 50 ms; min tx \
                    interval 50 ms; idle tx interval 200 ms; multiplier 5; };\n neighbor 10.0.1.1;\n}\n";

#[test]
fn a_session_with_bird_carries_a_virtual_router() -> Result<()> {
    let Some(pair) = start()? else { return Ok(()) };
    let path = pair.dir().join("bird.conf");
    fs::write(&path, BIRD)?;
    let control = pair.dir().join("bird.ctl").display().to_string();
    let bird = |log: &str| {
        let command = pair.client().command("/usr/sbin/bird").args(&format!("-f -c {} -s {control}", path.display()));
        command.serve(&pair.dir().join(log))
    };
    let first = bird("bird1.log")?;
    let session =
        "bfd_instance peer {\n neighbor_ip 10.0.1.100\n source_ip 10.0.1.1\n min_rx 50\n min_tx 50\n idle_tx 200\n}\n";
    let tracked = instance(Dialect::V3, Side::A, 150, "track_bfd {\n peer\n }\n");
    let a = pair.keepalived(Side::A, Whose::Ours, &format!("{session}{tracked}"))?;
    let _b = pair.keepalived(Side::B, Whose::Ours, &instance(Dialect::V3, Side::B, 100, ""))?;
    master(&pair, Side::A, VIP)?;
    let sessions = pair.client().command("/usr/sbin/birdc").args(&format!("-s {control} show bfd sessions")).ok()?;
    ensure!(sessions.lines().any(|line| line.contains("10.0.1.1") && line.contains("Up")), "{sessions}");
    first.stop(Signal::SIGKILL)?;
    eventually(LIMIT, || a.said("VRRP_Instance(VI_1) Tracked BFD instance peer is DOWN"))?;
    master(&pair, Side::B, VIP)?;
    let _second = bird("bird2.log")?;
    master(&pair, Side::A, VIP)
}
