//! What is held in the kernel besides virtual addresses, and that it is put back.

use crate::config::{Dialect, VIP, instance};
use crate::{LIMIT, master};
use anyhow::{Result, ensure};
use lab::eventually;
use lab::pair::{Pair, Side, Whose, start};

fn listed(pair: &Pair, what: &str) -> Result<String> {
    pair.side(Side::A).command("ip").args(what).ok()
}

#[test]
fn an_address_that_somebody_removes_comes_back() -> Result<()> {
    let Some(pair) = start()? else { return Ok(()) };
    let a = pair.keepalived(Side::A, Whose::Ours, &instance(Dialect::V3, Side::A, 150, ""))?;
    master(&pair, Side::A, VIP)?;
    for _ in 0..3 {
        pair.side(Side::A).ip("addr del 10.0.1.10/24 dev eth0")?;
        eventually(LIMIT, || pair.only(Side::A, VIP))?;
    }
    ensure!(a.count("Entering MASTER STATE") == 1, "{}", a.log());
    ensure!(a.stop()? == 0);
    ensure!(!pair.has(Side::A, VIP)?);
    Ok(())
}

#[test]
fn routes_rules_and_static_things_come_and_go() -> Result<()> {
    let Some(pair) = start()? else { return Ok(()) };
    pair.side(Side::A)
        .ip_batch("link add dummy0 type veth peer name dummy1\nlink set dummy0 up\nlink set dummy1 up\n")?;
    let statics = "static_ipaddress {\n 192.0.2.1/24 dev dummy0\n}\nstatic_routes {\n 198.51.100.0/24 dev dummy0 metric 7\n}\n\
                   static_rules {\n from 192.0.2.9 table 77 priority 990\n}\n";
    let more = "virtual_ipaddress_excluded {\n fd00:1::99/64\n }\n virtual_routes {\n 203.0.113.0/24 via 10.0.1.100 dev eth0 \
                table 77\n }\n virtual_rules {\n from 10.0.1.10 table 77 priority 991\n }\n promote_secondaries\n";
    let config = format!("{statics}{}", instance(Dialect::V3, Side::A, 150, more));
    let a = pair.keepalived(Side::A, Whose::Ours, &config)?;
    master(&pair, Side::A, VIP)?;
    let has = |what: &str, text: &str| {
        eventually(LIMIT, || {
            let found = listed(&pair, what)?;
            ensure!(found.contains(text), "{text} is missing:\n{found}\n{}", a.log());
            Ok(())
        })
    };
    has("addr show dummy0", "192.0.2.1/24")?;
    has("route show table main", "198.51.100.0/24")?;
    has("rule show", "from 192.0.2.9 lookup 77")?;
    has("addr show eth0", "fd00:1::99/64")?;
    has("route show table 77", "203.0.113.0/24 via 10.0.1.100")?;
    has("rule show", "from 10.0.1.10 lookup 77")?;
    pair.side(Side::A).ip("route del 203.0.113.0/24 table 77")?;
    has("route show table 77", "203.0.113.0/24 via 10.0.1.100")?;
    pair.side(Side::A).ip("rule del priority 991")?;
    has("rule show", "from 10.0.1.10 lookup 77")?;
    ensure!(a.stop()? == 0);
    let left =
        [listed(&pair, "addr show")?, listed(&pair, "route show table all")?, listed(&pair, "rule show")?].concat();
    for text in ["192.0.2.1/24", "198.51.100.0", "fd00:1::99", "203.0.113.0", "lookup 77", "10.0.1.10/"] {
        ensure!(!left.contains(text), "{text} stayed:\n{left}");
    }
    Ok(())
}

#[test]
fn a_macvlan_carries_the_virtual_mac_address() -> Result<()> {
    for (dialect, mac) in [(Dialect::V3, "00:00:5e:00:01:33"), (Dialect::V6, "00:00:5e:00:02:33")] {
        let Some(pair) = start()? else { return Ok(()) };
        let a = pair.keepalived(Side::A, Whose::Ours, &instance(dialect, Side::A, 150, "use_vmac\n"))?;
        let b = pair.keepalived(Side::B, Whose::Ours, &instance(dialect, Side::B, 100, ""))?;
        eventually(LIMIT, || pair.only(Side::A, dialect.vip()))?;
        a.said("(VI_1): Success creating VMAC interface vrrp.51")?;
        eventually(LIMIT, || pair.answers(dialect.vip()))?;
        let adverts =
            pair.client().command("timeout").args("20 tcpdump -i eth0 -n -e -c 3 proto 112 or ip6 proto 112").run()?;
        ensure!(adverts.stdout.lines().count() == 3 && adverts.stdout.matches(mac).count() == 3, "{adverts}");
        ensure!(b.count("Entering MASTER STATE") == 0, "the other did not hear it: {}", b.log());
        ensure!(a.stop()? == 0);
        let links = listed(&pair, "link show")?;
        ensure!(!links.contains("vrrp.51"), "{links}");
        master(&pair, Side::B, dialect.vip())?;
    }
    Ok(())
}

#[test]
fn addresses_stay_when_that_is_wanted_and_are_cleaned_up_by_the_next_run() -> Result<()> {
    let Some(pair) = start()? else { return Ok(()) };
    let config = instance(Dialect::V3, Side::A, 150, "");
    let a = pair.keepalived(Side::A, Whose::Ours, &config)?;
    master(&pair, Side::A, VIP)?;
    a.crash()?;
    ensure!(pair.has(Side::A, VIP)?, "a crash cannot clean up");
    let b = pair.keepalived(Side::B, Whose::Ours, &instance(Dialect::V3, Side::B, 200, ""))?;
    eventually(LIMIT, || b.said("Entering MASTER STATE"))?;
    let _a = pair.keepalived(Side::A, Whose::Ours, &config)?;
    master(&pair, Side::B, VIP)
}
