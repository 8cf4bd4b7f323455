//! The way out of a packet that is to be sent on: the kernel's route, asked for as the programs do, and how large packets may be.

use super::copy::Copy;
use super::steps::Step;
use crate::Error;
use crate::kernel::change::store::Way;
use crate::kernel::links;
use crate::kernel::route::Router;
use rvs_core::flow::Flow;
use rvs_core::path_mtu;
use rvs_core::plan::Plan;
use rvs_core::tables::Tables;
use rvs_core::verdict::Reason;
use rvs_wire::Family;
use std::fs;

/// Notes the way, and gives the reason with which the packet then ends.
pub(super) fn note(copy: &Copy<'_>, flow: &Flow, plan: &Plan, reason: Reason) -> Result<Reason, Error> {
    let Some(family) = Family::from_raw(plan.family) else { return Ok(Reason::NoRoute) };
    let to = plan.next.to_ip(family);
    let dest = copy.dest(plan.dest);
    let (way, configured) = if forwards(family) {
        // Answers to a client on this host go to its own stack; nobody else is reached by way of it.
        let route = Router::new()?.route(plan.next, family);
        (route.filter(|(local, _)| !local || plan.outward != 0).map(|(_, way)| way), false)
    } else {
        let kept = dest.filter(|dest| plan.outward == 0 && dest.hop_ifindex != 0);
        let way = |ifindex, gateway, source| Way { ifindex, gateway, source };
        (kept.map(|dest| way(dest.hop_ifindex, dest.hop_gateway, dest.hop_source)), true)
    };
    let Some(way) = way else {
        copy.note(Step::NoWay { to });
        return Ok(Reason::NoRoute);
    };
    let interfaces = links::interfaces()?;
    let interface = interfaces.iter().find(|interface| interface.index == way.ifindex);
    let link = interface.map_or(0, |interface| interface.mtu);
    let mtu = match dest {
        Some(dest) if plan.is_tunnel() => path_mtu::towards(dest, link, copy.now()),
        _ => link,
    };
    copy.note(Step::Way {
        interface: interface.map_or_else(|| format!("interface {}", way.ifindex), |interface| interface.name.clone()),
        gateway: (way.gateway != plan.next).then(|| way.gateway.to_ip(family)),
        mtu,
        inner_mtu: plan.is_tunnel().then(|| mtu.saturating_sub(plan.growth())),
        configured,
    });
    if plan.fits(flow.len, mtu) {
        return Ok(reason);
    }
    Ok(if flow.dont_fragment == 0 { Reason::Cut } else { Reason::FragNeeded })
}

/// Whether this host forwards packets of a family, without which the kernel refuses the programs' look-ups.
fn forwards(family: Family) -> bool {
    let path = match family {
        Family::V4 => "/proc/sys/net/ipv4/ip_forward",
        Family::V6 => "/proc/sys/net/ipv6/conf/all/forwarding",
    };
    fs::read_to_string(path).is_ok_and(|text| text.trim() != "0")
}
