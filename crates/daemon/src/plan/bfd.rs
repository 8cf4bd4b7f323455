//! `bfd_instance` to the protocol's parameters.

use rvs_bfd::Params;
use rvs_config::keepalived::Config;
use rvs_config::keepalived::value::Int;

pub(super) fn params(config: &Config, remarks: &mut Vec<String>) -> Vec<Params> {
    let mut sessions = Vec::new();
    for block in &config.bfds {
        let Some(neighbour) = block.neighbor_ip else {
            remarks.push(format!("bfd_instance {} has no neighbor_ip, so it cannot run", block.name));
            continue;
        };
        let mut params = Params::new(&block.name, neighbour);
        params.source = block.source_ip;
        params.min_rx = block.min_rx.map_or(params.min_rx, |time| time.duration());
        params.min_tx = block.min_tx.map_or(params.min_tx, |time| time.duration());
        params.idle_tx = block.idle_tx.map_or(params.idle_tx, |time| time.duration());
        params.multiplier = block.multiplier.map_or(params.multiplier, Int::to);
        params.passive = block.passive;
        // Neighbours over one hop want 255 (RFC 5881, 5), whatever the family.
        let limit = if neighbour.is_ipv4() { block.ttl } else { block.hoplimit };
        params.hop_limit = limit.map_or(255, Int::to);
        params.max_hops = block.max_hops.map_or(0, |hops| if hops.get() < 0 { u8::MAX } else { hops.to() });
        params.multihop = block.multihop;
        sessions.push(params);
    }
    sessions
}
