//! What goes into a router and what comes out of it.
//!
//! The contract with the driver: before every call of [`rvs_machine::Machine::wake`] it hands over all packets that the
//! sockets hold. Only so can a router that was woken late see that its master is alive before it takes over.

use crate::params::{Config, Name, VirtualAddress};
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

/// What happens to a router.
#[derive(Clone, PartialEq, Debug)]
pub enum Input {
    /// Begin. What is known of interfaces and tracked things should have been said before.
    Start,
    /// A packet came out of a raw socket.
    Received(Received),
    /// An interface is there, or has changed.
    Interface(Interface),
    /// An interface is gone.
    InterfaceGone(Name),
    /// A tracked script has ended.
    Script(Name, ScriptEnd),
    /// A tracked file has been read.
    File(Name, i64),
    /// So many tracked processes run.
    Process(Name, u32),
    /// A BFD session has gone up or down.
    Bfd(Name, bool),
    /// Somebody took one of our addresses, routes or rules away. The driver puts it back; this counts it.
    AddressLost(Name, IpAddr),
    /// The address of an instance's configured source has come or gone (`track_src_ip`).
    SourcePresent(Name, bool),
    /// An instance lacks something that the driver sees to, or has it again.
    Lacks {
        /// The instance.
        instance: Name,
        /// What it lacks, in words for the log.
        what: Name,
        /// It lacks it, or no longer does.
        lacking: bool,
    },
    /// UTC at the machine clock's zero, in nanoseconds since 1970: at the start and after every step of the clock. Needed by
    /// `auth_hmac` only.
    WallClock(u64),
    /// Another configuration.
    Reload(Box<Config>),
    /// Stop: adverts of priority 0, addresses away.
    Stop,
    /// Set the counters of all instances to zero.
    ClearStatistics,
}

/// A packet out of a raw socket.
#[derive(Clone, PartialEq, Debug)]
pub struct Received {
    /// The interface: the configured one, also for a packet that came by the macvlan above it.
    pub interface: Name,
    /// IPv4: the packet with its IP header. IPv6: the VRRP packet.
    pub bytes: Vec<u8>,
    /// IPv6: source, destination and hop limit, from the message's address and control data.
    pub ipv6: Option<(Ipv6Addr, Ipv6Addr, Option<u8>)>,
}

/// What is known of an interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    /// Its name.
    pub name: Name,
    /// Administratively up and running.
    pub up: bool,
    /// Its MAC address, if it has one and does ARP.
    pub mac: Option<[u8; 6]>,
    /// Its primary IPv4 address.
    pub ipv4: Option<Ipv4Addr>,
    /// Its link-local IPv6 address.
    pub ipv6: Option<Ipv6Addr>,
    /// It forwards IPv6: neighbour advertisements say "router".
    pub router: bool,
}

/// How a script ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ScriptEnd {
    /// By itself, with this status.
    Exited(i32),
    /// By a signal that we did not send.
    Signalled(i32),
    /// It took too long and was ended.
    TimedOut,
}

/// The state of an instance or a group.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum State {
    /// Not begun, or waiting for the first result of a script.
    Init,
    /// Listening.
    Backup,
    /// Advertising; holds the addresses.
    Master,
    /// Cannot take part.
    Fault,
}

impl State {
    /// The number in the original's JSON.
    pub const fn number(self) -> u8 {
        match self {
            Self::Init => 0,
            Self::Backup => 1,
            Self::Master => 2,
            Self::Fault => 3,
        }
    }

    /// The word in logs and notifications.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Init => "INIT",
            Self::Backup => "BACKUP",
            Self::Master => "MASTER",
            Self::Fault => "FAULT",
        }
    }
}

/// What a router wants done, in this order.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Send an advert.
    Send(Datagram),
    /// Put the instance's own or excluded addresses on their interfaces, or take them away. Taking away what is not there is
    /// no error.
    Addresses {
        /// The instance.
        instance: Name,
        /// The addresses.
        addresses: Vec<VirtualAddress>,
        /// Add or remove.
        add: bool,
    },
    /// Add or remove virtual routes.
    Routes {
        /// The instance.
        instance: Name,
        /// The routes, as configured.
        routes: Vec<Name>,
        /// Add or remove.
        add: bool,
    },
    /// Add or remove virtual rules.
    Rules {
        /// The instance.
        instance: Name,
        /// The rules, as configured.
        rules: Vec<Name>,
        /// Add or remove.
        add: bool,
    },
    /// Begin or cease to drop packets to these addresses in the firewall (`no_accept`).
    DropRule {
        /// The instance.
        instance: Name,
        /// The addresses: all of them when it begins.
        addresses: Vec<VirtualAddress>,
        /// Begin or cease.
        add: bool,
    },
    /// Make sure that a virtual interface of an instance is there, or remove it. What cannot be made is told by
    /// [`Input::Lacks`].
    Vmac {
        /// The instance.
        instance: Name,
        /// The interface below.
        base: Name,
        /// The virtual interface.
        vmac: crate::params::Vmac,
        /// Create or remove.
        add: bool,
    },
    /// Set `promote_secondaries` on an interface, or put its old value back.
    PromoteSecondaries {
        /// The interface.
        interface: Name,
        /// Set or put back.
        set: bool,
    },
    /// Send an Ethernet frame: a gratuitous ARP or a neighbour advertisement.
    Frame {
        /// The interface.
        interface: Name,
        /// The frame.
        bytes: Vec<u8>,
    },
    /// Tell scripts, FIFOs, mails.
    Notify(Notify),
    /// Write to the log.
    Log(Log),
    /// Everything has been undone after [`Input::Stop`].
    Stopped,
}

/// An advert on its way.
#[derive(Clone, PartialEq, Debug)]
pub struct Datagram {
    /// The instance.
    pub instance: Name,
    /// The interface to send by.
    pub interface: Name,
    /// The source address.
    pub source: IpAddr,
    /// The group or the peer.
    pub destination: IpAddr,
    /// The hop limit; IPv4 has it in `bytes` as well.
    pub hop_limit: u8,
    /// IPv4: the packet with its header (`IP_HDRINCL`). IPv6: the VRRP packet, checksum included.
    pub bytes: Vec<u8>,
}

/// Something to tell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notify {
    /// About a group, not an instance.
    pub group: bool,
    /// The instance's or the group's name.
    pub name: Name,
    /// What has happened.
    pub event: Event,
    /// The instance's effective priority; 0 for a group.
    pub priority: u8,
}

impl fmt::Display for Notify {
    /// The line for the FIFO, without its end: `INSTANCE "VI_1" MASTER 100`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.group { "GROUP" } else { "INSTANCE" };
        write!(f, "{kind} \"{}\" {} {}", self.name, self.event.word(), self.priority)
    }
}

/// What has happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// It entered this state.
    Entered(State),
    /// The daemon stops.
    Stop,
    /// A reload removed it.
    Deleted,
    /// As master it heard an advert of lower priority.
    MasterRxLowerPri,
    /// Its priority changed as master.
    MasterPriority,
    /// Its priority changed as backup.
    BackupPriority,
}

impl Event {
    /// The word for scripts and FIFOs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Entered(state) => state.word(),
            Self::Stop => "STOP",
            Self::Deleted => "DELETED",
            Self::MasterRxLowerPri => "MASTER_RX_LOWER_PRI",
            Self::MasterPriority => "MASTER_PRIORITY",
            Self::BackupPriority => "BACKUP_PRIORITY",
        }
    }
}

/// A line for the log; the original's sentence where it has one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Log {
    /// Only when details are asked for (`-D`).
    pub detail: bool,
    /// The line.
    pub text: String,
}

/// How long since the machine clock's zero a moment of UTC lies; helper of [`Input::WallClock`].
pub fn wall_clock(utc_nanos: u64, since_zero: Duration) -> Input {
    Input::WallClock(utc_nanos.saturating_sub(u64::try_from(since_zero.as_nanos()).unwrap_or(u64::MAX)))
}
