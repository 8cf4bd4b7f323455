//! Addresses, routes and rules, be they static or an instance's.

use super::Context;
use crate::keepalived::field::Lines;
use crate::keepalived::report::Level;
use crate::keepalived::value::AddressEntry;
use crate::keepalived::value::route::Route;
use crate::keepalived::value::rule::Rule;

pub(super) fn addresses(list: &Lines<AddressEntry>, context: &mut Context<'_>) {
    for entry in list.iter() {
        if let Some(dev) = entry.dev.as_deref().filter(|dev| context.lacks(dev)) {
            let text = format!("WARNING - interface {dev} for ip address {} doesn't exist", entry.net.text());
            context.reports.warning(entry.span, text);
        }
    }
}

pub(super) fn routes(list: &Lines<Route>, context: &mut Context<'_>) {
    for route in list.iter() {
        for dev in route.devices() {
            if !context.lacks(dev) {
                continue;
            }
            let text = format!("WARNING - interface {dev} for VROUTE nexthop doesn't exist");
            context.reports.warning(route.span, text);
        }
        if route.devices().next().is_none() && !route.no_track {
            let text = format!(
                "Warning - cannot track route {}/{} with no interface specified, not tracking",
                route.to.address,
                route.to.prefix_or_host()
            );
            let help = if route.is_terminal() { "add `no_track`" } else { "add `dev INTERFACE` or `no_track`" };
            context.reports.add(Level::Warning, route.span, text, Some(help.into()));
        }
    }
}

pub(super) fn rules(list: &Lines<Rule>, context: &mut Context<'_>) {
    for rule in list.iter() {
        if rule.preference.is_none() {
            let text = "Rule has no preference specified. This is probably not what you want.";
            let help = Some("add `preference NUMBER`, lower numbers come first".to_owned());
            context.reports.add(Level::Warning, rule.span, text, help);
        }
        for dev in rule.devices() {
            if context.lacks(dev) {
                context.reports.warning(rule.span, format!("WARNING - interface {dev} for rule doesn't exist"));
            }
        }
    }
}
