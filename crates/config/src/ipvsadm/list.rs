//! Listings of services and servers.

use super::largenum::largenum;
use super::parse::{ListRequest, View};
use super::show::{self, Style};
use super::{sort, tunnel};
use crate::names::Names;
use rvs_core::abi::{Counters, Forward, ServiceKey, flags};
use rvs_intent::{ListedDest, ListedService, Listing, Rates};
use rvs_wire::Family;

/// Width of the column of service addresses; longer IPv4 names are cut.
const SERVICE_WIDTH: usize = 33;
/// Width of the column of server addresses, likewise.
const SERVER_WIDTH: usize = 28;

/// The whole table, or one service of it (then without the banner); `None` when there is no such service.
pub fn list(listing: &Listing, one: Option<&ServiceKey>, request: &ListRequest, names: &dyn Names) -> Option<String> {
    let printer = Printer { request, style: Style { names: (!request.numeric).then_some(names) } };
    let mut text = String::new();
    let services: Vec<&ListedService> = match one {
        Some(key) => vec![listing.services.iter().find(|listed| listed.service.key == *key)?],
        None => {
            text += &format!("IP Virtual Server version 1.2.1 (size={})\n", listing.conn_table_size);
            let services: Vec<_> = listing.services.iter().collect();
            let compare = |a: &&ListedService, b: &&ListedService| sort::services(&a.service, &b.service);
            if request.unsorted { services } else { sort::merge_sort(services, &compare) }
        }
    };
    text += &printer.title();
    for listed in services {
        text += &printer.service(listed);
        let dests: Vec<_> = listed.dests.iter().collect();
        let compare = |a: &&ListedDest, b: &&ListedDest| sort::dests(&a.dest, &b.dest);
        let dests = if request.unsorted { dests } else { sort::merge_sort(dests, &compare) };
        for dest in dests {
            text += &printer.dest(&listed.service.key, dest);
        }
    }
    Some(text)
}

struct Printer<'a> {
    request: &'a ListRequest,
    style: Style<'a>,
}

impl Printer<'_> {
    fn title(&self) -> String {
        let columns = match self.request.view {
            View::Plain | View::TunInfo => "Prot LocalAddress:Port Scheduler Flags".to_owned(),
            View::Stats => figures(["Conns", "InPkts", "OutPkts", "InBytes", "OutBytes"]),
            View::Rate => figures(["CPS", "InPPS", "OutPPS", "InBPS", "OutBPS"]),
            View::Thresholds => format!(
                "{:<33} {:<10} {:<10} {:<10} {:<10}",
                "Prot LocalAddress:Port", "Uthreshold", "Lthreshold", "ActiveConn", "InActConn"
            ),
            View::PersistentConn => format!(
                "{:<33} {:<9} {:<11} {:<10} {:<10}",
                "Prot LocalAddress:Port", "Weight", "PersistConn", "ActiveConn", "InActConn"
            ),
        };
        let servers = match self.request.view {
            View::Plain => "  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn",
            View::TunInfo => "  -> RemoteAddress:Port           Forward TunnelInfo    Weight ActiveConn InActConn",
            _ => "  -> RemoteAddress:Port",
        };
        format!("{columns}\n{servers}\n")
    }

    fn service(&self, listed: &ListedService) -> String {
        let name = self.service_name(&listed.service.key);
        match self.request.view {
            View::Stats => format!("{name:<33}{}\n", self.counters(&listed.counters)),
            View::Rate => format!("{name:<33}{}\n", self.rates(&listed.rates)),
            _ => format!("{name} {}{}\n", listed.service.sched.name(), settings(listed)),
        }
    }

    fn service_name(&self, key: &ServiceKey) -> String {
        match show::mark(key) {
            // The original prints marks as signed numbers.
            Some(mark) => format!("FWM  {}{}", mark as i32, if show::family(key) == Family::V6 { " IPv6" } else { "" }),
            None => {
                let name = format!("{:<4} {}", show::protocol(key.proto), self.style.service(key));
                cut(name, SERVICE_WIDTH, show::family(key))
            }
        }
    }

    fn dest(&self, key: &ServiceKey, listed: &ListedDest) -> String {
        let dest = &listed.dest;
        let name = self.style.endpoint(dest.addr, dest.family, dest.port, key.proto);
        let name = cut(name, SERVER_WIDTH, dest.family);
        let (active, inactive, weight) = (listed.active, listed.inactive, dest.weight);
        let forward = show::forward(dest.forward);
        let columns = match self.request.view {
            View::Plain => format!(" {forward:<7} {weight:<6} {active:<10} {inactive:<10}"),
            View::Stats => self.counters(&listed.counters),
            View::Rate => self.rates(&listed.rates),
            View::Thresholds => {
                format!(" {:<10} {:<10} {active:<10} {inactive:<10}", dest.u_threshold, dest.l_threshold)
            }
            View::PersistentConn => format!(" {weight:<9} {:<11} {active:<10} {inactive:<10}", listed.persist),
            View::TunInfo => {
                let tunnelled = dest.forward == Forward::Tunnel;
                let info = if tunnelled { tunnel::info(&dest.tunnel) } else { "n/a".to_owned() };
                format!(" {forward:<7} {info:<13} {weight:<6} {active:<10} {inactive:<10}")
            }
        };
        format!("  -> {name:<28}{columns}\n")
    }

    fn counters(&self, counters: &Counters) -> String {
        let Counters { conns, in_pkts, out_pkts, in_bytes, out_bytes } = *counters;
        [conns, in_pkts, out_pkts, in_bytes, out_bytes].map(|n| largenum(n, self.request.exact)).concat()
    }

    fn rates(&self, rates: &Rates) -> String {
        let bytes = [rates.in_bps, rates.out_bps].map(|n| largenum(n, self.request.exact)).concat();
        format!(" {:>8} {:>8} {:>8}{bytes}", rates.cps, rates.in_pps, rates.out_pps)
    }
}

fn figures(names: [&str; 5]) -> String {
    let names: String = names.iter().map(|name| format!(" {name:>8}")).collect();
    format!("{:<33}{names}", "Prot LocalAddress:Port")
}

/// What follows the scheduler: ` (flags) persistent 360 mask 255.255.255.0 pe sip ops`.
fn settings(listed: &ListedService) -> String {
    let service = &listed.service;
    let mut text = show::sched_flags(service).map_or(String::new(), |names| format!(" ({names})"));
    if service.flags & flags::PERSISTENT != 0 {
        text += &format!(" persistent {}", service.persist_secs);
        text += &show::netmask(service).map_or(String::new(), |mask| format!(" mask {mask}"));
        text += &service.engine.map_or(String::new(), |engine| format!(" pe {}", engine.name()));
    }
    if service.flags & flags::ONE_PACKET != 0 {
        text += " ops";
    }
    text
}

fn cut(mut name: String, width: usize, family: Family) -> String {
    if family == Family::V4 && name.is_char_boundary(width) {
        name.truncate(width);
    }
    name
}
