//! The table with its figures, as `ipvsadm -L` shows it. The lock is held by the caller, shared.

use super::change::image::Image;
use super::change::store::Store;
use super::maps::Maps;
use crate::{Error, limits};
use rvs_core::abi::{Counters, ServiceId};
use rvs_core::stats::{bytes_per_second, per_second};
use rvs_intent::{ListedDest, ListedService, Listing, Rates, Service};

/// Reads the table and its figures.
pub(crate) fn read(maps: &Maps) -> Result<Listing, Error> {
    let image = Image::capture(maps)?;
    let heads = &image.heads;
    let table = image.table(&maps.sched(heads.services_used)?)?;
    let counters = maps.service_counters(heads.services_used)?;
    let dest_counters = maps.dest_counters(heads.dests_used)?;
    let service = |(id, mut service): (ServiceId, Service)| {
        let dests = std::mem::take(&mut service.dests).into_iter().zip(&image.lists[id as usize]);
        let dests = dests.map(|(dest, entry)| {
            let record = &image.dests[entry.dest as usize];
            ListedDest {
                dest,
                active: record.active,
                inactive: record.inactive,
                persist: record.persist,
                counters: dest_counters.get(entry.dest as usize).copied().unwrap_or_default(),
                rates: rates(&maps.dest_rate(entry.dest).ewma),
                openings: record.openings,
            }
        });
        ListedService {
            counters: counters.get(id as usize).copied().unwrap_or_default(),
            rates: rates(&maps.service_rate(id).ewma),
            dests: dests.collect(),
            service,
        }
    };
    Ok(Listing {
        services: image.order().into_iter().zip(table.services).map(service).collect(),
        timeouts: table.timeouts,
        conn_table_size: limits::BANNER_TABLE_SIZE,
    })
}

/// Rates out of scaled averages.
pub(super) fn rates(ewma: &Counters) -> Rates {
    Rates {
        cps: per_second(ewma.conns),
        in_pps: per_second(ewma.in_pkts),
        out_pps: per_second(ewma.out_pkts),
        in_bps: bytes_per_second(ewma.in_bytes),
        out_bps: bytes_per_second(ewma.out_bytes),
    }
}
