//! The order of listings, quirks included: numbers are compared by their difference in 32 bits, so an address from 138.0.0.0
//! on sorts before 10.0.0.1.
//!
//! Such a comparison is no order (three addresses can go in a circle), and the standard library's sorts may panic on it. This
//! is the plain merge sort of the C library, so that even a circle comes out as the original prints it.

use rvs_intent::{Dest, Service};
use rvs_wire::{Addr, Family};

/// Sorts by a comparison that gives a negative number when its first argument comes first.
pub(super) fn merge_sort<T>(mut items: Vec<T>, compare: &impl Fn(&T, &T) -> i32) -> Vec<T> {
    if items.len() < 2 {
        return items;
    }
    let second = merge_sort(items.split_off(items.len() / 2), compare);
    let first = merge_sort(items, compare);
    let mut merged = Vec::with_capacity(first.len() + second.len());
    let (mut first, mut second) = (first.into_iter().peekable(), second.into_iter().peekable());
    while let (Some(a), Some(b)) = (first.peek(), second.peek()) {
        merged.extend(if compare(a, b) <= 0 { first.next() } else { second.next() });
    }
    merged.extend(first);
    merged.extend(second);
    merged
}

/// Mark, family, protocol, address, port.
pub(super) fn services(a: &Service, b: &Service) -> i32 {
    let by_number = [
        difference(mark(a), mark(b)),
        i32::from(a.key.family) - i32::from(b.key.family),
        i32::from(a.key.proto) - i32::from(b.key.proto),
    ];
    let by_address = || {
        let (a, b) = (in_memory(a.key.addr, a.key.family), in_memory(b.key.addr, b.key.family));
        differences(&a, &b)
    };
    let by_port = i32::from(a.key.port.host()) - i32::from(b.key.port.host());
    first(by_number).or_else(|| Some(by_address()).filter(|d| *d != 0)).unwrap_or(by_port)
}

/// Address, port. Families are not told apart: the words of an IPv6 address are compared with an IPv4 address and zeros.
pub(super) fn dests(a: &Dest, b: &Dest) -> i32 {
    let words = if a.family == Family::V6 { 4 } else { 1 };
    let (left, right) = (in_memory(a.addr, a.family.raw()), in_memory(b.addr, b.family.raw()));
    let by_address = differences(left.split_at(words).0, &right);
    if by_address != 0 { by_address } else { i32::from(a.port.host()) - i32::from(b.port.host()) }
}

fn first(differences: [i32; 3]) -> Option<i32> {
    differences.into_iter().find(|difference| *difference != 0)
}

fn mark(service: &Service) -> u32 {
    super::show::mark(&service.key).unwrap_or(0)
}

fn difference(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b) as i32
}

fn differences(a: &[u32], b: &[u32]) -> i32 {
    a.iter().zip(b).map(|(a, b)| difference(*a, *b)).find(|d| *d != 0).unwrap_or(0)
}

/// The four words of the kernel's address union in host order: an IPv4 address fills the first one.
fn in_memory(addr: Addr, family: u8) -> [u32; 4] {
    let words = addr.words().map(u32::from_be);
    let [.., last] = words;
    if family == Family::V6.raw() { words } else { [last, 0, 0, 0] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rvs_wire::Be16;
    use std::net::IpAddr;

    fn sorted(texts: &[&str]) -> Vec<String> {
        let dest = |text: &&str| {
            let (addr, family) = Addr::from_ip(text.parse::<IpAddr>().unwrap());
            Dest::new(addr, family, Be16::new(80))
        };
        let sorted = merge_sort(texts.iter().map(dest).collect(), &dests);
        sorted.iter().map(|dest| dest.addr.to_ip(dest.family).to_string()).collect()
    }

    #[test]
    fn differences_are_signed() {
        assert_eq!(
            sorted(&["10.0.1.10", "0.0.0.0", "255.255.255.255", "224.0.0.1"]),
            ["224.0.0.1", "255.255.255.255", "0.0.0.0", "10.0.1.10"]
        );
        assert_eq!(sorted(&["10.0.2.12", "fd00:2::12", "fd00:2::11"]), ["fd00:2::11", "fd00:2::12", "10.0.2.12"]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_even_in_a_circle(hosts in prop::collection::vec(any::<u32>(), 0..40)) {
            let mut sorted = merge_sort(hosts.clone(), &|a, b| difference(*a, *b));
            let mut expected = hosts;
            sorted.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(sorted, expected);
        }

        #[test]
        fn an_order_is_followed(hosts in prop::collection::vec(0..1u32 << 30, 0..40)) {
            let sorted = merge_sort(hosts.clone(), &|a, b| difference(*a, *b));
            let mut expected = hosts;
            expected.sort();
            prop_assert_eq!(sorted, expected);
        }
    }
}
