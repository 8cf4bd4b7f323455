//! Services with a thousand servers: the programs and the core in memory choose the same, in every scheduler.

use crate::common::in_namespace;
use crate::subject::{Subject, subjects};
use crate::{VIP, dest, key, settings};
use rvs_core::abi::ServiceKey;
use rvs_core::frames::{self, End, Shape};
use rvs_core::sched::Kind;
use rvs_intent::{Dest, Edit};
use rvs_wire::Be16;
use rvs_wire::ipv4::proto;
use rvs_wire::tcp::{ACK, FIN, RST, SYN};
use std::net::Ipv4Addr;

const SERVERS: u16 = 1000;

fn server(n: u16, weight: i32) -> Dest {
    Dest { port: Be16::new(80 + n / 200), ..dest(1 + usize::from(n % 200), weight) }
}

fn connect(subject: &mut dyn Subject, from: End, port: u16) -> Option<End> {
    let sent = subject.packet(&frames::tcp(from, (VIP, port), SYN, &Shape::default()))?;
    let to = Ipv4Addr::new(sent[30], sent[31], sent[32], sent[33]);
    (sent[23] == proto::TCP).then_some((to, u16::from_be_bytes([sent[36], sent[37]])))
}

/// Ends a connection: it counts as inactive then.
fn close(subject: &mut dyn Subject, from: End, behind: End, port: u16) {
    for (from, to, flags) in [(behind, from, SYN | ACK), (from, (VIP, port), FIN | ACK), (behind, from, RST | ACK)] {
        subject.packet(&frames::tcp(from, to, flags, &Shape::default()));
    }
}

/// Changes the service on the way: a server gone, one quiesced, one new.
fn change(key: ServiceKey) -> [Edit; 3] {
    let gone = server(500, 1);
    [
        Edit::DeleteDest(key, gone.addr, gone.port),
        Edit::EditDest(key, server(501, 0)),
        Edit::AddDest(key, server(SERVERS, 3)),
    ]
}

#[test]
fn a_thousand_servers_under_every_scheduler() {
    in_namespace(|| {
        let [mut programs, mut core] = subjects();
        for (port, kind) in (1000..).zip(Kind::ALL) {
            let key = key(proto::TCP, port);
            let servers = (0..SERVERS).map(|n| Edit::AddDest(key, server(n, 1 + i32::from(n % 5))));
            let edits: Vec<_> = std::iter::once(Edit::AddService(settings(key, kind.name()))).chain(servers).collect();
            programs.update(&edits);
            core.update(&edits);
            let mut met = std::collections::BTreeSet::new();
            for n in 0..1500u16 {
                if n == 700 {
                    programs.update(&change(key));
                    core.update(&change(key));
                }
                let from = (Ipv4Addr::new(10, 0, 3, (n % 250) as u8), 10000 + n);
                let by_programs = connect(programs.as_mut(), from, port);
                let behind = by_programs.unwrap_or_else(|| panic!("{} #{n}: nobody", kind.name()));
                met.insert(behind);
                if kind == Kind::Twos {
                    continue;
                }
                assert_eq!(connect(core.as_mut(), from, port), by_programs, "{} #{n}", kind.name());
                if n % 3 == 0 {
                    close(programs.as_mut(), from, behind, port);
                    close(core.as_mut(), from, behind, port);
                }
            }
            let spread = match kind {
                Kind::Dh | Kind::Fo => 1,
                Kind::Lblc | Kind::Lblcr | Kind::Sh | Kind::Ovf => 2,
                _ => 200,
            };
            assert!(met.len() >= spread, "{} met {} servers", kind.name(), met.len());
        }
    });
}
