//! What instances need besides addresses: frames on their interface, macvlans, settings.

use nix::errno::Errno;
use rvs_host::net::sysctl::{Changed, SysctlFamily, interface_path};
use rvs_host::net::{Address, Monitor, NetError, Rtnl, VirtualKind, VirtualLink, prepare_vmac};
use rvs_host::socket::FrameSender;
use rvs_vrrp::params::{Name, Vmac};
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

#[derive(Debug)]
struct Macvlan {
    index: u32,
    /// Put back when it goes.
    parent: Option<Changed>,
}

/// Macvlans and settings.
#[derive(Debug, Default)]
pub(super) struct Equipment {
    macvlans: BTreeMap<Name, Macvlan>,
    promoted: BTreeMap<Name, Changed>,
}

impl Equipment {
    /// Makes an instance's macvlan or removes it; `true` if something changed.
    pub(super) fn vmac(
        &mut self,
        instance: &Name,
        base: &Name,
        vmac: &Vmac,
        ipv6: bool,
        add: bool,
        monitor: &mut Monitor,
    ) -> bool {
        let done = if add { self.make(instance, base, vmac, ipv6, monitor) } else { self.remove(instance, vmac) };
        if let Err(reason) = &done {
            let what = if add { "creating" } else { "removing" };
            let text = format!("({instance}): Error {what} VMAC interface {}: {reason}", vmac.name);
            tracing::warn!(target: "Keepalived_vrrp", "{text}");
        }
        done.is_ok()
    }

    fn make(&mut self, instance: &Name, base: &Name, vmac: &Vmac, ipv6: bool, monitor: &Monitor) -> Result<(), String> {
        let parent = monitor.named(base).ok_or_else(|| format!("there is no interface {base}"))?.index;
        let link = VirtualLink { name: vmac.name.to_string(), parent, kind: VirtualKind::Macvlan { mac: vmac.mac } };
        let text = |error: NetError| error.to_string();
        let mut rtnl = Rtnl::open().map_err(text)?;
        let made = rtnl.add_virtual(&link).map_err(text)?;
        let changed = prepare_vmac(&vmac.name, base).map_err(|error| error.to_string())?;
        rtnl.set_up(made.index, true).map_err(text)?;
        if ipv6 && let Some(source) = monitor.link_local(parent, |_| false) {
            // Adverts leave by the macvlan with the source of the interface below.
            rtnl.add_address(&Address::new(made.index, source.into(), 64)).map_err(text)?;
        }
        let name = &vmac.name;
        tracing::info!(target: "Keepalived_vrrp", "({instance}): Success creating VMAC interface {name}");
        self.macvlans.insert(instance.clone(), Macvlan { index: made.index, parent: Some(changed) });
        Ok(())
    }

    fn remove(&mut self, instance: &Name, vmac: &Vmac) -> Result<(), String> {
        let Some(macvlan) = self.macvlans.remove(instance) else { return Ok(()) };
        let mut rtnl = Rtnl::open().map_err(|error| error.to_string())?;
        rtnl.remove_link(macvlan.index).map_err(|error| error.to_string())?;
        tracing::info!(target: "Keepalived_vrrp", "({instance}) Success removing VMAC interface {}", vmac.name);
        drop(macvlan.parent);
        Ok(())
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

    /// Leaves everything as it is at the end.
    pub(super) fn forget(&mut self) {
        for (_, changed) in std::mem::take(&mut self.promoted) {
            std::mem::forget(changed);
        }
        for (_, macvlan) in std::mem::take(&mut self.macvlans) {
            std::mem::forget(macvlan.parent);
        }
    }
}
