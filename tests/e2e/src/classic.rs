//! The network of the classic walk-through: two directors, two web servers and a client, all on one segment.
//!
//! ```text
//!   a   192.168.179.102 ──┐   ┌── rs1 192.168.179.99
//!   b   192.168.179.103 ──┼─sw┤
//!   cl  192.168.179.10… ──┘   └── rs2 192.168.179.104
//! ```
//!
//! The real servers hold the virtual address 192.168.179.199 on their loopback and do not answer for it by ARP (direct routing).
//! The directors have a web server too, with a page that asks for patience.

use crate::cleanup::{self, PREFIX, enrol_dir, enrol_namespace, ip_batch, is_root};
use crate::director::{Service, parse_table, tool};
use crate::http::Http;
use crate::netns::Netns;
use crate::pair::{Daemon, Side};
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use socket2::{Domain, Protocol, Socket, Type};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The virtual address.
pub const VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 179, 199);
/// The client's addresses: persistence keeps each on one real server, so that several are needed to see both.
const CLIENTS: [u8; 4] = [10, 11, 12, 13];
/// How long the client waits for a page.
const PATIENCE: Duration = Duration::from_millis(1500);
/// How long it rests between requests.
const REST: Duration = Duration::from_millis(50);

/// Source ports: below those that the kernel chooses from.
const FIRST_PORT: u16 = 15_000;

const HOSTS: [(&str, u8); 5] = [("a", 102), ("b", 103), ("rs1", 99), ("rs2", 104), ("cl", CLIENTS[0])];

/// The segment. Dropping it removes everything.
#[derive(Debug)]
pub struct Classic {
    prefix: String,
    dir: PathBuf,
    page: String,
    sorry: Vec<Http>,
}

/// Builds the segment with nothing running but the directors' own web servers, all real servers with the same page. Without
/// root's rights this says so on standard error, past the test harness, and there is none.
pub fn start(page: &str) -> Result<Option<Classic>> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    if !is_root() {
        let test = thread::current().name().unwrap_or("test").to_owned();
        writeln!(std::io::stderr(), "SKIPPED {test}: needs root, for network namespaces")?;
        return Ok(None);
    }
    cleanup::prepare();
    let prefix = format!("{PREFIX}{}-c{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let dir = std::env::temp_dir().join(&prefix);
    let mut classic = Classic { dir, prefix, page: page.to_owned(), sorry: Vec::new() };
    classic.build().with_context(|| format!("cannot build the segment {}", classic.prefix))?;
    Ok(Some(classic))
}

impl Classic {
    fn names(&self) -> Vec<String> {
        let roles = HOSTS.iter().map(|(role, _)| *role).chain(["sw"]);
        roles.map(|role| self.role(role).name().to_owned()).collect()
    }

    fn role(&self, role: &str) -> Netns {
        Netns::named(format!("{}-{role}", self.prefix))
    }

    fn build(&mut self) -> Result<()> {
        enrol_dir(&self.dir);
        fs::create_dir_all(&self.dir)?;
        let names = self.names();
        names.iter().for_each(|name| enrol_namespace(name));
        ip_batch(&["-batch", "-"], &names.iter().map(|name| format!("netns add {name}\n")).collect::<String>())?;
        let mut switch = "link set lo up\nlink add br0 type bridge mcast_snooping 0\nlink set br0 up\n".to_owned();
        for (role, number) in HOSTS {
            let name = self.role(role).name().to_owned();
            switch += &format!(
                "link add p{role} type veth peer name eth0 address 02:00:00:00:b3:{number:02x} netns {name}\n\
                 link set p{role} master br0 up\n"
            );
        }
        self.role("sw").ip_batch(&switch)?;
        for (role, number) in HOSTS {
            let ns = self.role(role);
            if role.starts_with("rs") {
                ns.sysctl("ipv4/conf/all/arp_ignore", "1")?;
                ns.sysctl("ipv4/conf/all/arp_announce", "2")?;
                ns.ip_batch(&format!("link set lo up\naddr add {VIP}/32 dev lo\n"))?;
            }
            ns.ip_batch(&format!("link set lo up\nlink set eth0 up\naddr add 192.168.179.{number}/24 dev eth0\n"))?;
        }
        for number in &CLIENTS[1..] {
            self.role("cl").ip(&format!("addr add 192.168.179.{number}/24 dev eth0"))?;
        }
        for side in Side::BOTH {
            let http = Http::with_page(&self.side(side), side.name(), &self.dir, "sorry")?;
            http.ready()?;
            self.sorry.push(http);
        }
        Ok(())
    }

    /// A director: A is the master.
    pub fn side(&self, side: Side) -> Netns {
        self.role(side.name())
    }

    /// The namespace of a real server, 1 or 2.
    pub fn server(&self, n: u8) -> Netns {
        self.role(&format!("rs{n}"))
    }

    /// A folder for files of the test.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Starts our keepalived on a director.
    pub fn keepalived(&self, side: Side, config: &str) -> Result<Daemon> {
        Daemon::start(self.side(side), &self.dir, side.name(), &tool("keepalived")?, config)
    }

    /// Starts the web server of a real server.
    pub fn start_web(&self, n: u8) -> Result<Http> {
        let http = Http::with_page(&self.server(n), &format!("rs{n}"), &self.dir, &self.page)?;
        http.ready()?;
        Ok(http)
    }

    /// Kills it without warning.
    pub fn kill_web(&self, n: u8) -> Result<()> {
        let pid = fs::read_to_string(self.dir.join(format!("rs{n}/pid")))?;
        Ok(kill(Pid::from_raw(pid.trim().parse()?), Signal::SIGKILL)?)
    }

    /// A director's table, as `ipvsadm -Ln` lists it.
    pub fn listing(&self, side: Side) -> Result<String> {
        self.side(side).command(tool("ipvsadm")?).arg("-Ln").ok()
    }

    /// The same, taken apart.
    pub fn table(&self, side: Side) -> Result<Vec<Service>> {
        parse_table(&self.listing(side)?)
    }

    /// Whether a director has the virtual address.
    pub fn has(&self, side: Side) -> Result<bool> {
        let listed = self.side(side).command("ip").args("-o -4 addr show").ok()?;
        Ok(listed.lines().any(|line| line.contains(&format!(" {VIP}/"))))
    }

    /// Starts a client that asks the virtual address for its page again and again.
    pub fn visitor(&self) -> Visitor {
        let (seen, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (ns, list, stopping) = (self.role("cl"), Arc::clone(&seen), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            // Each port once: the director still knows a finished connection for minutes, and with persistence a new one from
            // the same port belongs to it, wherever that went.
            for (client, port) in CLIENTS.into_iter().cycle().zip(FIRST_PORT..) {
                if stopping.load(Ordering::Relaxed) {
                    return;
                }
                let begun = Instant::now();
                let from = SocketAddr::from(([192, 168, 179, client], port));
                let answer = fetch(&ns, from).map_err(|error| format!("{error:#}"));
                if let Ok(mut list) = list.lock() {
                    list.push(Visit { begun, client, answer });
                }
                thread::sleep(REST);
            }
        });
        Visitor { seen, stop, thread: Some(thread) }
    }
}

impl Drop for Classic {
    fn drop(&mut self) {
        self.sorry.clear();
        cleanup::remove(&self.names().into_iter().collect(), &self.dir);
    }
}

fn fetch(ns: &Netns, from: SocketAddr) -> Result<String> {
    let socket = ns.enter(|| -> Result<Socket> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.bind(&from.into())?;
        socket.connect_timeout(&SocketAddr::from((VIP, 80)).into(), PATIENCE)?;
        Ok(socket)
    })??;
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET / HTTP/1.0\r\nHost: www.example.org\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").context("no page")?;
    ensure!(head.starts_with("HTTP/1.1 200"), "{head}");
    let server = head.lines().find_map(|line| line.strip_prefix("X-Server: ")).unwrap_or("?");
    Ok(format!("{server}: {}", body.trim()))
}

/// One request.
#[derive(Clone, Debug)]
pub struct Visit {
    /// When it began.
    pub begun: Instant,
    /// The last byte of the client's address.
    pub client: u8,
    /// Who answered what, `rs1: PAGE`, or why nobody did.
    pub answer: Result<String, String>,
}

/// A client that goes on asking until it is dropped.
#[derive(Debug)]
pub struct Visitor {
    seen: Arc<Mutex<Vec<Visit>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Visitor {
    /// The requests that began in a span of time.
    pub fn between(&self, from: Instant, to: Instant) -> Vec<Visit> {
        let seen = self.seen.lock().map(|seen| seen.clone()).unwrap_or_default();
        seen.into_iter().filter(|visit| visit.begun >= from && visit.begun < to).collect()
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
