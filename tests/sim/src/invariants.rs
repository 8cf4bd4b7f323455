//! What must hold after every step.

use crate::node::{Life, Node};
use crate::world::World;
use rvs_vrrp::params::Protocol;
use rvs_vrrp::{Instance, State};
use std::collections::BTreeMap;

/// Directors that can hear each other as far as the protocol goes: same VRID, family and version.
type Circle = (u8, bool, u8);

impl World {
    /// Everything that must hold now.
    pub(crate) fn check(&mut self) -> Result<(), String> {
        for node in &mut self.nodes {
            if let Some(complaint) = node.complaint.take() {
                return Err(complaint);
            }
        }
        for node in self.nodes.iter().filter(|node| node.life == Life::Awake) {
            holds_what_it_says(node)?;
            groups_agree(node)?;
        }
        if self.now.since(self.disturbed) < self.settling {
            return Ok(());
        }
        self.one_master_each()
    }

    /// In every circle with a director that can take part there is exactly one master, and its addresses are nowhere else.
    /// Unless that is forbidden, it is one of the highest priority.
    fn one_master_each(&self) -> Result<(), String> {
        let mut circles: BTreeMap<Circle, Vec<(&Node, &Instance)>> = BTreeMap::new();
        for node in self.nodes.iter().filter(|node| node.life == Life::Awake && node.link_up) {
            for instance in node.router.instances() {
                circles.entry(circle(instance)).or_default().push((node, instance));
            }
        }
        for (circle, members) in &circles {
            let masters: Vec<_> = members.iter().filter(|(_, instance)| instance.state() == State::Master).collect();
            let [(master, instance)] = masters[..] else {
                return Err(format!("{} masters of {circle:?}: {}", masters.len(), self.portrait()));
            };
            let best = members.iter().map(|(_, member)| member.priority()).max();
            if Some(instance.priority()) != best && !members.iter().any(|(_, member)| member.params().nopreempt) {
                return Err(format!("the best of {circle:?} is not master: {}", self.portrait()));
            }
            for vip in &instance.params().addresses {
                let others = members.iter().map(|(node, _)| node).filter(|node| node.host != master.host);
                for other in others {
                    if other.held.contains(&vip.address) {
                        return Err(format!("{} is on {} as well as on {}", vip.address, other.host, master.host));
                    }
                }
            }
        }
        Ok(())
    }

    /// One line per director.
    pub(crate) fn portrait(&self) -> String {
        let mut lines = format!("\n  at {:?}, disturbed at {:?}", self.now, self.disturbed);
        for node in &self.nodes {
            lines += &format!("\n  director {} {:?} link {}:", node.host, node.life, node.link_up);
            for instance in node.router.instances() {
                lines += &format!(
                    " {} {:?}→{:?} {} until {:?}, master {:?};",
                    instance.name(),
                    instance.state(),
                    instance.want(),
                    instance.priority(),
                    instance.timer(),
                    instance.master()
                );
            }
        }
        lines
    }
}

fn circle(instance: &Instance) -> Circle {
    let params = instance.params();
    let version = match params.protocol {
        Protocol::V2 { .. } => 2,
        Protocol::V3 { .. } => 3,
    };
    (params.vrid.get(), params.ipv6, version)
}

/// A director's addresses are on its interfaces exactly while it is master.
fn holds_what_it_says(node: &Node) -> Result<(), String> {
    for instance in node.router.instances() {
        let master = instance.state() == State::Master;
        for vip in &instance.params().addresses {
            if node.held.contains(&vip.address) != master {
                let (host, state) = (node.host, instance.state());
                return Err(format!(
                    "director {host}: {} is {state:?}, {} held: {}",
                    instance.name(),
                    vip.address,
                    !master
                ));
            }
        }
        if instance.state() == State::Master && !node.link_up {
            return Err(format!("director {} is master without a link", node.host));
        }
    }
    Ok(())
}

/// The members of a group are all master or none is, and its state is theirs.
fn groups_agree(node: &Node) -> Result<(), String> {
    for group in node.router.groups() {
        let states = group.members().iter().map(|at| node.router.instances()[*at].state());
        if let Some(state) = states.into_iter().find(|state| *state != group.state()) {
            return Err(format!("director {}: group {:?}, member {state:?}", node.host, group.state()));
        }
    }
    Ok(())
}
