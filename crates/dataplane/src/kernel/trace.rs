//! Watching packets: turns the programs' tracing on, reads what they tell, and turns it off. Which packets are wanted, and what
//! is told of them, is [`rvs_core::trace`]'s.
//!
//! Tracing is a lease of a few seconds that the reader renews while it reads; a reader that is killed lets it run out. One
//! reader at a time: the ring buffer has one reading position.

use super::home::Home;
use super::map::Map;
use super::maps::array;
use super::mmap::Shared;
use super::os::{self, Clock};
use super::place::Lock;
use super::{Director, failed};
use crate::Error;
use aya::maps::{MapData, RingBuf};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rvs_core::trace::{Event, Trace, Tracer, wanted};
use rvs_core::verdict::Reason;
use rvs_wire::{Addr, Be16};
use std::io;
use std::mem::offset_of;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant, SystemTime};
use zerocopy::{FromBytes, IntoBytes};

/// How long the programs go on after the last renewal: at least this many seconds, at most one more.
const LEASE_SECS: u32 = 3;
/// How often the lease is renewed.
const RENEWAL: Duration = Duration::from_secs(1);
const SECOND: u64 = 1_000_000_000;

/// Which packets are wanted: those that fit all that is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// One end of the packet, or what it is sent to.
    pub host: Option<IpAddr>,
    /// One of its ports, or the one that it is sent to.
    pub port: Option<u16>,
    /// What became of it. Without it, packets that XDP leaves to TC are told of only by TC.
    pub reason: Option<Reason>,
    /// The virtual address and port (0: any port) that it goes to or is an answer of.
    pub service: Option<(IpAddr, u16)>,
}

impl Filter {
    fn record(&self, sample: u32) -> Trace {
        let mut trace = Trace { sample, ..Trace::default() };
        if let Some(host) = self.host {
            let (addr, family) = Addr::from_ip(host);
            (trace.host, trace.host_family) = (addr, family.raw());
            trace.wanted |= wanted::HOST;
        }
        if let Some(port) = self.port {
            trace.port = Be16::new(port);
            trace.wanted |= wanted::PORT;
        }
        if let Some(reason) = self.reason {
            trace.reason = reason as u8;
            trace.wanted |= wanted::REASON;
        }
        if let Some((addr, port)) = self.service {
            let (addr, family) = Addr::from_ip(addr);
            (trace.service, trace.service_family, trace.service_port) = (addr, family.raw(), Be16::new(port));
            trace.wanted |= wanted::SERVICE;
        }
        trace
    }
}

/// Tracing that is on, until this is dropped.
pub struct Tracing {
    ring: RingBuf<MapData>,
    control: Shared,
    tracer: Map,
    /// Events lost before this began.
    lost_before: u64,
    /// Monotonic nanoseconds at which this began: what is older is another reader's.
    since: u64,
    renewed: Instant,
    /// Held as long as this reads, together with its name and the directory that it lies in.
    lock: Option<(Home, String, Lock)>,
}

impl std::fmt::Debug for Tracing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tracing").field("since", &self.since).finish_non_exhaustive()
    }
}

impl Tracing {
    /// Turns tracing on.
    pub(super) fn begin(director: &Director, filter: &Filter, sample: u32) -> Result<Self, Error> {
        let home = Director::home()?.ok_or_else(|| Error::State("/run/rvs has disappeared".into()))?;
        let name = format!("trace-{}", home.inode());
        let lock = home.try_lock_named(&name)?;
        let lock = lock.ok_or_else(|| Error::State("another `rvs trace` reads this director's events".into()))?;
        let control = Shared::new(&array::<Trace>(&director.home, "TRACE")?, size_of::<Trace>())
            .map_err(|error| failed("mapping TRACE into memory", error))?;
        let data = MapData::from_pin(director.home.path("EVENTS"))
            .and_then(|data| RingBuf::try_from(aya::maps::Map::RingBuf(data)));
        let mut tracing = Self {
            ring: data.map_err(|error| failed("opening the ring buffer", io::Error::other(error)))?,
            control,
            tracer: array::<Tracer>(&director.home, "TRACER")?,
            lost_before: 0,
            since: os::now(Clock::Monotonic),
            renewed: Instant::now(),
            lock: Some((home, name, lock)),
        };
        tracing.lost_before = tracing.lost_ever()?;
        let record = filter.record(sample.max(1));
        let store = |offset: usize, bytes: &[u8]| tracing.control.store(0, offset, bytes);
        let family = [record.host_family, record.service_family, record.reason, 0];
        let ports = [record.port, record.service_port];
        store(offset_of!(Trace, until), &[0; 4])
            .and_then(|()| store(offset_of!(Trace, sample), record.sample.as_bytes()))
            .and_then(|()| store(offset_of!(Trace, wanted), record.wanted.as_bytes()))
            .and_then(|()| store(offset_of!(Trace, host_family), &family))
            .and_then(|()| store(offset_of!(Trace, host), record.host.as_bytes()))
            .and_then(|()| store(offset_of!(Trace, service), record.service.as_bytes()))
            .and_then(|()| store(offset_of!(Trace, port), ports.as_bytes()))
            .ok_or_else(|| Error::State("the map TRACE is too small; `rvs teardown` removes it".into()))?;
        tracing.renew();
        Ok(tracing)
    }

    /// Lets the programs go on for another lease.
    pub fn renew(&mut self) {
        let until = (os::now(Clock::MonotonicCoarse) / SECOND) as u32 + 1 + LEASE_SECS;
        // In range: `begin` stored here.
        let _ = self.control.store(0, offset_of!(Trace, until), &until.to_ne_bytes());
        self.renewed = Instant::now();
    }

    /// The next event; waits for it until `until` (`None`: for ever) or until `stop` can be read: then `None`.
    ///
    /// # Errors
    /// The ring buffer cannot be waited for.
    pub fn next(&mut self, until: Option<Instant>, stop: Option<BorrowedFd<'_>>) -> Result<Option<Event>, Error> {
        loop {
            if let Some(event) = self.ready() {
                return Ok(Some(event));
            }
            let now = Instant::now();
            let end = until.unwrap_or(now + RENEWAL);
            // A millisecond more, not less: waking early would mean to turn round in circles.
            if end <= now || self.wait((end - now).min(RENEWAL) + Duration::from_millis(1), stop)? {
                return Ok(None);
            }
        }
    }

    /// Whether `stop` can be read. For readers that are never out of events, and so never wait.
    ///
    /// # Errors
    /// It cannot be asked.
    pub fn is_stopped(&self, stop: BorrowedFd<'_>) -> Result<bool, Error> {
        self.wait(Duration::ZERO, Some(stop))
    }

    /// An event that is there already.
    pub fn ready(&mut self) -> Option<Event> {
        if self.renewed.elapsed() >= RENEWAL {
            self.renew();
        }
        loop {
            let item = self.ring.next()?;
            let event = Event::read_from_prefix(&item).ok().map(|(event, _)| event);
            drop(item);
            if let Some(event) = event.filter(|event| event.time >= self.since) {
                return Some(event);
            }
        }
    }

    /// Waits for events; whether `stop` can be read.
    fn wait(&self, most: Duration, stop: Option<BorrowedFd<'_>>) -> Result<bool, Error> {
        let mut fds = vec![PollFd::new(self.ring.as_fd(), PollFlags::POLLIN)];
        fds.extend(stop.map(|stop| PollFd::new(stop, PollFlags::POLLIN)));
        let most = PollTimeout::try_from(most).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, most) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(failed("waiting for events", error.into())),
        }
        Ok(fds.get(1).is_some_and(|stop| stop.any() == Some(true)))
    }

    /// How many events found the ring buffer full since this began.
    ///
    /// # Errors
    /// The counters cannot be read.
    pub fn lost(&self) -> Result<u64, Error> {
        Ok(self.lost_ever()?.wrapping_sub(self.lost_before))
    }

    fn lost_ever(&self) -> Result<u64, Error> {
        let bytes = self.tracer.read_array(1).map_err(|error| failed("reading the map TRACER", error))?;
        let lost = |cpu: &[u8]| Some(u64::read_from_prefix(cpu.get(offset_of!(Tracer, lost)..)?).ok()?.0);
        Ok(bytes.chunks_exact(size_of::<Tracer>()).filter_map(lost).fold(0, u64::wrapping_add))
    }
}

impl Drop for Tracing {
    fn drop(&mut self) {
        // In range: `begin` stored here.
        let _ = self.control.store(0, offset_of!(Trace, until), &[0; 4]);
        if let Some((home, name, lock)) = self.lock.take() {
            home.remove_lock_named(&name, lock);
        }
    }
}

/// When an event was, by the clock on the wall.
pub fn wall_clock(event: &Event) -> SystemTime {
    let ago = os::now(Clock::Monotonic).saturating_sub(event.time);
    SystemTime::now() - Duration::from_nanos(ago)
}

/// Hours, minutes, seconds and milliseconds of a moment in the local time zone.
pub fn time_of_day(at: SystemTime) -> [u32; 4] {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let [hour, minute, second] = os::local_time(since.as_secs());
    [hour, minute, second, since.subsec_millis()]
}
