//! What is configured, as plain data: the daemon fills it in from keepalived.conf, and a reload compares it.
//!
//! Nothing here changes while a router runs. Everything is `Clone + PartialEq`, so that a reload finds what is unchanged.

mod legal;
mod tracking;

pub use legal::{Conflict, Verdict};
pub use tracking::{GroupParams, ProcessParams, ScriptParams, TrackParams, Tracked};

use crate::packet::{AhKey, HmacKey};
use crate::{Centis, Priority, Seconds, Vrid};
use core::net::IpAddr;
use core::time::Duration;
use std::sync::Arc;

/// A name: of an instance, a group, an interface, something tracked. Cheap to copy.
pub type Name = Arc<str>;

/// Everything configured for a router.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Config {
    /// The instances, in the order of the configuration; names are unique.
    pub instances: Vec<InstanceParams>,
    /// The sync groups; an instance is in at most one.
    pub groups: Vec<GroupParams>,
    /// The tracked scripts.
    pub scripts: Vec<ScriptParams>,
    /// The tracked processes.
    pub processes: Vec<ProcessParams>,
    /// How fast gratuitous ARP and neighbour advertisements may follow each other, per set of interfaces.
    pub pacing: Vec<PacingParams>,
    /// The pace of interfaces in no such set.
    pub default_pace: Pace,
    /// Say so when an advert for an unknown VRID comes (`log_unknown_vrids`).
    pub log_unknown_vrids: bool,
    /// Nobody becomes master before this long after the start (`vrrp_startup_delay`); adverts are ignored meanwhile.
    pub startup_delay: Duration,
}

/// One virtual router.
#[derive(Clone, PartialEq, Debug)]
pub struct InstanceParams {
    /// Its name.
    pub name: Name,
    /// The interface it runs on: the configured one, not the macvlan.
    pub interface: Name,
    /// The virtual router's number.
    pub vrid: Vrid,
    /// The configured priority.
    pub priority: Priority,
    /// `state MASTER`. Matters for priority 255 (master at once) and in sync groups (a shorter first wait).
    pub start_as_master: bool,
    /// IPv6: adverts are IPv6, and so are `addresses`.
    pub ipv6: bool,
    /// The version and what depends on it.
    pub protocol: Protocol,
    /// The newer authentication; with it, `protocol` has no older one.
    pub auth_hmac: Option<HmacParams>,
    /// The source of adverts (`mcast_src_ip`, `unicast_src_ip`); `None`: the interface's address.
    pub source: Option<IpAddr>,
    /// Where adverts go.
    pub transport: Transport,
    /// Do not preempt a master of lower priority.
    pub nopreempt: bool,
    /// How long a master of lower priority is left alone once it is heard; zero: not at all.
    pub preempt_delay: Duration,
    /// How many intervals without an advert mean that the master is gone (`down_timer_adverts`, 3).
    pub down_timer_adverts: u8,
    /// The virtual addresses in adverts, at most 255.
    pub addresses: Vec<VirtualAddress>,
    /// More of them that are in no advert; either family.
    pub excluded: Vec<VirtualAddress>,
    /// Virtual routes, opaque to this crate.
    pub routes: Vec<Name>,
    /// Virtual rules, opaque to this crate.
    pub rules: Vec<Name>,
    /// Accept packets to the virtual addresses even if not their owner; otherwise a firewall drops them.
    pub accept: bool,
    /// Set `promote_secondaries` on the interface.
    pub promote_secondaries: bool,
    /// The virtual interface that it lives on (`use_vmac`, `use_ipvlan`).
    pub vmac: Option<Vmac>,
    /// More of them, for addresses elsewhere: each with the interface below it (`use_vmac_addr`).
    pub side_vmacs: Vec<(Name, Vmac)>,
    /// Gratuitous ARP and neighbour advertisements.
    pub garp: GarpParams,
    /// Do not answer an advert of lower priority (`lower_prio_no_advert`).
    pub lower_prio_no_advert: bool,
    /// Answer an advert of higher priority before giving way (`higher_prio_send_advert`).
    pub higher_prio_send_advert: bool,
    /// With priority 255, ignore everybody (`owner_ignore_adverts`).
    pub owner_ignore_adverts: bool,
    /// Compare addresses only when the master changes (`skip_check_adv_addr`).
    pub skip_check_adv_addr: bool,
    /// As master, after a pause in which a backup of this priority must have taken over, go to backup
    /// (`timer_expired_backup`).
    pub timer_expired_backup: Option<Priority>,
    /// What it tracks besides its own interface.
    pub track: Vec<TrackParams>,
    /// The state of its own interface does not matter (`dont_track_primary`).
    pub dont_track_primary: bool,
    /// A configured `source` must be on some interface (`track_src_ip`).
    pub track_source: bool,
    /// The configuration is such that it can only be in fault (`unicast_fault_no_peer` without peers).
    pub config_fault: bool,
    /// Report changes of priority (`notify_priority_changes`).
    pub notify_priority_changes: bool,
    /// Report deletion as `DELETED`, not as `FAULT` (`notify_deleted`).
    pub notify_deleted: bool,
}

/// The version and what depends on it.
#[derive(Clone, PartialEq, Debug)]
pub enum Protocol {
    /// Version 2.
    V2 {
        /// The interval; all routers must agree on it.
        interval: Seconds,
        /// The authentication.
        auth: LegacyAuth,
    },
    /// Version 3.
    V3 {
        /// The interval as master; a backup takes the master's.
        interval: Centis,
        /// Leave the pseudo header out of the checksum over IPv4 (`v3_checksum_as_v2`).
        checksum_as_v2: bool,
        /// What to think of unicast adverts whose pseudo header has the multicast group (`old_unicast_checksum`).
        old_unicast: OldUnicast,
    },
}

/// The authentication of version 2.
#[derive(Clone, PartialEq, Debug)]
pub enum LegacyAuth {
    /// None.
    None,
    /// A password in clear text, filled up with zeros.
    Password([u8; 8]),
    /// The Authentication Header.
    Header(AhKey),
}

/// Unicast adverts of version 3 whose pseudo header has the multicast group, as old versions of keepalived send them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OldUnicast {
    /// Take them, and send such adverts as well from then on.
    #[default]
    Detect,
    /// Send and take only them.
    Always,
    /// Refuse them.
    Never,
}

/// Where adverts go.
#[derive(Clone, PartialEq, Debug)]
pub enum Transport {
    /// To a group, with time to live 255; nothing else is accepted.
    Multicast {
        /// 224.0.0.18, ff02::12 or another group.
        group: IpAddr,
    },
    /// To peers.
    Unicast {
        /// The peers.
        peers: Vec<Peer>,
        /// The time to live of our adverts (255).
        hop_limit: u8,
        /// Accept adverts only from peers, with a time to live in the peer's range (`check_unicast_src`).
        check_source: bool,
        /// The group of the old checksum ([`OldUnicast`]).
        old_group: IpAddr,
    },
}

/// A unicast peer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// The least time to live of its adverts (0).
    pub min_ttl: u8,
    /// The greatest (255).
    pub max_ttl: u8,
}

/// The newer authentication.
#[derive(Clone, PartialEq, Debug)]
pub struct HmacParams {
    /// The keys; ids are unique.
    pub keys: Vec<HmacKey>,
    /// The key to send with; one of `keys`.
    pub active: u8,
    /// Sender's and receiver's behaviour.
    pub mode: HmacMode,
    /// Adverts must be this fresh, in seconds (1 to 300); `None`: only later than the last (`anti_replay monotonic`).
    pub window: Option<u16>,
}

/// What `auth_hmac` does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HmacMode {
    /// Verify a trailer that is there, send none.
    ReceiveOnly,
    /// Send a trailer, accept adverts without.
    Permissive,
    /// Send a trailer, accept none without.
    Enforce,
}

/// An address of a virtual router.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VirtualAddress {
    /// The address.
    pub address: IpAddr,
    /// The length of its prefix.
    pub prefix: u8,
    /// The interface it is put on; `None`: the instance's own (its macvlan, if it has one).
    pub device: Option<Name>,
    /// Everything else that is configured for it (scope, label, …), opaque to this crate.
    pub options: Name,
}

/// A virtual interface for a virtual router.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Vmac {
    /// Its name: `vrrp.51` unless configured.
    pub name: Name,
    /// What it is.
    pub kind: VmacKind,
    /// Adverts leave by the interface below (`vmac_xmit_base`).
    pub transmit_on_base: bool,
    /// It is for addresses of IPv6.
    pub ipv6: bool,
    /// The VRF that it belongs to.
    pub vrf: Option<Name>,
}

/// The kinds of virtual interfaces for virtual routers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VmacKind {
    /// A macvlan with this address: 00:00:5e:00:01:VRID or 00:00:5e:00:02:VRID unless configured.
    Macvlan([u8; 6]),
    /// An ipvlan: it has the MAC address of the interface below, and perhaps an address of its own.
    Ipvlan(Isolation, Option<IpAddr>),
}

/// How the ipvlans of one interface see each other; all of them the same way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Isolation {
    /// As on one segment.
    #[default]
    Bridge,
    /// Not at all.
    Private,
    /// By way of the switch.
    Vepa,
}

impl Vmac {
    /// The MAC address, if it is its own.
    pub const fn mac(&self) -> Option<[u8; 6]> {
        match self.kind {
            VmacKind::Macvlan(mac) => Some(mac),
            VmacKind::Ipvlan(..) => None,
        }
    }

    /// The virtual router's MAC address (RFC 9568, 7.3).
    pub const fn standard_mac(vrid: Vrid, ipv6: bool) -> [u8; 6] {
        [0x00, 0x00, 0x5e, 0x00, if ipv6 { 2 } else { 1 }, vrid.get()]
    }
}

/// Gratuitous ARP and neighbour advertisements.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GarpParams {
    /// From becoming master to the second round (5 s); zero: none.
    pub master_delay: Duration,
    /// How many per address and round (5).
    pub master_repeat: u8,
    /// Time between rounds as master; zero: none.
    pub refresh: Duration,
    /// How many per address then (1).
    pub refresh_repeat: u8,
    /// From an advert of lower priority to the second round (5 s); zero: none.
    pub lower_prio_delay: Duration,
    /// How many per address after one (5); 0: none.
    pub lower_prio_repeat: u8,
    /// Time between frames from every macvlan that sends no adverts (`vmac_garp_intvl`); zero: none.
    pub vmac_interval: Duration,
}

impl Default for GarpParams {
    fn default() -> Self {
        Self {
            master_delay: Duration::from_secs(5),
            master_repeat: 5,
            refresh: Duration::ZERO,
            refresh_repeat: 1,
            lower_prio_delay: Duration::from_secs(5),
            lower_prio_repeat: 5,
            vmac_interval: Duration::ZERO,
        }
    }
}

/// A pace: the least time between two frames out of an interface; zero: as fast as they come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pace {
    /// Between gratuitous ARPs (`garp_interval`).
    pub arp: Duration,
    /// Between neighbour advertisements (`gna_interval`).
    pub na: Duration,
}

/// Interfaces that share a pace (`garp_group`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PacingParams {
    /// The pace.
    pub pace: Pace,
    /// The interfaces.
    pub interfaces: Vec<Name>,
}

impl InstanceParams {
    /// An instance with the original's defaults: version 2, one second, multicast, priority 100, no address.
    pub fn new(name: &str, interface: &str, vrid: Vrid) -> Self {
        Self {
            name: name.into(),
            interface: interface.into(),
            vrid,
            priority: Priority::DEFAULT,
            start_as_master: false,
            ipv6: false,
            protocol: Protocol::V2 { interval: Seconds::new(1).expect("1 is not 0"), auth: LegacyAuth::None },
            auth_hmac: None,
            source: None,
            transport: Transport::Multicast { group: IpAddr::V4([224, 0, 0, 18].into()) },
            nopreempt: false,
            preempt_delay: Duration::ZERO,
            down_timer_adverts: 3,
            addresses: Vec::new(),
            excluded: Vec::new(),
            routes: Vec::new(),
            rules: Vec::new(),
            accept: true,
            promote_secondaries: false,
            vmac: None,
            side_vmacs: Vec::new(),
            garp: GarpParams::default(),
            lower_prio_no_advert: false,
            higher_prio_send_advert: false,
            owner_ignore_adverts: false,
            skip_check_adv_addr: false,
            timer_expired_backup: None,
            track: Vec::new(),
            dont_track_primary: false,
            track_source: false,
            config_fault: false,
            notify_priority_changes: false,
            notify_deleted: false,
        }
    }

    /// The interval at which it advertises as master.
    pub fn interval(&self) -> Duration {
        match self.protocol {
            Protocol::V2 { interval, .. } => interval.duration(),
            Protocol::V3 { interval, .. } => interval.duration(),
        }
    }

    /// True if it owns its addresses.
    pub fn is_owner(&self) -> bool {
        self.priority == Priority::OWNER
    }

    /// True if it sends to peers.
    pub fn is_unicast(&self) -> bool {
        matches!(self.transport, Transport::Unicast { .. })
    }

    /// All its virtual interfaces, each with the interface below.
    pub fn vmacs(&self) -> impl Iterator<Item = (&Name, &Vmac)> {
        let own = self.vmac.iter().map(|vmac| (&self.interface, vmac));
        own.chain(self.side_vmacs.iter().map(|(base, vmac)| (base, vmac)))
    }

    /// The interface that its own addresses are put on.
    pub fn address_device(&self) -> &Name {
        self.vmac.as_ref().map_or(&self.interface, |vmac| &vmac.name)
    }

    /// The interface that adverts leave by.
    pub fn advert_device(&self) -> &Name {
        match &self.vmac {
            Some(vmac) if !vmac.transmit_on_base => &vmac.name,
            _ => &self.interface,
        }
    }
}
