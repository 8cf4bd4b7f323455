//! Names of tunnel types and their settings.

use rvs_intent::{Tunnel, TunnelKind};

/// Checksum of the tunnel's own header.
pub(super) const CSUM: u16 = 1;
/// Remote checksum offload.
pub(super) const REMCSUM: u16 = 2;

/// The name of a type.
pub(super) const fn name(kind: TunnelKind) -> &'static str {
    match kind {
        TunnelKind::Ipip => "ipip",
        TunnelKind::Gue => "gue",
        TunnelKind::Gre => "gre",
    }
}

/// By name.
pub(super) fn from_name(text: &str) -> Option<TunnelKind> {
    [TunnelKind::Ipip, TunnelKind::Gue, TunnelKind::Gre].into_iter().find(|kind| name(*kind) == text)
}

/// As `--tun-info` shows it: `gue:6080:-c`.
pub(super) fn info(tunnel: &Tunnel) -> String {
    let checksum = match tunnel.flags {
        REMCSUM => "r+c",
        CSUM => "+c",
        _ => "-c",
    };
    match tunnel.kind {
        TunnelKind::Ipip => "ipip".to_owned(),
        TunnelKind::Gue => format!("gue:{}:{checksum}", tunnel.port.host()),
        TunnelKind::Gre => format!("gre:{checksum}"),
    }
}

/// As options, for a saved rule.
pub(super) fn options(tunnel: &Tunnel) -> String {
    let checksum = match tunnel.flags {
        REMCSUM => "--tun-remcsum",
        CSUM => "--tun-csum",
        _ => "--tun-nocsum",
    };
    match tunnel.kind {
        TunnelKind::Ipip => "--tun-type ipip".to_owned(),
        TunnelKind::Gue => format!("--tun-type gue --tun-port {} {checksum}", tunnel.port.host()),
        TunnelKind::Gre => format!("--tun-type gre {checksum}"),
    }
}
