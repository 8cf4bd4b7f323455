//! Reloading by difference.

use crate::config::{Dialect, VIP, instance};
use crate::{LIMIT, master};
use anyhow::{Result, ensure};
use lab::eventually;
use lab::pair::{Side, Whose, start};
use nix::sys::signal::Signal;
use std::fs;

/// A second instance, of other addresses.
const SECOND: &str = "vrrp_instance VI_2 {\n state BACKUP\n interface eth0\n virtual_router_id 52\n priority 150\n version 3\n \
                      advert_int 0.5\n virtual_ipaddress {\n 10.0.1.20/24\n }\n}\n";

#[test]
fn an_unchanged_instance_does_not_notice() -> Result<()> {
    let Some(pair) = start()? else { return Ok(()) };
    let (one, path) = (instance(Dialect::V3, Side::A, 150, ""), pair.dir().join("a.conf"));
    let a = pair.keepalived(Side::A, Whose::Ours, &one)?;
    let b = pair.keepalived(Side::B, Whose::Original, &instance(Dialect::V3, Side::B, 100, ""))?;
    master(&pair, Side::A, VIP)?;
    let adverts = pair.client().command("timeout").args("9 tcpdump -i eth0 -n -tt --immediate-mode -l vrrp").begin()?;
    for round in 0..6 {
        let text = if round % 2 == 0 { format!("{one}{SECOND}") } else { one.clone() };
        fs::write(&path, text)?;
        a.signal(Signal::SIGHUP)?;
        eventually(LIMIT, || {
            ensure!(a.count("Reload complete") == round + 1, "no reload\n{}", a.log());
            Ok(())
        })?;
    }
    fs::write(&path, format!("{one}{SECOND}"))?;
    a.signal(Signal::SIGHUP)?;
    master(&pair, Side::A, "10.0.1.20")?;
    pair.only(Side::A, VIP)?;
    let seen = adverts.wait()?.stdout;
    let times: Vec<f64> = seen
        .lines()
        .filter(|line| line.contains("vrid 51"))
        .filter_map(|line| line.split_whitespace().next()?.parse().ok())
        .collect();
    ensure!(times.len() > 5, "{seen}");
    for pair in times.windows(2) {
        let gap = pair[1] - pair[0];
        // Half a second apart as configured; the master-down time would be three times that.
        ensure!(gap > 0.25 && gap < 1.2, "a gap of {gap} s\n{seen}");
    }
    ensure!(a.count("(VI_1) Entering MASTER STATE") == 1, "{}", a.log());
    ensure!(b.count("(VI_1) Entering MASTER STATE") == 0, "{}", b.log());
    Ok(())
}

#[test]
fn a_broken_configuration_changes_nothing() -> Result<()> {
    let Some(pair) = start()? else { return Ok(()) };
    let (one, path) = (instance(Dialect::V3, Side::A, 150, ""), pair.dir().join("a.conf"));
    let mut a = pair.keepalived(Side::A, Whose::Ours, &one)?;
    master(&pair, Side::A, VIP)?;
    for broken in ["vrrp_instance VI_1 {\n nonsense {\n", "", "\0\0\0"] {
        fs::write(&path, broken)?;
        let before = a.count("Not reloaded") + a.count("Reload complete");
        a.signal(Signal::SIGHUP)?;
        eventually(LIMIT, || {
            let after = a.count("Not reloaded") + a.count("Reload complete");
            ensure!(after == before + 1, "{}", a.log());
            Ok(())
        })?;
        a.alive()?;
        if !broken.is_empty() {
            master(&pair, Side::A, VIP)?;
        }
        fs::write(&path, &one)?;
        let before = a.count("Reload complete");
        a.signal(Signal::SIGHUP)?;
        eventually(LIMIT, || {
            ensure!(a.count("Reload complete") == before + 1, "{}", a.log());
            Ok(())
        })?;
        master(&pair, Side::A, VIP)?;
    }
    ensure!(a.stop()? == 0);
    Ok(())
}

#[test]
fn a_lower_priority_gives_the_lead_away_and_a_removed_instance_its_address() -> Result<()> {
    let Some(pair) = start()? else { return Ok(()) };
    let path = pair.dir().join("a.conf");
    let a = pair.keepalived(Side::A, Whose::Ours, &instance(Dialect::V3, Side::A, 150, ""))?;
    let b = pair.keepalived(Side::B, Whose::Original, &instance(Dialect::V3, Side::B, 100, ""))?;
    master(&pair, Side::A, VIP)?;
    fs::write(&path, instance(Dialect::V3, Side::A, 80, ""))?;
    a.signal(Signal::SIGHUP)?;
    master(&pair, Side::B, VIP)?;
    fs::write(&path, SECOND)?;
    a.signal(Signal::SIGHUP)?;
    master(&pair, Side::A, "10.0.1.20")?;
    pair.only(Side::B, VIP)?;
    b.said("(VI_1) Entering MASTER STATE")
}

#[test]
fn a_file_names_the_time_of_a_reload() -> Result<()> {
    let Some(pair) = start()? else { return Ok(()) };
    let (time, mark) = (pair.dir().join("time"), pair.dir().join("mark"));
    let globals =
        format!("global_defs {{\n reload_time_file {}\n reload_file {}\n}}\n", time.display(), mark.display());
    let one = format!("{globals}{}", instance(Dialect::V3, Side::A, 150, ""));
    let a = pair.keepalived(Side::A, Whose::Ours, &one)?;
    master(&pair, Side::A, VIP)?;
    fs::write(pair.dir().join("a.conf"), format!("{one}{SECOND}"))?;
    fs::write(&time, "no time\n")?;
    eventually(LIMIT, || a.said("names no time to come for a reload"))?;
    // Whoever waits for the mark to go may write the files again.
    fs::write(&mark, "busy")?;
    let soon = pair.client().command("date").args("-u -d now+4seconds +%Y-%m-%d%t%H:%M:%SZ").ok()?;
    fs::write(&time, soon.replace('\t', " "))?;
    eventually(LIMIT, || a.said("Reload scheduled in"))?;
    eventually(LIMIT, || a.said("Reload complete"))?;
    master(&pair, Side::A, "10.0.1.20")?;
    ensure!(!time.exists() && !mark.exists(), "the files stayed");
    ensure!(a.count("Reload complete") == 1, "{}", a.log());
    Ok(())
}
