//! Why bytes are no VRRP packet at all. What is wrong with a well-formed packet is an instance's matter ([`crate::Reject`]).

use core::fmt;

/// The one reason why bytes could not be read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Malformed {
    /// Shorter than an IPv4 header.
    IpTruncated,
    /// Not IP version 4 where that was expected.
    IpVersion,
    /// The IPv4 header says it is shorter than 20 bytes, or longer than the packet.
    IpHeaderLength,
    /// Neither VRRP nor an Authentication Header.
    IpProtocol,
    /// Not the first or only fragment.
    Fragment,
    /// Shorter than an Authentication Header.
    AhTruncated,
    /// An Authentication Header of another length than HMAC-MD5-96 makes it.
    AhLength,
    /// An Authentication Header over something else than VRRP.
    AhProtocol,
    /// Shorter than VRRP's header.
    VrrpTruncated,
    /// Source and destination are of different families.
    Families,
}

impl Malformed {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::IpTruncated,
        Self::IpVersion,
        Self::IpHeaderLength,
        Self::IpProtocol,
        Self::Fragment,
        Self::AhTruncated,
        Self::AhLength,
        Self::AhProtocol,
        Self::VrrpTruncated,
        Self::Families,
    ];

    /// A word for counters and logs.
    pub const fn label(self) -> &'static str {
        match self {
            Self::IpTruncated => "ip-truncated",
            Self::IpVersion => "ip-version",
            Self::IpHeaderLength => "ip-header-length",
            Self::IpProtocol => "ip-protocol",
            Self::Fragment => "fragment",
            Self::AhTruncated => "ah-truncated",
            Self::AhLength => "ah-length",
            Self::AhProtocol => "ah-protocol",
            Self::VrrpTruncated => "vrrp-truncated",
            Self::Families => "families",
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}
