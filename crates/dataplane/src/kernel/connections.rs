//! The connection table, as `ipvsadm -Lnc` shows it: a copy of each record that is in use and whose time is not up. Programs
//! change records while they are read; one that ends or begins meanwhile is left out.

use super::maps::Maps;
use super::mmap::Shared;
use super::os::{self, Clock};
use crate::Error;
use rvs_core::abi::{Conn, Forward, TEMPLATE_FAMILY, conn_flags};
use rvs_core::conn::proto::state_name;
use rvs_intent::{Connection, Engine};
use rvs_wire::Family;
use std::mem::offset_of;
use std::ops::ControlFlow;

const NANOS: u64 = 1_000_000_000;

/// Reads all connections.
pub(crate) fn read(maps: &Maps) -> Result<Vec<Connection>, Error> {
    let mut all = Vec::new();
    each(maps, &mut |connection| {
        all.push(connection.clone());
        ControlFlow::Continue(())
    })?;
    Ok(all)
}

/// Hands over one connection after the other until `visit` has enough.
pub(crate) fn each(maps: &Maps, visit: &mut dyn FnMut(&Connection) -> ControlFlow<()>) -> Result<(), Error> {
    let conns = maps.conns()?;
    let now = os::now(Clock::MonotonicCoarse);
    let used = maps.used_conns()?;
    let _ =
        used.into_iter().flatten().filter_map(|index| one(maps, &conns, index, now)).try_for_each(|one| visit(&one));
    Ok(())
}

/// The word that holds protocol, family, state and flags.
const FLAGS_WORD: usize = offset_of!(Conn, flags) / 4 * 4;

fn is_live(conns: &Shared, index: usize) -> bool {
    let shift = (offset_of!(Conn, flags) - FLAGS_WORD) * 8;
    conns.load(index, FLAGS_WORD).is_some_and(|word| (word >> shift) as u8 & conn_flags::LIVE != 0)
}

fn one(maps: &Maps, conns: &Shared, index: usize, now: u64) -> Option<Connection> {
    if !is_live(conns, index) {
        return None;
    }
    let conn: Conn = conns.get(index)?;
    let same = is_live(conns, index) && conns.load(index, offset_of!(Conn, serial))? == conn.serial.get();
    let mut entry = if same { describe(&conn, now) } else { None }?;
    if entry.template && conn.rev_hash.get() != 0 {
        let data = maps.engine_data(u32::try_from(index).ok()?, conn.serial.get());
        entry.engine = data.map(|data| (Engine::Sip, data));
    }
    Some(entry)
}

/// `None`: its time is up, it was purged, or the record makes no sense.
fn describe(conn: &Conn, now: u64) -> Option<Connection> {
    let flags = conn.flags.get();
    if flags & conn_flags::PURGED != 0 {
        return None;
    }
    let template = flags & conn_flags::TEMPLATE != 0;
    // A template's timer starts anew when it runs out while it controls connections.
    let rearmed = template && conn.controlled.get() != 0;
    let left = match conn.expires.get().checked_sub(now) {
        Some(left) if left > 0 => left,
        _ if rearmed => u64::from(conn.timeout_ms.get()) * (NANOS / 1000),
        _ => return None,
    };
    Some(Connection {
        proto: conn.proto.get(),
        family: Family::from_raw(conn.family.get() & !TEMPLATE_FAMILY)?,
        client: (conn.caddr.get(), conn.cport.get()),
        virt: (conn.vaddr.get(), conn.vport.get()),
        dest: (conn.daddr.get(), conn.dport.get()),
        dest_family: Family::from_raw(conn.dfamily.get())?,
        forward: Forward::from_raw(conn.forward.get())?,
        state: state(conn.proto.get(), conn.state.get(), flags),
        expires_secs: u32::try_from(left / NANOS).unwrap_or(u32::MAX),
        template,
        engine: None,
    })
}

/// The name of a state, as IPVS prints it.
pub(super) fn state(protocol: u8, state: u8, flags: u8) -> &'static str {
    match protocol {
        _ if flags & conn_flags::TEMPLATE != 0 && flags & conn_flags::ASSURED != 0 => "ASSURED",
        _ if flags & conn_flags::TEMPLATE != 0 => "NONE",
        _ => state_name(protocol, state),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rvs_wire::ipv4::proto;
    use std::cell::Cell;

    fn conn(flags: u8, expires: u64) -> Conn {
        Conn {
            family: Cell::new(Family::V4.raw()),
            dfamily: Cell::new(Family::V4.raw()),
            proto: Cell::new(proto::TCP),
            state: Cell::new(1),
            flags: Cell::new(flags | conn_flags::LIVE),
            expires: Cell::new(expires),
            timeout_ms: Cell::new(60_000),
            ..Conn::default()
        }
    }

    #[test]
    fn the_time_left_is_rounded_down_and_the_expired_are_left_out() {
        let seconds = |conn: &Conn| describe(conn, 5 * NANOS).map(|c| c.expires_secs);
        assert_eq!(seconds(&conn(0, 7 * NANOS - 1)), Some(1));
        assert_eq!(seconds(&conn(0, 5 * NANOS)), None);
        assert_eq!(seconds(&conn(0, 4 * NANOS)), None);
    }

    #[test]
    fn a_template_that_controls_connections_stays() {
        let template = conn(conn_flags::TEMPLATE, 0);
        assert!(describe(&template, NANOS).is_none());
        template.controlled.set(1);
        assert_eq!(describe(&template, NANOS).map(|c| (c.expires_secs, c.state)), Some((60, "NONE")));
        template.flags.set(template.flags.get() | conn_flags::ASSURED);
        assert_eq!(describe(&template, NANOS).map(|c| c.state), Some("ASSURED"));
    }

    #[test]
    fn states_have_the_names_that_ipvs_prints() {
        assert_eq!(state(proto::TCP, 1, 0), "ESTABLISHED");
        assert_eq!(state(proto::TCP, 10, 0), "SYNACK");
        assert_eq!(state(proto::UDP, 0, 0), "UDP");
    }
}
