//! State that belongs to a namespace and to no process: how it is reached, what it covers, when it goes.

use crate::vip;
use anyhow::{Context as _, Result, ensure};
use lab::topology::{CLIENT, VIP};
use lab::wait::secs;
use lab::{Lab, Netns, Topology, director, echo, eventually, start};
use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::unix::fs::PermissionsExt as _;

#[test]
fn ip_netns_exec_reaches_the_same_table() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(2))? else { return Ok(()) };
    let at = vip(echo::PORT);
    let ipvsadm = || Ok::<_, anyhow::Error>(lab.director().exec(director::tool("ipvsadm")?));
    ipvsadm()?.args(&format!("-A -t {at} -s rr")).ok()?;
    lab.ipvsadm(&format!("-a -t {at} -r 10.0.2.11:7 -m"))?;
    ipvsadm()?.args(&format!("-a -t {at} -r 10.0.2.12:7 -m")).ok()?;
    assert_eq!(lab.sequence_tcp(at, 4)?, "2 1 2 1");
    assert_eq!(ipvsadm()?.args("-Sn").ok()?, lab.ipvsadm("-Sn")?);
    ipvsadm()?.args("-C").ok()?;
    assert_eq!(lab.table()?, []);
    assert!(lab.director().processes()?.is_empty());
    Ok(())
}

#[test]
fn two_namespaces_are_two_directors() -> Result<()> {
    let (Some(one), Some(two)) = (start(Topology::nat().servers(1))?, start(Topology::nat().servers(2))?) else {
        return Ok(());
    };
    let at = vip(echo::PORT);
    one.serve("-t", at, "-s rr", echo::PORT, &[1])?;
    assert_eq!(two.table()?, []);
    two.serve("-t", at, "-s wlc", echo::PORT, &[1, 1])?;
    assert_eq!(two.sequence_tcp(at, 4)?, "2 1 2 1");
    assert_eq!(one.sequence_tcp(at, 2)?, "1 1");
    two.ipvsadm("-C")?;
    assert_eq!(one.table()?.len(), 1);
    assert_eq!(one.sequence_tcp(at, 2)?, "1 1");
    assert!(two.greet(at).is_err());
    drop(two);
    assert_eq!(one.sequence_tcp(at, 2)?, "1 1");
    Ok(())
}

#[test]
fn without_root_there_is_one_clear_error() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(1))? else { return Ok(()) };
    lab.serve("-t", vip(echo::PORT), "-s rr", echo::PORT, &[1])?;
    // Where everybody may run it.
    let copy = lab.dir().join("ipvsadm");
    fs::copy(director::tool("ipvsadm")?, &copy)?;
    for path in [lab.dir(), copy.as_path()] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    }
    for args in ["-Ln", "-A -t 10.0.1.10:80", "-C"] {
        let outcome = lab.director().command(&copy).args(args).user(65534).run()?;
        assert_eq!((outcome.status, outcome.stdout.as_str()), (2, ""), "{outcome}");
        assert_eq!(
            outcome.stderr,
            "Can't initialize ipvs: Permission denied (you must be root)\n\
             Are you sure that IP Virtual Server is built in the kernel or as module?\n"
        );
    }
    assert_eq!(lab.table()?.len(), 1);
    Ok(())
}

/// A second cable between client and director, over which the client then reaches the virtual address.
fn second_cable(lab: &Lab) -> Result<()> {
    let client = lab.client();
    lab.director().ip_batch(&format!(
        "link add eth2 type veth peer name eth1 netns {}\nlink set eth2 up\naddr add 10.0.3.1/24 dev eth2\n",
        client.name()
    ))?;
    client.ip_batch("link set eth1 up\naddr add 10.0.3.100/24 dev eth1\nroute add 10.0.1.10/32 via 10.0.3.1\n")
}

fn over_the_second_cable(lab: &Lab) -> Result<String> {
    Ok(lab.greet_from(SocketAddrV4::new(Ipv4Addr::new(10, 0, 3, 100), 0), vip(echo::PORT))?.name)
}

#[test]
fn an_interface_that_comes_later_is_covered_after_the_next_call() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(1))? else { return Ok(()) };
    lab.serve("-t", vip(echo::PORT), "-s rr", echo::PORT, &[1])?;
    second_cable(&lab)?;
    lab.ipvsadm("-Ln")?;
    assert_eq!(over_the_second_cable(&lab)?, "rs1");
    Ok(())
}

#[test]
fn an_interface_that_comes_later_is_covered_by_a_watcher() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(1))? else { return Ok(()) };
    lab.serve("-t", vip(echo::PORT), "-s rr", echo::PORT, &[1])?;
    let log = lab.dir().join("watch");
    let mut watch = lab.tool("rvs")?.arg("watch").serve(&log)?;
    second_cable(&lab)?;
    let name = eventually(secs(5), || over_the_second_cable(&lab)).with_context(|| {
        format!("rvs watch (alive: {}) said: {}", watch.alive(), fs::read_to_string(&log).unwrap_or_default())
    })?;
    assert_eq!(name, "rs1");
    Ok(())
}

/// Ids of the programs or maps in the kernel, as bpftool lists them.
fn ids(lab: &Lab, kind: &str) -> Result<BTreeSet<u64>> {
    let text = lab.director().command("bpftool").args(&format!("--json {kind} show")).ok()?;
    let listed: serde_json::Value = serde_json::from_str(&text)?;
    let entries = listed.as_array().context("bpftool lists no array")?;
    Ok(entries.iter().filter_map(|entry| entry.get("id")?.as_u64()).collect())
}

/// Programs that this namespace's director has attached, and the maps that they use: asked of the kernel.
fn owned(lab: &Lab) -> Result<(BTreeSet<u64>, BTreeSet<u64>)> {
    let status = lab.rvs_json("status --json")?;
    let mut programs = BTreeSet::new();
    collect(&status, &["tc_program", "xdp_program"], &mut programs);
    let mut maps = BTreeSet::new();
    for program in &programs {
        let text = lab.director().command("bpftool").args(&format!("--json prog show id {program}")).ok()?;
        collect(&serde_json::from_str(&text)?, &["map_ids"], &mut maps);
    }
    Ok((programs, maps))
}

/// Numbers found under any of these names, at any depth.
fn collect(value: &serde_json::Value, names: &[&str], into: &mut BTreeSet<u64>) {
    match value {
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                if names.contains(&name.as_str()) {
                    into.extend(value.as_u64());
                    into.extend(value.as_array().into_iter().flatten().filter_map(serde_json::Value::as_u64));
                }
                collect(value, names, into);
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, names, into)),
        _ => {}
    }
}

#[test]
fn when_a_namespace_dies_the_next_call_anywhere_collects_what_it_had() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(1))? else { return Ok(()) };
    let Some(other) = start(Topology::nat().servers(1))? else { return Ok(()) };
    lab.serve("-t", vip(echo::PORT), "-s rr", echo::PORT, &[1])?;
    lab.greet(vip(echo::PORT))?;
    let (programs, maps) = owned(&lab)?;
    assert!(!programs.is_empty() && !maps.is_empty(), "{programs:?}, {maps:?}");
    assert!(ids(&other, "prog")?.is_superset(&programs) && ids(&other, "map")?.is_superset(&maps));
    let director: Netns = lab.director();
    drop(lab);
    ensure!(!director.path().exists(), "the namespace is still there");
    // The kernel takes namespaces down in its own time.
    eventually(secs(10), || {
        other.ipvsadm("-Ln")?;
        let left: Vec<_> = ids(&other, "prog")?.intersection(&programs).copied().collect();
        ensure!(left.is_empty(), "programs {left:?} are left");
        let left: Vec<_> = ids(&other, "map")?.intersection(&maps).copied().collect();
        ensure!(left.is_empty(), "maps {left:?} are left");
        Ok(())
    })
}

/// Detached from an interface, its packets are the host's own again; attached, they are balanced.
#[test]
fn attach_and_detach_are_obeyed() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(1))? else { return Ok(()) };
    lab.serve("-t", vip(echo::PORT), "-s rr", echo::PORT, &[1])?;
    lab.rvs("detach eth0")?;
    // The kernel lets go of a program in its own time.
    eventually(secs(2), || {
        ensure!(lab.greet(vip(echo::PORT)).is_err(), "still balanced");
        Ok(())
    })?;
    lab.rvs("attach eth0 --mode tc")?;
    assert_eq!(lab.greet(vip(echo::PORT))?.name, "rs1");
    lab.ping(&lab.client(), VIP)?;
    assert_eq!(lab.greet_from(SocketAddrV4::new(CLIENT, 0), vip(echo::PORT))?.name, "rs1");
    Ok(())
}

/// `rvs teardown` takes everything away; the next `ipvsadm -A` begins anew.
#[test]
fn a_teardown_leaves_nothing() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(1))? else { return Ok(()) };
    lab.serve("-t", vip(echo::PORT), "-s rr", echo::PORT, &[1])?;
    let (programs, maps) = owned(&lab)?;
    lab.rvs("teardown")?;
    eventually(secs(5), || {
        ensure!(lab.greet(vip(echo::PORT)).is_err(), "still balanced");
        ensure!(ids(&lab, "prog")?.is_disjoint(&programs), "programs are left");
        ensure!(ids(&lab, "map")?.is_disjoint(&maps), "maps are left");
        Ok(())
    })?;
    assert_eq!(lab.rvs_json("status --json")?["director"], false);
    assert_eq!(lab.table()?, []);
    lab.serve("-t", vip(echo::PORT), "-s rr", echo::PORT, &[1])?;
    assert_eq!(lab.greet(vip(echo::PORT))?.name, "rs1");
    Ok(())
}

#[test]
fn the_tools_are_one() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(1))? else { return Ok(()) };
    lab.rvs(&format!("ipvsadm -A -t {} -s rr", vip(echo::PORT)))?;
    lab.rvs(&format!("ipvsadm -a -t {} -r 10.0.2.11:7 -m", vip(echo::PORT)))?;
    assert_eq!(lab.rvs("ipvsadm -Ln")?, lab.ipvsadm("-Ln")?);
    assert_eq!(lab.rvs("ipvsadm-save -n")?, lab.tool("ipvsadm-save")?.arg("-n").ok()?);
    assert_eq!(lab.greet(vip(echo::PORT))?.name, "rs1");
    Ok(())
}
