//! Who holds an address without accepting packets to it: nobody on this host answers, everything else goes on.

use crate::LIMIT;
use crate::config::{Dialect, VIP, VIP6, instance};
use anyhow::{Result, ensure};
use lab::director::tool;
use lab::eventually;
use lab::http::Http;
use lab::pair::{Daemon, Pair, Side, Whose, start};
use nix::sys::signal::Signal;
use std::fs;

fn rules(pair: &Pair) -> Result<String> {
    pair.side(Side::A).command("nft").args("list ruleset").ok()
}

/// Waits until the first director leads and has the address.
fn leads(pair: &Pair, a: &Daemon, vip: &str) -> Result<()> {
    eventually(LIMIT, || {
        a.said("Entering MASTER STATE")?;
        pair.only(Side::A, vip)
    })
}

#[test]
fn the_host_is_deaf_and_the_service_is_served() -> Result<()> {
    let Some(pair) = start()? else { return Ok(()) };
    for more in ["no_accept\n", "strict_mode on\n"] {
        let a = pair.keepalived(Side::A, Whose::Ours, &instance(Dialect::V3, Side::A, 150, more))?;
        leads(&pair, &a, VIP)?;
        ensure!(pair.answers(VIP).is_err(), "it answers with {more}");
        ensure!(pair.answers("10.0.1.1").is_ok(), "it is deaf to everything");
        pair.side(Side::B).ip("addr add 10.0.1.10/32 dev lo")?;
        pair.side(Side::B).sysctl("ipv4/conf/all/arp_ignore", "1")?;
        let http = Http::start(&pair.side(Side::B), "served", pair.dir())?;
        http.ready()?;
        for rule in ["-A -t 10.0.1.10:80 -s rr", "-a -t 10.0.1.10:80 -r 10.0.1.2:80 -g"] {
            pair.side(Side::A).command(tool("ipvsadm")?).args(rule).ok()?;
        }
        let page = pair.client().command("curl").args("-s -m 10 http://10.0.1.10/").ok()?;
        ensure!(page == "served\n", "{page}");
        pair.side(Side::A).command(tool("rvs")?).args("teardown").ok()?;
        drop(http);
        pair.side(Side::B).ip("addr del 10.0.1.10/32 dev lo")?;
        // Accepting again is a change like any other.
        fs::write(pair.dir().join("a.conf"), instance(Dialect::V3, Side::A, 150, ""))?;
        a.signal(Signal::SIGHUP)?;
        eventually(LIMIT, || pair.answers(VIP))?;
        ensure!(a.count("Entering MASTER STATE") == 1, "{}", a.log());
        ensure!(rules(&pair)?.is_empty(), "{}", rules(&pair)?);
        let status = a.stop()?;
        ensure!(status == 0, "{status}: {}", fs::read_to_string(pair.dir().join("a.log"))?);
    }
    Ok(())
}

#[test]
fn neighbours_still_find_an_address_of_ipv6() -> Result<()> {
    let Some(pair) = start()? else { return Ok(()) };
    let a = pair.keepalived(Side::A, Whose::Ours, &instance(Dialect::V6, Side::A, 150, "no_accept\n"))?;
    leads(&pair, &a, VIP6)?;
    pair.client().ip("neigh flush all")?;
    for address in [VIP6.to_owned(), "fe80::62%eth0".to_owned()] {
        ensure!(pair.answers(&address).is_err(), "{address} answers");
        let known = pair.client().command("ip").args("-6 neigh show dev eth0").ok()?;
        let plain = address.trim_end_matches("%eth0");
        let found = |line: &str| line.starts_with(&format!("{plain} ")) && line.contains("lladdr 02:00:00:00:01:01");
        ensure!(known.lines().any(found), "{plain} was not found:\n{known}");
    }
    let text = rules(&pair)?;
    ensure!(text.contains("fe80::62 . \"eth0\""), "{text}");
    ensure!(a.stop()? == 0);
    ensure!(rules(&pair)?.is_empty(), "{}", rules(&pair)?);
    Ok(())
}

#[test]
fn what_a_crash_leaves_is_removed_by_the_next_run() -> Result<()> {
    let Some(pair) = start()? else { return Ok(()) };
    let a = pair.keepalived(Side::A, Whose::Ours, &instance(Dialect::V3, Side::A, 150, "no_accept\n"))?;
    leads(&pair, &a, VIP)?;
    a.crash()?;
    ensure!(rules(&pair)?.contains(VIP), "the address is still there, and so must be the rule");
    let a = pair.keepalived(Side::A, Whose::Ours, &instance(Dialect::V3, Side::A, 150, ""))?;
    leads(&pair, &a, VIP)?;
    eventually(LIMIT, || pair.answers(VIP))?;
    ensure!(rules(&pair)?.is_empty(), "{}", rules(&pair)?);
    Ok(())
}
