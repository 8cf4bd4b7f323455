//! What is configured for a session (`bfd_instance`), as plain data.

use core::net::IpAddr;
use core::time::Duration;
use std::sync::Arc;

/// The name of a session. Cheap to copy.
pub type Name = Arc<str>;

/// A session's parameters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Params {
    /// Its name; unique.
    pub name: Name,
    /// The neighbour.
    pub neighbour: IpAddr,
    /// The source of our packets; `None`: as the route has it.
    pub source: Option<IpAddr>,
    /// We can receive this often (10 ms).
    pub min_rx: Duration,
    /// We send this often while up (10 ms), or as often as the neighbour can receive.
    pub min_tx: Duration,
    /// We send this often while not up (1 s, and not less than that by RFC 5880, 6.8.3).
    pub idle_tx: Duration,
    /// So many packets of ours must be missing until the neighbour takes us for dead (5); not 0.
    pub multiplier: u8,
    /// Wait for the neighbour to begin.
    pub passive: bool,
    /// Time to live or hop limit of our packets (255), and what the neighbour's are measured by.
    pub hop_limit: u8,
    /// So many hops the neighbour may be away (0); 255: as many as it likes.
    pub max_hops: u8,
    /// Over several hops, on port 4784 (RFC 5883).
    pub multihop: bool,
}

impl Params {
    /// A session with the original's defaults.
    pub fn new(name: &str, neighbour: IpAddr) -> Self {
        Self {
            name: name.into(),
            neighbour,
            source: None,
            min_rx: Duration::from_millis(10),
            min_tx: Duration::from_millis(10),
            idle_tx: Duration::from_secs(1),
            multiplier: 5,
            passive: false,
            hop_limit: 255,
            max_hops: 0,
            multihop: false,
        }
    }

    /// True if a packet that arrived with this hop limit has not come too far (RFC 5881, 5; unknown: it has not).
    pub fn is_near(&self, hop_limit: Option<u8>) -> bool {
        let reach = |limit: u8| u16::from(self.max_hops) + u16::from(limit) >= u16::from(self.hop_limit);
        self.max_hops == u8::MAX || hop_limit.is_none_or(reach)
    }
}
