//! How long the virtual address does not answer when its master fails, and when it is stopped: ours beside the distribution's,
//! with the same configuration.

use crate::figures::{Figures, Unit, Whose};
use anyhow::{Context as _, Result, ensure};
use lab::eventually;
use lab::pair::{self, Daemon, Pair, Side};
use lab::wait::secs;
use nix::sys::signal::Signal;
use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const VIP: &str = "10.0.1.10";
/// The longest that anything here may take.
const LIMIT: Duration = secs(60);
/// The least time without an answer that is a failure's, in seconds: the client asks every five milliseconds.
const GAP: f64 = 0.025;

/// How often it is measured in one round: it depends on when since the last advert the master ends, which is left to chance.
const TIMES: usize = 3;

/// How the master ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// Its cable is cut, and its daemon killed: the kernel that is left of it would answer on.
    Killed,
    /// By SIGTERM.
    Stopped,
}

/// What is measured: name, configuration of both, way to end.
const CASES: [(&str, &str, End); 3] = [
    ("VRRP failover, master killed, `advert_int 1`", "version 2\n advert_int 1", End::Killed),
    ("VRRP failover, master killed, `advert_int 0.1`", "version 3\n advert_int 0.1", End::Killed),
    ("VRRP failover, master stopped, `advert_int 0.1`", "version 3\n advert_int 0.1", End::Stopped),
];

/// Measures each, [`TIMES`] in every round; ours and the original's take turns.
pub(crate) fn measure(figures: &mut Figures, rounds: usize) -> Result<()> {
    for _ in 0..rounds * TIMES {
        for (name, lines, end) in CASES {
            for (whose, daemon) in [(Whose::Ours, pair::Whose::Ours), (Whose::Original, pair::Whose::Original)] {
                let took = once(daemon, end, lines).with_context(|| format!("{name}, {whose:?}"))?;
                figures.add(name, Unit::Millis, whose, took * 1e3);
            }
        }
    }
    Ok(())
}

fn config(side: Side, lines: &str) -> String {
    let priority = if side == Side::A { 150 } else { 100 };
    format!(
        "vrrp_instance VI_1 {{\n state BACKUP\n interface eth0\n virtual_router_id 51\n priority {priority}\n {lines}\n \
         virtual_ipaddress {{\n {VIP}/24\n }}\n}}\n"
    )
}

/// One failure; seconds without an answer.
fn once(whose: pair::Whose, end: End, lines: &str) -> Result<f64> {
    let pair = pair::start()?.context("needs root")?;
    let b = pair.keepalived(Side::B, whose, &config(Side::B, lines))?;
    let a = pair.keepalived(Side::A, whose, &config(Side::A, lines))?;
    eventually(LIMIT, || pair.only(Side::A, VIP))?;
    eventually(LIMIT, || b.said("Entering BACKUP STATE"))?;
    let log = pair.dir().join("ping.log");
    let ping = pair.client().command("ping").args(&format!("-n -D -i 0.005 {VIP}")).serve(&log)?;
    let answers = || fs::read_to_string(&log).unwrap_or_default().matches("bytes from").count();
    eventually(LIMIT, || {
        ensure!(answers() > 100, "no answers");
        Ok(())
    })?;
    let failed = fail(&pair, end, a)?;
    eventually(LIMIT, || {
        ensure!(pair.has(Side::B, VIP)?, "the backup does not take over: {}", b.log());
        Ok(())
    })?;
    let before = answers();
    eventually(LIMIT, || {
        ensure!(answers() > before + 20, "the backup does not answer: {}", b.log());
        Ok(())
    })?;
    let took = eventually(LIMIT, || {
        first_answer(&fs::read_to_string(&log)?, failed).with_context(|| format!("no answer: {}", b.log()))
    })?;
    ping.stop(Signal::SIGINT)?;
    Ok(took)
}

/// Ends the master; when.
fn fail(pair: &Pair, end: End, a: Daemon) -> Result<f64> {
    let failed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64();
    match end {
        End::Killed => {
            // In this order: what is not killed first might still say goodbye.
            pair.switch().ip("link set pa down")?;
            a.crash()?;
        }
        End::Stopped => drop(a.stop()?),
    }
    Ok(failed)
}

/// From `failed` (seconds since 1970) to the first answer behind the gap that the failure made, by what `ping -D` prints: the
/// longest since then, for a busy machine makes small ones as well.
fn first_answer(text: &str, failed: f64) -> Option<f64> {
    let answers = text.lines().filter(|line| line.contains("bytes from"));
    let time = |line: &str| line.strip_prefix('[')?.split_once(']')?.0.parse::<f64>().ok();
    let times: Vec<f64> = answers.filter_map(time).collect();
    let gaps = times.windows(2).filter(|pair| pair[1] > failed && pair[1] - pair[0] > GAP);
    let longest = gaps.max_by(|a, b| (a[1] - a[0]).total_cmp(&(b[1] - b[0])))?;
    Some(longest[1] - failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_behind_the_gap_counts() {
        let text = "PING\n[10.000] 64 bytes from a\n[10.005] 64 bytes from a\n[10.100] no\n[10.360] 64 bytes from a\n[10.365] 64 \
            bytes from a\n";
        let took = first_answer(text, 10.004).unwrap();
        assert!((took - 0.356).abs() < 1e-6, "{took}");
        let disturbed =
            format!("[10.001] 64 bytes from a\n[10.030] 64 bytes from a\n{}", &text[text.find("[10.360").unwrap()..]);
        assert_eq!(first_answer(&disturbed, 10.004), Some(took));
        // A gap before the failure is none of its own; and without one nothing has failed yet.
        assert_eq!(first_answer(text, 10.362), None);
        assert_eq!(first_answer("", 1.0), None);
    }
}
