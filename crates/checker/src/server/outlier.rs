//! Ejection of outliers: a real server that leaves new connections without an answer loses its share for a while, and for twice
//! as long each further time, whatever its checks say. Its connections go on.

use super::{Outlier, Service};
use core::time::Duration;

/// How long the absence after so many earlier ones is.
fn absence(outlier: &Outlier, ejections: u32) -> Duration {
    let factor = 1_u32.checked_shl(ejections).unwrap_or(u32::MAX);
    outlier.base_ejection_time.saturating_mul(factor).min(outlier.max_ejection_time.max(outlier.base_ejection_time))
}

impl Service {
    pub(super) fn observe(&mut self, at: usize, answered: bool) {
        let Some(outlier) = self.params.outlier else { return };
        let real = &mut self.reals[at];
        if answered {
            real.unanswered = 0;
            return;
        }
        if !real.alive || real.ejected_until.is_some() {
            return;
        }
        real.unanswered = real.unanswered.saturating_add(1);
        if real.unanswered >= outlier.consecutive_failures.max(1) && self.may_eject(at, &outlier) {
            self.eject(at, &outlier);
        }
    }

    fn may_eject(&self, at: usize, outlier: &Outlier) -> bool {
        let absent = |real: &&super::Real| real.alive && real.ejected_until.is_some();
        let away: i64 = self.reals.iter().filter(absent).map(super::Real::weight).fold(0, i64::saturating_add);
        let allowed = self.live_weight().saturating_mul(i64::from(outlier.max_ejection_percent)) / 100;
        let others = self.reals.iter().enumerate().filter(|&(other, _)| other != at);
        let someone_stays = others.into_iter().any(|(_, real)| real.ejected_until.is_none() && real.live_weight() > 0);
        let fits = away.saturating_add(self.reals[at].weight()) <= allowed;
        someone_stays && (fits || away == 0 && outlier.max_ejection_percent > 0)
    }

    fn eject(&mut self, at: usize, outlier: &Outlier) {
        let now = self.now;
        let real = &mut self.reals[at];
        // Good behaviour for as long as the longest absence wipes the slate clean.
        if real.returned.is_some_and(|returned| now.since(returned) >= outlier.max_ejection_time) {
            real.ejections = 0;
        }
        let absence = absence(outlier, real.ejections);
        real.ejections = real.ejections.saturating_add(1);
        real.ejected_until = Some(now + absence);
        self.timed = true;
        let unanswered = core::mem::take(&mut real.unanswered);
        let (name, service) = (&real.params.name, &self.params.name);
        let text = format!(
            "Ejecting service {name} of VS {service} for {} s after {unanswered} connections without success",
            absence.as_secs_f64()
        );
        self.touch(at);
        self.log(text);
    }

    pub(super) fn end_ejections(&mut self) {
        let now = self.now;
        for at in 0..self.reals.len() {
            let real = &mut self.reals[at];
            if real.ejected_until.is_some_and(|until| until <= now) {
                (real.ejected_until, real.returned) = (None, Some(now));
                real.ramp = (!real.params.slow_start.is_zero()).then_some(now);
                let (name, service) = (&real.params.name, &self.params.name);
                let text = format!("Returning service {name} to VS {service}");
                self.touch(at);
                self.log(text);
            }
        }
    }
}
