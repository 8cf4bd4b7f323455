//! `/proc/net/ip_vs`: services and destinations.

use super::{TICKS_PER_SECOND, endpoint};
use crate::ipvsadm::show;
use rvs_core::abi::flags;
use rvs_intent::{ListedDest, ListedService, Listing, Service};
use rvs_wire::{Be16, Family};
use std::io::{self, Write};
use std::net::IpAddr;

/// Writes the file. Services by address come first, then those by mark, as the kernel walks its two tables.
///
/// # Errors
/// Those of the writer.
pub fn table(listing: &Listing, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "IP Virtual Server version 1.2.1 (size={})", listing.conn_table_size)?;
    writeln!(out, "Prot LocalAddress:Port Scheduler Flags")?;
    writeln!(out, "  -> RemoteAddress:Port Forward Weight ActiveConn InActConn")?;
    for by_mark in [false, true] {
        for listed in listing.services.iter().filter(|listed| show::mark(&listed.service.key).is_some() == by_mark) {
            service(listed, out)?;
        }
    }
    Ok(())
}

fn service(listed: &ListedService, out: &mut dyn Write) -> io::Result<()> {
    let service = &listed.service;
    let (key, sched) = (&service.key, service.sched.name());
    let one_packet = if service.flags & flags::ONE_PACKET != 0 { "ops " } else { "" };
    let persistence = persistence(service).unwrap_or_default();
    match (show::mark(key), show::family(key)) {
        (Some(mark), _) => writeln!(out, "FWM  {mark:08X} {sched} {one_packet}{persistence}")?,
        (None, Family::V4) => {
            let (proto, at) = (show::protocol(key.proto), endpoint(key.addr, Family::V4, key.port));
            writeln!(out, "{proto}  {at} {sched} {one_packet} {persistence}")?;
        }
        // The kernel does not say `ops` of these.
        (None, Family::V6) => {
            let (proto, at) = (show::protocol(key.proto), endpoint(key.addr, Family::V6, key.port));
            writeln!(out, "{proto}  {at} {sched} {persistence}")?;
        }
    }
    listed.dests.iter().try_for_each(|dest| destination(dest, out))
}

/// Timeout in ticks and the mask. Of IPv6 the kernel prints the prefix length with its bytes reversed.
fn persistence(service: &Service) -> Option<String> {
    let mask = match service.netmask.to_ip(show::family(&service.key)) {
        IpAddr::V4(mask) => u32::from(mask),
        IpAddr::V6(mask) => u128::from(mask).count_ones().swap_bytes(),
    };
    let ticks = u64::from(service.persist_secs) * TICKS_PER_SECOND;
    (service.flags & flags::PERSISTENT != 0).then(|| format!("persistent {ticks} {mask:08X}"))
}

fn destination(listed: &ListedDest, out: &mut dyn Write) -> io::Result<()> {
    let dest = &listed.dest;
    let (at, forward) = (endpoint(dest.addr, dest.family, dest.port), show::forward(dest.forward));
    let (weight, active, inactive) = (dest.weight, listed.active, listed.inactive);
    writeln!(out, "  -> {at}      {forward:<7} {weight:<6} {active:<10} {inactive:<10}")
}

/// Address, port and mark of a service as the file has them, for those who make metrics of it: the address is empty for a
/// service by mark, the mark for all others.
pub(crate) fn labels(listed: &ListedService) -> (&'static str, String, Be16, String) {
    let key = &listed.service.key;
    match show::mark(key) {
        Some(mark) => ("FWM", String::new(), Be16::ZERO, format!("{mark:08X}")),
        None => (show::protocol(key.proto), key.addr.to_ip(show::family(key)).to_string(), key.port, String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::address;
    use rvs_wire::{Addr, Family};
    use std::net::IpAddr;

    #[test]
    fn addresses_in_full() {
        let v6: IpAddr = "fd00:1::10".parse().unwrap();
        let IpAddr::V6(v6) = v6 else { unreachable!() };
        assert_eq!(address(Addr::from(v6), Family::V6), "fd00:0001:0000:0000:0000:0000:0000:0010");
    }
}
