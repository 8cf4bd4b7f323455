//! The first part of `/tmp/keepalived.data`: what is configured for the daemon as a whole.

use rvs_config::keepalived::Config;
use rvs_config::keepalived::model::globals::Globals;
use rvs_config::keepalived::value::{Int, Switch};

fn on(switch: Option<Switch>) -> bool {
    switch.is_some_and(|switch| switch.0)
}

fn unset(switch: Option<Switch>) -> &'static str {
    match switch {
        None => "unset",
        Some(Switch(true)) => "on",
        Some(Switch(false)) => "off",
    }
}

/// The part, without its end.
pub(super) fn globals(config: &Config) -> String {
    let globals = &config.globals;
    let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
    let router_id = globals.router_id.as_ref().map_or_else(host, |id| id.0.clone());
    let mut lines = vec![
        format!("Network namespace = {}", config.net_namespace().unwrap_or("(default)")),
        "Network namespace ipvs = (main namespace)".into(),
        format!("Router ID = {router_id}"),
    ];
    mails(&mut lines, globals);
    lines.extend([
        format!("Checkers log all failures = {}", on(globals.checker_log_all_failures)),
        match &globals.reload_check_config {
            None => "No test config before reload".to_owned(),
            Some(_) => "Test config before reload".to_owned(),
        },
        format!("Dynamic interfaces = {}", globals.dynamic_interfaces.is_some()),
        format!("Default interface = {}", globals.default_interface.as_ref().map_or("eth0", |name| name.0.as_str())),
        format!("Disable local IGMP = {}", if globals.disable_local_igmp { "yes" } else { "no" }),
        format!("LVS flush = {}", globals.lvs_flush),
        format!("LVS flush on stop = {}", if globals.lvs_flush_on_stop.is_some() { "full" } else { "disabled" }),
        format!("FIFO write vrrp states on reload = {}", globals.fifo_write_vrrp_states_on_reload),
    ]);
    vrrp(&mut lines, globals);
    processes(&mut lines, globals);
    rest(&mut lines, globals);
    lines.iter().map(|line| format!(" {line}\n")).collect()
}

fn mails(lines: &mut Vec<String>, globals: &Globals) {
    if let Some(server) = &globals.smtp_server {
        lines.push(format!("Smtp server = {}", server.host));
        lines.push(format!("Smtp server port = {}", server.port.unwrap_or(25)));
    }
    if let Some(name) = &globals.smtp_helo_name {
        lines.push(format!("Smtp HELO name = {name}"));
    }
    if globals.smtp_server.is_some() {
        let patience = globals.smtp_connect_timeout.map_or(30, |time| time.duration().as_secs());
        lines.push(format!("Smtp server connection timeout = {patience}"));
    }
    if let Some(from) = &globals.notification_email_from {
        lines.push(format!("Email notification from = {from}"));
    }
    if !globals.notification_email.is_empty() {
        lines.push("Email notification to:".into());
        lines.extend(globals.notification_email.iter().map(|to| format!("  {}", to.0)));
    }
    lines.push(format!("Default smtp_alert = {}", unset(globals.smtp_alert)));
    lines.push(format!("Default smtp_alert_vrrp = {}", unset(globals.smtp_alert_vrrp)));
    lines.push(format!("Default smtp_alert_checker = {}", unset(globals.smtp_alert_checker)));
}

fn vrrp(lines: &mut Vec<String>, globals: &Globals) {
    type Number = Option<Int<0, 2_147_483_647>>;
    let number = |value: Number, other: i64| value.map_or(other, Int::get);
    let least = on(globals.vrrp_min_garp);
    let delay = number(globals.vrrp_garp_master_delay, if least { 0 } else { 5 });
    let repeat = number(globals.vrrp_garp_master_repeat, if least { 1 } else { 5 });
    let pause = |micros: Option<u64>| {
        let micros = micros.unwrap_or(0);
        format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
    };
    let extra = globals.vrrp_garp_extra_if.map_or(0, |extra| extra.interval.micros() / 1_000_000);
    let group4 = globals.vrrp_mcast_group4.map_or_else(|| "224.0.0.18".to_owned(), |group| group.to_string());
    let group6 = globals.vrrp_mcast_group6.map_or_else(|| "ff02::12".to_owned(), |group| group.to_string());
    lines.extend([
        format!("VRRP notify priority changes = {}", on(globals.vrrp_notify_priority_changes)),
        format!("VRRP IPv4 mcast group = {group4}"),
        format!("VRRP IPv6 mcast group = {group6}"),
        format!("Gratuitous ARP delay = {delay}"),
        format!("Gratuitous ARP repeat = {repeat}"),
        format!("Gratuitous ARP refresh timer = {}", number(globals.vrrp_garp_master_refresh, 0)),
        format!("Gratuitous ARP refresh repeat = {}", number(globals.vrrp_garp_master_refresh_repeat, 1)),
        format!("Gratuitous ARP lower priority delay = {}", number(globals.vrrp_garp_lower_prio_delay, delay)),
        format!("Gratuitous ARP lower priority repeat = {}", number(globals.vrrp_garp_lower_prio_repeat, repeat)),
        format!("Num adverts before down = {}", globals.vrrp_down_timer_adverts.map_or(3, Int::get)),
        format!("Gratuitous ARP for each secondary VMAC = {extra}s"),
        format!("Send advert after receive lower priority advert = {}", !on(globals.vrrp_lower_prio_no_advert)),
        format!("Send advert after receive higher priority advert = {}", on(globals.vrrp_higher_prio_send_advert)),
        format!("Gratuitous ARP interval = {}", pause(globals.vrrp_garp_interval.map(|pause| pause.micros()))),
        format!("Gratuitous NA interval = {}", pause(globals.vrrp_gna_interval.map(|pause| pause.micros()))),
        format!("VRRP default protocol version = {}", globals.vrrp_version.map_or(2, Int::get)),
        "nftables without counters".into(),
        "libnftnl version (none)".into(),
        format!("VRRP check unicast_src = {}", on(globals.vrrp_check_unicast_src)),
        format!("VRRP skip check advert addresses = {}", on(globals.vrrp_skip_check_adv_addr)),
        format!("VRRP strict mode = {}", on(globals.vrrp_strict)),
        "Max auto priority = 0".into(),
        "Min auto priority delay = 1000000 usecs".into(),
    ]);
}

fn processes(lines: &mut Vec<String>, globals: &Globals) {
    let limit = globals.vrrp_rlimit_rttime.map_or(10_000, Int::get);
    let vrrp = (
        globals.vrrp_priority.map_or(0, Int::get),
        globals.vrrp_no_swap,
        globals.vrrp_rt_priority.map_or(0, Int::get),
        limit,
    );
    for (name, (priority, swap, real_time, limit)) in
        [("VRRP", vrrp), ("Checker", (0, false, 0, 10_000)), ("BFD", (0, false, 0, 10_000))]
    {
        lines.extend([
            format!("{name} process priority = {priority}"),
            format!("{name} don't swap = {swap}"),
            format!("{name} realtime priority = {real_time}"),
            format!("{name} realtime limit = {limit}"),
        ]);
    }
}

fn rest(lines: &mut Vec<String>, globals: &Globals) {
    for what in ["SNMP vrrp", "SNMP checker", "SNMP RFCv2", "SNMP RFCv3", "SNMP traps"] {
        lines.push(format!("{what} disabled"));
    }
    let user = rvs_host::script::default_user().0;
    lines.extend([
        "SNMP socket = default (unix:/var/agentx/master)".to_owned(),
        "DBus disabled".to_owned(),
        "DBus service name = ".to_owned(),
        format!("Script security {}", if globals.enable_script_security { "enabled" } else { "disabled" }),
        format!("Default script uid:gid {}:{}", user.uid, user.gid),
    ]);
    for name in
        ["vrrp_netlink_cmd", "vrrp_netlink_monitor", "process_monitor", "lvs_netlink_cmd", "lvs_netlink_monitor"]
    {
        lines.extend([format!("{name}_rcv_bufs = 0"), format!("{name}_rcv_bufs_force = 0")]);
    }
    lines.extend([
        format!("rs_init_notifies = {}", u8::from(globals.rs_init_notifies)),
        format!("no_checker_emails = {}", u8::from(globals.no_checker_emails)),
        format!("rx_bufs_multiples = {}", globals.vrrp_rx_bufs_multiplier.map_or(3, Int::get)),
        format!("umask = {}", globals.umask.as_ref().map_or("0177", |umask| umask.0.as_str())),
    ]);
}
