//! One virtual server with its real servers.

use super::{Command, Server, Tells, check, service};
use rvs_checker::{Outlier, RealParams, ServiceParams, Sorry};
use rvs_config::keepalived::Config;
use rvs_config::keepalived::model::server::{self, RealServer, VirtualServer};
use rvs_config::keepalived::value::lvs::{Forward, ServiceKey};
use rvs_config::keepalived::value::{self, Int};
use rvs_intent::Engine;
use rvs_wire::Family;
use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// New connections that may stay without an answer, unless said otherwise.
const CONSECUTIVE_FAILURES: u32 = 5;
/// The first absence, unless said otherwise.
const BASE_EJECTION: Duration = Duration::from_secs(30);
/// The longest absence, unless said otherwise.
const MAX_EJECTION: Duration = Duration::from_secs(300);
/// How much may be absent in per cent, unless said otherwise.
const MAX_EJECTED: u8 = 10;

/// A virtual server's name in the log. A group's has no protocol.
fn name(block: &VirtualServer) -> String {
    match &block.key {
        ServiceKey::Group(name) => format!("[{name}]:0"),
        ServiceKey::Address(_) | ServiceKey::Mark(_) => block.text(),
    }
}

pub(super) fn server(block: &VirtualServer, config: &Config, remarks: &mut Vec<String>) -> Option<Server> {
    let name = name(block);
    if let Some(engine) = block.persistence_engine.as_ref().filter(|name| Engine::from_name(&name.0).is_none()) {
        remarks.push(format!("Virtual server {name}: there is no persistence engine {} - ignoring", engine.0));
    }
    let members = service::members(block, config, remarks);
    if members.is_empty() {
        remarks.push(format!("Virtual server {name} has no addresses and no marks - ignoring"));
        return None;
    }
    let mut made = Server {
        params: params(block, config, name),
        members,
        dests: BTreeMap::new(),
        sorry: None,
        checks: BTreeMap::new(),
        programs: BTreeMap::new(),
        tells: Tells {
            quorum_up: block.quorum_up.as_ref().map(Command::of),
            quorum_down: block.quorum_down.as_ref().map(Command::of),
            reals: BTreeMap::new(),
        },
        suspend_without: Default::default(),
        ha_suspend: block.ha_suspend,
        kind: block.service_type.as_ref().map(|text| text.0.clone()),
    };
    let addresses = made.members.iter().filter(|member| member.key.proto != 0);
    made.suspend_without = addresses
        .filter_map(|member| Some(member.key.addr.to_ip(Family::from_raw(member.key.family)?)))
        .filter(|_| block.ha_suspend)
        .collect();
    if block.ha_suspend && made.suspend_without.is_empty() {
        remarks.push(format!("Virtual server {}: ha_suspend needs addresses - it is always active", made.params.name));
    }
    sorry(block, &mut made);
    reals(block, config, &mut made, remarks);
    Some(made)
}

fn params(block: &VirtualServer, config: &Config, name: String) -> ServiceParams {
    let globals = &config.globals;
    ServiceParams {
        name,
        quorum: block.quorum.map_or(1, Int::to),
        hysteresis: block.hysteresis.map_or(0, Int::to),
        omega: block.omega,
        smtp_alert: alerts(block, config),
        no_checker_emails: globals.no_checker_emails,
        init_notifies: globals.rs_init_notifies,
        sorry: None,
        outlier: outlier(&block.outlier_ejection),
        reals: Vec::new(),
    }
}

/// Mails about a virtual server: its own word, that about checkers, that about everything.
fn alerts(block: &VirtualServer, config: &Config) -> bool {
    let globals = &config.globals;
    block.smtp_alert.or(globals.smtp_alert_checker).or(globals.smtp_alert).is_some_and(|switch| switch.0)
}

fn outlier(block: &server::Outlier) -> Option<Outlier> {
    let said = !block.spans.header().is_none()
        || block.consecutive_failures.is_some()
        || block.base_ejection_time.is_some()
        || block.max_ejection_time.is_some()
        || block.max_ejection_percent.is_some();
    let base = block.base_ejection_time.map_or(BASE_EJECTION, |time| time.duration());
    said.then(|| Outlier {
        consecutive_failures: block.consecutive_failures.map_or(CONSECUTIVE_FAILURES, Int::to),
        base_ejection_time: base,
        max_ejection_time: block.max_ejection_time.map_or(MAX_EJECTION, |time| time.duration()).max(base),
        max_ejection_percent: block.max_ejection_percent.map_or(MAX_EJECTED, Int::to),
    })
}

fn sorry(block: &VirtualServer, made: &mut Server) {
    let Some(endpoint) = block.sorry_server else { return };
    let forward = block.sorry_server_lvs_method.or(block.lvs_method).unwrap_or(Forward::Nat);
    let of_service = match &block.key {
        ServiceKey::Address(at) => at.port,
        ServiceKey::Mark(_) | ServiceKey::Group(_) => None,
    };
    let port = endpoint.port.or(of_service).unwrap_or(0);
    let named = value::Endpoint { port: Some(port).filter(|port| *port > 0), ..endpoint };
    made.params.sorry = Some(Sorry {
        address: SocketAddr::new(endpoint.address, port),
        name: ServiceKey::Address(named).text(block.protocol),
        inhibit: block.sorry_server_inhibit,
    });
    made.sorry = Some(service::dest(endpoint.address, port, forward));
}

fn reals(block: &VirtualServer, config: &Config, made: &mut Server, remarks: &mut Vec<String>) {
    let mut places = HashSet::new();
    for real in &block.real_servers {
        let address = SocketAddr::new(real.endpoint.address, service::port(block, real));
        let dest = dest(block, real, address, &made.params.name, remarks);
        let place = made.members.first().map(|member| made.place(member, &dest).port);
        if !places.insert((address.ip(), place)) {
            let text = block.real_text(real);
            remarks.push(format!(
                "Virtual server {}: real server {text} is another one's double - ignoring",
                made.params.name
            ));
            continue;
        }
        let checks = check::checks(block, real, address, config, made, remarks);
        made.params.reals.push(real_params(block, real, address, config, &checks));
        let command = |command: &Option<value::Command>| command.as_ref().map(Command::of);
        let tells = (command(&real.notify_up), command(&real.notify_down));
        if tells != (None, None) {
            made.tells.reals.insert(address, tells);
        }
        made.dests.insert(address, dest);
        made.checks.insert(address, checks);
    }
}

fn real_params(
    block: &VirtualServer,
    real: &RealServer,
    address: SocketAddr,
    config: &Config,
    checks: &[Arc<rvs_checker::CheckParams>],
) -> RealParams {
    let globals = &config.globals;
    let alert = real.smtp_alert.or(block.smtp_alert).or(globals.smtp_alert_checker).or(globals.smtp_alert);
    RealParams {
        address,
        name: block.real_text(real),
        weight: real.weight.or(block.weight).map_or(1, Int::get),
        inhibit_on_failure: real.inhibit_on_failure.or(block.inhibit_on_failure).is_some_and(|switch| switch.0),
        // Of real servers mails are written unless it is said not to, unlike of anything else.
        smtp_alert: alert.is_none_or(|switch| switch.0),
        slow_start: real.slow_start.or(block.slow_start).map_or(Duration::ZERO, |time| time.duration()),
        checks: checks.iter().map(|check| check.pace.alpha).collect(),
    }
}

fn dest(
    block: &VirtualServer,
    real: &RealServer,
    address: SocketAddr,
    name: &str,
    remarks: &mut Vec<String>,
) -> rvs_intent::Dest {
    let mut dest = service::dest(address.ip(), address.port(), block.forward(real));
    let weight = real.weight.or(block.weight).map_or(1, Int::get);
    dest.weight = i32::try_from(weight).unwrap_or(i32::MAX);
    dest.last_weight = dest.weight;
    dest.u_threshold = real.uthreshold.or(block.uthreshold).map_or(0, Int::to);
    dest.l_threshold = real.lthreshold.or(block.lthreshold).map_or(0, Int::to);
    if dest.l_threshold > dest.u_threshold {
        let text = block.real_text(real);
        remarks.push(format!(
            "Virtual server {name}: real server {text}: lthreshold {} is greater than uthreshold {} - ignoring lthreshold",
            dest.l_threshold, dest.u_threshold
        ));
        dest.l_threshold = 0;
    }
    dest
}
