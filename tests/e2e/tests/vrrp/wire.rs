//! What goes over the line, as a dissector that is not ours sees it.

use crate::config::{Dialect, instance};
use crate::{LIMIT, master};
use anyhow::{Result, ensure};
use lab::eventually;
use lab::pair::{Side, Whose, start};
use nix::sys::signal::Signal;

/// Packets of a capture that fit a filter, as tshark counts them.
fn count(client: &lab::Netns, file: &str, filter: &str) -> Result<usize> {
    let options = "-n -o ip.check_checksum:TRUE -o vrrp.v3_checksum_as_in_v2:FALSE";
    let command = client.command("tshark").args(&format!("-r {file} {options}")).arg("-Y").arg(filter);
    Ok(command.ok()?.lines().count())
}

#[test]
fn tshark_finds_no_malformed_packet_and_no_wrong_checksum() -> Result<()> {
    for dialect in [Dialect::V2, Dialect::V2Ah, Dialect::V3, Dialect::V3Unicast, Dialect::V6] {
        let Some(pair) = start()? else { return Ok(()) };
        let file = pair.dir().join("capture.pcap");
        let capture = pair
            .switch()
            .command("tcpdump")
            .args(&format!("-i pa -p -n -U -w {}", file.display()))
            .serve(&pair.dir().join("tcpdump.log"))?;
        let begun = || std::fs::metadata(&file).is_ok_and(|facts| facts.len() > 0);
        eventually(LIMIT, || {
            ensure!(begun(), "tcpdump has not begun");
            Ok(())
        })?;
        let a = pair.keepalived(Side::A, Whose::Ours, &instance(dialect, Side::A, 150, ""))?;
        let _b = pair.keepalived(Side::B, Whose::Ours, &instance(dialect, Side::B, 100, ""))?;
        master(&pair, Side::A, dialect.vip())?;
        a.stop()?;
        master(&pair, Side::B, dialect.vip())?;
        let path = file.display().to_string();
        let seen = |filter: &str| count(&pair.client(), &path, filter);
        let advert = if dialect == Dialect::V2Ah { "ah" } else { "vrrp" };
        eventually(LIMIT, || {
            ensure!(seen(advert)? >= 5, "too few adverts");
            Ok(())
        })?;
        capture.stop(Signal::SIGTERM)?;
        ensure!(seen("_ws.malformed")? == 0, "{dialect:?}: malformed packets");
        ensure!(
            seen("vrrp.checksum.status == \"Bad\" || ip.checksum.status == \"Bad\"")? == 0,
            "{dialect:?}: checksums"
        );
        ensure!(seen("icmpv6.checksum.status == \"Bad\"")? == 0, "{dialect:?}: checksums of ICMPv6");
        // The checksums were looked at at all.
        if dialect != Dialect::V2Ah {
            ensure!(seen("vrrp.checksum.status == \"Good\"")? >= 5, "{dialect:?}: nothing was checked");
            ensure!(seen("vrrp.prio == 0")? >= 1, "{dialect:?}: no last advert");
        }
        let announced = if dialect == Dialect::V6 { "icmpv6.type == 136" } else { "arp.isgratuitous" };
        ensure!(seen(announced)? >= 10, "{dialect:?}: {} announcements", seen(announced)?);
    }
    Ok(())
}
