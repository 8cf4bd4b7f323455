//! VRRP instances among one another, and their groups.

use super::instance::{Names, named};
use super::{Context, first_of_name};
use crate::keepalived::model::Config;
use crate::keepalived::model::vrrp::{Instance, SyncGroup};
use crate::keepalived::report::Level;
use std::collections::HashSet;

pub(super) fn check(config: &mut Config, context: &mut Context<'_>) {
    let reports = &mut *context.reports;
    first_of_name(
        &mut config.instances,
        |item| &item.name,
        |item| {
            reports.error(item.spans.header(), format!("vrrp instance {} already defined", item.name));
        },
    );
    same_numbers(&config.instances, context);
    groups(config, context);
}

/// Two routers that cannot be told apart on the wire.
fn clash(a: &Instance, b: &Instance) -> bool {
    let wire = a.interface == b.interface && a.is_ipv6() == b.is_ipv6() && a.mcast_dst_ip == b.mcast_dst_ip;
    if !wire || a.virtual_router_id.is_none() || a.virtual_router_id != b.virtual_router_id {
        return false;
    }
    match (a.is_unicast(), b.is_unicast()) {
        (false, false) => true,
        (true, true) => {
            a.unicast_peers.iter().any(|peer| b.unicast_peers.iter().any(|other| peer.address == other.address))
        }
        _ => false,
    }
}

fn same_numbers(instances: &[Instance], context: &mut Context<'_>) {
    // By number first: comparing each with each would take long for thousands.
    let mut by_id: std::collections::BTreeMap<i64, Vec<&Instance>> = std::collections::BTreeMap::new();
    for instance in instances {
        let Some(id) = instance.virtual_router_id else { continue };
        let others = by_id.entry(id.get()).or_default();
        // One clash is enough to be told of.
        if let Some(other) = others.iter().take(1000).find(|other| clash(other, instance)) {
            let text = format!(
                "{} and {} both use VRID {} with IPv{} on interface {}",
                other.name,
                instance.name,
                id.get(),
                if instance.is_ipv6() { 6 } else { 4 },
                instance.interface.as_deref().unwrap_or("?")
            );
            context.reports.error(instance.spans.of("virtual_router_id"), text);
        }
        others.push(instance);
    }
}

fn groups(config: &mut Config, context: &mut Context<'_>) {
    let reports = &mut *context.reports;
    first_of_name(
        &mut config.sync_groups,
        |item| &item.name,
        |item| {
            reports.error(item.spans.header(), format!("vrrp sync group {} already defined", item.name));
        },
    );
    let mut taken: HashSet<String> = HashSet::new();
    let instances: HashSet<&str> = config.instances.iter().map(|item| &*item.name).collect();
    let names = Names::of(config);
    config.sync_groups.retain_mut(|group| {
        let name = group.name.0.clone();
        let tracks = &mut group.tracks;
        named(&mut tracks.scripts, "script", &name, false, |item| names.scripts.contains(item), context);
        named(&mut tracks.files, "file", &name, false, |item| names.files.contains(item), context);
        named(&mut tracks.processes, "process", &name, false, |item| names.processes.contains(item), context);
        named(&mut tracks.bfds, "bfd", &name, false, |item| names.bfds.contains(item), context);
        for item in tracks.interfaces.iter() {
            if context.lacks(&item.name) {
                context.reports.warning(item.span, format!("({name}) tracked interface {} doesn't exist", item.name));
            }
        }
        members(group, |name| instances.contains(name), &mut taken, context)
    });
}

/// False if nothing is left of the group.
fn members(
    group: &mut SyncGroup,
    exists: impl Fn(&str) -> bool,
    taken: &mut HashSet<String>,
    context: &mut Context<'_>,
) -> bool {
    let (name, span) = (group.name.clone(), group.spans.header());
    if group.group.is_empty() {
        context.reports.error(span, format!("Sync group {name} has no virtual router(s). removing"));
        return false;
    }
    let reports = &mut *context.reports;
    group.group.retain(|member| {
        let router = &member.value.0;
        if !exists(router) {
            let text = format!("Virtual router {router} specified in sync group {name} doesn't exist - ignoring");
            reports.error(member.span, text);
            return false;
        }
        if !taken.insert(router.clone()) {
            let text = format!("Virtual router {router} cannot exist in more than one sync group; ignoring {name}");
            reports.error(member.span, text);
            return false;
        }
        true
    });
    match group.group.len() {
        0 => {
            let text = format!("Sync group {name}, no matching virtual router found in group declaration - removing");
            reports.error(span, text);
            false
        }
        1 => {
            let text = format!("Sync group {name} has only 1 virtual router(s) - this probably isn't what you want");
            reports.add(Level::Warning, span, text, None);
            true
        }
        _ => true,
    }
}
