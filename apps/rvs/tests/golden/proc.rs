//! `rvs proc` against the recorded files of the kernel. The kernel prints services in the order of its hash table, so what is
//! compared is the set of services, each with its destinations in order.

use crate::recording::{Entry, entries, text};
use crate::world::Host;
use rvs_app::proc::File;
use rvs_core::abi::{Forward, ServiceKey};
use rvs_core::sched::Kind;
use rvs_dataplane::{Dataplane, Error, UpdateError};
use rvs_intent::{Capabilities, Connection, Edit, Listing};
use rvs_wire::{Addr, Be16, Family};
use std::io::Write;
use std::net::Ipv4Addr;
use std::ops::ControlFlow;

/// The three lines of the head, and the services in an order of our own.
fn blocks(file: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    for (index, line) in file.lines().enumerate() {
        if index >= 3 && !line.starts_with("  -> ") {
            blocks.push(String::new());
        }
        let block = blocks.last_mut().expect("there is the head");
        *block += line;
        block.push('\n');
    }
    blocks[1..].sort();
    blocks
}

/// Services whose scheduler this version has; the others could not be added.
fn possible(mut blocks: Vec<String>) -> Vec<String> {
    let known = |block: &String| {
        let sched = block.split_whitespace().nth(2).unwrap_or_default();
        block.starts_with("IP ") || Kind::ALL.iter().any(|kind| kind.name() == sched)
    };
    blocks.retain(known);
    blocks
}

fn is_ipvsadm(entry: &Entry) -> bool {
    entry.command.starts_with("ipvsadm -") && !entry.command.contains("-Z")
}

fn replay(host: &Host, entry: &Entry) {
    let args: Vec<&str> = entry.command.split(' ').skip(1).collect();
    host.ipvsadm(&args, "");
}

#[test]
fn the_recorded_table_of_every_kind_of_service() {
    let host = Host::new(Capabilities::ALL_IPVS);
    let mut compared = 0;
    for entry in entries(&text("recorded/j1_proc.txt")) {
        if is_ipvsadm(&entry) {
            replay(&host, &entry);
        }
        // The kernel's figures under traffic are not those of a table without.
        if entry.command == "cat /proc/net/ip_vs" && !entry.out.contains(" 1          0         \n") {
            assert_eq!(blocks(&host.proc(File::IpVs)), possible(blocks(&entry.out)), "line {}", entry.line);
            compared += entry.out.lines().count();
        }
    }
    assert!(compared > 35, "{compared} lines");
}

/// In this recording the file is a note, not a command.
#[test]
fn the_recorded_table_with_many_destinations() {
    let host = Host::new(Capabilities::ALL_IPVS);
    let recording = text("recorded/a1_ipvsadm_text.txt");
    let lines: Vec<&str> = recording.lines().collect();
    let mut compared = 0;
    let commands = entries(&recording);
    let mut commands = commands.iter().filter(|entry| is_ipvsadm(entry)).peekable();
    for (index, _) in lines.iter().enumerate().filter(|(_, line)| **line == "# /proc/net/ip_vs") {
        while let Some(entry) = commands.next_if(|entry| entry.line <= index) {
            replay(&host, entry);
        }
        let file: String = lines[index + 1..]
            .iter()
            .take_while(|line| !line.starts_with(['#', '=', '$']) && !line.is_empty())
            .map(|line| format!("{line}\n"))
            .collect();
        assert_eq!(blocks(&host.proc(File::IpVs)), possible(blocks(&file)), "line {}", index + 1);
        compared += file.lines().count();
    }
    assert!(compared > 40, "{compared} lines");
}

/// A data plane with as many connections as are asked for, none of which it keeps.
struct Many(u32);

impl Dataplane for Many {
    fn update(&mut self, _: &[Edit]) -> Result<(), UpdateError> {
        Ok(())
    }

    fn listing(&mut self) -> Result<Listing, Error> {
        Ok(Listing::default())
    }

    fn connections(&mut self) -> Result<Vec<Connection>, Error> {
        panic!("all connections at once");
    }

    fn each_connection(&mut self, visit: &mut dyn FnMut(&Connection) -> ControlFlow<()>) -> Result<(), Error> {
        let at = |n: u32| (Addr::from(Ipv4Addr::from(n)), Be16::new(80));
        let entry = |n| Connection {
            proto: 6,
            family: Family::V4,
            client: at(n),
            virt: at(1),
            dest: at(2),
            dest_family: Family::V4,
            forward: Forward::Masq,
            state: "ESTABLISHED",
            expires_secs: 900,
            template: false,
            engine: None,
        };
        let _ = (0..self.0).map(entry).try_for_each(|entry| visit(&entry));
        Ok(())
    }

    fn zero(&mut self, _: Option<ServiceKey>) -> Result<(), UpdateError> {
        Ok(())
    }
}

/// Counts what is written, in how many pieces; refuses from a given byte on.
#[derive(Default)]
struct Sink {
    bytes: usize,
    pieces: usize,
    largest: usize,
    closes_at: Option<usize>,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.closes_at.is_some_and(|at| self.bytes >= at) {
            return Err(std::io::ErrorKind::BrokenPipe.into());
        }
        self.bytes += bytes.len();
        self.pieces += 1;
        self.largest = self.largest.max(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_million_connections_are_printed_piece_by_piece() {
    let mut sink = Sink::default();
    rvs_app::proc::print(File::IpVsConn, &mut Many(1_000_000), &mut sink).expect("printed");
    let line = "TCP 0A000164 9C42 0A00010A 0050 0A00020D 0050 TIME_WAIT       119\n".len();
    assert_eq!(sink.bytes, 80 + 1_000_000 * line);
    assert!(sink.largest <= 1 << 16, "{} bytes at once", sink.largest);
}

#[test]
fn a_reader_that_has_seen_enough_ends_it() {
    let mut sink = Sink { closes_at: Some(1 << 17), ..Sink::default() };
    rvs_app::proc::print(File::IpVsConn, &mut Many(u32::MAX), &mut sink).expect("a closed pipe is no error");
    assert!(sink.pieces <= 4, "{} pieces", sink.pieces);
}
