//! Tracking as arithmetic: what each tracked thing does to an instance's priority, and when it is a fault.
//!
//! Nothing here watches anything.

use crate::Priority;
use crate::io::ScriptEnd;
use crate::params::{ScriptParams, TrackParams, Tracked};

/// How something tracked stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// A script that has not ended yet since the start.
    Unknown,
    /// Up, well, running.
    Up,
    /// Down, ill, gone.
    Down,
    /// The number in a file.
    Value(i64),
}

impl Standing {
    /// Up or down.
    pub const fn of(up: bool) -> Self {
        if up { Self::Up } else { Self::Down }
    }
}

/// What it does to an instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Adds to the priority; may be negative.
    Weight(i64),
    /// The instance cannot take part.
    Fault,
    /// The instance cannot take part until more is known.
    Pending,
}

/// The effect of one tracked thing.
///
/// A weight of zero makes it a condition. A positive weight counts while it is up, a negative one while it is down; reversed,
/// the weight's sign is turned around, and a condition holds while it is down. A file's number is multiplied by the weight;
/// -254 and below is a fault.
pub fn effect(params: &TrackParams, standing: Standing) -> Effect {
    let weight = i64::from(params.weight);
    let signed = if params.reverse { -weight } else { weight };
    match standing {
        Standing::Value(value) if weight == 0 => {
            if (value != 0) != params.reverse {
                Effect::Fault
            } else {
                Effect::Weight(0)
            }
        }
        Standing::Value(value) => match value.saturating_mul(signed) {
            ..=-254 => Effect::Fault,
            product => Effect::Weight(product.min(253)),
        },
        Standing::Unknown if weight == 0 => Effect::Pending,
        Standing::Unknown => Effect::Weight(0),
        Standing::Up | Standing::Down => {
            let up = standing == Standing::Up;
            match weight {
                0 if up == params.reverse => Effect::Fault,
                0 => Effect::Weight(0),
                _ if up == (weight > 0) => Effect::Weight(signed),
                _ => Effect::Weight(0),
            }
        }
    }
}

/// The sum over everything an instance tracks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// The sum of the weights.
    pub weight: i64,
    /// How many are at fault.
    pub faults: u32,
    /// How many are not known yet.
    pub pending: u32,
}

impl Tally {
    /// Adds one.
    pub fn add(&mut self, effect: Effect) {
        match effect {
            Effect::Weight(weight) => self.weight = self.weight.saturating_add(weight),
            Effect::Fault => self.faults += 1,
            Effect::Pending => self.pending += 1,
        }
    }

    /// The priority that results; an owner's does not change.
    pub fn priority(&self, base: Priority) -> Priority {
        if base == Priority::OWNER {
            base
        } else {
            Priority::clamped(i64::from(base.get()).saturating_add(self.weight))
        }
    }
}

/// A script's successes and failures.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Script {
    params: ScriptParams,
    /// From 0, ill, over `rise`, just well, to `rise + fall - 1`, well: as the original counts.
    result: u32,
    known: bool,
    last_status: Option<i32>,
}

/// What a script's end has changed, with the sentences for the log.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ScriptChange {
    /// It is well or ill now, and was not before.
    pub standing: Option<bool>,
    /// Lines for the log.
    pub log: Vec<String>,
}

impl Script {
    /// A script that has not run yet. One success is enough at first, and one failure.
    pub fn new(params: ScriptParams) -> Self {
        let result = if params.init_fail { 0 } else { params.rise.saturating_sub(1) };
        let known = params.init_fail;
        Self { params, result, known, last_status: None }
    }

    /// The same script after a reload, with what is known of it.
    #[must_use]
    pub fn reloaded(mut self, params: ScriptParams) -> Self {
        let up = self.standing() == Standing::Up;
        if self.params != params {
            self.result = if up { params.rise + params.fall.saturating_sub(1) } else { 0 };
            self.params = params;
        }
        self
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        match (self.known, self.result >= self.params.rise) {
            (false, _) => Standing::Unknown,
            (true, up) => Standing::of(up),
        }
    }

    /// It has ended.
    pub fn ended(&mut self, end: ScriptEnd) -> ScriptChange {
        let mut change = ScriptChange::default();
        let name = &self.params.name;
        if let ScriptEnd::Exited(status) = end {
            if self.last_status.unwrap_or(0) != status {
                change.log.push(format!("Script `{name}` now returning {status}"));
            }
            self.last_status = Some(status);
        }
        let well = self.params.rise + self.params.fall.saturating_sub(1);
        if end == ScriptEnd::Exited(0) {
            if self.result + 1 < self.params.rise {
                self.result += 1;
            } else {
                if self.result < self.params.rise {
                    change.log.push(format!("VRRP_Script({name}) succeeded"));
                    change.standing = Some(true);
                }
                self.result = well;
            }
        } else if self.result > self.params.rise {
            self.result -= 1;
        } else {
            if self.result == self.params.rise || !self.known {
                change.log.push(format!("VRRP_Script({name}) {}", failure(end)));
                change.standing = Some(false);
            }
            self.result = 0;
        }
        self.known = true;
        change
    }
}

fn failure(end: ScriptEnd) -> String {
    match end {
        ScriptEnd::Exited(status) => format!("failed (exited with status {status})"),
        ScriptEnd::Signalled(signal) => format!("failed (due to signal {signal})"),
        ScriptEnd::TimedOut => "timed_out".to_owned(),
    }
}

/// True if the standing of `what` is meant by `tracked`.
pub fn concerns(tracked: &[TrackParams], what: &Tracked) -> bool {
    tracked.iter().any(|track| track.what == *what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(weight: i16, reverse: bool) -> TrackParams {
        TrackParams { what: Tracked::Script("s".into()), weight, reverse }
    }

    #[test]
    fn weights_and_conditions() {
        use Effect::{Fault, Pending, Weight};
        use Standing::{Down, Unknown, Up};
        // (weight, reverse): up, down, unknown
        for (weight, reverse, up, down, unknown) in [
            (20, false, Weight(20), Weight(0), Weight(0)),
            (-20, false, Weight(0), Weight(-20), Weight(0)),
            (20, true, Weight(-20), Weight(0), Weight(0)),
            (-20, true, Weight(0), Weight(20), Weight(0)),
            (0, false, Weight(0), Fault, Pending),
            (0, true, Fault, Weight(0), Pending),
        ] {
            let params = params(weight, reverse);
            assert_eq!(effect(&params, Up), up, "{weight} {reverse} up");
            assert_eq!(effect(&params, Down), down, "{weight} {reverse} down");
            assert_eq!(effect(&params, Unknown), unknown, "{weight} {reverse} unknown");
        }
    }

    #[test]
    fn files_count_their_number() {
        let value = |weight, reverse, value| effect(&params(weight, reverse), Standing::Value(value));
        assert_eq!(value(1, false, -50), Effect::Weight(-50));
        assert_eq!(value(2, true, 50), Effect::Weight(-100));
        assert_eq!(value(1, false, 9999), Effect::Weight(253));
        assert_eq!(value(1, false, -253), Effect::Weight(-253));
        assert_eq!(value(1, false, -254), Effect::Fault);
        assert_eq!(value(127, false, i64::MIN), Effect::Fault);
        assert_eq!((value(0, false, 1), value(0, false, 0)), (Effect::Fault, Effect::Weight(0)));
        assert_eq!((value(0, true, 1), value(0, true, 0)), (Effect::Weight(0), Effect::Fault));
    }

    #[test]
    fn the_owner_is_immune_to_weights_but_not_to_faults() {
        let mut tally = Tally::default();
        tally.add(Effect::Weight(-300));
        tally.add(Effect::Fault);
        assert_eq!(tally.priority(Priority::OWNER), Priority::OWNER);
        assert_eq!(tally.priority(Priority::DEFAULT).get(), 1);
        assert_eq!(tally.faults, 1);
        tally.add(Effect::Weight(900));
        assert_eq!(tally.priority(Priority::DEFAULT).get(), 254);
    }

    fn script(rise: u32, fall: u32, init_fail: bool) -> Script {
        Script::new(ScriptParams { name: "chk".into(), rise, fall, init_fail })
    }

    /// The standing after each end.
    fn run(script: &mut Script, ends: &str) -> String {
        ends.chars()
            .map(|end| {
                script.ended(if end == '+' { ScriptEnd::Exited(0) } else { ScriptEnd::Exited(1) });
                if script.standing() == Standing::Up { 'U' } else { 'D' }
            })
            .collect()
    }

    #[test]
    fn scripts_rise_and_fall() {
        assert_eq!(run(&mut script(2, 2, false), "+--++-+--"), "UUDDUUUUD");
        assert_eq!(run(&mut script(3, 1, false), "-+++-+"), "DDDUDD");
        assert_eq!(run(&mut script(2, 2, true), "++-+"), "DUUU");
        assert_eq!(run(&mut script(1, 1, false), "-+-"), "DUD");
        assert_eq!(script(1, 1, false).standing(), Standing::Unknown);
        assert_eq!(script(1, 1, true).standing(), Standing::Down);
    }

    #[test]
    fn the_sentences_are_the_recorded_ones() {
        let mut script = script(2, 2, false);
        let logs = |change: ScriptChange| change.log.join("; ");
        assert_eq!(logs(script.ended(ScriptEnd::Exited(0))), "VRRP_Script(chk) succeeded");
        assert_eq!(logs(script.ended(ScriptEnd::Exited(1))), "Script `chk` now returning 1");
        assert_eq!(logs(script.ended(ScriptEnd::Exited(1))), "VRRP_Script(chk) failed (exited with status 1)");
        assert_eq!(logs(script.ended(ScriptEnd::Exited(0))), "Script `chk` now returning 0");
        assert_eq!(logs(script.ended(ScriptEnd::Exited(0))), "VRRP_Script(chk) succeeded");
        assert_eq!(logs(script.ended(ScriptEnd::TimedOut)), "");
        assert_eq!(logs(script.ended(ScriptEnd::TimedOut)), "VRRP_Script(chk) timed_out");
    }
}
