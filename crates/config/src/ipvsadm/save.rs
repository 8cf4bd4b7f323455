//! The save format: a table as the command lines that make it.

use super::show::{self, Style};
use super::{sort, tunnel};
use crate::names::Names;
use rvs_core::abi::{Forward, ServiceKey, flags};
use rvs_intent::{Dest, ListedService, Listing, Service};
use rvs_wire::Family;

/// All rules, in the order of listings. Thresholds are not part of the format.
pub fn save(listing: &Listing, numeric: bool, names: &dyn Names) -> String {
    let style = Style { names: (!numeric).then_some(names) };
    let compare = |a: &&ListedService, b: &&ListedService| sort::services(&a.service, &b.service);
    let mut text = String::new();
    for listed in sort::merge_sort(listing.services.iter().collect(), &compare) {
        let key = &listed.service.key;
        let name = service_option(key, style);
        text += &format!("-A {name}{}\n", service(&listed.service));
        let dests = listed.dests.iter().map(|listed| &listed.dest).collect();
        for dest in sort::merge_sort(dests, &|a: &&Dest, b: &&Dest| sort::dests(a, b)) {
            let server = style.endpoint(dest.addr, dest.family, dest.port, key.proto);
            text += &format!("-a {name} -r {server}{}\n", server_options(dest));
        }
    }
    text
}

fn service_option(key: &ServiceKey, style: Style<'_>) -> String {
    let option = match (show::mark(key), key.proto) {
        (Some(mark), _) => {
            let v6 = if show::family(key) == Family::V6 { " -6" } else { "" };
            return format!("-f {}{v6}", mark as i32);
        }
        (None, 17) => "-u",
        (None, 132) => "--sctp-service",
        (None, _) => "-t",
    };
    format!("{option} {}", style.service(key))
}

fn service(service: &Service) -> String {
    let mut text = format!(" -s {}", service.sched.name());
    if service.flags & flags::PERSISTENT != 0 {
        text += &format!(" -p {}", service.persist_secs);
        text += &show::netmask(service).map_or(String::new(), |mask| format!(" -M {mask}"));
    }
    text += &service.engine.map_or(String::new(), |engine| format!(" --pe {}", engine.name()));
    if service.flags & flags::ONE_PACKET != 0 {
        text += " -o";
    }
    text + &show::sched_flags(service).map_or(String::new(), |names| format!(" -b {names}"))
}

fn server_options(dest: &Dest) -> String {
    let method = match dest.forward {
        Forward::Masq => "-m",
        Forward::Tunnel => "-i",
        Forward::Local | Forward::Route => "-g",
    };
    let tunnel = match dest.forward {
        Forward::Tunnel => format!(" {}", tunnel::options(&dest.tunnel)),
        _ => String::new(),
    };
    format!(" {method} -w {}{tunnel}", dest.weight)
}
