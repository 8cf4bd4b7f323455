//! A real server that an administrator takes out of service is not a dead one: its connections go on, also when it was the last.

use crate::service::Keeper;
use anyhow::{Result, ensure};
use lab::topology::{Topology, VIP};
use lab::wait::secs;
use lab::{Family, echo, start};
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::time::Instant;

#[test]
fn draining_the_last_one_leaves_its_connections_and_sends_new_ones_to_the_sorry_server() -> Result<()> {
    let Some(lab) = start(Topology::nat())? else { return Ok(()) };
    let port = echo::PORT;
    let [one, sorry] = [1, 3].map(|n| Family::V4.server(n).to_string());
    let text = format!(
        "virtual_server {VIP} {port} {{\ndelay_loop 1\nprotocol TCP\nlvs_sched rr\nlvs_method NAT\nsorry_server {sorry} {port}\n\
         real_server {one} {port} {{\n TCP_CHECK {{\n connect_timeout 2\n }}\n}}\n}}\n"
    );
    let (at, service) = (SocketAddr::from((VIP, port)), format!("{VIP}:{port}"));
    let (serves, drains, stands_in) =
        (format!("{one}:{port} 1"), format!("{one}:{port} 0"), format!("{sorry}:{port} 1"));
    let keeper = Keeper::start(&lab, "first", &text, "")?;
    keeper.has_at(&service, &[&serves])?;
    let old = lab.greet(at)?;
    ensure!(old.name == "rs1");

    let outcome = keeper.try_rvs(&format!("drain {service} {one} --wait --timeout 1 --why kernel"))?;
    ensure!(outcome.status == 1 && outcome.stdout.contains("1 active"), "a connection is left: {outcome}");
    keeper.has_at(&service, &[&drains, &stands_in])?;
    ensure!(lab.greet(at)?.bye()? == "rs3", "new connections find the sorry server");

    // The decision outlives the daemon, and the connection does too.
    keeper.crash()?;
    let keeper = Keeper::start(&lab, "second", &text, "")?;
    keeper.has_at(&service, &[&drains, &stands_in])?;
    let mut stream = old.stream;
    stream.write_all(b"still there")?;
    let mut back = [0; 11];
    stream.read_exact(&mut back)?;
    ensure!(back == *b"still there", "the old connection goes on");
    // Ended in order it is in the table for two minutes more, and nobody waits for that.
    drop(stream);
    let began = Instant::now();
    let left = keeper.rvs(&format!("drain {service} {one} --wait --timeout 100"))?;
    ensure!(left.contains("0 active and 1 inactive connections (1 of them over)"), "{left}");
    ensure!(began.elapsed() < secs(60), "it has waited for what is over");
    keeper.rvs(&format!("ready {service} {one}"))?;
    keeper.has_at(&service, &[&serves])?;
    ensure!(lab.greet(at)?.bye()? == "rs1");

    // Maintenance takes it out of the table.
    keeper.rvs(&format!("maint {service} {one}"))?;
    keeper.has_at(&service, &[&stands_in])?;
    ensure!(keeper.stop()? == 0);
    ensure!(lab.table()?.is_empty());
    Ok(())
}
