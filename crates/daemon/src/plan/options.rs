//! Settings of the daemon as a whole.

use rvs_config::keepalived::Config;
use rvs_config::keepalived::value::{self, Int, User};
use rvs_host::net::FirewallOptions;
use rvs_host::thread::Promptness;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::notify::Command;

/// The real-time priority of the thread of VRRP unless another is configured: the lowest, ahead of all ordinary threads.
const REAL_TIME: u8 = 1;

/// Where dumps go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dumps {
    /// The state, on SIGUSR1.
    pub data: PathBuf,
    /// The statistics, on SIGUSR2.
    pub stats: PathBuf,
    /// Both as JSON.
    pub json: PathBuf,
}

impl Default for Dumps {
    fn default() -> Self {
        let path = |name: &str| PathBuf::from("/tmp").join(name);
        Self { data: path("keepalived.data"), stats: path("keepalived.stats"), json: path("keepalived.json") }
    }
}

/// A program at the start or the end, and how long it may take.
pub type Boundaries = (Option<(Command, Duration)>, Option<(Command, Duration)>);

/// Settings of the daemon as a whole.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Options {
    /// `router_id`.
    pub router_id: Option<String>,
    /// How prompt the thread of VRRP is to be.
    pub promptness: Promptness,
    /// How long interfaces must be down, and up, before that counts.
    pub delays: BTreeMap<String, (Duration, Duration)>,
    /// Where dumps go.
    pub dumps: Dumps,
    /// JSON in the form of version 2.
    pub json2: bool,
    /// On whose behalf scripts run.
    pub script_user: Option<User>,
    /// Refuse to run scripts as root that others could change.
    pub security: bool,
    /// Programs to run before and after everything else.
    pub boundaries: Boundaries,
    /// The mail server and who writes to whom: server, port, time-out, greeting, from, to.
    pub mail: Option<Mail>,
    /// No mails about faults.
    pub no_fault_mails: bool,
    /// Tell the states again to the FIFOs after a reload.
    pub tell_states_after_reload: bool,
    /// Where figures for Prometheus are served.
    pub metrics: Option<SocketAddr>,
    /// Log every address that comes or goes.
    pub watch_addresses: bool,
    /// How long the end may take.
    pub patience: Duration,
    /// The firewall of addresses that are not accepted.
    pub firewall: FirewallOptions,
    /// The room of sockets that adverts come to.
    pub room: Room,
    /// Tell routers nothing of groups on the link (`disable_local_igmp`).
    pub no_local_igmp: bool,
    /// The file that names the time of a reload, and whether it stays after that.
    pub reload_time: Option<(PathBuf, bool)>,
    /// The file that is there while a reload reads (`reload_file`); its folder is that of pid files if it is only asked for.
    pub reload_mark: Option<PathBuf>,
}

/// The room of a socket that adverts come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Room {
    /// The kernel's default.
    #[default]
    Usual,
    /// So many bytes.
    Bytes(usize),
    /// So many times the size of the adverts of all its instances.
    Adverts(usize),
    /// So many times the MTU for each of its instances.
    Mtus(usize),
}

/// How mails are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The server and its port.
    pub server: (String, u16),
    /// How long to wait for it.
    pub timeout: Duration,
    /// The name to greet it with.
    pub helo: Option<String>,
    /// Who writes.
    pub from: Option<String>,
    /// To whom.
    pub to: Vec<String>,
}

impl Options {
    pub(super) fn of(config: &Config) -> Self {
        let globals = &config.globals;
        let text = |text: &Option<value::Text>| text.as_ref().map(|text| text.0.clone());
        let boundary = |command: &Option<value::Command>, seconds: Option<Int<1, 1000>>| {
            let longest = Duration::from_secs(seconds.map_or(10, Int::to));
            command.as_ref().map(|command| (Command::of(command), longest))
        };
        Self {
            router_id: text(&globals.router_id),
            promptness: promptness(config),
            delays: delays(config),
            dumps: paths(config),
            json2: globals.json_version == Some(value::choice::JsonVersion::Two),
            script_user: globals.script_user.clone(),
            security: globals.enable_script_security,
            boundaries: (
                boundary(&globals.startup_script, globals.startup_script_timeout),
                boundary(&globals.shutdown_script, globals.shutdown_script_timeout),
            ),
            mail: mail(config),
            no_fault_mails: globals.no_email_faults,
            tell_states_after_reload: globals.fifo_write_vrrp_states_on_reload,
            metrics: globals.metrics_listen.and_then(|to| Some(SocketAddr::new(to.address, to.port?))),
            watch_addresses: false,
            patience: Duration::from_secs(globals.child_wait_time.map_or(5, Int::to)),
            firewall: firewall(config),
            room: room(config),
            no_local_igmp: globals.disable_local_igmp,
            reload_time: globals.reload_time_file.as_ref().map(|path| (path.0.as_str().into(), globals.reload_repeat)),
            reload_mark: globals.reload_file.as_ref().map(|words| {
                let folder = if globals.use_pid_dir || config.top.use_pid_dir { "/run/keepalived" } else { "/run" };
                words.0.first().map_or_else(|| PathBuf::from(folder).join("keepalived.reload"), PathBuf::from)
            }),
        }
    }
}

fn room(config: &Config) -> Room {
    let globals = &config.globals;
    let times = globals.vrrp_rx_bufs_multiplier.map_or(3, Int::to);
    match globals.vrrp_rx_bufs_policy {
        Some(value::vrrp::RxBuffers::Bytes(bytes)) => usize::try_from(bytes).map_or(Room::Usual, Room::Bytes),
        Some(value::vrrp::RxBuffers::Advert) => Room::Adverts(times),
        Some(value::vrrp::RxBuffers::Mtu) => Room::Mtus(times),
        None => {
            let sizes = config.instances.iter().filter_map(|block| block.kernel_rx_buf_size.map(Int::to));
            sizes.max().map_or(Room::Usual, Room::Bytes)
        }
    }
}

/// An instance of the daemon has a table of its own: each removes what an earlier run left.
fn firewall(config: &Config) -> FirewallOptions {
    let (globals, usual) = (&config.globals, FirewallOptions::default());
    let table = match globals.firewall.nftables.as_ref().and_then(|words| words.0.first()) {
        Some(name) => name.clone(),
        None => config.instance_name().map_or_else(|| usual.table.clone(), |name| format!("{}_{name}", usual.table)),
    };
    let priority = globals.firewall.nftables_priority.and_then(|priority| i32::try_from(priority.get()).ok());
    FirewallOptions {
        table,
        priority: priority.unwrap_or(usual.priority),
        counters: globals.firewall.nftables_counters,
    }
}

fn promptness(config: &Config) -> Promptness {
    let globals = &config.globals;
    let cpus = globals.vrrp_cpu_affinity.as_ref().map(|words| &words.0[..]).unwrap_or_default();
    Promptness {
        real_time: Some(globals.vrrp_rt_priority.map_or(REAL_TIME, Int::to)),
        nice: globals.vrrp_priority.and_then(|nice| i8::try_from(nice.get()).ok()),
        lock_memory: true,
        cpus: cpus.iter().filter_map(|word| word.parse().ok()).collect(),
        longest_run: globals.vrrp_rlimit_rttime.map(|micros| Duration::from_micros(micros.to())),
    }
}

fn delays(config: &Config) -> BTreeMap<String, (Duration, Duration)> {
    let lines = config.interface_up_down_delays.iter();
    let delay = |line: &value::vrrp::UpDownDelay| {
        let down = line.down.duration();
        (line.interface.clone(), (down, line.up.map_or(down, |up| up.duration())))
    };
    lines.map(|line| delay(line)).collect()
}

fn mail(config: &Config) -> Option<Mail> {
    let globals = &config.globals;
    let server = globals.smtp_server.as_ref()?;
    let text = |text: &Option<value::Text>| text.as_ref().map(|text| text.0.clone());
    Some(Mail {
        server: (server.host.clone(), server.port.unwrap_or(25)),
        timeout: globals.smtp_connect_timeout.map_or(Duration::from_secs(30), |time| time.duration()),
        helo: text(&globals.smtp_helo_name),
        from: text(&globals.notification_email_from),
        to: globals.notification_email.iter().map(|to| to.0.clone()).collect(),
    })
}

/// Where dumps go: the configured paths, else the original's, with the names of instance and namespace where
/// `data_use_instance` asks for them.
pub fn paths(config: &Config) -> Dumps {
    let globals = &config.globals;
    let mut suffix = String::new();
    if globals.data_use_instance.is_some_and(|switch| switch.0) {
        for name in [config.net_namespace(), config.instance_name()].into_iter().flatten() {
            suffix += &format!("_{}", name.replace('/', "_"));
        }
    }
    let path = |given: &Option<value::Text>, end: &str| match given {
        Some(path) => PathBuf::from(&path.0),
        None => PathBuf::from(format!("/tmp/keepalived{suffix}.{end}")),
    };
    Dumps {
        data: path(&globals.state_dump_file, "data"),
        stats: path(&globals.stats_dump_file, "stats"),
        json: path(&globals.json_dump_file, "json"),
    }
}
