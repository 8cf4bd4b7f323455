//! `rvs explain` and `rvs trace`: what they tell is what happens to the requests of a real curl.

use crate::vip;
use anyhow::{Context as _, Result, ensure};
use lab::topology::CLIENT;
use lab::wait::secs;
use lab::{Lab, Method, Topology, eventually, http, start};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::fs;
use std::path::Path;

/// What is explained of a request from this port of the client.
fn explained(lab: &Lab, port: u16, options: &str) -> Result<String> {
    lab.rvs(&format!("explain {CLIENT}:{port} {} {options}", vip(http::PORT)))
}

/// Who answers a request from this port of the client.
fn asked(lab: &Lab, port: u16) -> Result<String> {
    Ok(lab.curl(&format!("--local-port {port} http://{}/", vip(http::PORT)))?.ok()?.trim().to_owned())
}

/// Explains a request and makes it, and the same for one that follows the connection of the first.
fn comes_true(lab: &Lab, port: u16, options: &str, how: &str) -> Result<()> {
    let told = explained(lab, port, options)?;
    let answer = asked(lab, port)?;
    let number = answer.strip_prefix("rs").with_context(|| format!("{answer} answered"))?;
    let last = told.lines().last().context("nothing was told")?;
    ensure!(last.starts_with(&format!("→ 10.0.2.1{number}:80 by {how} (")), "{answer} answered, but: {told}");
    Ok(())
}

fn explains(method: Method, how: &str) -> Result<()> {
    let Some(lab) = start(Topology::of(method).http())? else { return Ok(()) };
    for (n, options) in ["-s rr", "-s wrr", "-s wlc", "-s rr -p 60"].into_iter().enumerate() {
        lab.serve("-t", vip(http::PORT), options, http::PORT, &[1, 2, 1])?;
        for port in 0..4 {
            comes_true(&lab, 20_000 + 100 * n as u16 + port, "", how)?;
        }
        lab.ipvsadm("-C")?;
    }
    let told = explained(&lab, 29_999, "")?;
    assert!(told.contains("there is no service TCP 10.0.1.10:80\n"), "{told}");
    assert!(told.ends_with("→ passed: no_service: Of no connection and for no virtual service.\n"), "{told}");
    Ok(())
}

#[test]
fn nat_requests_go_where_it_was_told() -> Result<()> {
    explains(Method::Nat, "NAT")
}

#[test]
fn dr_requests_go_where_it_was_told() -> Result<()> {
    explains(Method::Dr, "direct routing")
}

#[test]
fn tun_requests_go_where_it_was_told() -> Result<()> {
    explains(Method::Tun, "tunnel")
}

/// Marks that somebody else sets: the explanation is told the mark, the packet brings it.
#[test]
fn marked_requests_go_where_it_was_told() -> Result<()> {
    let Some(lab) = start(Topology::nat().http())? else { return Ok(()) };
    lab.restore(
        "-A -f 10 -s rr\n-a -f 10 -r 10.0.2.11:80 -m\n-a -f 10 -r 10.0.2.12:80 -m\n-a -f 10 -r 10.0.2.13:80 -m\n",
    )?;
    let rule = format!("-t mangle -A PREROUTING -d {} -p tcp --dport 80 -j MARK --set-mark 10", vip(80).ip());
    lab.director().command("iptables").args(&rule).ok()?;
    for port in 21_000..21_004 {
        comes_true(&lab, port, "--mark 10", "NAT")?;
    }
    let told = explained(&lab, 21_009, "")?;
    assert!(told.ends_with("→ passed: no_service: Of no connection and for no virtual service.\n"), "{told}");
    Ok(())
}

#[test]
fn an_explanation_as_json() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(1).http())? else { return Ok(()) };
    let refused = lab.tool("rvs")?.args("explain 10.0.1.100 10.0.1.10:80").run()?;
    assert_eq!(refused.status, 1, "{refused}");
    assert!(refused.stderr.contains("there is no director"), "{refused}");
    lab.serve("-t", vip(http::PORT), "-s rr", http::PORT, &[1])?;
    let told = lab.rvs_json("explain 10.0.1.100 10.0.1.10 --json")?;
    assert_eq!(told["outcome"], "forwarded", "{told}");
    assert_eq!(told["reason"], "nat_in");
    assert_eq!(told["destination"]["address"], "10.0.2.11:80");
    let steps: Vec<_> = told["steps"].as_array().context("no steps")?.iter().map(|step| &step["step"]).collect();
    assert_eq!(steps, ["no_connection", "service", "schedule", "new_connection", "way"]);
    Ok(())
}

/// The events in a log, the last of which may still be on its way.
fn events(log: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(log)?;
    let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    lines.map(|line| serde_json::from_str(line).with_context(|| format!("not an event: {line}"))).collect()
}

/// Makes requests until one is told of.
fn listens(lab: &Lab, log: &Path) -> Result<()> {
    eventually(secs(20), || {
        lab.web(vip(http::PORT))?;
        ensure!(fs::metadata(log)?.len() > 0, "nothing is told");
        Ok(())
    })
}

#[test]
fn packets_of_a_request_are_told_of_as_they_are_counted() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(1).http())? else { return Ok(()) };
    lab.serve("-t", vip(http::PORT), "-s rr", http::PORT, &[1])?;
    let log = lab.dir().join("trace");
    let trace = lab.tool("rvs")?.args("trace --json --filter").arg("service 10.0.1.10:80").serve(&log)?;
    listens(&lab, &log)?;
    // All of the requests before have ended: what is counted and told from now on is the next request's.
    let quiet = || {
        eventually(secs(10), || {
            let (reasons, told) = (lab.reasons()?, events(&log)?.len());
            ensure!(lab.reasons()? == reasons && events(&log)?.len() == told, "packets keep coming");
            Ok((reasons, told))
        })
    };
    let (before, told) = quiet()?;
    asked(&lab, 22_000)?;
    eventually(secs(10), || {
        let (after, all) = (lab.reasons()?, events(&log)?);
        let new = &all[told.min(all.len())..];
        for (reason, from, to) in
            [("nat_in", "10.0.1.100:22000", "10.0.1.10:80"), ("nat_out", "10.0.2.11:80", "10.0.1.100:22000")]
        {
            let counted = after[reason] - before[reason];
            let these =
                new.iter().filter(|event| event["reason"] == reason && event["from"] == from && event["to"] == to);
            ensure!(counted >= 4 && these.count() as u64 == counted, "{counted} of {reason}: {new:?}");
        }
        let via = new.iter().find_map(|event| event["via"].as_str());
        ensure!(via == Some("10.0.2.11:80") && new.iter().any(|event| event["as"] == "10.0.1.10:80"), "{new:?}");
        Ok(())
    })?;
    // Ctrl-C ends it well, and the next may listen at once; that one is killed.
    assert_eq!(trace.stop(Signal::SIGINT)?, 0);
    let second = lab.dir().join("second");
    let killed = lab.tool("rvs")?.args("trace --json").serve(&second)?;
    listens(&lab, &second)?;
    killed.stop(Signal::SIGKILL)?;
    let third =
        lab.tool("rvs")?.args("trace --seconds 60 --count 3 --filter").arg("reason nat_in and port 80").begin()?;
    let ended = std::thread::scope(|scope| -> Result<String> {
        let requests = scope.spawn(|| (0..40).try_for_each(|_| lab.web(vip(http::PORT)).map(drop)));
        let text = third.wait()?.ok();
        requests.join().map_err(|_| anyhow::anyhow!("the requests failed"))??;
        text
    })?;
    assert_eq!(ended.lines().count(), 3, "{ended}");
    for line in ended.lines() {
        assert!(
            line.contains(" tc nat_in TCP 10.0.1.100:") && line.contains(" > 10.0.1.10:80 via 10.0.2.11:80 len "),
            "{line}"
        );
    }
    Ok(())
}
