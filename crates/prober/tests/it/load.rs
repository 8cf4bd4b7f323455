//! What thousands of checks cost: to be run by itself, with a release build:
//! `cargo test --release -p rvs-prober --test it load -- --ignored --nocapture --test-threads 1`.

use crate::world::{in_namespace, sh};
use nix::sys::resource::{UsageWho, getrusage};
use rvs_checker::*;
use rvs_prober::{Prober, Told};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const SERVERS: u32 = 5000;
const EVERY: Duration = Duration::from_secs(2);
const MEASURED: Duration = Duration::from_secs(20);
/// What is promised: a third of a core is more than that.
const CPU_LIMIT: f64 = 0.30;
const MEMORY_LIMIT_KB: i64 = 100 * 1024;

fn processor_time() -> (Duration, Duration) {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let time = |time: nix::sys::time::TimeVal| {
        Duration::new(u64::try_from(time.tv_sec()).unwrap(), u32::try_from(time.tv_usec()).unwrap() * 1000)
    };
    (time(usage.user_time()), time(usage.system_time()))
}

fn resident_kb() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// This program once more, as the server, so that its time is not ours.
fn server() -> (Server, u16) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "load::the_other_side", "--nocapture"])
        .env("RVS_LOAD_SERVER", "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let port = loop {
        let line = lines.next().expect("the server says its port").unwrap();
        if let Some(port) = line.strip_prefix("PORT ") {
            break port.parse().unwrap();
        }
    };
    (Server(child), port)
}

#[test]
#[ignore = "started by the others as their server"]
fn the_other_side() {
    if std::env::var_os("RVS_LOAD_SERVER").is_none() {
        return;
    }
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    println!("\nPORT {}", listener.local_addr().unwrap().port());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut buffer = [0; 4096];
                while let Ok((mut stream, _)) = listener.accept() {
                    if stream.read(&mut buffer).unwrap_or(0) > 0 {
                        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n");
                        let _ = stream.read(&mut buffer);
                    }
                }
            });
        }
    });
}

fn measure(name: &str, probe: impl Fn() -> Probe + Send + Sync) {
    let figures = in_namespace(|| {
        sh("sysctl -qw net.core.somaxconn=8192");
        let (_server, port) = server();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut prober = Prober::new(1).unwrap();
            for number in 0..SERVERS {
                let address = SocketAddr::from((Ipv4Addr::from(0x7f01_0000 + number), port));
                let pace = Pace { warmup: EVERY, ..Pace::of(&probe(), EVERY) };
                let target = Target::new(address);
                prober.subscribe(number, CheckParams { target, pace, log_all_failures: false, probe: probe() });
            }
            let mut drive = async |time: Duration| {
                let end = Instant::now() + time;
                let mut down = 0;
                while let Ok(told) = tokio::time::timeout_at(end.into(), prober.next()).await {
                    down += u32::from(matches!(told, Told::Verdict(_, Verdict::Down { .. })));
                }
                let runs: u64 = prober.registry().checks().map(|(_, check, _)| check.facts().runs).sum();
                (runs, down, prober.connections())
            };
            let (before, _, _) = drive(Duration::from_secs(5)).await;
            let (start, (user, system)) = (Instant::now(), processor_time());
            let (after, down, open) = drive(MEASURED).await;
            let (wall, (user_after, system_after)) = (start.elapsed(), processor_time());
            let share = |time: Duration| time.as_secs_f64() / wall.as_secs_f64();
            let (user, system) = (share(user_after - user), share(system_after - system));
            let rate = (after - before) as f64 / wall.as_secs_f64();
            println!(
                "{name}: {rate:.0} checks/s, {:.1} % of a core ({:.1} user, {:.1} system), {} KiB resident, {open} open, {down} down",
                (user + system) * 100.0,
                user * 100.0,
                system * 100.0,
                resident_kb()
            );
            (rate, user + system, resident_kb(), down)
        })
    });
    let Some((rate, share, resident, down)) = figures else { return };
    assert!(rate > 2300.0 && down == 0, "{rate} checks/s, {down} down");
    assert!(share < CPU_LIMIT, "{share} of a core");
    assert!(resident < MEMORY_LIMIT_KB, "{resident} KiB");
}

#[test]
#[ignore = "takes half a minute and a quiet machine"]
fn load_of_tcp() {
    measure("TCP_CHECK", || Probe::Tcp);
}

#[test]
#[ignore = "takes half a minute and a quiet machine"]
fn load_of_http() {
    measure("HTTP_GET", || {
        let urls = vec![Url { path: "/".into(), status: vec![(200, 200)], ..Url::default() }];
        Probe::Http(Http { urls, version: HttpVersion::Http10, virtualhost: None, fast_recovery: false, tls: None })
    });
}
