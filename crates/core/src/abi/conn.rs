//! Records of connections, of their hash table, and of what goes with a connection.

use super::*;

/// Flags of a connection.
pub mod conn_flags {
    /// In the table. A record without it is free (0) or dead.
    pub const LIVE: u8 = 0x01;
    /// Unlinked; its index is given back at the sweeper's next visit, when no packet can hold it any more.
    pub const DEAD: u8 = 0x02;
    /// Only the client's side is seen (DR, TUN): the input-only column of the state table.
    pub const NO_OUTPUT: u8 = 0x04;
    /// Counted as inactive at its destination.
    pub const INACTIVE: u8 = 0x08;
    /// Persistence template.
    pub const TEMPLATE: u8 = 0x10;
    /// Template: a controlled connection was established.
    pub const ASSURED: u8 = 0x20;
    /// TCP connection by masquerading: its server's first word has been counted, a SYN or an RST.
    pub const ANSWERED: u8 = 0x20;
    /// Purged: no longer listed or counted at its destination. It stays until its time is up, to tell both ends, each by an
    /// RST for its next packet.
    pub const PURGED: u8 = 0x40;
    /// Nobody has shown yet that it is wanted: it may be ended to make room for others like it. Kept when it is dead.
    pub const EMBRYO: u8 = 0x80;
}

/// A connection: value of the map `CONNS`. Two cache lines: the first is all that a packet of a DR or TUN connection
/// touches; the second adds what NAT, expiry and listing need.
#[derive(Debug, Default, FromBytes)]
#[repr(C)]
pub struct Conn {
    /// Client address (CIP).
    pub caddr: Cell<Addr>,
    /// Virtual address (VIP).
    pub vaddr: Cell<Addr>,
    /// Client port.
    pub cport: Cell<Be16>,
    /// Virtual port.
    pub vport: Cell<Be16>,
    /// IP protocol.
    pub proto: Cell<u8>,
    /// Family of client and virtual address.
    pub family: Cell<u8>,
    /// State in the protocol's table.
    pub state: Cell<u8>,
    /// [`conn_flags`].
    pub flags: Cell<u8>,
    /// When it expires: nanoseconds of the coarse monotonic clock.
    pub expires: Cell<u64>,
    /// Destination.
    pub dest: Cell<DestId>,
    /// Service.
    pub service: Cell<ServiceId>,
    /// Packets from the client.
    pub in_pkts: Cell<u32>,
    /// Timeout of its present state, in milliseconds.
    pub timeout_ms: Cell<u32>,

    /// Real server's address (RIP).
    pub daddr: Cell<Addr>,
    /// Real server's port.
    pub dport: Cell<Be16>,
    /// Real server's family.
    pub dfamily: Cell<u8>,
    /// Forwarding method, as [`Forward`].
    pub forward: Cell<u8>,
    /// Tunnel type.
    pub tun_type: Cell<u8>,
    /// Tunnel flags. Masquerading: [`crate::ftp::IS_CONTROL`] or 0; this host: [`crate::here::ELSEWHERE`] or 0.
    pub tun_flags: Cell<u8>,
    /// Tunnel port.
    pub tun_port: Cell<Be16>,
    /// Hash of the client's key.
    pub hash: Cell<u64>,
    /// Hash of the real server's key; 0: not entered (DR, TUN, templates). Templates of a persistence engine: what the engine
    /// knows the client's call by.
    pub rev_hash: Cell<u64>,
    /// The persistence template that controls it, plus 1; 0: none.
    pub control: Cell<u32>,
    /// Template: connections it controls.
    pub controlled: Cell<u32>,
    /// Firewall mark of the service; 0: none.
    pub mark: Cell<u32>,
    /// Counts the uses of this index.
    pub serial: Cell<u32>,
    /// When it was marked [`conn_flags::DEAD`].
    pub died: Cell<u64>,
}

/// What is remembered of a control connection of FTP: value of the map `TALKS`, by connection.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Talk {
    /// The connection's [`Conn::serial`]; a record of another is none.
    pub serial: u32,
    /// 1: the client asked for passive connections last, so that replies that name a port count.
    pub passive: u32,
    /// Sequence number, as the server counts, of the byte behind the text that was rewritten last.
    pub at: u32,
    /// By how much the server's bytes from there on are moved for the client.
    pub delta: i32,
    /// By how much those before are.
    pub before: i32,
    /// Zero.
    pub pad: u32,
}

/// What a persistence engine made a template for: value of the map `ENGINE_DATA`, by template.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes)]
#[repr(C)]
pub struct EngineData {
    /// The template's [`Conn::serial`]; a record of another is none.
    pub serial: u32,
    /// Number of bytes.
    pub len: u32,
    /// The bytes.
    pub bytes: [u8; ENGINE_BYTES],
}

/// Room in [`EngineData`].
pub const ENGINE_BYTES: usize = 256;

/// In [`Conn::family`] (and the key) of a persistence template: it can never be taken for a connection.
pub const TEMPLATE_FAMILY: u8 = 0x80;

/// Entries in one bucket of the connection table.
pub const BUCKET_SLOTS: usize = 7;

/// One cache line of the connection hash table: value of the map `BUCKETS`.
///
/// A slot is 0 when empty; else the low half is the connection's index plus 1, the high half a tag: 31 bits of the hash and,
/// lowest, 1 for the real server's key.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Bucket {
    /// Writers hold it, readers do not.
    pub lock: bpf_spin_lock,
    /// How many entries, of which this is the first bucket, are in their second one.
    pub away: Cell<u32>,
    /// The entries.
    pub slots: [Cell<u64>; BUCKET_SLOTS],
}

/// Number of shards that connection indexes are handed out from.
pub const SHARDS: u32 = 8;

/// A range of connection indexes and the free ones among them: value of the map `SHARDS`.
#[derive(Debug, Default, FromBytes)]
#[repr(C)]
pub struct Shard {
    /// Guards the rest.
    pub lock: bpf_spin_lock,
    /// Number of free indexes on the stack `FREE[base ..]`.
    pub free: Cell<u32>,
    /// Indexes from `base + fresh` on have never been used.
    pub fresh: Cell<u32>,
    /// Place in the shard's ring of embryonic connections that comes next; counts on past the ring's end.
    pub hand: Cell<u32>,
}

/// Places in the rings of embryonic connections (the map `EMBRYOS`), for so many connections: of half the records.
pub const fn embryos(conns: u32) -> u32 {
    conns / 2
}
