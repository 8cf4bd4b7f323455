//! The keeper's thread: one runtime for checks, orders, the clock and the kernel's news of addresses. What takes time besides
//! (scripts, mails, FIFOs) is told to the daemon's own runtime.

use super::admin::{Decided, Decision};
use super::table::Open;
use super::{Board, Keeper, State, Subject, TARGET, Telling, Word, state};
use crate::plan::Balance;
use rvs_host::clock;
use rvs_host::net::Monitor;
use rvs_host::script::security::RunAs;
use rvs_machine::Time;
use rvs_prober::{Prober, TlsFiles, Told};
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

/// Orders that may wait.
const ORDERS: usize = 4096;
/// Tellings that may wait for scripts, FIFOs and mails.
const TELLINGS: usize = 65_536;
/// How often it is looked whether others have changed the table, and what is known is written down.
const LOOK: Duration = Duration::from_secs(2);
/// So much of what checks tell goes into one transaction.
const TOGETHER: usize = 256;
/// How far in the future a deadline is that there is none of.
const NEVER: Duration = Duration::from_secs(86_400);

/// What the keeper is asked for.
#[derive(Debug)]
pub enum Order {
    /// Other virtual servers; whom programs run as that do not say it.
    Reload(Box<Balance>, RunAs),
    /// The number in a tracked file.
    File(String, i64),
    /// Whether a session is up.
    Session(String, bool),
    /// An administrator has decided.
    Decide(Decision, SyncSender<Result<Decided, String>>),
    /// Answer, as a proof of life.
    Alive(SyncSender<()>),
    /// How everything stands.
    Board(SyncSender<Box<Board>>),
    /// End; `keep`: leave the table as it is.
    Stop {
        /// Leave it.
        keep: bool,
    },
}

/// What it begins with.
pub struct Start {
    /// The virtual servers.
    pub plan: Balance,
    /// Whom programs run as that do not say it.
    pub run_as: RunAs,
    /// Where what is known is written down.
    pub state: PathBuf,
    /// Makes the way to the table, in the keeper's thread.
    pub open: Box<dyn FnOnce() -> Open + Send>,
    /// Another one at each start.
    pub seed: u64,
}

impl std::fmt::Debug for Start {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Start").field("plan", &self.plan).field("state", &self.state).finish_non_exhaustive()
    }
}

/// What is held of a keeper.
#[derive(Debug)]
pub struct Hands {
    /// The way to it.
    pub orders: mpsc::Sender<Order>,
    /// What others are to be told; ends when the keeper does.
    pub tellings: mpsc::Receiver<Telling>,
    /// Its thread.
    pub thread: JoinHandle<io::Result<()>>,
}

/// Begins.
///
/// # Errors
/// No thread can be had.
pub fn spawn(start: Start) -> io::Result<Hands> {
    let (orders, inbox) = mpsc::channel(ORDERS);
    let (teller, tellings) = mpsc::channel(TELLINGS);
    let thread = std::thread::Builder::new().name("checkers".into()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async { Loop::open(start, inbox, teller)?.live().await })
    })?;
    Ok(Hands { orders, tellings, thread })
}

struct Loop {
    keeper: Keeper,
    prober: Prober<Subject>,
    monitor: Monitor,
    news: AsyncFd<OwnedFd>,
    inbox: mpsc::Receiver<Order>,
    teller: mpsc::Sender<Telling>,
    state: PathBuf,
    tls: TlsFiles,
    dropped: u64,
}

impl Loop {
    fn open(start: Start, inbox: mpsc::Receiver<Order>, teller: mpsc::Sender<Telling>) -> io::Result<Self> {
        pin(&start.plan.settings.cpus);
        let monitor = Monitor::open(false).map_err(io::Error::other)?;
        #[expect(
            deprecated,
            reason = "what replaces it is unsafe; the descriptor is ours, and stays open as long as this"
        )]
        let news = AsyncFd::new(monitor.as_fd().try_clone_to_owned()?)?;
        let prober = Prober::new(start.seed)?;
        let known = state::read(&start.state).unwrap_or_else(|why| {
            tracing::warn!(target: TARGET, "What the last daemon has left cannot be used: {why}");
            State::default()
        });
        tracing::info!(target: TARGET, "Initializing ipvs");
        let keeper = Keeper::new((start.open)());
        let (state, tls) = (start.state, TlsFiles::default());
        let mut made = Self { keeper, prober, monitor, news, inbox, teller, state, tls, dropped: 0 };
        made.equip(&start.plan, start.run_as);
        made.keeper.addresses(&mut made.prober, addresses(&made.monitor));
        if !start.plan.servers.is_empty() {
            // Loading the programs takes much memory for a moment: before the checks take theirs.
            made.keeper.reach();
            rvs_host::memory::give_back();
        }
        made.keeper.start(clock::now(), start.plan, known, &mut made.prober);
        made.flush();
        made.keeper.rest();
        rvs_host::memory::give_back();
        Ok(made)
    }

    /// What the prober needs to know of the plan.
    fn equip(&mut self, plan: &Balance, run_as: RunAs) {
        self.prober.run_as(run_as, true);
        if let Some(most) = plan.settings.max_parallel {
            self.prober.limit_connections(most);
        }
        if self.tls != plan.settings.tls {
            match self.prober.tls(&plan.settings.tls) {
                Ok(()) => self.tls = plan.settings.tls.clone(),
                Err(error) => tracing::warn!(target: TARGET, "SSL: {error}"),
            }
        }
    }

    fn flush(&mut self) {
        for word in self.keeper.flush() {
            match word {
                Word::Log(text) => tracing::info!(target: TARGET, "{text}"),
                Word::Warn(text) => tracing::warn!(target: TARGET, "{text}"),
                Word::Tell(telling) => {
                    if self.teller.try_send(telling).is_err() {
                        self.dropped += 1;
                        if self.dropped.is_power_of_two() {
                            tracing::warn!(target: TARGET, "{} notifications were dropped so far", self.dropped);
                        }
                    }
                }
            }
        }
    }

    async fn live(mut self) -> io::Result<()> {
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let wait = self.keeper.deadline().map_or(NEVER, |deadline| deadline.since(clock::now()));
            tokio::select! {
                told = self.prober.next() => self.hear(told).await,
                order = self.inbox.recv() => match order {
                    None | Some(Order::Stop { keep: false }) => return self.end(false),
                    Some(Order::Stop { keep: true }) => return self.end(true),
                    Some(order) => self.obey(order),
                },
                ready = self.news.readable() => {
                    ready?.clear_ready();
                    self.hear_kernel();
                }
                () = tokio::time::sleep(wait) => self.keeper.wake(clock::now()),
                _ = looks.tick() => self.look(),
            }
            self.flush();
        }
    }

    async fn hear(&mut self, told: Told<Subject>) {
        self.keeper.told(clock::now(), told);
        for _ in 1..TOGETHER {
            // What is there already goes into the same transaction.
            let Ok(told) = tokio::time::timeout(Duration::ZERO, self.prober.next()).await else { return };
            self.keeper.told(clock::now(), told);
        }
    }

    fn hear_kernel(&mut self) {
        let mut events = Vec::new();
        if let Err(error) = self.monitor.drain(&mut events) {
            tracing::warn!(target: TARGET, "{error}");
        }
        if !events.is_empty() {
            self.keeper.addresses(&mut self.prober, addresses(&self.monitor));
        }
    }

    fn obey(&mut self, order: Order) {
        let now: Time = clock::now();
        match order {
            Order::Reload(plan, run_as) => {
                self.equip(&plan, run_as);
                self.keeper.reload(now, *plan, &mut self.prober);
            }
            Order::File(name, value) => self.keeper.file(&mut self.prober, &name, value),
            Order::Session(name, up) => self.keeper.session(&mut self.prober, &name, up),
            // Who asked and went away misses nothing.
            Order::Decide(decision, to) => {
                let decided = self.keeper.decide(now, &decision);
                self.flush();
                self.write_down();
                let _ = to.try_send(decided);
            }
            Order::Alive(to) => {
                let _ = to.try_send(());
            }
            Order::Board(to) => {
                let board = self.keeper.board(now, Some(self.prober.registry()));
                let _ = to.try_send(Box::new(board));
                self.keeper.rest();
            }
            Order::Stop { .. } => {}
        }
    }

    fn look(&mut self) {
        let now = clock::now();
        self.keeper.look();
        self.keeper.observe(now);
        self.keeper.hold_probes(now, &mut self.prober);
        self.flush();
        self.keeper.rest();
        self.write_down();
    }

    fn write_down(&mut self) {
        if self.keeper.take_changed() {
            write(&self.state, &self.keeper.state(true));
        }
    }

    fn end(mut self, keep: bool) -> io::Result<()> {
        let state = self.keeper.stop(clock::now(), keep, &mut self.prober);
        self.flush();
        write(&self.state, &state);
        Ok(())
    }
}

fn write(path: &Path, state: &State) {
    if let Err(error) = state::write(path, state) {
        tracing::warn!(target: TARGET, "What is known cannot be written to {}: {error}", path.display());
    }
}

fn addresses(monitor: &Monitor) -> BTreeSet<IpAddr> {
    monitor.addresses(None).map(|facts| facts.key.ip).collect()
}

/// `checker_cpu_affinity`.
fn pin(cpus: &[usize]) {
    if cpus.is_empty() {
        return;
    }
    let mut set = nix::sched::CpuSet::new();
    let known = cpus.iter().try_for_each(|cpu| set.set(*cpu));
    if let Err(error) = known.and_then(|()| nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &set)) {
        tracing::warn!(target: TARGET, "checker_cpu_affinity: {error}");
    }
}
