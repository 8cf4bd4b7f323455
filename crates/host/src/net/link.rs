//! Interfaces: the facts about them, up and down, and the virtual ones that carry a virtual router's MAC address.

use super::rtnl::{NetError, Rtnl};
use super::sysctl::{self, SysctlFamily, interface_path};
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoData, InfoIpVlan, InfoKind, InfoMacVlan, IpVlanFlags, IpVlanMode, LinkAttribute, LinkFlags, LinkInfo,
    LinkMessage, MacVlanMode,
};
use nix::errno::Errno;

/// What is known of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// The kernel's number of it.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its hardware address; empty where it has none, not always six bytes.
    pub mac: Vec<u8>,
    /// The largest packet it sends, in bytes.
    pub mtu: u32,
    /// Somebody set it up.
    pub up: bool,
    /// It is up and its link is: it can send and receive.
    pub running: bool,
    /// It is a loopback.
    pub loopback: bool,
    /// It can send to many at once.
    pub multicast: bool,
    /// It does without ARP.
    pub noarp: bool,
    /// It has two ends.
    pub point_to_point: bool,
    /// Its kind, where it is a virtual one: `veth`, `macvlan`, `vlan` and so on.
    pub kind: Option<String>,
    /// The interface below it.
    pub parent: Option<u32>,
    /// The bridge, bond or VRF that it belongs to.
    pub master: Option<u32>,
}

impl Interface {
    /// The MAC address, where it is one of Ethernet.
    pub fn ethernet(&self) -> Option<[u8; 6]> {
        self.mac.as_slice().try_into().ok()
    }
}

/// Reads a message of the kernel's.
pub(crate) fn interface_of(message: &LinkMessage) -> Interface {
    let flags = message.header.flags;
    let mut interface = Interface {
        index: message.header.index,
        name: String::new(),
        mac: Vec::new(),
        mtu: 0,
        up: flags.contains(LinkFlags::Up),
        running: flags.contains(LinkFlags::Up | LinkFlags::Running),
        loopback: flags.contains(LinkFlags::Loopback),
        multicast: flags.contains(LinkFlags::Multicast),
        noarp: flags.contains(LinkFlags::Noarp),
        point_to_point: flags.contains(LinkFlags::Pointopoint),
        kind: None,
        parent: None,
        master: None,
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => interface.name.clone_from(name),
            LinkAttribute::Address(mac) => interface.mac.clone_from(mac),
            LinkAttribute::Mtu(mtu) => interface.mtu = *mtu,
            LinkAttribute::Link(parent) => interface.parent = Some(*parent),
            LinkAttribute::Controller(master) => interface.master = Some(*master),
            LinkAttribute::LinkInfo(infos) => {
                interface.kind = infos.iter().find_map(|info| match info {
                    LinkInfo::Kind(kind) => Some(kind.to_string()),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    interface
}

/// A virtual interface for a virtual router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualLink {
    /// Its name, at most 15 bytes.
    pub name: String,
    /// The interface it sits on.
    pub parent: u32,
    /// What it is.
    pub kind: VirtualKind,
}

/// The two kinds of virtual interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VirtualKind {
    /// `use_vmac`: a macvlan in private mode with this MAC address.
    Macvlan {
        /// `00:00:5e:00:01:VRID` for IPv4, `00:00:5e:00:02:VRID` for IPv6.
        mac: [u8; 6],
    },
    /// `use_ipvlan`: an ipvlan in layer 2 mode, with its parent's MAC address. Not every kernel has it.
    Ipvlan(IpvlanFlags),
}

/// How the ipvlans of one interface see each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IpvlanFlags {
    /// As on one segment.
    #[default]
    Bridge,
    /// Not at all.
    Private,
    /// By way of the switch.
    Vepa,
}

impl VirtualLink {
    fn message(&self) -> LinkMessage {
        let mut message = LinkMessage::default();
        let info = match self.kind {
            VirtualKind::Macvlan { mac } => {
                message.attributes.push(LinkAttribute::Address(mac.to_vec()));
                let data = InfoData::MacVlan(vec![InfoMacVlan::Mode(MacVlanMode::Private)]);
                vec![LinkInfo::Kind(InfoKind::MacVlan), LinkInfo::Data(data)]
            }
            VirtualKind::Ipvlan(flags) => {
                let flags = match flags {
                    IpvlanFlags::Bridge => IpVlanFlags::empty(),
                    IpvlanFlags::Private => IpVlanFlags::Private,
                    IpvlanFlags::Vepa => IpVlanFlags::Vepa,
                };
                let data = InfoData::IpVlan(vec![InfoIpVlan::Mode(IpVlanMode::L2), InfoIpVlan::Flags(flags)]);
                vec![LinkInfo::Kind(InfoKind::IpVlan), LinkInfo::Data(data)]
            }
        };
        message.attributes.extend([
            LinkAttribute::IfName(self.name.clone()),
            LinkAttribute::Link(self.parent),
            LinkAttribute::LinkInfo(info),
        ]);
        message
    }
}

/// The MAC address of a virtual router: RFC 9568, section 7.3. `vrid` is 1 to 255.
pub const fn virtual_mac(ipv6: bool, vrid: u8) -> [u8; 6] {
    [0, 0, 0x5e, 0, if ipv6 { 2 } else { 1 }, vrid]
}

impl Rtnl {
    /// All interfaces of the namespace.
    pub fn interfaces(&mut self) -> Result<Vec<Interface>, NetError> {
        let mut found = Vec::new();
        self.dump(&RouteNetlinkMessage::GetLink(LinkMessage::default()), |message| match message {
            Some(RouteNetlinkMessage::NewLink(message)) => found.push(interface_of(&message)),
            Some(_) => {}
            None => found.clear(),
        })
        .map_err(|errno| NetError::new("listing interfaces", errno))?;
        Ok(found)
    }

    /// The interface of this name.
    pub fn interface_named(&mut self, name: &str) -> Result<Option<Interface>, NetError> {
        Ok(self.interfaces()?.into_iter().find(|interface| interface.name == name))
    }

    /// Sets an interface up or down.
    pub fn set_up(&mut self, index: u32, up: bool) -> Result<(), NetError> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.header.change_mask = LinkFlags::Up;
        message.header.flags = if up { LinkFlags::Up } else { LinkFlags::empty() };
        self.change(RouteNetlinkMessage::SetLink(message), 0).map_err(|errno| {
            NetError::new(format!("setting interface {index} {}", if up { "up" } else { "down" }), errno)
        })
    }

    /// Makes an interface a member of another: of a VRF, a bridge.
    pub fn set_master(&mut self, index: u32, master: u32) -> Result<(), NetError> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.attributes.push(LinkAttribute::Controller(master));
        self.change(RouteNetlinkMessage::SetLink(message), 0)
            .map_err(|errno| NetError::new(format!("putting interface {index} into interface {master}"), errno))
    }

    /// Makes a virtual interface and gives its facts. One of the same name, parent and MAC address that is there (left by an
    /// earlier run) is taken over; another of that name is an error, `EEXIST`.
    pub fn add_virtual(&mut self, link: &VirtualLink) -> Result<Interface, NetError> {
        let failed = |errno| NetError::new(format!("creating interface {}", link.name), errno);
        match self.change(RouteNetlinkMessage::NewLink(link.message()), NLM_F_CREATE | NLM_F_EXCL) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(failed(errno)),
        }
        let found = self.interface_named(&link.name)?.ok_or_else(|| failed(Errno::ENODEV))?;
        let same_kind = match link.kind {
            VirtualKind::Macvlan { mac } => found.kind.as_deref() == Some("macvlan") && found.mac == mac,
            VirtualKind::Ipvlan(_) => found.kind.as_deref() == Some("ipvlan"),
        };
        if same_kind && found.parent == Some(link.parent) { Ok(found) } else { Err(failed(Errno::EEXIST)) }
    }

    /// Removes an interface; that it is gone already is no error.
    pub fn remove_link(&mut self, index: u32) -> Result<(), NetError> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        match self.change(RouteNetlinkMessage::DelLink(message), 0) {
            Ok(()) | Err(Errno::ENODEV) => Ok(()),
            Err(errno) => Err(NetError::new(format!("removing interface {index}"), errno)),
        }
    }
}

/// What a macvlan of a virtual router and its parent need: the macvlan answers for its own addresses only and takes packets
/// that seem to come from this host; the parent does not answer for addresses that are on the macvlan.
const VMAC_SETTINGS: [(&str, &str); 4] =
    [("arp_ignore", "1"), ("accept_local", "1"), ("promote_secondaries", "1"), ("rp_filter", "0")];
const PARENT_SETTINGS: [(&str, &str); 2] = [("arp_ignore", "1"), ("arp_filter", "1")];

fn ipv4_path(interface: &str, setting: &str) -> std::io::Result<String> {
    interface_path(SysctlFamily::Ipv4, interface, setting)
        .ok_or_else(|| std::io::Error::other(format!("`{interface}` is no interface's name")))
}

/// Makes the settings of an interface below macvlans. They are put back when the answer is dropped.
pub fn prepare_parent(parent: &str) -> std::io::Result<sysctl::Changed> {
    let mut changed = sysctl::Changed::new();
    for (setting, value) in PARENT_SETTINGS {
        changed.set(&ipv4_path(parent, setting)?, value)?;
    }
    Ok(changed)
}

/// Makes the settings of a macvlan, which go with it.
pub fn prepare_vmac(vmac: &str) -> std::io::Result<()> {
    for (setting, value) in VMAC_SETTINGS {
        sysctl::write(&ipv4_path(vmac, setting)?, value)?;
    }
    // No address is to be made of the MAC address: only the virtual ones belong there. Without IPv6 there is nothing to say.
    if let Some(path) = interface_path(SysctlFamily::Ipv6, vmac, "addr_gen_mode") {
        match sysctl::write(&path, "1") {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{in_namespace, ip, ip_json};

    #[test]
    fn a_vmac_is_a_private_macvlan_with_the_routers_mac() {
        in_namespace(|| {
            ip("link add v0 type veth peer name v1");
            ip("link set v0 up");
            ip("link set v1 up");
            let mut rtnl = Rtnl::open().unwrap();
            let parent = rtnl.interface_named("v0").unwrap().unwrap();
            assert!(parent.up && parent.multicast && !parent.loopback && parent.kind.as_deref() == Some("veth"));
            let mac = virtual_mac(false, 51);
            let link = VirtualLink { name: "vrrp.51".into(), parent: parent.index, kind: VirtualKind::Macvlan { mac } };
            let made = rtnl.add_virtual(&link).unwrap();
            assert_eq!(rtnl.add_virtual(&link).unwrap().index, made.index);
            let other = VirtualLink { kind: VirtualKind::Macvlan { mac: virtual_mac(false, 52) }, ..link.clone() };
            assert_eq!(rtnl.add_virtual(&other).unwrap_err().errno, Errno::EEXIST);
            {
                prepare_vmac("vrrp.51").unwrap();
                let _kept = prepare_parent("v0").unwrap();
                assert_eq!(sysctl::read("net/ipv4/conf/v0/arp_ignore").unwrap(), "1");
                assert_eq!(sysctl::read("net/ipv4/conf/vrrp.51/accept_local").unwrap(), "1");
            }
            assert_eq!(sysctl::read("net/ipv4/conf/v0/arp_ignore").unwrap(), "0");
            rtnl.set_up(made.index, true).unwrap();
            ip("link add br0 type bridge");
            let bridge = rtnl.interface_named("br0").unwrap().unwrap().index;
            rtnl.set_master(made.index, bridge).unwrap();
            assert_eq!(rtnl.interface_named("vrrp.51").unwrap().unwrap().master, Some(bridge));
            let shown = &ip_json("link show dev vrrp.51")[0];
            assert_eq!(shown["address"], "00:00:5e:00:01:33");
            assert_eq!(shown["linkinfo"]["info_data"]["mode"], "private");
            assert!(shown["flags"].as_array().unwrap().contains(&"UP".into()));
            assert!(ip_json("-6 addr show dev vrrp.51")[0]["addr_info"].as_array().is_none_or(Vec::is_empty));
            rtnl.remove_link(made.index).unwrap();
            rtnl.remove_link(made.index).unwrap();
            assert_eq!(rtnl.interface_named("vrrp.51").unwrap(), None);
        });
    }

    #[test]
    fn an_ipvlan_comes_or_the_kernel_says_that_it_has_none() {
        in_namespace(|| {
            ip("link add v0 type veth peer name v1");
            let mut rtnl = Rtnl::open().unwrap();
            let parent = rtnl.interface_named("v0").unwrap().unwrap().index;
            let kind = VirtualKind::Ipvlan(IpvlanFlags::Private);
            match rtnl.add_virtual(&VirtualLink { name: "vrrp.7".into(), parent, kind }) {
                Ok(made) => assert_eq!(made.kind.as_deref(), Some("ipvlan")),
                Err(error) => assert_eq!(
                    error.to_string(),
                    "creating interface vrrp.7: Operation not supported on transport endpoint"
                ),
            }
        });
    }
}
