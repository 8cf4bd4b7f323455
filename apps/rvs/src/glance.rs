//! `rvs status`: one page that tells an operator what this director does and whether it does well; with `--watch` again and
//! again, and then also what happened since the page before.
//!
//! Looking and printing are apart: [`Glance`] is what was seen at one moment, and pages are made of one or two of them.

mod page;

pub use page::{json, page};

use crate::stream::unwritten;
use rvs_core::verdict::Reason;
use rvs_dataplane::kernel::{Director, Status};
use rvs_dataplane::{Dataplane, Error};
use rvs_intent::{Listing, Totals};
use std::io::{ErrorKind, IsTerminal, Write, stdout};
use std::time::{Duration, Instant};

/// Seconds between two pages, unless said otherwise: the period in which the kernel side samples rates.
const PERIOD: &str = "2";

/// How often to look.
#[derive(clap::Args, Clone, Copy, PartialEq, Debug)]
pub struct Options {
    /// Print the page again every so many seconds, with what happened in between, until stopped.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = PERIOD, value_parser = seconds)]
    watch: Option<Duration>,
    /// With --watch: stop after so many pages.
    #[arg(long, value_name = "PAGES", requires = "watch")]
    count: Option<u32>,
}

/// Seconds with a fraction, from a tenth to a day.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "must be a number of seconds".to_owned())?;
    if !(0.1..=86_400.0).contains(&seconds) {
        return Err("must be from 0.1 to 86400 seconds".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// What there was to see at one moment.
#[derive(Clone, Debug)]
pub struct Glance {
    /// When.
    pub at: Instant,
    /// What is attached, what the kernel offers, how full the tables are.
    pub status: Status,
    /// The services with their figures.
    pub listing: Listing,
    /// The figures of all together.
    pub totals: Totals,
    /// Packets by reason.
    pub reasons: Vec<(Reason, u64)>,
}

fn look() -> Result<Option<Glance>, Error> {
    let Some(mut director) = Director::existing()? else { return Ok(None) };
    Ok(Some(Glance {
        at: Instant::now(),
        status: director.status()?,
        listing: director.listing()?,
        totals: director.totals()?,
        reasons: director.reasons()?,
    }))
}

/// Prints the page, once or again and again.
///
/// # Errors
/// The tables cannot be read, or the output not written.
pub fn run(options: Options, as_json: bool, out: &mut dyn Write) -> Result<(), Error> {
    let mut before: Option<Glance> = None;
    let mut pages = 0;
    loop {
        let now = look()?;
        let text = match as_json {
            // One line for each page, so that a reader of many can tell them apart.
            true => json(now.as_ref(), before.as_ref(), options.watch.is_some()),
            false => page(now.as_ref(), before.as_ref()),
        };
        match out.write_all(frame(&text, options, as_json, pages).as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(unwritten(error)),
        }
        pages += 1;
        let Some(period) = options.watch.filter(|_| options.count.is_none_or(|count| pages < count)) else {
            return Ok(());
        };
        before = now;
        std::thread::sleep(period);
    }
}

/// A page of many: on a terminal in the place of the one before, else below it.
fn frame(text: &str, options: Options, as_json: bool, pages: u32) -> String {
    match options.watch {
        Some(_) if !as_json && stdout().is_terminal() => format!("\x1b[H\x1b[2J{text}"),
        Some(_) if !as_json && pages > 0 => format!("\n{text}"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_a_time_that_makes_sense() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for text in ["0", "-1", "NaN", "inf", "1e9", "soon", ""] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
