//! Virtual servers of several addresses and marks, and a table that is in another namespace than the daemon.

use crate::LIMIT;
use crate::service::{Keeper, kill_web, start_web};
use anyhow::{Result, ensure};
use lab::topology::{Topology, VIP};
use lab::{Family, eventually, start};
use std::net::SocketAddr;

const CHECK: &str = "TCP_CHECK {\n connect_timeout 2\n retry 1\n delay_before_retry 1\n }";

fn reals() -> [String; 2] {
    [1, 2].map(|n| Family::V4.server(n).to_string())
}

#[test]
fn a_group_of_a_range_and_a_mark_serves_and_changes_as_one() -> Result<()> {
    let Some(lab) = start(Topology::nat().http())? else { return Ok(()) };
    let [one, two] = reals();
    for number in 20..=22 {
        lab.director().ip(&format!("addr add 10.0.1.{number}/32 dev eth0"))?;
    }
    lab.rvs(&format!("mark add --proto tcp --dst {VIP} --dports 8080 --set 9"))?;
    let text = format!(
        "virtual_server_group WEB {{\n 10.0.1.20-22 80\n fwmark 9\n}}\nvirtual_server group WEB {{\n delay_loop 1\n lvs_sched rr\n \
         lvs_method NAT\n protocol TCP\n real_server {one} 80 {{\n {CHECK}\n }}\n real_server {two} 80 {{\n {CHECK}\n }}\n}}\n"
    );
    let keeper = Keeper::start(&lab, "only", &text, "")?;
    let (rs1, rs2) = (format!("{one}:80 1"), format!("{two}:80 1"));
    let members = ["10.0.1.20:80", "10.0.1.21:80", "10.0.1.22:80", "9"];
    let all = |wanted: &[&str]| members.iter().try_for_each(|at| keeper.has_at(at, wanted));
    all(&[&rs1, &rs2])?;
    let from = |at: SocketAddr| -> Result<Vec<String>> {
        let mut names = [lab.web(at)?, lab.web(at)?];
        names.sort();
        Ok(names.to_vec())
    };
    ensure!(from(SocketAddr::from(([10, 0, 1, 21], 80)))? == ["rs1", "rs2"]);
    ensure!(from(SocketAddr::from((VIP, 8080)))? == ["rs1", "rs2"], "by the mark");

    kill_web(&lab, 1)?;
    all(&[&rs2])?;
    ensure!(keeper.log().matches("Removing service").count() == 1, "told once for all members: {}", keeper.log());
    ensure!(from(SocketAddr::from((VIP, 8080)))? == ["rs2", "rs2"]);
    let drained = keeper.rvs(&format!("drain WEB {two}"))?;
    ensure!(drained.contains("drain"), "{drained}");
    all(&[&format!("{two}:80 0")])?;
    let _web = start_web(&lab, 1)?;
    all(&[&rs1, &format!("{two}:80 0")])?;
    ensure!(keeper.stop()? == 0);
    ensure!(lab.table()?.is_empty());
    Ok(())
}

#[test]
fn the_table_may_be_in_another_namespace_than_the_checks() -> Result<()> {
    let Some(lab) = start(Topology::nat().http().servers(2))? else { return Ok(()) };
    let [one, two] = reals();
    let namespace = lab.director();
    let text = format!(
        "net_namespace_ipvs {}\nvirtual_server {VIP} 80 {{\n delay_loop 1\n lvs_sched rr\n lvs_method NAT\n protocol TCP\n \
         real_server {one} 80 {{\n {CHECK}\n }}\n real_server {two} 80 {{\n {CHECK}\n }}\n}}\n",
        namespace.name()
    );
    // The router reaches the real servers as well.
    let keeper = Keeper::start_in(&lab, &lab.router(), "elsewhere", &text, "")?;
    let (rs1, rs2) = (format!("{one}:80 1"), format!("{two}:80 1"));
    keeper.has(&[&rs1, &rs2])?;
    let at = SocketAddr::from((VIP, 80));
    let mut names = [lab.web(at)?, lab.web(at)?];
    names.sort();
    ensure!(names == ["rs1", "rs2"], "{names:?}");
    // Checks come from the daemon's namespace: the director's way to the server is of no consequence.
    namespace.ip(&format!("route add blackhole {one}/32"))?;
    kill_web(&lab, 2)?;
    keeper.has(&[&rs1])?;
    namespace.ip(&format!("route del blackhole {one}/32"))?;
    ensure!(lab.web(at)? == "rs1");
    let mine = lab.router().command(lab::director::tool("ipvsadm")?).arg("-Ln").ok()?;
    ensure!(mine.lines().count() == 3, "nothing is in the daemon's own namespace: {mine}");
    ensure!(keeper.stop()? == 0);
    eventually(LIMIT, || {
        ensure!(lab.table()?.is_empty(), "left behind");
        Ok(())
    })
}
