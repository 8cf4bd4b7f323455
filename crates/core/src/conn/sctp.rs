//! SCTP as IPVS sees it: fourteen states, ten events, three columns of directions.
//!
//! The table is the kernel's. The first chunk of a packet decides; a COOKIE ECHO or COOKIE ACK with an ABORT behind it is an
//! ABORT; chunks without an event of their own (SACK, HEARTBEAT …) count as DATA. Tags and sequence numbers are not followed.

use super::Column;
use rvs_wire::sctp::chunk;

/// Number of states.
pub const STATES: usize = 14;

/// States, with the kernel's numbers, which the synchronisation protocol carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum State {
    /// No packet seen.
    None = 0,
    /// The client sent one INIT.
    Init1 = 1,
    /// The client sent another.
    Init = 2,
    /// The real server offered a cookie.
    CookieSent = 3,
    /// The client returned it.
    CookieReplied = 4,
    /// Both sent INIT.
    CookieWait = 5,
    /// Cookies are being exchanged.
    Cookie = 6,
    /// A cookie was echoed to the client.
    CookieEchoed = 7,
    /// Both ways open.
    Established = 8,
    /// The real server is shutting down.
    ShutdownSent = 9,
    /// The client is shutting down.
    ShutdownReceived = 10,
    /// The shutdown was acknowledged.
    ShutdownAckSent = 11,
    /// Refused.
    Rejected = 12,
    /// Over.
    Closed = 13,
}

/// Names as `ipvsadm -Lc` prints them, by state number.
pub const NAMES: [&str; STATES] = [
    "NONE",
    "INIT1",
    "INIT",
    "C-SENT",
    "C-REPLIED",
    "C-WAIT",
    "COOKIE",
    "C-ECHOED",
    "ESTABLISHED",
    "S-SENT",
    "S-RECEIVED",
    "S-ACK-SENT",
    "REJECTED",
    "CLOSED",
];

/// Timeouts in seconds, by state number, padded to 16.
pub static TIMEOUTS: [u32; 16] = [2, 4, 61, 61, 61, 61, 61, 61, 900, 61, 61, 61, 4, 61, 0, 0];

/// What a packet means, by its chunks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum Event {
    /// DATA, and whatever has no event of its own.
    Data = 0,
    /// INIT.
    Init = 1,
    /// INIT ACK.
    InitAck = 2,
    /// COOKIE ECHO.
    CookieEcho = 3,
    /// COOKIE ACK.
    CookieAck = 4,
    /// SHUTDOWN.
    Shutdown = 5,
    /// SHUTDOWN ACK.
    ShutdownAck = 6,
    /// SHUTDOWN COMPLETE.
    ShutdownComplete = 7,
    /// ERROR.
    Error = 8,
    /// ABORT.
    Abort = 9,
}

/// The event of a packet whose chunks begin with `first` and, if there are two, `second`.
#[inline(always)]
pub const fn event(first: u8, second: Option<u8>) -> Event {
    match first {
        chunk::COOKIE_ECHO | chunk::COOKIE_ACK if matches!(second, Some(chunk::ABORT)) => Event::Abort,
        chunk::INIT => Event::Init,
        chunk::INIT_ACK => Event::InitAck,
        chunk::COOKIE_ECHO => Event::CookieEcho,
        chunk::COOKIE_ACK => Event::CookieAck,
        chunk::SHUTDOWN => Event::Shutdown,
        chunk::SHUTDOWN_ACK => Event::ShutdownAck,
        chunk::SHUTDOWN_COMPLETE => Event::ShutdownComplete,
        chunk::ERROR => Event::Error,
        chunk::ABORT => Event::Abort,
        _ => Event::Data,
    }
}

const NO: u8 = State::None as u8;
const I1: u8 = State::Init1 as u8;
const IN: u8 = State::Init as u8;
const CS: u8 = State::CookieSent as u8;
const CR: u8 = State::CookieReplied as u8;
const CW: u8 = State::CookieWait as u8;
const CO: u8 = State::Cookie as u8;
const CE: u8 = State::CookieEchoed as u8;
const ES: u8 = State::Established as u8;
const SS: u8 = State::ShutdownSent as u8;
const SR: u8 = State::ShutdownReceived as u8;
const SA: u8 = State::ShutdownAckSent as u8;
const RJ: u8 = State::Rejected as u8;
const CL: u8 = State::Closed as u8;

/// A row that no event leads to: states stay.
const SAME: [u8; 16] = [NO, I1, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL, NO, NO];

/// `[column][event][state]`, events and states padded to 16 so that an index needs no check beyond a mask.
#[rustfmt::skip]
static NEXT: [[[u8; 16]; 16]; 3] = [
    // Input
    [
        //                   NO  I1  IN  CS  CR  CW  CO  CE  ES  SS  SR  SA  RJ  CL
        /* data */          [ES, I1, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL, NO, NO],
        /* init */          [I1, IN, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, IN, IN, NO, NO],
        /* init ack */      [CW, CW, CW, CS, CR, CO, CO, CE, ES, SS, SR, SA, RJ, CL, NO, NO],
        /* cookie echo */   [CR, IN, IN, CR, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL, NO, NO],
        /* cookie ack */    [ES, I1, IN, CS, CR, CW, CO, ES, ES, SS, SR, SA, RJ, CL, NO, NO],
        /* shutdown */      [SR, I1, IN, CS, CR, CW, CO, CE, SR, SS, SR, SA, RJ, CL, NO, NO],
        /* shutdown ack */  [CL, IN, IN, CS, CR, CW, CO, CE, ES, CL, SR, CL, RJ, CL, NO, NO],
        /* shutdown compl. */ [CL, CL, CL, CS, CR, CW, CO, CE, ES, SS, SR, CL, RJ, CL, NO, NO],
        /* error */         [CL, I1, IN, CS, CR, CW, CO, CL, ES, SS, SR, SA, RJ, CL, NO, NO],
        /* abort */         [CL, CL, CL, CL, CL, RJ, CL, CL, CL, CL, CL, CL, CL, CL, NO, NO],
        SAME, SAME, SAME, SAME, SAME, SAME,
    ],
    // Output
    [
        /* data */          [ES, I1, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL, NO, NO],
        /* init */          [CW, CW, CW, CW, CW, CW, CW, CW, ES, CW, CW, CW, CW, CW, NO, NO],
        /* init ack */      [CS, CS, CS, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL, NO, NO],
        /* cookie echo */   [CE, CE, CE, CE, CE, CE, CE, CE, ES, SS, SR, SA, RJ, CL, NO, NO],
        /* cookie ack */    [ES, ES, ES, ES, ES, ES, ES, ES, ES, SS, SR, SA, RJ, CL, NO, NO],
        /* shutdown */      [SS, SS, SS, SS, SS, SS, SS, SS, SS, SS, SR, SA, RJ, CL, NO, NO],
        /* shutdown ack */  [SA, SA, SA, SA, SA, CW, CO, CE, ES, SA, SA, SA, RJ, CL, NO, NO],
        /* shutdown compl. */ [CL, I1, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL, NO, NO],
        /* error */         [CL, CL, CL, CL, CL, CW, CO, CE, ES, SS, SR, SA, RJ, CL, NO, NO],
        /* abort */         [CL, RJ, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL, NO, NO],
        SAME, SAME, SAME, SAME, SAME, SAME,
    ],
    // Input only
    [
        /* data */          [ES, I1, IN, CS, CR, ES, CO, CE, ES, SS, SR, SA, RJ, CL, NO, NO],
        /* init */          [I1, IN, IN, IN, IN, IN, CO, CE, ES, SS, SR, SA, IN, IN, NO, NO],
        /* init ack */      [CE, CE, CE, CE, CE, CE, CO, CE, ES, SS, SR, SA, RJ, CL, NO, NO],
        /* cookie echo */   [ES, ES, ES, ES, ES, ES, CO, CE, ES, SS, SR, SA, RJ, CL, NO, NO],
        /* cookie ack */    [ES, I1, IN, ES, ES, CW, ES, ES, ES, SS, SR, SA, RJ, CL, NO, NO],
        /* shutdown */      [SR, I1, IN, CS, CR, CW, CO, CE, SR, SS, SR, SA, RJ, CL, NO, NO],
        /* shutdown ack */  [CL, IN, IN, CS, CR, CW, CO, CE, CL, CL, SR, CL, RJ, CL, NO, NO],
        /* shutdown compl. */ [CL, CL, CL, CL, CL, CW, CO, CE, ES, SS, CL, CL, RJ, CL, NO, NO],
        /* error */         [CL, I1, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL, NO, NO],
        /* abort */         [CL, CL, CL, CL, CL, RJ, CL, CL, CL, CL, CL, CL, CL, CL, NO, NO],
        SAME, SAME, SAME, SAME, SAME, SAME,
    ],
];

/// The state after a packet with this [`Event`].
#[inline(always)]
pub fn next(state: u8, event: u8, column: Column) -> u8 {
    NEXT[column.index()][(event & 15) as usize][(state & 15) as usize]
}

/// Whether a connection in this state counts as active.
#[inline(always)]
pub const fn is_active(state: u8) -> bool {
    state == ES
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// What the live kernel did with every chunk in every state it could be brought into.
    const RECORDED: &str = include_str!("../../../../tests/golden/recorded/e1_states.txt");

    fn number(name: &str) -> u8 {
        NAMES.iter().position(|n| *n == name).unwrap() as u8
    }

    fn by_name(name: &str) -> Event {
        match name {
            "DATA" | "HBEAT" => Event::Data,
            "INIT" => Event::Init,
            "INITACK" => Event::InitAck,
            "ABORT" => Event::Abort,
            "SHUTDOWN" => Event::Shutdown,
            "SHUTACK" => Event::ShutdownAck,
            "ERROR" => Event::Error,
            "COOKECHO" => Event::CookieEcho,
            "COOKACK" => Event::CookieAck,
            "SHUTCOMP" => Event::ShutdownComplete,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn every_recorded_transition() {
        let section = RECORDED.split("\n=== SCTP NAT\n").nth(1).unwrap();
        let mut seen = 0;
        for line in section.lines().filter(|line| line.contains("->") && !line.starts_with('-')) {
            let words: Vec<_> = line.split_whitespace().collect();
            let column = if words[1] == "c" { Column::Input } else { Column::Output };
            for (chunk, result) in words[2..].iter().filter_map(|word| word.split_once("->")) {
                let wanted = result.split('(').next().unwrap();
                // An INIT from the client begins a connection anew in place of a closed one: that is not the table's.
                if (words[0], words[1], chunk) == ("CLOSED", "c", "INIT") {
                    assert_eq!(wanted, "INIT1");
                    continue;
                }
                let got = next(number(words[0]), by_name(chunk) as u8, column);
                assert_eq!(NAMES[got as usize], wanted, "{} {} {chunk}", words[0], words[1]);
                // Listed seconds are whole ones of what is left.
                let left: u32 = result.split(['(', 's']).nth(1).unwrap().parse().unwrap();
                let whole = TIMEOUTS[got as usize];
                assert!((whole - 1..=whole).contains(&left), "{line}");
                seen += 1;
            }
        }
        assert_eq!(seen, 13 * 2 * 11 - 1);
    }

    #[test]
    fn a_client_seen_alone() {
        // As with direct routing: INIT, COOKIE ECHO, DATA, SHUTDOWN, SHUTDOWN COMPLETE.
        let mut state = State::None as u8;
        let mut seen = Vec::new();
        for event in [Event::Init, Event::CookieEcho, Event::Data, Event::Shutdown, Event::ShutdownComplete] {
            state = next(state, event as u8, Column::InputOnly);
            seen.push(NAMES[state as usize]);
        }
        assert_eq!(seen, ["INIT1", "ESTABLISHED", "ESTABLISHED", "S-RECEIVED", "CLOSED"]);
    }

    #[test]
    fn chunks_and_their_events() {
        assert_eq!(event(chunk::COOKIE_ECHO, Some(chunk::ABORT)), Event::Abort);
        assert_eq!(event(chunk::COOKIE_ECHO, Some(chunk::DATA)), Event::CookieEcho);
        assert_eq!(event(chunk::COOKIE_ACK, Some(chunk::ABORT)), Event::Abort);
        assert_eq!(event(chunk::DATA, Some(chunk::ABORT)), Event::Data);
        assert_eq!(event(chunk::HEARTBEAT, None), Event::Data);
        assert_eq!(event(0xc1, None), Event::Data);
    }

    #[test]
    fn nonsense_from_a_damaged_table_stays_inside() {
        for state in 0..=u8::MAX {
            for event in 0..=u8::MAX {
                assert!((next(state, event, Column::Input) as usize) < STATES);
            }
        }
    }

    #[test]
    fn only_established_counts_as_active() {
        let active: Vec<_> = (0..STATES as u8).filter(|s| is_active(*s)).collect();
        assert_eq!(active, [State::Established as u8]);
    }
}
