//! `vrrp_instance` to the protocol's parameters.

use super::{Facts, track, vmac};
use rvs_config::keepalived::Config;
use rvs_config::keepalived::field::Words as _;
use rvs_config::keepalived::model::vrrp::Instance;
use rvs_config::keepalived::value::choice::{AntiReplay, AuthMode, AuthType, State};
use rvs_config::keepalived::value::vrrp::ExtraGarp;
use rvs_config::keepalived::value::{AddressEntry, Int, Switch};
use rvs_vrrp::packet::{AhKey, HmacKey};
use rvs_vrrp::params::{
    Conflict, GarpParams, HmacMode, HmacParams, InstanceParams, LegacyAuth, Name, OldUnicast, Peer, Protocol,
    Transport, VirtualAddress,
};
use rvs_vrrp::{Centis, Priority, Seconds, Vrid};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::Duration;

/// The group of adverts over IPv4 (RFC 9568, 5.1.1.2).
const GROUP4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
/// The group of adverts over IPv6.
const GROUP6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);

fn on(switch: Option<Switch>) -> bool {
    switch.is_some_and(|switch| switch.0)
}

/// The parameters; nothing for an instance that cannot run, which is said in `remarks`.
pub(super) fn params(
    block: &Instance,
    config: &Config,
    facts: &Facts,
    vmacs: &BTreeSet<Name>,
    remarks: &mut Vec<String>,
) -> Option<InstanceParams> {
    let (name, globals) = (block.name.0.as_str(), &config.globals);
    let unbound = block.is_unicast() && block.unicast_src_ip.or(block.mcast_src_ip).is_some();
    let interface = match &block.interface {
        Some(interface) => interface.0.as_str(),
        None if unbound => "",
        None => {
            remarks.push(format!("({name}) has no interface, so it cannot run"));
            return None;
        }
    };
    let Some(vrid) = block.virtual_router_id.and_then(|id| Vrid::new(id.to())) else {
        remarks.push(format!("({name}) has no virtual_router_id, so it cannot run"));
        return None;
    };
    let strict = on(block.strict_mode.or(globals.vrrp_strict));
    let ipv6 = block.is_ipv6();
    let mut params = InstanceParams::new(name, interface, vrid);
    params.priority = block.priority.and_then(|value| Priority::new(value.to())).unwrap_or(Priority::DEFAULT);
    params.start_as_master = block.state == Some(State::Master);
    params.ipv6 = ipv6;
    params.protocol = protocol(block, config);
    params.auth_hmac = hmac(block, facts, remarks);
    params.source = if block.is_unicast() { block.unicast_src_ip.or(block.mcast_src_ip) } else { block.mcast_src_ip };
    params.transport = transport(block, config);
    params.nopreempt = block.nopreempt;
    params.preempt_delay = block.preempt_delay.map_or(Duration::ZERO, |delay| delay.duration());
    params.down_timer_adverts = block.down_timer_adverts.or(globals.vrrp_down_timer_adverts).map_or(3, Int::to);
    params.addresses = block.addresses.iter().map(|entry| virtual_address(entry)).collect();
    params.excluded = block.excluded_addresses.iter().map(|entry| virtual_address(entry)).collect();
    params.routes = block.routes.iter().map(|route| words(&route.words())).collect();
    params.rules = block.rules.iter().map(|rule| words(&rule.words())).collect();
    params.accept = !block.no_accept && (block.accept || !strict);
    params.promote_secondaries = block.promote_secondaries;
    vmac::equip(&mut params, block, config, vmacs);
    params.garp = garp(block, config);
    params.lower_prio_no_advert =
        block.lower_prio_no_advert.or(globals.vrrp_lower_prio_no_advert).map_or(strict, |switch| switch.0);
    params.higher_prio_send_advert = on(block.higher_prio_send_advert.or(globals.vrrp_higher_prio_send_advert));
    params.owner_ignore_adverts = on(block.owner_ignore_adverts.or(globals.vrrp_owner_ignore_adverts));
    params.skip_check_adv_addr = on(block.skip_check_adv_addr.or(globals.vrrp_skip_check_adv_addr));
    params.timer_expired_backup = expired(block, params.priority);
    params.track = track::of(&block.tracks, config);
    params.dont_track_primary = block.dont_track_primary || interface.is_empty();
    params.track_source = block.track_src_ip;
    params.config_fault = block.unicast_fault_no_peer && !block.is_unicast();
    params.notify_priority_changes = on(block.notifies.priority_changes.or(globals.vrrp_notify_priority_changes));
    params.notify_deleted = block.notifies.deleted.is_some();
    let verdict = params.make_legal(strict);
    for conflict in &verdict.conflicts {
        // That there is no address was said when the file was read.
        if *conflict != Conflict::NoAddress || verdict.fatal {
            remarks.push(format!("({name}) {conflict}"));
        }
    }
    if verdict.fatal {
        remarks.push(format!("({name}) cannot run as it is configured"));
        return None;
    }
    unsupported(block, remarks);
    Some(params)
}

fn unsupported(block: &Instance, remarks: &mut Vec<String>) {
    let name = &block.name;
    if block.vrf.is_some() && block.use_vmac.is_none() && block.use_ipvlan.is_none() {
        remarks.push(format!("({name}) vrf is for use_vmac and use_ipvlan; put the interface itself into the VRF"));
    }
    if block.use_vmac.is_some() && block.use_ipvlan.is_some() {
        remarks.push(format!("({name}) use_ipvlan is left out beside use_vmac"));
    }
    if block.lvs_sync_daemon_interface.is_some() {
        remarks.push(format!("({name}) lvs_sync_daemon_interface is not followed; start the daemon with ipvsadm"));
    }
}

fn protocol(block: &Instance, config: &Config) -> Protocol {
    let micros = block.advert_int.map_or(1_000_000, |interval| interval.micros());
    if block.version_or(config.globals.vrrp_version) == 3 {
        let interval = u16::try_from(micros / 10_000).ok().and_then(Centis::new).unwrap_or(Centis::MAX);
        let old_unicast = match block.old_unicast_checksum {
            None => OldUnicast::Detect,
            Some(rvs_config::keepalived::value::vrrp::Never(false)) => OldUnicast::Always,
            Some(rvs_config::keepalived::value::vrrp::Never(true)) => OldUnicast::Never,
        };
        let checksum_as_v2 = on(block.v3_checksum_as_v2.or(config.globals.v3_checksum_as_v2));
        return Protocol::V3 { interval, checksum_as_v2, old_unicast };
    }
    let seconds = u8::try_from(micros / 1_000_000).ok().and_then(Seconds::new);
    Protocol::V2 { interval: seconds.or(Seconds::new(1)).expect("1 is not 0"), auth: legacy_auth(block) }
}

fn legacy_auth(block: &Instance) -> LegacyAuth {
    let auth = &block.authentication;
    let (Some(kind), Some(password)) = (auth.auth_type, &auth.auth_pass) else { return LegacyAuth::None };
    let mut key = [0; 8];
    key.iter_mut().zip(password.bytes()).for_each(|(to, from)| *to = from);
    match kind {
        AuthType::Pass => LegacyAuth::Password(key),
        AuthType::Ah => LegacyAuth::Header(AhKey(key)),
    }
}

/// The bytes of a key as the configuration writes it: text, `hex:DIGITS`, or `file:PATH` with the file's contents from `facts`.
pub fn hmac_key(text: &str, facts: &Facts) -> Option<Vec<u8>> {
    if let Some(path) = text.strip_prefix("file:") {
        return facts.keys.get(Path::new(path)).cloned();
    }
    let Some(digits) = text.strip_prefix("hex:") else { return Some(text.as_bytes().to_vec()) };
    let pair = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    (0..digits.len()).step_by(2).map(pair).collect()
}

fn hmac(block: &Instance, facts: &Facts, remarks: &mut Vec<String>) -> Option<HmacParams> {
    let auth = &block.auth_hmac;
    let mut keys = Vec::new();
    for line in &auth.keys {
        match hmac_key(&line.key, facts).and_then(|bytes| HmacKey::new(line.id, bytes)) {
            Some(key) => keys.push(key),
            None => remarks.push(format!("({}) auth_hmac: key {} cannot be used", block.name, line.id)),
        }
    }
    let active = auth.active_key.map(Int::to).or(keys.first().map(HmacKey::id))?;
    let interval = block.advert_int.map_or(1, |interval| interval.micros().div_ceil(1_000_000));
    let window = || u16::try_from((3 * interval).clamp(5, 300)).unwrap_or(300);
    Some(HmacParams {
        keys,
        active,
        mode: match auth.mode {
            Some(AuthMode::ReceiveOnly) => HmacMode::ReceiveOnly,
            Some(AuthMode::Permissive) => HmacMode::Permissive,
            Some(AuthMode::Enforce) | None => HmacMode::Enforce,
        },
        window: match auth.anti_replay {
            Some(AntiReplay::Monotonic | AntiReplay::None) => None,
            Some(AntiReplay::Time) | None => Some(auth.time_window.map_or_else(window, Int::to)),
        },
    })
}

fn transport(block: &Instance, config: &Config) -> Transport {
    let globals = &config.globals;
    let standard = if block.is_ipv6() {
        IpAddr::V6(globals.vrrp_mcast_group6.unwrap_or(GROUP6))
    } else {
        IpAddr::V4(globals.vrrp_mcast_group4.unwrap_or(GROUP4))
    };
    let group = block.mcast_dst_ip.unwrap_or(standard);
    // Without peers it cannot speak to anybody, which is what `unicast_fault_no_peer` is about.
    if !block.is_unicast() && !block.unicast_fault_no_peer {
        return Transport::Multicast { group };
    }
    let peer = |peer: &rvs_config::keepalived::value::vrrp::UnicastPeer| Peer {
        address: peer.address,
        min_ttl: peer.min_ttl.unwrap_or(0),
        max_ttl: peer.max_ttl.unwrap_or(255),
    };
    Transport::Unicast {
        peers: block.unicast_peers.iter().map(|line| peer(line)).collect(),
        hop_limit: block.unicast_ttl.map_or(255, Int::to),
        check_source: on(block.check_unicast_src.or(globals.vrrp_check_unicast_src)),
        old_group: group,
    }
}

/// A line's words as one name: what the protocol hands back unread.
pub(super) fn words(words: &[String]) -> Name {
    words.join(" ").into()
}

fn virtual_address(entry: &AddressEntry) -> VirtualAddress {
    VirtualAddress {
        address: entry.net.address,
        prefix: entry.net.prefix_or_host(),
        device: entry.dev.as_deref().map(Name::from),
        options: words(&entry.words()),
    }
}

fn garp(block: &Instance, config: &Config) -> GarpParams {
    let globals = &config.globals;
    let least = on(globals.vrrp_min_garp);
    let (standard_delay, standard_repeat) = if least { (0, 1) } else { (5, 5) };
    let seconds = |value: Option<super::GarpDelay>, other: u64| Duration::from_secs(value.map_or(other, Int::to));
    let number = |value: Option<super::GarpDelay>, other: u8| value.map_or(other, Int::to);
    let global_delay = globals.vrrp_garp_master_delay.map_or(standard_delay, Int::to);
    let global_repeat = globals.vrrp_garp_master_repeat.map_or(standard_repeat, Int::to);
    let lower_delay = globals.vrrp_garp_lower_prio_delay.map_or(global_delay, Int::to);
    let lower_repeat = globals.vrrp_garp_lower_prio_repeat.map_or(global_repeat, Int::to);
    let extra = |extra: &Option<ExtraGarp>| extra.as_ref().map(|extra| extra.interval.duration());
    let extra = extra(&block.garp_extra_if)
        .or(extra(&block.vmac_garp_intvl))
        .or(extra(&globals.vrrp_garp_extra_if))
        .or(extra(&globals.vrrp_vmac_garp_intvl));
    GarpParams {
        master_delay: seconds(block.garp_master_delay, global_delay),
        master_repeat: number(block.garp_master_repeat, global_repeat),
        refresh: seconds(block.garp_master_refresh.or(globals.vrrp_garp_master_refresh), 0),
        refresh_repeat: number(block.garp_master_refresh_repeat.or(globals.vrrp_garp_master_refresh_repeat), 1),
        lower_prio_delay: seconds(block.garp_lower_prio_delay, lower_delay),
        lower_prio_repeat: number(block.garp_lower_prio_repeat, lower_repeat),
        vmac_interval: extra.unwrap_or(Duration::ZERO),
    }
}

/// `timer_expired_backup`, whose backup is taken to be one below ourselves unless a priority follows.
fn expired(block: &Instance, own: Priority) -> Option<Priority> {
    let given = block.timer_expired_backup.as_ref()?;
    let named = given.0.first().and_then(|word| word.parse().ok()).and_then(Priority::new);
    Some(named.unwrap_or(Priority::clamped(i64::from(own.get()) - 1)))
}
