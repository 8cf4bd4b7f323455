//! The counters of an instance, named as in the original's JSON.

use crate::packet::Malformed;

/// The counters of an instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Good adverts received.
    pub advert_rcvd: u64,
    /// Adverts sent, those of priority 0 included; one for all peers.
    pub advert_sent: u64,
    /// How often it became master.
    pub become_master: u64,
    /// How often it ceased to be.
    pub release_master: u64,
    /// Packets of a wrong length.
    pub packet_len_err: u64,
    /// Adverts of another interval.
    pub advert_interval_err: u64,
    /// Packets with a wrong time to live.
    pub ip_ttl_err: u64,
    /// Packets of another type than advertisement.
    pub invalid_type_rcvd: u64,
    /// Adverts of other addresses, or multicast for unicast.
    pub addr_list_err: u64,
    /// Unknown types of authentication.
    pub invalid_authtype: u64,
    /// Another type of authentication than configured.
    pub authtype_mismatch: u64,
    /// Wrong passwords and digests, replays.
    pub auth_failure: u64,
    /// Adverts of priority 0 received.
    pub pri_zero_rcvd: u64,
    /// Adverts of priority 0 sent.
    pub pri_zero_sent: u64,
    /// Wrong checksums.
    pub chk_err: u64,
    /// Another version of the protocol.
    pub vers_err: u64,
    /// The newer authentication: no trailer.
    pub auth_ext_missing: u64,
    /// The newer authentication: trailers of another scheme.
    pub auth_ext_malformed: u64,
    /// The newer authentication: keys that nobody knows.
    pub auth_ext_unknown_key: u64,
    /// The newer authentication: wrong digests.
    pub auth_ext_invalid_hmac: u64,
    /// The newer authentication: too old or too new.
    pub auth_ext_stale: u64,
    /// The newer authentication: seen before.
    pub auth_ext_replay: u64,
    /// Adverts ignored because it is the owner, or from no peer.
    pub ignored: u64,
    /// Log lines left out because the same was said less than a second before.
    pub logs_suppressed: u64,
    /// Addresses that somebody else took away.
    pub addresses_lost: u64,
    /// Timers that the process was woken for too late.
    pub late_wakes: u64,
}

/// What a router counts that belongs to no instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RouterStats {
    /// Packets that could not be read, by [`Malformed::ALL`]'s order.
    pub malformed: [u64; Malformed::ALL.len()],
    /// Adverts for virtual routers we do not run.
    pub unknown_vrid: u64,
    /// Packets while starting up, in fault, or of the wrong family for their interface's instances.
    pub unwanted: u64,
}

impl RouterStats {
    /// Counts a packet that could not be read.
    pub fn count(&mut self, reason: Malformed) {
        if let Some(at) = Malformed::ALL.iter().position(|known| *known == reason) {
            self.malformed[at] += 1;
        }
    }
}
