//! Groups around static addresses and gratuitous ARP.

use super::rows::*;

block! {
    /// Instances that static addresses, routes and rules matter to: should one disappear for good, they go to fault.
    pub struct TrackGroup "track_group" (name: Name) {
        /// The instances.
        group: Lines<Name> = "group";
    }
}

block! {
    /// Interfaces that share the pace of gratuitous ARP, because a switch behind them cannot take more.
    pub struct GarpGroup "garp_group" {
        /// The pause between two gratuitous ARP.
        garp_interval: Option<Pause> = "garp_interval";
        /// The pause between two unsolicited neighbour advertisements.
        gna_interval: Option<Pause> = "gna_interval";
        /// The interface.
        interface: Option<IfName> = "interface";
        /// The interfaces.
        interfaces: Lines<IfName> = "interfaces";
    }
}
