//! The kernel's networking as the daemon changes and watches it: addresses, routes, rules, interfaces, settings.
//!
//! All of it belongs to the network namespace of the thread that opened the socket. What should be there is decided elsewhere.

mod address;
mod delay;
mod encap;
mod firewall;
mod holdings;
mod keeper;
mod link;
mod monitor;
mod route;
mod rtnl;
mod rule;
pub mod sysctl;

pub use address::{Address, AddressFacts, AddressKey, Broadcast};
pub use delay::{LinkDelays, LinkState};
pub use encap::{Encap, Outer};
pub use firewall::{Dropped, Firewall, FirewallOptions};
pub use holdings::{Holdings, Thing, ThingKey};
pub use keeper::{Keeper, KeeperInput, KeeperOutput};
pub use link::{Interface, IpvlanFlags, VirtualKind, VirtualLink, prepare_parent, prepare_vmac, virtual_mac};
pub use monitor::{Event, Monitor};
pub use route::{Hop, Metric, PROTOCOL, Prefix, Route, RouteKey, RouteKind, TABLE_MAIN};
pub use rtnl::{NetError, Rtnl};
pub use rule::{Rule, RuleAction};
