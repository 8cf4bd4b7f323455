//! What checked real servers cost the daemon, by their number: processor, memory, a reload. Only ours: the original's needs a
//! kernel with IPVS, and is measured in a virtual machine, beside ours.

use crate::figures::{Figures, Unit, Whose};
use crate::usage::Usage;
use anyhow::{Context as _, Result, ensure};
use lab::process::Running;
use lab::topology::server;
use lab::wait::{pass_until, secs};
use lab::{Lab, Topology, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Numbers of real servers, with what tables call them.
pub(crate) const COUNTS: [(u32, &str); 5] = [
    (1, "1 real server"),
    (1000, "1,000 real servers"),
    (2500, "2,500 real servers"),
    (5000, "5,000 real servers"),
    (10_000, "10,000 real servers"),
];
/// Real servers of one virtual server.
const EACH: u32 = 100;
/// The first real server; all are on the laboratory's first machine.
const FIRST: Ipv4Addr = Ipv4Addr::new(10, 128, 0, 0);
const PORT: u16 = 8080;
/// How long the share of a processor is measured: several periods of the checks.
const MEASURED: Duration = secs(10);
const LIMIT: Duration = secs(120);

/// So many real servers, checked every two seconds; the first one has this weight.
fn config(reals: u32, weight: u32) -> String {
    let mut text = String::new();
    for service in 0..reals.div_ceil(EACH) {
        let port = 1000 + service;
        let _ = writeln!(
            text,
            "virtual_server 10.0.1.10 {port} {{\ndelay_loop 2\nlvs_sched rr\nlvs_method NAT\nprotocol TCP"
        );
        for at in service * EACH..reals.min((service + 1) * EACH) {
            let (address, weight) = (Ipv4Addr::from(u32::from(FIRST) + at + 1), if at == 0 { weight } else { 1 });
            let check = "TCP_CHECK {\n connect_timeout 3\n retry 1\n delay_before_retry 1\n }";
            let _ = writeln!(text, "real_server {address} {PORT} {{\n weight {weight}\n {check}\n}}");
        }
        text.push_str("}\n");
    }
    text
}

/// Accepts at every address of this network namespace, until killed: all the real servers in one process of their own.
pub(crate) fn serve() -> Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)).into())?;
    // Thousands of servers would have as many queues; this one has to be as long.
    socket.listen(8192)?;
    let listener = TcpListener::from(socket);
    println!("READY");
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
    Ok(())
}

fn servers(lab: &Lab) -> Result<Running> {
    let ns = lab.server(1);
    ns.ip(&format!("route add local {FIRST}/14 dev lo"))?;
    ns.sysctl("core/somaxconn", "8192")?;
    ns.sysctl("ipv4/tcp_max_syn_backlog", "8192")?;
    lab.director().ip(&format!("route add {FIRST}/14 via {}", server(1)))?;
    let log = lab.dir().join("servers.log");
    let all = ns.command(std::env::current_exe()?).args("--serve").serve(&log)?;
    eventually(LIMIT, || {
        ensure!(fs::read_to_string(&log)?.contains("READY"), "the servers are not there yet");
        Ok(())
    })?;
    Ok(all)
}

/// The daemon, in the director's namespace.
struct Keeper<'a> {
    lab: &'a Lab,
    running: Running,
    log: PathBuf,
}

impl<'a> Keeper<'a> {
    fn start(lab: &'a Lab, config: &str) -> Result<Self> {
        let (dir, log) = (lab.dir().display(), lab.dir().join("keeper.log"));
        fs::write(lab.dir().join("keepalived.conf"), config)?;
        let args = format!("-n -l -D -G -C -f {dir}/keepalived.conf -p {dir}/k.pid -c {dir}/c.pid");
        let running = lab.tool("keepalived")?.args(&args).serve(&log)?;
        Ok(Self { lab, running, log })
    }

    fn pid(&self) -> Result<i32> {
        Ok(i32::try_from(self.running.pid().context("it does not run")?)?)
    }

    fn told(&self, text: &str) -> usize {
        fs::read_to_string(&self.log).unwrap_or_default().matches(text).count()
    }

    /// Its last lines.
    fn end_of_log(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }

    /// Waits until every check has found its real server up.
    fn settled(&self, reals: u32) -> Result<()> {
        let socket = self.lab.dir().join("k.sock");
        let text = || self.lab.tool("rvs")?.args("check --json --socket").arg(&socket).ok();
        eventually(LIMIT, || {
            let up = up(&serde_json::from_str(&text()?)?);
            ensure!(up >= reals as usize, "{up} of {reals} have been checked and found up");
            Ok(())
        })
        .with_context(|| format!("it says: {}", self.end_of_log()))
    }

    /// Milliseconds of a reload that changes one weight.
    fn reload(&self, config: &str) -> Result<f64> {
        const DONE: &str = "Reload complete";
        let times = self.told(DONE);
        fs::write(self.lab.dir().join("keepalived.conf"), config)?;
        let began = Instant::now();
        kill(Pid::from_raw(self.pid()?), Signal::SIGHUP)?;
        eventually(LIMIT, || {
            ensure!(self.told(DONE) > times, "the reload is not done: {}", self.end_of_log());
            Ok(())
        })?;
        Ok(began.elapsed().as_secs_f64() * 1e3)
    }
}

/// How many checks have run and found their real server up, in the document of `rvs check --json`.
fn up(status: &Value) -> usize {
    let list = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    let reals = list(status, "virtual_servers").into_iter().flat_map(|server| list(&server, "real_servers"));
    let checks = reals.flat_map(|real| list(&real, "checks"));
    checks.filter(|check| check["has_run"] == true && check["up"] == true).count()
}

/// Measures it for all numbers of real servers, so many times.
pub(crate) fn measure(figures: &mut Figures, rounds: usize) -> Result<()> {
    for _ in 0..rounds {
        for (reals, label) in COUNTS {
            once(figures, reals, label).context(label)?;
        }
    }
    Ok(())
}

fn once(figures: &mut Figures, reals: u32, label: &str) -> Result<()> {
    let lab = Lab::topology(Topology::nat().servers(1))?;
    let _servers = servers(&lab)?;
    let keeper = Keeper::start(&lab, &config(reals, 1))?;
    keeper.settled(reals)?;
    let pid = keeper.pid()?;
    let (from, before) = (Instant::now(), Usage::of(&[pid])?);
    pass_until(from + MEASURED);
    let after = Usage::of(&[pid])?;
    let share = (after.time.saturating_sub(before.time)).as_secs_f64() / from.elapsed().as_secs_f64() * 100.0;
    let mut add = |what: &str, unit, value| {
        figures.add(&format!("keepalived, {what}, {label}"), unit, Whose::Ours, value);
    };
    add("processor", Unit::Percent, share);
    add("memory", Unit::Mebibytes, after.memory);
    add("memory at most", Unit::Mebibytes, after.peak);
    add("reload", Unit::Millis, keeper.reload(&config(reals, 5))?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn there_are_as_many_real_servers_as_asked_for() {
        for (count, _) in COUNTS {
            let text = config(count, 5);
            assert_eq!(text.matches("real_server").count(), count as usize);
            assert_eq!(text.matches('{').count(), text.matches('}').count());
            assert_eq!(text.matches("weight 5\n").count(), 1);
        }
        assert_eq!(config(101, 1).matches("virtual_server").count(), 2);
    }

    #[test]
    fn only_checks_that_have_run_and_are_up_count() {
        let check = |run: bool, up: bool| json!({ "has_run": run, "up": up });
        let reals =
            json!([{ "checks": [check(true, true), check(true, false)] }, { "checks": [check(false, true)] }, {}]);
        assert_eq!(up(&json!({ "virtual_servers": [{ "real_servers": reals }] })), 1);
        assert_eq!(up(&Value::Null), 0);
    }
}
