//! Building and taking down a laboratory.

use crate::cleanup::{self, PREFIX, enrol_dir, enrol_namespace, ip_batch, is_root};
use crate::echo::Echo;
use crate::http::Http;
use crate::netns::Netns;
use crate::plan;
use crate::topology::{Family, Method, Topology};
use anyhow::{Context as _, Result, bail, ensure};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};

/// A laboratory that stands: namespaces, cables, addresses, servers. Dropping it removes everything.
#[derive(Debug)]
pub struct Lab {
    topology: Topology,
    prefix: String,
    namespaces: BTreeSet<String>,
    dir: PathBuf,
    ports: AtomicU16,
    echo: Vec<Echo>,
    http: Vec<Http>,
}

/// Builds a laboratory for a test. Without root's rights this says so on standard error, past the test harness, and there is
/// none.
pub fn start(topology: Topology) -> Result<Option<Lab>> {
    if is_root() {
        return Lab::topology(topology).map(Some);
    }
    let test = std::thread::current().name().unwrap_or("test").to_owned();
    writeln!(std::io::stderr(), "SKIPPED {test}: needs root, for network namespaces")?;
    Ok(None)
}

impl Lab {
    /// Builds it and starts its servers; needs root.
    pub fn topology(topology: Topology) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        ensure!(is_root(), "the laboratory needs root, for network namespaces");
        ensure!((1..=9).contains(&topology.servers), "1 to 9 real servers, not {}", topology.servers);
        cleanup::prepare();
        let prefix = topology
            .name
            .clone()
            .unwrap_or_else(|| format!("{PREFIX}{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        let dir = std::env::temp_dir().join(&prefix);
        let namespaces = plan::roles(&topology).iter().map(|role| format!("{prefix}-{role}")).collect();
        // From here on its Drop removes whatever there is of it.
        let mut lab =
            Self { topology, prefix, namespaces, dir, ports: AtomicU16::new(0), echo: Vec::new(), http: Vec::new() };
        lab.build().with_context(|| format!("cannot build the laboratory {}", lab.prefix))?;
        Ok(lab)
    }

    fn build(&mut self) -> Result<()> {
        if let Some(name) = self.namespaces.iter().find(|name| Netns::named(name.as_str()).path().exists()) {
            let name = name.clone();
            // What is there is not ours to remove.
            self.namespaces.clear();
            bail!("the namespace {name} exists already");
        }
        enrol_dir(&self.dir);
        fs::create_dir_all(&self.dir).with_context(|| format!("cannot make {}", self.dir.display()))?;
        self.namespaces.iter().for_each(|name| enrol_namespace(name));
        ip_batch(&["-batch", "-"], &self.namespaces.iter().map(|n| format!("netns add {n}\n")).collect::<String>())?;
        for name in &self.namespaces {
            let ns = Netns::named(name.as_str());
            ns.sysctl("ipv4/conf/all/rp_filter", "0")?;
            ns.sysctl("ipv4/conf/default/rp_filter", "0")?;
            // Addresses serve at once, and no host looks for routers that advertise themselves.
            ns.sysctl("ipv6/conf/default/accept_dad", "0")?;
            ns.sysctl("ipv6/conf/default/router_solicitations", "0")?;
        }
        self.role("sw").ip_batch(&plan::switch(&self.topology, |role| format!("{}-{role}", self.prefix)))?;
        self.client().ip_batch(&plan::client(&self.topology))?;
        self.router().ip_batch(&plan::router())?;
        self.director().ip_batch(&plan::director())?;
        for gateway in [self.router(), self.director()] {
            gateway.sysctl("ipv4/ip_forward", "1")?;
            gateway.sysctl("ipv6/conf/all/forwarding", "1")?;
            for scope in ["all", "eth0", "eth1"] {
                gateway.sysctl(&format!("ipv4/conf/{scope}/send_redirects"), "0")?;
            }
            // Tests provoke more ICMP errors in a second than the kernel would send.
            gateway.sysctl("ipv4/icmp_ratelimit", "0")?;
            gateway.sysctl("ipv6/icmp/ratelimit", "0")?;
        }
        for n in self.numbers() {
            self.build_server(n)?;
        }
        if !self.topology.offloads {
            self.offloads_off()?;
        }
        self.start_servers()
    }

    fn build_server(&self, n: u8) -> Result<()> {
        let ns = self.server(n);
        if plan::holds_vip(&self.topology) {
            // The real servers must not answer ARP for the virtual address.
            ns.sysctl("ipv4/conf/all/arp_ignore", "1")?;
            ns.sysctl("ipv4/conf/all/arp_announce", "2")?;
        }
        ns.ip_batch(&plan::real_server(&self.topology, n))?;
        if self.topology.method == Method::Tun {
            ns.command(crate::director::tool("rvs")?).args("decap attach eth0").ok()?;
        }
        Ok(())
    }

    fn offloads_off(&self) -> Result<()> {
        let two = ["eth0", "eth1"].as_slice();
        let mut ends = vec![(self.client(), &two[..1]), (self.router(), two), (self.director(), two)];
        ends.extend(self.numbers().map(|n| (self.server(n), &two[..1])));
        for (ns, interfaces) in ends {
            for interface in interfaces {
                ns.command("ethtool").args(&format!("-K {interface} tx off tso off gso off gro off")).ok()?;
            }
        }
        Ok(())
    }

    fn start_servers(&mut self) -> Result<()> {
        for n in self.numbers() {
            let holds_vip = plan::holds_vip(&self.topology);
            let of = |family: Family| [Some(family.server(n)), holds_vip.then_some(family.vip())].into_iter().flatten();
            let addresses: Vec<IpAddr> = Family::ALL.into_iter().flat_map(of).collect();
            self.echo.push(Echo::start(&self.server(n), &format!("rs{n}"), &addresses)?);
        }
        if self.topology.http {
            for n in self.numbers() {
                self.http.push(Http::start(&self.server(n), &format!("rs{n}"), &self.dir)?);
            }
        }
        self.http.iter().try_for_each(Http::ready)
    }

    /// The method that it is made for.
    pub fn method(&self) -> Method {
        self.topology.method
    }

    /// Numbers of the real servers, from 1.
    pub fn numbers(&self) -> std::ops::RangeInclusive<u8> {
        1..=self.topology.servers
    }

    /// How the names of its namespaces begin.
    pub fn name(&self) -> &str {
        &self.prefix
    }

    /// A directory of its own, removed with it.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The client's namespace.
    pub fn client(&self) -> Netns {
        self.role("cl")
    }

    /// The router's namespace.
    pub fn router(&self) -> Netns {
        self.role("rt")
    }

    /// The director's namespace.
    pub fn director(&self) -> Netns {
        self.role("dr")
    }

    /// The namespace of real server `n`, counted from 1.
    pub fn server(&self, n: u8) -> Netns {
        self.role(&format!("rs{n}"))
    }

    /// The namespace of the two bridges; their ports are named after what hangs on them, such as `dr.eth1`.
    pub fn switch(&self) -> Netns {
        self.role("sw")
    }

    fn role(&self, role: &str) -> Netns {
        Netns::named(format!("{}-{role}", self.prefix))
    }

    /// Counts the source ports given out.
    pub(crate) fn next_port(&self) -> u16 {
        self.ports.fetch_add(1, Ordering::Relaxed)
    }

    /// Fills the neighbour tables, so that a capture that follows holds the packets of interest only.
    pub fn warm(&self) -> Result<()> {
        for family in Family::ALL {
            for n in self.numbers() {
                self.ping(&self.director(), family.server(n))?;
                self.ping(&self.router(), family.server(n))?;
            }
            for address in [family.director_front(), family.router_front(), family.vip()] {
                self.ping(&self.client(), address)?;
            }
        }
        Ok(())
    }

    /// One echo request from a namespace, which must be answered.
    pub fn ping(&self, from: &Netns, to: impl Into<IpAddr>) -> Result<()> {
        from.command("ping").args("-q -n -c 1 -W 2").arg(to.into().to_string()).ok().map(drop)
    }

    /// Leaves it all standing and running for good; [`cleanup::remove_named`] takes it down. Servers inside this process end
    /// with it.
    pub fn keep(mut self) {
        self.http.drain(..).for_each(Http::detach);
        cleanup::forget(&self.namespaces, &self.dir);
        self.namespaces.clear();
        self.dir = PathBuf::new();
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.http.clear();
        self.echo.clear();
        if !self.namespaces.is_empty() {
            cleanup::remove(&self.namespaces, &self.dir);
        }
    }
}
