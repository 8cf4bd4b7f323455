//! `rvs status` and `rvs stats`: what they tell agrees with what happened.

use crate::vip;
use anyhow::{Context as _, Result, ensure};
use lab::topology::VIP;
use lab::wait::secs;
use lab::{Lab, Method, Topology, echo, eventually, start};
use serde_json::Value;
use std::collections::BTreeMap;

/// How much each reason has grown; those that have not are left out.
fn growth(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let grown = after.iter().map(|(name, count)| (name.clone(), count - before.get(name).unwrap_or(&0)));
    grown.filter(|(_, more)| *more > 0).collect()
}

/// Every packet is counted under exactly one reason, and that is the right one.
fn counted(method: Method, reason: &str) -> Result<()> {
    let Some(lab) = start(Topology::of(method).servers(1))? else { return Ok(()) };
    lab.serve("-u", vip(echo::PORT), "-s rr", echo::PORT, &[1])?;
    lab.warm()?;
    lab.ask(vip(echo::PORT))?;
    let before = lab.reasons()?;
    for _ in 0..50 {
        lab.ask(vip(echo::PORT))?;
    }
    eventually(secs(3), || {
        let mut grown = growth(&before, &lab.reasons()?);
        ensure!(grown.remove(reason) == Some(50), "{grown:?} beside {reason}");
        let back = grown.remove("nat_out");
        ensure!(back == (method == Method::Nat).then_some(50), "{back:?} answers");
        // Hosts talk among themselves: ARP, and multicast of IPv6.
        grown.retain(|name, _| !matches!(name.as_str(), "not_ip" | "not_balanced" | "not_for_us"));
        ensure!(grown.is_empty(), "{grown:?}");
        Ok(())
    })
}

#[test]
fn nat_packets_are_counted_by_reason() -> Result<()> {
    counted(Method::Nat, "nat_in")
}

#[test]
fn dr_packets_are_counted_by_reason() -> Result<()> {
    counted(Method::Dr, "dr")
}

#[test]
fn tun_packets_are_counted_by_reason() -> Result<()> {
    counted(Method::Tun, "tun")
}

/// Packets that the director's interfaces have received, as the kernel counts them.
fn received(lab: &Lab) -> Result<u64> {
    let links: Value = serde_json::from_str(&lab.director().command("ip").args("-json -statistics link show").ok()?)?;
    let links = links.as_array().context("ip lists no links")?;
    let ethernet = links.iter().filter(|link| link["ifname"].as_str().is_some_and(|name| name.starts_with("eth")));
    ethernet.map(|link| link.pointer("/stats64/rx/packets").and_then(Value::as_u64).context("no counter")).sum()
}

/// The counters of all reasons together are the packets that came in.
#[test]
fn every_packet_has_one_reason() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(1))? else { return Ok(()) };
    lab.serve("-t", vip(echo::PORT), "-s rr", echo::PORT, &[1])?;
    lab.serve("-u", vip(echo::PORT), "-s rr", echo::PORT, &[1])?;
    // Both counters as of one moment: nothing came in between the two looks at the interfaces.
    let moment = || {
        eventually(secs(5), || {
            let before = received(&lab)?;
            let counted: u64 = lab.reasons()?.values().sum();
            ensure!(received(&lab)? == before, "packets keep coming");
            Ok((before, counted))
        })
    };
    let begin = moment()?;
    for _ in 0..20 {
        lab.greet(vip(echo::PORT))?.bye()?;
        lab.ask(vip(echo::PORT))?;
        lab.ping(&lab.client(), VIP)?;
    }
    let end = moment()?;
    assert!(end.0 >= begin.0 + 20 * 8);
    assert_eq!(end.1 - begin.1, end.0 - begin.0, "counted and received");
    Ok(())
}

#[test]
fn refusals_are_counted_by_reason() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(1))? else { return Ok(()) };
    lab.ipvsadm(&format!("-A -u {} -s rr", vip(echo::PORT)))?;
    lab.warm()?;
    let before = lab.reasons()?;
    for _ in 0..5 {
        assert!(lab.ask(vip(echo::PORT)).is_err());
    }
    eventually(secs(3), || {
        let grown = growth(&before, &lab.reasons()?);
        ensure!(grown.get("no_destination") == Some(&5), "{grown:?}");
        Ok(())
    })
}

#[test]
fn status_tells_what_is_attached_where() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(1))? else { return Ok(()) };
    lab.serve("-t", vip(echo::PORT), "-s rr", echo::PORT, &[1])?;
    lab.greet(vip(echo::PORT))?;
    let text = lab.rvs("status")?;
    for interface in ["eth0", "eth1"] {
        let line =
            text.lines().find(|line| line.contains(interface)).with_context(|| format!("no {interface}: {text}"))?;
        // A veth carries unfinished checksums, so that tc is the correct hook.
        assert!(line.contains("tc"), "{line}");
    }
    let json = lab.rvs_json("status --json")?;
    assert!(json.is_object(), "{json}");
    assert!(lab.rvs("stats")?.contains("nat_in"));
    Ok(())
}

/// `rvs status --watch` tells what happened since the page before.
#[test]
fn a_watched_status_counts_what_happens_in_between() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(1))? else { return Ok(()) };
    lab.serve("-u", vip(echo::PORT), "-s rr", echo::PORT, &[1])?;
    lab.ask(vip(echo::PORT))?;
    let lines = std::thread::scope(|scope| {
        let watch = scope.spawn(|| lab.rvs("--json status --watch=0.3 --count 4"));
        while !watch.is_finished() {
            lab.ask(vip(echo::PORT))?;
        }
        watch.join().expect("the watcher does not panic")
    })?;
    let pages = lines.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    assert_eq!(pages.len(), 4);
    assert!(pages[0].get("interval").is_none(), "nothing came before the first: {}", pages[0]);
    let packets = |value: Option<&Value>| value.and_then(Value::as_u64).context("no number");
    let mut between = 0;
    for page in &pages[1..] {
        let seconds = page.pointer("/interval/seconds").and_then(Value::as_f64).context("no seconds")?;
        assert!(seconds >= 0.3, "{page}");
        between += packets(page.pointer("/interval/reasons/nat_in"))?;
    }
    assert!(between > 0, "{lines}");
    let grown = packets(pages[3].pointer("/reasons/nat_in"))? - packets(pages[0].pointer("/reasons/nat_in"))?;
    assert_eq!(between, grown, "{lines}");
    let text = lab.rvs("status --watch=0.1 --count 2")?;
    assert_eq!(text.lines().filter(|line| line.starts_with("Director of ")).count(), 2, "{text}");
    assert!(text.contains("\nLast  0."), "{text}");
    let refused = lab.tool("rvs")?.args("status --watch=0").run()?;
    assert!(refused.status == 2 && refused.stderr.contains("0.1 to 86400 seconds"), "{refused}");
    Ok(())
}
