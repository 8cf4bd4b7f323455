//! The save format: a table as the command lines that make it.

use super::parse::Target;
use super::show::{self, Style};
use super::{sort, tunnel};
use crate::names::Names;
use rvs_core::abi::{Forward, ServiceKey, flags};
use rvs_intent::{Daemon, Dest, ListedService, Listing, Service, Timeouts};
use rvs_wire::Family;

/// All rules, in the order of listings. Thresholds are not part of the format.
pub fn save(listing: &Listing, numeric: bool, names: &dyn Names) -> String {
    rules(listing, Writer { style: Style { names: (!numeric).then_some(names) }, exact: false })
}

/// All that can be restored: timeouts, rules with thresholds, and daemons.
pub fn save_full(listing: &Listing, daemons: &[Daemon], numeric: bool, names: &dyn Names) -> String {
    let writer = Writer { style: Style { names: (!numeric).then_some(names) }, exact: true };
    let mut text = format!("{}\n", timeouts(&listing.timeouts));
    text += &rules(listing, writer);
    for daemon in daemons {
        text += &format!("{}\n", start_daemon(daemon));
    }
    text
}

fn rules(listing: &Listing, writer: Writer<'_>) -> String {
    let compare = |a: &&ListedService, b: &&ListedService| sort::services(&a.service, &b.service);
    let mut text = String::new();
    for listed in sort::merge_sort(listing.services.iter().collect(), &compare) {
        text += &format!("-A {}\n", writer.service(&listed.service));
        let dests = listed.dests.iter().map(|listed| &listed.dest).collect();
        for dest in sort::merge_sort(dests, &|a: &&Dest, b: &&Dest| sort::dests(a, b)) {
            text += &format!("-a {}\n", writer.dest(&listed.service.key, dest));
        }
    }
    text
}

/// Writes rules, without the option that says what is done.
#[derive(Clone, Copy)]
pub(super) struct Writer<'a> {
    style: Style<'a>,
    /// Thresholds, marks as they are read back, and scheduler flags that have no name: what the original leaves out or spoils.
    exact: bool,
}

impl Writer<'_> {
    /// Numbers instead of names, and everything that can be set.
    pub(super) const EXACT: Self = Self { style: Style { names: None }, exact: true };

    /// A service with its settings.
    pub(super) fn service(self, service: &Service) -> String {
        let flags = if self.exact { show::all_sched_flags(service) } else { show::sched_flags(service) };
        let flags = flags.map_or(String::new(), |names| format!(" -b {names}"));
        format!("{}{}{flags}", self.service_option(&service.key), service_settings(service))
    }

    /// A service's destination with its settings.
    pub(super) fn dest(self, key: &ServiceKey, dest: &Dest) -> String {
        format!("{}{}", self.server(key, dest), self.server_options(dest))
    }

    /// A service's destination.
    pub(super) fn server(self, key: &ServiceKey, dest: &Dest) -> String {
        let server = self.style.endpoint(dest.addr, dest.family, dest.port, key.proto);
        format!("{} -r {server}", self.service_option(key))
    }

    fn server_options(self, dest: &Dest) -> String {
        let mut text = server_options(dest);
        if self.exact && dest.u_threshold != 0 {
            text += &format!(" -x {}", dest.u_threshold);
        }
        if self.exact && dest.l_threshold != 0 {
            text += &format!(" -y {}", dest.l_threshold);
        }
        text
    }

    fn service_option(self, key: &ServiceKey) -> String {
        let option = match (show::mark(key), key.proto) {
            (Some(mark), _) => {
                let v6 = if show::family(key) == Family::V6 { " -6" } else { "" };
                // The original prints marks as signed numbers.
                return if self.exact { format!("-f {mark}{v6}") } else { format!("-f {}{v6}", mark as i32) };
            }
            (None, 17) => "-u",
            (None, 132) => "--sctp-service",
            (None, _) => "-t",
        };
        format!("{option} {}", self.style.service(key))
    }
}

/// `--set`.
pub(super) fn timeouts(timeouts: &Timeouts) -> String {
    format!("--set {} {} {}", timeouts.tcp, timeouts.tcp_fin, timeouts.udp)
}

/// A real server of a service.
pub(super) fn target(target: &Target) -> String {
    let dest = Dest::new(target.addr, target.family, target.port);
    Writer::EXACT.server(&target.key, &dest)
}

/// `--start-daemon`.
fn start_daemon(daemon: &Daemon) -> String {
    let Daemon { role, interface, syncid, maxlen, group, port, ttl } = daemon;
    let maxlen = maxlen.map_or(String::new(), |maxlen| format!(" --sync-maxlen {maxlen}"));
    format!(
        "--start-daemon {} --mcast-interface {interface} --syncid {syncid}{maxlen} --mcast-group {group} \
         --mcast-port {port} --mcast-ttl {ttl}",
        role.name()
    )
}

fn service_settings(service: &Service) -> String {
    let mut text = format!(" -s {}", service.sched.name());
    if service.flags & flags::PERSISTENT != 0 {
        text += &format!(" -p {}", service.persist_secs);
        text += &show::netmask(service).map_or(String::new(), |mask| format!(" -M {mask}"));
    }
    text += &service.engine.map_or(String::new(), |engine| format!(" --pe {}", engine.name()));
    if service.flags & flags::ONE_PACKET != 0 {
        text += " -o";
    }
    text
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
