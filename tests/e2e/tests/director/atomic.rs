//! A change is made entirely or not at all, whoever is killed and however many make changes at once.

use crate::bulk::noise;
use crate::vip;
use anyhow::{Result, ensure};
use lab::wait::{pass_until, secs};
use lab::{Lab, Topology, director, echo, http, start};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A table of many services, each with two destinations; `generation` makes it differ from others in every line.
fn large(generation: u8) -> String {
    let mut text = String::new();
    for n in 0..200 {
        let at = format!("10.9.{generation}.{}:{}", n / 2 + 1, 80 + n % 2);
        text += &format!("-A -t {at} -s wrr\n");
        text += &format!("-a -t {at} -r 10.0.2.11:80 -m -w {}\n", u32::from(generation) + 1);
        text += &format!("-a -t {at} -r 10.0.2.12:80 -m -w 7\n");
    }
    text
}

/// The lines of a table, in an order that does not matter.
fn lines(lab: &Lab) -> Result<BTreeSet<String>> {
    Ok(lab.ipvsadm("-Sn")?.lines().map(|line| line.trim_end().to_owned()).collect())
}

fn set(text: &str) -> BTreeSet<String> {
    text.lines().map(str::to_owned).collect()
}

#[test]
fn killed_at_any_moment_a_restore_leaves_the_old_table_or_the_new() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(1))? else { return Ok(()) };
    let tables = [large(1), large(2)];
    // What a restored table looks like when saved.
    let mut saved = Vec::new();
    let mut slowest = Duration::ZERO;
    for table in &tables {
        let begin = Instant::now();
        lab.restore(&format!("-C\n{table}"))?;
        slowest = slowest.max(begin.elapsed());
        saved.push(lines(&lab)?);
        assert_eq!(saved.last().map(BTreeSet::len), Some(set(table).len()));
    }
    let mut present = 1;
    let mut seen = [0, 0];
    for n in 0..60_u32 {
        let wanted = 1 - present;
        let restore = lab.tool("ipvsadm")?.arg("-R").stdin(format!("-C\n{}", tables[wanted])).begin()?;
        // From the very start to a little past the end.
        pass_until(Instant::now() + slowest * n / 50);
        restore.kill();
        let status = restore.wait()?.status;
        let now = lines(&lab)?;
        let which = saved.iter().position(|table| *table == now);
        ensure!(which.is_some(), "round {n}: neither table, but {} lines: {now:?}", now.len());
        ensure!(status != 0 || which == Some(wanted), "round {n}: it had succeeded, but the old table is there");
        let which = which.unwrap();
        seen[usize::from(which == wanted)] += 1;
        present = which;
    }
    assert!(seen.iter().all(|count| *count > 0), "the moments were not well chosen: {seen:?} (old, new)");
    // And it still works.
    lab.restore(&format!("-C\n-A -t {0} -s rr\n-a -t {0} -r 10.0.2.11:7 -m\n", vip(echo::PORT)))?;
    assert_eq!(lab.greet(vip(echo::PORT))?.name, "rs1");
    Ok(())
}

#[test]
fn two_hundred_edits_at_once_are_as_good_as_one_by_one() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(1))? else { return Ok(()) };
    let at = vip(echo::PORT);
    lab.ipvsadm(&format!("-A -t {at} -s rr"))?;
    lab.ipvsadm(&format!("-a -t {at} -r 10.0.2.11:7 -m"))?;
    let next = AtomicUsize::new(0);
    let edit = |n: usize| -> Result<()> {
        let host = format!("10.8.{}.{}", n / 100, n % 100 + 1);
        match n % 4 {
            0 | 1 => lab.ipvsadm(&format!("-a -t {at} -r {host}:80 -m -w {}", n + 1))?,
            2 => lab.ipvsadm(&format!("-A -u {host}:53 -s wlc"))?,
            _ => lab.restore(&format!("-A -t {host}:80 -s wrr\n-a -t {host}:80 -r 10.0.2.11:80 -g -w 3\n"))?,
        };
        Ok(())
    };
    thread::scope(|scope| -> Result<()> {
        let workers: Vec<_> = (0..20)
            .map(|_| {
                scope.spawn(|| {
                    while let Some(n) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|n| *n < 200) {
                        edit(n)?;
                    }
                    anyhow::Ok(())
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| worker.join().unwrap())
    })?;
    let together = lines(&lab)?;
    assert_eq!(together.len(), 2 + 200 + 50);
    lab.restore(&format!("-C\n-A -t {at} -s rr\n-a -t {at} -r 10.0.2.11:7 -m\n"))?;
    for n in 0..200 {
        edit(n)?;
    }
    assert_eq!(together, lines(&lab)?);
    Ok(())
}

/// Restoring the rules in use: no request meets a moment without them.
#[test]
fn restores_lose_no_request() -> Result<()> {
    let Some(lab) = start(Topology::nat())? else { return Ok(()) };
    let at = vip(echo::PORT);
    lab.serve("-t", at, "-s rr", echo::PORT, &[1, 1, 1])?;
    lab.serve("-u", at, "-s rr", echo::PORT, &[1, 1, 1])?;
    let saved = lab.ipvsadm("-Sn")?;
    let done = AtomicBool::new(false);
    let requests = thread::scope(|scope| -> Result<usize> {
        let requests = scope.spawn(|| -> Result<usize> {
            let mut count = 0;
            while !done.load(Ordering::Relaxed) {
                lab.greet(at)?;
                lab.ask(at)?;
                count += 2;
            }
            Ok(count)
        });
        let restoring = (0..50).try_for_each(|_| lab.tool("ipvsadm-restore")?.stdin(saved.clone()).ok().map(drop));
        done.store(true, Ordering::Relaxed);
        let requests = requests.join().unwrap();
        restoring?;
        requests
    })?;
    assert!(requests >= 100, "only {requests} requests during 50 restores");
    assert_eq!(lab.ipvsadm("-Sn")?, saved);
    Ok(())
}

/// An error in any line leaves everything as it was, and tells which line it is.
#[test]
fn a_bad_line_undoes_the_whole_restore() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(1))? else { return Ok(()) };
    lab.serve("-t", vip(echo::PORT), "-s rr", echo::PORT, &[1])?;
    let before = lines(&lab)?;
    let text = format!("-C\n-A -t {0} -s rr\n-a -t {0} -r 10.0.2.11:80 -m\n-A -t {0} -s rr\n", vip(8000));
    let outcome = lab.tool("ipvsadm")?.arg("-R").stdin(text).run()?;
    assert_ne!(outcome.status, 0);
    assert!(outcome.stderr.contains('4'), "the line's number is missing: {outcome}");
    assert_eq!(lines(&lab)?, before);
    Ok(())
}

#[test]
fn save_and_restore_are_each_others_inverse() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(1))? else { return Ok(()) };
    lab.restore(&large(3))?;
    let saved = lab.tool("ipvsadm-save")?.arg("-n").ok()?;
    lab.ipvsadm("-C")?;
    assert_eq!(lab.table()?, []);
    lab.tool("ipvsadm-restore")?.stdin(saved.clone()).limit(secs(20)).ok()?;
    assert_eq!(lab.director().exec(director::tool("ipvsadm-save")?).arg("-n").ok()?, saved);
    Ok(())
}

/// A long download, while everything around it changes.
#[test]
fn changes_elsewhere_leave_a_connection_alone() -> Result<()> {
    let Some(lab) = start(Topology::nat().http())? else { return Ok(()) };
    let at = vip(http::PORT);
    lab.serve("-t", at, "-s rr", http::PORT, &[1, 1, 1])?;
    // At 4 MB/s this takes four seconds.
    let data = noise(16_000_000);
    std::fs::write(lab.dir().join("files/long"), &data)?;
    let got = lab.dir().join("got");
    let ended = AtomicBool::new(false);
    let changes = thread::scope(|scope| -> Result<usize> {
        let download = scope.spawn(|| {
            let outcome = lab.curl(&format!("-o {} http://{at}/slow/long", got.display()));
            ended.store(true, Ordering::Relaxed);
            outcome
        });
        let mut changes = 0;
        let changing = (|| -> Result<()> {
            while !ended.load(Ordering::Relaxed) {
                lab.ipvsadm(&format!("-A -t {} -s wlc", vip(8000)))?;
                lab.ipvsadm(&format!("-a -t {} -r 10.0.2.13:8080 -m", vip(8000)))?;
                // The download is from rs3, the first in turn.
                lab.ipvsadm(&format!("-d -t {at} -r 10.0.2.11:80"))?;
                lab.ipvsadm(&format!("-e -t {at} -r 10.0.2.13:80 -m -w 5"))?;
                lab.restore(&format!("-a -t {at} -r 10.0.2.11:80 -m\n-E -t {at} -s wrr\n"))?;
                lab.ipvsadm(&format!("-D -t {}", vip(8000)))?;
                lab.ipvsadm("-Z")?;
                changes += 7;
            }
            Ok(())
        })();
        download.join().unwrap()?.ok()?;
        changing?;
        Ok(changes)
    })?;
    assert!(changes >= 35, "only {changes} changes during the download");
    ensure!(std::fs::read(&got)? == data, "the download differs");
    Ok(())
}
