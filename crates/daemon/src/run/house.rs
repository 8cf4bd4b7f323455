//! The daemon while it runs: signals, wishes of the prompt thread, reloads, the end.

use super::appointment::Appointment;
use super::ask::{Panel, ask, board, keeper_lives};
use super::notifier::Notifier;
use super::scripts::Scripts;
use super::start::{Started, reread, state_path, status_path};
use super::status::StatusServer;
use super::trackers::{Ears, Trackers};
use super::{CANNOT, GOOD};
use crate::dump;
use crate::keeper::{self, Hands, Telling};
use crate::plan::{Options, Plan};
use crate::world::{Director, Order, Wish};
use rvs_config::keepalived::Config;
use rvs_config::keepalived::options::{Id, Settings};
use rvs_host::daemon::{Request, Signals, Systemd, watchdog, write_dump};
use rvs_host::log::Log;
use rvs_host::metrics::MetricsServer;
use rvs_host::script::run;
use rvs_host::script::security::RunAs;
use rvs_host::thread::{Lateness, mailbox, spawn};
use rvs_vrrp::{Event, Notify};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// Orders that may wait for the prompt thread.
const ORDERS: usize = 4096;
/// Wishes that may wait for the runtime.
const WISHES: usize = 4096;
/// A day: how often systemd is told of life when it does not want to know.
const NEVER: Duration = Duration::from_secs(86_400);

/// How long after a start or a reload everybody has done his part of it.
const TIDY: Duration = Duration::from_secs(3);

/// The daemon while it runs.
pub(super) struct House<'a> {
    settings: &'a Settings,
    log: &'a Log,
    config: Config,
    options: Options,
    panel: Panel,
    thread: JoinHandle<std::io::Result<()>>,
    wishes: mpsc::Receiver<Wish>,
    /// The keeper of the virtual servers: its thread, and what it wants others to be told.
    keeper: Option<JoinHandle<std::io::Result<()>>>,
    tellings: mpsc::Receiver<Telling>,
    notifier: Notifier,
    trackers: Trackers,
    /// What takes force when the thread has taken its part of a reload over.
    pending: Option<(Box<Plan>, Scripts)>,
    /// What the file of `reload_time_file` says, and when that is next.
    appointment: (Option<String>, Option<i64>),
    signals: Signals,
    systemd: Systemd,
    status: Option<StatusServer>,
    /// When memory is given back that a start or a reload took for a moment.
    tidy: Option<Instant>,
    metrics: Option<MetricsServer>,
}

impl<'a> House<'a> {
    /// Starts everything.
    pub(super) async fn open(settings: &'a Settings, started: Started, log: &'a Log) -> Result<Self, String> {
        // First: a signal that comes while the rest is made must find somebody.
        let signals = Signals::open(settings.has(Id::IgnoreSigint)).map_err(|error| format!("signals: {error}"))?;
        let mut plan = started.plan(settings);
        // The checks' share of memory begins where that of the configuration's text ends.
        let config = started.into_config();
        rvs_host::memory::give_back();
        let (scripts, tracked) = Scripts::of(&mut plan);
        boundary(&plan.options.boundaries.0, &scripts).await;
        let (orders, inbox) = mailbox(ORDERS).map_err(|error| format!("making a mailbox: {error}"))?;
        let (wisher, wishes) = mpsc::channel(WISHES);
        let lateness = Arc::new(Lateness::default());
        let Hands { orders: to_keeper, tellings, thread: keeper } = keep(settings, &config, &mut plan, scripts.user())?;
        let mut trackers = Trackers::new(Ears { vrrp: orders.clone(), keeper: to_keeper.clone() });
        let mut notifier = Notifier::default();
        trackers.look(&plan);
        notifier.set(&plan, scripts).await;
        let (options, for_thread, seed) = (plan.options.clone(), plan, seed(&config));
        let mut promptness = options.promptness.clone();
        promptness.lock_memory &= for_thread.must_be_prompt();
        let make = move || Director::open(for_thread, inbox, wisher, seed);
        let thread =
            spawn("vrrp", promptness, Arc::clone(&lateness), make).map_err(|error| format!("vrrp: {error}"))?;
        let panel = Panel { orders, lateness, keeper: to_keeper };
        let _ = panel.orders.post(Order::Start);
        trackers.run(tracked);
        let status = StatusServer::start(&status_path(settings, &config), panel.clone());
        let mut house = Self {
            settings,
            log,
            config,
            metrics: None,
            options,
            panel,
            thread,
            wishes,
            keeper: Some(keeper),
            tellings,
            notifier,
            trackers,
            pending: None,
            appointment: (None, None),
            signals,
            systemd: Systemd::from_environment(),
            status,
            tidy: Some(Instant::now() + TIDY),
        };
        house.serve_metrics().await;
        Ok(house)
    }

    async fn serve_metrics(&mut self) {
        self.metrics = None;
        let Some(address) = self.options.metrics else { return };
        let panel = self.panel.clone();
        let page = Arc::new(move || {
            let vrrp = ask(&panel).map_or_else(String::new, |snapshot| dump::metrics(&snapshot, &panel));
            vrrp + &board(&panel).map_or_else(String::new, |board| dump::check_metrics(&board))
        });
        match MetricsServer::start(address, page).await {
            Ok(server) => {
                tracing::info!("Serving metrics at http://{}/metrics", server.address());
                self.metrics = Some(server);
            }
            Err(error) => tracing::warn!("Unable to serve metrics at {address}: {error}"),
        }
    }

    /// Lives until it is asked to end; the exit status.
    pub(super) async fn live(mut self) -> i32 {
        if !self.settings.has(Id::NoFork) {
            self.systemd.main_process();
        }
        self.systemd.ready();
        // The monitors of files cost a thread; a look a second at one that is there for this is less.
        let mut clock = tokio::time::interval(Duration::from_secs(1));
        let mut pulse = tokio::time::interval(watchdog().map_or(NEVER, |period| period / 2));
        loop {
            tokio::select! {
                request = self.signals.next() => {
                    if request == Request::Stop {
                        return self.stop().await;
                    }
                    self.answer(request).await;
                }
                wish = self.wishes.recv() => match wish {
                    Some(wish) => self.fulfil(wish).await,
                    None => return self.broken().await,
                },
                telling = self.tellings.recv() => match telling {
                    Some(telling) => self.notifier.tell_of_servers(telling),
                    None => return self.broken_keeper().await,
                },
                _ = pulse.tick() => self.prove_life(),
                _ = clock.tick(), if self.options.reload_time.is_some() => self.look_at_clock().await,
                () = sleep_until(self.tidy.unwrap_or_else(|| Instant::now() + NEVER)), if self.tidy.is_some() => {
                    self.tidy = None;
                    rvs_host::memory::give_back();
                }
            }
        }
    }

    /// Reloads if a file says that it is time.
    async fn look_at_clock(&mut self) {
        let Some((path, repeat)) = self.options.reload_time.clone() else { return };
        let text = read_short(&path);
        let now = i64::try_from(rvs_host::clock::wall().0).unwrap_or(i64::MAX);
        if text != self.appointment.0 {
            let next = text.as_deref().and_then(Appointment::parse).and_then(|it| it.next(now, rvs_host::clock::ahead));
            match (&text, next) {
                (Some(_), Some(at)) => tracing::info!("Reload scheduled in {} seconds", at - now),
                (Some(_), None) => tracing::warn!("{} names no time to come for a reload", path.display()),
                (None, _) => tracing::info!("Reload no longer scheduled"),
            }
            self.appointment = (text, next);
        }
        if self.appointment.1.is_none_or(|at| at > now) {
            return;
        }
        if repeat {
            let next = self.appointment.0.as_deref().and_then(Appointment::parse);
            self.appointment.1 = next.and_then(|it| it.next(now, rvs_host::clock::ahead));
        } else {
            self.appointment = (None, None);
            if let Err(error) = std::fs::remove_file(&path) {
                tracing::warn!("Unable to remove {}: {error}", path.display());
                self.appointment.0 = read_short(&path); // Once, all the same.
            }
        }
        self.reload().await;
    }

    /// Tells systemd that we live, if the thread that matters does.
    fn prove_life(&self) {
        if watchdog().is_some() && ask(&self.panel).is_some() && keeper_lives(&self.panel) {
            self.systemd.alive();
        }
    }

    async fn answer(&mut self, request: Request) {
        match request {
            Request::Stop => {}
            Request::Reload => self.reload().await,
            Request::StatsClear => {
                let _ = self.panel.orders.post(Order::ClearStatistics);
            }
            Request::Data => self.dump("data"),
            Request::Stats => self.dump("stats"),
            Request::Json => self.dump("json"),
        }
    }

    fn dump(&self, kind: &str) {
        let pid = std::process::id();
        let what = if kind == "json" { "as json".to_owned() } else { kind.to_owned() };
        tracing::info!(target: "Keepalived_vrrp", "Printing VRRP {what} for process({pid}) on signal");
        if kind == "data" {
            tracing::info!(target: "Keepalived_healthcheckers", "Printing checker data for process({pid}) on signal");
        }
        let Some(snapshot) = ask(&self.panel) else {
            tracing::warn!("The thread of VRRP does not answer");
            return;
        };
        let dumps = &self.options.dumps;
        let write = |path: &Path, text: &str| {
            if let Err(error) = write_dump(path, text) {
                tracing::warn!("Unable to write {}: {error}", path.display());
            }
        };
        match kind {
            "data" => {
                let servers =
                    board(&self.panel).map_or_else(String::new, |board| dump::check_data(&board, &self.config));
                write(&dumps.data, &(dump::data(&snapshot, &self.config) + &servers));
            }
            "stats" => write(&dumps.stats, &dump::stats(&snapshot)),
            _ => write(&dumps.json, &dump::json(&snapshot, &self.config, self.options.json2)),
        }
    }

    async fn reload(&mut self) {
        tracing::info!("Reloading ...");
        self.systemd.reloading();
        self.log.reopen();
        let mark = self.options.reload_mark.clone();
        if let Some(path) = &mark
            && let Err(error) = std::fs::File::create(path)
        {
            tracing::warn!("Unable to create {}: {error}", path.display());
        }
        let read = reread(self.settings);
        if let Some(path) = &mark {
            // Whoever waits for it to go may write the files again.
            let _ = std::fs::remove_file(path);
        }
        let started = match read {
            Ok(started) => started,
            Err(reason) => {
                tracing::error!("Not reloaded: {reason}; everything goes on as before");
                return self.systemd.ready();
            }
        };
        let mut plan = started.plan(self.settings);
        let (scripts, tracked) = Scripts::of(&mut plan);
        self.config = started.into_config();
        rvs_host::memory::give_back();
        self.trackers.look(&plan);
        // The thread of VRRP has no use for virtual servers, which may be thousands.
        let servers = std::mem::take(&mut plan.balance);
        let mut plan = Box::new(plan);
        if self.panel.orders.post(Order::Reload(plan.clone())).is_err() {
            tracing::error!("Not reloaded: the thread of VRRP is busy");
            return self.systemd.ready();
        }
        plan.balance = servers;
        self.pending = Some((plan, scripts));
        self.tidy = Some(Instant::now() + TIDY);
        self.trackers.run(tracked);
    }

    async fn fulfil(&mut self, wish: Wish) {
        match wish {
            Wish::Notify(notify) => self.notifier.tell(&notify),
            Wish::Session(name, up) => {
                if self.panel.keeper.try_send(keeper::Order::Session(name, up)).is_err() {
                    tracing::warn!("The keeper of virtual servers is busy; the state of a BFD session was lost");
                }
            }
            Wish::Reloaded => {
                let Some((mut plan, scripts)) = self.pending.take() else { return };
                let user = scripts.user();
                self.notifier.set(&plan, scripts).await;
                // Behind the notifier, which now knows the scripts that the keeper may ask for.
                let servers = Box::new(std::mem::take(&mut plan.balance));
                if self.panel.keeper.send(keeper::Order::Reload(servers, user)).await.is_err() {
                    tracing::error!("The keeper of virtual servers is gone");
                }
                let metrics = plan.options.metrics != self.options.metrics;
                self.options = plan.options;
                if metrics {
                    self.serve_metrics().await;
                }
                if self.options.tell_states_after_reload {
                    self.tell_states();
                }
                self.systemd.ready();
            }
        }
    }

    fn tell_states(&self) {
        let Some(snapshot) = ask(&self.panel) else { return };
        for instance in snapshot.router.instances() {
            let (name, priority) = (instance.name().clone(), instance.priority().get());
            let event = Event::Entered(instance.state());
            self.notifier.write_state(&Notify { group: false, name, event, priority });
        }
        for group in snapshot.router.groups() {
            let event = Event::Entered(group.state());
            self.notifier.write_state(&Notify { group: true, name: group.name().clone(), event, priority: 0 });
        }
    }

    async fn stop(mut self) -> i32 {
        tracing::info!("Stopping");
        self.systemd.stopping();
        drop((self.status.take(), self.metrics.take()));
        let _ = self.panel.orders.post(Order::Stop { keep: self.settings.has(Id::KeepVrrp) });
        let patience = self.options.patience;
        let last = async {
            while let Some(wish) = self.wishes.recv().await {
                if let Wish::Notify(notify) = wish {
                    self.notifier.tell(&notify);
                }
            }
        };
        let in_time = tokio::time::timeout(patience, last).await.is_ok();
        // After VRRP: another director has the addresses by now, if there is one.
        let kept = self.stop_keeper(patience).await;
        self.notifier.finish(patience).await;
        let (scripts, command) = (std::mem::take(self.notifier.scripts_mut()), self.options.boundaries.1.take());
        boundary(&command, &scripts).await;
        if !in_time {
            tracing::error!("The thread of VRRP did not end in {patience:?}");
            return CANNOT;
        }
        match self.thread.join() {
            Ok(Ok(())) if kept => GOOD,
            Ok(Ok(())) => CANNOT,
            Ok(Err(error)) => {
                tracing::error!("VRRP: {error}");
                CANNOT
            }
            Err(_) => CANNOT,
        }
    }

    /// Ends the keeper and tells what it wants told; false if it does not end in time.
    async fn stop_keeper(&mut self, patience: Duration) -> bool {
        let last = async {
            let _ = self.panel.keeper.send(keeper::Order::Stop { keep: self.settings.has(Id::KeepIpvs) }).await;
            while let Some(telling) = self.tellings.recv().await {
                self.notifier.tell_of_servers(telling);
            }
        };
        let in_time = tokio::time::timeout(patience, last).await.is_ok();
        if !in_time {
            tracing::error!("The keeper of virtual servers did not end in {patience:?}");
        }
        in_time
    }

    /// The keeper ended though nobody asked it to.
    async fn broken_keeper(mut self) -> i32 {
        let text = match self.keeper.take().map(JoinHandle::join) {
            None | Some(Ok(Ok(()))) => "it ended".to_owned(),
            Some(Ok(Err(error))) => error.to_string(),
            Some(Err(_)) => "it panicked".to_owned(),
        };
        tracing::error!("The keeper of virtual servers is gone: {text}");
        self.stop().await;
        CANNOT
    }

    /// The thread ended though nobody asked it to.
    async fn broken(mut self) -> i32 {
        let text = match self.thread.join() {
            Ok(Ok(())) => "it ended".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it panicked".to_owned(),
        };
        tracing::error!("The thread of VRRP is gone: {text}");
        self.notifier.finish(self.options.patience).await;
        CANNOT
    }
}

/// The beginning of a file; nothing if it cannot be read.
fn read_short(path: &Path) -> Option<String> {
    use std::io::Read as _;
    let mut text = Vec::new();
    std::fs::File::open(path).ok()?.take(64).read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

async fn boundary(command: &Option<(crate::plan::Command, Duration)>, scripts: &Scripts) {
    let Some((script, longest)) = command.as_ref().and_then(|(it, longest)| Some((scripts.get(it)?, *longest))) else {
        return;
    };
    let ended = run(script, Some(longest)).await;
    tracing::info!("Script {} {ended}", script.name());
}

/// Starts the keeper of the virtual servers.
fn keep(settings: &Settings, config: &Config, plan: &mut Plan, run_as: RunAs) -> Result<Hands, String> {
    let servers = std::mem::take(&mut plan.balance);
    let namespace = servers.settings.namespace.clone();
    let start = keeper::Start {
        plan: servers,
        run_as,
        state: state_path(settings, config),
        open: Box::new(move || keeper::open_in(namespace)),
        seed: seed(config),
    };
    keeper::spawn(start).map_err(|error| format!("checkers: {error}"))
}

/// Another one at every start, unless the configuration says which.
fn seed(config: &Config) -> u64 {
    let given = config.globals.random_seed.map(|seed| seed.to::<u32>().into());
    let (seconds, micros) = rvs_host::clock::wall();
    given.unwrap_or_else(|| seconds ^ u64::from(micros) << 32 ^ u64::from(std::process::id()) << 16)
}
