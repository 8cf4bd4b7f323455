//! Global settings, static blocks and delays.

use super::{Context, routes};
use crate::keepalived::model::Config;

pub(super) fn check(config: &mut Config, context: &mut Context<'_>) {
    let globals = &mut config.globals;
    if let Some(group) = globals.vrrp_mcast_group4.filter(|group| !group.is_multicast()) {
        let span = globals.spans.of("vrrp_mcast_group4");
        context.reports.error(span, format!("vrrp_mcast_group4 [{group}] is not multicast. Skipping"));
        globals.vrrp_mcast_group4 = None;
    }
    if let Some(group) = globals.vrrp_mcast_group6.filter(|group| !group.is_multicast()) {
        let span = globals.spans.of("vrrp_mcast_group6");
        context.reports.error(span, format!("vrrp_mcast_group6 [{group}] is not multicast. Skipping"));
        globals.vrrp_mcast_group6 = None;
    }
    let mut fifos: Vec<&str> = Vec::new();
    for (keyword, fifo) in [
        ("notify_fifo", &globals.notify_fifo),
        ("vrrp_notify_fifo", &globals.vrrp_notify_fifo),
        ("lvs_notify_fifo", &globals.lvs_notify_fifo),
    ] {
        let Some(fifo) = fifo else { continue };
        if fifos.contains(&fifo.path.as_str()) {
            let text = format!("{keyword} {} is used twice: events would be mixed up", fifo.path);
            context.reports.warning(globals.spans.of(keyword), text);
        }
        fifos.push(&fifo.path);
    }
    sync_daemon(config, context);
    for group in &config.garp_groups {
        if group.garp_interval.is_none() && group.gna_interval.is_none() {
            context.reports.warning(group.spans.header(), "garp group does not have any delay set - removing");
        }
        if group.interface.is_some() && !group.interfaces.is_empty() {
            context
                .reports
                .warning(group.spans.of("interfaces"), "a garp group has an interface or interfaces, not both");
        }
    }
    config.garp_groups.retain(|group| group.garp_interval.is_some() || group.gna_interval.is_some());
    interfaces(config, context);
}

fn sync_daemon(config: &Config, context: &mut Context<'_>) {
    let Some(daemon) = &config.globals.lvs_sync_daemon else { return };
    let span = config.globals.spans.of("lvs_sync_daemon");
    if let Some(name) = &daemon.instance
        && !config.instances.iter().any(|instance| instance.name.0 == *name)
    {
        // The original says nothing and runs no daemon.
        context.reports.notice(span, format!("lvs_sync_daemon follows instance {name}, which does not exist"));
    }
    if context.lacks(&daemon.interface) {
        context.reports.warning(span, format!("interface {} for lvs_sync_daemon doesn't exist", daemon.interface));
    }
}

fn interfaces(config: &Config, context: &mut Context<'_>) {
    for item in config.linkbeat_interfaces.iter() {
        if !context.lacks(&item.interface) {
            continue;
        }
        let text = format!("unknown interface {} specified for linkbeat interface", item.interface);
        context.reports.warning(item.span, text);
    }
    for item in config.interface_up_down_delays.iter() {
        if !context.lacks(&item.interface) {
            continue;
        }
        let text = format!("unknown interface {} specified for up/down delay", item.interface);
        context.reports.warning(item.span, text);
    }
    routes::addresses(&config.static_addresses, context);
    routes::routes(&config.static_routes, context);
    routes::rules(&config.static_rules, context);
    for group in &config.track_groups {
        for name in group.group.iter() {
            if !config.instances.iter().any(|instance| instance.name.0 == name.value.0) {
                let text = format!("vrrp instance {} of track_group {} doesn't exist", name.value, group.name);
                context.reports.notice(name.span, text);
            }
        }
    }
}
