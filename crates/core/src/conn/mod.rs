//! Connections: how they are found, begun, moved from state to state, and ended.
//!
//! [`table`] is the hash table; [`tcp`], [`sctp`] and [`udp`] are the state tables, and [`proto`] is all that the rest knows of
//! them; [`life`] counts a connection at its destination and ends it, [`embryo`] keeps those that nobody
//! has shown to be wanted in their bounds.

pub mod embryo;
pub mod life;
pub mod proto;
pub mod sctp;
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

/// The columns of the state tables: which packets of a connection are seen, and from which side this one comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum Column {
    /// From the client.
    Input = 0,
    /// From the real server.
    Output = 1,
    /// From the client, and the real server's packets do not pass here.
    InputOnly = 2,
}

impl Column {
    /// Its place in a state table.
    #[inline(always)]
    pub const fn index(self) -> usize {
        match self {
            Self::Input => 0,
            Self::Output => 1,
            Self::InputOnly => 2,
        }
    }
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
