//! The checks of a real server: how often, from where to where. What each asks is in `probe`.

use super::{Server, probe};
use rvs_checker::{Check, CheckParams, Pace, Probe, Target};
use rvs_config::keepalived::Config;
use rvs_config::keepalived::model::checker::{self as blocks, Connect};
use rvs_config::keepalived::model::server::{RealServer, VirtualServer};
use rvs_config::keepalived::value::Int;
use rvs_intent::ServiceSettings;
use rvs_machine::Time;
use rvs_wire::Family;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// From one run to the next, unless said otherwise.
const DELAY_LOOP: Duration = Duration::from_secs(60);

/// The checks of a real server. What cannot be done is left out and remarked on, as by the original.
pub(super) fn checks(
    block: &VirtualServer,
    real: &RealServer,
    address: SocketAddr,
    config: &Config,
    server: &mut Server,
    remarks: &mut Vec<String>,
) -> Vec<Arc<CheckParams>> {
    let name = block.real_text(real);
    let mut made = Vec::new();
    for check in real.checks.iter() {
        let asked = probe::probe(check, block, real, config).and_then(|probe| {
            let params = Arc::new(one(check, probe, block, real, address, config, &server.members)?);
            // What the machine refuses it refuses whenever it is asked.
            Check::new(Arc::clone(&params), 0, Time::ZERO).map(|_| params)
        });
        match asked {
            Ok(params) => {
                if let blocks::Check::Misc(block) = check
                    && let Some(user) = block.user.as_ref().or(block.path.as_ref().and_then(|path| path.user.as_ref()))
                {
                    server.programs.insert((address, made.len()), user.clone());
                }
                made.push(params);
            }
            Err(why) => {
                remarks.push(format!("Virtual server {}: real server {name}: {why} - ignoring", server.params.name))
            }
        }
    }
    made
}

fn one(
    check: blocks::Check<'_>,
    probe: Probe,
    block: &VirtualServer,
    real: &RealServer,
    address: SocketAddr,
    config: &Config,
    members: &[ServiceSettings],
) -> Result<CheckParams, String> {
    let target = match check.connect() {
        Some(connect) => target(connect, address, &probe, members)?,
        None => Target::new(address),
    };
    let said = match check {
        blocks::Check::Misc(block) => block.log_all_failures,
        other => other.connect().and_then(|connect| connect.log_all_failures),
    };
    let log_all_failures = said.or(config.globals.checker_log_all_failures).is_some_and(|switch| switch.0);
    Ok(CheckParams { target, pace: pace(check, &probe, block, real), log_all_failures, probe })
}

/// Each level has the one above it as default; the alpha mode of files and sessions is a word of their own.
fn pace(check: blocks::Check<'_>, probe: &Probe, block: &VirtualServer, real: &RealServer) -> Pace {
    let none = blocks::Pace::default();
    let levels = [check.pace().unwrap_or(&none), &real.pace, &block.pace];
    let own_alpha = match check {
        blocks::Check::Bfd(check) => check.alpha,
        blocks::Check::File(check) => check.alpha,
        _ => None,
    };
    let delay_loop = levels.iter().find_map(|level| level.delay_loop).map_or(DELAY_LOOP, |time| time.duration());
    let standard = Pace::of(probe, delay_loop);
    let time = |of: fn(&blocks::Pace) -> Option<blocks::CheckTime>, standard: Duration| {
        levels.iter().find_map(|level| of(level)).map_or(standard, |time| time.duration())
    };
    let alpha = own_alpha.or_else(|| levels.iter().find_map(|level| level.alpha));
    let retry = levels.iter().find_map(|level| level.retry);
    Pace {
        alpha: alpha.is_some_and(|switch| switch.0),
        // A limit of nothing would let no check succeed.
        connect_timeout: time(|level| level.connect_timeout, standard.connect_timeout).max(Duration::from_millis(1)),
        retry: retry.map_or(standard.retry, Int::to),
        delay_before_retry: time(|level| level.delay_before_retry, standard.delay_before_retry),
        warmup: time(|level| level.warmup, standard.warmup),
        delay_loop,
    }
}

/// Where a check goes, and how its packets leave.
pub(super) fn target(
    connect: &Connect,
    address: SocketAddr,
    probe: &Probe,
    members: &[ServiceSettings],
) -> Result<Target, String> {
    let port = match probe {
        Probe::Ping => 0,
        _ => connect.connect_port.map_or(address.port(), Int::to),
    };
    let to = SocketAddr::new(connect.connect_ip.unwrap_or(address.ip()), port);
    if port == 0 && *probe != Probe::Ping {
        return Err(format!(
            "{} has no port to connect to: neither connect_port nor the real server's",
            probe.keyword()
        ));
    }
    let via_vip = match connect.check_via_vip {
        Some(switch) if switch.0 && (port == 0 || connect.fwmark.is_some()) => {
            return Err(format!("{}: check_via_vip needs a port, and a mark of its own", probe.keyword()));
        }
        Some(switch) if switch.0 => Some(vip(members, port, address, probe)?),
        _ => None,
    };
    Ok(Target {
        address: to,
        bind_address: connect.bindto,
        bind_port: connect.bind_port.map(Int::to),
        bind_interface: connect.bind_if.as_ref().map(|name| name.0.clone()),
        mark: connect.fwmark.map_or(0, Int::to),
        via_vip,
    })
}

/// The virtual address that a check through the forwarding method is for: the first of the family.
fn vip(members: &[ServiceSettings], port: u16, real: SocketAddr, probe: &Probe) -> Result<SocketAddr, String> {
    let addresses = members.iter().filter(|member| member.key.proto != 0);
    let mut ends = addresses.filter_map(|member| {
        let address = member.key.addr.to_ip(Family::from_raw(member.key.family)?);
        let own = Some(member.key.port.host()).filter(|own| *own > 0);
        Some(SocketAddr::new(address, own.unwrap_or(port)))
    });
    ends.find(|end| end.is_ipv4() == real.is_ipv4()).ok_or_else(|| {
        format!("{}: check_via_vip needs a virtual address of the real server's family", probe.keyword())
    })
}
