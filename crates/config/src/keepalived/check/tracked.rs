//! Scripts, files, processes and sessions that instances and servers depend on.

use super::{Context, first_of_name};
use crate::keepalived::model::Config;

pub(super) fn check(config: &mut Config, context: &mut Context<'_>) {
    let reports = &mut *context.reports;
    config.scripts.retain(|script| {
        let good = script.script.is_some();
        if !good {
            let text = format!("No script set for vrrp_script {} - removing", script.name);
            reports.error(script.spans.header(), text);
        }
        good
    });
    first_of_name(
        &mut config.scripts,
        |item| &item.name,
        |item| {
            reports.error(item.spans.header(), format!("Script {} already defined", item.name));
        },
    );
    config.track_files.retain(|file| {
        let good = file.file.is_some();
        if !good {
            reports.error(file.spans.header(), format!("No file set for track_file {} - ignoring", file.name));
        }
        good
    });
    first_of_name(
        &mut config.track_files,
        |item| &item.name,
        |item| {
            reports.error(item.spans.header(), format!("Track file {} already defined", item.name));
        },
    );
    config.track_processes.retain(|process| {
        let good = process.process.is_some();
        if !good {
            let text = format!("track process '{}' process name not specified", process.name);
            reports.error(process.spans.header(), text);
        }
        good
    });
    first_of_name(
        &mut config.track_processes,
        |item| &item.name,
        |item| {
            reports.error(item.spans.header(), format!("Track process {} already defined", item.name));
        },
    );
    for process in &config.track_processes {
        let least = process.quorum.map_or(1, |quorum| quorum.get());
        if let Some(most) = process.quorum_max.filter(|most| most.get() > 0 && most.get() < least) {
            let text =
                format!("track process '{}': quorum_max {} is less than quorum {least}", process.name, most.get());
            reports.warning(process.spans.of("quorum_max"), text);
        }
    }
    sessions(config, context);
}

fn sessions(config: &mut Config, context: &mut Context<'_>) {
    let reports = &mut *context.reports;
    first_of_name(
        &mut config.bfds,
        |item| &item.name,
        |item| {
            reports.error(item.spans.header(), format!("BFD {} already specified", item.name));
        },
    );
    config.bfds.retain_mut(|bfd| {
        let Some(neighbor) = bfd.neighbor_ip else {
            let text = format!(
                "Configuration error: BFD instance {} has no neighbor address set, disabling instance",
                bfd.name
            );
            reports.error(bfd.spans.header(), text);
            return false;
        };
        if bfd.source_ip.is_some_and(|source| source.is_ipv4() != neighbor.is_ipv4()) {
            let text = format!("BFD instance {} source IP address and neighbor address not of same family", bfd.name);
            reports.error(bfd.spans.of("source_ip"), text);
            return false;
        }
        true
    });
    let mut ends: Vec<(std::net::IpAddr, Option<std::net::IpAddr>)> = Vec::new();
    for bfd in &config.bfds {
        let end = (bfd.neighbor_ip.unwrap_or(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED)), bfd.source_ip);
        if ends.contains(&end) {
            let text = format!("BFD instance {}: there is already a session with {}", bfd.name, end.0);
            reports.error(bfd.spans.of("neighbor_ip"), text);
        }
        ends.push(end);
    }
}
