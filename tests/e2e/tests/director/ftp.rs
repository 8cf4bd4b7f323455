//! FTP and SIP with real programs: vsftpd behind the director, curl as its client.

use crate::bulk::noise;
use crate::{at, vip};
use anyhow::{Context as _, Result, ensure};
use lab::topology::VIP;
use lab::wait::secs;
use lab::{Family, Lab, Method, Topology, eventually, start};
use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Bytes of the files that are transferred.
const SIZE: usize = 3_000_000;

/// How a server listens.
const IPV4: &str = "listen=YES\nlisten_ipv6=NO";
const IPV6: &str = "listen=NO\nlisten_ipv6=YES";

/// A vsftpd on every real server: anonymous, with the laboratory's files, passive ports from 40000 on.
struct Servers {
    running: Vec<lab::Running>,
}

impl Servers {
    fn start(lab: &Lab, listen: &str) -> Result<Self> {
        let files = lab.dir().join("ftp");
        fs::create_dir_all(files.join("in"))?;
        fs::create_dir_all(lab.dir().join("empty"))?;
        fs::set_permissions(lab.dir(), fs::Permissions::from_mode(0o755))?;
        fs::set_permissions(&files, fs::Permissions::from_mode(0o755))?;
        fs::set_permissions(files.join("in"), fs::Permissions::from_mode(0o777))?;
        fs::write(files.join("big"), noise(SIZE))?;
        let mut running = Vec::new();
        for n in lab.numbers() {
            let config = lab.dir().join(format!("vsftpd{n}.conf"));
            let text = format!(
                "background=NO\nanonymous_enable=YES\nlocal_enable=NO\nwrite_enable=YES
anon_upload_enable=YES\nanon_umask=022\nanon_root={}\nno_anon_password=YES\nnopriv_user=nobody
secure_chroot_dir={}\nseccomp_sandbox=NO\nisolate=NO\nisolate_network=NO\nxferlog_enable=NO\nconnect_from_port_20=YES
pasv_min_port=40000\npasv_max_port=40100\nftpd_banner=rs{n}\nport_enable=YES\nallow_anon_ssl=NO\n{listen}\n",
                files.display(),
                lab.dir().join("empty").display(),
            );
            fs::write(&config, text)?;
            let command = lab.server(n).command("vsftpd").arg(&config);
            let server = command.serve(&lab.dir().join(format!("vsftpd{n}.log")));
            running.push(server.context("the laboratory needs vsftpd (package vsftpd)")?);
        }
        for n in lab.numbers() {
            eventually(secs(20), || {
                lab.server(n).enter(|| std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, 21)))??;
                Ok(())
            })?;
        }
        Ok(Self { running })
    }

    fn alive(&mut self) -> bool {
        self.running.iter_mut().all(lab::Running::alive)
    }
}

/// Whatever curl is told, three downloads and an upload over one control connection, each byte compared.
fn transfers(lab: &Lab, host: &str, options: &str) -> Result<String> {
    let data = noise(SIZE);
    let dir = lab.dir().join("got");
    fs::create_dir_all(&dir)?;
    let name = format!("{host}{options}").replace([' ', '-', ':', '.', '[', ']'], "");
    let mut args = format!("{options} --stderr - -v");
    for n in 1..=3 {
        args += &format!(" -o {}/{name}{n} ftp://{host}/big", dir.display());
    }
    let up = lab.dir().join("ftp/big");
    args += &format!(" --next -sS -v --stderr - {options} -T {} ftp://{host}/in/{name}", up.display());
    let said = lab.curl(&args)?;
    ensure!(said.status == 0, "{said}");
    ensure!(said.stdout.matches("Connected to").count() >= 1 && said.stdout.contains("226"), "{said}");
    for n in 1..=3 {
        ensure!(fs::read(dir.join(format!("{name}{n}")))? == data, "download {n} with {options} differs");
    }
    let landed = lab.dir().join("ftp/in").join(&name);
    eventually(secs(5), || {
        ensure!(fs::read(&landed)? == data, "the upload with {options} differs");
        Ok(())
    })?;
    Ok(said.stdout)
}

/// How curl is told to open data connections, and how the server answers.
const WAYS: [&str; 4] = [
    "--disable-epsv --no-ftp-skip-pasv-ip",
    "--ftp-pasv",
    "--ftp-port 10.0.1.100 --disable-eprt",
    "--ftp-port 10.0.1.100",
];

fn masqueraded(topology: Topology) -> Result<()> {
    let Some(lab) = start(topology.servers(2))? else { return Ok(()) };
    let mut servers = Servers::start(&lab, IPV4)?;
    lab.serve("-t", vip(21), "-s rr", 21, &[1, 1])?;
    for options in WAYS {
        transfers(&lab, &VIP.to_string(), options)?;
    }
    // Virtual addresses with a digit less and one more than the servers': replies change their length, four times each.
    for host in ["10.0.1.9", "10.0.1.210"] {
        lab.director().ip(&format!("addr add {host}/32 dev eth0"))?;
        let at = SocketAddrV4::new(host.parse()?, 21);
        lab.serve("-t", at, "-s rr", 21, &[1, 1])?;
        let said = transfers(&lab, host, WAYS[0])?;
        let reply = format!("227 Entering Passive Mode ({},", host.replace('.', ","));
        ensure!(said.matches(&reply).count() == 4 && said.matches("220 rs").count() == 1, "{said}");
    }
    ensure!(servers.alive());
    let connections = lab.connections()?;
    ensure!(connections.iter().any(|c| c.virt == "10.0.1.10:20" && c.dest.ends_with(":20")), "{connections:?}");
    ensure!(connections.iter().any(|c| c.virt.starts_with("10.0.1.10:40")), "{connections:?}");
    Ok(())
}

#[test]
fn nat_carries_active_and_passive_ftp() -> Result<()> {
    masqueraded(Topology::nat())
}

#[test]
fn nat_carries_ftp_without_offloads() -> Result<()> {
    masqueraded(Topology::nat().offloads(false))
}

#[test]
fn nat_carries_ftp_over_ipv6() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(2))? else { return Ok(()) };
    let mut servers = Servers::start(&lab, IPV6)?;
    let family = Family::V6;
    lab.serve("-t", at(family, 21), "-s rr", 21, &[1, 1])?;
    for options in ["--ftp-pasv", &format!("--ftp-port {}", family.client())] {
        transfers(&lab, &format!("[{}]", family.vip()), options)?;
    }
    ensure!(servers.alive());
    Ok(())
}

/// Servers that answer by themselves: a persistent service takes the data connections.
fn answered_directly(method: Method) -> Result<()> {
    let Some(lab) = start(Topology::of(method).servers(2))? else { return Ok(()) };
    let mut servers = Servers::start(&lab, IPV4)?;
    lab.serve("-t", vip(21), "-s rr -p 60", 21, &[1, 1])?;
    for options in WAYS {
        transfers(&lab, &VIP.to_string(), options)?;
    }
    ensure!(servers.alive());
    let connections = lab.connections()?;
    let template = connections.iter().find(|c| c.source == "10.0.1.100:0").context("no template")?;
    ensure!((template.virt.as_str(), template.dest.ends_with(":0")) == ("10.0.1.10:0", true), "{template:?}");
    let server = template.dest.trim_end_matches(":0");
    ensure!(connections.iter().all(|c| c.dest.starts_with(server)), "{connections:?}");
    Ok(())
}

#[test]
fn dr_carries_ftp_of_persistent_clients() -> Result<()> {
    answered_directly(Method::Dr)
}

#[test]
fn tun_carries_ftp_of_persistent_clients() -> Result<()> {
    answered_directly(Method::Tun)
}

/// Answers every datagram with a name, until told to stop.
struct Phone {
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Phone {
    fn start(lab: &Lab, n: u8) -> Result<Self> {
        let socket = lab.server(n).enter(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 5060)))??;
        socket.set_read_timeout(Some(std::time::Duration::from_millis(100)))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = stop.clone();
        let thread = thread::spawn(move || {
            let mut bytes = [0; 2048];
            while !stopping.load(Ordering::Relaxed) {
                if let Ok((_, from)) = socket.recv_from(&mut bytes) {
                    let _ = socket.send_to(format!("rs{n}").as_bytes(), from);
                }
            }
        });
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Who answers this call, asked from this port.
fn call(lab: &Lab, port: u16, id: &str) -> Result<String> {
    let socket = lab.udp_from(SocketAddrV4::new(Ipv4Addr::new(10, 0, 1, 100), port), vip(5060))?;
    socket.send(format!("OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.1.100\r\n{id}\r\n\r\n").as_bytes())?;
    let mut bytes = [0; 64];
    let len = socket.recv(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes[..len]).into_owned())
}

#[test]
fn datagrams_of_one_call_reach_one_server() -> Result<()> {
    let Some(lab) = start(Topology::nat())? else { return Ok(()) };
    let phones = lab.numbers().map(|n| Phone::start(&lab, n)).collect::<Result<Vec<_>>>()?;
    lab.serve("-u", vip(5060), "-s rr -p 60 --pe sip", 5060, &[1, 1, 1])?;
    let names = |id: &str, first: u16| (first..first + 6).map(|port| call(&lab, port, id)).collect::<Result<Vec<_>>>();
    assert_eq!(names("Call-ID: one@host", 6000)?, ["rs3"; 6]);
    assert_eq!(names("i: two@host", 6100)?, ["rs2"; 6]);
    assert_eq!(names("call-id: one@host", 6200)?, ["rs3"; 6]);
    let listing = lab.ipvsadm("-Lnc --persistent-conn")?;
    for (server, id) in [
        ("10.0.2.13:5060   sip                one@host", "one"),
        ("10.0.2.12:5060   sip                two@host", "two"),
    ] {
        ensure!(listing.lines().any(|line| line.contains("ASSURED") && line.ends_with(server)), "{id}: {listing}");
    }
    ensure!(lab.ipvsadm("-Ln")?.contains("UDP  10.0.1.10:5060 rr persistent 60 pe sip\n"));
    // A datagram of no call is dropped, and counted as such.
    ensure!(call(&lab, 6300, "From: nobody").is_err());
    ensure!(lab.reasons()?.get("no_call_id").is_some_and(|packets| *packets == 1), "{:?}", lab.reasons()?);
    drop(phones);
    Ok(())
}
