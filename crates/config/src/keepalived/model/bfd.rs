//! `bfd_instance`: bidirectional forwarding detection, RFC 5880 and 5881.

use super::rows::*;

block! {
    /// A session of bidirectional forwarding detection.
    pub struct Bfd "bfd_instance" (name: Name) {
        /// The other end.
        neighbor_ip: Option<IpAddr> = "neighbor_ip" | "neighbour_ip";
        /// Our address.
        source_ip: Option<IpAddr> = "source_ip";
        /// How fast we can receive. 10 by default.
        min_rx: Option<Millis<1000, 4_294_967_295>> = "min_rx";
        /// How fast we would like to send. 10 by default.
        min_tx: Option<Millis<1000, 4_294_967_295>> = "min_tx";
        /// How fast we send while the session is down. 1000 by default.
        idle_tx: Option<Millis<1000, 4_294_967_295>> = "idle_tx";
        /// How many missing packets make the session fail. 5 by default.
        multiplier: Option<Int<1, 255>> = "multiplier";
        /// Wait for the other end to begin.
        passive: bool = "passive";
        /// The TTL of our packets over IPv4. 255 by default.
        ttl: Option<Int<1, 255>> = "ttl";
        /// The hop limit of our packets over IPv6. 64 by default.
        hoplimit: Option<Int<1, 255>> = "hoplimit";
        /// How many routers may be between the ends. 0 by default; 255 is any number.
        max_hops: Option<Int<-1, 255>> = "max_hops";
        /// Use the port of RFC 5883, for ends with routers between them.
        multihop: bool = "multihop" [newer "2.3.0"];
        /// What the session adds to or takes from a priority.
        weight: Option<Weight<253>> = "weight";
        /// Tell VRRP only.
        vrrp: bool = "vrrp";
        /// Tell the checkers only.
        checker: bool = "checker";
    }
}
