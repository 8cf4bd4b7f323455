//! What is tracked, and who is told: scripts, FIFOs, mails, dumps, the status command.

use crate::config::{Dialect, VIP, instance};
use crate::{LIMIT, master};
use anyhow::{Context as _, Result, ensure};
use lab::director::tool;
use lab::eventually;
use lab::pair::{Pair, Side, Whose, start};
use nix::sys::signal::Signal;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

/// A script in the pair's folder.
fn script(pair: &Pair, name: &str, text: &str) -> Result<PathBuf> {
    let path = pair.dir().join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n"))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

const GLOBALS: &str = "global_defs {\n script_user root\n";

#[test]
fn scripts_and_fifos_are_told_in_order() -> Result<()> {
    let Some(pair) = start()? else { return Ok(()) };
    let (out, fifo) = (pair.dir().join("out"), pair.dir().join("fifo"));
    let notify = script(&pair, "notify.sh", &format!("echo \"$@\" >> {}", out.display()))?;
    let reader = script(&pair, "reader.sh", &format!("exec cat \"$1\" >> {}.fifo", out.display()))?;
    let (notify, fifo_text) = (notify.display(), fifo.display());
    let config = format!(
        "{GLOBALS} vrrp_notify_fifo {fifo_text}\n vrrp_notify_fifo_script {}\n}}\nvrrp_sync_group G {{\n group {{\n VI_1\n }}\n \
         notify {notify}\n}}\n{}",
        reader.display(),
        instance(Dialect::V3, Side::A, 150, &format!("notify {notify}\n notify_master \"{notify} named master\"\n"))
    );
    let a = pair.keepalived(Side::A, Whose::Ours, &config)?;
    master(&pair, Side::A, VIP)?;
    ensure!(a.stop()? == 0);
    let text = fs::read_to_string(&out)?;
    let of = |kind: &str| text.lines().filter(|line| line.contains(kind)).map(str::to_owned).collect::<Vec<_>>();
    ensure!(of("VI_1") == ["INSTANCE VI_1 BACKUP 150", "INSTANCE VI_1 MASTER 150", "INSTANCE VI_1 STOP 150"], "{text}");
    let groups = of("GROUP");
    ensure!(groups.last().is_some_and(|line| line == "GROUP G STOP 0"), "{text}");
    ensure!(groups.contains(&"GROUP G MASTER 0".to_owned()), "{text}");
    ensure!(of("named") == ["named master"], "{text}");
    let lines = fs::read_to_string(format!("{}.fifo", out.display()))?;
    for line in ["INSTANCE \"VI_1\" BACKUP 150", "INSTANCE \"VI_1\" MASTER 150", "GROUP \"G\" MASTER 0"] {
        ensure!(lines.lines().any(|told| told == line), "{line}\n{lines}");
    }
    ensure!(!fifo.exists(), "the FIFO stayed");
    Ok(())
}

#[test]
fn a_failing_script_gives_the_lead_away() -> Result<()> {
    let Some(pair) = start()? else { return Ok(()) };
    let mark = pair.dir().join("bad");
    let check = script(&pair, "check.sh", &format!("test ! -e {}", mark.display()))?;
    let block = format!(
        "{GLOBALS}}}\nvrrp_script chk {{\n script {}\n interval 0.2\n weight -60\n rise 2\n fall 2\n}}\n",
        check.display()
    );
    let tracked = instance(Dialect::V3, Side::A, 150, "track_script {\n chk\n }\n");
    let a = pair.keepalived(Side::A, Whose::Ours, &format!("{block}{tracked}"))?;
    let _b = pair.keepalived(Side::B, Whose::Original, &instance(Dialect::V3, Side::B, 100, ""))?;
    master(&pair, Side::A, VIP)?;
    a.said("VRRP_Script(chk) succeeded")?;
    fs::write(&mark, "")?;
    master(&pair, Side::B, VIP)?;
    a.said("(VI_1) Changing effective priority from 150 to 90")?;
    fs::remove_file(&mark)?;
    master(&pair, Side::A, VIP)
}

#[test]
fn files_processes_and_interfaces_count() -> Result<()> {
    let Some(pair) = start()? else { return Ok(()) };
    let file = pair.dir().join("number");
    let sleeper = pair.dir().join("sleeper-of-test");
    fs::copy("/bin/sleep", &sleeper)?;
    pair.side(Side::A)
        .ip_batch("link add dummy0 type veth peer name dummy1\nlink set dummy0 up\nlink set dummy1 up\n")?;
    let blocks = format!(
        "track_file f {{\n file {}\n weight 1\n init_file 0 overwrite\n}}\ntrack_process p {{\n process {}\n full_command\n \
         weight -5\n}}\n",
        file.display(),
        sleeper.display()
    );
    let more = "track_file {\n f\n }\n track_process {\n p\n }\n track_interface {\n dummy0 weight -10\n }\n";
    let a = pair.keepalived(Side::A, Whose::Ours, &format!("{blocks}{}", instance(Dialect::V3, Side::A, 150, more)))?;
    let priority = |wanted: u64| {
        eventually(LIMIT, || {
            let command = pair.side(Side::A).command(tool("rvs")?);
            let text = command.args(&format!("vrrp --json --socket {}/a.sock", pair.dir().display())).ok()?;
            let status: serde_json::Value = serde_json::from_str(&text)?;
            let found = status["instances"][0]["priority"].as_u64().context("no priority")?;
            ensure!(found == wanted, "{found}, not {wanted}\n{}", a.log());
            Ok(())
        })
    };
    priority(145)?;
    let process = pair.side(Side::A).command(&sleeper).args("1000").serve(&pair.dir().join("sleep.log"))?;
    priority(150)?;
    fs::write(&file, "-20\n")?;
    priority(130)?;
    pair.side(Side::A).ip("link set dummy0 down")?;
    priority(120)?;
    process.stop(Signal::SIGKILL)?;
    priority(115)?;
    pair.side(Side::A).ip("link set dummy0 up")?;
    priority(125)
}

#[test]
fn dumps_are_written_on_signals() -> Result<()> {
    let Some(pair) = start()? else { return Ok(()) };
    let path = |end: &str| pair.dir().join(format!("dump.{end}"));
    let globals = format!(
        "global_defs {{\n router_id dr\n state_dump_file {}\n stats_dump_file {}\n json_dump_file {}\n}}\n",
        path("data").display(),
        path("stats").display(),
        path("json").display()
    );
    let config = format!("{globals}{}", instance(Dialect::V2, Side::A, 100, ""));
    let a = pair.keepalived(Side::A, Whose::Ours, &config)?;
    master(&pair, Side::A, VIP)?;
    a.signal(Signal::SIGUSR1)?;
    a.signal(Signal::SIGUSR2)?;
    a.signal_number(36)?;
    let read = |end: &str| fs::read_to_string(path(end)).map_err(anyhow::Error::from);
    let data = eventually(LIMIT, || read("data"))?;
    for line in ["------< VRRP Topology >------", " VRRP Instance = VI_1", "   State = MASTER", "   Password = secret"]
    {
        ensure!(data.lines().any(|found| found == line), "{line}\n{data}");
    }
    let stats = eventually(LIMIT, || read("stats"))?;
    ensure!(stats.starts_with("VRRP Instance: VI_1\n  Advertisements:\n    Received: 0\n    Sent: "), "{stats}");
    let json: serde_json::Value = serde_json::from_str(&eventually(LIMIT, || read("json"))?)?;
    ensure!(json[0]["data"]["state"] == 2 && json[0]["stats"]["become_master"] == 1, "{json}");
    // Passwords are in it: nobody but its owner reads it.
    ensure!(fs::metadata(path("json"))?.permissions().mode() & 0o077 == 0);
    a.signal_number(63)?;
    fs::remove_file(path("json"))?;
    a.signal_number(36)?;
    let json: serde_json::Value = serde_json::from_str(&eventually(LIMIT, || read("json"))?)?;
    ensure!(json[0]["stats"]["become_master"] == 0, "{json}");
    Ok(())
}

#[test]
fn figures_are_served_where_they_are_asked_for() -> Result<()> {
    let Some(pair) = start()? else { return Ok(()) };
    let globals = "global_defs {\n metrics_listen 127.0.0.1 9165\n}\n";
    let config = format!("{globals}{}", instance(Dialect::V3, Side::A, 150, ""));
    let _a = pair.keepalived(Side::A, Whose::Ours, &config)?;
    master(&pair, Side::A, VIP)?;
    let page = pair.side(Side::A).command("curl").args("-s http://127.0.0.1:9165/metrics").ok()?;
    for line in [
        "keepalived_up 1",
        "keepalived_vrrp_state{iname=\"VI_1\",intf=\"eth0\",vrid=\"51\",ip_address=\"10.0.1.10\"} 2",
        "keepalived_become_master_total{iname=\"VI_1\",intf=\"eth0\",vrid=\"51\"} 1",
        "keepalived_vrrp_become_master{name=\"VI_1\",intf=\"eth0\",vrid=\"51\",state=\"MASTER\"} 1",
    ] {
        ensure!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
    Ok(())
}

#[test]
fn scripts_that_others_could_change_are_not_run_as_root() -> Result<()> {
    let Some(pair) = start()? else { return Ok(()) };
    let out = pair.dir().join("out");
    let notify = script(&pair, "open.sh", &format!("echo \"$@\" >> {}", out.display()))?;
    fs::set_permissions(&notify, fs::Permissions::from_mode(0o777))?;
    let globals = format!("{GLOBALS} enable_script_security\n}}\n");
    let more = format!("notify {}\n", notify.display());
    let a =
        pair.keepalived(Side::A, Whose::Ours, &format!("{globals}{}", instance(Dialect::V3, Side::A, 150, &more)))?;
    master(&pair, Side::A, VIP)?;
    a.said("unsafe permissions found for script")?;
    ensure!(a.stop()? == 0);
    ensure!(!out.exists(), "it was run");
    Ok(())
}

#[test]
fn it_goes_into_the_background_and_is_there_only_once() -> Result<()> {
    let Some(pair) = start()? else { return Ok(()) };
    let path = |end: &str| pair.dir().join(end).display().to_string();
    fs::write(path("d.conf"), instance(Dialect::V3, Side::A, 150, ""))?;
    let files = format!(
        "-D -G -g{} --flush-log-file -f {} -p {} -r {}",
        path("d.log"),
        path("d.conf"),
        path("d.pid"),
        path("d.v")
    );
    let command = || Ok::<_, anyhow::Error>(pair.side(Side::A).exec(tool("keepalived")?).args(&files));
    command()?.ok()?;
    master(&pair, Side::A, VIP)?;
    let again = command()?.arg("-n").run()?;
    ensure!(again.status == 1 && again.stderr.contains("daemon is already running"), "{again}");
    let pid: i32 = fs::read_to_string(path("d.pid"))?.trim().parse()?;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGTERM)?;
    eventually(LIMIT, || {
        ensure!(!PathBuf::from(path("d.pid")).exists(), "it has not ended");
        Ok(())
    })?;
    let log = fs::read_to_string(path("d.log"))?;
    ensure!(log.contains("(VI_1) Entering MASTER STATE") && log.contains("Stopped Keepalived"), "{log}");
    ensure!(!pair.has(Side::A, VIP)?, "the address stayed");
    Ok(())
}
