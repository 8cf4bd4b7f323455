//! Addresses of interfaces: what `virtual_ipaddress` and `static_ipaddress` say of one, and the messages that add and remove
//! it. Which addresses there should be is not decided here.

use super::rtnl::{NetError, Rtnl};
use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope, CacheInfo,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// What makes an address one and the same for the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressKey {
    /// The interface's number.
    pub index: u32,
    /// The address itself.
    pub ip: IpAddr,
    /// Length of its prefix; of the peer's, where there is a peer.
    pub prefix: u8,
    /// `peer`: the other end of a point-to-point link.
    pub peer: Option<IpAddr>,
}

impl AddressKey {
    /// An address without a peer.
    pub const fn new(index: u32, ip: IpAddr, prefix: u8) -> Self {
        Self { index, ip, prefix, peer: None }
    }
}

impl fmt::Display for AddressKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "address {}/{} on interface {}", self.ip, self.prefix, self.index)
    }
}

/// The broadcast address of an IPv4 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Broadcast {
    /// None, as when nothing is said.
    #[default]
    None,
    /// `+`: the host part all ones.
    Ones,
    /// `-`: the host part all zeros.
    Zeros,
    /// This one.
    Is(Ipv4Addr),
}

/// An address and all that can be said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Where and which.
    pub key: AddressKey,
    /// `brd`; only of IPv4.
    pub broadcast: Broadcast,
    /// `scope`, the kernel's number: 0 global, 200 site, 253 link, 254 host.
    pub scope: u8,
    /// `label`, at most 15 bytes, beginning with the interface's name; only of IPv4.
    pub label: Option<String>,
    /// `home`: a mobile node's home address.
    pub home: bool,
    /// `mngtmpaddr`: temporary addresses are made after it.
    pub mngtmpaddr: bool,
    /// `noprefixroute`: no route to the prefix is made.
    pub noprefixroute: bool,
    /// `autojoin`: the multicast group of this address is joined.
    pub autojoin: bool,
    /// `-nodad`: an IPv6 address is looked for on the link before it is used. Without it an address is used at once, as a
    /// virtual address must be.
    pub detect_duplicates: bool,
    /// `preferred_lft` in seconds, `u32::MAX` for ever. When nothing is said an IPv6 address of prefix 128 gets 0, so that no
    /// connection is begun from it, and any other for ever.
    pub preferred_lft: Option<u32>,
}

impl Address {
    /// An address of which nothing more is said.
    pub fn new(index: u32, ip: IpAddr, prefix: u8) -> Self {
        Self {
            key: AddressKey::new(index, ip, prefix),
            broadcast: Broadcast::None,
            scope: 0,
            label: None,
            home: false,
            mngtmpaddr: false,
            noprefixroute: false,
            autojoin: false,
            detect_duplicates: false,
            preferred_lft: None,
        }
    }

    fn broadcast_address(&self) -> Option<Ipv4Addr> {
        let IpAddr::V4(ip) = self.key.ip else { return None };
        let hosts = u32::MAX.checked_shr(u32::from(self.key.prefix)).unwrap_or(0);
        match self.broadcast {
            Broadcast::None => None,
            Broadcast::Ones => Some((u32::from(ip) | hosts).into()),
            Broadcast::Zeros => Some((u32::from(ip) & !hosts).into()),
            Broadcast::Is(address) => Some(address),
        }
    }

    fn flags(&self) -> AddressFlags {
        let mut flags = AddressFlags::empty();
        flags.set(AddressFlags::Homeaddress, self.home);
        flags.set(AddressFlags::Managetempaddr, self.mngtmpaddr);
        flags.set(AddressFlags::Noprefixroute, self.noprefixroute);
        flags.set(AddressFlags::Mcautojoin, self.autojoin);
        flags.set(AddressFlags::Nodad, self.key.ip.is_ipv6() && !self.detect_duplicates);
        flags
    }

    fn lifetime(&self) -> Option<CacheInfo> {
        let preferred = self.preferred_lft.or((self.key.ip.is_ipv6() && self.key.prefix == 128).then_some(0))?;
        let mut info = CacheInfo::default();
        info.ifa_preferred = preferred;
        info.ifa_valid = u32::MAX;
        Some(info)
    }

    fn message(&self) -> AddressMessage {
        let mut message = key_message(&self.key);
        message.header.scope = AddressScope::from(self.scope);
        let flags = self.flags();
        message.header.flags = AddressHeaderFlags::from_bits_retain(flags.bits() as u8); // The high flags are in the attribute.
        message.attributes = vec![
            AddressAttribute::Local(self.key.ip),
            AddressAttribute::Address(self.key.peer.unwrap_or(self.key.ip)),
            AddressAttribute::Flags(flags),
        ];
        message.attributes.extend(self.broadcast_address().map(AddressAttribute::Broadcast));
        message.attributes.extend(self.label.clone().filter(|_| self.key.ip.is_ipv4()).map(AddressAttribute::Label));
        message.attributes.extend(self.lifetime().map(AddressAttribute::CacheInfo));
        message
    }
}

fn key_message(key: &AddressKey) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = if key.ip.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    message.header.prefix_len = key.prefix;
    message.header.index = key.index;
    message
}

/// What is known of an address that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressFacts {
    /// Where and which.
    pub key: AddressKey,
    /// The kernel's number of its scope: 0 global, 253 link, 254 host.
    pub scope: u8,
    /// An IPv4 address whose subnet another one of the interface had first.
    pub secondary: bool,
    /// An IPv6 address that cannot be used yet: duplicates are being looked for, or one was found.
    pub unusable: bool,
}

/// The address that a message of the kernel is about.
pub(crate) fn facts_of(message: &AddressMessage) -> Option<AddressFacts> {
    let (mut local, mut address) = (None, None);
    let mut flags = u32::from(message.header.flags.bits());
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(ip) => local = Some(*ip),
            AddressAttribute::Address(ip) => address = Some(*ip),
            AddressAttribute::Flags(all) => flags = all.bits(),
            _ => {}
        }
    }
    let ip = local.or(address)?;
    let flags = AddressFlags::from_bits_retain(flags);
    Some(AddressFacts {
        key: AddressKey {
            index: message.header.index,
            ip,
            prefix: message.header.prefix_len,
            peer: address.filter(|peer| *peer != ip),
        },
        scope: message.header.scope.into(),
        secondary: ip.is_ipv4() && flags.contains(AddressFlags::Secondary),
        unusable: flags.intersects(AddressFlags::Tentative | AddressFlags::Dadfailed),
    })
}

impl Rtnl {
    /// Adds the address, or changes it to what is said where the interface has it. Answers whether the kernel took it; an
    /// address that is there already is no error.
    pub fn add_address(&mut self, address: &Address) -> Result<(), NetError> {
        let message = RouteNetlinkMessage::NewAddress(address.message());
        match self.change(message, NLM_F_CREATE | NLM_F_REPLACE) {
            Ok(()) | Err(Errno::EEXIST) => Ok(()),
            Err(errno) => Err(NetError::new(format!("adding {}", address.key), errno)),
        }
    }

    /// Removes the address; that it is not there (or its interface is gone) is no error. `true`: it was there.
    pub fn remove_address(&mut self, key: &AddressKey) -> Result<bool, NetError> {
        let mut message = key_message(key);
        // Without the second the kernel would take one of another prefix for it.
        message.attributes =
            vec![AddressAttribute::Local(key.ip), AddressAttribute::Address(key.peer.unwrap_or(key.ip))];
        match self.change(RouteNetlinkMessage::DelAddress(message), 0) {
            Ok(()) => Ok(true),
            Err(Errno::EADDRNOTAVAIL | Errno::ENODEV) => Ok(false),
            Err(errno) => Err(NetError::new(format!("removing {key}"), errno)),
        }
    }

    /// All addresses of the namespace, those of each interface in the kernel's order.
    pub fn addresses(&mut self) -> Result<Vec<AddressFacts>, NetError> {
        let mut found = Vec::new();
        self.dump(&RouteNetlinkMessage::GetAddress(AddressMessage::default()), |message| match message {
            Some(RouteNetlinkMessage::NewAddress(message)) => found.extend(facts_of(&message)),
            Some(_) => {}
            None => found.clear(),
        })
        .map_err(|errno| NetError::new("listing addresses", errno))?;
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{in_namespace, ip, ip_json};

    fn shown(ip: &str) -> serde_json::Value {
        let all = ip_json("addr show dev v0");
        let list = all[0]["addr_info"].as_array().unwrap();
        list.iter().find(|entry| entry["local"] == ip).cloned().unwrap_or_default()
    }

    fn ready() -> (Rtnl, u32) {
        ip("link add v0 type veth peer name v1");
        ip("link set v0 up");
        let mut rtnl = Rtnl::open().unwrap();
        let index = rtnl.interface_named("v0").unwrap().unwrap().index;
        (rtnl, index)
    }

    #[test]
    fn all_options_of_an_ipv4_address_reach_the_kernel() {
        in_namespace(|| {
            let (mut rtnl, index) = ready();
            let mut address = Address::new(index, "10.0.1.10".parse().unwrap(), 24);
            address.broadcast = Broadcast::Ones;
            address.scope = 253;
            address.label = Some("v0:vip".into());
            address.noprefixroute = true;
            rtnl.add_address(&address).unwrap();
            rtnl.add_address(&address).unwrap();
            let entry = shown("10.0.1.10");
            assert_eq!(entry["prefixlen"], 24);
            assert_eq!(entry["broadcast"], "10.0.1.255");
            assert_eq!(entry["scope"], "link");
            assert_eq!(entry["label"], "v0:vip");
            assert_eq!(entry["noprefixroute"], true);
            assert!(ip_json("route show dev v0").as_array().unwrap().is_empty());
            assert!(rtnl.remove_address(&address.key).unwrap());
            assert!(!rtnl.remove_address(&address.key).unwrap());
            assert!(shown("10.0.1.10").is_null());

            let mut peer = Address::new(index, "10.0.2.1".parse().unwrap(), 32);
            peer.key.peer = Some("10.0.2.2".parse().unwrap());
            peer.broadcast = Broadcast::Is(Ipv4Addr::new(10, 0, 2, 9));
            rtnl.add_address(&peer).unwrap();
            let entry = shown("10.0.2.1");
            assert_eq!((&entry["address"], &entry["broadcast"]), (&"10.0.2.2".into(), &"10.0.2.9".into()));
            assert!(rtnl.addresses().unwrap().iter().any(|facts| facts.key == peer.key));
            let other = AddressKey { prefix: 31, peer: None, ..peer.key };
            assert!(!rtnl.remove_address(&other).unwrap(), "one of another prefix is not taken for it");
            assert!(rtnl.remove_address(&peer.key).unwrap());
        });
    }

    #[test]
    fn an_ipv6_address_is_used_at_once_and_a_host_address_is_not_preferred() {
        in_namespace(|| {
            let (mut rtnl, index) = ready();
            let host = Address::new(index, "fd00::10".parse().unwrap(), 128);
            rtnl.add_address(&host).unwrap();
            let entry = shown("fd00::10");
            assert_eq!(entry["nodad"], true);
            assert_eq!(entry["deprecated"], true);
            let mut other = Address::new(index, "fd00:1::10".parse().unwrap(), 64);
            other.home = true;
            other.mngtmpaddr = true;
            other.preferred_lft = Some(600);
            rtnl.add_address(&other).unwrap();
            let entry = shown("fd00:1::10");
            assert_eq!((&entry["home"], &entry["mngtmpaddr"]), (&true.into(), &true.into()));
            let left = entry["preferred_life_time"].as_u64().unwrap();
            assert!((590..=600).contains(&left), "{left}");
            let mut careful = Address::new(index, "fd00:2::10".parse().unwrap(), 64);
            careful.detect_duplicates = true;
            rtnl.add_address(&careful).unwrap();
            assert!(shown("fd00:2::10")["nodad"].is_null());
            assert!(rtnl.addresses().unwrap().iter().any(|facts| facts.key == host.key && !facts.unusable));
        });
    }

    #[test]
    fn broadcast_addresses_are_reckoned_from_the_prefix() {
        let mut address = Address::new(1, "10.1.2.3".parse().unwrap(), 22);
        address.broadcast = Broadcast::Ones;
        assert_eq!(address.broadcast_address(), Some(Ipv4Addr::new(10, 1, 3, 255)));
        address.broadcast = Broadcast::Zeros;
        assert_eq!(address.broadcast_address(), Some(Ipv4Addr::new(10, 1, 0, 0)));
        address.key.prefix = 32;
        assert_eq!(address.broadcast_address(), Some(Ipv4Addr::new(10, 1, 2, 3)));
    }

    #[test]
    fn a_refusal_names_the_address_and_the_reason() {
        in_namespace(|| {
            let mut rtnl = Rtnl::open().unwrap();
            let error = rtnl.add_address(&Address::new(999, "10.0.0.1".parse().unwrap(), 24)).unwrap_err();
            assert_eq!(error.to_string(), "adding address 10.0.0.1/24 on interface 999: No such device");
        });
    }
}
