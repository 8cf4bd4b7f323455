//! The connection hash table: buckets of one cache line, seven entries each, two buckets to choose from.
//!
//! A bucket counts the entries that were too many for it and are in their second bucket. Mostly there is none, and then nobody
//! looks into a second one: whether a connection is found or not costs one cache line.
//!
//! Readers take no lock: an entry is one 64-bit word (tag and index), and the record that it leads to is compared with the
//! whole key. Writers lock one bucket at a time. An index that was taken out is not given out again until a second later
//! ([`super::life`]), so that no reader can find another connection behind it.
//!
//! A connection that real servers answer through us (NAT) has two entries, one for each side's key.

use super::{Direction, Hit};
use crate::abi::{Bucket, Conn, ConnId, FlowKey, conn_flags};
use crate::tables::Tables;

/// Secret words of the hash.
pub const SECRETS: usize = 10;

/// The secret words that belong to a seed: numbers of SplitMix64.
pub const fn secrets(seed: u64) -> [u64; SECRETS] {
    let mut words = [0; SECRETS];
    let mut state = seed;
    let mut i = 0;
    while i < SECRETS {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        words[i] = z ^ (z >> 31);
        i += 1;
    }
    words
}

/// Hash of a key; never 0, which stands for "not entered".
///
/// A sum of products of two words of the key, each hidden by a secret one (pair-multiply-shift: the upper half is strongly
/// universal, so that nobody who does not know the secrets can aim at one value), made of products that do not wait for each
/// other. The sums of keys that follow each other lie evenly apart, and might meet in few buckets: so they are mixed once more.
#[inline(always)]
pub fn hash<T: Tables>(key: &FlowKey, tables: &T) -> u64 {
    let (s, d) = (key.src.words(), key.dst.words());
    let pair = |at: usize, one: u32, other: u32| {
        tables.secret(at).wrapping_add(one as u64).wrapping_mul(tables.secret(at + 1).wrapping_add(other as u64))
    };
    let ports = (key.sport.raw() as u32) << 16 | key.dport.raw() as u32;
    let kind = (key.proto as u32) << 8 | key.family as u32;
    let mut sum = pair(0, s[3], d[3]).wrapping_add(pair(2, ports, kind));
    if key.family != rvs_wire::Family::V4.raw() {
        sum = sum.wrapping_add(pair(4, s[0], s[1])).wrapping_add(pair(6, s[2], d[0])).wrapping_add(pair(8, d[1], d[2]));
    }
    let mixed = (sum ^ sum >> 32).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ mixed >> 32) | 1
}

/// One round of a multiplicative hash (the constants are those of SplitMix64).
#[inline(always)]
pub(super) fn mix(h: u64, value: u64) -> u64 {
    let h = (h ^ value).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let h = (h ^ (h >> 29)).wrapping_mul(0x94d0_49bb_1331_11eb);
    h ^ (h >> 32)
}

/// The two buckets of a hash.
#[inline(always)]
pub fn buckets(hash: u64, mask: u32) -> [u32; 2] {
    [(hash >> 1) as u32 & mask, (hash >> 17).wrapping_mul(0x9e37_79b1) as u32 & mask]
}

/// Tag of an entry: the upper bits of the hash, and which side's key it is.
#[inline(always)]
const fn tag(hash: u64, direction: Direction) -> u32 {
    let side = match direction {
        Direction::In => 0,
        Direction::Out => 1,
    };
    ((hash >> 32) as u32 & !1) | side
}

#[inline(always)]
const fn entry(hash: u64, direction: Direction, id: ConnId) -> u64 {
    (tag(hash, direction) as u64) << 32 | (id as u64 + 1)
}

/// Whether a record is the connection of `key`, seen from `direction`.
#[inline(always)]
fn is_of(conn: &Conn, key: &FlowKey, direction: Direction) -> bool {
    let ours = match direction {
        Direction::In => {
            conn.caddr.get() == key.src
                && conn.vaddr.get() == key.dst
                && conn.cport.get() == key.sport
                && conn.vport.get() == key.dport
        }
        Direction::Out => {
            conn.daddr.get() == key.src
                && conn.caddr.get() == key.dst
                && conn.dport.get() == key.sport
                && conn.cport.get() == key.dport
        }
    };
    ours && conn.proto.get() == key.proto && conn.family.get() == key.family
}

/// Finds the live connection of a key, from whichever side it is seen. It may have expired: the caller looks.
#[inline(always)]
pub fn find<'a, T: Tables>(tables: &'a T, key: &FlowKey, hash: u64) -> Option<Hit<'a>> {
    find_by(tables, hash, |conn, direction| is_of(conn, key, direction))
}

/// Finds the live connection that was entered under a hash and that `is_it` says it is.
#[inline(always)]
pub(crate) fn find_by<T: Tables>(tables: &T, hash: u64, is_it: impl Fn(&Conn, Direction) -> bool) -> Option<Hit<'_>> {
    let [first, second] = buckets(hash, tables.bucket_mask());
    let home = tables.bucket(first)?;
    let found = find_in(tables, home, hash, &is_it);
    if found.is_some() || home.away.get() == 0 { found } else { find_in(tables, tables.bucket(second)?, hash, &is_it) }
}

#[inline(always)]
fn find_in<'a, T: Tables>(
    tables: &'a T,
    bucket: &Bucket,
    hash: u64,
    is_it: impl Fn(&Conn, Direction) -> bool,
) -> Option<Hit<'a>> {
    let wanted = (hash >> 33) as u32;
    for slot in &bucket.slots {
        let slot = slot.get();
        if (slot >> 33) as u32 != wanted || slot as u32 == 0 {
            continue;
        }
        let id = (slot as u32).wrapping_sub(1);
        let direction = if slot >> 32 & 1 == 0 { Direction::In } else { Direction::Out };
        let Some(conn) = tables.conn(id) else { continue };
        if conn.flags.get() & conn_flags::LIVE != 0 && is_it(conn, direction) {
            return Some(Hit { id, conn, direction });
        }
    }
    None
}

/// What became of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entered {
    /// It is in.
    Done,
    /// Both buckets are full.
    Full,
    /// There is one with the same tag: another CPU entered the same connection first.
    Taken,
}

/// How many entries make a bucket so full that the other one is considered. Below it everything lies in its first bucket, and is
/// found with one cache miss instead of two; from it on, neither bucket fills before the whole table nearly has (of a table
/// as full as it can be, one entry in some ten thousand finds no room; without this rule, one in a hundred thousand).
const CROWDED: u32 = 4;

/// Enters a connection under a hash: into the first of its two buckets, or into the emptier one if that is [`CROWDED`].
#[inline(always)]
pub fn insert<T: Tables>(tables: &T, hash: u64, direction: Direction, id: ConnId) -> Entered {
    let [first, second] = buckets(hash, tables.bucket_mask());
    let entry = entry(hash, direction, id);
    let Some(home) = tables.bucket(first) else { return Entered::Full };
    let load = tables.look(first, entry) & LOAD;
    if load < CROWDED || tables.look(second, entry) & LOAD >= load {
        match enter_at_home(tables, home, [first, second], entry) {
            Entered::Full => enter_away(tables, home, [first, second], entry),
            entered => entered,
        }
    } else {
        match enter_away(tables, home, [first, second], entry) {
            Entered::Full => enter_at_home(tables, home, [first, second], entry),
            entered => entered,
        }
    }
}

/// Puts an entry into its first bucket. Another CPU that entered the same connection may have found the second one emptier:
/// whoever sees the other's entry after having made his own withdraws. The other tells of his before he makes it.
#[inline(always)]
fn enter_at_home<T: Tables>(tables: &T, home: &Bucket, [first, second]: [u32; 2], entry: u64) -> Entered {
    let entered = tables.put(first, entry);
    if !matches!(entered, Entered::Done) || home.away.get() == 0 || tables.look(second, entry) & RIVAL == 0 {
        return entered;
    }
    clear(tables, home, entry);
    Entered::Taken
}

/// Puts an entry into its second bucket, of which the first one tells: where none is away, nobody looks further.
#[inline(always)]
fn enter_away<T: Tables>(tables: &T, home: &Bucket, [first, second]: [u32; 2], entry: u64) -> Entered {
    tables.add(&home.away, 1);
    let mut entered = tables.put(second, entry);
    if matches!(entered, Entered::Done) && tables.look(first, entry) & RIVAL != 0 {
        if let Some(bucket) = tables.bucket(second) {
            clear(tables, bucket, entry);
        }
        entered = Entered::Taken;
    }
    if !matches!(entered, Entered::Done) {
        tables.add(&home.away, -1);
    }
    entered
}

/// Of what [`look`] gives: how many entries the bucket has.
const LOAD: u32 = 0xff;
/// Likewise: there is another entry with the same tag.
const RIVAL: u32 = 0x100;

/// How full a bucket is, and whether it has another entry with the tag of this one.
#[inline(always)]
pub fn look<T: Tables>(tables: &T, bucket: u32, entry: u64) -> u32 {
    let Some(bucket) = tables.bucket(bucket) else { return LOAD };
    let (mut load, mut rivals) = (0, 0);
    for slot in &bucket.slots {
        // By arithmetic, because each branch here doubles the verifier's work: 1 when it is not 0 …
        load += (slot.get() | slot.get().wrapping_neg()) >> 63;
        // … and 1 when it is equal in the tag, but not altogether.
        let difference = slot.get() ^ entry;
        rivals |= ((difference >> 32).wrapping_sub(1) >> 63) & ((difference | difference.wrapping_neg()) >> 63);
    }
    (load | rivals << 8) as u32
}

/// Puts an entry into a bucket, if there is room and none with the same tag.
#[inline(always)]
pub fn put<T: Tables>(tables: &T, bucket: u32, entry: u64) -> Entered {
    let Some(bucket) = tables.bucket(bucket) else { return Entered::Full };
    let mut same = 0;
    let mut done = false;
    tables.lock(bucket);
    for slot in &bucket.slots {
        // 1 when the tags are equal. By arithmetic, because each branch here doubles the verifier's work.
        same |= ((slot.get() >> 32) ^ (entry >> 32)).wrapping_sub(1) >> 63;
    }
    if same == 0 {
        for slot in &bucket.slots {
            if !done && slot.get() == 0 {
                slot.set(entry);
                done = true;
            }
        }
    }
    tables.unlock(bucket);
    match (same, done) {
        (0, true) => Entered::Done,
        (0, false) => Entered::Full,
        _ => Entered::Taken,
    }
}

/// Takes a connection's entry out.
#[inline(always)]
pub fn remove<T: Tables>(tables: &T, hash: u64, direction: Direction, id: ConnId) {
    let [first, second] = buckets(hash, tables.bucket_mask());
    let entry = entry(hash, direction, id);
    let Some(home) = tables.bucket(first) else { return };
    if !clear(tables, home, entry)
        && let Some(bucket) = tables.bucket(second)
        && clear(tables, bucket, entry)
    {
        tables.add(&home.away, -1);
    }
}

/// Under the lock, empties the slot that holds `entry`.
#[inline(always)]
fn clear<T: Tables>(tables: &T, bucket: &Bucket, entry: u64) -> bool {
    let mut done = false;
    tables.lock(bucket);
    for slot in &bucket.slots {
        if slot.get() == entry {
            slot.set(0);
            done = true;
        }
    }
    tables.unlock(bucket);
    done
}

/// Does `change` to a connection's record under the lock that guards its state: that of its first bucket. `change` says
/// whether it did anything.
#[inline(always)]
pub fn locked<T: Tables>(tables: &T, conn: &Conn, change: impl FnOnce(&Conn) -> bool) -> bool {
    let [first, _] = buckets(conn.hash.get(), tables.bucket_mask());
    let Some(bucket) = tables.bucket(first) else { return false };
    tables.lock(bucket);
    let done = change(conn);
    tables.unlock(bucket);
    done
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;
    use rvs_wire::{Addr, Be16, Be32, Family};
    use std::vec;
    use std::vec::Vec;

    /// The most entries of any bucket, when `keys` are entered in their first ones.
    fn fullest(model: &Model, keys: impl Iterator<Item = FlowKey>) -> u32 {
        const BUCKETS: usize = 1024;
        let mut loads = vec![0; BUCKETS];
        keys.for_each(|key| loads[buckets(hash(&key, model), BUCKETS as u32 - 1)[0] as usize] += 1);
        loads.into_iter().max().unwrap()
    }

    #[test]
    fn clients_that_follow_each_other_spread_over_the_buckets_whatever_the_secret() {
        let mut model = Model::new(8);
        let key = |n: u32, family: Family, addr: bool| {
            let client = 0x0b00_0000 + if addr { n } else { 0 };
            let port = if addr { 4000 } else { 1024 + n as u16 };
            let (src, dst) = (Addr::v4(Be32::new(client)), Addr::v4(Be32::new(0x0a00_010a)));
            let (sport, dport) = (Be16::new(port), Be16::new(80));
            FlowKey { src, dst, sport, dport, proto: 6, family: family.raw(), ..FlowKey::default() }
        };
        let mut fullest_of_all = Vec::new();
        for seed in 0..2000 {
            model.seed = seed;
            for (family, addr) in [(Family::V4, true), (Family::V4, false), (Family::V6, true)] {
                fullest_of_all.push(fullest(&model, (0..4096).map(|n| key(n, family, addr))));
            }
        }
        // Four on average; of evenly random ones, one bucket in a hundred thousand million has more than 24.
        assert!(fullest_of_all.iter().all(|load| *load <= 24), "{:?}", fullest_of_all.iter().max());
    }
}
