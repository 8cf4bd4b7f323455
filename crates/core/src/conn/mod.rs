//! Connections: how they are found, begun, moved from state to state, and ended.
//!
//! [`table`] is the hash table, [`tcp`] and [`udp`] are the state tables, [`life`] counts a connection at its destination
//! and ends it.

pub mod life;
pub mod table;
pub mod tcp;
pub mod udp;

use crate::abi::{Conn, ConnId};

/// Which way a packet goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Direction {
    /// From the client.
    In,
    /// From the real server.
    Out,
}

/// A connection that was found.
#[derive(Clone, Copy, Debug)]
pub struct Hit<'a> {
    /// Its number.
    pub id: ConnId,
    /// Its record.
    pub conn: &'a Conn,
    /// From which side the packet comes.
    pub direction: Direction,
}
