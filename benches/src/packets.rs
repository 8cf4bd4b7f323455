//! Nanoseconds per packet: each case is run over and over by `BPF_PROG_TEST_RUN`, the packet restored in between by a small
//! program of ours, whose own cost (measured with an empty program in place of the director's) is taken off.
//!
//! Rounds of all cases alternate, and medians are shown, because machines are noisy; ratios within one run travel, absolute
//! numbers do not.

mod lab;

use anyhow::{Context, Result, ensure};
use lab::{Lab, Method, Place};
use rvs_core::frames::{self, Shape};
use rvs_wire::tcp::{ACK, SYN};
use std::net::Ipv4Addr;

const ROUNDS: usize = 9;
const REPEAT: u32 = 200_000;
/// New connections per round and case: small enough that no round fills the table.
const NEW: u32 = 1 << 14;

/// A case: what the packets meet, and what they are.
struct Case {
    name: String,
    place: Place,
    method: Method,
    load: Load,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Load {
    /// Packets of one established connection.
    Established,
    /// Packets of many established connections in turn.
    Many(u32),
    /// Every packet begins a connection.
    New,
}

fn main() -> Result<()> {
    let json = std::env::args().any(|arg| arg == "--json");
    let mut lab = Lab::new()?;
    let cases = cases();
    let mut samples = vec![Vec::new(); cases.len()];
    let mut bases = [Vec::new(), Vec::new(), Vec::new()];
    let mut fresh = 1 << 24;
    for _ in 0..ROUNDS {
        for (base, samples) in [Place::Xdp, Place::XdpGrown, Place::Tc].into_iter().zip(&mut bases) {
            samples.push(lab.baseline(base, REPEAT)?);
        }
        for (case, samples) in cases.iter().zip(&mut samples) {
            samples.push(measure(&mut lab, case, &mut fresh)?);
        }
    }
    let bases = bases.map(median);
    let rows: Vec<_> =
        cases.iter().zip(samples).map(|(case, samples)| (case, median(samples), base(case, &bases))).collect();
    if json {
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
    for place in [Place::Xdp, Place::Tc] {
        for method in [Method::Nat, Method::Dr, Method::Tun] {
            let at = if place == Place::Tc { "TC" } else { "XDP" };
            for (what, load) in
                [("established", Load::Established), ("of 64 k established", Load::Many(1 << 16)), ("new", Load::New)]
            {
                cases.push(Case { name: format!("{at} {} {what}", method.label()), place, method, load });
            }
        }
    }
    cases
}

/// The baseline of a case: the same restoring, with nothing behind it.
fn base(case: &Case, bases: &[u32; 3]) -> u32 {
    match (case.place, case.method) {
        (Place::Xdp, Method::Tun) => bases[1],
        (Place::Xdp | Place::XdpGrown, _) => bases[0],
        (Place::Tc, _) => bases[2],
    }
}

fn measure(lab: &mut Lab, case: &Case, fresh: &mut u32) -> Result<u32> {
    let client = (Ipv4Addr::new(10, 0, 1, 100), 4000);
    let vip = (lab::VIP, case.method.port());
    let shape = Shape { payload: vec![0; 10], ..Shape::default() };
    let frame = |flags| frames::tcp(client, vip, flags, &shape);
    match case.load {
        Load::Established => {
            // The first packet makes the connection, the second finds it; both at TC, which also learns the next hop.
            lab.run(Place::Tc, &frame(SYN), 1, None)?;
            lab.run(Place::Tc, &frame(ACK), 1, None)?;
            lab.run(case.place, &frame(ACK), REPEAT, None)
        }
        Load::Many(flows) => {
            lab.run(Place::Tc, &frame(SYN), flows, Some((flows - 1, 0)))?;
            lab.run(case.place, &frame(ACK), REPEAT, Some((flows - 1, 0)))
        }
        Load::New => {
            let base = *fresh;
            *fresh += NEW;
            ensure!(*fresh >= base, "no fresh clients left");
            lab.run(Place::Tc, &frame(ACK), 1, None)?;
            let ns = lab.run(case.place, &frame(SYN), NEW, Some((NEW - 1, base)))?;
            lab.forget().context("ending the connections of a round")?;
            Ok(ns)
        }
    }
}

fn median(mut samples: Vec<u32>) -> u32 {
    samples.sort_unstable();
    samples[samples.len() / 2]
}
