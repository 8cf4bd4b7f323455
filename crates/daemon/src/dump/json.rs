//! `/tmp/keepalived.json`, with the original's members in its order. It escapes slashes, and so does this.

use super::{address_text, block, in_quotes, moment};
use crate::world::Snapshot;
use rvs_config::keepalived::Config;
use rvs_config::keepalived::field::Words as _;
use rvs_config::keepalived::model::vrrp::Instance as Block;
use rvs_config::keepalived::value::AddressEntry;
use rvs_config::keepalived::value::command::Deleted;
use rvs_vrrp::params::{LegacyAuth, Protocol};
use rvs_vrrp::{Instance, Stats};
use std::time::Duration;

/// Members of an object.
#[derive(Default)]
struct Object(String);

impl Object {
    fn put(&mut self, name: &str, value: impl std::fmt::Display) {
        let comma = if self.0.is_empty() { "" } else { "," };
        self.0 += &format!("{comma}\"{name}\":{value}");
    }

    fn flag(&mut self, name: &str, value: bool) {
        self.put(name, u8::from(value));
    }

    fn text(&mut self, name: &str, value: &str) {
        self.put(name, quoted(value));
    }

    fn list(&mut self, name: &str, values: &[String]) {
        if !values.is_empty() {
            let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
            self.put(name, format!("[{}]", values.join(",")));
        }
    }

    fn end(self) -> String {
        format!("{{{}}}", self.0)
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('/', "\\/")
}

fn seconds(duration: Duration) -> String {
    format!("{}", duration.as_secs_f64())
}

/// All instances. `second`: in the form of version 2.
pub fn json(snapshot: &Snapshot, config: &Config, second: bool) -> String {
    let standard = Block::default();
    let instances: Vec<String> = snapshot
        .router
        .instances()
        .iter()
        .map(|instance| {
            let block = block(config, instance).unwrap_or(&standard);
            let mut object = Object::default();
            object.put("data", data(snapshot, config, instance, block));
            object.put("stats", stats(instance.stats(), instance.params().auth_hmac.is_some()));
            object.end()
        })
        .collect();
    let list = format!("[{}]", instances.join(","));
    if !second {
        return list;
    }
    let mut object = Object::default();
    object.put("vrrp", list);
    object.put("track_process", processes(config));
    object.end()
}

fn processes(config: &Config) -> String {
    let mut all = Vec::new();
    for block in &config.track_processes {
        let mut object = Object::default();
        object.text("name", &block.name);
        object.text("process", block.process.as_ref().and_then(|process| process.0.first()).map_or("", String::as_str));
        all.push(object.end());
    }
    format!("[{}]", all.join(","))
}

fn data(snapshot: &Snapshot, config: &Config, instance: &Instance, block: &Block) -> String {
    let params = instance.params();
    let mut object = Object::default();
    object.text("iname", instance.name());
    object.flag("dont_track_primary", params.dont_track_primary);
    object.flag("skip_check_adv_addr", params.skip_check_adv_addr);
    let strict = block.strict_mode.or(config.globals.vrrp_strict);
    object.flag("strict_mode", strict.is_some_and(|switch| switch.0));
    object.text("vmac_ifname", params.vmac.as_ref().map_or("", |vmac| &vmac.name));
    object.text("ifp_ifname", params.address_device());
    object.put("master_priority", instance.master().map_or(0, |(_, priority)| priority));
    let (whole, part) = moment(snapshot, instance.last_transition());
    object.put("last_transition", format!("{whole}.{part:06}"));
    let garp = &params.garp;
    object.put("garp_delay", garp.master_delay.as_secs());
    object.put("garp_refresh", garp.refresh.as_secs());
    object.put("garp_rep", garp.master_repeat);
    object.put("garp_refresh_rep", garp.refresh_repeat);
    object.put("garp_lower_prio_delay", garp.lower_prio_delay.as_secs());
    object.put("garp_lower_prio_rep", garp.lower_prio_repeat);
    object.flag("lower_prio_no_advert", params.lower_prio_no_advert);
    object.flag("higher_prio_send_advert", params.higher_prio_send_advert);
    object.put("vrid", params.vrid);
    object.put("base_priority", params.priority);
    object.put("effective_priority", instance.priority());
    object.put("vipset", instance.holds_addresses());
    object.put("promote_secondaries", params.promote_secondaries);
    object.put("adver_int", seconds(params.interval()));
    object.put("master_adver_int", seconds(instance.master_interval()));
    object.flag("accept", params.accept);
    object.put("nopreempt", params.nopreempt);
    object.put("preempt_delay", seconds(params.preempt_delay));
    object.put("state", instance.state().number());
    object.put("wantstate", instance.want().number());
    object.put("version", if matches!(params.protocol, Protocol::V3 { .. }) { 3 } else { 2 });
    notifies(&mut object, config, block);
    lists(&mut object, instance, block);
    match &params.protocol {
        Protocol::V2 { auth: LegacyAuth::Password(_), .. } => object.put("auth_type", 1),
        Protocol::V2 { auth: LegacyAuth::Header(_), .. } => object.put("auth_type", 2),
        Protocol::V2 { auth: LegacyAuth::None, .. } => object.put("auth_type", 0),
        Protocol::V3 { .. } => object.put("auth_type", 0),
    }
    if let Some(password) = &block.authentication.auth_pass {
        object.text("auth_data", password);
    }
    object.end()
}

fn notifies(object: &mut Object, config: &Config, block: &Block) {
    let notifies = &block.notifies;
    let deleted = notifies.deleted.as_ref().and_then(|Deleted(command)| command.clone());
    let scripts = [
        ("script_backup", &notifies.backup),
        ("script_master", &notifies.master),
        ("script_fault", &notifies.fault),
        ("script_stop", &notifies.stop),
        ("script_deleted", &deleted),
        ("script", &notifies.any),
        ("script_master_rx_lower_pri", &block.notify_master_rx_lower_pri),
    ];
    for (name, command) in scripts {
        if let Some(command) = command {
            object.text(name, &in_quotes(&command.line));
        }
    }
    let mail = notifies.smtp_alert.or(config.globals.smtp_alert_vrrp).or(config.globals.smtp_alert);
    object.put("smtp_alert", mail.is_some_and(|switch| switch.0));
    object.put("notify_deleted", notifies.deleted.is_some());
}

fn lists(object: &mut Object, instance: &Instance, block: &Block) {
    let (device, set) = (instance.params().address_device(), instance.holds_addresses());
    let address = |entry: &AddressEntry| address_text(entry, device, set);
    let addresses: Vec<String> = block.addresses.iter().map(|entry| address(entry)).collect();
    let excluded: Vec<String> = block.excluded_addresses.iter().map(|entry| address(entry)).collect();
    object.list("vips", &addresses);
    object.list("evips", &excluded);
    let routes: Vec<String> = block.routes.iter().map(|route| route.words().join(" ")).collect();
    let rules: Vec<String> = block.rules.iter().map(|rule| rule.words().join(" ")).collect();
    object.list("vroutes", &routes);
    object.list("vrules", &rules);
    let names = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect::<Vec<String>>();
    let tracks = &block.tracks;
    object.list("track_ifp", &names(tracks.interfaces.iter().map(|item| item.name.as_str()).collect()));
    object.list("track_script", &names(tracks.scripts.iter().map(|item| item.name.as_str()).collect()));
    object.list("track_file", &names(tracks.files.iter().map(|item| item.name.as_str()).collect()));
    object.list("track_process", &names(tracks.processes.iter().map(|item| item.name.as_str()).collect()));
}

fn stats(stats: &Stats, extension: bool) -> String {
    let mut object = Object::default();
    for (name, value) in [
        ("advert_rcvd", stats.advert_rcvd),
        ("advert_sent", stats.advert_sent),
        ("become_master", stats.become_master),
        ("release_master", stats.release_master),
        ("packet_len_err", stats.packet_len_err),
        ("advert_interval_err", stats.advert_interval_err),
        ("ip_ttl_err", stats.ip_ttl_err),
        ("invalid_type_rcvd", stats.invalid_type_rcvd),
        ("addr_list_err", stats.addr_list_err),
        ("invalid_authtype", stats.invalid_authtype),
        ("authtype_mismatch", stats.authtype_mismatch),
        ("auth_failure", stats.auth_failure),
    ] {
        object.put(name, value);
    }
    if extension {
        for (name, value) in [
            ("auth_ext_missing", stats.auth_ext_missing),
            ("auth_ext_malformed", stats.auth_ext_malformed),
            ("auth_ext_unknown_key", stats.auth_ext_unknown_key),
            ("auth_ext_invalid_hmac", stats.auth_ext_invalid_hmac),
            ("auth_ext_stale", stats.auth_ext_stale),
            ("auth_ext_replay", stats.auth_ext_replay),
        ] {
            object.put(name, value);
        }
    }
    object.put("pri_zero_rcvd", stats.pri_zero_rcvd);
    object.put("pri_zero_sent", stats.pri_zero_sent);
    object.end()
}
