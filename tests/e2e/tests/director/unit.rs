//! What ipvsadm.service does, with the privileges that its unit leaves it: rules over a restart.

use crate::vip;
use anyhow::{Context as _, Result};
use lab::director::tool;
use lab::wait::secs;
use lab::{Lab, Outcome, Topology, echo, eventually, start};
use std::fs;

const UNIT: &str = include_str!("../../../../packaging/systemd/ipvsadm.service");

/// The capabilities of the unit, as `setpriv` takes them.
fn capabilities() -> Result<String> {
    let line = UNIT.lines().find_map(|line| line.strip_prefix("CapabilityBoundingSet=")).context("no capabilities")?;
    let names = line.split_whitespace().filter_map(|name| name.strip_prefix("CAP_"));
    Ok(names.fold("-all".to_owned(), |all, name| format!("{all},+{}", name.to_lowercase())))
}

/// A command of the unit, confined as far as that goes without systemd: its capabilities, no new privileges, a mount
/// namespace of its own in which only what the unit may write is writable.
fn confined(lab: &Lab, step: &str) -> Result<Outcome> {
    let rvs = tool("rvs")?.display().to_string();
    let root = lab.dir().display().to_string();
    let script = format!(
        "mount --rbind /run /run && mount --bind {root} {root} && mount -o remount,bind,ro / && exec setpriv --bounding-set={} --inh-caps=-all \
         --no-new-privs {rvs} unit {step} --root {root}",
        capabilities()?
    );
    lab.director().command("unshare").args("--mount --propagation slave sh -c").arg(script).run()
}

#[test]
fn rules_outlive_a_restart_of_the_unit() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(1))? else { return Ok(()) };
    let rules = lab.dir().join("etc/ipvsadm.rules");
    fs::create_dir_all(lab.dir().join("etc/default"))?;
    let at = vip(echo::PORT);
    fs::write(&rules, format!("# mine\n-A -t {at} -s rr\n-a -t {at} -r 10.0.2.11:{} -m -w 2\n", echo::PORT))?;
    confined(&lab, "start")?.ok()?;
    let saved = lab.ipvsadm("-Sn")?;
    assert!(saved.contains("-w 2"), "{saved}");
    lab.greet(at)?.bye()?;
    // A reload is one step: who is connected stays so.
    let greeted = lab.greet(at)?;
    confined(&lab, "reload")?.ok()?;
    greeted.bye()?;
    lab.ipvsadm(&format!("-A -u {at} -s rr"))?;
    confined(&lab, "stop")?.ok()?;
    assert_eq!(lab.ipvsadm("-Sn")?, "");
    let text = fs::read_to_string(&rules)?;
    assert_eq!(text, format!("# ipvsadm.rules\n{saved}-A -u {at} -s rr\n"));
    confined(&lab, "start")?.ok()?;
    eventually(secs(5), || lab.greet(at)?.bye()).map(drop)
}

/// The unit comes up as failed, and nothing is half done.
#[test]
fn a_bad_file_is_told_and_changes_nothing() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(1))? else { return Ok(()) };
    lab.ipvsadm("-A -t 10.0.1.10:80")?;
    fs::create_dir_all(lab.dir().join("etc/sysconfig"))?;
    fs::write(lab.dir().join("etc/sysconfig/ipvsadm"), "-A -t 10.0.1.10:81\n-A -t 10.0.1.10:82 -s none-such\n")?;
    let failed = confined(&lab, "start")?;
    assert!(failed.status == 1 && failed.stderr.contains("etc/sysconfig/ipvsadm: line 2: "), "{failed}");
    assert_eq!(lab.ipvsadm("-Sn")?, "-A -t 10.0.1.10:80 -s wlc\n");
    Ok(())
}
