//! The log. Everybody logs by `tracing`; here is what takes the lines and writes them.
//!
//! Lines are written by a thread of their own, through a queue ([`queue`]): whoever must not be late never waits for a disk or a
//! terminal; others wait for room, but not for ever. When lines are dropped, how many is said afterwards. An event's target that begins with `Keepalived` is the name it is logged under
//! (`Keepalived_vrrp`); all others are `Keepalived`. Levels: what is always told is INFO and above; DEBUG is what `-D` adds;
//! TRACE is for developers.

mod queue;
mod record;
mod sink;

pub use queue::never_wait;
pub(crate) use sink::address;

use queue::{Order, Queue};
use record::Record;
use sink::{Datagrams, JOURNAL, SYSLOG, Sink, stderr_is_journal};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

/// Who speaks when nothing is said.
const IDENT: &str = "Keepalived";

/// syslog's facility.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Facility {
    /// `daemon`
    #[default]
    Daemon,
    /// `user`
    User,
    /// `local0` to `local7`
    Local(u8),
}

impl Facility {
    /// Reads `-S`: `0` to `7`, `local0` to `local7`, `user` or `daemon`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "daemon" => Some(Self::Daemon),
            "user" => Some(Self::User),
            _ => match text.strip_prefix("local").unwrap_or(text).as_bytes() {
                [digit @ b'0'..=b'7'] => Some(Self::Local(digit - b'0')),
                _ => None,
            },
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::User => 1,
            Self::Daemon => 3,
            Self::Local(number) => 16 + number,
        }
    }
}

/// Where the log goes and how much of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogOptions {
    /// Not to syslog or the journal (`-G`); else to the journal where standard error is the journal's, to syslog otherwise.
    pub no_syslog: bool,
    /// `-S`
    pub facility: Facility,
    /// To the console, that is standard error (`-l`).
    pub console: bool,
    /// To this file (`-g`).
    pub file: Option<PathBuf>,
    /// Each line at once (`--flush-log-file`).
    pub flush_file: bool,
    /// Details (`-D`).
    pub detail: bool,
    /// More than operators want to know.
    pub trace: bool,
    /// Console and file as one JSON object a line (`--log-format json`); syslog and the journal have forms of their own.
    pub json: bool,
}

struct Shared {
    queue: Arc<Queue>,
    level: AtomicU8,
}

/// The log's handle. Dropping it writes what waits.
pub struct Log {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").finish_non_exhaustive()
    }
}

const DETAIL: [LevelFilter; 3] = [LevelFilter::INFO, LevelFilter::DEBUG, LevelFilter::TRACE];

impl Log {
    /// Starts the log for the whole process. Must be called after the daemon has detached (threads do not survive that), once.
    pub fn start(options: &LogOptions) -> std::io::Result<Self> {
        let (log, layer) = Self::prepare(options)?;
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer))
            .map_err(std::io::Error::other)?;
        Ok(log)
    }

    fn prepare(options: &LogOptions) -> std::io::Result<(Self, Writer)> {
        let sinks = sinks(options)?;
        let (queue, orders) = Queue::new();
        let level = AtomicU8::new(if options.trace { 2 } else { u8::from(options.detail) });
        let shared = Arc::new(Shared { queue: Arc::new(queue), level });
        // Weakly: the thread is to end when nobody can log any more.
        let counting = Arc::downgrade(&shared.queue);
        let writer = std::thread::Builder::new().name("log".into()).spawn(move || {
            write(&orders, sinks, || counting.upgrade().map_or(0, |queue| queue.taken()));
        })?;
        Ok((Self { shared: Arc::clone(&shared), writer: Some(writer) }, Writer(shared)))
    }

    /// Details from now on, or no longer.
    pub fn set_detail(&self, detail: bool) {
        self.shared.level.store(u8::from(detail), Ordering::Relaxed);
        tracing::callsite::rebuild_interest_cache();
    }

    /// Opens the file anew: at SIGHUP, when logs were rotated.
    pub fn reopen(&self) {
        self.shared.queue.order(Order::Reopen);
    }

    /// Returns when all that was logged so far is written.
    pub fn flush(&self) {
        let (done, wait) = sync_channel(1);
        if self.shared.queue.order(Order::Flush(done)) {
            let _ = wait.recv();
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.flush();
        // The thread ends when the last sender does; the process-wide subscriber keeps one, so it is not waited for.
        self.writer.take();
    }
}

fn sinks(options: &LogOptions) -> std::io::Result<Vec<Sink>> {
    let mut sinks = Vec::new();
    let journal = stderr_is_journal(std::env::var("JOURNAL_STREAM").ok().as_deref());
    let facility = options.facility.number();
    if !options.no_syslog {
        sinks.push(if journal {
            Sink::Journal { socket: Datagrams::new(JOURNAL), facility }
        } else {
            Sink::Syslog { socket: Datagrams::new(SYSLOG), facility }
        });
    }
    // A console that is the journal would have every line twice.
    if options.console && (options.no_syslog || !journal) {
        sinks.push(Sink::Console { json: options.json });
    }
    if let Some(path) = &options.file {
        sinks.push(Sink::file(path, options.flush_file, options.json)?);
    }
    Ok(sinks)
}

/// `taken` is called for each order and tells how many lines were dropped since.
fn write(orders: &Receiver<Order>, mut sinks: Vec<Sink>, taken: impl Fn() -> u64) {
    let pid = std::process::id();
    let mut lost = 0;
    while let Ok(order) = orders.recv() {
        lost += taken();
        match order {
            Order::Write(mut record) => {
                record.offset = crate::sys::local_offset(record.time.0);
                let lost = std::mem::take(&mut lost);
                if lost > 0 {
                    let message = format!("{lost} log lines were dropped");
                    let note = Record { message, fields: Vec::new(), ident: IDENT.into(), ..record.clone() };
                    sinks.iter_mut().for_each(|sink| sink.write(&note, pid));
                }
                sinks.iter_mut().for_each(|sink| sink.write(&record, pid));
            }
            Order::Reopen => sinks.iter_mut().for_each(Sink::reopen),
            Order::Flush(done) => {
                sinks.iter_mut().for_each(Sink::flush);
                let _ = done.send(());
            }
        }
    }
}

/// What `tracing` hands events to.
struct Writer(Arc<Shared>);

impl Writer {
    fn filter(&self) -> LevelFilter {
        DETAIL[usize::from(self.0.level.load(Ordering::Relaxed)).min(2)]
    }
}

impl<S: Subscriber> Layer<S> for Writer {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        *metadata.level() <= self.filter()
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let time = crate::clock::wall();
        let ident = if metadata.target().starts_with(IDENT) { metadata.target() } else { IDENT };
        let mut record = Record {
            time,
            offset: 0, // Reckoned by the writer: it may need the time zone's file.
            level: *metadata.level(),
            ident: ident.to_owned(),
            message: String::new(),
            fields: Vec::new(),
        };
        event.record(&mut Fields(&mut record));
        self.0.queue.put(record);
    }
}

struct Fields<'a>(&'a mut Record);

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.0.message = value.to_owned(),
            name => self.0.fields.push((name, value.to_owned())),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// The level of a line that is told only on demand, or always.
pub const fn level(detail: bool) -> Level {
    if detail { Level::DEBUG } else { Level::INFO }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_become_lines_and_details_only_on_demand() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let options = LogOptions { no_syslog: true, file: Some(path.clone()), json: true, ..LogOptions::default() };
        let (log, layer) = Log::prepare(&options).unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let text = "(VI_1) Entering MASTER STATE {not a field}";
            tracing::info!(target: "Keepalived_vrrp", "{text}");
            tracing::debug!("hidden");
            log.set_detail(true);
            tracing::debug!(index = 7, why = "test", "shown");
            log.set_detail(false);
            tracing::debug!("hidden again");
            tracing::error!("end");
        });
        log.flush();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert_eq!(lines[0]["message"], "(VI_1) Entering MASTER STATE {not a field}");
        assert_eq!(lines[0]["ident"], "Keepalived_vrrp");
        assert_eq!(
            (&lines[1]["message"], &lines[1]["index"], &lines[1]["why"]),
            (&"shown".into(), &"7".into(), &"test".into())
        );
        assert_eq!((&lines[1]["ident"], &lines[2]["level"]), (&"Keepalived".into(), &"error".into()));
    }

    #[test]
    fn facilities_are_read_as_the_original_reads_them() {
        assert_eq!(Facility::parse("3"), Some(Facility::Local(3)));
        assert_eq!(Facility::parse("local7").map(Facility::number), Some(23));
        assert_eq!(Facility::parse("user"), Some(Facility::User));
        assert_eq!(Facility::parse("daemon"), Some(Facility::Daemon));
        for bad in ["8", "local8", "local", "", "77", "mail"] {
            assert_eq!(Facility::parse(bad), None, "{bad}");
        }
    }
}
