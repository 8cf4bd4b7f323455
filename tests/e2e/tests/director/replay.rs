//! Recorded scenarios of IPVS done again with our tools and our data plane under the same traffic: every `ipvsadm` command of the
//! sections that the laboratory can play prints what was recorded, figures included.

use anyhow::{Context as _, Result, ensure};
use lab::topology::{CLIENT, VIP, server};
use lab::wait::secs;
use lab::{Lab, Method, Topology, eventually, start};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpListener, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Sections that wait for a feature, by a word of their title. Once the feature is there, its line here goes.
const PENDING: [(&str, &str); 4] =
    [("IPv6", "IPv6"), ("ip6ip6", "IPv6"), ("gue", "GUE tunnels"), ("gre", "GRE tunnels")];

/// One recorded section: its title, and its commands with what they printed.
struct Section {
    title: String,
    commands: Vec<(String, String)>,
}

fn sections(name: &str) -> Result<Vec<Section>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../golden/recorded/{name}.txt"));
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let mut sections: Vec<Section> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("=== ") {
            sections.push(Section { title: title.to_owned(), commands: Vec::new() });
            open = false;
        }
        let Some(section) = sections.last_mut() else { continue };
        if let Some(command) = line.strip_prefix("$ ipvsadm ") {
            section.commands.push((command.to_owned(), String::new()));
            open = true;
        } else if line.starts_with("[status ") || line.is_empty() || line.starts_with("$ ") {
            open = false;
        } else if let Some((_, printed)) = section.commands.last_mut().filter(|_| open) {
            *printed += &format!("{line}\n");
        }
    }
    Ok(sections)
}

/// The real server of the recording: it says its name and closes, or tells the length of a datagram.
struct Server {
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Server {
    fn begin(lab: &Lab) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for port in [80, 8080] {
            let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port);
            // Datagrams are answered from the address that they were sent to.
            let holds_vip = lab.method() != Method::Nat;
            let at = SocketAddrV4::new(if holds_vip { VIP } else { server(1) }, port);
            let (tcp, udp) = lab.server(1).enter(|| (TcpListener::bind(any), UdpSocket::bind(at)))?;
            let (tcp, udp) = (tcp?, udp?);
            tcp.set_nonblocking(true)?;
            let done = stop.clone();
            threads.push(thread::spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    match tcp.accept() {
                        Ok((mut stream, _)) => {
                            // The client may be gone.
                            let _ = stream.write_all(b"rs1\n");
                        }
                        Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(Duration::from_millis(2)),
                        Err(_) => return,
                    }
                }
            }));
            udp.set_read_timeout(Some(Duration::from_millis(50)))?;
            let done = stop.clone();
            threads.push(thread::spawn(move || {
                let mut buffer = [0; 100];
                while !done.load(Ordering::Relaxed) {
                    if let Ok((length, from)) = udp.recv_from(&mut buffer) {
                        let _ = udp.send_to(format!("rs1 {length}").as_bytes(), from);
                    }
                }
            }));
        }
        Ok(Self { stop, threads })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// The client of the recording: it takes the name, and closes a moment later.
fn traffic(lab: &Lab, udp: bool, port: u16) -> Result<()> {
    let (from, at) = (SocketAddrV4::new(CLIENT, port), SocketAddrV4::new(VIP, 80));
    let mut answer = [0; 100];
    if udp {
        let socket = lab.udp_from(from, at)?;
        socket.send(b"hello")?;
        let length = socket.recv(&mut answer)?;
        ensure!(&answer[..length] == b"rs1 5", "an answer of {length} bytes");
        return Ok(());
    }
    let mut stream = lab.connect_from(from, at)?;
    stream.read_exact(&mut answer[..4])?;
    ensure!(&answer[..4] == b"rs1\n", "another name");
    ensure!(stream.read(&mut answer)? == 0, "more than the name");
    // As recorded: the delayed acknowledgement goes out by itself, before the client's FIN.
    thread::sleep(Duration::from_millis(50));
    stream.shutdown(Shutdown::Write)?;
    Ok(())
}

/// A listing of connections without the time left, which depends on how busy the machine is.
fn timeless(text: &str) -> String {
    let line = |line: &str| match line.split_once(':') {
        Some((minutes, rest)) if line.starts_with("TCP") || line.starts_with("UDP") => {
            let (left, rest) = rest.split_at(2);
            let _ = left;
            format!("{}..{rest}\n", minutes.trim_end_matches(|c: char| c.is_ascii_digit()))
        }
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

/// Replays the sections of a method; how many commands were equal, and how many wait.
fn replay(method: Method, word: &str) -> Result<Option<(usize, usize)>> {
    let Some(lab) = start(Topology::of(method).servers(1).offloads(false))? else { return Ok(None) };
    let _server = Server::begin(&lab)?;
    lab.warm()?;
    let (mut equal, mut pending, mut port) = (0, 0, 40_000);
    for section in sections("c1_forward")?.iter().filter(|section| section.title.starts_with(word)) {
        if PENDING.iter().any(|(word, _)| section.title.contains(word)) {
            pending += section.commands.len();
            continue;
        }
        lab.ipvsadm("-C")?;
        port += 1;
        for (command, recorded) in &section.commands {
            let at = format!("{}: {command}", section.title);
            if command.starts_with("-a ") {
                assert_eq!(&lab.ipvsadm(command)?, recorded, "{at}");
                traffic(&lab, section.title.contains("UDP"), port)?;
            } else if command.starts_with("-Lnc") {
                let recorded = timeless(recorded).replace(&recorded_port(recorded)?, &format!("10.0.1.100:{port}"));
                eventually(secs(10), || {
                    let listed = timeless(&lab.ipvsadm("-Lnc")?);
                    let ours: String = listed
                        .lines()
                        .filter(|line| line.starts_with("pro ") || line.contains(&format!(":{port} ")))
                        .map(|line| format!("{line}\n"))
                        .collect();
                    ensure!(ours == recorded, "{at}: {ours}, not {recorded}");
                    Ok(())
                })?;
            } else {
                // Counted per CPU, and read while the last packet may be on its way.
                eventually(secs(10), || {
                    let ours = lab.ipvsadm(command)?;
                    ensure!(&ours == recorded, "{at}: {ours}, not {recorded}");
                    Ok(())
                })?;
            }
            equal += 1;
        }
    }
    Ok(Some((equal, pending)))
}

/// The client's end of the recorded connection.
fn recorded_port(text: &str) -> Result<String> {
    let word = text.split_whitespace().find(|word| word.starts_with("10.0.1.100:"));
    Ok(word.context("no client in the recording")?.to_owned())
}

#[test]
fn masquerading_as_recorded() -> Result<()> {
    if let Some(counted) = replay(Method::Nat, "NAT ")? {
        assert_eq!(counted, (12, 8));
    }
    Ok(())
}

#[test]
fn direct_routing_as_recorded() -> Result<()> {
    if let Some(counted) = replay(Method::Dr, "DR ")? {
        assert_eq!(counted, (8, 8));
    }
    Ok(())
}

#[test]
fn tunnels_as_recorded() -> Result<()> {
    if let Some(counted) = replay(Method::Tun, "TUN ")? {
        assert_eq!(counted, (8, 36));
    }
    Ok(())
}
