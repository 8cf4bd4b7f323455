//! Virtual servers: what stands in the table for each, what health decides, how it is checked, whom it tells. Made of a
//! configuration, purely; who runs scripts and whether they are safe is judged elsewhere.

mod check;
mod probe;
mod server;
mod service;

#[cfg(test)]
mod tests;

use super::notify::Command;
use rvs_checker::{CheckParams, ServiceParams};
use rvs_config::keepalived::Config;
use rvs_config::keepalived::value::{Int, Text, User};
use rvs_intent::{Dest, ServiceSettings, Timeouts};
use rvs_prober::TlsFiles;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

/// How many services one virtual server may have: more would fill the whole table.
const MOST_MEMBERS: usize = 4096;

/// All virtual servers, and what holds for them together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Balance {
    /// The virtual servers, in the order of the configuration; no name twice.
    pub servers: Vec<Server>,
    /// What holds for all.
    pub settings: Settings,
}

/// What holds for all virtual servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Begin with a table that has nothing but what is configured.
    pub flush: bool,
    /// What goes at the end.
    pub at_end: AtEnd,
    /// Time-outs of connections; 0: as they are.
    pub timeouts: Option<Timeouts>,
    /// Put right what others change.
    pub repair: bool,
    /// How many checks may run at the same time.
    pub max_parallel: Option<usize>,
    /// The network namespace of the table, where it is another one than the daemon's.
    pub namespace: Option<Option<String>>,
    /// CPUs for the thread.
    pub cpus: Vec<usize>,
    /// Certificates for checks over TLS.
    pub tls: TlsFiles,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            flush: false,
            at_end: AtEnd::Ours,
            timeouts: None,
            repair: true,
            max_parallel: None,
            namespace: None,
            cpus: Vec::new(),
            tls: TlsFiles::default(),
        }
    }
}

/// What goes at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtEnd {
    /// Our virtual servers.
    Ours,
    /// The whole table.
    Everything,
}

/// A virtual server.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// What health decides about.
    pub params: ServiceParams,
    /// The services of the table: one, or those of a group; no key twice.
    pub members: Vec<ServiceSettings>,
    /// How the table has each real server, by the address that health knows it by. Its weight is the configured one.
    pub dests: BTreeMap<SocketAddr, Dest>,
    /// How the table has the sorry server.
    pub sorry: Option<Dest>,
    /// The checks of each real server, in order.
    pub checks: BTreeMap<SocketAddr, Vec<Arc<CheckParams>>>,
    /// As whom the programs of checks run, where that was said.
    pub programs: BTreeMap<(SocketAddr, usize), User>,
    /// Whom it tells.
    pub tells: Tells,
    /// Checks rest while this host has none of these addresses.
    pub suspend_without: BTreeSet<IpAddr>,
    /// `ha_suspend`.
    pub ha_suspend: bool,
    /// What a virtual server is called besides its address: `service_type`.
    pub kind: Option<String>,
}

/// The scripts of a virtual server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tells {
    /// When the quorum is gained.
    pub quorum_up: Option<Command>,
    /// When it is lost.
    pub quorum_down: Option<Command>,
    /// For each real server that has any: when it comes, and when it goes.
    pub reals: BTreeMap<SocketAddr, (Option<Command>, Option<Command>)>,
}

impl Tells {
    fn commands(&self) -> impl Iterator<Item = &Command> {
        let reals = self.reals.values().flat_map(|(up, down)| [up, down]);
        [&self.quorum_up, &self.quorum_down].into_iter().chain(reals).flatten()
    }
}

impl Server {
    /// Where the table of this service has a destination: routed and tunnelled ones have the service's port.
    pub fn place(&self, member: &ServiceSettings, dest: &Dest) -> Dest {
        use rvs_core::abi::Forward;
        let by_mark = member.key.proto == 0;
        let port = match dest.forward {
            Forward::Route | Forward::Tunnel if !by_mark => member.key.port,
            _ if dest.port.host() == 0 && !by_mark => member.key.port,
            _ => dest.port,
        };
        Dest { port, ..dest.clone() }
    }
}

impl Server {
    /// Leaves out a check that cannot be done.
    pub fn forget_check(&mut self, real: SocketAddr, check: usize) {
        if let Some(checks) = self.checks.get_mut(&real) {
            checks.remove(check);
        }
        if let Some(params) = self.params.reals.iter_mut().find(|params| params.address == real) {
            params.checks.remove(check);
        }
    }
}

impl Balance {
    pub(crate) fn of(config: &Config, remarks: &mut Vec<String>) -> Self {
        let mut servers: Vec<Server> = Vec::new();
        let (mut names, mut keys) = (HashSet::new(), HashSet::new());
        for block in &config.servers {
            let Some(mut server) = server::server(block, config, remarks) else { continue };
            let name = server.params.name.clone();
            if !names.insert(name.clone()) {
                remarks.push(format!("Virtual server {name} is there twice - the second one is ignored"));
                continue;
            }
            let before = server.members.len();
            server.members.retain(|member| keys.insert(member.key));
            let lost = before - server.members.len();
            if lost > 0 {
                remarks.push(format!(
                    "Virtual server {name}: {lost} of its addresses or marks belong to an earlier virtual server and are \
                     left out"
                ));
            }
            servers.push(server);
        }
        if config.ssl.password.is_some() {
            remarks.push("SSL: password: keys that are encrypted cannot be read - give one that is not".to_owned());
        }
        Self { servers, settings: settings(config) }
    }

    /// All scripts that may be run.
    pub fn commands(&self) -> impl Iterator<Item = &Command> {
        self.servers.iter().flat_map(|server| server.tells.commands())
    }
}

fn settings(config: &Config) -> Settings {
    let globals = &config.globals;
    let path = |text: &Option<Text>| text.as_ref().map(|text| PathBuf::from(&text.0));
    let cpus = globals.checker_cpu_affinity.as_ref().map(|words| &words.0[..]).unwrap_or_default();
    Settings {
        flush: globals.lvs_flush,
        at_end: match globals.lvs_flush_on_stop {
            Some(how) if !how.services => AtEnd::Everything,
            _ => AtEnd::Ours,
        },
        timeouts: globals.lvs_timeouts.map(|given| Timeouts {
            tcp: given.tcp.unwrap_or(0),
            tcp_fin: given.tcpfin.unwrap_or(0),
            udp: given.udp.unwrap_or(0),
        }),
        repair: globals.lvs_repair.is_none_or(|switch| switch.0),
        max_parallel: globals.checker_max_parallel.map(Int::to),
        namespace: config.top.net_namespace_ipvs.as_ref().map(|words| words.0.first().cloned()),
        cpus: cpus.iter().filter_map(|word| word.parse().ok()).collect(),
        tls: TlsFiles {
            authorities: path(&config.ssl.ca),
            certificate: path(&config.ssl.certificate),
            key: path(&config.ssl.key),
        },
    }
}
