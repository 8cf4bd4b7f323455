//! The recorded files of IPVS, taken apart and printed again: equal bytes. Taking apart is done here, by other means than the
//! formats of the parent module.

use super::*;
use rvs_core::abi::{Counters, Forward};
use rvs_intent::{Connection, Rates, Totals};
use std::net::{Ipv4Addr, Ipv6Addr};

const RECORDED: &str = include_str!("../../../../tests/golden/recorded/j1_proc.txt");

/// What the recorded kernel printed of a file, each time it was asked.
fn recorded(file: &str) -> Vec<&'static str> {
    let command = format!("$ cat /proc/net/{file}\n");
    let texts: Vec<_> = RECORDED
        .split(&command)
        .skip(1)
        .map(|rest| rest.split_once("[status 0]").expect("a command ends with its status").0)
        .collect();
    assert!(texts.len() >= 4, "{file}");
    texts
}

fn numbers(line: &str) -> Vec<u64> {
    line.split_whitespace().map(|word| u64::from_str_radix(word, 16).unwrap_or_else(|_| panic!("{line}"))).collect()
}

fn counters(numbers: &[u64]) -> Counters {
    let &[conns, in_pkts, out_pkts, in_bytes, out_bytes] = numbers else { panic!("{numbers:?}") };
    Counters { conns, in_pkts, out_pkts, in_bytes, out_bytes }
}

fn rates(numbers: &[u64]) -> Rates {
    let &[cps, in_pps, out_pps, in_bps, out_bps] = numbers else { panic!("{numbers:?}") };
    Rates { cps, in_pps, out_pps, in_bps, out_bps }
}

fn text(print: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> String {
    let mut bytes = Vec::new();
    print(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn recorded_totals() {
    for file in recorded("ip_vs_stats") {
        let lines: Vec<&str> = file.lines().collect();
        let totals =
            Totals { counters: counters(&numbers(lines[2])), rates: rates(&numbers(lines[5])), ..Totals::default() };
        assert_eq!(text(|out| stats(&totals, out)), file);
    }
}

#[test]
fn recorded_totals_of_each_cpu() {
    for file in recorded("ip_vs_stats_percpu") {
        let lines: Vec<&str> = file.lines().collect();
        let totals = Totals {
            counters: counters(&numbers(&lines[4][3..])),
            rates: rates(&numbers(lines[7])),
            per_cpu: lines[2..4].iter().map(|line| counters(&numbers(&line[3..]))).collect(),
        };
        assert_eq!(text(|out| stats_percpu(&totals, out)), file);
    }
}

fn addr(word: &str) -> (Addr, Family) {
    match word.parse::<Ipv6Addr>() {
        Ok(v6) => (v6.into(), Family::V6),
        Err(_) => (Ipv4Addr::from(u32::from_str_radix(word, 16).unwrap()).into(), Family::V4),
    }
}

fn port(word: &str) -> Be16 {
    Be16::new(u16::from_str_radix(word, 16).unwrap())
}

fn parsed(line: &str) -> Connection {
    let words: Vec<&str> = line.split_whitespace().collect();
    let proto = match words[0] {
        "IP" => 0,
        "TCP" => 6,
        "UDP" => 17,
        other => panic!("{other}"),
    };
    let ((client, family), (virt, _), (dest, dest_family)) = (addr(words[1]), addr(words[3]), addr(words[5]));
    let virt = if proto == 0 { Addr::mark(u32::from_str_radix(words[3], 16).unwrap()) } else { virt };
    Connection {
        proto,
        family,
        client: (client, port(words[2])),
        virt: (virt, port(words[4])),
        dest: (dest, port(words[6])),
        dest_family,
        forward: Forward::Masq,
        state: ["ESTABLISHED", "UDP", "NONE", "ASSURED"].into_iter().find(|state| *state == words[7]).unwrap(),
        expires_secs: words[8].parse().unwrap(),
        template: words[2] == "0000",
        engine: None,
    }
}

#[test]
fn recorded_connections() {
    let mut count = 0;
    for file in recorded("ip_vs_conn") {
        let (head, lines) = file.split_at(file.find('\n').unwrap() + 1);
        assert_eq!(head, CONNECTIONS_HEAD);
        // Data of persistence engines is not kept here.
        for line in lines.lines().filter(|line| !line.contains(" sip ")) {
            assert_eq!(connection(&parsed(line)), format!("{line}\n"));
            count += 1;
        }
    }
    assert!(count >= 26, "{count}");
}
