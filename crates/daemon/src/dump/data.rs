//! `/tmp/keepalived.data`: the configuration as it is in force and how everything stands, in the original's words.

use super::globals::globals;
use super::{address_text, block, in_quotes, moment_text};
use crate::world::Snapshot;
use rvs_config::keepalived::Config;
use rvs_config::keepalived::field::Words as _;
use rvs_config::keepalived::model::vrrp::Instance as Block;
use rvs_config::keepalived::model::vrrp::Notifies;
use rvs_config::keepalived::value::Command;
use rvs_host::net::Interface;
use rvs_vrrp::params::{InstanceParams, LegacyAuth, OldUnicast, Peer, Protocol, Tracked, Transport, Vmac};
use rvs_vrrp::{Group, Instance};
use std::net::IpAddr;
use std::time::Duration;

/// The whole file.
pub fn data(snapshot: &Snapshot, config: &Config) -> String {
    let mut text = format!("------< Global definitions >------\n{}", globals(config));
    text += &statics(config);
    text += "------< VRRP Topology >------\n";
    let standard = Block::default();
    for instance in snapshot.router.instances() {
        text += &topology(snapshot, config, instance, block(config, instance).unwrap_or(&standard));
    }
    text += "------< VRRP Sockpool >------\n";
    text += &sockpool(snapshot);
    if !snapshot.router.groups().is_empty() {
        text += "------< VRRP Sync groups >------\n";
        snapshot.router.groups().iter().for_each(|group| text += &sync_group(snapshot, config, group));
    }
    if !config.scripts.is_empty() {
        text += "------< VRRP Scripts >------\n";
        config.scripts.iter().for_each(|script| text += &self::script(script));
    }
    text += &tracked(snapshot, config);
    text += "------< Interfaces >------\n";
    for (interface, addresses) in &snapshot.interfaces {
        text += &self::interface(snapshot, interface, addresses);
    }
    text
}

fn switch(on: bool) -> &'static str {
    if on { "enabled" } else { "disabled" }
}

fn interval(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis.is_multiple_of(1000) { format!("{} sec", millis / 1000) } else { format!("{millis} milli-sec") }
}

fn topology(snapshot: &Snapshot, config: &Config, instance: &Instance, block: &Block) -> String {
    let params = instance.params();
    let mut lines = vec![
        format!(" VRRP Instance = {}", instance.name()),
        format!("   VRRP Version = {}", if matches!(params.protocol, Protocol::V3 { .. }) { 3 } else { 2 }),
    ];
    lines.extend((params.ipv6).then(|| "   Native IPv6".to_owned()));
    let group = config.sync_groups.iter().find(|group| group.group.iter().any(|name| name.0 == **instance.name()));
    lines.extend(group.map(|group| format!("   Sync group = {}", group.name)));
    lines.extend(state(snapshot, instance));
    lines.extend(transport(instance, params));
    lines.extend(garp(params));
    lines.extend([
        format!("   Virtual Router ID = {}", params.vrid),
        format!("   Priority = {}", params.priority),
        format!("   Effective priority = {}", instance.priority()),
        format!("   Total priority = {}", instance.priority()),
        format!("   Advert interval = {}", interval(params.interval())),
    ]);
    if matches!(params.protocol, Protocol::V3 { .. }) && instance.state() != rvs_vrrp::State::Master {
        lines.push(format!("   Master advert interval = {}", interval(instance.master_interval())));
    }
    lines.extend([
        format!("   Accept = {}", switch(params.accept)),
        format!("   Preempt = {}", switch(!params.nopreempt)),
    ]);
    if !params.preempt_delay.is_zero() {
        lines.push(format!("   Preempt delay = {} secs", params.preempt_delay.as_secs_f64()));
    }
    lines.push(format!("   Promote_secondaries = {}", switch(params.promote_secondaries)));
    lines.extend(authentication(params, block));
    lines.extend(lists(instance, block));
    lines.extend(peers(params));
    lines.extend(tracks(params));
    lines.extend(notifies(config, block));
    lines.join("\n") + "\n"
}

fn state(snapshot: &Snapshot, instance: &Instance) -> Vec<String> {
    let flags = match instance.params().is_unicast() {
        true => "   Flags:\n     Using unicast",
        false => "   Flags: none",
    };
    let timer = instance.timer().map(|at| format!("   Read timeout = {}", moment_text(snapshot, at)));
    let mut lines = vec![
        format!("   State = {}", instance.state().word()),
        flags.to_owned(),
        format!("   Wantstate = {}", instance.want().word()),
        format!("   Number of config faults = {}", u8::from(instance.params().config_fault)),
        format!("   Number of interface and track script faults = {}", instance.tracked_faults()),
        format!("   Number of track scripts init = {}", instance.pending_scripts()),
        format!("   Last transition = {}", moment_text(snapshot, instance.last_transition())),
    ];
    lines.extend(timer);
    lines.push(format!("   Master down timer = {} usecs", instance.master_down().as_micros()));
    lines
}

fn transport(instance: &Instance, params: &InstanceParams) -> Vec<String> {
    let mut lines = vec![format!("   Interface = {}", params.address_device())];
    if let Some(mac) = params.vmac.as_ref().and_then(Vmac::mac) {
        let mac: Vec<String> = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        lines.push(format!("   VMAC = {}, on interface {}", mac.join(":"), params.interface));
    }
    if let Some(source) = instance.source() {
        let whence = if params.source.is_some() { " (from configuration)" } else { "" };
        lines.push(format!("   Using src_ip = {source}{whence}"));
    }
    if let Transport::Multicast { group } = &params.transport {
        lines.push(format!("   Multicast address {group}"));
    }
    lines
}

fn peers(params: &InstanceParams) -> Vec<String> {
    let Transport::Unicast { peers, hop_limit, check_source, .. } = &params.transport else { return Vec::new() };
    let mut lines = vec![
        format!("   Unicast TTL = {hop_limit}"),
        format!("   Check unicast src : {}", if *check_source { "yes" } else { "no" }),
        "   Unicast Peer :".to_owned(),
    ];
    let peer = |peer: &Peer| format!("     {} min_ttl {} max_ttl {}", peer.address, peer.min_ttl, peer.max_ttl);
    lines.extend(peers.iter().map(peer));
    if let Protocol::V3 { old_unicast, .. } = &params.protocol {
        let word = if *old_unicast == OldUnicast::Always { "yes" } else { "no" };
        lines.push(format!("   Unicast checksum compatibility = {word}"));
    }
    lines
}

/// What is there as long as the daemon runs.
fn statics(config: &Config) -> String {
    let mut text = String::new();
    let standard = config.globals.default_interface.as_ref().map_or("eth0", |name| name.0.as_str());
    let addresses = config.static_addresses.iter().map(|entry| address_text(entry, standard, true)).collect();
    let routes = config.static_routes.iter().map(|route| route.words().join(" ")).collect();
    let rules = config.static_rules.iter().map(|rule| rule.words().join(" ")).collect();
    for (title, lines) in [("Addresses", addresses), ("Routes", routes), ("Rules", rules)] {
        let lines: Vec<String> = lines;
        if !lines.is_empty() {
            text += &format!("------< Static {title} >------\n");
            lines.iter().for_each(|line| text += &format!("     {line}\n"));
        }
    }
    text
}

/// Files, processes and BFD sessions that are tracked, each with who tracks it.
fn tracked(snapshot: &Snapshot, config: &Config) -> String {
    let mut text = String::new();
    let mut section = |title: &str, one: &str, things: Vec<(String, Tracked, Vec<String>)>| {
        if !things.is_empty() {
            text += &format!("------< VRRP Track {title} >------\n");
        }
        for (name, what, lines) in things {
            text += &format!(" VRRP Track {one} = {name}\n");
            lines.iter().for_each(|line| text += &format!("   {line}\n"));
            text += "   Tracking VRRP instances :\n";
            for instance in snapshot.router.instances() {
                for track in instance.params().track.iter().filter(|track| track.what == what) {
                    text += &format!("     {}, weight {}\n", instance.name(), track.weight);
                }
            }
        }
    };
    let file = |block: &rvs_config::keepalived::model::track::TrackFile| {
        let path = block.file.as_ref().map_or("", |path| path.0.as_str());
        let weight = block.weight.map_or(1, |weight| weight.value);
        let lines = vec![format!("File = {path}"), format!("Weight = {weight}")];
        (block.name.0.clone(), Tracked::File(block.name.0.as_str().into()), lines)
    };
    section("Files", "File", config.track_files.iter().map(file).collect());
    let process = |block: &rvs_config::keepalived::model::track::TrackProcess| {
        let words = block.process.as_ref().map_or(String::new(), |process| process.0.join(" "));
        let weight = block.weight.map_or(1, |weight| weight.value);
        let quorum = block.quorum.map_or(1, |quorum| quorum.get());
        let lines = vec![format!("Process = {words}"), format!("Weight = {weight}"), format!("Quorum = {quorum}")];
        (block.name.0.clone(), Tracked::Process(block.name.0.as_str().into()), lines)
    };
    section("Processes", "Process", config.track_processes.iter().map(process).collect());
    let bfd = |block: &rvs_config::keepalived::model::bfd::Bfd| {
        let session = snapshot.bfd.iter().find(|session| *session.params().name == *block.name.0);
        let up = session.is_some_and(|session| session.state() == rvs_bfd::State::Up);
        let weight = block.weight.map_or(0, |weight| weight.value);
        let lines = vec![format!("Weight = {weight}"), format!("Bfd is {}", if up { "up" } else { "down" })];
        (block.name.0.clone(), Tracked::Bfd(block.name.0.as_str().into()), lines)
    };
    section("BFDs", "BFD", config.bfds.iter().map(bfd).collect());
    text
}

fn garp(params: &InstanceParams) -> Vec<String> {
    let garp = &params.garp;
    vec![
        format!("   Gratuitous ARP delay = {}", garp.master_delay.as_secs()),
        format!("   Gratuitous ARP repeat = {}", garp.master_repeat),
        format!("   Gratuitous ARP refresh = {}", garp.refresh.as_secs()),
        format!("   Gratuitous ARP refresh repeat = {}", garp.refresh_repeat),
        format!("   Gratuitous ARP lower priority delay = {}", garp.lower_prio_delay.as_secs()),
        format!("   Gratuitous ARP lower priority repeat = {}", garp.lower_prio_repeat),
        format!("   Down timer adverts = {}", params.down_timer_adverts),
        format!("   Send advert after receive lower priority advert = {}", !params.lower_prio_no_advert),
        format!("   Send advert after receive higher priority advert = {}", params.higher_prio_send_advert),
    ]
}

fn authentication(params: &InstanceParams, block: &Block) -> Vec<String> {
    let kind = match &params.protocol {
        Protocol::V2 { auth: LegacyAuth::None, .. } => "none",
        Protocol::V2 { auth: LegacyAuth::Password(_), .. } => "SIMPLE_PASSWORD",
        Protocol::V2 { auth: LegacyAuth::Header(_), .. } => "IPSEC_AH",
        Protocol::V3 { .. } => return Vec::new(),
    };
    let password = block.authentication.auth_pass.as_ref().filter(|_| kind != "none");
    let password = password.map(|password| format!("   Password = {password}"));
    [format!("   Authentication type = {kind}")].into_iter().chain(password).collect()
}

/// The name of something tracked, if it is of one kind.
type Pick = fn(&Tracked) -> Option<&rvs_vrrp::Name>;

fn tracks(params: &InstanceParams) -> Vec<String> {
    let kinds: [(&str, Pick); 5] = [
        ("interfaces", |what| if let Tracked::Interface(name) = what { Some(name) } else { None }),
        ("scripts", |what| if let Tracked::Script(name) = what { Some(name) } else { None }),
        ("files", |what| if let Tracked::File(name) = what { Some(name) } else { None }),
        ("processes", |what| if let Tracked::Process(name) = what { Some(name) } else { None }),
        ("BFD instances", |what| if let Tracked::Bfd(name) = what { Some(name) } else { None }),
    ];
    let mut lines = Vec::new();
    for (title, pick) in kinds {
        let found: Vec<String> = params
            .track
            .iter()
            .filter_map(|track| {
                let reverse = if track.reverse { " reverse" } else { "" };
                Some(format!("     {} weight {}{reverse}", pick(&track.what)?, track.weight))
            })
            .collect();
        if !found.is_empty() {
            lines.push(format!("   Tracked {title} :"));
            lines.extend(found);
        }
    }
    lines
}

fn lists(instance: &Instance, block: &Block) -> Vec<String> {
    let (device, set) = (instance.params().address_device(), instance.holds_addresses());
    let mut lines = Vec::new();
    for (title, list) in [("Virtual IP", &block.addresses), ("Virtual IP Excluded", &block.excluded_addresses)] {
        if !list.is_empty() {
            lines.push(format!("   {title} ({}):", list.len()));
            lines.extend(list.iter().map(|entry| format!("     {}", address_text(entry, device, set))));
        }
    }
    if !block.routes.is_empty() {
        lines.push("   Virtual Routes :".to_owned());
        lines.extend(block.routes.iter().map(|route| format!("     {}", route.words().join(" "))));
    }
    if !block.rules.is_empty() {
        lines.push("   Virtual Rules :".to_owned());
        lines.extend(block.rules.iter().map(|rule| format!("     {}", rule.words().join(" "))));
    }
    lines
}

/// The scripts that both instances and groups have.
fn scripts(notifies: &Notifies) -> Vec<String> {
    let named = [
        ("Backup", &notifies.backup),
        ("Master", &notifies.master),
        ("Fault", &notifies.fault),
        ("Stop", &notifies.stop),
        ("Generic", &notifies.any),
    ];
    let line = |(title, command): (&str, &Option<Command>)| {
        command.as_ref().map(|command| format!("   {title} state transition script = {}", in_quotes(&command.line)))
    };
    named.into_iter().filter_map(line).collect()
}

fn notifies(config: &Config, block: &Block) -> Vec<String> {
    let notifies = &block.notifies;
    let globals = &config.globals;
    let mail = notifies.smtp_alert.or(globals.smtp_alert_vrrp).or(globals.smtp_alert).is_some_and(|switch| switch.0);
    let changes = notifies.priority_changes.or(globals.vrrp_notify_priority_changes).is_some_and(|switch| switch.0);
    let mut lines = vec![
        format!("   Using smtp notification = {}", if mail { "yes" } else { "no" }),
        format!("   Notify deleted = {}", if notifies.deleted.is_some() { "Deleted" } else { "Fault" }),
    ];
    lines.extend(scripts(notifies));
    let lower = block.notify_master_rx_lower_pri.as_ref();
    lines.extend(lower.map(|command| format!("   Master rx lower pri script = {}", in_quotes(&command.line))));
    lines.push(format!("   Notify priority changes = {changes}"));
    lines
}

fn sockpool(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    let mut seen = Vec::new();
    for instance in snapshot.router.instances() {
        let params = instance.params();
        let key = (params.interface.clone(), params.ipv6, params.is_unicast());
        if seen.contains(&key) {
            continue;
        }
        let of_it = |other: &&Instance| {
            let params = other.params();
            (params.interface.clone(), params.ipv6, params.is_unicast()) == key
        };
        let family = if params.ipv6 { "IPv6" } else { "IPv4" };
        let ah = matches!(&params.protocol, Protocol::V2 { auth: LegacyAuth::Header(_), .. });
        text += &format!("   Interface = {}\n   Family = {family}\n", params.interface);
        text += &format!("   Protocol = {}\n", if ah { "AH" } else { "VRRP" });
        text += &format!("   Type = {}\n", if params.is_unicast() { "Unicast" } else { "Multicast" });
        text += "   Rx buf size = 0\n   VRRP instances\n";
        for other in snapshot.router.instances().iter().filter(of_it) {
            text += &format!("     {} vrid {}\n", other.name(), other.params().vrid);
        }
        seen.push(key);
    }
    text
}

fn sync_group(snapshot: &Snapshot, config: &Config, group: &Group) -> String {
    let members = || group.members().iter().filter_map(|at| snapshot.router.instances().get(*at));
    let mut text = format!(" VRRP Sync Group = {}, {}\n", group.name(), group.state().word());
    let count = |state| members().filter(|member| member.state() == state).count();
    let (fault, init) = (count(rvs_vrrp::State::Fault), count(rvs_vrrp::State::Init));
    text += &format!("   Num member fault {fault}, num member init {init}\n   VRRP member instances :\n");
    for member in members() {
        text += &format!("     {}\n", member.name());
    }
    let Some(block) = config.sync_groups.iter().find(|block| block.name.0 == **group.name()) else { return text };
    let globals = &config.globals;
    let mail = block.notifies.smtp_alert.or(globals.smtp_alert_vrrp).or(globals.smtp_alert);
    let mail = if mail.is_some_and(|switch| switch.0) { "yes" } else { "no" };
    text += &format!("   Using smtp notification = {mail}\n");
    for line in scripts(&block.notifies) {
        text += &format!("{line}\n");
    }
    text
}

fn script(block: &rvs_config::keepalived::model::track::Script) -> String {
    let seconds = |micros: u64| micros as f64 / 1_000_000.0;
    let line = block.script.as_ref().map_or("", |command| command.line.as_str());
    let interval = block.interval.map_or(1.0, |interval| seconds(interval.micros()));
    let timeout = block.timeout.map_or(interval, |timeout| seconds(timeout.micros()));
    format!(
        " VRRP Script = {}\n   Command = {line}\n   Interval = {interval} sec\n   Timeout = {timeout} sec\n   Weight = {}\n   \
         Rise = {}\n   Fall = {}\n",
        block.name,
        block.weight.map_or(0, |weight| weight.value),
        block.rise.map_or(1, |rise| rise.get()),
        block.fall.map_or(1, |fall| fall.get()),
    )
}

fn interface(snapshot: &Snapshot, interface: &Interface, addresses: &[IpAddr]) -> String {
    let v4 = addresses.iter().find(|ip| ip.is_ipv4()).map_or("(none)".to_owned(), IpAddr::to_string);
    let link_local = |ip: &&IpAddr| matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    let v6 = addresses.iter().find(link_local).map_or("(none)".to_owned(), IpAddr::to_string);
    let mut text = format!(
        " Name = {}\n   index = {}\n   IPv4 address = {v4}\n   IPv6 address = {v6}\n",
        interface.name, interface.index
    );
    if !interface.loopback
        && let Some(mac) = interface.ethernet()
    {
        let mac: Vec<String> = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        text += &format!("   MAC = {}\n   MAC broadcast = ff:ff:ff:ff:ff:ff\n", mac.join(":"));
    }
    let mut state = vec![if interface.up { "UP" } else { "DOWN" }.to_owned()];
    state.push(if interface.running { "RUNNING" } else { "not RUNNING" }.to_owned());
    state.extend(interface.loopback.then(|| "no broadcast, loopback".to_owned()));
    state.extend((!interface.multicast).then(|| "no multicast".to_owned()));
    let kind = if interface.loopback { "LOOPBACK" } else { "ETHERNET" };
    text += &format!("   State = {}\n   Seen up = {}\n", state.join(", "), u8::from(interface.up));
    text += &format!("   MTU = {}\n   HW Type = {kind}\n", interface.mtu);
    text += "   NIC netlink status update\n";
    let instances: Vec<&Instance> =
        snapshot.router.instances().iter().filter(|instance| *instance.params().interface == *interface.name).collect();
    if !instances.is_empty() {
        text += "   Tracking VRRP instances :\n";
        for instance in instances {
            text += &format!("     {}, weight 0\n", instance.name());
        }
    }
    text
}
