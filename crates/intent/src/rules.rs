//! What an edit is judged by: what this version can do, and which addresses the host's interfaces have.
//!
//! Both come from outside as values, so that the judgement itself stays a pure function.

use crate::apply::{Refusal, ServiceSettings};
use crate::model::{Dest, TunnelKind, is_mark};
use rvs_core::abi::{Forward, ServiceKey, flags};
use rvs_wire::{Addr, Family};
use std::net::IpAddr;

/// IP protocol number of SCTP.
const SCTP: u8 = 132;

/// Which addresses are special because the host has an interface in their network.
pub trait LocalNet {
    /// Is this IPv4 address the broadcast address of a connected network?
    fn is_broadcast(&self, addr: Addr) -> bool;

    /// Does an interface have this address?
    fn is_local(&self, addr: Addr, family: Family) -> bool;
}

/// A host without interfaces.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoInterfaces;

impl LocalNet for NoInterfaces {
    fn is_broadcast(&self, _: Addr) -> bool {
        false
    }

    fn is_local(&self, _: Addr, _: Family) -> bool {
        false
    }
}

/// What the director behind a table can do. A table never holds what its director cannot balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Services and servers with IPv6 addresses.
    pub ipv6: bool,
    /// SCTP services.
    pub sctp: bool,
    /// Services by firewall mark.
    pub marks: bool,
    /// `--ops`.
    pub one_packet: bool,
    /// Persistence engines.
    pub engines: bool,
    /// Tunnels other than IP in IP.
    pub gue_gre: bool,
}

impl Capabilities {
    /// What this version balances.
    pub const THIS_VERSION: Self =
        Self { ipv6: true, sctp: true, marks: true, one_packet: true, engines: true, gue_gre: true };

    /// All that IPVS has: for replaying what was recorded from it.
    pub const ALL_IPVS: Self =
        Self { ipv6: true, sctp: true, marks: true, one_packet: true, engines: true, gue_gre: true };

    fn refuse(allowed: bool, what: &str) -> Result<(), Refusal> {
        if allowed { Ok(()) } else { Err(Refusal::Unsupported(format!("{what} not supported by this version of RVS"))) }
    }

    /// Can it balance such a service?
    pub(crate) fn check_service(&self, settings: &ServiceSettings) -> Result<(), Refusal> {
        let key = &settings.key;
        Self::refuse(self.marks || !is_mark(key), "Services by firewall mark are")?;
        Self::refuse(self.ipv6 || key.family != Family::V6.raw(), "IPv6 services are")?;
        Self::refuse(self.sctp || key.proto != SCTP, "SCTP services are")?;
        Self::refuse(self.one_packet || settings.flags & flags::ONE_PACKET == 0, "One-packet scheduling is")?;
        Self::refuse(self.engines || settings.engine.is_none(), "Persistence engines are")
    }

    /// Can it forward to such a destination?
    pub(crate) fn check_dest(&self, dest: &Dest) -> Result<(), Refusal> {
        let plain = dest.forward != Forward::Tunnel || dest.tunnel.kind == TunnelKind::Ipip;
        Self::refuse(self.ipv6 || dest.family == Family::V4, "IPv6 real servers are")?;
        Self::refuse(self.gue_gre || plain, "GUE and GRE tunnels are")
    }
}

/// What an edit is judged by.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// What the director can do.
    pub capabilities: Capabilities,
    /// The host's interfaces.
    pub net: &'a dyn LocalNet,
}

impl Default for Rules<'_> {
    fn default() -> Self {
        Self { capabilities: Capabilities::THIS_VERSION, net: &NoInterfaces }
    }
}

impl Rules<'_> {
    /// May packets be sent to this real server? Unicast addresses only, as the kernel's routing tables type them.
    pub(crate) fn is_unicast(&self, addr: Addr, family: Family) -> bool {
        match addr.to_ip(family) {
            IpAddr::V4(v4) => {
                let zero_net = v4.octets()[0] == 0;
                !(zero_net || v4.is_multicast() || v4.is_broadcast() || self.net.is_broadcast(addr))
            }
            IpAddr::V6(v6) => {
                let reachable = !(v6.is_unspecified() || v6.is_multicast() || v6.is_unicast_link_local());
                reachable || self.net.is_local(addr, family)
            }
        }
    }
}

/// Do a service and a server of these families go together? Only a tunnel carries one family in the other.
pub(crate) fn families_match(key: &ServiceKey, dest: &Dest) -> bool {
    key.family == dest.family.raw() || dest.forward == Forward::Tunnel
}
