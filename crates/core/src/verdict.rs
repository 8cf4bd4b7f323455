//! How a packet ends: one verdict with one named reason. The reason's number is the index of its counter, the label of its
//! metric and its row in the documentation.

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $number:literal, $label:literal, $kind:ident;)+) => {
        /// Why a packet ended as it did.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        #[repr(u8)]
        pub enum Reason {
            $($(#[doc = $doc])+ $name = $number,)+
        }

        impl Reason {
            /// All reasons, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// From its number.
            #[inline(always)]
            pub const fn from_raw(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$name),)+ _ => None }
            }

            /// Whether the packet with the reason of this number is sent on; numbers of no reason are not.
            #[inline(always)]
            pub const fn is_forwarded(number: u32) -> bool {
                number <= Self::ProbeOut as u32
            }

            /// The label: lower case words joined by `_`.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$name => $label),+ }
            }

            /// What becomes of a packet with this reason.
            #[inline(always)]
            pub const fn outcome(self) -> Outcome {
                match self { $(Self::$name => Outcome::$kind),+ }
            }

            /// One line for people.
            pub const fn describe(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+)),+ }
            }
        }
    };
}

/// What becomes of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Outcome {
    /// Sent on by us.
    Forwarded,
    /// Left to the host's own stack; unchanged, unless the reason says otherwise.
    Passed,
    /// Ends here, without an answer.
    Dropped,
    /// Ends here; its sender is told by an ICMP error or, of a purged connection, by a TCP RST.
    Answered,
    /// Kept for later, when it is counted again as what then becomes of it.
    Held,
}

impl Outcome {
    /// In one word, as listings print it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Forwarded => "forwarded",
            Self::Passed => "passed",
            Self::Dropped => "dropped",
            Self::Answered => "answered",
            Self::Held => "held",
        }
    }
}

/// Size of the counter map; a power of two above every number below.
pub const REASON_SLOTS: u32 = 64;

reasons! {
    /// Client packet, destination rewritten (masquerading).
    NatIn = 0, "nat_in", Forwarded;
    /// Real server's reply, source rewritten back to the virtual service.
    NatOut = 1, "nat_out", Forwarded;
    /// Client packet re-addressed to the real server's MAC (direct routing).
    Dr = 2, "dr", Forwarded;
    /// Client packet encapsulated to the real server (tunnelling).
    Tun = 3, "tun", Forwarded;
    /// ICMP error about a masqueraded connection, translated.
    IcmpRelated = 4, "icmp_related", Forwarded;
    /// Reply of a real server that is this host under another address or port, source rewritten back to the virtual service.
    LocalOut = 5, "local_out", Forwarded;
    /// A health check's packet to a real server, addressed to the virtual service instead.
    ProbeOut = 6, "probe_out", Forwarded;
    /// Not IP.
    NotIp = 8, "not_ip", Passed;
    /// An IP protocol or family that is not balanced.
    NotBalanced = 9, "not_balanced", Passed;
    /// Of no connection and for no virtual service.
    NoService = 10, "no_service", Passed;
    /// For a virtual service, but of no connection and unable to start one.
    NoConnection = 11, "no_connection", Passed;
    /// A fragment whose first one was left to the host, or of a protocol without ports.
    Fragment = 12, "fragment", Passed;
    /// Too short for its own headers.
    Malformed = 13, "malformed", Passed;
    /// Left by XDP to the TC hook, which decides (and counts) it.
    Deferred = 14, "deferred", Passed;
    /// ICMP that is about no connection of ours.
    IcmpUnrelated = 15, "icmp_unrelated", Passed;
    /// Not addressed to this host on the link layer.
    NotForUs = 16, "not_for_us", Passed;
    /// For the real server that is this host.
    LocalNode = 17, "local_node", Passed;
    /// No configuration, or one of another version.
    NoConfig = 18, "no_config", Passed;
    /// More or longer IPv6 extension headers than are looked through.
    HeaderChain = 19, "header_chain", Passed;
    /// A fragment of an ICMP error.
    IcmpFragment = 20, "icmp_fragment", Passed;
    /// A router tells that a tunnel's packet was too big for it; remembered for that real server.
    TunnelTooBig = 21, "tunnel_too_big", Passed;
    /// For a service by mark without a destination that can take it: sent to where it was going (`cache_bypass`).
    Bypass = 22, "bypass", Passed;
    /// A real server's answer to a health check that goes by the virtual service: source rewritten to the real server's own.
    ProbeIn = 23, "probe_in", Passed;
    /// The connection's destination was deleted.
    DestGone = 24, "dest_gone", Dropped;
    /// No free entry in the connection table.
    TableFull = 25, "table_full", Dropped;
    /// No route to the real server or client.
    NoRoute = 26, "no_route", Dropped;
    /// The packet could not be changed (a helper failed).
    RewriteFailed = 27, "rewrite_failed", Dropped;
    /// The configuration changed twice while this packet was being scheduled.
    ConfigRace = 28, "config_race", Dropped;
    /// Larger than the way out, and neither to be cut nor to be answered: an ICMP error, a later fragment, or one with options.
    TooBig = 29, "too_big", Dropped;
    /// An answer was due, but as many were given lately as allowed.
    AnswerLimited = 30, "answer_limited", Dropped;
    /// TTL at its end, of an ICMP error, which is never answered by another.
    TtlExceededSilent = 31, "ttl_exceeded_silent", Dropped;
    /// Another CPU began the same connection at the same moment, and it was over before this packet could join it.
    LostRace = 32, "lost_race", Dropped;
    /// A fragment that would write over the transport header.
    FragmentOverlap = 33, "fragment_overlap", Dropped;
    /// A fragment whose first one was dropped, or whose connection is over.
    FragmentDropped = 34, "fragment_dropped", Dropped;
    /// A fragment came before the first one, and there was no room to hold it.
    FragmentLost = 35, "fragment_lost", Dropped;
    /// A new connection, dropped so that others get on (`drop_packet`).
    Shed = 36, "shed", Dropped;
    /// A new connection, while others begin faster than records of unfinished ones can be used again.
    Flooded = 37, "flooded", Dropped;
    /// For a service with the persistence engine sip, and without a Call-ID.
    NoCallId = 38, "no_call_id", Dropped;
    /// IPv6 of at most 1280 bytes for a tunnel whose way takes less than that and its headers: no sender can make it smaller.
    TunnelNarrow = 39, "tunnel_narrow", Dropped;
    /// No destination is available: ICMP port unreachable.
    NoDestination = 40, "no_destination", Answered;
    /// TTL at its end: ICMP time exceeded.
    TtlExceeded = 41, "ttl_exceeded", Answered;
    /// Larger than the way out and not to be fragmented: ICMP fragmentation needed.
    FragNeeded = 42, "frag_needed", Answered;
    /// Of a masqueraded real server, but of no connection: ICMP port unreachable (`nat_icmp_send`).
    NoMaster = 44, "no_master", Answered;
    /// Of a connection that was purged: TCP RST.
    Purged = 43, "purged", Answered;
    /// For the real server that is this host, where nobody listens: TCP RST, or ICMP port unreachable.
    NoListener = 45, "no_listener", Answered;
    /// A fragment that came before the first one: held until that comes.
    FragmentHeld = 48, "fragment_held", Held;
    /// Larger than the way out, and cut into fragments that come in again one by one.
    Cut = 49, "cut", Held;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_forwarded_come_first() {
        for reason in Reason::ALL {
            assert_eq!(Reason::is_forwarded(*reason as u32), reason.outcome() == Outcome::Forwarded, "{reason:?}");
        }
    }

    #[test]
    fn numbers_and_labels_are_unique_and_fit_the_counters() {
        let numbers: BTreeSet<_> = Reason::ALL.iter().map(|r| *r as u32).collect();
        let labels: BTreeSet<_> = Reason::ALL.iter().map(|r| r.label()).collect();
        assert_eq!((numbers.len(), labels.len()), (Reason::ALL.len(), Reason::ALL.len()));
        assert!(numbers.iter().all(|n| *n < REASON_SLOTS));
    }
}
