//! How connections end, or do not, when their server is deleted or quiesced: through the programs in the kernel, as recorded
//! from IPVS.
#![allow(missing_docs, clippy::unwrap_used)] // A failed step is a failed test.

mod common;

use common::storm::VIP;
use common::{SMALL, in_namespace, ip, key};
use rvs_core::abi::{Forward, ServiceKey, flags};
use rvs_core::frames::{self, End, Shape};
use rvs_core::settings::Settings;
use rvs_dataplane::kernel::{Director, Hook};
use rvs_dataplane::{Dataplane, Error};
use rvs_intent::{Dest, Edit, ServiceSettings};
use rvs_wire::tcp::{ACK, SYN};
use rvs_wire::{Be16, Family};
use std::net::Ipv4Addr;

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 200);
/// `TC_ACT_REDIRECT`.
const SENT: u32 = 7;

fn server(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 2, 50 + n)
}

fn dest(n: u8, weight: i32) -> Dest {
    Dest {
        addr: server(n).into(),
        family: Family::V4,
        port: Be16::new(80),
        forward: Forward::Masq,
        ..common::dest(0, weight)
    }
}

fn service(proto: u8, port: u16) -> ServiceKey {
    ServiceKey { addr: VIP.into(), port: Be16::new(port), proto, ..key(1) }
}

struct Site(Director);

impl Site {
    /// Two servers, round robin, the second added last and so chosen first.
    fn new(key: ServiceKey, flags: u16, persist_secs: u32) -> Self {
        for line in [
            "link add v0 type veth peer name v1",
            "link set lo up",
            "addr add 10.0.2.1/24 dev v0",
            "addr add 10.0.1.1/24 dev v0",
            "link set v0 up",
            "link set v1 up",
        ] {
            ip(line);
        }
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
        let mut director = Director::open_with(&SMALL).unwrap();
        let settings = ServiceSettings {
            key,
            sched: "rr".into(),
            flags,
            persist_secs,
            netmask: Ipv4Addr::BROADCAST.into(),
            engine: None,
        };
        let edits = [Edit::AddService(settings), Edit::AddDest(key, dest(0, 1)), Edit::AddDest(key, dest(1, 1))];
        director.update(&edits).unwrap();
        Self(director)
    }

    fn set(&mut self, change: impl FnOnce(&mut Settings)) {
        let change = |settings: &mut Settings| {
            change(settings);
            Ok::<_, Error>(())
        };
        self.0.change_settings(change).unwrap();
    }

    fn send(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let mut frame = frame.to_vec();
        frame[..6].fill(0);
        let run = self.0.test_run(Hook::Tc, &frame, 1).unwrap();
        (run.code == SENT).then_some(run.packet)
    }

    /// Sends a segment; the server that gets it.
    fn segment(&self, port: u16, flags: u8) -> Option<Ipv4Addr> {
        let sent = self.send(&frames::tcp((CLIENT, port), (VIP, 80), flags, &Shape::default()))?;
        Some(Ipv4Addr::new(sent[30], sent[31], sent[32], sent[33])).filter(|to| *to != CLIENT)
    }

    /// Whether a packet of a server comes out as one of the virtual address.
    fn answered(&self, from: End, port: u16) -> bool {
        let sent = self.send(&frames::tcp(from, (CLIENT, port), ACK, &Shape::default()));
        sent.is_some_and(|sent| sent[26..30] == VIP.octets())
    }

    /// The servers of the listed connections (or templates), and their virtual ports.
    fn listed(&mut self, templates: bool) -> Vec<(u16, u16)> {
        let mut listed: Vec<_> =
            self.0.connections().unwrap().into_iter().filter(|c| c.template == templates).collect();
        listed.sort_by_key(|c| (c.virt.1.host(), c.client.1.host()));
        listed.iter().map(|c| (c.virt.1.host(), c.dest.1.host())).collect()
    }
}

#[test]
fn a_deleted_servers_connection_waits_for_its_return() {
    in_namespace(|| {
        let at = service(6, 80);
        let mut site = Site::new(at, 0, 0);
        assert_eq!((site.segment(5000, SYN), site.segment(5000, ACK)), (Some(server(1)), Some(server(1))));
        site.0.update(&[Edit::DeleteDest(at, server(1).into(), Be16::new(80))]).unwrap();
        assert_eq!(site.segment(5000, ACK), None, "client data goes nowhere");
        assert!(site.answered((server(1), 80), 5000), "server data comes out");
        assert_eq!((site.segment(5000, ACK), site.listed(false).len()), (None, 1));
        site.0.update(&[Edit::AddDest(at, dest(1, 1))]).unwrap();
        assert_eq!(site.segment(5000, ACK), Some(server(1)));
        let listing = site.0.listing().unwrap();
        let active: Vec<_> = listing.services[0].dests.iter().map(|dest| dest.active).collect();
        assert_eq!(active, [1, 0]);
    });
}

#[test]
fn a_deleted_servers_connections_end_at_once_when_told_so() {
    in_namespace(|| {
        let at = service(6, 80);
        let mut site = Site::new(at, flags::PERSISTENT, 60);
        site.set(|settings| settings.expire_nodest_conn = 1);
        assert_eq!((site.segment(5001, SYN), site.segment(5001, ACK)), (Some(server(1)), Some(server(1))));
        assert_eq!((site.listed(false).len(), site.listed(true).len()), (1, 1));
        site.0.update(&[Edit::DeleteDest(at, server(1).into(), Be16::new(80))]).unwrap();
        assert_eq!((site.listed(false).len(), site.listed(true).len()), (0, 0));
        assert_eq!(site.segment(5001, ACK), None);
        assert_eq!(site.segment(5001, SYN), Some(server(0)));
    });
}

#[test]
fn a_syn_leaves_a_quiesced_server_when_told_so() {
    in_namespace(|| {
        let at = service(6, 80);
        let mut site = Site::new(at, 0, 0);
        assert_eq!((site.segment(5002, SYN), site.segment(5002, ACK)), (Some(server(1)), Some(server(1))));
        site.0.update(&[Edit::EditDest(at, dest(1, 0))]).unwrap();
        assert_eq!(site.segment(5002, ACK), Some(server(1)));
        for port in 5010..5013 {
            assert_eq!(site.segment(port, SYN), Some(server(0)));
        }
        site.set(|settings| settings.expire_nodest_conn = 1);
        assert_eq!(site.segment(5002, ACK), Some(server(1)), "its data still goes there");
        assert_eq!(site.segment(5002, SYN), Some(server(0)));
    });
}

#[test]
fn a_client_leaves_a_quiesced_persistent_server_when_told_so() {
    in_namespace(|| {
        let at = service(6, 80);
        let mut site = Site::new(at, flags::PERSISTENT, 60);
        assert_eq!((site.segment(4000, SYN), site.segment(4000, ACK)), (Some(server(1)), Some(server(1))));
        site.0.update(&[Edit::EditDest(at, dest(1, 0))]).unwrap();
        assert_eq!(site.segment(4001, SYN), Some(server(1)));
        site.set(|settings| settings.expire_quiescent_template = 1);
        assert_eq!(site.segment(4002, SYN), Some(server(0)));
        assert_eq!(site.listed(true), [(80, 80), (65535, 65535)]);
        let listing = site.0.listing().unwrap();
        assert_eq!(listing.services[0].dests.iter().map(|dest| dest.persist).collect::<Vec<_>>(), [1, 1]);
    });
}

#[test]
fn datagrams_scheduled_one_by_one_leave_no_trace_but_their_counts() {
    in_namespace(|| {
        let at = service(17, 86);
        let mut site = Site::new(at, flags::ONE_PACKET, 0);
        let servers: Vec<_> = (0..4)
            .map(|_| site.send(&frames::udp((CLIENT, 7000), (VIP, 86), &Shape::default())).unwrap()[33])
            .collect();
        assert_eq!(servers, [51, 50, 51, 50]);
        assert_eq!(site.listed(false), []);
        assert!(site.send(&frames::udp((server(0), 80), (CLIENT, 7000), &Shape::default())).is_none());
        let listing = site.0.listing().unwrap();
        let of: Vec<_> = listing.services[0]
            .dests
            .iter()
            .map(|d| (d.active, d.inactive, d.counters.conns, d.counters.in_pkts, d.counters.out_pkts))
            .collect();
        assert_eq!(of, [(0, 0, 2, 2, 0); 2]);
        assert_eq!(site.0.status().unwrap().fill.connections, 0);
    });
}

#[test]
fn drop_packet_and_secure_tcp_act_in_the_kernel() {
    in_namespace(|| {
        let mut site = Site::new(service(6, 80), 0, 0);
        site.set(|settings| (settings.drop_packet, settings.am_droprate) = (3, 4));
        let taken = (0..20).filter(|n| site.segment(3000 + n, SYN).is_some()).count();
        assert_eq!(taken, 15);
        site.set(|settings| (settings.drop_packet, settings.secure_tcp) = (0, 3));
        site.segment(4000, SYN);
        site.segment(4000, ACK);
        let state = |site: &mut Site| {
            let all = site.0.connections().unwrap();
            all.iter().find(|c| c.client.1 == Be16::new(4000)).unwrap().state
        };
        assert_eq!(state(&mut site), "SYN_RECV", "a client's word is not enough");
        site.set(|settings| settings.secure_tcp = 0);
        site.segment(4000, ACK);
        assert_eq!(state(&mut site), "ESTABLISHED");
    });
}
