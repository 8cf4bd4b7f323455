//! The ways from the client to real server 1, and the laboratories that they lead through.

use anyhow::{Context as _, Result, ensure};
use lab::topology::{VIP, server};
use lab::wait::{eventually, secs};
use lab::{Lab, Method, Netns, Running, Topology, http};
use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::path::Path;

/// Where iperf3 listens.
pub(crate) const IPERF: u16 = 5201;
/// Where datagrams are thrown away.
pub(crate) const DISCARD: u16 = 9;
/// Where distributions put nginx's stream module, unless it is built in.
const STREAM_MODULES: [&str; 2] =
    ["/usr/lib/nginx/modules/ngx_stream_module.so", "/usr/lib64/nginx/modules/ngx_stream_module.so"];

/// A way from the client to real server 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// Client and server on one network, nobody in between: what those two cost by themselves.
    Direct,
    /// The director's namespace forwards, nothing of ours attached.
    Plain,
    /// The same, with our programs attached, whose business the traffic is not.
    Bystander,
    /// nftables rewrites the destination, in turn.
    Numgen,
    /// The same, by hash.
    Jhash,
    /// HAProxy ends the connection and makes another.
    Haproxy,
    /// nginx does.
    Nginx,
    /// We rewrite, route or wrap, at TC.
    Tc(Method),
    /// Plain forwarding again, where senders finish every packet: XDP on such cables needs that.
    PlainFinished,
    /// We at XDP, the same.
    Xdp(Method),
}

impl Way {
    /// All, in the order of tables.
    pub(crate) const ALL: [Self; 14] = [
        Self::Direct,
        Self::Plain,
        Self::Bystander,
        Self::Numgen,
        Self::Jhash,
        Self::Haproxy,
        Self::Nginx,
        Self::Tc(Method::Nat),
        Self::Tc(Method::Dr),
        Self::Tc(Method::Tun),
        Self::PlainFinished,
        Self::Xdp(Method::Nat),
        Self::Xdp(Method::Dr),
        Self::Xdp(Method::Tun),
    ];

    /// What tables call it.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Direct => "direct, no director".into(),
            Self::Plain => "plain forwarding".into(),
            Self::Bystander => "plain, RVS attached".into(),
            Self::Numgen => "nftables numgen".into(),
            Self::Jhash => "nftables jhash".into(),
            Self::Haproxy => "HAProxy tcp".into(),
            Self::Nginx => "nginx stream".into(),
            Self::Tc(method) => format!("RVS {} TC", method.name()),
            Self::PlainFinished => "plain, offloads off".into(),
            Self::Xdp(method) => format!("RVS {} XDP", method.name()),
        }
    }

    /// The plain forwarding that it is compared with.
    pub(crate) const fn ceiling(self) -> Self {
        match self {
            Self::PlainFinished | Self::Xdp(_) => Self::PlainFinished,
            _ => Self::Plain,
        }
    }

    /// Whether it carries connections only.
    pub(crate) const fn is_proxy(self) -> bool {
        matches!(self, Self::Haproxy | Self::Nginx)
    }

    /// Where the client finds the server.
    pub(crate) const fn address(self) -> Ipv4Addr {
        match self {
            Self::Direct | Self::Plain | Self::Bystander | Self::PlainFinished => server(1),
            _ => VIP,
        }
    }

    /// Where the web server listens. Ways on which the client sees another address than the server must not share a port: the
    /// same client ports come up again and again, and to the server (and the director) they would belong to connections of
    /// the round before, with other timestamps.
    pub(crate) const fn web_port(self) -> u16 {
        match self {
            Self::Direct | Self::Plain | Self::Bystander | Self::PlainFinished => http::OTHER_PORT,
            _ => http::PORT,
        }
    }

    const fn method(self) -> Method {
        match self {
            Self::Tc(method) | Self::Xdp(method) => method,
            _ => Method::Nat,
        }
    }

    /// Whether our programs are to be there.
    const fn is_served(self) -> bool {
        matches!(self, Self::Bystander | Self::Tc(_) | Self::Xdp(_))
    }
}

/// A laboratory, with its servers.
pub(crate) struct Site {
    pub(crate) lab: Lab,
    method: Method,
    finished: bool,
    _iperf: Running,
}

impl Site {
    /// All laboratories that these ways need.
    pub(crate) fn of(ways: &[Way]) -> Result<Vec<Self>> {
        let mut sites: Vec<Self> = Vec::new();
        for way in ways {
            if !sites.iter().any(|site| site.fits(*way)) {
                let site = Self::new(way.method(), way.ceiling() == Way::PlainFinished);
                sites.push(site.with_context(|| format!("building a laboratory for {}", way.name()))?);
            }
        }
        Ok(sites)
    }

    /// Whether a way leads through it.
    pub(crate) fn fits(&self, way: Way) -> bool {
        self.method == way.method() && self.finished == (way.ceiling() == Way::PlainFinished)
    }

    fn new(method: Method, finished: bool) -> Result<Self> {
        let lab = Lab::topology(Topology::of(method).servers(1).offloads(!finished).http())?;
        if finished {
            // A veth takes redirected frames only when its other end, the switch's, receives like a driver does; and the
            // switch must not send on what it then puts together as one large packet.
            for port in ["cl.eth0", "dr.eth0", "dr.eth1", "rt.eth0", "rt.eth1", "rs1.eth0"] {
                lab.switch().command("ethtool").args(&format!("-K {port} gro on tx off tso off gso off")).ok()?;
            }
        }
        // wrk opens tens of thousands of connections in a second, and so do proxies.
        for ns in [lab.client(), lab.director(), lab.router()] {
            ns.sysctl("ipv4/ip_local_port_range", "1024 65535")?;
            ns.sysctl("ipv4/tcp_tw_reuse", "1")?;
        }
        let discard = format!(
            "table inet bench {{\nchain pre {{\ntype filter hook prerouting priority -300\nudp dport {DISCARD} drop\n}}\n}}\n"
        );
        lab.server(1).command("nft").args("-f -").stdin(discard).ok()?;
        let iperf = lab.server(1).command("iperf3").args(&format!("-s -p {IPERF}")).serve(&lab.dir().join("iperf"))?;
        eventually(secs(10), || {
            lab.server(1).enter(|| TcpStream::connect((Ipv4Addr::LOCALHOST, IPERF)))??;
            Ok(())
        })?;
        for port in [IPERF, http::PORT] {
            lab.serve("-t", SocketAddrV4::new(VIP, port), "-s rr", port, &[1])?;
        }
        lab.serve("-u", SocketAddrV4::new(VIP, DISCARD), "-s rr", DISCARD, &[1])?;
        if method == Method::Nat {
            // The plain ways lead through the director's namespace as well.
            lab.client().ip("route replace 10.0.2.0/24 via 10.0.1.1")?;
        }
        lab.warm()?;
        let site = Self { lab, method, finished, _iperf: iperf };
        site.attach("detach")?;
        Ok(site)
    }

    /// Makes this way the one that packets take, until what is returned is dropped or closed.
    pub(crate) fn open(&self, way: Way) -> Result<Open<'_>> {
        let mut open = Open { site: self, way, peer: None };
        match way {
            Way::Bystander | Way::Tc(_) => self.attach("attach --mode tc")?,
            Way::Xdp(_) => self.attach("attach --mode xdp")?,
            Way::Numgen => self.rules(include_str!("peers/numgen.nft"))?,
            Way::Jhash => self.rules(include_str!("peers/jhash.nft"))?,
            Way::Haproxy => {
                let config = self.config("haproxy.cfg", include_str!("peers/haproxy.cfg"))?;
                open.peer = Some(self.peer("haproxy", &format!("-db -f {config}"))?);
            }
            Way::Nginx => {
                let config = self.config("stream.conf", include_str!("peers/nginx.conf"))?;
                let dir = self.lab.dir().display();
                open.peer = Some(self.peer("nginx", &format!("-e stderr -p {dir} -c {config}"))?);
            }
            Way::Direct | Way::Plain | Way::PlainFinished => {}
        }
        // Neighbours that have not been heard of for a while are asked for again, which is not to be measured.
        self.lab.warm()?;
        Ok(open)
    }

    fn attach(&self, command: &str) -> Result<()> {
        let (verb, mode) = command.split_once(' ').unwrap_or((command, ""));
        for interface in ["eth0", "eth1"] {
            self.lab.rvs(&format!("{verb} {interface} {mode}"))?;
        }
        Ok(())
    }

    fn rules(&self, text: &str) -> Result<()> {
        self.lab.director().command("nft").args("-f -").stdin(self.fill(text)).ok().map(drop)
    }

    fn fill(&self, text: &str) -> String {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from).to_string();
        let module = STREAM_MODULES.into_iter().find(|path| Path::new(path).exists());
        let module = module.map_or_else(String::new, |path| format!("load_module {path};"));
        // Comments name the words, too.
        let lines = text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n") + "\n";
        lines
            .replace("VIP", &VIP.to_string())
            .replace("SERVER", &server(1).to_string())
            .replace("CPUS", &cpus)
            .replace("MODULE", &module)
            .replace("DIR", &self.lab.dir().display().to_string())
    }

    fn config(&self, name: &str, text: &str) -> Result<String> {
        let path = self.lab.dir().join(name);
        fs::write(&path, self.fill(text)).with_context(|| format!("writing {}", path.display()))?;
        Ok(path.display().to_string())
    }

    fn peer(&self, program: &str, args: &str) -> Result<Running> {
        let log = self.lab.dir().join(format!("{program}.log"));
        let mut running = self.lab.director().command(program).args(args).serve(&log)?;
        let ready = eventually(secs(10), || {
            ensure!(running.alive(), "{program} has ended: {}", fs::read_to_string(&log).unwrap_or_default());
            self.lab.client().enter(|| TcpStream::connect((VIP, http::PORT)))??;
            Ok(())
        });
        ready.with_context(|| format!("{program} does not listen"))?;
        Ok(running)
    }
}

/// A way that is open.
pub(crate) struct Open<'a> {
    pub(crate) site: &'a Site,
    pub(crate) way: Way,
    peer: Option<Running>,
}

impl Open<'_> {
    /// Where the client is.
    pub(crate) fn client(&self) -> Netns {
        // The router has an address in the servers' network.
        if self.way == Way::Direct { self.site.lab.router() } else { self.site.lab.client() }
    }

    /// Takes it back.
    pub(crate) fn close(mut self) -> Result<()> {
        if let Some(peer) = self.peer.take() {
            peer.stop(nix::sys::signal::Signal::SIGTERM)?;
        }
        if matches!(self.way, Way::Numgen | Way::Jhash) {
            self.site.lab.director().command("nft").args("delete table ip bench").ok()?;
        }
        if self.way.is_served() {
            self.site.attach("detach")?;
        }
        Ok(())
    }
}
