//! What lblc and lblcr remember in the kernel, and when it goes.
#![allow(clippy::unwrap_used)] // A failed step is a failed test.

mod common;

use common::{SMALL, in_namespace, veth_pair};
use rvs_core::abi::ServiceKey;
use rvs_core::frames::{self, Shape};
use rvs_core::settings::Settings;
use rvs_dataplane::Dataplane;
use rvs_dataplane::kernel::{Director, Hook};
use rvs_intent::{Dest, Edit, ServiceSettings};
use rvs_wire::tcp::SYN;
use rvs_wire::{Be16, Family};
use std::net::Ipv4Addr;

const SERVICES: u8 = 8;

fn vip(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 8, 0, n)
}

fn settings(n: u8, sched: &str) -> ServiceSettings {
    let key = ServiceKey { addr: vip(n).into(), port: Be16::new(80), proto: 6, family: Family::V4.raw() };
    let netmask = Ipv4Addr::BROADCAST.into();
    ServiceSettings { key, sched: sched.into(), flags: 0, persist_secs: 0, netmask, engine: None }
}

/// Eight services, half of them with lblc and half with lblcr, and a connection to each.
fn asked() -> Director {
    veth_pair();
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
    let mut director = Director::open_with(&SMALL).unwrap();
    for n in 0..SERVICES {
        let settings = settings(n, if n % 2 == 0 { "lblc" } else { "lblcr" });
        let key = settings.key;
        let dests = (0..3).map(|d| Edit::AddDest(key, Dest { port: Be16::new(81 + d), ..common::dest(0, 100) }));
        let edits: Vec<_> = std::iter::once(Edit::AddService(settings)).chain(dests).collect();
        director.update(&edits).unwrap();
    }
    for n in 0..SERVICES {
        ask(&director, n, 1000);
        ask(&director, n, 1001);
    }
    director
}

/// Port of the server that gets a new connection.
fn ask(director: &Director, n: u8, port: u16) -> u16 {
    let mut frame = frames::tcp((Ipv4Addr::new(10, 9, 0, 9), port), (vip(n), 80), SYN, &Shape::default());
    frame[..6].fill(0);
    let run = director.test_run(Hook::Tc, &frame, 1).unwrap();
    assert_eq!(run.code, 7);
    u16::from_be_bytes([run.packet[36], run.packet[37]])
}

#[test]
fn an_address_is_remembered_once_and_goes_when_its_scheduler_does() {
    in_namespace(|| {
        let mut director = asked();
        assert_eq!(director.remembered_addresses().unwrap(), SERVICES.into());
        director.forget_addresses().unwrap();
        assert_eq!(director.remembered_addresses().unwrap(), SERVICES.into());
        director.update(&[Edit::EditService(settings(0, "wlc")), Edit::DeleteService(settings(1, "").key)]).unwrap();
        director.update(&[Edit::EditService(settings(0, "lblc"))]).unwrap();
        director.forget_addresses().unwrap();
        assert_eq!(director.remembered_addresses().unwrap(), u32::from(SERVICES) - 2);
    });
}

/// Sets after how many seconds lblc and lblcr forget.
fn expire(director: &mut Director, lblc: u32, lblcr: u32) {
    let change = |settings: &mut Settings| {
        (settings.lblc_expiration, settings.lblcr_expiration) = (lblc as i32, lblcr as i32);
        Ok::<(), rvs_dataplane::Error>(())
    };
    director.change_settings(change).unwrap();
}

#[test]
fn addresses_expire_in_every_thirtieth_round() {
    in_namespace(|| {
        let mut director = asked();
        let day = rvs_core::sched::cache::EXPIRATION;
        expire(&mut director, 0, day);
        // Which round the timer has come to by itself is not known; one of any thirty is the one that counts.
        (0..30).for_each(|_| director.forget_addresses().unwrap());
        assert_eq!(director.remembered_addresses().unwrap(), u32::from(SERVICES) / 2, "those of lblc are gone");
        expire(&mut director, day, 0);
        (0..30).for_each(|_| director.forget_addresses().unwrap());
        assert_eq!(director.remembered_addresses().unwrap(), 0);
    });
}

#[test]
fn a_server_that_comes_back_gets_its_addresses_again() {
    in_namespace(|| {
        let mut director = asked();
        let key = settings(0, "").key;
        let chosen = ask(&director, 0, 2000);
        let server = Dest { port: Be16::new(chosen), ..common::dest(0, 100) };
        let change = |director: &mut Director, edit: Edit| director.update(&[edit]).unwrap();
        // Another server joins: the address stays.
        change(&mut director, Edit::AddDest(key, Dest { port: Be16::new(99), ..common::dest(0, 100) }));
        assert_eq!(ask(&director, 0, 2001), chosen);
        change(&mut director, Edit::DeleteDest(key, server.addr, server.port));
        change(&mut director, Edit::AddDest(key, server.clone()));
        assert_eq!(ask(&director, 0, 2002), chosen, "nobody asked in between");
        change(&mut director, Edit::EditDest(key, Dest { weight: 0, ..server.clone() }));
        let other = ask(&director, 0, 2003);
        assert_ne!(other, chosen);
        change(&mut director, Edit::EditDest(key, server));
        assert_eq!(ask(&director, 0, 2004), other, "the address has moved");
    });
}
