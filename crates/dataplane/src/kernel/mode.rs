//! Which hook serves an interface: what is correct first, what is fast second. Pure.

use super::links::Interface;
use serde::Serialize;
use std::fmt;
use std::str::FromStr;

/// What a user asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Choose.
    #[default]
    Auto,
    /// TC ingress alone.
    Tc,
    /// Native XDP in front of TC.
    Xdp,
    /// Generic XDP in front of TC.
    XdpGeneric,
}

impl Mode {
    /// The names, as `--mode` takes them.
    pub const NAMES: [&'static str; 4] = ["auto", "tc", "xdp", "xdp-generic"];
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::NAMES[*self as usize])
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Auto, Self::Tc, Self::Xdp, Self::XdpGeneric];
        let known = all.into_iter().find(|mode| mode.to_string() == text);
        known.ok_or_else(|| format!("unknown mode `{text}`; one of {}", Self::NAMES.join(", ")))
    }
}

/// Where XDP is wanted, in front of TC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Xdp {
    /// Not.
    No,
    /// In the driver, if it can.
    Try,
    /// In the driver.
    Native,
    /// Before the stack.
    Generic,
}

/// Drivers whose packets come from software on the same machine or its host, with checksums still unfinished: XDP would send
/// them on as they are. TC knows which these are.
const UNFINISHED: [&str; 8] = ["veth", "tun", "virtio_net", "vif", "hv_netvsc", "vmxnet3", "xen_netfront", "netkit"];

fn unfinished(interface: &Interface, driver: &str) -> bool {
    UNFINISHED.contains(&driver) || interface.kind.as_deref().is_some_and(|kind| UNFINISHED.contains(&kind))
}

/// What a mode means for an interface, or why it cannot be had.
pub(crate) fn choose(mode: Mode, interface: &Interface, driver: &str) -> Result<Xdp, String> {
    let name = &interface.name;
    match mode {
        Mode::Tc => Ok(Xdp::No),
        Mode::Auto if interface.physical && interface.kind.is_none() && !unfinished(interface, driver) => Ok(Xdp::Try),
        Mode::Auto => Ok(Xdp::No),
        // Whoever asks for it by name knows whether the senders finish their checksums (ethtool -K … tx off).
        Mode::Xdp => Ok(Xdp::Native),
        Mode::XdpGeneric if unfinished(interface, driver) => Err(format!(
            "{name}: packets of this device ({}) can carry unfinished checksums, which generic XDP would break; use mode tc",
            interface.kind.as_deref().unwrap_or(driver)
        )),
        Mode::XdpGeneric => Ok(Xdp::Generic),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(kind: Option<&str>, physical: bool) -> Interface {
        let kind = kind.map(str::to_owned);
        Interface { name: "x".into(), kind, physical, ethernet: true, ..Interface::default() }
    }

    #[test]
    fn auto_takes_xdp_only_where_a_physical_device_finishes_its_checksums() {
        for (kind, physical, driver, wanted) in [
            (None, true, "ixgbe", Xdp::Try),
            (None, true, "mlx5_core", Xdp::Try),
            (None, true, "virtio_net", Xdp::No),
            (Some("veth"), false, "veth", Xdp::No),
            (Some("bridge"), false, "bridge", Xdp::No),
            (Some("macvlan"), false, "macvlan", Xdp::No),
            (Some("vlan"), true, "802.1Q VLAN Support", Xdp::No),
            (Some("tun"), false, "tun", Xdp::No),
            (None, false, "", Xdp::No),
        ] {
            assert_eq!(choose(Mode::Auto, &interface(kind, physical), driver), Ok(wanted), "{kind:?} {driver}");
        }
    }

    #[test]
    fn generic_xdp_is_refused_where_checksums_are_unfinished() {
        let refused = choose(Mode::XdpGeneric, &interface(Some("veth"), false), "veth").unwrap_err();
        assert!(refused.contains("unfinished checksums"), "{refused}");
        assert_eq!(choose(Mode::XdpGeneric, &interface(None, true), "e1000e"), Ok(Xdp::Generic));
    }

    #[test]
    fn names_and_modes_go_together() {
        for name in Mode::NAMES {
            assert_eq!(name.parse::<Mode>().map(|mode| mode.to_string()).as_deref(), Ok(name));
        }
        assert!("fast".parse::<Mode>().unwrap_err().contains("auto, tc, xdp, xdp-generic"));
    }
}
