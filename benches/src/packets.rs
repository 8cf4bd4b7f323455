//! Nanoseconds per packet: each case is run over and over by `BPF_PROG_TEST_RUN`, the packet restored in between by a small
//! program of ours, whose own cost (measured with an empty program in place of the director's) is taken off.
//!
//! Rounds of all cases alternate, and medians are shown, because machines are noisy; ratios within one run travel, absolute
//! numbers do not.

mod lab;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use lab::{Lab, Method, Place};
use rvs_core::frames::{self, Shape};
use rvs_core::sched::Kind;
use rvs_wire::Family;
use rvs_wire::tcp::{ACK, SYN};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// New connections per round and case: small enough that no round fills the table.
const NEW: u32 = 1 << 13;
/// The same for each scheduler, of which there are many.
const SCHEDULED: u32 = 1 << 10;

/// How much is measured. On an emulated processor that counts instructions nothing is noisy, and everything slow.
#[derive(Parser)]
#[command(name = "packets", about = "What a packet costs, in nanoseconds")]
struct Options {
    /// Only cases whose names contain this.
    only: Option<String>,
    /// Rounds of all cases; medians count.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Packets per round and case.
    #[arg(long, default_value_t = 200_000)]
    repeat: u32,
    /// Packets per round where each needs a run of its own.
    #[arg(long, default_value_t = 2_000)]
    singles: u32,
    /// Print one JSON document instead of a table.
    #[arg(long)]
    json: bool,
}

/// A case: what the packets meet, and what they are.
struct Case {
    name: String,
    place: Place,
    method: Method,
    load: Load,
    family: Family,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Load {
    /// Packets of one flow through the bare balancer, for comparison.
    Bare,
    /// Packets of one established connection.
    Established,
    /// Packets of many established connections in turn.
    Many(u32),
    /// Every packet begins a connection.
    New,
    /// The same to a service with this scheduler and the number of servers at this place in [`lab::SERVERS`].
    Scheduled(Kind, usize),
}

fn main() -> Result<()> {
    let options = Options::parse();
    let mut lab = Lab::new()?;
    let mut cases = cases();
    cases.retain(|case| options.only.as_ref().is_none_or(|only| case.name.contains(only)));
    let mut samples = vec![Vec::new(); cases.len()];
    let mut bases = [const { Vec::new() }; 4];
    let mut fresh = 1 << 24;
    for _ in 0..options.rounds {
        for (base, samples) in [Place::Xdp, Place::XdpGrown, Place::Tc].into_iter().zip(&mut bases) {
            samples.push(lab.baseline(base, options.repeat)?);
        }
        let singles: Result<Vec<_>> = (0..options.singles).map(|_| lab.baseline(Place::Tc, 1)).collect();
        bases[3].push(median(singles?));
        for (case, samples) in cases.iter().zip(&mut samples) {
            samples.push(
                measure(&mut lab, case, &mut fresh, &options)
                    .with_context(|| format!("case {}\n{}", case.name, lab.reasons()))?,
            );
        }
    }
    let bases = bases.map(median);
    let rows: Vec<_> =
        cases.iter().zip(samples).map(|(case, samples)| (case, median(samples), base(case, &bases))).collect();
    if options.json {
        let rows = rows.iter().map(|(case, ns, base)| {
            serde_json::json!({ "case": case.name, "ns": ns, "baseline_ns": base, "net_ns": ns.saturating_sub(*base) })
        });
        println!("{}", serde_json::to_string_pretty(&rows.collect::<Vec<_>>())?);
    } else {
        println!("{:<34} {:>8} {:>10} {:>8}", "case", "ns", "baseline", "net");
        for (case, ns, base) in rows {
            println!("{:<34} {ns:>8} {base:>10} {:>8}", case.name, ns.saturating_sub(base));
        }
    }
    Ok(())
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |name: String, place, method, load, family| cases.push(Case { name, place, method, load, family });
    for method in [Method::Nat, Method::Dr, Method::Tun] {
        add(format!("XDP {} bare", method.label()), Place::Xdp, method, Load::Bare, Family::V4);
    }
    for (place, at) in [(Place::Xdp, "XDP"), (Place::Tc, "TC")] {
        for method in [Method::Nat, Method::Dr, Method::Tun] {
            for (what, load) in [
                ("established", Load::Established),
                ("of 1 k established", Load::Many(1 << 10)),
                ("of 64 k established", Load::Many(1 << 16)),
                ("new", Load::New),
            ] {
                add(format!("{at} {} {what}", method.label()), place, method, load, Family::V4);
            }
            for (what, load) in [("established", Load::Established), ("new", Load::New)] {
                add(format!("{at} {} IPv6 {what}", method.label()), place, method, load, Family::V6);
            }
        }
    }
    for kind in Kind::ALL {
        for (size, servers) in lab::SERVERS.into_iter().enumerate() {
            let name = format!("XDP NAT new, {} of {servers}", kind.name());
            add(name, Place::Xdp, Method::Nat, Load::Scheduled(kind, size), Family::V4);
        }
    }
    // Last, because the connections stay: what a look-up costs in a full table.
    for (place, at) in [(Place::Xdp, "XDP"), (Place::Tc, "TC")] {
        let name = format!("{at} {} of 1 M established", Method::Dr.label());
        add(name, place, Method::Dr, Load::Many(1 << 20), Family::V4);
    }
    cases
}

/// The baseline of a case: the same restoring, with nothing behind it.
fn base(case: &Case, bases: &[u32; 4]) -> u32 {
    if case.is_single() {
        return bases[3];
    }
    match (case.place, case.method) {
        (Place::Xdp, Method::Tun) => bases[1],
        (Place::Xdp | Place::XdpGrown, _) => bases[0],
        (Place::Tc, _) => bases[2],
    }
}

fn measure(lab: &mut Lab, case: &Case, fresh: &mut u32, options: &Options) -> Result<u32> {
    let v6 = case.family == Family::V6;
    let client: IpAddr =
        if v6 { Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 0x64).into() } else { Ipv4Addr::new(10, 0, 1, 100).into() };
    let port = match case.load {
        Load::Scheduled(kind, size) => lab::scheduled_port(kind, size),
        _ => case.method.port(),
    };
    let vip: IpAddr = if v6 { lab::VIP6.into() } else { lab::VIP.into() };
    let shape = Shape { payload: vec![0; 30], ..Shape::default() };
    let frame = |flags| frames::tcp((client, 4000), (vip, port), flags, &shape);
    if case.load == Load::Bare {
        return lab.bare(case.method, &frame(ACK), options.repeat);
    }
    // The first packet makes the connection, the second finds it; both at TC, which also learns the next hop.
    lab.run(Place::Tc, &frame(SYN), 1, None)?;
    lab.run(Place::Tc, &frame(ACK), 1, None)?;
    match case.load {
        Load::Bare | Load::Established => present(lab, case, &frame(ACK), (options.repeat, options.singles), None),
        Load::Many(flows) => {
            // At TC, which needs no next hop that is still good at the end of a million; but see `present` for tunnels.
            let place = if case.method == Method::Tun { Place::Xdp } else { Place::Tc };
            let begin = Case { place, name: String::new(), ..*case };
            // Connections may begin with any segment here, and so are established from the first on.
            present(lab, &begin, &frame(ACK), (flows, options.singles), Some((flows - 1, 0)))?;
            present(lab, case, &frame(ACK), (options.repeat, options.singles), Some((flows - 1, 0)))
        }
        Load::New | Load::Scheduled(..) => {
            let count = if case.load == Load::New { NEW } else { SCHEDULED };
            let base = *fresh;
            *fresh += count;
            ensure!(*fresh >= base, "no fresh clients left");
            let ns = present(lab, case, &frame(SYN), (count, options.singles), Some((count - 1, base)))?;
            lab.forget().context("ending the connections of a round")?;
            Ok(ns)
        }
    }
}

/// Runs a case's packets. TC marks a tunnelled packet as encapsulated, which nothing takes back, so that there every repeat
/// needs a packet of its own.
fn present(
    lab: &mut Lab,
    case: &Case,
    frame: &[u8],
    (repeat, singles): (u32, u32),
    flows: Option<(u32, u32)>,
) -> Result<u32> {
    if case.place == Place::Xdp {
        // A next hop holds for a second: when it ends under way, TC learns it anew and the case is run again.
        for _ in 0..4 {
            if let Ok(ns) = lab.run(case.place, frame, repeat, flows) {
                return Ok(ns);
            }
            lab.run(Place::Tc, frame, 1, flows)?;
        }
    }
    if !case.is_single() {
        return lab.run(case.place, frame, repeat, flows);
    }
    let runs: Result<Vec<_>> = (0..singles).map(|_| lab.run(case.place, frame, 1, flows)).collect();
    runs.map(median)
}

impl Case {
    fn is_single(&self) -> bool {
        self.place == Place::Tc && self.method == Method::Tun
    }
}

fn median(mut samples: Vec<u32>) -> u32 {
    samples.sort_unstable();
    samples[samples.len() / 2]
}
