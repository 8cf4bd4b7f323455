//! The benchmark: how the director's throughput compares to plain forwarding and to nftables on the same machine, through the
//! same kind of namespaces, in the same minute. Absolute figures mean little elsewhere; ratios travel.

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser;
use lab::topology::{VIP, server};
use lab::wait::{eventually, secs};
use lab::{Lab, Method, Running, Topology, http};
use serde_json::{Value, json};
use std::io::{IsTerminal as _, stderr};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::time::Duration;

/// Where iperf3 listens.
const IPERF: u16 = 5201;

/// Compares throughput through RVS with plain forwarding and nftables: bulk transfer by iperf3, new connections by wrk.
#[derive(Parser)]
#[command(name = "bench")]
struct Options {
    /// Rounds; every round measures everything once, medians count.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each single measurement.
    #[arg(long, default_value_t = 1)]
    seconds: u64,
    /// Print one JSON document instead of a table.
    #[arg(long)]
    json: bool,
}

/// A way from the client to real server 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// The director's namespace forwards, nothing of ours attached.
    Plain,
    /// The same, with our programs attached, whose business the traffic is not.
    Bystander,
    /// nftables rewrites the destination.
    Nftables,
    /// We do.
    Nat,
    /// Direct routing.
    Dr,
    /// Tunnel.
    Tun,
}

impl Way {
    const ALL: [Self; 6] = [Self::Plain, Self::Bystander, Self::Nftables, Self::Nat, Self::Dr, Self::Tun];

    const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain forwarding",
            Self::Bystander => "plain, RVS attached",
            Self::Nftables => "nftables DNAT",
            Self::Nat => "RVS NAT",
            Self::Dr => "RVS DR",
            Self::Tun => "RVS TUN",
        }
    }

    /// Where the client finds the server.
    const fn address(self) -> Ipv4Addr {
        match self {
            Self::Plain | Self::Bystander => server(1),
            Self::Nftables | Self::Nat | Self::Dr | Self::Tun => VIP,
        }
    }

    /// Where the web server listens. Ways on which the client sees another address than the server must not share a port: the
    /// same client ports come up again and again, and to the server (and the director) they would belong to connections of
    /// the round before, with other timestamps.
    const fn web_port(self) -> u16 {
        match self {
            Self::Plain | Self::Bystander => http::OTHER_PORT,
            Self::Nftables | Self::Nat | Self::Dr | Self::Tun => http::PORT,
        }
    }
}

/// One laboratory by method, each with its servers.
struct Site {
    lab: Lab,
    _iperf: Running,
}

struct Sites {
    nat: Site,
    dr: Site,
    tun: Site,
}

/// All measurements of one way.
#[derive(Default)]
struct Figures {
    gigabits: Vec<f64>,
    connections: Vec<f64>,
}

fn main() -> Result<()> {
    let options = Options::parse();
    if !lab::is_root() {
        bail!("needs root, for network namespaces: run it with sudo");
    }
    ensure!((1..=20).contains(&options.rounds) && (1..=10).contains(&options.seconds), "too many rounds or seconds");
    let sites = Sites { nat: site(Method::Nat)?, dr: site(Method::Dr)?, tun: site(Method::Tun)? };
    let mut all: Vec<(Way, Figures)> = Way::ALL.map(|way| (way, Figures::default())).into();
    for round in 1..=options.rounds {
        for (way, figures) in &mut all {
            if stderr().is_terminal() {
                eprint!("\rround {round} of {}: {:<24}", options.rounds, way.name());
            }
            let measured = measure(&sites, *way, options.seconds);
            let (gigabits, connections) = measured.with_context(|| format!("measuring {}", way.name()))?;
            figures.gigabits.push(gigabits);
            figures.connections.push(connections);
        }
    }
    if stderr().is_terminal() {
        eprint!("\r{:<50}\r", "");
    }
    report(&all, &options);
    Ok(())
}

fn site(method: Method) -> Result<Site> {
    let lab = Lab::topology(Topology::of(method).servers(1).http())?;
    // wrk opens tens of thousands of connections in a second.
    lab.client().sysctl("ipv4/ip_local_port_range", "1024 65535")?;
    let iperf = lab.server(1).command("iperf3").args(&format!("-s -p {IPERF}")).serve(&lab.dir().join("iperf"))?;
    eventually(secs(5), || {
        lab.server(1).enter(|| TcpStream::connect((Ipv4Addr::LOCALHOST, IPERF)))??;
        Ok(())
    })?;
    for port in [IPERF, http::PORT] {
        lab.serve("-t", SocketAddrV4::new(VIP, port), "-s rr", port, &[1])?;
    }
    if method == Method::Nat {
        // The plain ways lead through the director's namespace as well.
        lab.client().ip("route replace 10.0.2.0/24 via 10.0.1.1")?;
    }
    lab.warm()?;
    Ok(Site { lab, _iperf: iperf })
}

fn measure(sites: &Sites, way: Way, seconds: u64) -> Result<(f64, f64)> {
    let site = match way {
        Way::Plain | Way::Bystander | Way::Nftables | Way::Nat => &sites.nat,
        Way::Dr => &sites.dr,
        Way::Tun => &sites.tun,
    };
    let lab = &site.lab;
    let detached = matches!(way, Way::Plain | Way::Nftables);
    if detached {
        for interface in ["eth0", "eth1"] {
            lab.rvs(&format!("detach {interface}"))?;
        }
    }
    if way == Way::Nftables {
        let rules = format!(
            "table ip bench {{\nchain pre {{\ntype nat hook prerouting priority -100\nip daddr {VIP} dnat to {}\n}}\n}}\n",
            server(1)
        );
        lab.director().command("nft").args("-f -").stdin(rules).ok()?;
    }
    let measured = bulk(lab, way, seconds).and_then(|gigabits| Ok((gigabits, connections(lab, way, seconds)?)));
    if way == Way::Nftables {
        lab.director().command("nft").args("delete table ip bench").ok()?;
    }
    if detached {
        for interface in ["eth0", "eth1"] {
            lab.rvs(&format!("attach {interface}"))?;
        }
    }
    measured
}

/// One TCP stream: gigabits per second at the receiver.
fn bulk(lab: &Lab, way: Way, seconds: u64) -> Result<f64> {
    let args = format!("-c {} -p {IPERF} -t {seconds} -J", way.address());
    // The server may still be busy with the end of the run before.
    eventually(secs(5), || {
        let text = lab.client().command("iperf3").args(&args).limit(Duration::from_secs(seconds + 10)).ok()?;
        let result: Value = serde_json::from_str(&text)?;
        let bits = result.pointer("/end/sum_received/bits_per_second").and_then(Value::as_f64);
        Ok(bits.with_context(|| format!("iperf3 measured nothing: {text}"))? / 1e9)
    })
}

/// New HTTP connections per second.
fn connections(lab: &Lab, way: Way, seconds: u64) -> Result<f64> {
    let command = lab.client().command("wrk").args(&format!("-t 1 -c 32 -d {seconds}s -H")).arg("Connection: close");
    let text = command
        .arg(format!("http://{}:{}/", way.address(), way.web_port()))
        .limit(Duration::from_secs(seconds + 10))
        .ok()?;
    let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok());
    rate.with_context(|| format!("wrk measured nothing: {text}"))
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        _ if sorted.is_empty() => 0.0,
        1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

fn report(all: &[(Way, Figures)], options: &Options) {
    let of = |way: Way| all.iter().find(|(other, _)| *other == way).map(|(_, figures)| figures);
    let plain = of(Way::Plain).map_or((0.0, 0.0), |f| (median(&f.gigabits), median(&f.connections)));
    if options.json {
        let ways: Vec<Value> = all
            .iter()
            .map(|(way, f)| {
                json!({
                    "way": way.name(), "gigabits": f.gigabits, "connections": f.connections,
                    "gigabits_median": median(&f.gigabits), "gigabits_to_plain": median(&f.gigabits) / plain.0,
                    "connections_median": median(&f.connections), "connections_to_plain": median(&f.connections) / plain.1,
                })
            })
            .collect();
        println!("{:#}", json!({ "rounds": options.rounds, "seconds": options.seconds, "ways": ways }));
        return;
    }
    println!("{:<22} {:>8} {:>9} {:>14} {:>9}", "", "Gbit/s", "to plain", "connections/s", "to plain");
    for (way, figures) in all {
        let (bulk, connections) = (median(&figures.gigabits), median(&figures.connections));
        let (bulk_ratio, connection_ratio) = (bulk / plain.0, connections / plain.1);
        println!("{:<22} {bulk:>8.2} {bulk_ratio:>9.2} {connections:>14.0} {connection_ratio:>9.2}", way.name());
    }
    println!(
        "medians of {} rounds of {} s each; one stream (iperf3), 32 clients (wrk)",
        options.rounds, options.seconds
    );
}
