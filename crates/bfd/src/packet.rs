//! The BFD control packet (RFC 5880, 4.1), without authentication, to and from bytes. Reading is total.

use core::fmt;
use core::time::Duration;

/// The state of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Held down by its administrator.
    AdminDown,
    /// Down, or just created.
    Down,
    /// The other side is there and wants to come up.
    Init,
    /// Up.
    Up,
}

impl State {
    const fn bits(self) -> u8 {
        match self {
            Self::AdminDown => 0,
            Self::Down => 1,
            Self::Init => 2,
            Self::Up => 3,
        }
    }

    const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::AdminDown,
            1 => Self::Down,
            2 => Self::Init,
            _ => Self::Up,
        }
    }

    /// The word in logs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::AdminDown => "AdminDown",
            Self::Down => "Down",
            Self::Init => "Init",
            Self::Up => "Up",
        }
    }
}

/// Why a session is in its state (RFC 5880, 4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum Diag {
    /// Nothing to say.
    #[default]
    None = 0,
    /// Nothing was heard for the detection time.
    Expired = 1,
    /// The echo function failed.
    EchoFailed = 2,
    /// The neighbour went down.
    NeighbourDown = 3,
    /// The forwarding plane was reset.
    ForwardingReset = 4,
    /// The path is down.
    PathDown = 5,
    /// A concatenated path is down.
    ConcatenatedPathDown = 6,
    /// Held down by its administrator.
    AdminDown = 7,
    /// A reverse concatenated path is down.
    ReverseConcatenatedPathDown = 8,
}

impl Diag {
    /// All of them, by number.
    pub const ALL: [Self; 9] = [
        Self::None,
        Self::Expired,
        Self::EchoFailed,
        Self::NeighbourDown,
        Self::ForwardingReset,
        Self::PathDown,
        Self::ConcatenatedPathDown,
        Self::AdminDown,
        Self::ReverseConcatenatedPathDown,
    ];

    /// The words of RFC 5880.
    pub const fn words(self) -> &'static str {
        match self {
            Self::None => "No Diagnostic",
            Self::Expired => "Control Detection Time Expired",
            Self::EchoFailed => "Echo Function Failed",
            Self::NeighbourDown => "Neighbor Signaled Session Down",
            Self::ForwardingReset => "Forwarding Plane Reset",
            Self::PathDown => "Path Down",
            Self::ConcatenatedPathDown => "Concatenated Path Down",
            Self::AdminDown => "Administratively Down",
            Self::ReverseConcatenatedPathDown => "Reverse Concatenated Path Down",
        }
    }
}

/// A control packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet {
    /// The sender's diagnostic.
    pub diag: Diag,
    /// The sender's state.
    pub state: State,
    /// The sender asks for an answer.
    pub poll: bool,
    /// The answer.
    pub r#final: bool,
    /// The sender's BFD does not share its fate with its control plane.
    pub control_plane_independent: bool,
    /// The sender wants to hear nothing while the session is up.
    pub demand: bool,
    /// How many packets must be missing; not 0.
    pub multiplier: u8,
    /// The sender's number for the session; not 0.
    pub my_discriminator: u32,
    /// The receiver's number; 0 if not known.
    pub your_discriminator: u32,
    /// How often the sender would like to send, in microseconds.
    pub desired_min_tx: u32,
    /// How often the sender can receive, in microseconds; 0: never.
    pub required_min_rx: u32,
    /// The same for echoes, in microseconds; 0: never.
    pub required_min_echo_rx: u32,
}

/// The one reason why a packet is discarded before its session is known (RFC 5880, 6.8.6).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Malformed {
    /// Shorter than a packet, or than it says it is.
    Truncated,
    /// Says it is shorter than a packet can be.
    Length,
    /// Not version 1.
    Version,
    /// Multiplier 0.
    Multiplier,
    /// The multipoint bit.
    Multipoint,
    /// Discriminator 0.
    Discriminator,
    /// No discriminator of ours, in a state in which the sender must know it.
    YourDiscriminator,
    /// Authenticated, and no authentication is in use.
    Authenticated,
    /// Poll and final at once.
    PollAndFinal,
    /// A diagnostic that is not known.
    Diag,
}

impl Malformed {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Truncated,
        Self::Length,
        Self::Version,
        Self::Multiplier,
        Self::Multipoint,
        Self::Discriminator,
        Self::YourDiscriminator,
        Self::Authenticated,
        Self::PollAndFinal,
        Self::Diag,
    ];

    /// A word for counters and logs.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Length => "length",
            Self::Version => "version",
            Self::Multiplier => "multiplier",
            Self::Multipoint => "multipoint",
            Self::Discriminator => "discriminator",
            Self::YourDiscriminator => "your-discriminator",
            Self::Authenticated => "authenticated",
            Self::PollAndFinal => "poll-and-final",
            Self::Diag => "diag",
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

const VERSION: u8 = 1;
const POLL: u8 = 0x20;
const FINAL: u8 = 0x10;
const INDEPENDENT: u8 = 0x08;
const AUTHENTICATED: u8 = 0x04;
const DEMAND: u8 = 0x02;
const MULTIPOINT: u8 = 0x01;

impl Packet {
    /// The length of a packet without authentication.
    pub const LEN: usize = 24;

    /// Its bytes.
    pub fn emit(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[0] = (VERSION << 5) | self.diag as u8;
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        bytes[1] = (self.state.bits() << 6)
            | flag(self.poll, POLL)
            | flag(self.r#final, FINAL)
            | flag(self.control_plane_independent, INDEPENDENT)
            | flag(self.demand, DEMAND);
        bytes[2] = self.multiplier;
        bytes[3] = Self::LEN as u8;
        let words = [
            self.my_discriminator,
            self.your_discriminator,
            self.desired_min_tx,
            self.required_min_rx,
            self.required_min_echo_rx,
        ];
        for (at, word) in words.into_iter().enumerate() {
            bytes[4 + 4 * at..8 + 4 * at].copy_from_slice(&word.to_be_bytes());
        }
        bytes
    }

    /// Reads the payload of a datagram; what follows the packet's own length is ignored.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let Some(header) = bytes.first_chunk::<{ Self::LEN }>() else { return Err(Malformed::Truncated) };
        let word = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let (flags, length) = (header[1], usize::from(header[3]));
        let state = State::from_bits(flags >> 6);
        let diag = Diag::ALL.get(usize::from(header[0] & 0x1f)).copied();
        if header[0] >> 5 != VERSION {
            return Err(Malformed::Version);
        }
        if length < Self::LEN || (flags & AUTHENTICATED != 0 && length < Self::LEN + 2) {
            return Err(Malformed::Length);
        }
        if length > bytes.len() {
            return Err(Malformed::Truncated);
        }
        let (mine, yours) = (word(4), word(8));
        let reason = match () {
            () if header[2] == 0 => Malformed::Multiplier,
            () if flags & MULTIPOINT != 0 => Malformed::Multipoint,
            () if mine == 0 => Malformed::Discriminator,
            () if yours == 0 && matches!(state, State::Init | State::Up) => Malformed::YourDiscriminator,
            () if flags & AUTHENTICATED != 0 => Malformed::Authenticated,
            () if flags & (POLL | FINAL) == POLL | FINAL => Malformed::PollAndFinal,
            () => {
                return Ok(Self {
                    diag: diag.ok_or(Malformed::Diag)?,
                    state,
                    poll: flags & POLL != 0,
                    r#final: flags & FINAL != 0,
                    control_plane_independent: flags & INDEPENDENT != 0,
                    demand: flags & DEMAND != 0,
                    multiplier: header[2],
                    my_discriminator: mine,
                    your_discriminator: yours,
                    desired_min_tx: word(12),
                    required_min_rx: word(16),
                    required_min_echo_rx: word(20),
                });
            }
        };
        Err(reason)
    }
}

/// A duration in the packet's microseconds; what does not fit is the greatest that does.
pub(crate) fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet() -> impl Strategy<Value = Packet> {
        let numbers = (1u8.., 1u32.., 1u32.., any::<[u32; 3]>());
        (0usize..9, 0u8..4, 0u8..3, any::<[bool; 2]>(), numbers).prop_map(|(diag, state, asks, flags, numbers)| {
            let (multiplier, my_discriminator, your_discriminator, [tx, rx, echo]) = numbers;
            Packet {
                diag: Diag::ALL[diag],
                state: State::from_bits(state),
                poll: asks == 1,
                r#final: asks == 2,
                control_plane_independent: flags[0],
                demand: flags[1],
                multiplier,
                my_discriminator,
                your_discriminator,
                desired_min_tx: tx,
                required_min_rx: rx,
                required_min_echo_rx: echo,
            }
        })
    }

    #[test]
    fn the_bits_lie_where_rfc_5880_has_them() {
        let packet = Packet {
            diag: Diag::Expired,
            state: State::Init,
            poll: true,
            r#final: false,
            control_plane_independent: false,
            demand: true,
            multiplier: 5,
            my_discriminator: 0x0102_0304,
            your_discriminator: 0x0a0b_0c0d,
            desired_min_tx: 1_000_000,
            required_min_rx: 10_000,
            required_min_echo_rx: 0,
        };
        let expected =
            [0x21, 0xa2, 5, 24, 1, 2, 3, 4, 10, 11, 12, 13, 0, 0x0f, 0x42, 0x40, 0, 0, 0x27, 0x10, 0, 0, 0, 0];
        assert_eq!(packet.emit(), expected);
    }

    #[test]
    fn each_wrong_packet_has_its_reason() {
        let good = Packet {
            diag: Diag::None,
            state: State::Up,
            poll: false,
            r#final: false,
            control_plane_independent: false,
            demand: false,
            multiplier: 3,
            my_discriminator: 1,
            your_discriminator: 2,
            desired_min_tx: 1,
            required_min_rx: 1,
            required_min_echo_rx: 0,
        };
        let with = |at: usize, value: u8| {
            let mut bytes = good.emit();
            bytes[at] = value;
            Packet::parse(&bytes).unwrap_err()
        };
        assert_eq!(Packet::parse(&good.emit()[..23]), Err(Malformed::Truncated));
        assert_eq!(with(3, 25), Malformed::Truncated);
        assert_eq!(with(3, 23), Malformed::Length);
        assert_eq!(with(0, 0x40), Malformed::Version);
        assert_eq!(with(2, 0), Malformed::Multiplier);
        assert_eq!(with(1, 0xc1), Malformed::Multipoint);
        assert_eq!(with(7, 0), Malformed::Discriminator);
        assert_eq!(with(11, 0), Malformed::YourDiscriminator);
        assert_eq!(with(1, 0xc4), Malformed::Length);
        let mut long = good.emit().to_vec();
        (long[1], long[3]) = (0xc4, 26);
        long.extend([0; 2]);
        assert_eq!(Packet::parse(&long), Err(Malformed::Authenticated));
        assert_eq!(with(1, 0xf0), Malformed::PollAndFinal);
        assert_eq!(with(0, 0x29), Malformed::Diag);
        // Down, one need not know the other's number.
        let mut bytes = good.emit();
        (bytes[1], bytes[11]) = (0x40, 0);
        assert!(Packet::parse(&bytes).is_ok());
    }

    proptest! {
        #[test]
        fn what_is_sent_is_what_is_read(packet in packet(), tail in prop::collection::vec(any::<u8>(), 0..9)) {
            let bytes = [&packet.emit()[..], &tail].concat();
            prop_assert_eq!(Packet::parse(&bytes), Ok(packet));
        }

        #[test]
        fn any_bytes_give_a_packet_or_a_reason(mut bytes in prop::collection::vec(any::<u8>(), 0..60), help in any::<bool>()) {
            if help && bytes.len() > 3 {
                (bytes[0], bytes[3]) = (0x20 | (bytes[0] & 0xf), 24);
            }
            match Packet::parse(&bytes) {
                Ok(packet) => prop_assert_eq!(Packet::parse(&packet.emit()), Ok(packet)),
                Err(reason) => prop_assert!(Malformed::ALL.contains(&reason)),
            }
        }
    }
}
