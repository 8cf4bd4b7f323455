//! What is measured on a way: bulk transfer, packets per second, new connections, and what these cost.

use crate::ways::{DISCARD, IPERF, Open, Way};
use anyhow::{Context as _, Result, ensure};
use lab::topology::{CLIENT, CLIENT_MAC, DIRECTOR_FRONT_MAC};
use lab::wait::{eventually, secs};
use serde_json::Value;
use std::fs;
use std::time::Duration;

/// Connections that datagrams belong to.
const FLOWS: u16 = 1000;
/// Most datagrams of a measurement; its seconds end it sooner.
const DATAGRAMS: u64 = 20_000_000;

/// What one round found on one way. None: the way does not carry such.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    /// Gigabits per second of one TCP stream, and of eight together.
    pub(crate) bulk: [Option<f64>; 2],
    /// Datagrams of 64 bytes per second that reach the server.
    pub(crate) packets: Option<f64>,
    /// New connections per second, one request each.
    pub(crate) connections: Option<f64>,
    /// Microseconds until half of those, nine in ten, 99 in a hundred had their answer.
    pub(crate) latency: [Option<f64>; 3],
    /// Microseconds of all processors for a connection: client, server, and what is in between.
    pub(crate) cpu: Option<f64>,
}

/// Measures everything once, each for so many seconds.
pub(crate) fn measure(open: &Open<'_>, seconds: u64) -> Result<Figures> {
    let mut figures = Figures::default();
    for (figure, streams) in figures.bulk.iter_mut().zip([1, 8]) {
        *figure = Some(bulk(open, streams, seconds)?);
    }
    if !open.way.is_proxy() && open.way != Way::Direct {
        figures.packets = Some(packets(open, seconds)?);
    }
    connections(open, seconds, &mut figures)?;
    Ok(figures)
}

/// TCP streams: gigabits per second at the receiver.
fn bulk(open: &Open<'_>, streams: u32, seconds: u64) -> Result<f64> {
    let args = format!("-c {} -p {IPERF} -t {seconds} -P {streams} -J", open.way.address());
    // The server may still be busy with the end of the run before.
    eventually(secs(20), || {
        let text = open.client().command("iperf3").args(&args).limit(Duration::from_secs(seconds + 20)).ok()?;
        let result: Value = serde_json::from_str(&text)?;
        let bits = result.pointer("/end/sum_received/bits_per_second").and_then(Value::as_f64);
        Ok(bits.with_context(|| format!("iperf3 measured nothing: {text}"))? / 1e9)
    })
}

/// Small datagrams of many connections, sent by one processor as fast as it can: how many reach the server in a second.
fn packets(open: &Open<'_>, seconds: u64) -> Result<f64> {
    let sender = std::env::current_exe()?.with_file_name("sender");
    ensure!(sender.exists(), "there is no {}: run `cargo xtask bench throughput`", sender.display());
    let send = |count: u64| {
        let args = format!(
            "send --dev eth0 --via {} --mac {} --from {CLIENT} --sport 20000 --ports {FLOWS} --to {} --port {DISCARD} \
             --count {count} --seconds {seconds}",
            mac(DIRECTOR_FRONT_MAC),
            mac(CLIENT_MAC),
            open.way.address(),
        );
        let text = open.client().command(&sender).args(&args).limit(Duration::from_secs(seconds + 20)).ok()?;
        let took = text.split_whitespace().next().and_then(|word| word.parse::<f64>().ok());
        took.with_context(|| format!("the sender tells nothing: {text:?}"))
    };
    // Connections begin outside of what is measured.
    send(u64::from(FLOWS))?;
    let before = received(open)?;
    let took = send(DATAGRAMS)?;
    Ok((received(open)? - before) / took * 1e9)
}

/// Packets that have arrived at the server's interface.
fn received(open: &Open<'_>) -> Result<f64> {
    let text = open.site.lab.server(1).enter(|| fs::read_to_string("/proc/thread-self/net/dev"))??;
    let line = text.lines().find_map(|line| line.trim().strip_prefix("eth0:"));
    let packets = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    packets.with_context(|| format!("no eth0 in {text}"))
}

fn mac(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// New HTTP connections: how many in a second, how long each takes, and what it costs.
fn connections(open: &Open<'_>, seconds: u64, figures: &mut Figures) -> Result<()> {
    let command = open.client().command("wrk").args(&format!("-t 1 -c 32 -d {seconds}s --latency -H"));
    let url = format!("http://{}:{}/", open.way.address(), open.way.web_port());
    let busy = busy()?;
    let text = command.arg("Connection: close").arg(url).limit(Duration::from_secs(seconds + 20)).ok()?;
    let cpu = self::busy()? - busy;
    let web = web(&text).with_context(|| format!("wrk measured nothing: {text}"))?;
    figures.connections = Some(web.rate);
    figures.latency = web.latency;
    figures.cpu = Some(cpu * 1e6 / web.requests.max(1.0));
    Ok(())
}

/// What wrk tells.
struct Web {
    rate: f64,
    requests: f64,
    latency: [Option<f64>; 3],
}

fn web(text: &str) -> Option<Web> {
    let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok())?;
    let requests = text.lines().find_map(|line| line.split_once(" requests in")?.0.trim().parse().ok())?;
    let at = |share: &str| text.lines().find_map(|line| micros(line.trim().strip_prefix(share)?.trim()));
    Some(Web { rate, requests, latency: ["50%", "90%", "99%"].map(at) })
}

/// Microseconds in wrk's notation: `1.23ms`.
fn micros(text: &str) -> Option<f64> {
    let units = [("us", 1.0), ("ms", 1e3), ("s", 1e6), ("m", 6e7)];
    units.iter().find_map(|(unit, factor)| Some(text.strip_suffix(unit)?.parse::<f64>().ok()? * factor))
}

/// Seconds that all processors together have been at work.
fn busy() -> Result<f64> {
    let text = fs::read_to_string("/proc/stat")?;
    busy_ticks(&text).map(|ticks| ticks / 100.0).context("/proc/stat has no line of all processors")
}

/// User, nice, system, irq and softirq of the first line; idle and waiting are left out.
fn busy_ticks(stat: &str) -> Option<f64> {
    let fields: Option<Vec<f64>> =
        stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().map(|word| word.parse().ok()).collect();
    let fields = fields?;
    [0, 1, 2, 5, 6].into_iter().map(|place| fields.get(place).copied()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_prints_is_read() {
        let text = "  Latency Distribution\n     50%  751.00us\n     75%    0.98ms\n     90%    1.20ms\n     99%    2.5s\n  \
            15110 requests in 1.10s, 2.16MB read\nRequests/sec:  13733.87\n";
        let web = web(text).unwrap();
        assert_eq!((web.rate, web.requests), (13733.87, 15110.0));
        assert_eq!(web.latency, [Some(751.0), Some(1200.0), Some(2.5e6)]);
    }

    #[test]
    fn idle_time_is_no_work() {
        assert_eq!(busy_ticks("cpu  1 2 3 100 50 4 5 0 0 0\ncpu0 1\n"), Some(15.0));
    }
}
