//! What an administrator waits for: a table of 10,000 services loaded, saved, listed and changed, and a tool's start. Only ours:
//! the original's needs a kernel with IPVS, and is measured in a virtual machine, beside ours.

use crate::figures::{Figures, Unit, Whose};
use anyhow::{Result, ensure};
use lab::wait::secs;
use lab::{Lab, Topology};
use std::fmt::Write as _;
use std::time::Instant;

/// Services, each with two destinations.
const SERVICES: u32 = 10_000;
/// The longest that one command may take.
const LIMIT: u64 = 60;

/// Rules in the order of a saved table.
fn rules() -> String {
    let mut text = String::new();
    for n in 0..SERVICES {
        let service = format!("10.{}.{}.{}:80", 20 + n / 2500, n / 50 % 50, 1 + n % 50);
        let _ = writeln!(text, "-A -t {service} -s rr");
        for server in [11, 12] {
            let _ = writeln!(text, "-a -t {service} -r 10.0.2.{server}:7 -m -w 1");
        }
    }
    text
}

/// One tool's run: milliseconds, and what it printed.
fn timed(lab: &Lab, tool: &str, args: &str, stdin: &str) -> Result<(f64, String)> {
    let command = lab.tool(tool)?.args(args).stdin(stdin).limit(secs(LIMIT));
    let began = Instant::now();
    let text = command.ok()?;
    Ok((began.elapsed().as_secs_f64() * 1e3, text))
}

/// Measures it all, so many times.
pub(crate) fn measure(figures: &mut Figures, rounds: usize) -> Result<()> {
    let rules = rules();
    for _ in 0..rounds {
        let lab = Lab::topology(Topology::nat().servers(1))?;
        let mut add = |name: &str, took: f64| figures.add(name, Unit::Millis, Whose::Ours, took);
        let (took, _) = timed(&lab, "ipvsadm", "-A -t 10.0.1.10:80 -s rr", "")?;
        add("first `ipvsadm -A`, which loads programs and maps", took);
        timed(&lab, "ipvsadm", "-C", "")?;
        add("`ipvsadm -Ln` of an empty table", timed(&lab, "ipvsadm", "-L -n", "")?.0);
        add("`ipvsadm-restore` of 10,000 services", timed(&lab, "ipvsadm-restore", "", &rules)?.0);
        let (took, saved) = timed(&lab, "ipvsadm-save", "-n", "")?;
        ensure!(saved == rules, "what is saved is not what was restored");
        add("`ipvsadm-save -n` of 10,000 services", took);
        let (took, listed) = timed(&lab, "ipvsadm", "-L -n", "")?;
        ensure!(listed.lines().count() == 3 + 3 * SERVICES as usize, "not all services are listed");
        add("`ipvsadm -Ln` of 10,000 services", took);
        let (took, _) = timed(&lab, "ipvsadm", "-a -t 10.20.0.1:80 -r 10.0.2.13:7 -m", "")?;
        add("`ipvsadm -a` beside 10,000 services", took);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_is_another_and_has_two_destinations() {
        let text = rules();
        let services: std::collections::BTreeSet<_> = text.lines().filter(|line| line.starts_with("-A")).collect();
        assert_eq!((services.len(), text.lines().count()), (10_000, 30_000));
    }
}
