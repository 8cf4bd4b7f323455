//! The typed configuration, made of the rows of the keyword table.
//!
//! What a keyword was not given for is `None` or empty: defaults are applied by who uses the value, because several depend on
//! other keywords. Every value that is there is legal by itself; what goes with what is the business of
//! [`check`](mod@super::check).

pub mod bfd;
pub mod checker;
pub mod globals;
pub mod server;
pub mod statics;
pub mod track;
pub mod vrrp;

/// What rows are written with.
mod rows {
    pub(super) use crate::keepalived::field::Lines;
    pub(super) use crate::keepalived::keyword::block;
    pub(super) use crate::keepalived::value::choice::*;
    pub(super) use crate::keepalived::value::command::{Deleted, Fifo, Process};
    pub(super) use crate::keepalived::value::http::{Digest, Hex, RegexOptions, Reply, Sizes, StatusCodes};
    pub(super) use crate::keepalived::value::lvs::*;
    pub(super) use crate::keepalived::value::net::{Granularity, Host};
    pub(super) use crate::keepalived::value::route::Route;
    pub(super) use crate::keepalived::value::rule::Rule;
    pub(super) use crate::keepalived::value::track::FileInit;
    pub(super) use crate::keepalived::value::vrrp::*;
    pub(super) use crate::keepalived::value::*;
    pub(super) use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    /// Seconds before a second set of gratuitous ARP.
    pub(super) type GarpDelay = Int<0, 2_147_483_647>;
    /// How many gratuitous ARP.
    pub(super) type GarpRepeat = Int<0, 2_147_483_647>;
    /// Any time in seconds.
    pub(super) type Pause = Seconds<0, 4_294_967_295_000_000>;
    /// A size.
    pub(super) type Bytes = Int<1, 2_147_483_647>;
    /// A number that counts something, from 1.
    pub(super) type Count = Int<1, 2_147_483_647>;
    /// A number that counts something, from 0.
    pub(super) type CountOrNone = Int<0, 2_147_483_647>;
    /// A port.
    pub(super) type Port = Int<1, 65_535>;
}

use super::field::{Block, Out};
use super::keyword::{BlockInfo, block};
use rows::Lines;

block! {
    /// A whole configuration.
    pub struct Config "" {
        /// What holds for the daemon as a whole.
        globals: globals::Globals = "global_defs";
        /// Interfaces whose links are polled, and how.
        linkbeat_interfaces: Lines<rows::LinkbeatInterface> = "linkbeat_interfaces" [no_effect globals::POLLING];
        /// How long interfaces must be down, or up, before that counts.
        interface_up_down_delays: Lines<rows::UpDownDelay> = "interface_up_down_delays";
        /// Instances that static addresses, routes and rules matter to.
        track_groups: Vec<statics::TrackGroup> = "track_group";
        /// Addresses that are there as long as the daemon runs.
        static_addresses: Lines<rows::AddressEntry> = "static_ipaddress";
        /// Routes that are there as long as the daemon runs.
        static_routes: Lines<rows::Route> = "static_routes";
        /// Rules that are there as long as the daemon runs.
        static_rules: Lines<rows::Rule> = "static_rules";
        /// Files whose numbers count.
        track_files: Vec<track::TrackFile> = "track_file" | "vrrp_track_file";
        /// Processes that must run.
        track_processes: Vec<track::TrackProcess> = "track_process" | "vrrp_track_process";
        /// Scripts that are run again and again.
        scripts: Vec<track::Script> = "vrrp_script";
        /// Sessions of bidirectional forwarding detection.
        bfds: Vec<bfd::Bfd> = "bfd_instance";
        /// Interfaces that share the pace of gratuitous ARP.
        garp_groups: Vec<statics::GarpGroup> = "garp_group";
        /// Instances that change state together.
        sync_groups: Vec<vrrp::SyncGroup> = "vrrp_sync_group";
        /// VRRP instances.
        instances: Vec<vrrp::Instance> = "vrrp_instance";
        /// Certificates for checks over TLS.
        ssl: server::Ssl = "SSL";
        /// Several addresses that are one virtual server.
        server_groups: Vec<server::ServerGroup> = "virtual_server_group";
        /// Virtual servers.
        servers: Vec<server::VirtualServer> = "virtual_server";
        ..top: TopLevel;
    }
}

block! {
    /// Settings that may stand at the top level as well as in global_defs.
    pub struct TopLevel "" {
        /// The network namespace to run in.
        net_namespace: Option<rows::Name> = "net_namespace";
        /// The network namespace of the virtual servers; the default one if no name follows.
        net_namespace_ipvs: Option<rows::Strings> = "net_namespace_ipvs";
        /// Use ipsets in a network namespace on old kernels.
        namespace_with_ipsets: bool = "namespace_with_ipsets" [no_effect "RVS does not use ipsets"];
        /// A name that sets this daemon's files apart from those of others.
        instance: Option<rows::Name> = "instance";
        /// Put pid files into a directory.
        use_pid_dir: bool = "use_pid_dir";
        /// Poll links instead of listening to the kernel.
        linkbeat_use_polling: bool = "linkbeat_use_polling" [no_effect globals::POLLING];
        /// How long to wait for the end of everything. 5 by default.
        child_wait_time: Option<rows::CountOrNone> = "child_wait_time";
    }
}

impl Config {
    /// The top of the keyword table.
    pub fn root() -> &'static BlockInfo {
        Self::info()
    }

    /// The configuration as a file that reads back as the same.
    pub fn print(&self) -> String {
        let mut out = Out::default();
        self.write_body(&mut out);
        out.into_text()
    }

    /// The name of the network namespace, wherever it was given.
    pub fn net_namespace(&self) -> Option<&str> {
        self.globals.net_namespace.as_deref().or(self.top.net_namespace.as_deref())
    }

    /// The name of this daemon, wherever it was given.
    pub fn instance_name(&self) -> Option<&str> {
        self.globals.instance.as_deref().or(self.top.instance.as_deref())
    }
}
