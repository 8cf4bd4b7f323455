//! The daemon from its start to its end.
//!
//! The order matters: the namespace is entered before anything looks at interfaces, the process detaches before any thread
//! starts, and only then do the log, the runtime and the thread of VRRP.

mod appointment;
mod ask;
mod house;
mod notifier;
mod scripts;
mod start;
mod status;
mod trackers;

pub use ask::{Panel, ask, board, decide};
pub use start::{NO_CONFIG, Started, pid_path, status_path};
pub use status::{fetch, request};

use house::House;
use rvs_config::keepalived::options::{Id, Settings};
use rvs_host::daemon::{PidFile, detach, leave_core, set_umask};
use rvs_host::log::{Facility, Log, LogOptions};
use std::io::Write;

/// Nothing went wrong.
const GOOD: i32 = 0;
/// It could not be started.
const FAILED: i32 = 1;
/// Settings that cannot be: as when a part of the original cannot begin.
const CANNOT: i32 = 2;

/// Runs the daemon until it is asked to end; the exit status. What goes wrong before there is a log goes to `err`.
pub fn run(settings: &Settings, arguments: &[String], err: &mut dyn Write) -> i32 {
    rvs_host::memory::keep_large_apart();
    match prepare(settings) {
        Ok((started, options)) => begin(settings, arguments, started, &options, err),
        Err((text, status)) => complain(err, &text, status),
    }
}

fn complain(err: &mut dyn Write, text: &str, status: i32) -> i32 {
    // Without a standard error there is nobody to tell.
    let _ = writeln!(err, "keepalived: {text}");
    status
}

fn prepare(settings: &Settings) -> Result<(Started, LogOptions), (String, i32)> {
    let options = log_options(settings).map_err(|text| (text, FAILED))?;
    Ok((start::read(settings)?, options))
}

fn log_options(settings: &Settings) -> Result<LogOptions, String> {
    let facility = match settings.argument(Id::LogFacility) {
        None => Facility::default(),
        Some(word) => Facility::parse(word).ok_or_else(|| format!("Invalid log facility '{word}'"))?,
    };
    let json = match settings.argument(Id::LogFormat) {
        None | Some("text") => false,
        Some("json") => true,
        Some(other) => return Err(format!("--log-format: '{other}' is neither text nor json")),
    };
    let file = settings.has(Id::LogFile).then(|| settings.argument(Id::LogFile).unwrap_or("/tmp/keepalived.log"));
    Ok(LogOptions {
        no_syslog: settings.has(Id::NoSyslog),
        facility,
        console: settings.has(Id::LogConsole),
        file: file.map(Into::into),
        flush_file: settings.has(Id::FlushLogFile),
        detail: settings.has(Id::LogDetail) || settings.has(Id::Debug),
        trace: settings.has(Id::Debug),
        json,
    })
}

fn begin(
    settings: &Settings,
    arguments: &[String],
    started: Started,
    options: &LogOptions,
    err: &mut dyn Write,
) -> i32 {
    if !settings.has(Id::NoFork)
        && let Err(errno) = detach()
    {
        return complain(err, &format!("going into the background: {}", errno.desc()), FAILED);
    }
    let mut files = Vec::new();
    for path in start::pid_files(settings, &started) {
        match PidFile::write(&path) {
            Ok(file) => files.push(file),
            Err(error) => return complain(err, &error.to_string(), FAILED),
        }
    }
    let configured = started.config().globals.umask.as_ref().map(|mask| mask.0.as_str());
    let mask = settings.argument(Id::Umask).or(configured);
    if let Some(mask) = mask.and_then(|mask| u32::from_str_radix(mask, 8).ok()) {
        set_umask(mask);
    }
    let log = match Log::start(options) {
        Ok(log) => log,
        Err(error) => return complain(err, &format!("opening the log: {error}"), FAILED),
    };
    if settings.has(Id::CoreDump)
        && let Err(error) = leave_core(None)
    {
        tracing::warn!("A crash will leave no core file: {error}");
    }
    let (version, own) = (crate::COMPATIBLE, env!("CARGO_PKG_VERSION"));
    tracing::info!("Starting Keepalived v{version} (RVS {own})");
    tracing::info!("Command line: '{}'", arguments.join("' '"));
    started.announce();
    if settings.has(Id::DumpConf) {
        started.config().print().lines().for_each(|line| tracing::info!("{line}"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let status = match runtime {
        Ok(runtime) => runtime.block_on(async {
            match House::open(settings, started, &log).await {
                Ok(house) => house.live().await,
                Err(text) => {
                    tracing::error!("{text}");
                    CANNOT
                }
            }
        }),
        Err(error) => {
            tracing::error!("Unable to start: {error}");
            FAILED
        }
    };
    tracing::info!("Stopped Keepalived v{version} (RVS {own})");
    log.flush();
    drop(files);
    status
}
