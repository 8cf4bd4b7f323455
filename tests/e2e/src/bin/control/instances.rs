//! What a daemon of virtual routers costs: reading its configuration, its start, its memory and its share of a processor, ours
//! beside the distribution's, with the same configuration.

use crate::figures::{Figures, Unit, Whose};
use crate::usage::Usage;
use anyhow::{Context as _, Result, ensure};
use lab::eventually;
use lab::pair::{self, Pair, Side};
use lab::wait::{pass_until, secs};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Virtual routers: all numbers that there are, less a few.
const MANY: u8 = 250;
/// Addresses of each where the configuration is only read.
const ADDRESSES: u8 = 20;
/// How long the share of a processor is measured.
const MEASURED: Duration = secs(5);
const LIMIT: Duration = secs(60);

/// So many virtual routers, each with so many addresses, adverts ten times a second.
fn config(count: u8, addresses: u8) -> String {
    let mut text = String::new();
    for n in 1..=count {
        let _ = write!(
            text,
            "vrrp_instance VI_{n} {{\n state MASTER\n interface eth0\n virtual_router_id {n}\n priority 150\n version 3\n \
             advert_int 0.1\n virtual_ipaddress {{\n"
        );
        for address in 1..=addresses {
            let _ = writeln!(text, "  10.9.{n}.{address}/32");
        }
        text.push_str(" }\n}\n");
    }
    text
}

/// Measures it all, so many times.
pub(crate) fn measure(figures: &mut Figures, rounds: usize) -> Result<()> {
    for _ in 0..rounds {
        for (whose, daemon) in [(Whose::Ours, pair::Whose::Ours), (Whose::Original, pair::Whose::Original)] {
            let took = read(daemon).context("reading a configuration")?;
            figures.add("`keepalived -t`, 250 VRRP instances with 5,000 addresses", Unit::Millis, whose, took);
            for (count, what) in [(1, "1 VRRP instance"), (MANY, "250 VRRP instances")] {
                let (took, steady, share) = run(daemon, count).with_context(|| format!("{what}, {whose:?}"))?;
                if count == MANY {
                    figures.add(&format!("keepalived, start to last address, {what}"), Unit::Millis, whose, took);
                    figures.add(&format!("keepalived, processor, {what}, 10 adverts/s"), Unit::Percent, whose, share);
                }
                figures.add(&format!("keepalived, memory, {what}"), Unit::Mebibytes, whose, steady.memory);
                figures.add(&format!("keepalived, memory at most, {what}"), Unit::Mebibytes, whose, steady.peak);
            }
        }
    }
    Ok(())
}

/// Milliseconds of `keepalived -t`.
fn read(whose: pair::Whose) -> Result<f64> {
    let pair = pair::start()?.context("needs root")?;
    let path = pair.dir().join("large.conf");
    fs::write(&path, config(MANY, ADDRESSES))?;
    let program = match whose {
        pair::Whose::Ours => lab::director::tool("keepalived")?,
        pair::Whose::Original => PathBuf::from("/usr/sbin/keepalived"),
    };
    let command = pair.side(Side::A).command(program).args("-t -f").arg(&path).limit(LIMIT);
    let began = Instant::now();
    let outcome = command.run()?;
    let took = began.elapsed().as_secs_f64() * 1e3;
    ensure!(outcome.status == 0, "the configuration is not taken: {outcome}");
    Ok(took)
}

/// Milliseconds from start to the last address, use in the steady state, share of a processor in hundredths.
fn run(whose: pair::Whose, count: u8) -> Result<(f64, Usage, f64)> {
    let pair = pair::start()?.context("needs root")?;
    let last = format!("10.9.{count}.1");
    let began = Instant::now();
    let daemon = pair.keepalived(Side::A, whose, &config(count, 1))?;
    eventually(LIMIT, || {
        ensure!(pair.has(Side::A, &last)?, "no {last}: {}", daemon.log());
        Ok(())
    })?;
    let took = began.elapsed().as_secs_f64() * 1e3;
    let pids = || pair.side(Side::A).processes();
    let adverts = sent(&pair)?;
    let (from, before) = (Instant::now(), Usage::of(&pids()?)?);
    pass_until(from + MEASURED);
    let after = Usage::of(&pids()?)?;
    let (adverts, due) = (sent(&pair)? - adverts, MEASURED.as_secs() * 10 * u64::from(count));
    ensure!(adverts * 10 >= due * 9, "only {adverts} of {due} adverts were sent");
    let share = (after.time.saturating_sub(before.time)).as_secs_f64() / from.elapsed().as_secs_f64() * 100.0;
    daemon.stop()?;
    Ok((took, after, share))
}

/// Packets that the master has sent so far.
fn sent(pair: &Pair) -> Result<u64> {
    let text = pair.side(Side::A).enter(|| fs::read_to_string("/proc/thread-self/net/dev"))??;
    packets_sent(&text).with_context(|| format!("no eth0 in {text}"))
}

/// Packets sent out of eth0, in `/proc/net/dev`.
fn packets_sent(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix("eth0:"))?;
    line.split_whitespace().nth(9)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sent_packets_are_read() {
        let text = "Inter-| x\n    lo: 1 1 0 0 0 0 0 0 1 1 0\n  eth0: 9 8 0 0 0 0 0 0 90 7 0 0 0 0 0 0\n";
        assert_eq!((packets_sent(text), packets_sent("lo: 1")), (Some(7), None));
    }

    #[test]
    fn every_instance_has_its_number_and_its_addresses() {
        let text = config(MANY, ADDRESSES);
        assert_eq!(text.matches("vrrp_instance").count(), 250);
        assert_eq!(text.matches("/32").count(), 5000);
        assert!(text.contains("virtual_router_id 250\n") && text.contains("10.9.250.20/32"));
    }
}
