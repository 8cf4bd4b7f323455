//! The hash functions of the hashing schedulers, bit for bit those of the kernel: which client meets which server depends on
//! them, also for two directors of which one is still IPVS.

use rvs_wire::{Addr, Be16};

/// The multiplicative hash: the upper `bits` of the product with the golden ratio.
#[inline(always)]
pub const fn multiplicative(value: u32, bits: u32) -> u32 {
    value.wrapping_mul(0x61c8_8647) >> (32 - bits)
}

/// What an address and perhaps a port (or zero) contribute: the sum of both in host order, an IPv6 address being the exclusive
/// or of its words.
#[inline(always)]
pub const fn endpoint(addr: Addr, port: Be16) -> u32 {
    addr.fold().host().wrapping_add(port.host() as u32)
}

/// SipHash-1-3 of a 32-bit word (in memory order of a little-endian machine), cut to 32 bits; both halves of the key are
/// `key`.
#[inline(always)]
pub const fn sip(value: u32, key: u64) -> u32 {
    let mut v = [
        0x736f_6d65_7073_6575 ^ key,
        0x646f_7261_6e64_6f6d ^ key,
        0x6c79_6765_6e65_7261 ^ key,
        0x7465_6462_7974_6573 ^ key,
    ];
    let last = 4 << 56 | value as u64;
    v[3] ^= last;
    v = round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    v = round(round(round(v)));
    (v[0] ^ v[1] ^ v[2] ^ v[3]) as u32
}

#[inline(always)]
const fn round([mut a, mut b, mut c, mut d]: [u64; 4]) -> [u64; 4] {
    a = a.wrapping_add(b);
    b = b.rotate_left(13) ^ a;
    a = a.rotate_left(32);
    c = c.wrapping_add(d);
    d = d.rotate_left(16) ^ c;
    a = a.wrapping_add(d);
    d = d.rotate_left(21) ^ a;
    c = c.wrapping_add(b);
    b = b.rotate_left(17) ^ c;
    c = c.rotate_left(32);
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::hash::Hasher;
    use core::net::{Ipv4Addr, Ipv6Addr};

    #[test]
    fn families_fold_to_host_order() {
        assert_eq!(endpoint(Ipv4Addr::new(10, 0, 1, 2).into(), Be16::new(80)), 0x0a00_0102 + 80);
        let v6: Ipv6Addr = "fd00:1::2".parse().unwrap();
        assert_eq!(endpoint(v6.into(), Be16::ZERO), 0xfd00_0001 ^ 2);
    }

    #[test]
    fn sip_is_siphash_1_3() {
        // The standard library's hasher is SipHash-1-3 with a key of zeroes.
        #[allow(deprecated)]
        for value in [0u32, 1, 0x0a00_0102, u32::MAX] {
            let mut reference = std::collections::hash_map::DefaultHasher::new();
            reference.write(&value.to_le_bytes());
            assert_eq!(sip(value, 0), reference.finish() as u32);
        }
    }
}
