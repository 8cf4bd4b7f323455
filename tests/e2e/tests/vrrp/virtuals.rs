//! Virtual interfaces of every kind, static things that instances go by, and what is left alone.

use crate::LIMIT;
use crate::config::{Dialect, VIP, instance};
use anyhow::{Result, ensure};
use lab::eventually;
use lab::pair::{Daemon, Pair, Side, Whose, start};

fn shown(pair: &Pair, what: &str) -> Result<String> {
    pair.side(Side::A).command("ip").args(what).ok()
}

fn setting(pair: &Pair, path: &str) -> Result<String> {
    Ok(pair.side(Side::A).enter(|| std::fs::read_to_string(format!("/proc/sys/net/{path}")))??.trim().to_owned())
}

/// Two more interfaces for the first director, joined with each other.
fn more_interfaces(pair: &Pair) -> Result<()> {
    pair.side(Side::A).ip_batch("link add dummy0 type veth peer name dummy1\nlink set dummy0 up\nlink set dummy1 up\n")
}

fn leads(pair: &Pair, a: &Daemon, lines: &[(&str, &str)]) -> Result<()> {
    eventually(LIMIT, || {
        a.said("Entering MASTER STATE")?;
        let listed = shown(pair, "-o addr show")?;
        for (device, address) in lines {
            let there = listed.lines().any(|line| line.contains(&format!(" {device} ")) && line.contains(address));
            ensure!(there, "{address} is not on {device}:\n{listed}\n{}", a.log());
        }
        Ok(())
    })
}

#[test]
fn addresses_elsewhere_have_macvlans_of_their_own() -> Result<()> {
    let Some(pair) = start()? else { return Ok(()) };
    more_interfaces(&pair)?;
    let more = "use_vmac\n use_vmac_addr\n vmac_xmit_base\n virtual_ipaddress_excluded {\n 192.0.2.9/24 dev dummy0\n \
                2001:db8::9/64 dev dummy1\n }\n";
    let a = pair.keepalived(Side::A, Whose::Ours, &instance(Dialect::V3, Side::A, 150, more))?;
    leads(&pair, &a, &[("vrrp.51", "10.0.1.10/24"), ("vrrp1.51", "192.0.2.9/24"), ("vrrp6.51", "2001:db8::9/64")])?;
    eventually(LIMIT, || pair.answers(VIP))?;
    let links = shown(&pair, "link show")?;
    for line in ["vrrp.51@eth0", "vrrp1.51@dummy0", "vrrp6.51@dummy1", "00:00:5e:00:01:33", "00:00:5e:00:02:33"] {
        ensure!(links.contains(line), "{line} is missing:\n{links}");
    }
    // Adverts leave by the interface below.
    let adverts = pair.client().command("timeout").args("20 tcpdump -i eth0 -n -e -c 3 proto 112").run()?;
    ensure!(adverts.stdout.matches("02:00:00:00:01:01 >").count() == 3, "{adverts}");
    // What somebody removes comes back with all that was on it.
    pair.side(Side::A).ip("link del vrrp1.51")?;
    leads(&pair, &a, &[("vrrp1.51", "192.0.2.9/24")])?;
    ensure!(
        setting(&pair, "ipv4/conf/dummy0/arp_ignore")? == "1" && a.count("Entering FAULT STATE") == 0,
        "{}",
        a.log()
    );
    ensure!(a.stop()? == 0);
    ensure!(!shown(&pair, "link show")?.contains("vrrp"), "{}", shown(&pair, "link show")?);
    ensure!(setting(&pair, "ipv4/conf/dummy0/arp_ignore")? == "0");
    Ok(())
}

#[test]
fn who_cannot_have_its_virtual_interface_is_in_fault_until_it_can() -> Result<()> {
    let Some(pair) = start()? else { return Ok(()) };
    // Something else has the name.
    pair.side(Side::A).ip("link add vrrp.51 type bridge")?;
    let a = pair.keepalived(Side::A, Whose::Ours, &instance(Dialect::V3, Side::A, 150, "use_vmac\n"))?;
    eventually(LIMIT, || a.said("(VI_1) entering FAULT state (interface vrrp.51 missing)"))?;
    a.said("(VI_1): Error creating VMAC interface vrrp.51: creating interface vrrp.51: File exists")?;
    pair.side(Side::A).ip("link del vrrp.51")?;
    leads(&pair, &a, &[("vrrp.51", "10.0.1.10/24")])
}

#[test]
fn an_ipvlan_carries_the_addresses_where_the_kernel_has_it() -> Result<()> {
    let Some(pair) = start()? else { return Ok(()) };
    let more = "use_ipvlan ipv51 10.0.1.51\n";
    let a = pair.keepalived(Side::A, Whose::Ours, &instance(Dialect::V3, Side::A, 150, more))?;
    if pair.side(Side::A).ip("link add probe link eth0 type ipvlan mode l2").is_err() {
        eventually(LIMIT, || a.said("entering FAULT state (interface ipv51 missing)"))?;
        ensure!(a.count("Entering MASTER STATE") == 0, "{}", a.log());
        return Ok(());
    }
    pair.side(Side::A).ip("link del probe")?;
    leads(&pair, &a, &[("ipv51", "10.0.1.10/24")])?;
    eventually(LIMIT, || pair.answers(VIP))
}

#[test]
fn a_virtual_interface_joins_what_is_named_as_its_vrf() -> Result<()> {
    let Some(pair) = start()? else { return Ok(()) };
    // A bridge takes members as a VRF does, which not every kernel has.
    let side = pair.side(Side::A);
    let vrf = side.ip("link add blue type vrf table 77").is_ok();
    if !vrf {
        side.ip("link add blue type bridge")?;
    }
    side.ip("link set blue up")?;
    let a = pair.keepalived(Side::A, Whose::Ours, &instance(Dialect::V3, Side::A, 150, "use_vmac\n vrf blue\n"))?;
    leads(&pair, &a, &[("vrrp.51", "10.0.1.10/24")])?;
    let link = shown(&pair, "link show vrrp.51")?;
    ensure!(link.contains("master blue"), "{link}");
    Ok(())
}

#[test]
fn static_things_matter_to_their_group_and_some_are_not_put_back() -> Result<()> {
    let Some(pair) = start()? else { return Ok(()) };
    let statics = "track_group T {\n group {\n VI_1\n }\n}\nstatic_ipaddress {\n 192.0.2.1/24 dev later track_group T\n}\n\
                   global_defs {\n disable_local_igmp\n}\n";
    let more = "virtual_ipaddress_excluded {\n 10.0.1.77/24 no_track\n 10.0.1.78/24\n }\n";
    let igmp = "ipv4/igmp_link_local_mcast_reports";
    let before = setting(&pair, igmp)?;
    let config = format!("{statics}{}", instance(Dialect::V3, Side::A, 150, more));
    let a = pair.keepalived(Side::A, Whose::Ours, &config)?;
    eventually(LIMIT, || a.said("(VI_1) entering FAULT state (192.0.2.1/24"))?;
    ensure!(a.count("Entering MASTER STATE") == 0 && setting(&pair, igmp)? == "0");
    pair.side(Side::A).ip_batch("link add later type veth peer name other\nlink set later up\nlink set other up\n")?;
    leads(&pair, &a, &[("later", "192.0.2.1/24"), ("eth0", "10.0.1.77/24"), ("eth0", "10.0.1.78/24")])?;
    pair.side(Side::A).ip_batch("addr del 10.0.1.77/24 dev eth0\naddr del 10.0.1.78/24 dev eth0\n")?;
    leads(&pair, &a, &[("eth0", "10.0.1.78/24")])?;
    ensure!(!pair.has(Side::A, "10.0.1.77")?, "it is not to be put back");
    ensure!(a.stop()? == 0);
    ensure!(setting(&pair, igmp)? == before && !shown(&pair, "addr show")?.contains("10.0.1.7"));
    Ok(())
}
