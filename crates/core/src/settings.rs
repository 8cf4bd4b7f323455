//! The settings of a director: the sysctls of `net.ipv4.vs`, with the kernel's names, defaults and ranges.
//!
//! [`Settings`] is the record that packets are decided by; it lies twice in [`crate::abi::Control`], and one store chooses
//! which of the two holds, so that several settings change as one. [`ALL`] tells of each what it is called and what it may be.
//! Text is not this module's business.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// CPUs that [`Settings::est_cpulist`] can name.
pub const CPUS: usize = 512;

/// Ports that [`Settings::ftp_ports`] can name.
pub const FTP_PORTS: usize = 8;

/// What values a setting may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// Any number.
    Any,
    /// A number from the first to the second.
    Range(i32, i32),
    /// 0 off, 1 automatic, 3 always on. 2 is automatic, too, and shown while it is on.
    Defence,
    /// A power of two.
    PowerOfTwo,
    /// Two numbers, not negative, the first below the second unless that is 0. One number alone sets the first.
    Pair,
    /// A list of CPUs, such as `0-3,8`.
    Cpus,
    /// A list of at most [`FTP_PORTS`] ports, such as `21,2121`.
    Ports,
}

/// One setting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Setting {
    /// Its name, without `net.ipv4.vs.`.
    pub name: &'static str,
    /// Offset in [`Settings`], in words of 32 bits.
    pub at: usize,
    /// What it may be.
    pub rule: Rule,
    /// One line for people: what it does here.
    pub effect: &'static str,
}

macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $name:ident: $type:ty = $default:expr, $rule:expr;)+) => {
        /// The settings that packets are decided by. Numbers as the kernel keeps them; a switch is on unless it is 0.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
        #[repr(C)]
        pub struct Settings {
            $($(#[doc = $doc])+ pub $name: $type,)+
            /// Zero.
            pub pad: i32,
        }

        impl Settings {
            /// What they are in a new network namespace. [`Settings::sync_qlen_max`] and
            /// [`Settings::est_cpulist`] depend on the machine and are for the one who makes the record to fill in.
            pub const DEFAULT: Self = Self { $($name: $default,)+ pad: 0 };
        }

        /// All settings, by name.
        pub const ALL: &[Setting] = &[$(Setting {
            name: stringify!($name),
            at: core::mem::offset_of!(Settings, $name) / 4,
            rule: $rule,
            effect: concat!($($doc),+),
        },)+];
    };
}

settings! {
    /// Of so many new connections one is dropped while `drop_packet` is 3.
    am_droprate: i32 = 10, Rule::Any;
    /// The automatic defences are on while fewer connection records than this are free (IPVS counts free pages of memory).
    amemthresh: i32 = 1024, Rule::Any;
    /// Do not balance while only the backup synchronisation daemon runs.
    backup_only: i32 = 0, Rule::Any;
    /// A packet for a service by mark that no real server can take goes to its own destination.
    cache_bypass: i32 = 0, Rule::Any;
    /// What a SYN does to a finished connection of the same ports: 0 it goes on, 1 a new one begins, 2 likewise, also in FIN_WAIT when replies do not pass here. The new one begins at once, without IPVS's second of silence.
    conn_reuse_mode: i32 = 1, Rule::Any;
    /// None: balanced packets never meet the kernel's connection tracking.
    conntrack: i32 = 0, Rule::Any;
    /// Ends embryonic, idle and unassured entries at random, one in 32 each second: 0 never, 1 while records run short, 3 always.
    drop_entry: i32 = 0, Rule::Defence;
    /// Drops new connections: 0 never, 1 while records run short (the more, the fewer are free), 3 one in `am_droprate`.
    drop_packet: i32 = 0, Rule::Defence;
    /// None: rates are estimated by a timer in the kernel, which runs on any CPU.
    est_cpulist: [u32; CPUS / 32] = [0; CPUS / 32], Rule::Cpus;
    /// None: as `est_cpulist`.
    est_nice: i32 = 0, Rule::Range(-20, 19);
    /// What becomes of connections whose real server was deleted: 0 they wait silently for its return, else they end at once.
    expire_nodest_conn: i32 = 0, Rule::Any;
    /// Clients of a persistent service leave a server whose weight is 0.
    expire_quiescent_template: i32 = 0, Rule::Any;
    /// Ports of masqueraded services whose new connections are read as FTP's control connections, at most eight (IPVS: `ports` of the module `ip_vs_ftp`).
    ftp_ports: [u16; FTP_PORTS] = [21, 0, 0, 0, 0, 0, 0, 0], Rule::Ports;
    /// None: what comes out of a tunnel on this host is never balanced.
    ignore_tunneled: i32 = 0, Rule::Any;
    /// Seconds after which the lblc scheduler forgets where an address was sent.
    lblc_expiration: i32 = 86400, Rule::Any;
    /// Seconds after which the lblcr scheduler forgets where an address was sent.
    lblcr_expiration: i32 = 86400, Rule::Any;
    /// Tell a masqueraded real server by ICMP that a packet of its belongs to no connection.
    nat_icmp_send: i32 = 0, Rule::Any;
    /// Tunnels keep DF, and the sender of a packet that is too big for one is told. 0: DF goes, and IPv4 packets are cut.
    pmtu_disc: i32 = 1, Rule::Any;
    /// Estimate rates; while it is 0, they stand still. Totals are always right (IPVS's stand still as well).
    run_estimation: i32 = 1, Rule::Any;
    /// Let an ICMP error about a connection that is not known begin one, by what it quotes.
    schedule_icmp: i32 = 0, Rule::Any;
    /// A TCP state table that is slower to believe in a connection: 0 never, 1 while records run short, 3 always.
    secure_tcp: i32 = 0, Rule::Defence;
    /// Let any SCTP packet begin a connection, not only INIT.
    sloppy_sctp: i32 = 0, Rule::Any;
    /// Let any TCP segment but RST begin a connection, not only SYN.
    sloppy_tcp: i32 = 0, Rule::Any;
    /// None: replies are always sent by a route look-up of their own.
    snat_reroute: i32 = 1, Rule::Any;
    /// Synchronise only templates of persistent services, not their connections.
    sync_persist_mode: i32 = 0, Rule::Any;
    /// Number of synchronisation channels.
    sync_ports: i32 = 1, Rule::PowerOfTwo;
    /// Most synchronisation messages that wait to be sent; a 32nd of the memory's pages.
    sync_qlen_max: i32 = 0, Rule::Range(0, i32::MAX);
    /// Seconds between synchronisations of an unchanged connection; 0: by packets only.
    sync_refresh_period: i32 = 0, Rule::Any;
    /// Repetitions of a synchronisation by time.
    sync_retries: i32 = 0, Rule::Range(0, 3);
    /// Bytes of the synchronisation sockets' buffers; 0: the system's default.
    sync_sock_size: i32 = 0, Rule::Any;
    /// Synchronise a connection at its first number of packets and after each further second number.
    sync_threshold: [i32; 2] = [3, 50], Rule::Pair;
    /// Version of the synchronisation messages that are sent.
    sync_version: i32 = 1, Rule::Range(0, 1);
}

impl Default for Settings {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The defences that are in force; the sweeper works them out once a second.
pub mod defence {
    /// `secure_tcp`.
    pub const SECURE_TCP: u32 = 1;
    /// `drop_entry`.
    pub const DROP_ENTRY: u32 = 2;
    /// Fewer connection records are free than `amemthresh`: what is automatic is on.
    pub const SHORT: u32 = 4;
}

/// Whether a defence at this level is on, given whether records are short.
#[inline(always)]
pub const fn is_on(level: i32, short: bool) -> bool {
    level == 3 || (level != 0 && short)
}

/// Words in [`Settings`].
pub const WORDS: usize = size_of::<Settings>() / 4;

impl Settings {
    /// All of it as numbers; [`Setting::at`] is an index here.
    pub fn words(&self) -> &[i32; WORDS] {
        zerocopy::transmute_ref!(self)
    }

    /// All of it as numbers, to be changed.
    pub fn words_mut(&mut self) -> &mut [i32; WORDS] {
        zerocopy::transmute_mut!(self)
    }

    /// Whether connections to this port (host order) are FTP's control connections.
    #[inline(always)]
    pub fn is_ftp_port(&self, port: u16) -> bool {
        // Unused places are 0, and so is no port. By arithmetic, because each branch here doubles the verifier's work: 1 when
        // they are equal.
        let equal = |place: &u16| ((*place ^ port) as u32).wrapping_sub(1) >> 31;
        self.ftp_ports.iter().fold(0, |is, place| is | equal(place)) != 0 && port != 0
    }

    /// The defences in force with so many free connection records: flags of [`defence`].
    #[inline(always)]
    pub const fn defences(&self, free: u32) -> u32 {
        let short = self.is_short(free);
        (if short { defence::SHORT } else { 0 })
            | (if is_on(self.secure_tcp, short) { defence::SECURE_TCP } else { 0 })
            | (if is_on(self.drop_entry, short) { defence::DROP_ENTRY } else { 0 })
    }

    /// Of how many new connections one is dropped, with so many free connection records; 0: none.
    #[inline(always)]
    pub const fn drop_rate(&self, free: u32) -> u32 {
        let rate = if self.drop_packet == 3 {
            self.am_droprate
        } else if is_on(self.drop_packet, self.is_short(free)) {
            let missing = self.amemthresh.wrapping_sub(free as i32);
            // `is_short` says that something is missing.
            ((self.amemthresh as u32) / (if missing > 0 { missing as u32 } else { 1 })) as i32
        } else {
            0
        };
        if rate > 0 { rate as u32 } else { 0 }
    }

    #[inline(always)]
    const fn is_short(&self, free: u32) -> bool {
        (free as i64) < self.amemthresh as i64
    }
}

const _: () = assert!(size_of::<Settings>() == 208);

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn they_are_sorted_and_do_not_overlap() {
        let names: Vec<_> = ALL.iter().map(|setting| setting.name).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(names, sorted);
        assert!(ALL.windows(2).all(|two| two[0].at < two[1].at));
    }

    #[test]
    fn automatic_defences_come_and_go_with_free_records() {
        let auto = Settings { drop_entry: 1, secure_tcp: 1, drop_packet: 1, ..Settings::DEFAULT };
        assert_eq!((auto.defences(1024), auto.drop_rate(1024)), (0, 0));
        assert_eq!(auto.defences(1023), defence::SHORT | defence::SECURE_TCP | defence::DROP_ENTRY);
        // The fewer are free, the more are dropped: one in 1024, in 2, each.
        assert_eq!([1023, 512, 0].map(|free| auto.drop_rate(free)), [1024, 2, 1]);
    }

    #[test]
    fn defences_that_are_off_or_on_do_not_ask() {
        let off = Settings::DEFAULT;
        assert_eq!((off.defences(0), off.drop_rate(0)), (defence::SHORT, 0));
        let on = Settings { drop_entry: 3, secure_tcp: 3, drop_packet: 3, ..Settings::DEFAULT };
        assert_eq!(on.defences(1 << 20), defence::SECURE_TCP | defence::DROP_ENTRY);
        assert_eq!(on.drop_rate(1 << 20), 10);
        // A rate that makes no sense drops nothing.
        assert_eq!(Settings { am_droprate: -1, ..on }.drop_rate(0), 0);
        assert_eq!(Settings { amemthresh: -1, drop_packet: 1, ..off }.drop_rate(0), 0);
    }
}
