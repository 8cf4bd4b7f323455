//! What traffic had left in a recorded table: counters and connections, read from the recorded listing itself. The replay has no
//! packets; it is the text that is compared. That the figures come out right under traffic is for other tests to show.

use rvs_config::names::Names;
use rvs_core::abi::{Counters, Forward, ServiceKey};
use rvs_intent::{Connection, Listing, Rates};
use rvs_wire::{Addr, Be16, Family};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The numbers of each line, by the service's name and the destination's.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    columns: Columns,
    lines: HashMap<(String, String), Vec<u64>>,
}

/// What the last numbers of a line are.
#[derive(Clone, Copy, Debug, Default)]
enum Columns {
    /// Active and inactive connections.
    #[default]
    Counts,
    /// Templates, active and inactive connections.
    Persistent,
    Stats,
    Rates,
}

impl Figures {
    /// Of the listing that a command printed.
    pub(crate) fn of(command: &str, text: &str) -> Self {
        let has = |option: &str| command.contains(option);
        let (columns, count) = match () {
            () if has("--stats") => (Columns::Stats, 5),
            () if has("--rate") => (Columns::Rates, 5),
            () if has("--persistent-conn") => (Columns::Persistent, 3),
            () => (Columns::Counts, 2),
        };
        let (mut lines, mut service) = (HashMap::new(), String::new());
        for line in text.lines().skip(3) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let dest = match words.as_slice() {
                ["->", dest, ..] => (*dest).to_owned(),
                [proto, at, ..] => {
                    service = format!("{proto} {at}");
                    String::new()
                }
                _ => continue,
            };
            let numbers = words.iter().rev().take(count).rev().filter_map(|word| word.parse().ok()).collect();
            lines.insert((service.clone(), dest), numbers);
        }
        Self { columns, lines }
    }

    /// Puts them into a listing.
    pub(crate) fn fill(&self, listing: &mut Listing) {
        for listed in &mut listing.services {
            let service = name(&listed.service.key);
            if let Some(numbers) = self.lines.get(&(service.clone(), String::new())) {
                self.read(numbers, &mut listed.counters, &mut listed.rates);
            }
            for dest in &mut listed.dests {
                let at = endpoint(dest.dest.addr, dest.dest.family, dest.dest.port);
                let Some(numbers) = self.lines.get(&(service.clone(), at)) else { continue };
                self.read(numbers, &mut dest.counters, &mut dest.rates);
                let small = |number: &u64| u32::try_from(*number).expect("a small number");
                match (self.columns, numbers.as_slice()) {
                    (Columns::Counts, [active, inactive]) => {
                        (dest.active, dest.inactive) = (small(active), small(inactive));
                    }
                    (Columns::Persistent, [templates, active, inactive]) => {
                        (dest.persist, dest.active, dest.inactive) = (small(templates), small(active), small(inactive));
                    }
                    _ => {}
                }
            }
        }
    }

    fn read(&self, numbers: &[u64], counters: &mut Counters, rates: &mut Rates) {
        let &[conns, in_pkts, out_pkts, in_bytes, out_bytes] = numbers else { return };
        match self.columns {
            Columns::Stats => *counters = Counters { conns, in_pkts, out_pkts, in_bytes, out_bytes },
            _ => {
                *rates = Rates { cps: conns, in_pps: in_pkts, out_pps: out_pkts, in_bps: in_bytes, out_bps: out_bytes }
            }
        }
    }
}

fn name(key: &ServiceKey) -> String {
    let [.., mark] = key.addr.words();
    match key.proto {
        0 => format!("FWM {mark}"),
        proto => {
            let proto = [(6, "TCP"), (17, "UDP"), (132, "SCTP")].into_iter().find(|(number, _)| *number == proto);
            let at = endpoint(key.addr, Family::from_raw(key.family).expect("a family"), key.port);
            format!("{} {at}", proto.expect("a protocol").1)
        }
    }
}

fn endpoint(addr: Addr, family: Family, port: Be16) -> String {
    match addr.to_ip(family) {
        IpAddr::V4(v4) => format!("{v4}:{}", port.host()),
        IpAddr::V6(v6) => format!("[{v6}]:{}", port.host()),
    }
}

/// A line of `ipvsadm -Lc` read back.
pub(crate) fn connection(line: &str, names: &dyn Names) -> Option<Connection> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [proto, expires, state, client, virt, dest] = words.as_slice() else { return None };
    let proto = match *proto {
        "IP" => 0,
        "TCP" => 6,
        "UDP" => 17,
        "SCTP" => 132,
        _ => return None,
    };
    let (minutes, seconds) = expires.split_once(':')?;
    let (client, family) = read_endpoint(client, proto, names)?;
    let (mut virt, _) = read_endpoint(virt, proto, names)?;
    let (dest, dest_family) = read_endpoint(dest, proto, names)?;
    if proto == 0 {
        let [.., mark] = virt.0.words();
        virt.0 = Addr::mark(u32::from_be(mark));
    }
    Some(Connection {
        proto,
        family,
        client,
        virt,
        dest,
        dest_family,
        forward: Forward::Masq,
        state: Box::leak(state.to_string().into_boxed_str()),
        expires_secs: minutes.parse::<u32>().ok()? * 60 + seconds.parse::<u32>().ok()?,
        template: ["ASSURED", "NONE"].contains(state),
        engine: None,
    })
}

fn read_endpoint(text: &str, proto: u8, names: &dyn Names) -> Option<((Addr, Be16), Family)> {
    let (host, port) = text.rsplit_once(':')?;
    let ip: IpAddr = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(v6) => v6.parse::<Ipv6Addr>().ok()?.into(),
        None => host.parse::<Ipv4Addr>().ok()?.into(),
    };
    let (addr, family) = Addr::from_ip(ip);
    let port = port.parse().ok().or_else(|| names.port(port, proto))?;
    Some(((addr, Be16::new(port)), family))
}
