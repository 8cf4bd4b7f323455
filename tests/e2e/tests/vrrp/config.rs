//! Configurations for the tests.

use lab::pair::Side;

/// The virtual address over IPv4.
pub(crate) const VIP: &str = "10.0.1.10";
/// The virtual address over IPv6.
pub(crate) const VIP6: &str = "fd00:1::10";

/// What the two directors speak.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Dialect {
    V2,
    V2Unicast,
    V2Ah,
    V3,
    V3Unicast,
    V6,
    V6Unicast,
}

impl Dialect {
    /// The virtual address that the client looks for.
    pub(crate) fn vip(self) -> &'static str {
        if matches!(self, Self::V6 | Self::V6Unicast) { VIP6 } else { VIP }
    }

    fn lines(self, side: Side) -> String {
        let (own, other) = (side.number(), 3 - side.number());
        let version2 = "version 2\n advert_int 1\n authentication { \n auth_type PASS\n auth_pass secret\n }\n";
        let version3 = "version 3\n advert_int 0.5\n";
        let v4 = "virtual_ipaddress {\n 10.0.1.10/24\n }\n";
        let v6 = "virtual_ipaddress {\n fe80::62\n fd00:1::10/64\n }\n";
        let unicast4 = format!("unicast_src_ip 10.0.1.{own}\n unicast_peer {{\n 10.0.1.{other}\n }}\n");
        let unicast6 = format!("unicast_src_ip fd00:1::{own}\n unicast_peer {{\n fd00:1::{other}\n }}\n");
        match self {
            Self::V2 => format!("{version2}{v4}"),
            Self::V2Ah => format!("{}{v4}", version2.replace("PASS", "AH")),
            Self::V2Unicast => format!("{version2}{v4}{unicast4}"),
            Self::V3 => format!("{version3}{v4}"),
            Self::V3Unicast => format!("{version3}{v4}{unicast4}"),
            Self::V6 => format!("{version3}{v6}"),
            Self::V6Unicast => format!("{version3}{v6}{unicast6}"),
        }
    }
}

/// An instance VI_1 with these lines besides the usual ones.
pub(crate) fn instance(dialect: Dialect, side: Side, priority: u8, more: &str) -> String {
    format!(
        "vrrp_instance VI_1 {{\n state BACKUP\n interface eth0\n virtual_router_id 51\n priority {priority}\n {}{more}\n}}\n",
        dialect.lines(side)
    )
}
