//! Which virtual interfaces an instance lives on: `use_vmac`, `use_ipvlan`, `use_vmac_addr`, and `use_vmac` of an address.

use rvs_config::keepalived::Config;
use rvs_config::keepalived::model::vrrp::Instance;
use rvs_config::keepalived::value::AddressEntry;
use rvs_vrrp::params::{InstanceParams, Isolation, Name, VirtualAddress, Vmac, VmacKind};
use std::collections::BTreeSet;

/// A name as the original chooses it: `vrrp.7`; if that is taken, `vrrp6.7` for IPv6; then `vrrp1.7` and so on.
fn name(prefix: &str, vrid: u8, ipv6: bool, taken: &BTreeSet<Name>) -> Name {
    let plain = format!("{prefix}.{vrid}");
    let six = ipv6.then(|| format!("{prefix}6.{vrid}"));
    let numbered = (1..).filter(|number| *number != 6).map(|number: u32| format!("{prefix}{number}.{vrid}"));
    let mut all = std::iter::once(plain).chain(six).chain(numbered);
    all.find(|name| !taken.contains(name.as_str())).expect("there is no end of numbers").into()
}

/// Gives an instance, whose addresses are known, its virtual interfaces. `taken`: the names of those that others have.
pub(super) fn equip(params: &mut InstanceParams, block: &Instance, config: &Config, taken: &BTreeSet<Name>) {
    let globals = &config.globals;
    let prefix = globals.vmac_prefix.as_ref().map_or("vrrp", |prefix| prefix.0.as_str());
    let mut taken = taken.clone();
    let mut named = |given: Option<&String>, prefix: &str, ipv6: bool| {
        let name = given.map_or_else(|| name(prefix, params.vrid.get(), ipv6, &taken), |name| name.as_str().into());
        taken.insert(name.clone());
        name
    };
    let (vrid, ipv6) = (params.vrid, params.ipv6);
    let kind = match (&block.use_vmac, &block.use_ipvlan) {
        (Some(wanted), _) => {
            let mac = wanted.mac.as_ref().and_then(|mac| <[u8; 6]>::try_from(mac.0.as_slice()).ok());
            Some((wanted.name.as_ref(), VmacKind::Macvlan(mac.unwrap_or(Vmac::standard_mac(vrid, ipv6)))))
        }
        (None, Some(wanted)) => {
            let isolation = match wanted.mode.as_deref() {
                Some("private") => Isolation::Private,
                Some("vepa") => Isolation::Vepa,
                _ => Isolation::Bridge,
            };
            Some((wanted.name.as_ref(), VmacKind::Ipvlan(isolation, wanted.address)))
        }
        (None, None) => None,
    };
    let vrf: Option<Name> = block.vrf.as_ref().map(|vrf| vrf.0.as_str().into());
    if let Some((given, kind)) = kind {
        let name = named(given, prefix, ipv6);
        params.vmac = Some(Vmac { name, kind, transmit_on_base: block.vmac_xmit_base, ipv6, vrf: vrf.clone() });
        if let VmacKind::Ipvlan(_, Some(address)) = kind
            && address.is_ipv6() == ipv6
        {
            params.source = params.source.or(Some(address));
        }
    }
    let prefix = globals.vmac_addr_prefix.as_ref().map_or(prefix, |prefix| prefix.0.as_str());
    let own = params.vmac.as_ref().and_then(Vmac::mac).is_some();
    let mut sides: Vec<(Name, Vmac)> = Vec::new();
    let entries = block.addresses.iter().chain(block.excluded_addresses.iter());
    let addresses = params.addresses.iter_mut().chain(params.excluded.iter_mut());
    for (entry, vip) in entries.zip(addresses) {
        let Some(base) = side(entry, vip, block, &params.interface, own, ipv6) else { continue };
        let ipv6 = vip.address.is_ipv6();
        let known = sides.iter().find(|(below, vmac)| *below == base && vmac.ipv6 == ipv6);
        let device = known.map(|(_, vmac)| vmac.name.clone()).unwrap_or_else(|| {
            let (name, kind) = (named(None, prefix, ipv6), VmacKind::Macvlan(Vmac::standard_mac(vrid, ipv6)));
            let vmac = Vmac { name: name.clone(), kind, transmit_on_base: true, ipv6, vrf: vrf.clone() };
            sides.push((base, vmac));
            name
        });
        vip.device = Some(device);
    }
    params.side_vmacs = sides;
}

/// The interface below the macvlan that an address wants besides that of its instance.
fn side(
    entry: &AddressEntry,
    vip: &VirtualAddress,
    block: &Instance,
    interface: &Name,
    own: bool,
    ipv6: bool,
) -> Option<Name> {
    let base = vip.device.clone().unwrap_or_else(|| interface.clone());
    let elsewhere = base != *interface;
    let other_family = vip.address.is_ipv6() != ipv6;
    let wanted = entry.use_vmac || block.use_vmac_addr && (elsewhere || own && other_family);
    // The instance's own macvlan serves its interface and its family.
    let served = own && !elsewhere && !other_family;
    (wanted && !served).then_some(base)
}
