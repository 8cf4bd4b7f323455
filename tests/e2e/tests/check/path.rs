//! Health with the packet path's help: checks that go by the virtual service, and real servers that leave clients without an
//! answer though their check is content.

use crate::LIMIT;
use crate::service::{Keeper, kill_web, start_web};
use anyhow::{Result, ensure};
use lab::echo::PORT;
use lab::topology::{Topology, VIP, server};
use lab::wait::secs;
use lab::{Family, Lab, eventually, start};
use std::net::SocketAddr;

/// Real servers of direct routing whose web servers answer for the virtual address only.
#[test]
fn a_check_by_the_virtual_service_meets_real_servers_as_clients_do() -> Result<()> {
    let Some(lab) = start(Topology::dr().http())? else { return Ok(()) };
    for n in [1, 2] {
        let own = Family::V4.server(n);
        let rule = format!("-A INPUT -d {own} -p tcp --dport 80 -j REJECT --reject-with tcp-reset");
        lab.server(n).command("iptables").args(&rule).ok()?;
    }
    let (one, two) = (server(1), server(2));
    let pace = "connect_timeout 2\n retry 1\n delay_before_retry 1\n check_via_vip";
    let text = format!(
        "virtual_server {VIP} 80 {{\n delay_loop 1\n protocol TCP\n lvs_sched rr\n lvs_method DR\n alpha\n real_server {one} 80 {{\n \
         TCP_CHECK {{\n {pace}\n }}\n }}\n real_server {two} 80 {{\n HTTP_GET {{\n url {{\n path /\n status_code 200\n }}\n {pace}\n \
         }}\n }}\n}}\n"
    );
    let keeper = Keeper::start(&lab, "via", &text, "")?;
    let (rs1, rs2) = (format!("{one}:80 1"), format!("{two}:80 1"));
    keeper.has(&[&rs1, &rs2])?;
    ensure!(lab.web(SocketAddr::from((VIP, 80)))?.contains("rs"), "clients are served");

    kill_web(&lab, 1)?;
    keeper.has(&[&rs2])?;
    let _web = start_web(&lab, 1)?;
    keeper.has(&[&rs1, &rs2])?;
    // By their own addresses they would not be up.
    keeper.reload(&text.replace("check_via_vip", ""))?;
    keeper.has(&[])?;
    keeper.reload(&text)?;
    keeper.has(&[&rs1, &rs2])?;
    ensure!(keeper.stop()? == 0);
    Ok(())
}

/// Some clients ask; nobody waits for those who get nothing.
fn clients_ask(lab: &Lab) -> Result<()> {
    for _ in 0..6 {
        lab.client().command("curl").args(&format!("-s -o /dev/null --max-time 0.5 http://{VIP}/")).run()?;
    }
    Ok(())
}

#[test]
fn a_real_server_that_refuses_clients_leaves_for_a_while_though_its_check_is_content() -> Result<()> {
    let Some(lab) = start(Topology::nat().http())? else { return Ok(()) };
    let (one, two) = (server(1), server(2));
    let check = format!("TCP_CHECK {{\n connect_port {PORT}\n connect_timeout 2\n }}");
    let text = format!(
        "virtual_server {VIP} 80 {{\n delay_loop 1\n protocol TCP\n lvs_sched rr\n lvs_method NAT\n outlier_ejection {{\n \
         consecutive_failures 2\n base_ejection_time 5\n max_ejection_time 60\n }}\n real_server {one} 80 {{\n {check}\n }}\n \
         real_server {two} 80 {{\n {check}\n }}\n}}\n"
    );
    let keeper = Keeper::start(&lab, "outlier", &text, "")?;
    let (rs1, rs2, away) = (format!("{one}:80 1"), format!("{two}:80 1"), format!("{one}:80 0"));
    keeper.has(&[&rs1, &rs2])?;
    // Two looks: what has been before the first says nothing.
    clients_ask(&lab)?;
    let rule = "INPUT -p tcp --dport 80 -j REJECT --reject-with tcp-reset";
    lab.server(1).command("iptables").args(&format!("-A {rule}")).ok()?;
    let ejected = |keeper: &Keeper<'_>| {
        eventually(LIMIT, || {
            clients_ask(&lab)?;
            let dests = keeper.dests(&format!("{VIP}:80"))?;
            ensure!(dests == [away.as_str(), rs2.as_str()], "there are {dests:?}\n{}", keeper.log());
            Ok(())
        })
    };
    ejected(&keeper)?;
    keeper.said(&format!("Ejecting service [{one}]:tcp:80 of VS [{VIP}]:tcp:80 for 5 s after"))?;
    ensure!(keeper.rvs("check")?.contains("ready, ejected for"), "the table tells of it");
    keeper.has(&[&rs1, &rs2])?;
    // It has not mended its ways: twice as long.
    ejected(&keeper)?;
    keeper.said(&format!("Ejecting service [{one}]:tcp:80 of VS [{VIP}]:tcp:80 for 10 s after"))?;
    lab.server(1).command("iptables").args(&format!("-D {rule}")).ok()?;
    keeper.has(&[&rs1, &rs2])?;
    ensure!(keeper.stop()? == 0);
    Ok(())
}

#[test]
fn a_real_server_that_swallows_what_clients_send_leaves_for_a_while() -> Result<()> {
    let Some(lab) = start(Topology::nat().http())? else { return Ok(()) };
    let (one, two) = (server(1), server(2));
    let check = format!("TCP_CHECK {{\n connect_port {PORT}\n connect_timeout 2\n }}");
    let text = format!(
        "virtual_server {VIP} 80 {{\n delay_loop 1\n protocol TCP\n lvs_sched rr\n lvs_method NAT\n outlier_ejection {{\n \
         consecutive_failures 3\n base_ejection_time 4\n }}\n real_server {one} 80 {{\n {check}\n }}\n real_server {two} 80 {{\n \
         {check}\n }}\n}}\n"
    );
    let keeper = Keeper::start(&lab, "swallow", &text, "")?;
    let (rs1, rs2, away) = (format!("{one}:80 1"), format!("{two}:80 1"), format!("{one}:80 0"));
    keeper.has(&[&rs1, &rs2])?;
    lab.server(1).command("iptables").args("-A INPUT -p tcp --dport 80 -j DROP").ok()?;
    clients_ask(&lab)?;
    clients_ask(&lab)?;
    // A SYN without an answer is one only when its connection is given up, a minute later.
    eventually(secs(120), || {
        let dests = keeper.dests(&format!("{VIP}:80"))?;
        ensure!(dests == [away.as_str(), rs2.as_str()], "there are {dests:?}\n{}", keeper.log());
        Ok(())
    })?;
    keeper.has(&[&rs1, &rs2])?;
    ensure!(keeper.stop()? == 0);
    Ok(())
}
