//! From start to stop: servers come and go, the sorry server steps in, reload, restart, administrators, other hands.

use crate::LIMIT;
use crate::service::{Keeper, config, kill_web, start_web};
use anyhow::{Result, ensure};
use lab::start;
use lab::topology::{Topology, VIP};
use lab::{Family, eventually};
use std::net::SocketAddr;

/// The real servers' addresses, as text.
fn reals() -> Vec<String> {
    (1..=3).map(|n| Family::V4.server(n).to_string()).collect()
}

#[test]
fn servers_die_and_come_back_and_the_sorry_server_steps_in() -> Result<()> {
    let Some(lab) = start(Topology::nat().http())? else { return Ok(()) };
    let reals = reals();
    let [one, two, three] = [&reals[0], &reals[1], &reals[2]];
    let (rs1, rs2, sorry) = (format!("{one}:80 1"), format!("{two}:80 1"), format!("{three}:80 1"));
    let text = config(&format!("lvs_sched rr\nsorry_server {three} 80\n"), &[one, two]);
    let vs = format!("[{VIP}]:tcp:80");
    let keeper = Keeper::start(&lab, "first", &text, "")?;
    keeper.has(&[&rs1, &rs2])?;
    // A server that fails its very first check is not tried again.
    eventually(LIMIT, || {
        reals[..2].iter().try_for_each(|real| keeper.said(&format!("TCP connection to [{real}]:tcp:80 success.")))
    })?;
    let at = SocketAddr::from((VIP, 80));
    let mut answers: Vec<String> = (0..4).map(|_| lab.web(at)).collect::<Result<_>>()?;
    answers.sort();
    answers.dedup();
    ensure!(answers.len() == 2, "both real servers answer: {answers:?}");

    kill_web(&lab, 1)?;
    keeper.has(&[&rs2])?;
    kill_web(&lab, 2)?;
    keeper.has(&[&sorry])?;
    ensure!(lab.web(at)?.contains("rs3"), "the sorry server answers");
    let web = start_web(&lab, 1)?;
    keeper.has(&[&rs1])?;
    let rs = |real: &str| format!("[{real}]:tcp:80");
    keeper.said_in_order(&[
        &format!("Gained quorum 1+0=1 <= 2 for VS {vs}"),
        &format!("Activating healthchecker for service {} for VS {vs}", rs(one)),
        &format!("TCP_CHECK on service {} failed after 1 retries.", rs(one)),
        &format!("Removing service {} from VS {vs}", rs(one)),
        &format!("Removing service {} from VS {vs}", rs(two)),
        &format!("Lost quorum 1-0=1 > 0 for VS {vs}"),
        &format!("Adding sorry server {} to VS {vs}", rs(three)),
        &format!("Removing alive servers from the pool for VS {vs}"),
        &format!("TCP connection to {} success.", rs(one)),
        &format!("Adding service {} to VS {vs}", rs(one)),
        &format!("Gained quorum 1+0=1 <= 1 for VS {vs}"),
        &format!("Removing sorry server {} from VS {vs}", rs(three)),
    ])?;

    // Another scheduler and another real server, and none of it makes the check of the first begin anew.
    keeper.reload(&config(&format!("lvs_sched wrr\nsorry_server {three} 80\n"), &[one, three]))?;
    keeper.has(&[&rs1, &sorry])?;
    ensure!(lab.table()?[0].sched == "wrr");
    // A file with errors changes nothing.
    keeper.reload("virtual_server 1.2.3.4 80 {\n nonsense\n}\n")?;
    eventually(LIMIT, || keeper.said("everything goes on as before"))?;
    keeper.has(&[&rs1, &sorry])?;
    ensure!(keeper.stop()? == 0);
    ensure!(lab.table()?.is_empty(), "nothing is left behind");
    drop(web);
    Ok(())
}

#[test]
fn a_restart_takes_over_and_other_hands_are_corrected() -> Result<()> {
    let Some(lab) = start(Topology::nat().http())? else { return Ok(()) };
    let reals = reals();
    let (one, two) = (reals[0].as_str(), reals[1].as_str());
    let (rs1, rs2) = (format!("{one}:80 1"), format!("{two}:80 1"));
    let text = config("lvs_sched rr\n", &[one, two]);
    let at = SocketAddr::from((VIP, 80));
    lab.ipvsadm("-A -t 10.0.1.99:99 -s rr")?;
    let keeper = Keeper::start(&lab, "first", &text, "")?;
    keeper.has(&[&rs1, &rs2])?;
    let drained = keeper.rvs(&format!("drain {VIP}:80 {one} --wait --timeout 30 --why upgrade"))?;
    ensure!(drained.contains("drain; health up; 0 active"), "{drained}");
    let quiet = format!("{one}:80 0");
    keeper.has(&[&quiet, &rs2])?;
    lab.web(at)?;
    let conns = || -> Result<u64> {
        let table = lab.table()?;
        let all = table.iter().flat_map(|service| &service.dests);
        Ok(all.map(|dest| dest.active + dest.inactive).sum())
    };
    let before = conns()?;
    ensure!(before > 0, "the connection is remembered");

    keeper.crash()?;
    let keeper = Keeper::start(&lab, "second", &text, "")?;
    keeper.has(&[&quiet, &rs2])?;
    ensure!(conns()? >= before, "connections stay");
    ensure!(keeper.said("Gained quorum").is_err(), "nothing is told again:\n{}", keeper.log());
    let shown = keeper.rvs("check")?;
    ensure!(shown.contains("drain (upgrade)") && shown.contains("quorum up"), "{shown}");

    lab.ipvsadm("-D -t 10.0.1.99:99")?;
    lab.ipvsadm("-C")?;
    keeper.has(&[&quiet, &rs2])?;
    keeper.rvs(&format!("ready {VIP}:80 {one}"))?;
    keeper.has(&[&rs1, &rs2])?;
    let data = keeper.rvs("check --json")?;
    ensure!(data.contains("\"health\"") && data.contains("\"last_run_seconds_ago\""), "{data}");

    // Left behind when that is wanted, and taken over again.
    ensure!(keeper.stop()? == 0);
    ensure!(lab.table()?.is_empty());
    let keeper = Keeper::start(&lab, "third", &text, "-I")?;
    keeper.has(&[&rs1, &rs2])?;
    ensure!(keeper.stop()? == 0);
    ensure!(lab.table()?.len() == 1, "it stays");
    let keeper = Keeper::start(&lab, "fourth", &text, "")?;
    keeper.has(&[&rs1, &rs2])?;
    ensure!(keeper.stop()? == 0);
    ensure!(lab.table()?.is_empty());
    Ok(())
}
