//! FTP: the data connections that a control connection announces (RFC 959, RFC 2428), as IPVS' helper sees to them.
//!
//! Behind masquerading a control connection (by its port, see [`crate::settings::Settings::ftp_ports`]) is read by [`scan`]. What it announces is entered in the
//! connection table in advance by [`expect`], in the state LISTEN: a client's port with both of its keys, so that the server's
//! SYN finds it; a server's port under a key without client port, which the client's SYN then fills in. The address in a
//! server's 227 becomes the virtual address; where that changes its length, [`adjust`] moves sequence numbers from then on.
//! All that happens at the hook that may do anything; XDP leaves control connections alone.
//!
//! With direct routing and tunnels nothing is read: a persistent FTP service takes its clients' connections to port 20 and to
//! all ports from 1024 on (see [`crate::service::lookup`]).
//!
//! More careful than IPVS: an announced address must be the speaker's own (or the virtual one), and a server's port must be
//! from 1024 on, so that no reply can open what is not data.

pub mod adjust;
#[cfg(any(test, feature = "model"))]
pub mod bytes;
pub mod expect;
pub mod scan;

use crate::abi::{Conn, Talk, conn_flags};
use crate::conn::tcp::State;
use crate::flow::{Flow, piece};
use crate::plan::Plan;
use rvs_wire::checksum::Delta;
use rvs_wire::ipv4::{Ipv4, proto};
use rvs_wire::{Addr, Be16, Family};
use scan::Scan;

/// Port of control connections: of services whose persistent clients' data connections are theirs, and unless set otherwise of
/// those that are read.
pub const CONTROL: Be16 = Be16::new(21);
/// Port that servers connect from.
pub const DATA: Be16 = Be16::new(20);
/// From here on ports are anybody's: no service in its own right lives there (`ip_unprivileged_port_start`).
pub const UNPRIVILEGED: u16 = 1024;

/// [`Conn::tun_flags`] of a masqueraded connection: it is a control connection, by its port when it began.
pub const IS_CONTROL: u8 = 1;

/// Whether a packet is of a masqueraded control connection.
#[inline(always)]
pub fn is_control(flow: &Flow, plan: &Plan) -> bool {
    flow.proto == proto::TCP && !flow.is_icmp() && plan.is_nat() && plan.tun_flags == IS_CONTROL
}

/// Whether data connections may go to this port of an FTP service's address.
#[inline(always)]
pub const fn is_data_port(port: Be16) -> bool {
    port.host() == DATA.host() || port.host() >= UNPRIVILEGED
}

/// Whether what this packet of a control connection says is listened to: data of an established connection, in one piece.
#[inline(always)]
pub fn is_heard(flow: &Flow, conn: &Conn) -> bool {
    let live = conn.flags.get() & (conn_flags::LIVE | conn_flags::PURGED) == conn_flags::LIVE;
    let established = live && conn.state.get() == State::Established as u8;
    established && flow.piece == piece::WHOLE && flow.len + (crate::flow::L3 as u32) > flow.payload() as u32
}

/// The IP header with another total length.
#[inline(always)]
pub const fn resized(ip: Ipv4, total: Be16) -> Ipv4 {
    let delta = Delta::NONE.word(ip.total_len, total);
    Ipv4 { total_len: total, checksum: delta.apply(ip.checksum), ..ip }
}

/// What is to be done about what was said.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Deed {
    /// The port that a data connection is expected at, and whose it is; none is [`Expected::Nobody`].
    pub expected: Expected,
    /// That port.
    pub port: Be16,
    /// Whether the address in the reply is to become the virtual one.
    pub rewrite: bool,
}

/// Whose port a data connection is expected at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum Expected {
    /// None is.
    #[default]
    Nobody = 0,
    /// The client's.
    Client = 1,
    /// The server's.
    Server = 2,
}

/// Judges what was said, and notes in `talk` whether replies that name a port count.
#[inline(always)]
pub fn judge(conn: &Conn, found: &Scan, talk: &mut Talk) -> Deed {
    let port = Be16::new(found.port as u16);
    let awaited = talk.passive != 0;
    // Until the client waits itself: a reply that was lost on its way comes a second time.
    match found.said {
        scan::PASSIVE => talk.passive = 1,
        scan::ACTIVE => talk.passive = 0,
        _ => {}
    }
    let from_server = awaited && found.port >= UNPRIVILEGED as u32;
    let v4 = conn.family.get() == Family::V4.raw();
    match found.said {
        scan::ACTIVE => Deed { expected: Expected::Client, port, rewrite: false },
        scan::EXTENDED if from_server => Deed { expected: Expected::Server, port, rewrite: false },
        scan::ADDRESS if from_server && v4 => {
            let said = Addr::v4(rvs_wire::Be32::new(found.addr));
            let own = said == conn.daddr.get() || said == Addr::UNSPECIFIED;
            if own || said == conn.vaddr.get() {
                Deed { expected: Expected::Server, port, rewrite: said != conn.vaddr.get() }
            } else {
                Deed::default()
            }
        }
        _ => Deed::default(),
    }
}
