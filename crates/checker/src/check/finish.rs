//! How a run ends: when the next one is, what is logged, and whether the verdict changes. The differences between kinds of
//! checks are keepalived's, as observed.

use super::{Check, Phase};
use crate::params::Probe;
use crate::sentence::{What, mail_down, mail_up};
use crate::verdict::{Advice, Finding, Verdict, Wish};
use crate::{Output, Reason};
use core::time::Duration;

impl Check {
    pub(super) fn passed(&mut self, finding: Finding) {
        self.ran(None);
        self.tried = 0;
        let unexpected = !self.up;
        // Of several expectations the last one speaks for all.
        if unexpected && let (Some(path), Some(&met)) = (self.path(), finding.met.last()) {
            self.say(What::Page(met, path));
        }
        let complete = self.next_turn();
        let at_once = match &self.params.probe {
            Probe::Http(http) => http.fast_recovery && unexpected && !complete,
            Probe::Smtp(_) => !complete,
            _ => false,
        };
        self.again(if at_once { Duration::ZERO } else { self.params.pace.delay_loop });
        self.advise(&finding);
        if complete {
            let first = !self.has_run;
            self.has_run = true;
            if unexpected || first {
                self.up = true;
                // Programs send a mail also when they succeed to begin with.
                let mail = unexpected || matches!(self.params.probe, Probe::Misc(_));
                let mail = mail.then(|| mail_up(&self.params.probe));
                self.say(What::Succeeded);
                self.out.push_back(Output::Verdict(Verdict::Up { first, mail }));
            }
        }
    }

    pub(super) fn failed(&mut self, reason: Reason) {
        self.ran(Some(reason.clone()));
        let pace = self.params.pace;
        let first = !self.has_run;
        // Before the first verdict most checks do not try again; once down, only two kinds do.
        let may_retry = match &self.params.probe {
            Probe::Smtp(_) => true,
            Probe::Tcp => !first,
            Probe::File(_) | Probe::Bfd(_) => false,
            _ => !first && self.up,
        };
        let retry = may_retry && self.tried < pace.retry;
        let news = self.up || first;
        let own_line = !matches!(self.params.probe, Probe::File(_) | Probe::Bfd(_));
        // These have a line for each failure and another one for the last; all others one, which says more at the end.
        let one_line = !matches!(self.params.probe, Probe::Tcp | Probe::Http(_) | Probe::Udp(_) | Probe::Ping);
        if news && own_line && self.params.log_all_failures && (retry || !one_line) {
            self.say(What::Failure { reason: reason.clone(), tried: self.tried });
        }
        if retry {
            self.tried += 1;
            self.again(pace.delay_before_retry);
            return;
        }
        self.tried = 0;
        self.has_run = true;
        if matches!(self.params.probe, Probe::Http(_)) {
            self.failed_turn = Some(self.turn);
        }
        self.again(pace.delay_loop);
        if news {
            let counted = match self.params.probe {
                Probe::Http(_) | Probe::Misc(_) => pace.retry > 0,
                Probe::File(_) | Probe::Bfd(_) => false,
                _ => pace.retry > 0 && !first,
            };
            // HTTP keeps silent about a server that was down to begin with.
            if self.up || !matches!(self.params.probe, Probe::Http(_)) {
                self.say(What::Failed { reason: reason.clone(), counted });
            }
            self.up = false;
            let mail = mail_down(&self.params, self.target().address, &reason);
            self.out.push_back(Output::Verdict(Verdict::Down { first, reason, mail }));
        }
        if matches!(self.params.probe, Probe::Smtp(_)) {
            self.turn = 0;
        }
    }

    fn ran(&mut self, reason: Option<Reason>) {
        self.facts.count(self.now, self.now.since(self.started), reason);
    }

    /// Sets the time of the next run. Programs keep step with their beginnings, everything else with its ends.
    fn again(&mut self, delay: Duration) {
        if self.phase == Phase::Watching {
            return;
        }
        let from = if matches!(self.params.probe, Probe::Misc(_)) { self.started } else { self.now };
        self.phase = Phase::Waiting;
        self.deadline = Some((from + delay).max(self.now));
    }

    fn path(&self) -> Option<String> {
        match &self.params.probe {
            Probe::Http(http) => http.urls.get(self.turn).map(|url| url.path.clone()),
            _ => None,
        }
    }

    /// Goes on to the next page or mail server; `true`: all have come right.
    fn next_turn(&mut self) -> bool {
        let turns = match &self.params.probe {
            Probe::Http(http) => http.urls.len(),
            Probe::Smtp(smtp) => smtp.hosts.len().max(1),
            _ => return true,
        };
        if self.failed_turn.take().is_some() {
            self.turn = 0;
            return false;
        }
        self.turn += 1;
        let complete = self.turn >= turns;
        if complete {
            self.turn = 0;
        }
        complete
    }

    fn advise(&mut self, finding: &Finding) {
        // An agent that says nothing about the weight leaves it; one that is up again is ready unless it says otherwise.
        if let Some(advice) = finding.advice
            && advice != self.advice
        {
            self.advice = advice;
            self.out.push_back(Output::Verdict(Verdict::Advice(advice)));
        }
        if let Some(wish) = finding.wish
            && wish != self.wish
        {
            self.wish = wish;
            self.out.push_back(Output::Verdict(Verdict::Wish(wish)));
        }
    }
}

/// For a check that says nothing: nothing.
impl Default for Advice {
    fn default() -> Self {
        Self::Add(0)
    }
}

/// For an agent that has said nothing: ready.
impl Default for Wish {
    fn default() -> Self {
        Self::Ready
    }
}
