//! TCP as IPVS sees it: eleven states, four events, three columns of directions.
//!
//! The table is the kernel's (`ip_vs_proto_tcp.c` documents it as a matrix); it does not follow sequence numbers. A segment
//! without SYN, FIN, RST and ACK closes.

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

/// The columns of the table.
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

/// `[column][event][state]`, states padded to 16 so that an index needs no check beyond a mask.
static NEXT: [[[u8; 16]; 4]; 3] = [
    // Input
    [
        //       NO  ES  SS  SR  FW  TW  CL  CW  LA  LI  SA
        /*syn*/
        [SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SR, NO, NO, NO, NO, NO],
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
];

const _: u8 = SA;

/// The state after a segment with these flags. RST counts before SYN, SYN before FIN, FIN before ACK.
#[inline(always)]
pub fn next(state: u8, flags: u8, column: Column) -> u8 {
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
    let column = match column {
        Column::Input => 0,
        Column::Output => 1,
        Column::InputOnly => 2,
    };
    NEXT[column][event][(state & 15) as usize]
}

/// Whether a connection in this state counts as active: established, or on its way there.
#[inline(always)]
pub const fn is_active(state: u8) -> bool {
    // Bits of SYN_SENT, SYN_RECV, SYNACK and ESTABLISHED.
    const ACTIVE: u32 = 1 << SS | 1 << SR | 1 << SA | 1 << ES;
    ACTIVE >> (state & 15) & 1 != 0
}

/// Whether a new SYN begins a new connection in place of one in this state (`conn_reuse_mode` 1).
#[inline(always)]
pub const fn is_reusable(state: u8) -> bool {
    state == TW || state == CL
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::{String, ToString};
    use std::vec::Vec;

    /// The matrix of the recordings of the live kernel (NAT, default table): state, side, and the result of each kind of
    /// segment: S, SA, A, PA, F, FA, R, RA, none.
    const RECORDED: &str = "
SYN_RECV    c SYN_RECV    SYN_RECV    ESTABLISHED ESTABLISHED TIME_WAIT  TIME_WAIT  SYN_RECV  SYN_RECV  CLOSE
SYN_RECV    s SYN_RECV    SYN_RECV    ESTABLISHED ESTABLISHED TIME_WAIT  TIME_WAIT  CLOSE     CLOSE     CLOSE
ESTABLISHED c ESTABLISHED ESTABLISHED ESTABLISHED ESTABLISHED CLOSE_WAIT CLOSE_WAIT CLOSE     CLOSE     CLOSE
ESTABLISHED s ESTABLISHED ESTABLISHED ESTABLISHED ESTABLISHED FIN_WAIT   FIN_WAIT   CLOSE     CLOSE     CLOSE
TIME_WAIT   c SYN_RECV    SYN_RECV    TIME_WAIT   TIME_WAIT   TIME_WAIT  TIME_WAIT  CLOSE     CLOSE     CLOSE
TIME_WAIT   s SYN_SENT    SYN_SENT    TIME_WAIT   TIME_WAIT   TIME_WAIT  TIME_WAIT  TIME_WAIT TIME_WAIT CLOSE
CLOSE       c SYN_RECV    SYN_RECV    CLOSE       CLOSE       CLOSE      CLOSE      CLOSE     CLOSE     CLOSE
CLOSE       s SYN_SENT    SYN_SENT    CLOSE       CLOSE       CLOSE      CLOSE      CLOSE     CLOSE     CLOSE
CLOSE_WAIT  c SYN_RECV    SYN_RECV    CLOSE_WAIT  CLOSE_WAIT  CLOSE_WAIT CLOSE_WAIT CLOSE     CLOSE     CLOSE
CLOSE_WAIT  s SYN_SENT    SYN_SENT    CLOSE_WAIT  CLOSE_WAIT  TIME_WAIT  TIME_WAIT  CLOSE     CLOSE     CLOSE
FIN_WAIT    c SYN_RECV    SYN_RECV    FIN_WAIT    FIN_WAIT    TIME_WAIT  TIME_WAIT  CLOSE     CLOSE     CLOSE
FIN_WAIT    s SYN_SENT    SYN_SENT    FIN_WAIT    FIN_WAIT    FIN_WAIT   FIN_WAIT   CLOSE     CLOSE     CLOSE
SYN_SENT    c ESTABLISHED ESTABLISHED SYN_SENT    SYN_SENT    SYN_SENT   SYN_SENT   CLOSE     CLOSE     CLOSE
SYN_SENT    s SYN_SENT    SYN_SENT    SYN_SENT    SYN_SENT    SYN_SENT   SYN_SENT   SYN_SENT  SYN_SENT  CLOSE
ESTABLISHED i ESTABLISHED ESTABLISHED ESTABLISHED ESTABLISHED FIN_WAIT   FIN_WAIT   CLOSE     CLOSE     CLOSE
FIN_WAIT    i SYN_RECV    SYN_RECV    FIN_WAIT    FIN_WAIT    FIN_WAIT   FIN_WAIT   CLOSE     CLOSE     CLOSE
TIME_WAIT   i SYN_RECV    SYN_RECV    TIME_WAIT   TIME_WAIT   TIME_WAIT  TIME_WAIT  CLOSE     CLOSE     CLOSE
SYN_RECV    i SYN_RECV    SYN_RECV    ESTABLISHED ESTABLISHED TIME_WAIT  TIME_WAIT  SYN_RECV  SYN_RECV  CLOSE
";

    #[test]
    fn every_recorded_transition() {
        const PSH: u8 = 0x08;
        let segments = [SYN, SYN | ACK, ACK, PSH | ACK, FIN, FIN | ACK, RST, RST | ACK, 0];
        let number = |name: &str| NAMES.iter().position(|n| *n == name).unwrap() as u8;
        for line in RECORDED.lines().filter(|l| !l.is_empty()) {
            let words: Vec<_> = line.split_whitespace().collect();
            let column = match words[1] {
                "c" => Column::Input,
                "s" => Column::Output,
                _ => Column::InputOnly,
            };
            let got: Vec<String> = segments
                .iter()
                .map(|flags| NAMES[next(number(words[0]), *flags, column) as usize].to_string())
                .collect();
            assert_eq!(got, words[2..], "{} {}", words[0], words[1]);
        }
    }

    #[test]
    fn active_are_the_states_on_the_way_to_and_in_established() {
        let active: Vec<_> = (0..STATES as u8).filter(|s| is_active(*s)).map(|s| NAMES[s as usize]).collect();
        assert_eq!(active, ["ESTABLISHED", "SYN_SENT", "SYN_RECV", "SYNACK"]);
    }
}
