//! New parameters for a virtual router that runs: what differs is changed, and nothing else is touched.

use super::Instance;
use super::garp::Cx;
use crate::Priority;
use crate::io::State;
use crate::params::{InstanceParams, Name, VirtualAddress};

impl Instance {
    /// What a reload changes for a master or a backup: new parameters, the same state.
    pub(crate) fn reload(&mut self, params: InstanceParams, priority: Priority, cx: &mut Cx<'_>) {
        let old = self.params.clone();
        let before = self.master_down();
        let moved = old.vmac != params.vmac || old.side_vmacs != params.side_vmacs;
        if self.holds {
            // What stays is not touched; with another macvlan nothing stays.
            let gone = |old: &[VirtualAddress], new: &[VirtualAddress]| -> Vec<VirtualAddress> {
                old.iter().filter(|address| moved || !new.contains(address)).cloned().collect()
            };
            self.drop_rule_if_changed(&params, false, cx);
            self.change_addresses(&gone(&old.addresses, &params.addresses), "", false, cx);
            self.change_addresses(&gone(&old.excluded, &params.excluded), "E-", false, cx);
            self.change_rules(&missing(&old.rules, &params.rules), false, cx);
            self.change_routes(&missing(&old.routes, &params.routes), false, cx);
        }
        self.set_params(params);
        self.look_at(cx.links.get(&self.params.interface.clone()));
        self.priority = priority;
        if self.holds {
            let params = self.params.clone();
            let new = |new: &[VirtualAddress], old: &[VirtualAddress]| -> Vec<VirtualAddress> {
                new.iter().filter(|address| moved || !old.contains(address)).cloned().collect()
            };
            let (added, excluded) = (new(&params.addresses, &old.addresses), new(&params.excluded, &old.excluded));
            self.drop_rule_if_changed(&old, true, cx);
            self.change_addresses(&added, "", true, cx);
            self.change_addresses(&excluded, "E-", true, cx);
            self.change_routes(&missing(&params.routes, &old.routes), true, cx);
            self.change_rules(&missing(&params.rules, &old.rules), true, cx);
            if !added.is_empty() || !excluded.is_empty() {
                self.tell_all(cx, params.garp.master_repeat);
            }
        }
        match (self.state, self.timer) {
            (State::Master, _) => {
                self.send(self.priority.get(), cx);
                self.timer = Some(cx.now + self.params.interval());
            }
            (State::Backup, Some(at)) => {
                let after = self.master_down();
                let at = if after > before { at + (after - before) } else { at - (before - after) };
                self.timer = Some(at.max(cx.now));
            }
            _ => {}
        }
    }

    /// The firewall's rule follows the addresses that it names.
    fn drop_rule_if_changed(&self, other: &InstanceParams, add: bool, cx: &mut Cx<'_>) {
        let rule = |params: &InstanceParams| {
            let addresses = params.addresses.iter().chain(&params.excluded);
            let places =
                addresses.map(|vip| (vip.address, vip.device.as_ref().unwrap_or(params.address_device()).clone()));
            (params.accept || params.is_owner(), places.collect::<Vec<_>>())
        };
        if rule(&self.params) != rule(other) {
            self.drop_rule(add, cx);
        }
    }
}

/// What is in `of` and not in `from`.
fn missing(of: &[Name], from: &[Name]) -> Vec<Name> {
    of.iter().filter(|name| !from.contains(name)).cloned().collect()
}
