//! `rvs trace`: live packets with what became of them, one a line, until stopped.

use crate::report;
use crate::stream::unwritten;
use clap::Args;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rvs_core::trace::{Event, hook};
use rvs_core::verdict::Reason;
use rvs_dataplane::Error;
use rvs_dataplane::kernel::Director;
use rvs_dataplane::kernel::explain::protocol;
use rvs_dataplane::kernel::trace::{Filter, Tracing, time_of_day, wall_clock};
use rvs_wire::ipv4::proto;
use rvs_wire::{Addr, Be16, Family};
use serde_json::{Value, json};
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::str::FromStr;
use std::time::{Duration, Instant, SystemTime};

use crate::explain::End;

/// Which packets, and how many.
#[derive(Args, Debug, Clone)]
pub struct Options {
    /// Stop after so many packets
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Stop after so many seconds
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
    /// Only packets that fit all of: host ADDRESS, port PORT, reason REASON (`rvs stats` lists them), service
    /// `ADDRESS[:PORT]`; joined by `and`
    #[arg(long, value_name = "FILTER", default_value = "")]
    filter: Wanted,
    /// One of N of those packets on each CPU, written 1/N
    #[arg(long, value_name = "1/N", default_value = "1/1", value_parser = sample)]
    sample: u32,
}

fn sample(text: &str) -> Result<u32, String> {
    match text.strip_prefix("1/").unwrap_or(text).parse() {
        Ok(n @ 1..) => Ok(n),
        _ => Err(format!("`{text}` is no fraction of packets: 1/1, 1/10, 1/1000 …")),
    }
}

/// A filter as it is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted(Filter);

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut filter = Filter::default();
        let mut words = text.split_whitespace().filter(|word| *word != "and");
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("what {word}?"))?;
            let again = match word {
                "host" => {
                    let host = value.parse().map_err(|_| format!("`{value}` is no IP address"))?;
                    filter.host.replace(host).is_some()
                }
                "port" => match value.parse() {
                    Ok(port @ 1..) => filter.port.replace(port).is_some(),
                    _ => return Err(format!("`{value}` is no port: 1 to 65535")),
                },
                "reason" => {
                    let reason = Reason::ALL.iter().find(|reason| reason.label() == value);
                    let reason = reason.ok_or_else(|| format!("`{value}` is no reason; `rvs stats` lists them"))?;
                    filter.reason.replace(*reason).is_some()
                }
                "service" => {
                    let End(ip, port) = value.parse()?;
                    filter.service.replace((ip, port.unwrap_or(0))).is_some()
                }
                _ => return Err(format!("`{word}` is none of host, port, reason, service")),
            };
            if again {
                return Err(format!("more than one {word}: a packet must fit all of the filter"));
            }
        }
        Ok(Self(filter))
    }
}

/// Runs the command.
///
/// # Errors
/// No director, another reader, or an output that cannot be written.
pub fn run(options: &Options, as_json: bool, out: &mut dyn Write, err: &mut dyn Write) -> Result<(), Error> {
    let none = || Error::State("there is no director in this network namespace: no packet is balanced".to_owned());
    let director = Director::existing()?.ok_or_else(none)?;
    let system = |source: nix::Error| Error::Io { context: "waiting for signals".to_owned(), source: source.into() };
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
    signals.thread_block().map_err(system)?;
    let stop = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC).map_err(system)?;
    let mut tracing = director.trace(&options.filter.0, options.sample)?;
    let end = options.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let printed = print(&mut tracing, options.count, end, &stop, as_json, out);
    let lost = tracing.lost()?;
    drop(tracing);
    if lost != 0 {
        // A standard error that cannot be written leaves nobody to tell.
        let _ = writeln!(
            err,
            "rvs: {lost} packets were not told of: they came faster than they were printed; see --sample"
        );
    }
    match printed {
        // Who has seen enough closes the pipe.
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

fn print(
    tracing: &mut Tracing,
    count: Option<u64>,
    end: Option<Instant>,
    stop: &SignalFd,
    as_json: bool,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let mut gathered = String::new();
    for number in 0..count.unwrap_or(u64::MAX) {
        let event = match tracing.ready() {
            // They come faster than they are printed: nobody waits, so time and signals are looked at here.
            Some(_) if number % FLOOD == 0 && over(tracing, end, stop)? => break,
            Some(event) => Some(event),
            None => {
                write(out, &mut gathered)?;
                tracing.next(end, Some(stop.as_fd()))?
            }
        };
        let Some(event) = event else { break };
        let at = wall_clock(&event);
        gathered += &if as_json { report::json_line(&value(&event, at)) } else { line(&event, time_of_day(at)) };
        if gathered.len() >= ENOUGH {
            write(out, &mut gathered)?;
        }
    }
    write(out, &mut gathered)
}

/// Bytes of lines that are written at once, when events are not waited for.
const ENOUGH: usize = 1 << 14;
/// How many events go by between two looks at clock and signals, when events are not waited for.
const FLOOD: u64 = 64;

fn over(tracing: &Tracing, end: Option<Instant>, stop: &SignalFd) -> Result<bool, Error> {
    Ok(end.is_some_and(|end| end <= Instant::now()) || tracing.is_stopped(stop.as_fd())?)
}

fn write(out: &mut dyn Write, lines: &mut String) -> Result<(), Error> {
    out.write_all(lines.as_bytes()).and_then(|()| out.flush()).map_err(unwritten)?;
    lines.clear();
    Ok(())
}

const fn hook_name(number: u8) -> &'static str {
    match number {
        hook::TC => "tc",
        hook::XDP => "xdp",
        hook::MARK => "mark",
        hook::OUT => "out",
        _ => "unknown",
    }
}

fn reason(event: &Event) -> (&'static str, &'static str) {
    Reason::from_raw(event.reason).map_or(("unknown", "unknown"), |reason| (reason.label(), reason.outcome().label()))
}

/// Both ends; those of a packet without ports have port 0.
fn ends(event: &Event) -> Option<(SocketAddr, SocketAddr)> {
    let family = Family::from_raw(event.family)?;
    let end = |addr: Addr, port: Be16| SocketAddr::new(addr.to_ip(family), port.host());
    Some((end(event.src, event.sport), end(event.dst, event.dport)))
}

fn via(event: &Event) -> Option<SocketAddr> {
    let family = Family::from_raw(event.via_family)?;
    Some(SocketAddr::new(event.via.to_ip(family), event.via_port.host()))
}

/// An event for people.
fn line(event: &Event, [hour, minute, second, milli]: [u32; 4]) -> String {
    let (reason, _) = reason(event);
    let mut text = format!("{hour:02}:{minute:02}:{second:02}.{milli:03} {} {reason}", hook_name(event.hook));
    let Some((src, dst)) = ends(event) else { return text + "\n" };
    let has_ports = |number| matches!(number, proto::TCP | proto::UDP | proto::SCTP);
    let carrier = if event.about == 0 { event.proto } else { event.about };
    let end = |at: SocketAddr| if has_ports(carrier) { at.to_string() } else { at.ip().to_string() };
    text += &format!(" {}", protocol(event.proto));
    if event.about != 0 {
        text += &format!(" about {}", protocol(event.about));
    }
    text += &format!(" {} > {}", end(src), end(dst));
    if let Some(via) = via(event) {
        text += &format!(" {} {}", if event.outward == 0 { "via" } else { "as" }, end(via));
    }
    text + &format!(" len {}\n", event.len)
}

/// An event for scripts.
fn value(event: &Event, at: SystemTime) -> Value {
    let (reason, outcome) = reason(event);
    let time = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let mut value = json!({ "time": time, "hook": hook_name(event.hook), "reason": reason, "outcome": outcome });
    let Some((src, dst)) = ends(event) else { return value };
    value["protocol"] = json!(protocol(event.proto));
    value["length"] = json!(event.len);
    value["from"] = json!(src);
    value["to"] = json!(dst);
    if event.about != 0 {
        value["about"] = json!(protocol(event.about));
    }
    if event.conn != 0 {
        value["connection"] = json!(event.conn - 1);
    }
    if let Some(via) = via(event) {
        value[if event.outward == 0 { "via" } else { "as" }] = json!(via);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    fn event() -> Event {
        Event {
            src: Ipv4Addr::new(10, 0, 1, 100).into(),
            dst: Ipv4Addr::new(10, 0, 1, 10).into(),
            via: Ipv4Addr::new(10, 0, 2, 11).into(),
            sport: Be16::new(4000),
            dport: Be16::new(80),
            via_port: Be16::new(8080),
            conn: 8,
            len: 60,
            reason: Reason::NatIn as u8,
            family: 2,
            via_family: 2,
            proto: 6,
            ..Event::default()
        }
    }

    #[test]
    fn an_event_is_one_line() {
        let at = [12, 34, 56, 789];
        let begin = "12:34:56.789 tc nat_in TCP 10.0.1.100:4000 > 10.0.1.10:80";
        assert_eq!(line(&event(), at), format!("{begin} via 10.0.2.11:8080 len 60\n"));
        let icmp = Event { proto: 1, about: 6, reason: Reason::IcmpRelated as u8, hook: hook::MARK, ..event() };
        assert_eq!(
            line(&icmp, at),
            "12:34:56.789 mark icmp_related ICMP about TCP 10.0.1.100:4000 > 10.0.1.10:80 via 10.0.2.11:8080 len 60\n"
        );
        let gre = Event { proto: 47, via_family: 0, reason: Reason::NotBalanced as u8, hook: hook::XDP, ..event() };
        assert_eq!(line(&gre, at), "12:34:56.789 xdp not_balanced protocol 47 10.0.1.100 > 10.0.1.10 len 60\n");
        let arp = Event { reason: Reason::NotIp as u8, ..Event::default() };
        assert_eq!(line(&arp, at), "12:34:56.789 tc not_ip\n");
    }

    #[test]
    fn an_event_as_json() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1500);
        assert_eq!(
            value(&event(), at),
            json!({
                "time": 1.5, "hook": "tc", "reason": "nat_in", "outcome": "forwarded", "protocol": "TCP", "length": 60,
                "from": "10.0.1.100:4000", "to": "10.0.1.10:80", "connection": 7, "via": "10.0.2.11:8080",
            })
        );
    }

    #[test]
    fn filters_are_understood() {
        let filter = |text: &str| text.parse::<Wanted>().map(|wanted| wanted.0);
        let host = Some(IpAddr::from([10, 0, 1, 100]));
        assert_eq!(filter(""), Ok(Filter::default()));
        assert_eq!(
            filter("host 10.0.1.100 and port 80 reason nat_in"),
            Ok(Filter { host, port: Some(80), reason: Some(Reason::NatIn), service: None })
        );
        let service = filter("service [fd00::1]:443").unwrap().service.unwrap();
        assert_eq!((service.0.to_string(), service.1), ("fd00::1".to_owned(), 443));
        assert_eq!(filter("service 10.0.1.10").unwrap().service.unwrap().1, 0);
        for (text, why) in [
            ("host", "what host?"),
            ("host ten", "no IP address"),
            ("port 0", "no port"),
            ("reason why", "no reason"),
            ("service web", "none of ADDRESS"),
            ("color red", "none of host"),
            ("port 80 port 81", "more than one port"),
        ] {
            assert!(filter(text).unwrap_err().contains(why), "{text}");
        }
        assert_eq!((sample("1/10"), sample("7")), (Ok(10), Ok(7)));
        assert!(sample("1/0").is_err() && sample("2/3").is_err());
    }
}
