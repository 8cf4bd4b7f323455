//! The quorum, and the sorry server that stands in when it is lost.

use super::{Notify, Service, ServiceOutput};

impl Service {
    /// A quorum that all real servers together cannot reach would never be gained: it is taken down to their weight.
    pub(super) fn limit_quorum(&mut self) {
        let total = self.params.reals.iter().map(|real| real.weight).fold(0, i64::saturating_add);
        let wanted = i64::from(self.params.quorum.max(1));
        self.quorum = u32::try_from(wanted.min(total.max(1))).unwrap_or(u32::MAX);
        if total > 0 && i64::from(self.quorum) < wanted {
            let name = &self.params.name;
            self.log(format!(
                "Warning - quorum {wanted} for {name} exceeds total weight of real servers {total}, reducing quorum to {total}"
            ));
        }
    }

    pub(super) fn start(&mut self) {
        if self.running {
            return;
        }
        self.running = true;
        self.touched = super::Touched::All;
        if self.params.init_notifies {
            for at in 0..self.reals.len() {
                self.tell(at, self.reals[at].alive);
            }
        }
        let (live, up_from) = (self.live_weight(), self.up_from());
        let (name, quorum, hysteresis) = (self.params.name.clone(), self.quorum, self.params.hysteresis);
        if live >= up_from {
            self.quorum_up = true;
            self.log(format!("Gained quorum {quorum}+{hysteresis}={up_from} <= {live} for VS {name}"));
            self.tell_quorum();
            self.mail_quorum("Starting with quorum up", up_from, live);
        } else if self.params.sorry.is_some() {
            let down_from = self.down_from();
            self.log(format!("Starting with quorum down {quorum}-{hysteresis}={down_from} > {live} for VS {name}"));
            self.sorry(true);
            self.tell_quorum();
            self.mail_quorum("Starting with quorum down", down_from, live);
        }
    }

    /// The live weight from which on the quorum is gained.
    fn up_from(&self) -> i64 {
        i64::from(self.quorum) + i64::from(self.params.hysteresis)
    }

    /// The live weight below which it is lost.
    fn down_from(&self) -> i64 {
        i64::from(self.quorum) - i64::from(self.params.hysteresis)
    }

    pub(super) fn update_quorum(&mut self) {
        if !self.running {
            return;
        }
        let live = self.live_weight();
        let (name, quorum, hysteresis) = (self.params.name.clone(), self.quorum, self.params.hysteresis);
        let (up_from, down_from) = (self.up_from(), self.down_from());
        if !self.quorum_up && live >= up_from {
            self.quorum_up = true;
            self.log(format!("Gained quorum {quorum}+{hysteresis}={up_from} <= {live} for VS {name}"));
            self.sorry(false);
            self.tell_quorum();
            self.mail_quorum("Gained quorum", up_from, live);
        } else if self.quorum_up && (live == 0 || live < down_from) {
            self.quorum_up = false;
            self.log(format!("Lost quorum {quorum}-{hysteresis}={down_from} > {live} for VS {name}"));
            self.sorry(true);
            self.tell_quorum();
            self.mail_quorum("Lost quorum", down_from, live);
        }
    }

    /// Lets the sorry server stand in, or the real servers come back.
    pub(super) fn sorry(&mut self, on: bool) {
        let Some(sorry) = &self.params.sorry else { return };
        if self.sorry_on == on {
            return;
        }
        self.sorry_on = on;
        self.touched = super::Touched::All;
        let (sorry_name, name) = (&sorry.name, &self.params.name);
        let (server, pool) = match (on, sorry.inhibit) {
            (true, false) => (format!("Adding sorry server {sorry_name} to VS {name}"), "Removing alive servers from"),
            (true, true) => (format!("Enabling sorry server {sorry_name} to VS {name}"), "Removing alive servers from"),
            (false, false) => (format!("Removing sorry server {sorry_name} from VS {name}"), "Adding alive servers to"),
            (false, true) => (format!("Disabling sorry server {sorry_name} from VS {name}"), "Adding alive servers to"),
        };
        let pool = format!("{pool} the pool for VS {name}");
        self.log(server);
        self.log(pool);
    }

    pub(super) fn tell_quorum(&mut self) {
        let (notify, word) = if self.quorum_up { (Notify::QuorumUp, "UP") } else { (Notify::QuorumDown, "DOWN") };
        self.notify(notify);
        self.pending.push(ServiceOutput::Fifo(format!("VS {} {word}", self.params.name)));
    }

    /// keepalived writes the sum in this way in mails whatever it is about.
    fn mail_quorum(&mut self, what: &str, threshold: i64, live: i64) {
        if self.params.smtp_alert {
            let word = if self.quorum_up { "UP" } else { "DOWN" };
            let subject = format!("Virtualserver {} - {word}", self.params.name);
            let body = format!("=> {what} {}+{}={threshold} <= {live} <=", self.quorum, self.params.hysteresis);
            self.pending.push(ServiceOutput::Mail { subject, body });
        }
    }
}
