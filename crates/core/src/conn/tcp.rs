//! TCP as IPVS sees it: eleven states, four events, three columns of directions.
//!
//! The table is the kernel's (`ip_vs_proto_tcp.c` documents it as a matrix); it does not follow sequence numbers. A segment
//! without SYN, FIN, RST and ACK closes.

use super::Column;
use rvs_wire::tcp::{ACK, FIN, RST, SYN};

/// Number of states.
pub const STATES: usize = 11;

/// States, with the kernel's numbers, which the synchronisation protocol carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum State {
    /// No packet seen.
    None = 0,
    /// Both ways open.
    Established = 1,
    /// The real server sent a SYN.
    SynSent = 2,
    /// The client sent a SYN.
    SynRecv = 3,
    /// The real server (or, input-only, the client) sent a FIN.
    FinWait = 4,
    /// Both sent a FIN.
    TimeWait = 5,
    /// Reset, or a segment that makes no sense.
    Close = 6,
    /// The client sent a FIN.
    CloseWait = 7,
    /// Last acknowledgment awaited.
    LastAck = 8,
    /// Expecting a connection (FTP data).
    Listen = 9,
    /// Secure TCP: SYN answered, not yet acknowledged.
    SynAck = 10,
}

/// Names as `ipvsadm -Lc` prints them, by state number.
pub const NAMES: [&str; STATES] = [
    "NONE",
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT",
    "TIME_WAIT",
    "CLOSE",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "SYNACK",
];

/// Default timeouts in seconds, by state number.
pub const TIMEOUTS: [u32; STATES] = [2, 900, 120, 60, 120, 120, 10, 60, 30, 120, 120];

const NO: u8 = State::None as u8;
const ES: u8 = State::Established as u8;
const SS: u8 = State::SynSent as u8;
const SR: u8 = State::SynRecv as u8;
const FW: u8 = State::FinWait as u8;
const TW: u8 = State::TimeWait as u8;
const CL: u8 = State::Close as u8;
const CW: u8 = State::CloseWait as u8;
const LA: u8 = State::LastAck as u8;
const LI: u8 = State::Listen as u8;
const SA: u8 = State::SynAck as u8;

/// `[table][column][event][state]`, the second table that of `secure_tcp`; events padded to 4, states to 16, so that an index
/// needs no check beyond a mask.
#[rustfmt::skip]
static NEXT: [[[[u8; 16]; 4]; 3]; 2] = [
    [
        // Input
        [
            //       NO  ES  SS  SR  FW  TW  CL  CW  LA  LI  SA
            /*syn*/ [SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SR, NO, NO, NO, NO, NO],
            /*fin*/ [CL, CW, SS, TW, TW, TW, CL, CW, LA, LI, TW, NO, NO, NO, NO, NO],
            /*ack*/ [ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES, NO, NO, NO, NO, NO],
            /*rst*/ [CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, SR, NO, NO, NO, NO, NO],
        ],
        // Output
        [
            /*syn*/ [SS, ES, SS, SR, SS, SS, SS, SS, SS, LI, SR, NO, NO, NO, NO, NO],
            /*fin*/ [TW, FW, SS, TW, FW, TW, CL, TW, LA, LI, TW, NO, NO, NO, NO, NO],
            /*ack*/ [ES, ES, SS, ES, FW, TW, CL, CW, LA, ES, ES, NO, NO, NO, NO, NO],
            /*rst*/ [CL, CL, SS, CL, CL, TW, CL, CL, CL, CL, CL, NO, NO, NO, NO, NO],
        ],
        // Input only
        [
            /*syn*/ [SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SR, NO, NO, NO, NO, NO],
            /*fin*/ [CL, FW, SS, TW, FW, TW, CL, CW, LA, LI, TW, NO, NO, NO, NO, NO],
            /*ack*/ [ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES, NO, NO, NO, NO, NO],
            /*rst*/ [CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, CL, NO, NO, NO, NO, NO],
        ],
    ],
    [
        // Input, secure
        [
            //       NO  ES  SS  SR  FW  TW  CL  CW  LA  LI  SA
            /*syn*/ [SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SA, NO, NO, NO, NO, NO],
            /*fin*/ [CL, CW, SS, TW, TW, TW, CL, CW, LA, LI, SA, NO, NO, NO, NO, NO],
            /*ack*/ [ES, ES, SS, SR, FW, TW, CL, CW, CL, LI, SA, NO, NO, NO, NO, NO],
            /*rst*/ [CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, CL, NO, NO, NO, NO, NO],
        ],
        // Output, secure
        [
            /*syn*/ [SS, ES, SS, SA, SS, SS, SS, SS, SS, LI, SA, NO, NO, NO, NO, NO],
            /*fin*/ [TW, FW, SS, TW, FW, TW, CL, TW, LA, LI, TW, NO, NO, NO, NO, NO],
            /*ack*/ [ES, ES, SS, ES, FW, TW, CL, CW, LA, ES, ES, NO, NO, NO, NO, NO],
            /*rst*/ [CL, CL, SS, CL, CL, TW, CL, CL, CL, CL, CL, NO, NO, NO, NO, NO],
        ],
        // Input only, secure
        [
            /*syn*/ [SA, ES, ES, SR, SA, SA, SA, SA, SA, SA, SA, NO, NO, NO, NO, NO],
            /*fin*/ [CL, FW, SS, TW, FW, TW, CL, CW, LA, LI, TW, NO, NO, NO, NO, NO],
            /*ack*/ [ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES, NO, NO, NO, NO, NO],
            /*rst*/ [CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, CL, NO, NO, NO, NO, NO],
        ],
    ],
];

/// The state after a segment with these flags, by the usual table or that of `secure_tcp`. RST counts before SYN, SYN before
/// FIN, FIN before ACK.
#[inline(always)]
pub fn next(state: u8, flags: u8, column: Column, secure: bool) -> u8 {
    let event = if flags & RST != 0 {
        3
    } else if flags & SYN != 0 {
        0
    } else if flags & FIN != 0 {
        1
    } else if flags & ACK != 0 {
        2
    } else {
        return CL;
    };
    let table = if secure { 1 } else { 0 };
    NEXT[table][column.index()][event][(state & 15) as usize]
}

/// Whether a connection in this state counts as active: established, or on its way there.
#[inline(always)]
pub const fn is_active(state: u8) -> bool {
    // Bits of SYN_SENT, SYN_RECV, SYNACK and ESTABLISHED.
    const ACTIVE: u32 = 1 << SS | 1 << SR | 1 << SA | 1 << ES;
    ACTIVE >> (state & 15) & 1 != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// What the live kernel did with every segment in every state it could be brought into: with NAT and with direct
    /// routing, by the usual table and by that of `secure_tcp`.
    const RECORDED: &str = include_str!("../../../../tests/golden/recorded/e1_states.txt");

    fn transitions(title: &str, secure: bool) -> usize {
        let only = title.contains("DR");
        let section = RECORDED.split(&std::format!("\n=== {title}\n")).nth(1).unwrap().split("\n===").next().unwrap();
        let number = |name: &str| NAMES.iter().position(|n| *n == name).unwrap() as u8;
        let mut seen = 0;
        for line in section.lines().filter(|line| line.contains("->") && !line.starts_with('-')) {
            let words: Vec<_> = line.split_whitespace().collect();
            let column = match words[1] {
                "s" => Column::Output,
                _ if only => Column::InputOnly,
                _ => Column::Input,
            };
            for (segment, result) in words[2..].iter().filter_map(|word| word.split_once("->")) {
                let got = next(number(words[0]), flags(segment), column, secure);
                assert_eq!(NAMES[got as usize], result.split('(').next().unwrap(), "{line}");
                seen += 1;
            }
        }
        seen
    }

    fn flags(segment: &str) -> u8 {
        const PSH: u8 = 0x08;
        match segment {
            "S" => SYN,
            "SA" => SYN | ACK,
            "A" => ACK,
            "PA" => PSH | ACK,
            "F" => FIN,
            "FA" => FIN | ACK,
            "R" => RST,
            "RA" => RST | ACK,
            "none" => 0,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn every_recorded_transition() {
        assert_eq!(transitions("NAT, default", false), 14 * 9);
        assert_eq!(transitions("DR, default (client packets only)", false), 5 * 9);
    }

    #[test]
    fn every_recorded_transition_of_secure_tcp() {
        assert_eq!(transitions("NAT, secure_tcp=3", true), 16 * 9);
        assert_eq!(transitions("DR, secure_tcp=3", true), 5 * 9);
        let first = |column| NAMES[next(NO, SYN, column, true) as usize];
        assert_eq!((first(Column::Input), first(Column::InputOnly)), ("SYN_RECV", "SYNACK"));
    }

    #[test]
    fn active_are_the_states_on_the_way_to_and_in_established() {
        let active: Vec<_> = (0..STATES as u8).filter(|s| is_active(*s)).map(|s| NAMES[s as usize]).collect();
        assert_eq!(active, ["ESTABLISHED", "SYN_SENT", "SYN_RECV", "SYNACK"]);
    }
}
