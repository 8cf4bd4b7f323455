//! `vrrp_sync_group` and `vrrp_instance`.

use super::rows::*;

/// Seconds between two adverts: a hundredth to 255. Whether it fits the version is for the check.
pub type AdvertInterval = Seconds<10_000, 255_000_000>;

block! {
    /// What an instance or group depends on.
    pub struct Tracks "" {
        /// Interfaces.
        interfaces: Lines<Tracked<253>> = "track_interface";
        /// Scripts, by the names of their vrrp_script.
        scripts: Lines<Tracked<253>> = "track_script";
        /// Files, by the names of their track_file.
        files: Lines<Tracked<254>> = "track_file";
        /// Processes, by the names of their track_process.
        processes: Lines<Tracked<254>> = "track_process";
        /// Sessions, by the names of their bfd_instance.
        bfds: Lines<Tracked<253>> = "track_bfd";
    }
}

block! {
    /// Whom an instance or group tells of its changes of state.
    pub struct Notifies "" {
        /// What to run on becoming master.
        master: Option<Command> = "notify_master";
        /// What to run on becoming backup.
        backup: Option<Command> = "notify_backup";
        /// What to run on a fault.
        fault: Option<Command> = "notify_fault";
        /// What to run at the end.
        stop: Option<Command> = "notify_stop";
        /// Tell of a removal at a reload as such, and what to run then.
        deleted: Option<Deleted> = "notify_deleted";
        /// What to run on any change, with the kind, the name, the new state and the priority behind it.
        any: Option<Command> = "notify";
        /// Tell of changes of priority as well.
        priority_changes: Option<Switch> = "notify_priority_changes";
        /// Send mails.
        smtp_alert: Option<Switch> = "smtp_alert";
    }
}

block! {
    /// Instances that change state together.
    pub struct SyncGroup "vrrp_sync_group" (name: Name) {
        /// The instances.
        group: Lines<Name> = "group";
        /// All instances depend on what each of them does.
        global_tracking: bool = "global_tracking" [deprecated "track in the group itself"];
        /// Weights may differ within the group.
        sync_group_tracking_weight: bool = "sync_group_tracking_weight";
        ..tracks: Tracks;
        ..notifies: Notifies;
    }
}

block! {
    /// Authentication of version 2. No RFC after 2338 knows it.
    pub struct Authentication "authentication" {
        /// How.
        auth_type: Option<AuthType> = "auth_type";
        /// The password; eight bytes of it count.
        auth_pass: Option<Text> = "auth_pass";
    }
}

block! {
    /// Authentication by a keyed hash behind the advert.
    pub struct AuthHmac "auth_hmac" {
        /// The keys.
        keys: Vec<HmacKey> = "key";
        /// The number of the key to send with.
        active_key: Option<Int<1, 255>> = "active_key";
        /// How old an advert may be, in seconds.
        time_window: Option<Int<1, 300>> = "time_window";
        /// What a replayed advert is known by.
        anti_replay: Option<AntiReplay> = "anti_replay";
        /// What is done about adverts without it.
        mode: Option<AuthMode> = "mode";
    }
}

block! {
    /// A VRRP instance: one virtual router on one interface.
    pub struct Instance "vrrp_instance" (name: Name) {
        /// What it begins as.
        state: Option<State> = "state";
        /// Its interface.
        interface: Option<IfName> = "interface";
        /// Its number, from 1 to 255, the same on all routers.
        virtual_router_id: Option<Int<1, 255>> = "virtual_router_id";
        /// Its priority, from 1 to 255; the highest becomes master. 100 by default; 255 is the address owner.
        priority: Option<Int<1, 255>> = "priority";
        /// How often a master sends adverts. 1 by default; with version 2 whole seconds, with version 3 up to 40.95.
        advert_int: Option<AdvertInterval> = "advert_int";
        /// The version of VRRP.
        version: Option<Int<2, 3>> = "version";
        /// Authentication of version 2.
        authentication: Authentication = "authentication";
        /// Authentication by a keyed hash.
        auth_hmac: AuthHmac = "auth_hmac" [newer "2.4.0"];
        /// The addresses that a master has, all of one family.
        addresses: Lines<AddressEntry> = "virtual_ipaddress";
        /// Addresses that a master has and does not tell others about.
        excluded_addresses: Lines<AddressEntry> = "virtual_ipaddress_excluded";
        /// It has no addresses, and that is meant.
        no_virtual_ipaddress: bool = "no_virtual_ipaddress" [newer "2.2.8"];
        /// Routes that a master has.
        routes: Lines<Route> = "virtual_routes";
        /// Rules that a master has.
        rules: Lines<Rule> = "virtual_rules";
        /// Other addresses of a network stay when one is removed.
        promote_secondaries: bool = "promote_secondaries";
        /// Do not take over from a master of lower priority.
        nopreempt: bool = "nopreempt";
        /// Take over from a master of lower priority, as by default.
        preempt: bool = "preempt";
        /// How long to wait before taking over.
        preempt_delay: Option<Seconds<0, 1_000_000_000>> = "preempt_delay";
        /// Whether packets to the addresses are accepted, as by default.
        accept: bool = "accept";
        /// Packets to the addresses are dropped unless it is the address owner.
        no_accept: bool = "no_accept";
        /// Stick to the RFC in everything.
        strict_mode: Option<Switch> = "strict_mode";
        /// The source of adverts.
        mcast_src_ip: Option<IpAddr> = "mcast_src_ip";
        /// The source of adverts by unicast.
        unicast_src_ip: Option<IpAddr> = "unicast_src_ip";
        /// The destination of adverts.
        mcast_dst_ip: Option<IpAddr> = "mcast_dst_ip";
        /// The routers to exchange adverts with by unicast.
        unicast_peers: Lines<UnicastPeer> = "unicast_peer";
        /// The TTL of adverts by unicast.
        unicast_ttl: Option<Int<0, 255>> = "unicast_ttl";
        /// To have no peers is a fault.
        unicast_fault_no_peer: bool = "unicast_fault_no_peer";
        /// Accept adverts from the peers only.
        check_unicast_src: Option<Switch> = "check_unicast_src";
        /// The checksum of old versions for unicast.
        old_unicast_checksum: Option<Never> = "old_unicast_checksum";
        /// Leave the pseudo header out of the checksum of version 3 over IPv4.
        v3_checksum_as_v2: Option<Switch> = "v3_checksum_as_v2" [newer "2.3.0"];
        /// The loss of the source address is a fault.
        track_src_ip: bool = "track_src_ip";
        /// Faults of its own interface do not matter.
        dont_track_primary: bool = "dont_track_primary";
        /// Use an interface with the virtual hardware address.
        use_vmac: Option<UseVmac> = "use_vmac";
        /// Use such interfaces for addresses elsewhere as well.
        use_vmac_addr: bool = "use_vmac_addr";
        /// Send adverts from the real interface all the same.
        vmac_xmit_base: bool = "vmac_xmit_base";
        /// Use an ipvlan interface.
        use_ipvlan: Option<UseIpvlan> = "use_ipvlan";
        /// The VRF of an instance without an interface.
        vrf: Option<IfName> = "vrf";
        /// After becoming master, when to send the second set of gratuitous ARP.
        garp_master_delay: Option<GarpDelay> = "garp_master_delay";
        /// How many are in a set.
        garp_master_repeat: Option<GarpRepeat> = "garp_master_repeat";
        /// How often a master repeats them.
        garp_master_refresh: Option<GarpDelay> = "garp_master_refresh";
        /// How many are in such a repetition.
        garp_master_refresh_repeat: Option<GarpRepeat> = "garp_master_refresh_repeat";
        /// The second set after an advert of lower priority.
        garp_lower_prio_delay: Option<GarpDelay> = "garp_lower_prio_delay";
        /// How many then.
        garp_lower_prio_repeat: Option<GarpRepeat> = "garp_lower_prio_repeat";
        /// Gratuitous ARP again and again on other interfaces.
        garp_extra_if: Option<ExtraGarp> = "garp_extra_if";
        /// The same, as it was called before.
        vmac_garp_intvl: Option<ExtraGarp> = "vmac_garp_intvl" [deprecated "use garp_extra_if"];
        /// How many advert intervals of silence make a master dead.
        down_timer_adverts: Option<Int<1, 100>> = "down_timer_adverts";
        /// A master does not answer adverts of lower priority.
        lower_prio_no_advert: Option<Switch> = "lower_prio_no_advert";
        /// A master answers an advert of higher priority before it steps back.
        higher_prio_send_advert: Option<Switch> = "higher_prio_send_advert";
        /// An address owner ignores adverts of others.
        owner_ignore_adverts: Option<Switch> = "owner_ignore_adverts" [newer "2.3.2"];
        /// A master that was held up too long steps back, with this priority.
        timer_expired_backup: Option<Strings> = "timer_expired_backup" | "thread_timer_expired" [newer "2.2.8"];
        /// Do not compare the addresses in adverts of the same master again.
        skip_check_adv_addr: Option<Switch> = "skip_check_adv_addr";
        /// What to run when a master hears a lower priority.
        notify_master_rx_lower_pri: Option<Command> = "notify_master_rx_lower_pri";
        /// The receive buffer of adverts, in bytes.
        kernel_rx_buf_size: Option<Bytes> = "kernel_rx_buf_size";
        /// The interface of the connection sync daemon that follows it.
        lvs_sync_daemon_interface: Option<IfName> = "lvs_sync_daemon_interface" [discouraged "use lvs_sync_daemon in global_defs"];
        /// It is for IPv6.
        native_ipv6: bool = "native_ipv6" [deprecated "the addresses say it"];
        /// Poll the link of its interface.
        linkbeat_use_polling: bool = "linkbeat_use_polling" [no_effect super::globals::POLLING];
        /// How much to log, from 0 to 4.
        debug: Option<Int<0, 4>> = "debug" [no_effect "the level of logging is the daemon's"];
        ..tracks: Tracks;
        ..notifies: Notifies;
    }
}

impl Instance {
    /// True if it is for IPv6: by its first address, or by what was said.
    pub fn is_ipv6(&self) -> bool {
        self.native_ipv6 || self.addresses.first().is_some_and(|address| address.net.address.is_ipv6())
    }

    /// Its version, with the default of the globals.
    pub fn version_or(&self, default: Option<Int<2, 3>>) -> u8 {
        if self.is_ipv6() { 3 } else { self.version.or(default).map_or(2, Int::to) }
    }

    /// True if adverts go to peers.
    pub fn is_unicast(&self) -> bool {
        !self.unicast_peers.is_empty()
    }
}
