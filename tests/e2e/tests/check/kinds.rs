//! Checks of other kinds drive the table: each kind has a virtual server of its own in one configuration, whose real server
//! gets into trouble and out of it.

use crate::LIMIT;
use crate::service::{Keeper, kill_web, script, start_web};
use anyhow::{Context as _, Result, ensure};
use lab::topology::{Topology, VIP};
use lab::{Family, Lab, Netns, Running, echo, eventually, start};
use nix::sys::signal::Signal;
use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;

/// A virtual server on this port of the virtual address with one real server and this check.
fn server(port: u16, real: &str, weight: u32, check: &str) -> String {
    format!(
        "virtual_server {VIP} {port} {{\n delay_loop 1\n lvs_sched wlc\n lvs_method NAT\n protocol TCP\n real_server {real} {port} {{\n \
         weight {weight}\n {check}\n }}\n}}\n"
    )
}

/// Waits until a virtual server has its real server with this weight; `None`: not at all.
fn weighs(keeper: &Keeper<'_>, port: u16, real: &str, weight: Option<u32>) -> Result<()> {
    let dest = weight.map(|weight| format!("{real}:{port} {weight}"));
    keeper.has_at(&format!("{VIP}:{port}"), &dest.iter().map(String::as_str).collect::<Vec<_>>())
}

fn one() -> String {
    Family::V4.server(1).to_string()
}

const PACE: &str = "connect_timeout 1\n retry 1\n delay_before_retry 1";

/// A name server in a real server's namespace.
fn name_server(lab: &Lab) -> Result<Running> {
    let command = lab.server(1).command("dnsmasq");
    let args = "--keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --user=root --pid-file= \
                --address=/www.example.org/192.0.2.1 --bind-interfaces --listen-address=";
    command.args(&format!("{args}{}", one())).serve(&lab.dir().join("dnsmasq.log"))
}

/// A mail server there.
fn mail_server(lab: &Lab) -> Result<Running> {
    let command = lab.server(1).command("msmtpd");
    command
        .args(&format!("--interface={} --port=25 --command=true --log=none", one()))
        .serve(&lab.dir().join("msmtpd.log"))
}

#[test]
fn names_mails_datagrams_and_echoes() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(1))? else { return Ok(()) };
    let real = one();
    let udp = format!("UDP_CHECK {{\n connect_port {}\n payload 0102\n require_reply\n {PACE}\n }}", echo::PORT);
    let dns = format!("DNS_CHECK {{\n type A\n name www.example.org\n {PACE}\n }}");
    let smtp = format!("SMTP_CHECK {{\n helo_name director.example.org\n {PACE}\n }}");
    let ping = format!("PING_CHECK {{\n {PACE}\n }}");
    let checks = [(53, &dns), (25, &smtp), (1007, &udp), (1001, &ping)];
    let text: String = checks.iter().map(|(port, check)| server(*port, &real, 10, check)).collect();
    let (mut names, mut mails) = (Some(name_server(&lab)?), Some(mail_server(&lab)?));
    let keeper = Keeper::start(&lab, "only", &text, "")?;
    let all = |weight| checks.iter().try_for_each(|(port, _)| weighs(&keeper, *port, &real, weight));
    eventually(LIMIT, || {
        keeper.said(&format!("Remote SMTP server [{real}]:tcp:25 succeed on service."))?;
        keeper.said(&format!("UDP connection to [{real}]:tcp:1007 success."))?;
        keeper.said(&format!("ICMP connection to [{real}]:tcp:1001 success."))
    })?;
    all(Some(10))?;
    for server in [names.take(), mails.take()].into_iter().flatten() {
        server.stop(Signal::SIGKILL)?;
    }
    let filter = |verb: &str| -> Result<()> {
        for what in [format!("udp --dport {}", echo::PORT), "icmp --icmp-type echo-request".to_owned()] {
            lab.server(1).command("iptables").args(&format!("-w {verb} INPUT -p {what} -j DROP")).ok()?;
        }
        Ok(())
    };
    filter("-A")?;
    all(None)?;
    filter("-D")?;
    names = Some(name_server(&lab)?);
    mails = Some(mail_server(&lab)?);
    all(Some(10))?;
    ensure!(keeper.stop()? == 0);
    drop((names, mails));
    Ok(())
}

#[test]
fn programs_and_files_set_weights_and_a_returning_server_starts_slowly() -> Result<()> {
    let Some(lab) = start(Topology::nat().http().servers(1))? else { return Ok(()) };
    let real = one();
    let (status, number) = (lab.dir().join("status"), lab.dir().join("number"));
    fs::write(&status, "0")?;
    let program = script(&lab, "misc.sh", &format!("exit $(cat {})", status.display()))?;
    let tcp = format!("slow_start 4\n TCP_CHECK {{\n {PACE}\n }}");
    let text = format!(
        "global_defs {{\n script_user root\n}}\ntrack_file f {{\n file {}\n weight 0\n init_file 0 overwrite\n}}\n{}{}{}{}",
        number.display(),
        server(1001, &real, 10, &format!("MISC_CHECK {{\n misc_path {program}\n misc_timeout 5\n misc_dynamic\n }}")),
        server(1002, &real, 10, "FILE_CHECK {\n track_file f\n }"),
        server(1003, &real, 10, "FILE_CHECK {\n track_file f\n weight 2\n }"),
        server(80, &real, 100, &tcp),
    );
    let keeper = Keeper::start(&lab, "only", &text, "")?;
    for port in [1001, 1002, 1003] {
        weighs(&keeper, port, &real, Some(10))?;
    }
    weighs(&keeper, 80, &real, Some(100))?;
    // A program's status is the weight and 2; 1 is a failure.
    for (exit, weight) in [(50, Some(48)), (2, Some(0)), (1, None), (255, Some(253)), (0, Some(10))] {
        fs::write(&status, exit.to_string())?;
        weighs(&keeper, 1001, &real, weight)?;
    }
    // A file's number fails it, or changes its weight.
    fs::write(&number, "3\n")?;
    weighs(&keeper, 1002, &real, None)?;
    weighs(&keeper, 1003, &real, Some(16))?;
    fs::write(&number, "0\n")?;
    weighs(&keeper, 1002, &real, Some(10))?;
    weighs(&keeper, 1003, &real, Some(10))?;

    kill_web(&lab, 1)?;
    weighs(&keeper, 80, &real, None)?;
    let web = start_web(&lab, 1)?;
    let weight = || -> Result<u32> {
        let table = lab.table()?;
        let service = table.iter().find(|service| service.at == format!("{VIP}:80")).context("no service")?;
        Ok(service.dests.first().context("no real server")?.weight)
    };
    let mut grown = vec![eventually(LIMIT, weight)?];
    eventually(LIMIT, || {
        let now = weight()?;
        (grown.last() != Some(&now)).then(|| grown.push(now));
        ensure!(now == 100, "it has grown: {grown:?}");
        Ok(())
    })?;
    ensure!(grown[0] < 60 && grown.is_sorted() && grown.len() > 3, "step by step: {grown:?}");
    ensure!(keeper.stop()? == 0);
    drop(web);
    Ok(())
}

/// An agent that says to everybody what it was last told to say. Its thread ends with the test's process.
fn agent(ns: &Netns, port: u16) -> Result<Arc<Mutex<String>>> {
    let listener = ns.enter(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)))??;
    let words = Arc::new(Mutex::new("up 100%".to_owned()));
    let said = Arc::clone(&words);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let line = format!("{}\n", said.lock().unwrap());
            let _ = stream.write_all(line.as_bytes());
        }
    });
    Ok(words)
}

#[test]
fn an_agent_says_weight_and_state() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(1))? else { return Ok(()) };
    let real = one();
    let words = agent(&lab.server(1), 9707)?;
    let port = echo::PORT;
    let check = format!("AGENT_CHECK {{\n connect_port 9707\n {PACE}\n }}");
    let text = server(port, &real, 40, &check);
    let keeper = Keeper::start(&lab, "only", &text, "")?;
    weighs(&keeper, port, &real, Some(40))?;
    let mut open = None;
    for (word, weight) in [
        ("75%", Some(30)),
        ("drain", Some(0)),
        ("ready", Some(30)),
        ("maint", None),
        ("ready", Some(30)),
        ("down", None),
        ("up 100%", Some(40)),
    ] {
        words.lock().unwrap().clone_from(&word.to_owned());
        weighs(&keeper, port, &real, weight).with_context(|| format!("after `{word}`"))?;
        if word == "75%" {
            open = Some(lab.greet(SocketAddr::from((VIP, port)))?);
        } else if let Some(greeted) = open.take() {
            ensure!(greeted.echo(b"drained, and still talking")? == "rs1", "drain leaves connections alone");
        }
    }
    ensure!(keeper.stop()? == 0);
    Ok(())
}

/// A neighbour for a session, on the real server.
fn bird(lab: &Lab, log: &str) -> Result<Running> {
    let path = lab.dir().join("bird.conf");
    fs::write(
        &path,
        "router id 10.0.2.11;\nprotocol device { }\nprotocol bfd {\n interface \"*\" { min rx interval 50 ms; min tx interval \
         50 ms; idle tx interval 200 ms; multiplier 5; };\n neighbor 10.0.2.1;\n}\n",
    )?;
    let control = lab.dir().join("bird.ctl");
    let command =
        lab.server(1).command("/usr/sbin/bird").args(&format!("-f -c {} -s {}", path.display(), control.display()));
    command.serve(&lab.dir().join(log))
}

#[test]
fn a_session_with_bird_carries_a_real_server() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(1))? else { return Ok(()) };
    let real = one();
    let session = format!(
        "bfd_instance peer {{\n neighbor_ip {real}\n source_ip 10.0.2.1\n min_rx 50\n min_tx 50\n idle_tx 200\n}}\n{}",
        server(1001, &real, 10, "BFD_CHECK {\n name peer\n alpha\n }")
    );
    let keeper = Keeper::start(&lab, "only", &session, "")?;
    let first = bird(&lab, "first.log")?;
    weighs(&keeper, 1001, &real, Some(10))?;
    first.stop(Signal::SIGKILL)?;
    weighs(&keeper, 1001, &real, None)?;
    let _second = bird(&lab, "second.log")?;
    weighs(&keeper, 1001, &real, Some(10))?;
    ensure!(keeper.stop()? == 0);
    Ok(())
}
