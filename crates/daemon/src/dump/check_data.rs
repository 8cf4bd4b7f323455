//! The part of `/tmp/keepalived.data` about virtual servers and checks, in the original's words.

use crate::keeper::{Board, RealBoard, ServiceBoard};
use rvs_config::keepalived::Config;
use rvs_config::keepalived::field::Words as _;
use rvs_config::keepalived::model::server::{RealServer, VirtualServer};
use rvs_config::keepalived::value::choice::Protocol;
use rvs_config::keepalived::value::lvs::{Forward, ServiceKey};
use rvs_config::keepalived::value::{self, Int};
use std::time::Duration;

/// The part; nothing where there are no virtual servers.
pub fn check_data(board: &Board, config: &Config) -> String {
    if board.services.is_empty() {
        return String::new();
    }
    let mut text = "------< LVS Topology >------\n System is compiled with LVS v1.2.1\n".to_owned();
    for service in &board.services {
        if let Some(block) = config.servers.iter().find(|block| same(block, service)) {
            text += &server(block, service, config);
        }
    }
    text += "------< Health checkers >------\n";
    for service in &board.services {
        for real in &service.reals {
            text += &checks(service, real);
        }
    }
    text
}

fn same(block: &VirtualServer, service: &ServiceBoard) -> bool {
    match &block.key {
        ServiceKey::Group(name) => service.name == format!("[{name}]:0"),
        ServiceKey::Address(_) | ServiceKey::Mark(_) => service.name == block.text(),
    }
}

const fn on(set: bool) -> &'static str {
    if set { "ON" } else { "OFF" }
}

const fn enabled(set: bool) -> &'static str {
    if set { "enabled" } else { "disabled" }
}

const fn yes(set: bool) -> &'static str {
    if set { "yes" } else { "no" }
}

fn seconds(time: Option<impl Into<Micros>>, standard: u64) -> String {
    let micros = time.map_or(standard * 1_000_000, |time| time.into().0);
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

/// A time of whatever range.
struct Micros(u64);

impl<const MIN: u64, const MAX: u64> From<value::Seconds<MIN, MAX>> for Micros {
    fn from(time: value::Seconds<MIN, MAX>) -> Self {
        Self(time.micros())
    }
}

fn method(forward: Forward) -> String {
    forward.words().join(" ")
}

fn server(block: &VirtualServer, service: &ServiceBoard, config: &Config) -> String {
    let mut lines = vec![" ------< Virtual server >------".to_owned()];
    match &block.key {
        ServiceKey::Address(at) => {
            lines.push(format!(" VS VIP = {}, VPORT = {}", at.address, at.port.unwrap_or(0)));
        }
        ServiceKey::Mark(mark) => lines.push(format!(" VS FWMARK = {mark}")),
        ServiceKey::Group(name) => lines.push(format!(" VS GROUP = {name}")),
    }
    let v6 = service.members.first().is_some_and(|(key, _)| key.family == rvs_wire::Family::V6.raw());
    let protocol = match block.protocol {
        Some(Protocol::Tcp) => "TCP",
        Some(Protocol::Udp) => "UDP",
        Some(Protocol::Sctp) => "SCTP",
        None => "none",
    };
    let scheduler = block.scheduler.map_or_else(|| "wlc".to_owned(), |scheduler| scheduler.words().concat());
    lines.extend([
        format!("   Address family = inet{}", if v6 { "6" } else { "" }),
        format!("   connection timeout = {}", seconds(block.pace.connect_timeout, 5)),
        format!("   delay_loop = {}", seconds(block.pace.delay_loop, 60)),
        format!("   lvs_sched = {scheduler}"),
        format!("   Hashed = {}", enabled(block.hashed)),
        format!("   flag-1 = {}", enabled(block.flag_1)),
        format!("   flag-2 = {}", enabled(block.flag_2)),
        format!("   flag-3 = {}", enabled(block.flag_3)),
        format!("   One packet scheduling = {}", enabled(block.ops)),
    ]);
    if let Some(timeout) = block.persistence_timeout {
        lines.push(format!("   persistence timeout = {}", timeout.0));
    }
    if let Some(engine) = &block.persistence_engine {
        lines.push(format!("   persistence engine = {}", engine.0));
    }
    if let Some(granularity) = &block.persistence_granularity {
        lines.push(format!("   persistence granularity = {}", granularity.words().concat()));
    }
    lines.push(format!("   protocol = {protocol}"));
    lines.extend(rest(block, service));
    lines.extend(block.real_servers.iter().filter_map(|real| {
        let name = block.real_text(real);
        let board = service.reals.iter().find(|board| board.name == name)?;
        Some(self::real(block, real, board, config).join("\n"))
    }));
    lines.join("\n") + "\n"
}

fn rest(block: &VirtualServer, service: &ServiceBoard) -> Vec<String> {
    let mut lines = vec![
        format!("   alpha is {}", on(block.pace.alpha.is_some_and(|switch| switch.0))),
        format!("   omega is {}", on(block.omega)),
        format!("   Inhibit on failure is {}", on(block.inhibit_on_failure.is_some_and(|switch| switch.0))),
        format!("   quorum = {}, hysteresis = {}", service.quorum.0, service.quorum.1),
    ];
    for (word, command) in [("up", &block.quorum_up), ("down", &block.quorum_down)] {
        lines.extend(command.as_ref().map(|command| format!("   Quorum {word} notify script = {}", script(command))));
    }
    if block.ha_suspend {
        lines.push("   Using HA suspend".to_owned());
    }
    lines.push(format!("   Using smtp notification = {}", yes(block.smtp_alert.is_some_and(|switch| switch.0))));
    if let Some((name, _)) = &service.sorry {
        lines.push(format!("   Sorry server = {name}"));
    }
    lines.extend([
        format!("   default forwarding method = {}", method(block.lvs_method.unwrap_or(Forward::Nat))),
        format!("   alive = {}", u8::from(service.quorum_up || service.live_weight > 0)),
        format!("   quorum_state_up = {}", u8::from(service.quorum_up)),
        "   reloaded = 0".to_owned(),
    ]);
    lines
}

/// `'/tmp/down.sh' 'rs1'`.
fn script(command: &value::Command) -> String {
    command.argv().iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ")
}

fn real(block: &VirtualServer, real: &RealServer, board: &RealBoard, config: &Config) -> Vec<String> {
    let view = &board.view;
    let first = real.pace.connect_timeout.or(block.pace.connect_timeout);
    let threshold = |own: Option<Int<0, 4_294_967_295>>, other| own.or(other).map_or(0, Int::get);
    let mail = real.smtp_alert.or(block.smtp_alert).or(config.globals.smtp_alert_checker).or(config.globals.smtp_alert);
    let mut lines = vec![
        "   ------< Real server >------".to_owned(),
        format!(
            "   RIP = {}, RPORT = {}, WEIGHT = {} EFF WEIGHT = {}",
            view.address.ip(),
            view.address.port(),
            board.base_weight,
            view.weight
        ),
        format!("   forwarding method = {}", method(block.forward(real))),
        format!("   Alpha is {}", on(real.pace.alpha.or(block.pace.alpha).is_some_and(|switch| switch.0))),
        format!("   connection timeout = {}", seconds(first, 5)),
        format!(
            "   connection limit range = {} -> {}",
            threshold(real.lthreshold, block.lthreshold),
            threshold(real.uthreshold, block.uthreshold)
        ),
        format!("   Delay loop = {}", seconds(real.pace.delay_loop.or(block.pace.delay_loop), 60)),
        format!(
            "   Inhibit on failure is {}",
            on(real.inhibit_on_failure.or(block.inhibit_on_failure).is_some_and(|switch| switch.0))
        ),
    ];
    for (word, command) in [("up", &real.notify_up), ("down", &real.notify_down)] {
        lines.extend(command.as_ref().map(|command| format!("     RS {word} notify script = {}", script(command))));
    }
    lines.extend([
        format!("   Using smtp notification = {}", yes(mail.is_none_or(|switch| switch.0))),
        format!("   initial weight = {}", board.base_weight),
        format!("   effective weight = {}", view.weight),
        format!("   alive = {}", u8::from(view.alive)),
        format!("   num failed checkers = {}", view.failed_checks),
        format!("   RS set = {}", u8::from(view.in_table.is_some())),
        "   reloaded = 0".to_owned(),
    ]);
    lines
}

fn micros(time: Duration) -> String {
    format!("{} us", time.as_micros())
}

fn checks(service: &ServiceBoard, real: &RealBoard) -> String {
    let mut lines = Vec::new();
    for check in &real.checks {
        let pace = &check.params.pace;
        lines.extend([
            format!(" {} -> {}", service.name, real.name),
            format!("   Enabled = {}", yes(!service.suspended)),
            format!("   Up = {}", yes(check.up)),
            format!("   Has run = {}", yes(check.has_run)),
            "   Current weight = 0".to_owned(),
            format!("   Alpha = {}", yes(pace.alpha)),
            format!("   Delay loop = {}", micros(pace.delay_loop)),
            format!("   Warmup = {}", micros(pace.warmup)),
            format!("   Retries = {}", pace.retry),
            format!("   Delay before retry = {}", micros(pace.delay_before_retry)),
            "   Retries iterations = 0".to_owned(),
            format!(
                "   Default delay before retry = {}",
                micros(rvs_checker::Pace::of(&check.params.probe, pace.delay_loop).delay_before_retry)
            ),
            format!("   Log all failures = {}", yes(check.params.log_all_failures)),
        ]);
        if has_connection(&check.params.probe) {
            let target = &check.params.target;
            lines.push("   Connection".to_owned());
            lines.push(format!("     Dest = [{}]:{}", target.address.ip(), target.address.port()));
            lines.extend(target.bind_address.map(|from| format!("     Bind to = {from}")));
            lines.extend(target.bind_interface.as_ref().map(|name| format!("     Bind i/f = {name}")));
            lines.extend((target.mark != 0).then(|| format!("     Mark = {}", target.mark)));
            let timeout = pace.connect_timeout;
            lines.push(format!("     Timeout = {}.{:06}", timeout.as_secs(), timeout.subsec_micros()));
        }
        lines.push(format!("   Keepalive method = {}", check.kind));
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

const fn has_connection(probe: &rvs_checker::Probe) -> bool {
    use rvs_checker::Probe;
    !matches!(probe, Probe::Misc(_) | Probe::File(_) | Probe::Bfd(_))
}
