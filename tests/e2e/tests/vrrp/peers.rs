//! Two directors: election, hand-over, preemption, crash, in every version, family and way of sending; ours with ours, and
//! ours with the distribution's on either side.

use crate::config::{Dialect, instance};
use crate::{LIMIT, master};
use anyhow::{Result, ensure};
use lab::eventually;
use lab::pair::{Side, Whose, start};

const PAIRS: [(Whose, Whose); 3] =
    [(Whose::Ours, Whose::Ours), (Whose::Ours, Whose::Original), (Whose::Original, Whose::Ours)];

/// The better one leads, hands over when it stops, and leads again when it is back.
fn hand_over(dialect: Dialect) -> Result<()> {
    for (first, second) in PAIRS {
        let Some(pair) = start()? else { return Ok(()) };
        let vip = dialect.vip();
        let config = |side, priority| instance(dialect, side, priority, "");
        let a = pair.keepalived(Side::A, first, &config(Side::A, 150))?;
        let b = pair.keepalived(Side::B, second, &config(Side::B, 100))?;
        master(&pair, Side::A, vip)?;
        ensure!(a.stop()? == 0, "{first:?} ended badly");
        master(&pair, Side::B, vip)?;
        b.said("(VI_1) Backup received priority 0 advertisement")?;
        b.said("(VI_1) Entering MASTER STATE")?;
        let a = pair.keepalived(Side::A, first, &config(Side::A, 150))?;
        master(&pair, Side::A, vip)?;
        eventually(LIMIT, || b.said("(VI_1) Entering BACKUP STATE"))?;
        b.said("(VI_1) Master received advert from")?;
        a.crash()?;
        // A crashed daemon leaves its address behind; on a crashed host nobody would answer from there.
        pair.switch().ip("link set pa down")?;
        eventually(LIMIT, || {
            ensure!(pair.has(Side::B, vip)?, "{second:?} has not taken over from {first:?}");
            pair.answers(vip)
        })?;
        ensure!(b.stop()? == 0, "{second:?} ended badly");
        ensure!(!pair.has(Side::B, vip)?, "the address stayed");
    }
    Ok(())
}

#[test]
fn version_2_multicast() -> Result<()> {
    hand_over(Dialect::V2)
}

#[test]
fn version_2_unicast() -> Result<()> {
    hand_over(Dialect::V2Unicast)
}

#[test]
fn version_2_with_the_authentication_header() -> Result<()> {
    hand_over(Dialect::V2Ah)
}

#[test]
fn version_3_multicast() -> Result<()> {
    hand_over(Dialect::V3)
}

#[test]
fn version_3_unicast() -> Result<()> {
    hand_over(Dialect::V3Unicast)
}

#[test]
fn ipv6_multicast() -> Result<()> {
    hand_over(Dialect::V6)
}

#[test]
fn ipv6_unicast() -> Result<()> {
    hand_over(Dialect::V6Unicast)
}

#[test]
fn with_nopreempt_the_one_that_leads_goes_on() -> Result<()> {
    for (first, second) in PAIRS {
        let Some(pair) = start()? else { return Ok(()) };
        let config = |side, priority| instance(Dialect::V3, side, priority, "nopreempt\n");
        let vip = Dialect::V3.vip();
        let b = pair.keepalived(Side::B, second, &config(Side::B, 100))?;
        master(&pair, Side::B, vip)?;
        let a = pair.keepalived(Side::A, first, &config(Side::A, 150))?;
        eventually(LIMIT, || a.said("(VI_1) Entering BACKUP STATE (init)"))?;
        // It hears of the other within one interval; several must pass without its taking over.
        let capture = pair.client().command("timeout").args("20 tcpdump -i eth0 -n -c 6 vrrp").run()?;
        ensure!(capture.stdout.lines().count() >= 6 && !capture.stdout.contains("10.0.1.1 >"), "{capture}");
        pair.only(Side::B, vip)?;
        b.stop()?;
        master(&pair, Side::A, vip)?;
        a.said("Entering MASTER STATE")?;
    }
    Ok(())
}

#[test]
fn a_link_that_goes_down_is_a_fault_and_comes_back() -> Result<()> {
    let Some(pair) = start()? else { return Ok(()) };
    let vip = Dialect::V3.vip();
    let a = pair.keepalived(Side::A, Whose::Ours, &instance(Dialect::V3, Side::A, 150, ""))?;
    let b = pair.keepalived(Side::B, Whose::Original, &instance(Dialect::V3, Side::B, 100, ""))?;
    master(&pair, Side::A, vip)?;
    pair.switch().ip("link set pa down")?;
    eventually(LIMIT, || a.said("(VI_1) Entering FAULT STATE"))?;
    master(&pair, Side::B, vip)?;
    pair.switch().ip("link set pa up")?;
    master(&pair, Side::A, vip)?;
    eventually(LIMIT, || b.said("(VI_1) Entering BACKUP STATE"))?;
    eventually(LIMIT, || {
        ensure!(a.count("(VI_1) Entering MASTER STATE") == 2, "{}", a.log());
        Ok(())
    })
}
