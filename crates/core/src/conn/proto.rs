//! What differs between protocols, in one place: how connections of each begin, move on, count and rest. Everybody else hands a
//! protocol's number and a packet's *event* over and need not know what they mean.
//!
//! An event is a byte: of TCP the flags, of SCTP a [`sctp::Event`]; other protocols have none.

use super::{Column, Direction, sctp, tcp, udp};
use crate::abi::Timeouts;
use crate::settings::Settings;
use rvs_wire::ipv4::proto::{SCTP, TCP, UDP};
use rvs_wire::tcp::{ACK, FIN, RST, SYN};

/// The event of a packet that the balancer has no other name for.
pub const NO_EVENT: u8 = 0;

/// Whether a packet may begin a connection: TCP with a SYN, SCTP with an INIT, unless told to be sloppy; the rest always.
#[inline(always)]
pub const fn opens(proto: u8, event: u8, settings: &Settings) -> bool {
    match proto {
        TCP => event & RST == 0 && (event & SYN != 0 || settings.sloppy_tcp != 0),
        SCTP => event == sctp::Event::Init as u8 || settings.sloppy_sctp != 0,
        _ => true,
    }
}

/// Whether a packet from the client asks for a new connection, though there may be one of the same ports.
#[inline(always)]
pub const fn asks_anew(proto: u8, event: u8) -> bool {
    match proto {
        TCP => event & SYN != 0,
        SCTP => event == sctp::Event::Init as u8,
        _ => false,
    }
}

/// Whether a connection in this state is over, so that a packet that asks anew gets a new one, by `conn_reuse_mode`.
/// `alone`: the real server's packets do not pass here.
#[inline(always)]
pub const fn is_over(proto: u8, state: u8, alone: bool, mode: i32) -> bool {
    match proto {
        TCP => {
            state == tcp::State::TimeWait as u8
                || state == tcp::State::Close as u8
                || (mode & 2 != 0 && alone && state == tcp::State::FinWait as u8)
        }
        SCTP => state == sctp::State::Closed as u8,
        _ => false,
    }
}

/// The state of a connection before its first packet.
pub const NONE: u8 = 0;

/// The state after a packet. `secure`: the defence `secure_tcp` is in force.
#[inline(always)]
pub fn next(proto: u8, state: u8, event: u8, column: Column, secure: bool) -> u8 {
    match proto {
        TCP => tcp::next(state, event, column, secure),
        SCTP => sctp::next(state, event, column),
        _ => udp::NORMAL,
    }
}

/// Whether a packet leaves a connection that is established as it is, from whichever side it comes: most packets do.
#[inline(always)]
pub const fn rests(proto: u8, state: u8, event: u8) -> bool {
    match proto {
        TCP => state == tcp::State::Established as u8 && event & (SYN | FIN | RST | ACK) == ACK,
        UDP => true,
        _ => false,
    }
}

/// Whether a connection in this state counts as active at its destination.
#[inline(always)]
pub const fn is_active(proto: u8, state: u8) -> bool {
    match proto {
        TCP => tcp::is_active(state),
        SCTP => sctp::is_active(state),
        _ => false,
    }
}

/// Whether a packet in this direction, leading to this state, shows that both sides want the connection. UDP's answer does.
#[inline(always)]
pub const fn is_established(proto: u8, state: u8, direction: Direction) -> bool {
    match proto {
        TCP => state == tcp::State::Established as u8,
        SCTP => state == sctp::State::Established as u8,
        _ => matches!(direction, Direction::Out),
    }
}

/// Whether a connection that begins in this state is embryonic: nobody has shown that the client exists. It stays so until it
/// is established.
#[inline(always)]
pub const fn is_embryonic(proto: u8, state: u8) -> bool {
    match proto {
        TCP => state != tcp::State::Established as u8,
        SCTP => state != sctp::State::Established as u8,
        _ => false,
    }
}

/// Whether `drop_entry` may end a connection in this state at any time: it is on its way to being established.
#[inline(always)]
pub const fn is_opening(proto: u8, state: u8) -> bool {
    match proto {
        TCP => state == tcp::State::SynRecv as u8 || state == tcp::State::SynAck as u8,
        SCTP => state == sctp::State::Init1 as u8 || state == sctp::State::Init as u8,
        _ => false,
    }
}

/// Whether a connection in this state waits for its server to accept or refuse it.
#[inline(always)]
pub const fn awaits_server(proto: u8, state: u8) -> bool {
    proto == TCP && is_opening(proto, state)
}

/// Whether `drop_entry` may end a connection in this state when it is idle.
#[inline(always)]
pub const fn may_idle(proto: u8, state: u8) -> bool {
    is_established(proto, state, Direction::Out)
}

/// How long a connection lasts in a state without a packet, in seconds.
#[inline(always)]
pub fn timeout_secs(timeouts: &Timeouts, proto: u8, state: u8) -> u32 {
    // By a mask, not by a bounds check: the verifier of Linux 6.1 loses a check when the checked value lies on the stack.
    let words: &[u32; 16] = zerocopy::transmute_ref!(timeouts);
    const OF_TCP: usize = core::mem::offset_of!(Timeouts, tcp) / 4;
    match proto {
        TCP => words[(OF_TCP + state as usize) & 15],
        SCTP => sctp::TIMEOUTS[(state & 15) as usize],
        _ => timeouts.udp,
    }
}

/// A state's name, as `ipvsadm -Lc` prints it.
pub fn state_name(proto: u8, state: u8) -> &'static str {
    let named = |names: &[&'static str]| names.get(state as usize).copied().unwrap_or("NONE");
    match proto {
        TCP => named(&tcp::NAMES),
        SCTP => named(&sctp::NAMES),
        UDP => udp::NAME,
        _ => "NONE",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rvs_wire::tcp::{ACK, FIN};

    const INIT: u8 = sctp::Event::Init as u8;
    const DATA: u8 = sctp::Event::Data as u8;

    #[test]
    fn what_begins_a_connection_is_what_was_recorded() {
        let strict = Settings::DEFAULT;
        let sloppy = Settings { sloppy_tcp: 1, sloppy_sctp: -1, ..strict };
        for (event, plain, loose) in [
            (SYN, true, true),
            (SYN | ACK, true, true),
            (ACK, false, true),
            (FIN, false, true),
            (FIN | ACK, false, true),
            (RST, false, false),
            (RST | ACK, false, false),
            (0, false, true),
        ] {
            assert_eq!((opens(TCP, event, &strict), opens(TCP, event, &sloppy)), (plain, loose), "{event:#x}");
        }
        assert_eq!([INIT, DATA].map(|event| opens(SCTP, event, &strict)), [true, false]);
        assert_eq!([INIT, DATA].map(|event| opens(SCTP, event, &sloppy)), [true, true]);
        assert!(opens(UDP, NO_EVENT, &strict));
    }

    #[test]
    fn what_is_over_by_mode() {
        let over = |name: &str, alone, mode| {
            let state = tcp::NAMES.iter().position(|n| *n == name).unwrap() as u8;
            is_over(TCP, state, alone, mode)
        };
        for mode in 1..=3 {
            for name in tcp::NAMES {
                let wanted = matches!(name, "TIME_WAIT" | "CLOSE");
                assert_eq!(over(name, false, mode), wanted, "{name} {mode}");
                let alone = wanted || (name == "FIN_WAIT" && mode != 1);
                assert_eq!(over(name, true, mode), alone, "{name} {mode}, alone");
            }
        }
        let closed: std::vec::Vec<_> = (0..14).filter(|state| is_over(SCTP, *state, false, 1)).collect();
        assert_eq!(closed, [sctp::State::Closed as u8]);
    }

    #[test]
    fn timeouts_by_protocol_and_state() {
        let set = Timeouts { generation: 7, tcp: tcp::TIMEOUTS, udp: udp::TIMEOUT, pad: [0; 3] };
        let all =
            |proto, count: u8| (0..count).map(|state| timeout_secs(&set, proto, state)).collect::<std::vec::Vec<_>>();
        assert_eq!(all(TCP, 11), [2, 900, 120, 60, 120, 120, 10, 60, 30, 120, 120]);
        assert_eq!(all(SCTP, 14), [2, 4, 61, 61, 61, 61, 61, 61, 900, 61, 61, 61, 4, 61]);
        assert_eq!(all(UDP, 1), [300]);
    }

    #[test]
    fn states_have_the_names_that_ipvs_prints() {
        assert_eq!(state_name(TCP, 1), "ESTABLISHED");
        assert_eq!(state_name(TCP, 10), "SYNACK");
        assert_eq!(state_name(SCTP, 11), "S-ACK-SENT");
        assert_eq!(state_name(UDP, 0), "UDP");
        assert_eq!((state_name(TCP, 99), state_name(50, 0)), ("NONE", "NONE"));
    }
}
