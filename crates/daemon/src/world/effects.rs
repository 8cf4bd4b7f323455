//! What instances need besides addresses: frames on their interface, macvlans, settings.

use nix::errno::Errno;
use rvs_host::net::sysctl::{Changed, SysctlFamily, interface_path};
use rvs_host::net::{
    Address, IpvlanFlags, Monitor, NetError, Rtnl, VirtualKind, VirtualLink, prepare_parent, prepare_vmac,
};
use rvs_host::socket::FrameSender;
use rvs_vrrp::params::{Isolation, Name, Vmac, VmacKind};
use std::collections::BTreeMap;

/// Sends a frame where the link is up; otherwise it would only be an error, and the frames are sent again when it is.
pub(super) fn send_frame(frames: &FrameSender, monitor: &Monitor, interface: &Name, bytes: &[u8]) {
    let Some(link) = monitor.named(interface).filter(|link| link.running) else { return };
    match frames.send(link.index, bytes) {
        Ok(()) | Err(Errno::ENETDOWN | Errno::ENXIO) => {}
        Err(errno) => {
            tracing::debug!(target: "Keepalived_vrrp", "sending a frame on {interface}: {}", errno.desc());
        }
    }
}

/// A virtual interface as it is wanted, and as it is.
#[derive(Debug)]
struct Virtual {
    base: Name,
    vmac: Vmac,
    /// Its number; nothing if it could not be made.
    index: Option<u32>,
    /// Why not, as it was said last.
    reason: Option<String>,
}

/// Virtual interfaces and settings.
#[derive(Debug, Default)]
pub(super) struct Equipment {
    /// By instance and name.
    virtuals: BTreeMap<(Name, Name), Virtual>,
    /// What was changed of the interfaces below macvlans.
    parents: BTreeMap<Name, Changed>,
    promoted: BTreeMap<Name, Changed>,
    quiet: Option<Changed>,
}

impl Equipment {
    /// Makes a virtual interface of an instance; whether it is there now.
    pub(super) fn add(&mut self, instance: &Name, base: &Name, vmac: &Vmac, monitor: &Monitor) -> bool {
        let key = (instance.clone(), vmac.name.clone());
        let wanted = Virtual { base: base.clone(), vmac: vmac.clone(), index: None, reason: None };
        self.virtuals.insert(key.clone(), wanted);
        self.try_to_make(&key, monitor)
    }

    /// Removes it; whether it was there.
    pub(super) fn remove(&mut self, instance: &Name, vmac: &Vmac) -> bool {
        let Some(gone) = self.virtuals.remove(&(instance.clone(), vmac.name.clone())) else { return false };
        let removed = gone.index.map(|index| Rtnl::open().and_then(|mut rtnl| rtnl.remove_link(index)));
        let name = &vmac.name;
        match &removed {
            Some(Ok(())) => {
                tracing::info!(target: "Keepalived_vrrp", "({instance}) Success removing VMAC interface {name}");
            }
            Some(Err(error)) => {
                tracing::warn!(target: "Keepalived_vrrp", "({instance}): Error removing VMAC interface {name}: {error}");
            }
            None => {}
        }
        if self.virtuals.values().all(|other| other.base != gone.base) {
            self.parents.remove(&gone.base);
        }
        removed.is_some()
    }

    /// Makes again what is missing, now that interfaces have changed: which, and whether they are there now.
    pub(super) fn mend(&mut self, monitor: &Monitor) -> Vec<(Name, Name, bool)> {
        let is_there = |one: &Virtual| one.index.is_some_and(|index| monitor.interface(index).is_some());
        let missing = self.virtuals.iter().filter(|(_, one)| !is_there(one)).map(|(key, _)| key.clone());
        let missing: Vec<(Name, Name)> = missing.collect();
        let mut changed = Vec::new();
        for key in missing {
            let made = self.try_to_make(&key, monitor);
            changed.push((key.0, key.1, made));
        }
        changed
    }

    fn try_to_make(&mut self, key: &(Name, Name), monitor: &Monitor) -> bool {
        let Some(wanted) = self.virtuals.get(key) else { return false };
        let made = self.make(&wanted.base.clone(), &wanted.vmac.clone(), monitor);
        let (instance, name) = key;
        let Some(wanted) = self.virtuals.get_mut(key) else { return false };
        match made {
            Ok(index) => {
                tracing::info!(target: "Keepalived_vrrp", "({instance}): Success creating VMAC interface {name}");
                (wanted.index, wanted.reason) = (Some(index), None);
                true
            }
            Err(reason) => {
                if wanted.reason.as_ref() != Some(&reason) {
                    tracing::warn!(
                        target: "Keepalived_vrrp", "({instance}): Error creating VMAC interface {name}: {reason}"
                    );
                }
                (wanted.index, wanted.reason) = (None, Some(reason));
                false
            }
        }
    }

    fn make(&mut self, base: &Name, vmac: &Vmac, monitor: &Monitor) -> Result<u32, String> {
        let find = |name: &Name| monitor.named(name).ok_or_else(|| format!("there is no interface {name}"));
        let parent = find(base)?.index;
        let kind = match vmac.kind {
            VmacKind::Macvlan(mac) => VirtualKind::Macvlan { mac },
            VmacKind::Ipvlan(isolation, _) => VirtualKind::Ipvlan(match isolation {
                Isolation::Bridge => IpvlanFlags::Bridge,
                Isolation::Private => IpvlanFlags::Private,
                Isolation::Vepa => IpvlanFlags::Vepa,
            }),
        };
        let text = |error: NetError| error.to_string();
        let mut rtnl = Rtnl::open().map_err(text)?;
        let made = rtnl.add_virtual(&VirtualLink { name: vmac.name.to_string(), parent, kind }).map_err(text)?;
        if let VmacKind::Macvlan(_) = vmac.kind {
            prepare_vmac(&vmac.name).map_err(|error| error.to_string())?;
            if !self.parents.contains_key(base) {
                self.parents.insert(base.clone(), prepare_parent(base).map_err(|error| error.to_string())?);
            }
        }
        if let Some(vrf) = &vmac.vrf {
            rtnl.set_master(made.index, find(vrf)?.index).map_err(text)?;
        }
        rtnl.set_up(made.index, true).map_err(text)?;
        if let VmacKind::Ipvlan(_, Some(address)) = vmac.kind {
            let prefix = if address.is_ipv4() { 32 } else { 128 };
            rtnl.add_address(&Address::new(made.index, address, prefix)).map_err(text)?;
        } else if vmac.ipv6
            && let Some(source) = monitor.link_local(parent, |_| false)
        {
            // Adverts leave by the virtual interface with the source of the one below.
            rtnl.add_address(&Address::new(made.index, source.into(), 64)).map_err(text)?;
        }
        Ok(made.index)
    }

    /// Sets `promote_secondaries` on an interface or puts it back.
    pub(super) fn promote(&mut self, interface: &Name, set: bool) {
        if !set {
            self.promoted.remove(interface);
            return;
        }
        let Some(path) = interface_path(SysctlFamily::Ipv4, interface, "promote_secondaries") else { return };
        let changed = self.promoted.entry(interface.clone()).or_default();
        if let Err(error) = changed.set(&path, "1") {
            tracing::warn!(target: "Keepalived_vrrp", "Unable to set {path}: {error}");
        }
    }

    /// Keeps groups of the link, as those of adverts are, from being told to routers, or puts that back.
    pub(super) fn no_local_igmp(&mut self, wanted: bool) {
        if !wanted {
            self.quiet = None;
        } else if self.quiet.is_none() {
            let path = "net/ipv4/igmp_link_local_mcast_reports";
            let mut changed = Changed::new();
            if let Err(error) = changed.set(path, "0") {
                tracing::warn!(target: "Keepalived_vrrp", "Unable to set {path}: {error}");
            }
            self.quiet = Some(changed);
        }
    }

    /// Leaves everything as it is at the end.
    pub(super) fn forget(&mut self) {
        for (_, changed) in std::mem::take(&mut self.promoted) {
            std::mem::forget(changed);
        }
        for (_, changed) in std::mem::take(&mut self.parents) {
            std::mem::forget(changed);
        }
        std::mem::forget(self.quiet.take());
        self.virtuals.clear();
    }
}
