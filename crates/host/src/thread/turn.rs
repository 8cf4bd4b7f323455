//! The loop of a prompt thread: everything that has arrived first, then what is due.
//!
//! A thread may be woken late: the machine was busy, asleep or stopped. A protocol that then acted on its timers alone would
//! take over from a master whose adverts lie unread in a socket. So at every turn all input is handed over before anything is
//! woken, with the same reading of the clock.

use crate::clock;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use rvs_machine::Time;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How often input is asked for in one turn when there is always more: then timers get their turn all the same.
const ROUNDS: usize = 64;
/// A wake-up later than this counts as late.
pub const LATE: Duration = Duration::from_millis(10);

/// What a prompt thread drives: machines, and the sockets that belong to them.
pub trait World {
    /// The file descriptors to wait on, for reading. Asked at every turn. [`World::take_in`] must read each of them, also when
    /// it only has an error to tell: one that is left unread makes the thread spin.
    fn watch<'a>(&'a self, fds: &mut Vec<BorrowedFd<'a>>);

    /// Hands what has arrived to the machines, without waiting, a bounded part of it. `true`: there may be more.
    fn take_in(&mut self, now: Time) -> bool;

    /// Does what the machines want done.
    fn carry_out(&mut self, now: Time);

    /// When the first of the machines is due.
    fn deadline(&self) -> Option<Time>;

    /// Wakes the machines that are due.
    fn wake(&mut self, now: Time);

    /// A wake-up came later than [`LATE`]; all input has been handed over, nothing was woken yet.
    fn late(&mut self, _by: Duration) {}

    /// The thread is to end.
    fn finished(&self) -> bool;
}

/// How late wake-ups came; read by others while the thread runs.
#[derive(Debug, Default)]
pub struct Lateness {
    wakes: AtomicU64,
    late: AtomicU64,
    worst: AtomicU64,
    last: AtomicU64,
}

impl Lateness {
    /// Wake-ups so far.
    pub fn wakes(&self) -> u64 {
        self.wakes.load(Ordering::Relaxed)
    }

    /// Those of them that were late.
    pub fn late(&self) -> u64 {
        self.late.load(Ordering::Relaxed)
    }

    /// The worst of them.
    pub fn worst(&self) -> Duration {
        Duration::from_nanos(self.worst.load(Ordering::Relaxed))
    }

    /// The last of them.
    pub fn last(&self) -> Duration {
        Duration::from_nanos(self.last.load(Ordering::Relaxed))
    }

    fn record(&self, by: Duration) {
        let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.wakes.fetch_add(1, Ordering::Relaxed);
        self.late.fetch_add(u64::from(by >= LATE), Ordering::Relaxed);
        self.worst.fetch_max(nanos, Ordering::Relaxed);
        self.last.store(nanos, Ordering::Relaxed);
    }
}

/// Runs until the world is finished. An error is the kernel's, of waiting itself.
pub fn run(world: &mut impl World, lateness: &Lateness) -> Result<(), Errno> {
    loop {
        world.carry_out(clock::now());
        if world.finished() {
            return Ok(());
        }
        wait(world)?;
        turn(world, clock::now(), lateness);
    }
}

/// One turn, at `now`.
fn turn(world: &mut impl World, now: Time, lateness: &Lateness) {
    for _ in 0..ROUNDS {
        if !world.take_in(now) {
            break;
        }
    }
    // Asked for only now: what came may have moved the deadline.
    let Some(deadline) = world.deadline().filter(|deadline| *deadline <= now) else { return };
    let by = now.since(deadline);
    lateness.record(by);
    if by >= LATE {
        world.late(by);
    }
    world.wake(now);
}

/// Waits until something has arrived or is due.
fn wait(world: &impl World) -> Result<(), Errno> {
    let mut fds = Vec::new();
    world.watch(&mut fds);
    let mut fds: Vec<PollFd<'_>> = fds.into_iter().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
    let timeout = world.deadline().map(|at| TimeSpec::from(at.since(clock::now())));
    match ppoll(&mut fds, timeout, None) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::thread::mailbox::{Mailbox, mailbox};

    /// A master-down timer that every message restarts.
    struct Backup {
        mailbox: Mailbox<&'static str>,
        down: Option<Time>,
        log: Vec<&'static str>,
        endless: bool,
    }

    impl World for Backup {
        fn watch<'a>(&'a self, fds: &mut Vec<BorrowedFd<'a>>) {
            fds.push(std::os::fd::AsFd::as_fd(&self.mailbox));
        }

        fn take_in(&mut self, now: Time) -> bool {
            for message in self.mailbox.take() {
                self.log.push(message);
                self.down = (message == "advert").then(|| now + Duration::from_millis(50));
            }
            self.endless
        }

        fn carry_out(&mut self, _: Time) {}

        fn deadline(&self) -> Option<Time> {
            self.down
        }

        fn wake(&mut self, _: Time) {
            self.log.push("master");
            self.down = None;
        }

        fn late(&mut self, _: Duration) {
            self.log.push("late");
        }

        fn finished(&self) -> bool {
            self.log.last() == Some(&"stop")
        }
    }

    fn backup() -> (crate::thread::mailbox::Mailer<&'static str>, Backup) {
        let (mailer, mailbox) = mailbox(8).unwrap();
        (mailer, Backup { mailbox, down: Some(Time::from_nanos(1_000)), log: vec![], endless: false })
    }

    #[test]
    fn a_late_wake_up_sees_the_advert_before_the_timer() {
        let (mailer, mut world) = backup();
        mailer.post("advert").unwrap();
        let lateness = Lateness::default();
        turn(&mut world, Time::from_nanos(5_000_000_000), &lateness);
        assert_eq!((world.log, lateness.wakes()), (vec!["advert"], 0));
    }

    #[test]
    fn without_an_advert_the_timer_counts_and_lateness_is_measured() {
        let (_mailer, mut world) = backup();
        let lateness = Lateness::default();
        turn(&mut world, Time::from_nanos(999), &lateness);
        assert_eq!(lateness.wakes(), 0);
        turn(&mut world, Time::from_nanos(2_000), &lateness);
        assert_eq!((lateness.wakes(), lateness.late(), lateness.worst()), (1, 0, Duration::from_nanos(1_000)));
        world.down = Some(Time::from_nanos(3_000));
        turn(&mut world, Time::from_nanos(60_000_000), &lateness);
        assert_eq!((lateness.late(), world.log), (1, vec!["master", "late", "master"]));
    }

    #[test]
    fn endless_input_does_not_starve_timers() {
        let (_mailer, mut world) = backup();
        world.endless = true;
        turn(&mut world, Time::from_nanos(2_000), &Lateness::default());
        assert_eq!(world.log, ["master"]);
    }

    #[test]
    fn a_thread_waits_for_messages_and_for_time() {
        let (mailer, mut world) = backup();
        world.down = None;
        let lateness = Lateness::default();
        let log = std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                run(&mut world, &lateness).unwrap();
                world.log
            });
            mailer.post("advert").unwrap();
            crate::testing::eventually("woken", || lateness.wakes() == 1);
            mailer.post("stop").unwrap();
            thread.join().unwrap()
        });
        let words: Vec<_> = log.into_iter().filter(|word| *word != "late").collect();
        assert_eq!(words, ["advert", "master", "stop"]);
    }
}
