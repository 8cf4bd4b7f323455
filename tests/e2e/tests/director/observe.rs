//! What others read of the director: `rvs proc` in the place of /proc/net/ip_vs*, and `rvs metrics`.

use crate::{strict, vip};
use anyhow::{Context as _, Result, anyhow, ensure};
use lab::wait::secs;
use lab::{Lab, Topology, echo, eventually, start};
use std::fs;

/// The hexadecimal numbers of a line.
fn numbers(line: &str) -> Result<Vec<u64>> {
    line.split_whitespace().map(|word| Ok(u64::from_str_radix(word, 16)?)).collect()
}

/// The totals of ip_vs_stats: connections, packets and bytes.
fn totals(lab: &Lab) -> Result<Vec<u64>> {
    numbers(lab.rvs("proc ip_vs_stats")?.lines().nth(2).context("no third line")?)
}

/// The rows of ip_vs_stats_percpu added up, and the row of the totals.
fn per_cpu(lab: &Lab) -> Result<(Vec<u64>, Vec<u64>)> {
    let text = lab.rvs("proc ip_vs_stats_percpu")?;
    let (mut sums, mut total) = (vec![0; 5], Vec::new());
    for line in text.lines().skip(2).take_while(|line| !line.is_empty()) {
        let row = numbers(&line[3..])?;
        match line.starts_with("  ~") {
            true => total = row,
            false => sums.iter_mut().zip(&row).for_each(|(sum, one)| *sum += one),
        }
    }
    Ok((sums, total))
}

/// The totals agree with the services, outlive them, and are zeroed as in IPVS: only by zeroing everything, and not by CPU.
#[test]
fn totals_are_those_of_the_kernel() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(2))? else { return Ok(()) };
    assert_eq!(totals(&lab)?, [0; 5], "before there is a director");
    lab.serve("-t", vip(echo::PORT), "-s rr", echo::PORT, &[1, 1])?;
    lab.serve("-u", vip(echo::PORT), "-s rr", echo::PORT, &[1])?;
    for _ in 0..10 {
        lab.greet(vip(echo::PORT))?.bye()?;
        lab.ask(vip(echo::PORT))?;
    }
    let counted = eventually(secs(5), || {
        let before = totals(&lab)?;
        let listed = lab.ipvsadm("-Ln --stats --exact")?;
        let mut sums = vec![0; 5];
        for line in listed.lines().filter(|line| line.starts_with("TCP") || line.starts_with("UDP")) {
            let row =
                line.split_whitespace().skip(2).map(|word| Ok(word.parse::<u64>()?)).collect::<Result<Vec<_>>>()?;
            sums.iter_mut().zip(row).for_each(|(sum, one)| *sum += one);
        }
        ensure!(before == sums, "{before:?} and {sums:?}");
        Ok(before)
    })?;
    assert_eq!(counted[0], 20, "connections");
    assert_eq!(per_cpu(&lab)?, (counted.clone(), counted.clone()));
    lab.ipvsadm(&format!("-Z -u {}", vip(echo::PORT)))?;
    lab.ipvsadm(&format!("-D -u {}", vip(echo::PORT)))?;
    assert_eq!(totals(&lab)?, counted, "zeroing or deleting one service changes nothing");
    lab.ipvsadm("-Z")?;
    assert_eq!(totals(&lab)?, [0; 5]);
    assert_eq!(per_cpu(&lab)?, (counted, vec![0; 5]), "CPUs go on");
    lab.greet(vip(echo::PORT))?.bye()?;
    assert_eq!(totals(&lab)?[0], 1);
    Ok(())
}

#[test]
fn the_table_and_the_connections_are_those_of_ipvsadm() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(1))? else { return Ok(()) };
    lab.serve("-t", vip(echo::PORT), "-s wlc -p 50", echo::PORT, &[3])?;
    let _greeted = lab.greet(vip(echo::PORT))?;
    let port = echo::PORT;
    let table = lab.rvs("proc ip_vs")?;
    let expected = format!(
        "TCP  0A00010A:{port:04X} wlc  persistent 12500 FFFFFFFF\n  -> 0A00020B:{port:04X}      Masq    3      1          0         \n"
    );
    assert!(table.ends_with(&expected), "{table}\n{expected}");
    let connections = lab.rvs("proc ip_vs_conn")?;
    let mut lines = connections.lines();
    assert_eq!(lines.next(), Some("Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData"));
    let listed = lab.connections()?;
    assert_eq!((lines.clone().count(), listed.len()), (2, 2), "a connection and its template: {connections}");
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!((words[0], words[3], words[5]), ("TCP", "0A00010A", "0A00020B"), "{line}");
        assert!(listed.iter().any(|connection| connection.state == words[7]), "{line}");
    }
    Ok(())
}

#[test]
fn metrics_are_what_prometheus_takes_and_agree_with_the_listing() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(1))? else { return Ok(()) };
    let read = |text: &str| strict::read(text).map_err(|error| anyhow!("{error}"));
    let none = read(&lab.rvs("metrics")?)?;
    assert_eq!(none.get("rvs_director"), Some(&0.0));
    lab.serve("-t", vip(echo::PORT), "-s rr", echo::PORT, &[7])?;
    let _greeted = lab.greet(vip(echo::PORT))?;
    let samples = read(&lab.rvs("metrics")?)?;
    let (port, proto) = (echo::PORT, "proto=\"TCP\"");
    let backend = format!(
        "{{local_address=\"10.0.1.10\",local_mark=\"\",local_port=\"{port}\",{proto},remote_address=\"10.0.2.11\",\
         remote_port=\"{port}\"}}"
    );
    for (series, value) in [
        ("rvs_director".to_owned(), 1.0),
        ("node_ipvs_connections_total".to_owned(), 1.0),
        (format!("node_ipvs_backend_connections_active{backend}"), 1.0),
        (format!("node_ipvs_backend_weight{backend}"), 7.0),
        ("rvs_table_entries{table=\"connections\"}".to_owned(), 1.0),
        ("rvs_timers_running".to_owned(), 1.0),
        ("rvs_interface_attached{interface=\"eth0\",mode=\"tc\"}".to_owned(), 1.0),
    ] {
        assert_eq!(samples.get(&series), Some(&value), "{series}: {samples:#?}");
    }
    assert!(samples["rvs_packets_total{outcome=\"forwarded\",reason=\"nat_in\"}"] >= 3.0);
    Ok(())
}

/// While the file is written again and again, a reader always finds a whole one.
#[test]
fn the_textfile_is_whole_at_any_moment() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(1))? else { return Ok(()) };
    lab.serve("-t", vip(echo::PORT), "-s rr", echo::PORT, &[1])?;
    let path = lab.dir().join("rvs.prom");
    let file = path.to_string_lossy().into_owned();
    lab.rvs(&format!("metrics --textfile {file}"))?;
    let writer = std::thread::scope(|scope| {
        let writer = scope.spawn(|| (0..10).try_for_each(|_| lab.rvs(&format!("metrics --textfile {file}")).map(drop)));
        let mut reads = 0;
        while !writer.is_finished() || reads == 0 {
            let text = fs::read_to_string(&path).expect("the file is there");
            assert!(text.contains("rvs_backend_upper_threshold{"), "the last family is there");
            strict::read(&text).expect("the file is whole");
            reads += 1;
        }
        writer.join().expect("the writer does not panic")
    });
    writer?;
    let others: Vec<_> =
        fs::read_dir(lab.dir())?.flatten().filter(|at| at.file_name().to_string_lossy().contains(".prom.")).collect();
    assert!(others.is_empty(), "{others:?}");
    let refused = lab.tool("rvs")?.args("metrics --textfile /tmp/rvs.txt").run()?;
    assert!(refused.status == 1 && refused.stderr.contains("must end in .prom"), "{refused}");
    Ok(())
}
