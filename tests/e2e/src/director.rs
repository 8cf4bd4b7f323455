//! The director as its administrator sees it: its command line tools, and their listings taken apart.

use crate::lab::Lab;
use crate::process::{NsCommand, Outcome};
use crate::topology::Family;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Environment variable that names the directory of the tools under test.
pub const BIN_DIR: &str = "RVS_BIN_DIR";

/// Path of a tool under test: `rvs`, `ipvsadm`, `ipvsadm-save` or `ipvsadm-restore`.
pub fn tool(name: &str) -> Result<PathBuf> {
    let dir = match std::env::var_os(BIN_DIR) {
        Some(dir) => PathBuf::from(dir),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/dist/sbin"),
    };
    let path = dir.join(name);
    ensure!(path.exists(), "there is no {}: run `cargo xtask dist`, or set {BIN_DIR}", path.display());
    Ok(std::path::absolute(path)?)
}

/// A virtual service as `ipvsadm -Ln` lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// `TCP`, `UDP`, `SCTP` or `FWM`.
    pub proto: String,
    /// Address and port.
    pub at: String,
    /// Scheduler.
    pub sched: String,
    /// What follows on its line.
    pub flags: String,
    /// Its destinations, in the order listed.
    pub dests: Vec<Dest>,
}

/// A destination as `ipvsadm -Ln` lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dest {
    /// Address and port.
    pub at: String,
    /// Forwarding method.
    pub forward: String,
    /// Weight.
    pub weight: u32,
    /// Active connections.
    pub active: u64,
    /// Inactive connections.
    pub inactive: u64,
}

/// A connection as `ipvsadm -Lnc` lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Protocol.
    pub proto: String,
    /// Time left, `MM:SS`.
    pub expire: String,
    /// State.
    pub state: String,
    /// Client.
    pub source: String,
    /// Virtual service.
    pub virt: String,
    /// Real server.
    pub dest: String,
}

impl Lab {
    /// A tool under test, to be run in the director's namespace.
    pub fn tool(&self, name: &str) -> Result<NsCommand> {
        Ok(self.director().command(tool(name)?))
    }

    /// Runs `ipvsadm` with these arguments, whatever comes of it.
    pub fn try_ipvsadm(&self, args: &str) -> Result<Outcome> {
        self.tool("ipvsadm")?.args(args).run()
    }

    /// Runs `ipvsadm` with these arguments, which must succeed, and returns its output.
    pub fn ipvsadm(&self, args: &str) -> Result<String> {
        self.try_ipvsadm(args)?.ok()
    }

    /// Runs `rvs` with these arguments, which must succeed, and returns its output.
    pub fn rvs(&self, args: &str) -> Result<String> {
        self.tool("rvs")?.args(args).ok()
    }

    /// The same, as JSON.
    pub fn rvs_json(&self, args: &str) -> Result<Value> {
        let text = self.rvs(args)?;
        serde_json::from_str(&text).with_context(|| format!("`rvs {args}` prints no JSON: {text}"))
    }

    /// Packets by the reason why they ended as they did, as `rvs stats` counts them.
    pub fn reasons(&self) -> Result<BTreeMap<String, u64>> {
        let stats = self.rvs_json("stats --json")?;
        let listed =
            stats.get("reasons").and_then(Value::as_array).with_context(|| format!("no reasons in {stats}"))?;
        let pair = |entry: &Value| {
            let name = entry.get("reason")?.as_str()?.to_owned();
            Some((name, entry.get("packets")?.as_u64()?))
        };
        listed.iter().map(|entry| pair(entry).with_context(|| format!("not a reason: {entry}"))).collect()
    }

    /// Applies lines as `ipvsadm -S` writes them.
    pub fn restore(&self, lines: &str) -> Result<String> {
        self.tool("ipvsadm")?.arg("-R").stdin(lines).ok()
    }

    /// Adds a service with these options (`-t`: TCP) and one destination for each real server, rs1 first, weight by weight.
    pub fn serve(
        &self,
        proto: &str,
        at: impl Into<SocketAddr>,
        options: &str,
        port: u16,
        weights: &[u32],
    ) -> Result<()> {
        let at = at.into();
        let mut lines = format!("-A {proto} {at} {options}\n");
        for (n, weight) in self.numbers().zip(weights) {
            let server = SocketAddr::new(Family::of(at.ip()).server(n), port);
            lines += &format!("-a {proto} {at} -r {server} {} -w {weight}\n", self.method().flag());
        }
        self.restore(&lines).map(drop)
    }

    /// The table, as `ipvsadm -Ln` shows it.
    pub fn table(&self) -> Result<Vec<Service>> {
        parse_table(&self.ipvsadm("-Ln")?)
    }

    /// The connections, as `ipvsadm -Lnc` shows them.
    pub fn connections(&self) -> Result<Vec<Connection>> {
        parse_connections(&self.ipvsadm("-Lnc")?)
    }

    /// Active and inactive connections of all destinations together.
    pub fn counts(&self) -> Result<(u64, u64)> {
        let table = self.table()?;
        let dests = table.iter().flat_map(|service| &service.dests);
        Ok(dests.fold((0, 0), |(active, inactive), dest| (active + dest.active, inactive + dest.inactive)))
    }
}

/// A listing of `ipvsadm -Ln` taken apart.
pub fn parse_table(text: &str) -> Result<Vec<Service>> {
    let mut services: Vec<Service> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with("IP ") && !line.starts_with("Prot ")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["->", "RemoteAddress:Port", ..] | [] => {}
            ["->", at, forward, weight, active, inactive] => {
                let dest = Dest {
                    at: (*at).to_owned(),
                    forward: (*forward).to_owned(),
                    weight: weight.parse()?,
                    active: active.parse()?,
                    inactive: inactive.parse()?,
                };
                services.last_mut().context("a destination before any service")?.dests.push(dest);
            }
            [proto @ ("TCP" | "UDP" | "SCTP" | "FWM"), at, sched, flags @ ..] => services.push(Service {
                proto: (*proto).to_owned(),
                at: (*at).to_owned(),
                sched: (*sched).to_owned(),
                flags: flags.join(" "),
                dests: Vec::new(),
            }),
            _ => anyhow::bail!("not a line of a table: {line:?}"),
        }
    }
    Ok(services)
}

fn parse_connections(text: &str) -> Result<Vec<Connection>> {
    let lines = text.lines().filter(|line| !line.starts_with("IPVS ") && !line.starts_with("pro "));
    let connections = lines.map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [proto, expire, state, source, virt, dest, ..] = words.as_slice() else {
            anyhow::bail!("not a line of a connection: {line:?}")
        };
        let own = |word: &&str| (*word).to_owned();
        Ok(Connection {
            proto: own(proto),
            expire: own(expire),
            state: own(state),
            source: own(source),
            virt: own(virt),
            dest: own(dest),
        })
    });
    connections.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_taken_apart() {
        let text = "IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  10.0.1.10:80 rr persistent 60
  -> 10.0.2.12:80                 Masq    1      2          3         
UDP  10.0.1.10:53 wlc
";
        let table = parse_table(text).unwrap();
        assert_eq!((table.len(), table[0].flags.as_str(), table[1].sched.as_str()), (2, "persistent 60", "wlc"));
        let dest = &table[0].dests[0];
        assert_eq!((dest.at.as_str(), dest.weight, dest.active, dest.inactive), ("10.0.2.12:80", 1, 2, 3));
    }

    #[test]
    fn connections_are_taken_apart() {
        let text = "IPVS connection entries
pro expire state       source             virtual            destination
TCP 01:59  TIME_WAIT   10.0.1.100:40002   10.0.1.10:80       10.0.2.13:80
";
        let connections = parse_connections(text).unwrap();
        assert_eq!((connections.len(), connections[0].state.as_str()), (1, "TIME_WAIT"));
    }
}
