//! The rate estimator: the kernel's arithmetic, so that `--rate` shows the same numbers.
//!
//! Every [`PERIOD_NS`] the difference since the last sample goes into an exponentially weighted average with weight 1/4.
//! Connections and packets are scaled by 2^10, bytes by 2^5; a sample of two seconds becomes a rate per second in the same
//! shift.

use crate::abi::{Counters, Rate};

/// Two seconds.
pub const PERIOD_NS: u64 = 2_000_000_000;

/// One sample.
#[inline(always)]
pub fn sample(rate: &mut Rate, now: Counters) {
    let last = rate.last;
    let ewma = &mut rate.ewma;
    ewma.conns = average(ewma.conns, now.conns.wrapping_sub(last.conns) << 9);
    ewma.in_pkts = average(ewma.in_pkts, now.in_pkts.wrapping_sub(last.in_pkts) << 9);
    ewma.out_pkts = average(ewma.out_pkts, now.out_pkts.wrapping_sub(last.out_pkts) << 9);
    ewma.in_bytes = average(ewma.in_bytes, now.in_bytes.wrapping_sub(last.in_bytes) << 4);
    ewma.out_bytes = average(ewma.out_bytes, now.out_bytes.wrapping_sub(last.out_bytes) << 4);
    rate.last = now;
}

/// `e += (sample - e) / 4`, rounding down as the kernel's shift of a signed number does.
#[inline(always)]
const fn average(ewma: u64, sample: u64) -> u64 {
    ewma.wrapping_add((sample.wrapping_sub(ewma) as i64 >> 2) as u64)
}

/// Connections or packets per second, rounded as the kernel does.
pub const fn per_second(ewma: u64) -> u64 {
    (ewma + 0x1ff) >> 10
}

/// Bytes per second.
pub const fn bytes_per_second(ewma: u64) -> u64 {
    (ewma + 0xf) >> 5
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn a_steady_100_packets_a_second_shows_as_recorded() {
        let mut rate = Rate::default();
        let shown: Vec<u64> = (1..=5)
            .map(|n| {
                sample(&mut rate, Counters { in_pkts: n * 200, ..Counters::default() });
                per_second(rate.ewma.in_pkts)
            })
            .collect();
        assert_eq!(shown, [25, 44, 58, 68, 76]);
    }

    #[test]
    fn a_rate_dies_away() {
        let mut rate = Rate::default();
        let now = Counters { in_bytes: 1_000_000, ..Counters::default() };
        sample(&mut rate, now);
        assert_eq!(bytes_per_second(rate.ewma.in_bytes), 125_000);
        for _ in 0..100 {
            sample(&mut rate, now);
        }
        assert_eq!(bytes_per_second(rate.ewma.in_bytes), 0);
    }
}
