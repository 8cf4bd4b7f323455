//! `rvs sysctl`: prints like sysctl(8), changes all or nothing, and packets obey.

use crate::vip;
use anyhow::Result;
use lab::{Topology, echo, start};
use serde_json::json;

#[test]
fn settings_are_shown_and_changed_as_sysctl_does() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(1))? else { return Ok(()) };
    let all = lab.rvs("sysctl -a")?;
    assert!(all.lines().all(|line| line.starts_with("net.ipv4.vs.") && line.contains(" = ")), "{all}");
    assert!(all.contains("net.ipv4.vs.sync_threshold = 3\t50\n"), "{all}");
    assert_eq!(
        lab.rvs("sysctl sloppy_tcp=1 net.ipv4.vs.drop_entry=3")?,
        "net.ipv4.vs.sloppy_tcp = 1\nnet.ipv4.vs.drop_entry = 3\n"
    );
    for (arguments, complaint) in [
        ("sysctl sloppy_tcp=0 nosuch=1", "there is no setting `nosuch`"),
        (
            "sysctl sloppy_tcp=0 drop_entry=4",
            "\"net.ipv4.vs.drop_entry\": Invalid argument `4`: it must be a number from 0 to 3",
        ),
        ("sysctl sloppy_tcp=0 sync_ports=3", "it must be a power of two"),
        ("sysctl sloppy_tcp=", "it must be a number"),
    ] {
        let outcome = lab.tool("rvs")?.args(arguments).run()?;
        assert_eq!((outcome.status, outcome.stdout.as_str()), (1, ""), "{arguments}");
        assert!(outcome.stderr.contains(complaint) && outcome.stderr.lines().count() == 1, "{}", outcome.stderr);
        assert_eq!(lab.rvs("sysctl -n sloppy_tcp drop_entry")?, "1\n3\n", "{arguments}: nothing is changed");
    }
    let json = lab.rvs_json("sysctl sloppy_tcp sync_threshold --json")?;
    assert_eq!(json, json!({ "sloppy_tcp": 1, "sync_threshold": [3, 50] }));
    Ok(())
}

/// A connection whose server is deleted ends at once, and its client goes on with another.
#[test]
fn connections_of_a_deleted_server_end_when_told_so() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(2))? else { return Ok(()) };
    let at = vip(echo::PORT);
    lab.serve("-t", at, "-s rr", echo::PORT, &[1, 1])?;
    lab.rvs("sysctl expire_nodest_conn=1")?;
    let greeted = lab.greet(at)?;
    assert_eq!((greeted.name.as_str(), lab.counts()?), ("rs2", (1, 0)));
    lab.ipvsadm(&format!("-d -t {at} -r 10.0.2.12:7"))?;
    assert_eq!(lab.ipvsadm("-Lnc")?.lines().count(), 2, "only the headings are left");
    assert_eq!(lab.greet(at)?.name, "rs1");
    Ok(())
}
