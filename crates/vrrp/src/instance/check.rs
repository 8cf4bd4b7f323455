//! Whether a packet is an advert for this virtual router: the original's checks in its order, each with its counter and its
//! sentence. A refused packet changes nothing but counters.

use super::garp::Cx;
use super::{Complaints, Instance};
use crate::packet::{Packet, TRAILER_LEN, TYPE_ADVERTISEMENT};
use crate::params::{LegacyAuth, OldUnicast, Protocol, Transport};
use core::net::IpAddr;
use core::time::Duration;
use rvs_machine::Time;

/// The one reason why a packet is refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Reject {
    /// An Authentication Header where none is expected, or none where one is.
    AhPresence,
    /// Shorter or longer than the addresses make it.
    Length,
    /// Multicast with another time to live than 255.
    HopLimit,
    /// Another version.
    Version,
    /// No trailer.
    TrailerMissing,
    /// A trailer of another scheme.
    TrailerMalformed,
    /// Made with a key that is not configured.
    TrailerKey,
    /// A wrong digest in the trailer.
    TrailerDigest,
    /// Too old or too new.
    TrailerStale,
    /// Not later than the last.
    TrailerReplay,
    /// No known type of authentication.
    AuthType,
    /// Another type of authentication.
    AuthMismatch,
    /// A wrong password.
    Password,
    /// A wrong digest in the Authentication Header.
    AhDigest,
    /// An SPI that is not the source.
    AhSpi,
    /// Not later than the last.
    AhReplay,
    /// Version 2 with another interval; version 3 with none.
    Interval,
    /// No advertisement.
    Type,
    /// Another length than the IP header says.
    IpLength,
    /// A wrong checksum.
    Checksum,
    /// Multicast to a unicast instance, or the other way round.
    Destination,
    /// We own the addresses and ignore everybody.
    Owner,
    /// Not from a peer.
    NoPeer,
    /// From a peer, with a time to live out of its range.
    PeerHopLimit,
}

/// The least time between two lines of one kind.
const COMPLAIN_EVERY: Duration = Duration::from_millis(900);

impl Complaints {
    /// True if a complaint of this kind may be written now.
    pub(super) fn allow(&mut self, kind: &'static str, now: Time) -> bool {
        let allowed = self.0.get(kind).is_none_or(|last| now.since(*last) >= COMPLAIN_EVERY);
        if allowed {
            self.0.insert(kind, now);
        }
        allowed
    }
}

impl Reject {
    /// A word for counters and logs.
    pub const fn label(self) -> &'static str {
        match self {
            Self::AhPresence => "ah-presence",
            Self::Length => "length",
            Self::HopLimit => "hop-limit",
            Self::Version => "version",
            Self::TrailerMissing => "trailer-missing",
            Self::TrailerMalformed => "trailer-malformed",
            Self::TrailerKey => "trailer-key",
            Self::TrailerDigest => "trailer-digest",
            Self::TrailerStale => "trailer-stale",
            Self::TrailerReplay => "trailer-replay",
            Self::AuthType => "auth-type",
            Self::AuthMismatch => "auth-mismatch",
            Self::Password => "password",
            Self::AhDigest => "ah-digest",
            Self::AhSpi => "ah-spi",
            Self::AhReplay => "ah-replay",
            Self::Interval => "interval",
            Self::Type => "type",
            Self::IpLength => "ip-length",
            Self::Checksum => "checksum",
            Self::Destination => "destination",
            Self::Owner => "owner",
            Self::NoPeer => "no-peer",
            Self::PeerHopLimit => "peer-hop-limit",
        }
    }
}

impl Instance {
    /// Writes a line of this kind, unless one was written just now.
    pub(super) fn complain(&mut self, cx: &mut Cx<'_>, kind: &'static str, text: impl FnOnce() -> String) {
        if self.complaints.allow(kind, cx.now) {
            cx.log(text());
        } else {
            self.stats.logs_suppressed += 1;
        }
    }

    /// Counts and reports a refused packet.
    pub(super) fn refuse(&mut self, cx: &mut Cx<'_>, reason: Reject, text: impl FnOnce() -> String) -> Reject {
        let stats = &mut self.stats;
        *match reason {
            Reject::AhPresence | Reject::AuthMismatch => &mut stats.authtype_mismatch,
            Reject::Length | Reject::IpLength => &mut stats.packet_len_err,
            Reject::HopLimit | Reject::PeerHopLimit => &mut stats.ip_ttl_err,
            Reject::Version => &mut stats.vers_err,
            Reject::TrailerMissing => &mut stats.auth_ext_missing,
            Reject::TrailerMalformed => &mut stats.auth_ext_malformed,
            Reject::TrailerKey => &mut stats.auth_ext_unknown_key,
            Reject::TrailerDigest => &mut stats.auth_ext_invalid_hmac,
            Reject::TrailerStale => &mut stats.auth_ext_stale,
            Reject::TrailerReplay => &mut stats.auth_ext_replay,
            Reject::AuthType => &mut stats.invalid_authtype,
            Reject::Password | Reject::AhDigest | Reject::AhSpi | Reject::AhReplay => &mut stats.auth_failure,
            Reject::Interval => &mut stats.advert_interval_err,
            Reject::Type => &mut stats.invalid_type_rcvd,
            Reject::Checksum => &mut stats.chk_err,
            Reject::Destination => &mut stats.addr_list_err,
            Reject::Owner | Reject::NoPeer => &mut stats.ignored,
        } += 1;
        self.complain(cx, reason.label(), text);
        reason
    }

    /// Checks a packet; `compare`: its addresses as well. Wrong addresses are reported and the advert is taken all the same.
    pub(super) fn check(&mut self, packet: &Packet<'_>, compare: bool, cx: &mut Cx<'_>) -> Result<(), Reject> {
        self.check_shape(packet, cx)?;
        self.check_trailer(packet, cx)?;
        self.check_body(packet, cx)?;
        self.check_lengths_and_sum(packet, cx)?;
        self.check_sender(packet, compare, cx)
    }

    fn check_shape(&mut self, packet: &Packet<'_>, cx: &mut Cx<'_>) -> Result<(), Reject> {
        let name = self.params.name.clone();
        let want_ah = matches!(&self.params.protocol, Protocol::V2 { auth: LegacyAuth::Header(_), .. });
        if packet.has_ah() != want_ah && !self.params.ipv6 {
            let text = || match want_ah {
                true => format!("({name}) No AH header but auth type is AH"),
                false => format!("({name}) Received AH header but auth type not AH"),
            };
            return Err(self.refuse(cx, Reject::AhPresence, text));
        }
        let trailer = self.params.auth_hmac.is_some() && packet.has_trailer();
        let expected = packet.expected_len() + if trailer { TRAILER_LEN } else { 0 };
        let len = packet.len();
        if len != expected && !packet.is_padded(expected) {
            let word = if len > expected { "long" } else { "short" };
            let text = || format!("({name}) vrrp packet too {word}, length {len} and expect {expected}");
            return Err(self.refuse(cx, Reject::Length, text));
        }
        if let Some(limit) = packet.hop_limit().filter(|limit| !self.params.is_unicast() && *limit != 255) {
            let text = || format!("({name}) invalid TTL/HL. Received {limit} and expect 255");
            return Err(self.refuse(cx, Reject::HopLimit, text));
        }
        let (version, expected) = (packet.version_number(), self.version().number());
        if version != expected {
            let text = || format!("({name}) wrong version. Received {version} and expect {expected}");
            return Err(self.refuse(cx, Reject::Version, text));
        }
        Ok(())
    }

    /// What the versions do differently, and the type.
    fn check_body(&mut self, packet: &Packet<'_>, cx: &mut Cx<'_>) -> Result<(), Reject> {
        let name = self.params.name.clone();
        if let Protocol::V2 { interval, auth } = &self.params.protocol {
            let (ours, expected, interval) = (packet.auth_type(), auth.number(), interval.get());
            if ours > 2 {
                return Err(self.refuse(cx, Reject::AuthType, || format!("({name}) Invalid auth type: {ours}")));
            }
            if ours != expected {
                let text = || format!("({name}) received a {ours} auth, expecting {expected}!");
                return Err(self.refuse(cx, Reject::AuthMismatch, text));
            }
            if let LegacyAuth::Password(password) = auth {
                // All bytes are looked at, whichever differs.
                let differs = packet.password().map(|theirs| {
                    theirs.iter().zip(password).fold(0, |differs, (theirs, ours)| differs | (theirs ^ ours))
                });
                if differs != Some(0) {
                    return Err(self.refuse(cx, Reject::Password, || format!("({name}) received an invalid passwd!")));
                }
            }
            self.check_ah(packet, cx)?;
            let theirs = packet.seconds();
            if theirs != interval {
                let text =
                    || format!("({name}) advertisement interval mismatch mine={interval} sec rcv'd={theirs} sec");
                return Err(self.refuse(cx, Reject::Interval, text));
            }
        }
        let kind = packet.kind();
        if kind != TYPE_ADVERTISEMENT {
            let text = || format!("({name}) Invalid packet type. {kind} and expect {TYPE_ADVERTISEMENT}");
            return Err(self.refuse(cx, Reject::Type, text));
        }
        Ok(())
    }

    fn check_lengths_and_sum(&mut self, packet: &Packet<'_>, cx: &mut Cx<'_>) -> Result<(), Reject> {
        let name = self.params.name.clone();
        let len = packet.len();
        if let Some(total) = packet.ip_total_len().filter(|total| *total != len && !packet.is_padded(*total)) {
            let text = || format!("({name}) ip_tot_len mismatch against received length. {total} and received {len}");
            return Err(self.refuse(cx, Reject::IpLength, text));
        }
        if let Protocol::V3 { interval, .. } = self.params.protocol {
            let theirs = packet.centis();
            let text = || {
                let ours = interval.get();
                format!("({name}) advertisement interval mismatch ours = {ours} centi-sec rcv'd={theirs} centi-sec")
            };
            if theirs == 0 {
                // An interval of nothing would make the master dead at once.
                return Err(self.refuse(cx, Reject::Interval, text));
            }
            if theirs != interval.get() {
                self.complain(cx, "v3-interval", text);
            }
        }
        if self.checksum_holds(packet, cx) {
            return Ok(());
        }
        let version = self.version().number();
        Err(self.refuse(cx, Reject::Checksum, || format!("({name}) Invalid VRRPv{version} checksum")))
    }

    fn checksum_holds(&mut self, packet: &Packet<'_>, cx: &mut Cx<'_>) -> bool {
        let (as_v2, old) = match self.params.protocol {
            // IPv6 has a pseudo header in either version.
            _ if self.params.ipv6 => return packet.checksum_pseudo(),
            Protocol::V2 { .. } => return packet.checksum_bare(),
            Protocol::V3 { checksum_as_v2, old_unicast, .. } => (checksum_as_v2, old_unicast),
        };
        let group = match &self.params.transport {
            Transport::Unicast { old_group, .. } => Some(*old_group),
            Transport::Multicast { .. } => None,
        };
        let is_old = |group: Option<IpAddr>| group.is_some_and(|group| packet.checksum_to(group));
        if as_v2 {
            // Such neighbours differ among themselves: either form, but not none.
            return packet.checksum_bare() || packet.checksum_pseudo();
        }
        match old {
            OldUnicast::Always if group.is_some() => is_old(group),
            OldUnicast::Detect if self.old_unicast && is_old(group) => true,
            OldUnicast::Detect if !packet.checksum_pseudo() && is_old(group) => {
                self.old_unicast = true;
                cx.log(format!("({}) Setting unicast VRRPv3 checksum to old version", self.params.name));
                true
            }
            _ => packet.checksum_pseudo(),
        }
    }

    /// Destination, addresses, source.
    fn check_sender(&mut self, packet: &Packet<'_>, compare: bool, cx: &mut Cx<'_>) -> Result<(), Reject> {
        let (name, source) = (self.params.name.clone(), packet.source());
        let unicast = self.params.is_unicast();
        if packet.destination().is_multicast() == unicast {
            let (ours, theirs) = if unicast { ("un", "mult") } else { ("mult", "un") };
            let text = || format!("({name}) Expected {ours}icast packet but received {theirs}icast packet");
            return Err(self.refuse(cx, Reject::Destination, text));
        }
        if self.params.owner_ignore_adverts && self.priority == crate::Priority::OWNER {
            let text = || format!("({name}) Dropping packet(s) from {source} since we are address owner");
            return Err(self.refuse(cx, Reject::Owner, text));
        }
        self.check_peer(packet, cx)?;
        self.stats.advert_rcvd += 1;
        self.compare_addresses(packet, compare, cx);
        if packet.priority() == 0 {
            self.stats.pri_zero_rcvd += 1;
        }
        Ok(())
    }

    fn compare_addresses(&mut self, packet: &Packet<'_>, compare: bool, cx: &mut Cx<'_>) {
        let name = self.params.name.clone();
        let (theirs, ours) = (usize::from(packet.count()), self.params.addresses.len());
        if theirs != ours {
            self.stats.addr_list_err += 1;
            self.complain(cx, "count", || format!("({name}) expected {ours} VIPs but received {theirs}"));
        } else if compare {
            // The counts are equal and ours differ among themselves: if all of ours are there, the lists are equal.
            let has = |address: IpAddr| packet.addresses().any(|theirs| theirs == address);
            let missing = self.params.addresses.iter().map(|vip| vip.address).find(|address| !has(*address));
            if let Some(missing) = missing {
                let vrid = self.params.vrid;
                self.stats.addr_list_err += 1;
                self.complain(cx, "addresses", || {
                    format!("({name}) ip address associated with VRID {vrid} not present in MASTER advert: {missing}")
                });
            }
        }
    }

    fn check_peer(&mut self, packet: &Packet<'_>, cx: &mut Cx<'_>) -> Result<(), Reject> {
        let Transport::Unicast { peers, check_source: true, .. } = &self.params.transport else { return Ok(()) };
        let (name, source) = (self.params.name.clone(), packet.source());
        let Some(peer) = peers.iter().find(|peer| peer.address == source).cloned() else {
            let text = || format!("({name}) unicast source address {source} not a unicast peer");
            return Err(self.refuse(cx, Reject::NoPeer, text));
        };
        let limit = packet.hop_limit().filter(|limit| !(peer.min_ttl..=peer.max_ttl).contains(limit));
        if let Some(limit) = limit {
            let (min, max) = (peer.min_ttl, peer.max_ttl);
            let text = || format!("({name}) TTL/HL {limit} not in range {min} - {max}");
            return Err(self.refuse(cx, Reject::PeerHopLimit, text));
        }
        Ok(())
    }

    pub(super) fn version(&self) -> crate::packet::Version {
        match self.params.protocol {
            Protocol::V2 { .. } => crate::packet::Version::V2,
            Protocol::V3 { .. } => crate::packet::Version::V3,
        }
    }
}

impl LegacyAuth {
    /// The number in the header.
    pub fn number(&self) -> u8 {
        match self {
            Self::None => 0,
            Self::Password(_) => 1,
            Self::Header(_) => 2,
        }
    }
}
