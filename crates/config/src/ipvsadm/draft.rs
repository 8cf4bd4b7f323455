//! A command line while it is read. The order of options matters, as in the original: `-6` follows `-f`, `-r` takes over the
//! port of the service before it, `-M` is read in the family known so far.

use super::checks::Given;
use super::endpoint::Endpoint;
use super::parse::{UsageError, timeout};
use super::table::{Class, Id, Opt};
use super::{number, tunnel};
use crate::names::Names;
use rvs_core::abi::{Forward, ServiceKey, flags};
use rvs_intent::{Daemon, DaemonRole, Dest, Tunnel};
use rvs_wire::{Addr, Be16, Family};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

/// `-p` without a timeout, in seconds.
const DEFAULT_PERSISTENCE: u32 = 360;
/// `--watch` without an interval, in seconds.
const WATCH_SECS: u32 = 2;
/// Names of schedulers and engines are cut to this length, as the kernel's messages hold no more.
const MAX_NAME: usize = 15;
const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;
const MAX_INT: i64 = i32::MAX as i64;
/// Largest UDP payload.
const MAX_MESSAGE: i64 = 65535 - 20 - 8;

/// What has been read so far.
#[derive(Debug)]
pub(super) struct Draft {
    /// Classes of options so far.
    pub(super) given: Given,
    proto: u8,
    addr: Addr,
    family: Family,
    port: Be16,
    /// Firewall mark; 0: none.
    pub(super) mark: u32,
    pub(super) flags: u16,
    pub(super) persist_secs: u32,
    pub(super) netmask: Addr,
    pub(super) sched: String,
    pub(super) engine: Option<String>,
    sched_flags: String,
    server: Dest,
    /// What the daemon options say.
    pub(super) daemon: Daemon,
    /// Seconds between listings.
    pub(super) watch: Option<u32>,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            given: Given::default(),
            proto: 0,
            addr: Addr::UNSPECIFIED,
            family: Family::V4,
            port: Be16::ZERO,
            mark: 0,
            flags: 0,
            persist_secs: 0,
            netmask: Ipv4Addr::BROADCAST.into(),
            sched: String::new(),
            engine: None,
            sched_flags: String::new(),
            server: Dest::new(Addr::UNSPECIFIED, Family::V4, Be16::ZERO),
            daemon: Daemon::new(DaemonRole::Master),
            watch: None,
        }
    }
}

impl Draft {
    /// The service.
    pub(super) fn key(&self) -> ServiceKey {
        let addr = if self.mark != 0 { Addr::mark(self.mark) } else { self.addr };
        ServiceKey { addr, port: self.port, proto: self.proto, family: self.family.raw() }
    }

    /// The real server.
    pub(super) fn server(&self) -> Dest {
        self.server.clone()
    }

    /// Takes one more option with its argument.
    pub(super) fn take(&mut self, opt: &Opt, value: Option<&str>, names: &dyn Names) -> Result<(), UsageError> {
        if let Some(class) = opt.class() {
            self.given.add(class)?;
        }
        let text = value.unwrap_or_default();
        match opt.id {
            // The parser has refused a second one.
            Id::Command(_) => Ok(()),
            Id::Tcp => self.take_service(TCP, text, names),
            Id::Udp => self.take_service(UDP, text, names),
            Id::Sctp => self.take_service(SCTP, text, names),
            Id::Mark => self.take_mark(text),
            Id::Ipv6 if self.mark != 0 => {
                (self.family, self.netmask) = (Family::V6, v6_mask(128));
                Ok(())
            }
            // The text of the original ends in a line's end of its own.
            Id::Ipv6 => Err(UsageError::refused("-6 used before -f\n")),
            Id::Sort => Ok(()),
            Id::Gatewaying => self.take_forward(Forward::Route),
            Id::Ipip => self.take_forward(Forward::Tunnel),
            Id::Masquerading => self.take_forward(Forward::Masq),
            Id::Only(class) => self.take_only(class, value, names),
        }
    }

    fn take_only(&mut self, class: Class, value: Option<&str>, names: &dyn Names) -> Result<(), UsageError> {
        let text = value.unwrap_or_default();
        match class {
            Class::Scheduler => self.sched = cut(text),
            Class::Engine => self.engine = Some(cut(text)).filter(|name| !name.is_empty()),
            Class::SchedFlags => text.clone_into(&mut self.sched_flags),
            Class::Ops => self.flags |= flags::ONE_PACKET,
            Class::Persistent => {
                self.flags |= flags::PERSISTENT;
                self.persist_secs = value.map_or(Ok(DEFAULT_PERSISTENCE), |text| timeout(text, 1))?;
            }
            Class::Netmask => self.take_netmask(text, names)?,
            Class::Server => self.take_server(text, names)?,
            Class::Weight => self.server.weight = within(text, 0..=MAX_INT, "weight")?,
            Class::UThreshold => self.server.u_threshold = within(text, 0..=MAX_INT, "u_threshold")?,
            Class::LThreshold => self.server.l_threshold = within(text, 0..=MAX_INT, "l_threshold")?,
            Class::TunType => {
                let kind = tunnel::from_name(text);
                self.server.tunnel.kind = kind.ok_or_else(|| illegal("tunnel type"))?;
            }
            Class::TunPort => self.server.tunnel.port = Be16::new(within(text, 1..=65535, "tunnel port")?),
            Class::TunNocsum => self.server.tunnel = Tunnel { flags: 0, ..self.server.tunnel },
            Class::TunCsum => self.server.tunnel.flags |= tunnel::CSUM,
            Class::TunRemcsum => self.server.tunnel.flags |= tunnel::REMCSUM,
            Class::SyncId => self.daemon.syncid = within(text, 0..=255, "syncid")?,
            Class::SyncMaxlen => self.daemon.maxlen = Some(within(text, 1..=MAX_MESSAGE, "sync-maxlen")?),
            Class::McastPort => self.daemon.port = within(text, 1..=65535, "mcast-port")?,
            Class::McastTtl => self.daemon.ttl = within(text, 1..=255, "mcast-ttl")?,
            Class::McastGroup => self.daemon.group = group(text)?,
            // Cut as the kernel's structure holds no more.
            Class::McastInterface => self.daemon.interface = cut(text),
            Class::Watch => {
                let secs = value.map_or(Ok(WATCH_SECS), |text| timeout(text, 1))?;
                self.watch = Some(secs);
            }
            // Flags, kept in `given`.
            Class::Numeric
            | Class::Json
            | Class::DryRun
            | Class::Full
            | Class::Connection
            | Class::Timeout
            | Class::Daemon
            | Class::Stats
            | Class::Rate
            | Class::Thresholds
            | Class::PersistentConn
            | Class::NoSort
            | Class::Exact
            | Class::TunInfo => {}
            // Options of these classes have ids of their own.
            Class::Service | Class::Forward => {}
        }
        Ok(())
    }

    fn take_service(&mut self, proto: u8, text: &str, names: &dyn Names) -> Result<(), UsageError> {
        let endpoint = Endpoint::parse(text, proto, names).ok_or_else(|| illegal("virtual server address[:port]"))?;
        (self.proto, self.addr, self.family) = (proto, endpoint.addr, endpoint.family);
        self.port = endpoint.port.unwrap_or_default();
        if endpoint.family == Family::V6 {
            self.netmask = v6_mask(128);
        }
        Ok(())
    }

    fn take_mark(&mut self, text: &str) -> Result<(), UsageError> {
        let mark = number::whole(text, 1..=i64::from(u32::MAX)).and_then(|mark| u32::try_from(mark).ok());
        self.mark = mark.ok_or_else(|| UsageError::refused(format!("invalid fwmark value `{text}' specified")))?;
        Ok(())
    }

    fn take_forward(&mut self, forward: Forward) -> Result<(), UsageError> {
        self.server.forward = forward;
        Ok(())
    }

    fn take_netmask(&mut self, text: &str, names: &dyn Names) -> Result<(), UsageError> {
        self.netmask = match self.family {
            Family::V4 => {
                let mask = number::ipv4(text).or_else(|| names.host(text));
                mask.ok_or_else(|| illegal("virtual server persistent mask"))?.into()
            }
            Family::V6 => match number::prefix(text) {
                bits @ 1..=128 => v6_mask(bits as u32),
                _ => return Err(illegal("ipv6 netmask")),
            },
        };
        Ok(())
    }

    fn take_server(&mut self, text: &str, names: &dyn Names) -> Result<(), UsageError> {
        let endpoint = Endpoint::parse(text, self.proto, names).ok_or_else(|| illegal("real server address[:port]"))?;
        self.server.addr = endpoint.addr;
        self.server.family = endpoint.family;
        self.server.port = endpoint.port.unwrap_or(self.port);
        Ok(())
    }

    /// Reads the scheduler's flags, which depend on the scheduler.
    pub(super) fn finish_flags(&mut self) -> Result<(), UsageError> {
        for name in self.sched_flags.split(',').filter(|name| !name.is_empty()) {
            let (owner, flag) = match name {
                "flag-1" => (None, flags::SCHED_1),
                "flag-2" => (None, flags::SCHED_2),
                "flag-3" => (None, flags::SCHED_3),
                "sh-fallback" => (Some("sh"), flags::SCHED_1),
                "sh-port" => (Some("sh"), flags::SCHED_2),
                "mh-fallback" => (Some("mh"), flags::SCHED_1),
                "mh-port" => (Some("mh"), flags::SCHED_2),
                _ => return Err(UsageError::refused(format!("invalid scheduler flag `{name}'"))),
            };
            if owner.is_some_and(|owner| owner != self.sched) {
                return Err(UsageError::refused(format!("incompatible scheduler flag `{name}'")));
            }
            self.flags |= flag;
        }
        Ok(())
    }
}

/// The mask of an IPv6 prefix of 1 to 128 bits.
pub(super) fn v6_mask(bits: u32) -> Addr {
    Ipv6Addr::from(u128::MAX << (128 - bits)).into()
}

fn illegal(what: &str) -> UsageError {
    UsageError::refused(format!("illegal {what} specified"))
}

fn within<T: TryFrom<i64>>(text: &str, range: RangeInclusive<i64>, what: &str) -> Result<T, UsageError> {
    number::whole(text, range).and_then(|number| T::try_from(number).ok()).ok_or_else(|| illegal(what))
}

fn cut(name: &str) -> String {
    name.chars().take(MAX_NAME).collect()
}

fn group(text: &str) -> Result<IpAddr, UsageError> {
    let known = match text.parse::<IpAddr>() {
        Ok(group) if group.is_multicast() => return Ok(group),
        Ok(IpAddr::V4(_)) => "IPv4 ",
        Ok(IpAddr::V6(_)) => "IPv6 ",
        Err(_) => "",
    };
    Err(UsageError::refused(format!("invalid {known}mcast-group `{text}'")))
}
