//! What is told of a packet to whoever watches: the records that `rvs trace` and the programs share, and which packets are
//! wanted. Nothing here decides what becomes of a packet.

use crate::flow::Flow;
use crate::plan::Plan;
use crate::verdict::Reason;
use core::cell::Cell;
use rvs_wire::{Addr, Be16};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Where a packet was decided: values of [`Event::hook`].
pub mod hook {
    /// `rvs_tc`.
    pub const TC: u8 = 0;
    /// `rvs_xdp`.
    pub const XDP: u8 = 1;
    /// `rvs_mark`.
    pub const MARK: u8 = 2;
    /// `rvs_out`.
    pub const OUT: u8 = 3;
}

/// One packet and what became of it: a record in the ring buffer `EVENTS`.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Event {
    /// When: nanoseconds of the monotonic clock.
    pub time: u64,
    /// Source; of an ICMP error the two ends of the packet that it is about, turned round, as in [`Flow::key`].
    pub src: Addr,
    /// Destination.
    pub dst: Addr,
    /// Of a packet that is sent on: the address that it is sent to (NAT, tunnels, direct routing); of a reply the address that
    /// it is sent from.
    pub via: Addr,
    /// The connection's number plus 1; 0: of no connection.
    pub conn: u32,
    /// Length of the IP packet in bytes; 0: not an IP packet.
    pub len: u32,
    /// Source port.
    pub sport: Be16,
    /// Destination port.
    pub dport: Be16,
    /// Port that goes with `via`.
    pub via_port: Be16,
    /// One of [`hook`].
    pub hook: u8,
    /// The [`Reason`]'s number.
    pub reason: u8,
    /// Family of the packet; 0: not understood as IP, no other field but `time`, `hook` and `reason` says anything.
    pub family: u8,
    /// IP protocol of the packet itself.
    pub proto: u8,
    /// ICMP errors: protocol of the packet that it is about; 0 otherwise.
    pub about: u8,
    /// Family of `via`; 0: not sent on.
    pub via_family: u8,
    /// 1: towards the client.
    pub outward: u8,
    /// Zero.
    pub pad: [u8; 3],
}

/// Which packets are wanted, and until when: value 0 of the map `TRACE`. User space writes it, `until` last.
#[derive(Debug, Default, FromBytes)]
#[repr(C)]
pub struct Trace {
    /// Packets are told of before this second of the coarse monotonic clock; 0: off. A lease: the reader renews it, and when
    /// the reader is killed, tracing ends by itself.
    pub until: Cell<u32>,
    /// Of so many wanted packets (on each CPU) one is told of; at least 1.
    pub sample: u32,
    /// Which of the following count: [`wanted`].
    pub wanted: u32,
    /// Family of `host`.
    pub host_family: u8,
    /// Family of `service`.
    pub service_family: u8,
    /// A [`Reason`]'s number.
    pub reason: u8,
    /// Zero.
    pub pad: u8,
    /// One end of the packet, or what it is sent to.
    pub host: Addr,
    /// A virtual address.
    pub service: Addr,
    /// One of the packet's ports, or the one that it is sent to.
    pub port: Be16,
    /// A virtual port; 0: any.
    pub service_port: Be16,
    /// Zero.
    pub rest: u32,
}

/// Flags in [`Trace::wanted`]: a packet must fit all that are set.
pub mod wanted {
    /// [`super::Trace::host`].
    pub const HOST: u32 = 1;
    /// [`super::Trace::port`].
    pub const PORT: u32 = 2;
    /// [`super::Trace::reason`].
    pub const REASON: u32 = 4;
    /// [`super::Trace::service`] and its port.
    pub const SERVICE: u32 = 8;
}

/// What one CPU keeps for tracing: value of the map `TRACER`.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Tracer {
    /// Wanted packets since the last one that was told of.
    pub skipped: u64,
    /// Events that found the ring buffer full.
    pub lost: u64,
    /// The event being made.
    pub event: Event,
}

/// Bytes of the ring buffer.
pub const RING_BYTES: u32 = 256 * 1024;

/// Describes a packet, but for the time.
#[inline(always)]
pub fn describe(event: &mut Event, hook: u8, number: u32, flow: &Flow, plan: &Plan) {
    *event = Event { hook, reason: number as u8, ..Event::default() };
    // Those that are sorted out by their frame alone: what the flow says is not about them.
    let unseen = number == Reason::NotForUs as u32 || number == Reason::NoConfig as u32;
    if unseen || flow.key.family == 0 {
        return;
    }
    event.src = flow.key.src;
    event.dst = flow.key.dst;
    event.sport = flow.key.sport;
    event.dport = flow.key.dport;
    event.len = flow.len;
    event.family = flow.key.family;
    event.proto = flow.proto;
    event.about = if flow.is_icmp() { flow.key.proto } else { 0 };
    if plan.next == Addr::UNSPECIFIED {
        return;
    }
    event.conn = plan.conn.wrapping_add(1);
    event.outward = plan.outward;
    if Reason::is_forwarded(number) || number == Reason::LocalNode as u32 {
        event.via = plan.addr;
        event.via_port = plan.port;
        event.via_family = plan.family;
    }
}

/// Whether a packet is wanted. What XDP only leaves to TC is told of there, unless that is what is asked for.
#[inline(always)]
pub fn wants(trace: &Trace, event: &Event) -> bool {
    let all = trace.wanted;
    if all & wanted::REASON != 0 {
        if event.reason != trace.reason {
            return false;
        }
    } else if event.reason == Reason::Deferred as u8 {
        return false;
    }
    if all & wanted::HOST != 0 {
        let end = event.family == trace.host_family && (event.src == trace.host || event.dst == trace.host);
        let way = event.via_family == trace.host_family && event.via == trace.host;
        if !end && !way {
            return false;
        }
    }
    if all & wanted::PORT != 0 {
        let port = trace.port;
        if event.family == 0 || (event.sport != port && event.dport != port && event.via_port != port) {
            return false;
        }
    }
    all & wanted::SERVICE == 0 || is_of_service(trace, event)
}

/// Whether a packet goes to a virtual address and port, or comes from a real server on their behalf.
#[inline(always)]
fn is_of_service(trace: &Trace, event: &Event) -> bool {
    if event.family != trace.service_family {
        return false;
    }
    let (addr, port) = if event.outward != 0 { (event.via, event.via_port) } else { (event.dst, event.dport) };
    addr == trace.service && (trace.service_port == Be16::ZERO || port == trace.service_port)
}

const _: () = {
    assert!(size_of::<Event>() == 80);
    assert!(size_of::<Trace>() == 56);
    assert!(size_of::<Tracer>() == 96);
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::{FlowKey, Forward};
    use core::net::Ipv4Addr;
    use rvs_wire::ipv4::proto;

    const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 100);
    const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 10);
    const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 11);

    fn flow(src: (Ipv4Addr, u16), dst: (Ipv4Addr, u16)) -> Flow {
        let key = FlowKey {
            src: src.0.into(),
            dst: dst.0.into(),
            sport: Be16::new(src.1),
            dport: Be16::new(dst.1),
            proto: proto::TCP,
            family: 2,
            pad: 0,
        };
        Flow { key, len: 60, proto: proto::TCP, ..Flow::default() }
    }

    fn plan(addr: (Ipv4Addr, u16), next: Ipv4Addr, outward: u8) -> Plan {
        let (addr, port) = (addr.0.into(), Be16::new(addr.1));
        Plan { next: next.into(), addr, port, outward, conn: 6, forward: Forward::Masq as u8, ..Plan::default() }
    }

    fn request() -> Event {
        let mut event = Event::default();
        let flow = flow((CLIENT, 4000), (VIP, 80));
        describe(&mut event, hook::TC, Reason::NatIn as u32, &flow, &plan((SERVER, 8080), SERVER, 0));
        event
    }

    fn reply() -> Event {
        let mut event = Event::default();
        let flow = flow((SERVER, 8080), (CLIENT, 4000));
        describe(&mut event, hook::TC, Reason::NatOut as u32, &flow, &plan((VIP, 80), CLIENT, 1));
        event
    }

    #[test]
    fn what_is_sent_on_says_whither() {
        let event = request();
        assert_eq!((event.conn, event.len, event.via, event.via_port.host()), (7, 60, SERVER.into(), 8080));
        let mut event = Event::default();
        let flow = flow((CLIENT, 4000), (VIP, 80));
        describe(&mut event, hook::TC, Reason::DestGone as u32, &flow, &plan((SERVER, 8080), SERVER, 0));
        assert_eq!((event.conn, event.via_family), (7, 0), "known, but not sent on");
        describe(&mut event, hook::TC, Reason::NotForUs as u32, &flow, &Plan::default());
        assert_eq!(event, Event { reason: Reason::NotForUs as u8, ..Event::default() }, "the flow is another packet's");
    }

    #[test]
    fn filters_fit_both_ways() {
        let none = Trace::default();
        let host = |ip: Ipv4Addr| Trace { wanted: wanted::HOST, host: ip.into(), host_family: 2, ..Trace::default() };
        let port = |port| Trace { wanted: wanted::PORT, port: Be16::new(port), ..Trace::default() };
        let reason = |reason| Trace { wanted: wanted::REASON, reason: reason as u8, ..Trace::default() };
        let service = |ip: Ipv4Addr, port| Trace {
            wanted: wanted::SERVICE,
            service: ip.into(),
            service_port: Be16::new(port),
            service_family: 2,
            ..Trace::default()
        };
        for (trace, there, back) in [
            (none, true, true),
            (host(CLIENT), true, true),
            (host(SERVER), true, true),
            (host(Ipv4Addr::new(10, 0, 2, 12)), false, false),
            (Trace { host_family: 10, ..host(CLIENT) }, false, false),
            (port(4000), true, true),
            (port(8080), true, true),
            (port(81), false, false),
            (reason(Reason::NatIn), true, false),
            (service(VIP, 80), true, true),
            (service(VIP, 0), true, true),
            (service(VIP, 81), false, false),
            (service(SERVER, 8080), false, false),
            (Trace { wanted: wanted::HOST | wanted::PORT, port: Be16::new(81), ..host(CLIENT) }, false, false),
        ] {
            assert_eq!((wants(&trace, &request()), wants(&trace, &reply())), (there, back), "{trace:?}");
        }
    }

    #[test]
    fn what_is_left_to_tc_is_told_of_once() {
        let event = Event { reason: Reason::Deferred as u8, ..request() };
        assert!(!wants(&Trace::default(), &event));
        let asked = Trace { wanted: wanted::REASON, reason: Reason::Deferred as u8, ..Trace::default() };
        assert!(wants(&asked, &event));
    }
}
