//! Every limit of the data plane: how much its maps hold. Fixed when the tables of a network namespace are created.
//!
//! The defaults can be changed by environment variables of the command that creates the tables (the first one in a network
//! namespace); afterwards they have no effect there until `rvs teardown`.

use crate::Error;
use rvs_core::abi::{Bucket, Conn};
use std::num::NonZeroU32;

/// Environment variable with the number of connections; a power of two from 1,024 to 16,777,216.
pub const CONN_CAPACITY_VAR: &str = "RVS_CONN_CAPACITY";
/// Environment variable with the number of services; from 1 to 1,048,576.
pub const MAX_SERVICES_VAR: &str = "RVS_MAX_SERVICES";
/// Environment variable with the number of destinations; from 1 to 1,048,576.
pub const MAX_DESTS_VAR: &str = "RVS_MAX_DESTS";

/// Connections: each takes [`BYTES_PER_CONNECTION`].
pub const CONN_CAPACITY: u32 = 1 << 20;
/// Virtual services.
pub const MAX_SERVICES: u32 = 16_384;
/// Destinations, those remembered after their deletion included.
pub const MAX_DESTS: u32 = 32_768;
/// List entries for each destination: two versions of every list, and room to put new ones.
pub const LIST_FACTOR: u32 = 4;
/// Rows of hashing schedulers' tables for each service that can be: a table of `sh` takes 8, one of `mh` 128, of 64 bytes each,
/// and while a service is changed it has two.
pub const TABLE_ROWS_FACTOR: u32 = 16;
/// Rows of tables at least.
pub const MIN_TABLE_ROWS: u32 = 4096;
/// Addresses that `lblc` can remember for all services together, and as many that `lblcr` can, for each service that can be.
/// They take memory when they come to be: 100 bytes for `lblc`, 600 for `lblcr`.
pub const ADDRESSES_FACTOR: u32 = 4;
/// Addresses that `lblc` and `lblcr` can remember at least.
pub const MIN_ADDRESSES: u32 = 4096;
/// Memory of one connection: its record, its share of the hash table (half a bucket), its place in the free list and half a
/// place in the rings of embryonic connections.
pub const BYTES_PER_CONNECTION: u32 = (size_of::<Conn>() + size_of::<Bucket>() / 2 + 4 + 8 / 2) as u32;
/// `size=` in the banner of `ipvsadm -L`. IPVS prints the buckets of its connection table there, 4096 unless configured
/// otherwise; scripts parse the line, so it keeps its usual value. The real capacity is in `rvs status`.
pub const BANNER_TABLE_SIZE: u32 = 4096;
/// Seconds that a command waits for others that change the same tables.
pub const LOCK_SECS: u64 = 30;

/// How much the maps of one director hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections, a power of two.
    pub conns: u32,
    /// Virtual services.
    pub services: u32,
    /// Destinations.
    pub dests: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { conns: CONN_CAPACITY, services: MAX_SERVICES, dests: MAX_DESTS }
    }
}

impl Limits {
    /// The defaults, with what the environment says instead.
    ///
    /// # Errors
    /// A variable that is not a number of the allowed range.
    pub fn from_env() -> Result<Self, Error> {
        Self::from_vars(|name| std::env::var(name).ok())
    }

    fn from_vars(var: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let read = |name: &str, default: u32, low: u32, high: u32| match var(name) {
            None => Ok(default),
            Some(text) => match text.parse::<NonZeroU32>() {
                Ok(number) if (low..=high).contains(&number.get()) => Ok(number.get()),
                _ => Err(Error::State(format!("{name}={text}: must be a number from {low} to {high}"))),
            },
        };
        let conns = read(CONN_CAPACITY_VAR, CONN_CAPACITY, 1 << 10, 1 << 24)?;
        if !conns.is_power_of_two() {
            return Err(Error::State(format!("{CONN_CAPACITY_VAR}={conns}: must be a power of two")));
        }
        let services = read(MAX_SERVICES_VAR, MAX_SERVICES, 1, 1 << 20)?;
        let dests = read(MAX_DESTS_VAR, MAX_DESTS, 1, 1 << 20)?;
        Ok(Self { conns, services, dests })
    }

    /// FTP control connections with a passive transfer or a moved sequence, and calls of which listings show the Call-ID, at a
    /// time.
    pub fn talks(&self) -> u32 {
        (self.conns / 64).clamp(256, 65_536)
    }

    /// Buckets of the connection table.
    pub fn buckets(&self) -> u32 {
        (self.conns / 2).max(64)
    }

    /// Rows of the hashing schedulers' tables.
    pub fn tables(&self) -> u32 {
        (self.services * TABLE_ROWS_FACTOR).max(MIN_TABLE_ROWS)
    }

    /// Addresses that lblc can remember, and as many that lblcr can.
    pub fn addresses(&self) -> u32 {
        (self.services * ADDRESSES_FACTOR).max(MIN_ADDRESSES)
    }

    /// Entries of the lists of destinations.
    pub fn lists(&self) -> u32 {
        self.dests * LIST_FACTOR
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &'static str) -> Result<Limits, Error> {
        Limits::from_vars(|asked| (asked == name).then(|| value.to_owned()))
    }

    #[test]
    fn nonsense_is_refused_with_the_name_of_the_variable() {
        for (name, value) in [
            (CONN_CAPACITY_VAR, "many"),
            (CONN_CAPACITY_VAR, "1000"),
            (CONN_CAPACITY_VAR, "3000"),
            (CONN_CAPACITY_VAR, "4294967296"),
            (MAX_SERVICES_VAR, "0"),
            (MAX_DESTS_VAR, "-1"),
            (MAX_DESTS_VAR, ""),
        ] {
            let error = with(name, value).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name}={value}: must be")), "{error}");
        }
    }

    #[test]
    fn the_rest_keeps_its_default() {
        assert_eq!(with(CONN_CAPACITY_VAR, "2048").unwrap(), Limits { conns: 2048, ..Limits::default() });
        assert_eq!(with("OTHER", "1").unwrap(), Limits::default());
    }
}
