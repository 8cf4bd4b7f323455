//! What thousands of real servers cost the whole daemon: memory, processor time, start, reload, status.
//!
//! The figures are to be taken by themselves, with a release build of the tools:
//! `RVS_BIN_DIR=… cargo test --release -p rvs-e2e --test check scale -- --ignored --nocapture --test-threads 1`.

use crate::LIMIT;
use crate::service::Keeper;
use anyhow::{Context as _, Result, ensure};
use lab::process::Running;
use lab::topology::{Topology, server};
use lab::wait::{pass_until, secs};
use lab::{Lab, eventually, start};
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

/// Real servers of one virtual server.
const EACH: u32 = 100;
/// The first real server; all are on the laboratory's first machine.
const FIRST: Ipv4Addr = Ipv4Addr::new(10, 128, 0, 0);
const PORT: u16 = 8080;
/// How long the share of the processor is measured.
const MEASURED: Duration = secs(20);

/// So many real servers, checked every 2 seconds; the first one has this weight.
fn config(reals: u32, each: u32, weight: u32) -> String {
    let mut text = String::new();
    for at in 0..reals {
        let (service, address) = (at / each, Ipv4Addr::from(u32::from(FIRST) + at + 1));
        if at % each == 0 {
            let vip = Ipv4Addr::new(10, 0, 1, 10);
            let port = 1000 + service;
            let _ = writeln!(
                text,
                "virtual_server {vip} {port} {{\ndelay_loop 2\nlvs_sched rr\nlvs_method NAT\nprotocol TCP"
            );
        }
        let weight = if at == 0 { weight } else { 1 };
        let check = "TCP_CHECK {\n connect_timeout 3\n retry 1\n delay_before_retry 1\n }";
        let _ = writeln!(text, "real_server {address} {PORT} {{\n weight {weight}\n {check}\n}}");
        if at % each == each - 1 || at + 1 == reals {
            text.push_str("}\n");
        }
    }
    text
}

/// This program once more as all the real servers, so that its time is not the daemon's.
fn servers(lab: &Lab) -> Result<Running> {
    let ns = lab.server(1);
    ns.ip(&format!("route add local {FIRST}/14 dev lo"))?;
    ns.sysctl("core/somaxconn", "8192")?;
    ns.sysctl("ipv4/tcp_max_syn_backlog", "8192")?;
    lab.director().ip(&format!("route add {FIRST}/14 via {}", server(1)))?;
    let log = lab.dir().join("servers.log");
    let all = ns
        .command(std::env::current_exe()?)
        .args("--ignored --exact scale::the_other_side --nocapture")
        .env("RVS_SCALE_SERVER", "1")
        .serve(&log)?;
    eventually(LIMIT, || {
        ensure!(fs::read_to_string(&log)?.contains("READY"), "the servers are not there yet");
        Ok(())
    })?;
    Ok(all)
}

#[test]
#[ignore = "started by the others as their real servers"]
fn the_other_side() {
    if std::env::var_os("RVS_SCALE_SERVER").is_none() {
        return;
    }
    // Thousands of servers would have as many queues; this one has to be as long.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)).into()).unwrap();
    socket.listen(8192).unwrap();
    let listener = TcpListener::from(socket);
    println!("\nREADY");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Ok((mut stream, _)) = listener.accept() {
                    if stream.read(&mut [0; 64]).unwrap_or(0) > 0 {
                        let _ = stream.write_all(b"hello\n");
                    }
                }
            });
        }
    });
}

/// What a process is seen to use: processor time, resident memory now and at most, in KiB.
struct Usage {
    time: Duration,
    resident: u64,
    most: u64,
}

fn usage(pid: i32) -> Result<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat.rsplit_once(')').context("no name")?;
    let numbers = rest.split_whitespace().skip(11).take(2);
    let ticks = numbers.map(|number| Ok(number.parse::<u64>()?)).sum::<Result<u64>>()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = |name: &str| -> Result<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such line")?;
        Ok(line.split_whitespace().next().context("no number")?.parse()?)
    };
    // A tick has been a hundredth of a second since long ago.
    Ok(Usage { time: Duration::from_millis(ticks * 10), resident: line("VmRSS:")?, most: line("VmHWM:")? })
}

/// Reloads and waits until it is done; how long that took by the clock, and of the processor.
fn reload(keeper: &Keeper<'_>, config: &str) -> Result<(Duration, Duration)> {
    let pid = keeper.pid()?.as_raw();
    let times = keeper.log().matches("Reload complete").count();
    let (began, before) = (Instant::now(), usage(pid)?.time);
    keeper.reload(config)?;
    eventually(LIMIT, || {
        ensure!(keeper.log().matches("Reload complete").count() > times, "the reload is not done");
        Ok(())
    })?;
    Ok((began.elapsed(), usage(pid)?.time.saturating_sub(before)))
}

fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, Duration)> {
    let began = Instant::now();
    Ok((work()?, began.elapsed()))
}

/// Waits until every check has run once, and says that its real server is up.
fn all_checked(keeper: &Keeper<'_>, reals: u32) -> Result<()> {
    eventually(LIMIT, || {
        let status = serde_json::from_str(&keeper.rvs("check --json")?)?;
        let seen = checks(&status).iter().filter(|check| check["has_run"] == true && check["up"] == true).count();
        ensure!(seen >= reals as usize, "{seen} of {reals} have been checked");
        Ok(())
    })
}

fn checks(status: &Value) -> Vec<Value> {
    let lists = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    let servers = lists(status, "virtual_servers");
    let reals = servers.iter().flat_map(|server| lists(server, "real_servers"));
    reals.flat_map(|real| lists(&real, "checks")).collect()
}

fn runs(status: &Value) -> u64 {
    checks(status).iter().filter_map(|check| check["runs"].as_u64()).sum()
}

/// Starts the daemon; until its table is there. How long that took by the clock.
fn begin<'a>(lab: &'a Lab, text: &str) -> Result<(Keeper<'a>, Duration)> {
    let began = Instant::now();
    let keeper = Keeper::launch(lab, &lab.director(), "scale", text, "")?;
    eventually(LIMIT, || keeper.said("Gained quorum"))?;
    Ok((keeper, began.elapsed()))
}

/// What is promised.
struct Figures {
    /// Resident memory in MiB, in the end and at most.
    resident: u64,
    most: u64,
    /// The share of a core.
    share: f64,
    listed: Duration,
    reloaded: Duration,
}

/// Takes the figures.
fn measure(reals: u32, each: u32) -> Result<Option<Figures>> {
    let Some(lab) = start(Topology::nat())? else { return Ok(None) };
    let _servers = servers(&lab)?;
    let text = config(reals, each, 1);
    let (keeper, started) = begin(&lab, &text)?;
    let pid = keeper.pid()?.as_raw();
    let at_start = usage(pid)?;
    all_checked(&keeper, reals)?;
    let (began, before) = (Instant::now(), usage(pid)?);
    pass_until(began + MEASURED);
    let after = usage(pid)?;
    let share = (after.time - before.time).as_secs_f64() / began.elapsed().as_secs_f64();
    let (page, listed) = timed(|| keeper.rvs("check"))?;
    let (json, listed_json) = timed(|| keeper.rvs("check --json"))?;
    let runs = runs(&serde_json::from_str(&json)?);
    ensure!(page.lines().count() > reals as usize && !page.contains("down"), "not all are up");
    let (unchanged, _) = reload(&keeper, &text)?;
    let (changed, cpu) = reload(&keeper, &config(reals, each, 5))?;
    let (fewer, _) = reload(&keeper, &config(reals - reals / 10, each, 5))?;
    // Memory that a reload took for a moment is given back a little later.
    pass_until(Instant::now() + secs(5));
    let last = usage(pid)?;
    println!(
        "{reals} real servers, {each} each: start {started:.2?} ({:.2?} of the processor), {} MiB then, {} MiB after checks, \
         {} MiB after reloads, {} MiB at most; {:.1} % of a core, {runs} runs; check {listed:.2?}, --json {listed_json:.2?} \
         ({} KiB); reload: unchanged {unchanged:.2?}, one weight {changed:.2?} ({cpu:.2?} of the processor), a tenth less \
         {fewer:.2?}",
        at_start.time,
        at_start.resident >> 10,
        after.resident >> 10,
        last.resident >> 10,
        last.most >> 10,
        share * 100.0,
        json.len() >> 10,
    );
    let (resident, most) = (last.resident >> 10, last.most >> 10);
    Ok(Some(Figures { resident, most, share, listed, reloaded: unchanged.max(changed) }))
}

#[test]
#[ignore = "takes a minute, a release build and a quiet machine"]
fn figures_of_5000() -> Result<()> {
    for each in [EACH, 5000] {
        let Some(Figures { resident, most, share, .. }) = measure(5000, each)? else { return Ok(()) };
        ensure!(resident < 100, "{resident} MiB");
        // For a moment at the start, while the programs are loaded, a little more.
        ensure!(most < 110, "{most} MiB at most");
        ensure!(share < 0.30, "{share} of a core");
    }
    Ok(())
}

#[test]
#[ignore = "takes a minute, a release build and a quiet machine"]
fn figures_of_10000() -> Result<()> {
    for each in [EACH, 10_000] {
        let Some(Figures { resident, listed, reloaded, .. }) = measure(10_000, each)? else { return Ok(()) };
        ensure!(resident < 150, "{resident} MiB");
        ensure!(listed < Duration::from_millis(500), "rvs check took {listed:?}");
        ensure!(reloaded < secs(1), "a reload took {reloaded:?}");
    }
    Ok(())
}
