//! Which parameters go together: what the protocol, or strict mode, does not allow is put right, and said.
//!
//! The machine runs whatever it is given; whoever reads a configuration calls this first.

use super::{HmacMode, InstanceParams, LegacyAuth, Protocol};
use core::fmt;
use core::time::Duration;

/// Something that does not go together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Conflict {
    /// `state MASTER` for another than the owner, or the other way round. Put right by the priority.
    StrictState,
    /// Authentication in strict mode. Dropped.
    StrictAuth,
    /// The newer authentication not enforced in strict mode. Enforced.
    StrictHmacMode,
    /// Version 2 for IPv6 in strict mode. Version 3 instead.
    StrictVersion,
    /// Peers in strict mode. Cannot run.
    StrictUnicast,
    /// `preempt_delay` in strict mode. Dropped.
    StrictPreemptDelay,
    /// Another number of adverts than three in strict mode. Three instead.
    StrictDownTimer,
    /// Accept mode of version 2 in strict mode for another than the owner. Dropped.
    StrictAccept,
    /// Repeated gratuitous ARP after adverts of lower priority in strict mode. Dropped.
    StrictGarp,
    /// Answers to adverts of lower priority in strict mode. Dropped.
    StrictLowerPrio,
    /// Answers to adverts of higher priority in strict mode. Dropped.
    StrictHigherPrio,
    /// An owner that listens to others in strict mode. It ignores them.
    StrictOwner,
    /// Adverts by the interface below the macvlan in strict mode. By the macvlan.
    StrictTransmitOnBase,
    /// The first IPv6 address is not link-local in strict mode. Only said.
    StrictFirstAddress,
    /// The Authentication Header over IPv6. Dropped.
    AhOverIpv6,
    /// Both kinds of authentication. The older is dropped.
    TwoAuths,
    /// The key to send with is not among the keys. The newer authentication is dropped.
    NoActiveKey,
    /// `nopreempt` for an owner, or with `state MASTER`. Dropped.
    MasterNopreempt,
    /// `preempt_delay` with `nopreempt`, for an owner, or with `state MASTER`. Dropped.
    PreemptDelay,
    /// The Authentication Header with `state MASTER`: its sequence has to be heard before. The state is dropped.
    MasterAh,
    /// `timer_expired_backup` without `nopreempt`. Dropped.
    TimerExpiredBackup,
    /// `owner_ignore_adverts` for another than the owner. Dropped.
    OwnerIgnoreAdverts,
    /// No virtual address. Version 3 and strict mode cannot run so; version 2 can.
    NoAddress,
    /// More than 255 virtual addresses, which no advert can name. Cannot run.
    TooManyAddresses,
    /// A virtual address of the other family; only excluded ones may be. Cannot run.
    AddressFamily,
}

impl Conflict {
    /// What it is and what is done about it.
    pub const fn text(self) -> &'static str {
        match self {
            Self::StrictState => {
                "strict mode: state MASTER is for priority 255 only, and required there; set by the priority"
            }
            Self::StrictAuth => "strict mode has no authentication; dropped",
            Self::StrictHmacMode => "strict mode has auth_hmac enforced; mode set to enforce",
            Self::StrictVersion => "strict mode has IPv6 in version 3 only; version 3 used",
            Self::StrictUnicast => "strict mode has no unicast peers; the instance cannot run",
            Self::StrictPreemptDelay => "strict mode has no preempt_delay; dropped",
            Self::StrictDownTimer => "strict mode has down_timer_adverts 3; set to that",
            Self::StrictAccept => "strict mode has no accept mode in version 2; dropped",
            Self::StrictGarp => "strict mode has no gratuitous ARP for lower priorities; dropped",
            Self::StrictLowerPrio => "strict mode has no adverts for lower priorities; dropped",
            Self::StrictHigherPrio => "strict mode has no higher_prio_send_advert; dropped",
            Self::StrictOwner => "strict mode has owner_ignore_adverts for priority 255; set",
            Self::StrictTransmitOnBase => "strict mode has no vmac_xmit_base; dropped",
            Self::StrictFirstAddress => "strict mode wants a link-local address first",
            Self::AhOverIpv6 => "auth_type AH is for IPv4 only; dropped",
            Self::TwoAuths => "authentication and auth_hmac exclude each other; authentication dropped",
            Self::NoActiveKey => "active_key names no key; auth_hmac dropped",
            Self::MasterNopreempt => "nopreempt contradicts state MASTER and priority 255; dropped",
            Self::PreemptDelay => "preempt_delay contradicts nopreempt, state MASTER and priority 255; dropped",
            Self::MasterAh => "auth_type AH has to hear the sequence before state MASTER; state BACKUP used",
            Self::TimerExpiredBackup => "timer_expired_backup needs nopreempt; dropped",
            Self::OwnerIgnoreAdverts => "owner_ignore_adverts is for priority 255 only; dropped",
            Self::NoAddress => "no virtual address",
            Self::TooManyAddresses => "more than 255 virtual addresses; move some to virtual_ipaddress_excluded",
            Self::AddressFamily => "virtual addresses of two families; move one to virtual_ipaddress_excluded",
        }
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// What came of the check.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Verdict {
    /// Everything found, in this order.
    pub conflicts: Vec<Conflict>,
    /// The instance cannot run.
    pub fatal: bool,
}

impl Verdict {
    fn put(&mut self, found: bool, conflict: Conflict) -> bool {
        if found {
            self.conflicts.push(conflict);
        }
        found
    }
}

impl InstanceParams {
    /// Puts right what does not go together.
    pub fn make_legal(&mut self, strict: bool) -> Verdict {
        let mut verdict = Verdict::default();
        if strict {
            self.be_strict(&mut verdict);
        }
        self.check_auth(&mut verdict);
        let owner = self.is_owner();
        let first = owner || self.start_as_master;
        if verdict.put(self.nopreempt && first, Conflict::MasterNopreempt) {
            self.nopreempt = false;
        }
        let delayed = !self.preempt_delay.is_zero() && (self.nopreempt || first);
        if verdict.put(delayed, Conflict::PreemptDelay) {
            self.preempt_delay = Duration::ZERO;
        }
        if verdict.put(self.timer_expired_backup.is_some() && !self.nopreempt, Conflict::TimerExpiredBackup) {
            self.timer_expired_backup = None;
        }
        if verdict.put(self.owner_ignore_adverts && !owner, Conflict::OwnerIgnoreAdverts) {
            self.owner_ignore_adverts = false;
        }
        let version3 = matches!(self.protocol, Protocol::V3 { .. });
        verdict.fatal |= verdict.put(self.addresses.is_empty(), Conflict::NoAddress) && (version3 || strict);
        verdict.fatal |= verdict.put(self.addresses.len() > 255, Conflict::TooManyAddresses);
        let foreign = self.addresses.iter().any(|vip| vip.address.is_ipv6() != self.ipv6);
        verdict.fatal |= verdict.put(foreign, Conflict::AddressFamily);
        verdict
    }

    fn check_auth(&mut self, verdict: &mut Verdict) {
        let unsendable =
            self.auth_hmac.as_ref().is_some_and(|auth| auth.keys.iter().all(|key| key.id() != auth.active));
        if verdict.put(unsendable, Conflict::NoActiveKey) {
            self.auth_hmac = None;
        }
        let (ipv6, newer) = (self.ipv6, self.auth_hmac.is_some());
        if let Protocol::V2 { auth, .. } = &mut self.protocol {
            let over_ipv6 = verdict.put(ipv6 && matches!(auth, LegacyAuth::Header(_)), Conflict::AhOverIpv6);
            if over_ipv6 || verdict.put(newer && *auth != LegacyAuth::None, Conflict::TwoAuths) {
                *auth = LegacyAuth::None;
            }
            let early = matches!(auth, LegacyAuth::Header(_))
                && self.start_as_master
                && self.priority != crate::Priority::OWNER;
            if verdict.put(early, Conflict::MasterAh) {
                self.start_as_master = false;
            }
        }
    }

    fn be_strict(&mut self, verdict: &mut Verdict) {
        let owner = self.is_owner();
        if verdict.put(self.start_as_master != owner, Conflict::StrictState) {
            self.start_as_master = owner;
        }
        if let Protocol::V2 { auth, interval } = &mut self.protocol {
            if verdict.put(*auth != LegacyAuth::None, Conflict::StrictAuth) {
                *auth = LegacyAuth::None;
            }
            // More than 40 seconds have no place in version 3: the most it has.
            let centis = crate::Centis::new(u16::from(interval.get()).saturating_mul(100));
            if verdict.put(self.ipv6, Conflict::StrictVersion) {
                let interval = centis.unwrap_or(crate::Centis::MAX);
                self.protocol = Protocol::V3 { interval, checksum_as_v2: false, old_unicast: Default::default() };
            }
        }
        if let Some(auth) = &mut self.auth_hmac
            && verdict.put(auth.mode != HmacMode::Enforce, Conflict::StrictHmacMode)
        {
            auth.mode = HmacMode::Enforce;
        }
        verdict.fatal |= verdict.put(self.is_unicast(), Conflict::StrictUnicast);
        if verdict.put(!self.preempt_delay.is_zero(), Conflict::StrictPreemptDelay) {
            self.preempt_delay = Duration::ZERO;
        }
        if verdict.put(self.down_timer_adverts != 3, Conflict::StrictDownTimer) {
            self.down_timer_adverts = 3;
        }
        let version2 = matches!(self.protocol, Protocol::V2 { .. });
        if verdict.put(self.accept && !owner && version2, Conflict::StrictAccept) {
            self.accept = false;
        }
        self.be_strict_in_answers(verdict);
        if let Some(vmac) = &mut self.vmac
            && verdict.put(vmac.transmit_on_base, Conflict::StrictTransmitOnBase)
        {
            vmac.transmit_on_base = false;
        }
        let local = |address: core::net::IpAddr| match address {
            core::net::IpAddr::V6(address) => address.is_unicast_link_local(),
            core::net::IpAddr::V4(_) => true,
        };
        verdict.put(self.addresses.first().is_some_and(|vip| !local(vip.address)), Conflict::StrictFirstAddress);
    }

    fn be_strict_in_answers(&mut self, verdict: &mut Verdict) {
        let garp = &mut self.garp;
        if verdict.put(garp.lower_prio_repeat > 0 || !garp.lower_prio_delay.is_zero(), Conflict::StrictGarp) {
            (garp.lower_prio_repeat, garp.lower_prio_delay) = (0, Duration::ZERO);
        }
        if verdict.put(!self.lower_prio_no_advert, Conflict::StrictLowerPrio) {
            self.lower_prio_no_advert = true;
        }
        if verdict.put(self.higher_prio_send_advert, Conflict::StrictHigherPrio) {
            self.higher_prio_send_advert = false;
        }
        if verdict.put(self.is_owner() && !self.owner_ignore_adverts, Conflict::StrictOwner) {
            self.owner_ignore_adverts = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{AhKey, HmacKey};
    use crate::params::{HmacParams, VirtualAddress};
    use crate::{Priority, Vrid};

    fn instance() -> InstanceParams {
        let mut params = InstanceParams::new("VI", "eth0", Vrid::new(1).unwrap());
        let address = "10.0.0.1".parse().unwrap();
        params.addresses.push(VirtualAddress { address, prefix: 24, device: None, options: "".into() });
        params
    }

    #[test]
    fn what_goes_together_is_left_alone() {
        let mut params = instance();
        assert_eq!(params.make_legal(false), Verdict::default());
        assert_eq!(params, instance());
    }

    #[test]
    fn strict_mode_puts_everything_right_at_once_and_then_finds_nothing() {
        let mut params = instance();
        params.start_as_master = true;
        params.preempt_delay = Duration::from_secs(1);
        params.down_timer_adverts = 2;
        params.higher_prio_send_advert = true;
        if let Protocol::V2 { auth, .. } = &mut params.protocol {
            *auth = LegacyAuth::Password([1; 8]);
        }
        let verdict = params.make_legal(true);
        let expected = [
            Conflict::StrictState,
            Conflict::StrictAuth,
            Conflict::StrictPreemptDelay,
            Conflict::StrictDownTimer,
            Conflict::StrictAccept,
            Conflict::StrictGarp,
            Conflict::StrictLowerPrio,
            Conflict::StrictHigherPrio,
        ];
        assert_eq!((verdict.conflicts, verdict.fatal), (expected.to_vec(), false));
        assert_eq!(params.make_legal(true), Verdict::default());
    }

    #[test]
    fn what_cannot_run_is_said() {
        let mut empty = instance();
        empty.addresses.clear();
        assert_eq!(empty.make_legal(false), Verdict { conflicts: vec![Conflict::NoAddress], fatal: false });
        assert!(empty.make_legal(true).fatal);
        let mut mixed = instance();
        mixed.ipv6 = true;
        assert!(mixed.make_legal(false).fatal);
        let mut many = instance();
        many.addresses = vec![many.addresses[0].clone(); 256];
        assert!(many.make_legal(false).fatal);
    }

    #[test]
    fn authentication_is_of_one_kind() {
        let keys = vec![HmacKey::new(1, vec![0; 32]).unwrap()];
        let newer = |active| Some(HmacParams { keys: keys.clone(), active, mode: HmacMode::Permissive, window: None });
        let mut both = instance();
        both.auth_hmac = newer(1);
        if let Protocol::V2 { auth, .. } = &mut both.protocol {
            *auth = LegacyAuth::Header(AhKey([1; 8]));
        }
        let mut keyless = both.clone();
        assert_eq!(both.make_legal(false).conflicts, [Conflict::TwoAuths]);
        keyless.auth_hmac = newer(2);
        assert_eq!(keyless.make_legal(false).conflicts, [Conflict::NoActiveKey]);
        assert!(matches!(keyless.protocol, Protocol::V2 { auth: LegacyAuth::Header(_), .. }));
    }

    #[test]
    fn who_hears_first_does_not_begin_as_master() {
        let mut params = instance();
        params.start_as_master = true;
        if let Protocol::V2 { auth, .. } = &mut params.protocol {
            *auth = LegacyAuth::Header(AhKey([1; 8]));
        }
        assert_eq!(params.make_legal(false).conflicts, [Conflict::MasterAh]);
        assert!(!params.start_as_master);
    }

    #[test]
    fn owners_do_not_wait() {
        let mut params = instance();
        params.priority = Priority::OWNER;
        params.nopreempt = true;
        params.preempt_delay = Duration::from_secs(1);
        assert_eq!(params.make_legal(false).conflicts, [Conflict::MasterNopreempt, Conflict::PreemptDelay]);
    }
}
