//! What authentication remembers: the sequence of the Authentication Header, and who sent which trailer last.

use super::Instance;
use super::check::Reject;
use super::garp::Cx;
use crate::io::State;
use crate::packet::{HmacKey, Packet, Sequence};
use crate::params::{HmacMode, HmacParams, LegacyAuth, Protocol, Transport};
use core::net::IpAddr;

/// The Authentication Header's sequence: of what was heard as backup and of what was sent as master, one after the other.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AhCounter {
    sequence: u32,
    /// It has run out: nothing more is sent until somebody else was master.
    spent: bool,
}

/// Sequence numbers less apart than this are of two masters that count in step.
const IN_STEP: u32 = 1024;

/// Multicast senders that are remembered; contention seldom has more than two.
const SENDERS: usize = 4;

/// The newer authentication: our last sequence, and that of each sender, the latest heard last.
#[derive(Clone, Debug, Default)]
pub(super) struct HmacState {
    sent: Sequence,
    heard: Vec<(IpAddr, Sequence)>,
}

impl AhCounter {
    /// The number of the next advert.
    pub(super) fn next(&mut self) -> u32 {
        if self.sequence > 0xffff_fffd {
            self.spent = true;
        } else {
            self.sequence += 1;
        }
        self.sequence
    }

    /// Becoming master: begin anew if it had run out.
    pub(super) fn renew(&mut self) {
        if self.spent {
            *self = Self::default();
        }
    }

    /// Another master was heard.
    pub(super) fn set(&mut self, sequence: u32) {
        *self = Self { sequence, spent: false };
    }
}

impl HmacState {
    /// The sequence of the next advert: the clock's, or one more than the last. A clock that was far ahead and was put back
    /// is followed down in window mode, where receivers refuse what is too new.
    pub(super) fn next(&mut self, params: &HmacParams, utc: u64) -> Sequence {
        let clock = Sequence::at(utc);
        let ahead = i64::from(self.sent.seconds().wrapping_sub(clock.seconds()) as i32);
        let stranded = params.window.is_some_and(|window| ahead > i64::from(window));
        self.sent = if clock.after(self.sent) || stranded { clock } else { self.sent.next() };
        self.sent
    }

    /// True if `sequence` is later than all that `source` sent before; then it is remembered.
    fn is_later(&mut self, source: IpAddr, sequence: Sequence, clock: Option<(Sequence, u16)>, room: usize) -> bool {
        let known = self.heard.iter().position(|(sender, _)| *sender == source).map(|at| self.heard.remove(at));
        if let Some((_, last)) = known {
            // A mark outside the window orders only what the window refuses anyway; a sender whose clock was corrected
            // would be shut out by it.
            let expired = clock.is_some_and(|(now, window)| !within(now, last, window));
            if !expired && !sequence.after(last) {
                self.heard.push((source, last));
                return false;
            }
        }
        if self.heard.len() >= room {
            self.heard.remove(0);
        }
        self.heard.push((source, sequence));
        true
    }
}

/// True if the seconds of the two are at most `window` apart.
fn within(now: Sequence, then: Sequence, window: u16) -> bool {
    let age = now.seconds().wrapping_sub(then.seconds()) as i32;
    age.unsigned_abs() <= u32::from(window)
}

impl Instance {
    /// Verifies the Authentication Header.
    pub(super) fn check_ah(&mut self, packet: &Packet<'_>, cx: &mut Cx<'_>) -> Result<(), Reject> {
        let Protocol::V2 { auth: LegacyAuth::Header(key), .. } = &self.params.protocol else { return Ok(()) };
        let name = self.params.name.clone();
        if !packet.ah_holds(key, self.params.is_unicast()) {
            let text = || {
                format!("({name}) IPSEC-AH : invalid IPSEC HMAC-MD5 value. Due to fields mutation or bad password !")
            };
            return Err(self.refuse(cx, Reject::AhDigest, text));
        }
        if !packet.ah_spi_holds() {
            return Err(self.refuse(cx, Reject::AhSpi, || format!("({name}) IPSEC AH : invalid IPSEC SPI value")));
        }
        let sequence = packet.ah_sequence().unwrap_or_default();
        if sequence <= self.ah.sequence {
            let local = self.ah.sequence;
            self.contend(sequence, packet.source(), cx);
            let text = || {
                format!(
                    "({name}) IPSEC-AH : sequence number {sequence} already processed. Packet dropped. Local({local})"
                )
            };
            return Err(self.refuse(cx, Reject::AhReplay, text));
        }
        self.ah.set(sequence);
        Ok(())
    }

    /// Two masters that count in step refuse each other's adverts for ever. Each jumps ahead, the one that is to stay master
    /// further, so that it is heard. Not more often than one complaint, or repeating old adverts would use up the numbers.
    fn contend(&mut self, theirs: u32, source: IpAddr, cx: &Cx<'_>) {
        let in_step = self.ah.sequence - theirs < IN_STEP;
        if self.state == State::Master && in_step && self.complaints.allow("ah-contention", cx.now) {
            let jump = 2 * u32::from(self.priority.get()) + u32::from(self.source > Some(source));
            self.ah.sequence = self.ah.sequence.saturating_add(jump);
        }
    }

    /// Verifies the trailer.
    pub(super) fn check_trailer(&mut self, packet: &Packet<'_>, cx: &mut Cx<'_>) -> Result<(), Reject> {
        let Some(params) = self.params.auth_hmac.clone() else { return Ok(()) };
        let (name, source) = (self.params.name.clone(), packet.source());
        let clock = Sequence::at(cx.utc.saturating_add(cx.now.nanos()));
        let trailer = match packet.trailer() {
            Some(Ok(trailer)) => trailer,
            None if params.mode != HmacMode::Enforce => return Ok(()),
            None => {
                let text = || format!("({name}) missing authentication trailer from {source}");
                return Err(self.refuse(cx, Reject::TrailerMissing, text));
            }
            Some(Err(_)) => {
                let text = || format!("({name}) malformed authentication trailer from {source}");
                return Err(self.refuse(cx, Reject::TrailerMalformed, text));
            }
        };
        let room = match &self.params.transport {
            Transport::Multicast { .. } => SENDERS,
            Transport::Unicast { peers, .. } => {
                if !peers.iter().any(|peer| peer.address == source) {
                    let text = || format!("({name}) unicast source address {source} not a unicast peer");
                    return Err(self.refuse(cx, Reject::NoPeer, text));
                }
                peers.len()
            }
        };
        // What is stale is refused before the digest is made: replayed captures must not cost more than a look.
        if let Some(window) = params.window.filter(|window| !within(clock, trailer.sequence, *window)) {
            let skew = clock.seconds().wrapping_sub(trailer.sequence.seconds()) as i32;
            let text = || {
                format!(
                    "({name}) stale authentication trailer from {source}, clock skew {skew} sec exceeds window {window} sec"
                )
            };
            return Err(self.refuse(cx, Reject::TrailerStale, text));
        }
        let Some(key) = params.keys.iter().find(|key| key.id() == trailer.key_id) else {
            let text = || format!("({name}) unknown authentication key id {} from {source}", trailer.key_id);
            return Err(self.refuse(cx, Reject::TrailerKey, text));
        };
        if !packet.trailer_holds(key) {
            let text = || format!("({name}) invalid authentication HMAC from {source}");
            return Err(self.refuse(cx, Reject::TrailerDigest, text));
        }
        // Only what is authentic moves the mark.
        if !self.hmac.is_later(source, trailer.sequence, params.window.map(|window| (clock, window)), room) {
            let text = || format!("({name}) replayed authentication trailer from {source}");
            return Err(self.refuse(cx, Reject::TrailerReplay, text));
        }
        Ok(())
    }

    /// The key and sequence to send with, if it sends trailers.
    pub(super) fn trailer_seal(&mut self, utc: u64) -> Option<(HmacKey, Sequence)> {
        let params = self.params.auth_hmac.as_ref().filter(|params| params.mode != HmacMode::ReceiveOnly)?;
        let key = params.keys.iter().find(|key| key.id() == params.active)?.clone();
        Some((key, self.hmac.next(params, utc)))
    }
}
