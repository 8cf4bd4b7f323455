//! Values that are one of a few words.

use super::one_of;

one_of! {
    /// What an instance begins as.
    pub enum State {
        /// Waits for nobody if it is the address owner.
        Master = "MASTER",
        /// Waits for adverts first.
        Backup = "BACKUP",
    }
}

one_of! {
    /// Authentication of VRRP version 2.
    pub enum AuthType {
        /// A password in the clear.
        Pass = "PASS",
        /// An authentication header of IPsec.
        Ah = "AH",
    }
}

one_of! {
    /// What an instance does with adverts that lack authentication, or have the wrong one.
    pub enum AuthMode {
        /// Checks, but does not send.
        ReceiveOnly = "receive-only",
        /// Sends, and accepts what has none.
        Permissive = "permissive",
        /// Sends, and accepts nothing else.
        Enforce = "enforce",
    }
}

one_of! {
    /// What a replayed advert is known by.
    pub enum AntiReplay {
        /// Its time.
        Time = "time",
        /// A counter that only grows.
        Monotonic = "monotonic",
        /// Nothing.
        None = "none",
    }
}

one_of! {
    /// The protocol of a virtual service.
    pub enum Protocol {
        /// TCP.
        Tcp = "TCP",
        /// UDP.
        Udp = "UDP",
        /// SCTP.
        Sctp = "SCTP",
    }
}

one_of! {
    /// A scheduler of IPVS.
    pub enum Scheduler {
        /// Round robin.
        Rr = "rr",
        /// Weighted round robin.
        Wrr = "wrr",
        /// Least connections.
        Lc = "lc",
        /// Weighted least connections.
        Wlc = "wlc",
        /// Locality-based least connections.
        Lblc = "lblc",
        /// The same with replication.
        Lblcr = "lblcr",
        /// Source hashing.
        Sh = "sh",
        /// Maglev hashing.
        Mh = "mh",
        /// Destination hashing.
        Dh = "dh",
        /// Weighted fail-over.
        Fo = "fo",
        /// Weighted overflow.
        Ovf = "ovf",
        /// Shortest expected delay.
        Sed = "sed",
        /// Never queue.
        Nq = "nq",
        /// Power of two choices.
        Twos = "twos",
    }
}

one_of! {
    /// A family of addresses.
    pub enum Family {
        /// IPv4.
        Inet = "inet",
        /// IPv6.
        Inet6 = "inet6",
    }
}

one_of! {
    /// The type of a DNS query.
    pub enum DnsType {
        /// An IPv4 address.
        A = "A",
        /// A name server.
        Ns = "NS",
        /// An alias.
        Cname = "CNAME",
        /// The start of a zone.
        Soa = "SOA",
        /// A mail server.
        Mx = "MX",
        /// A text.
        Txt = "TXT",
        /// An IPv6 address.
        Aaaa = "AAAA",
    }
}

one_of! {
    /// The version of HTTP in a request.
    pub enum HttpProtocol {
        /// HTTP/1.0.
        Http10 = "1.0",
        /// HTTP/1.0 with `Connection: close`.
        Http10Close = "1.0C" | "1.0c",
        /// HTTP/1.1.
        Http11 = "1.1",
        /// HTTP/2.
        Http2 = "2",
    }
}

one_of! {
    /// How a link's state is asked for.
    pub enum Linkbeat {
        /// The registers of the transceiver.
        Mii = "MII",
        /// ethtool.
        Ethtool = "ETHTOOL",
        /// The interface's flags.
        Ioctl = "IOCTL",
    }
}

one_of! {
    /// How a process's parameters are compared.
    pub enum ParamMatch {
        /// The last may be longer.
        Initial = "initial",
        /// There may be more.
        Partial = "partial",
    }
}

one_of! {
    /// A version of the JSON dump.
    pub enum JsonVersion {
        /// A list of instances.
        One = "1",
        /// An object.
        Two = "2",
    }
}

one_of! {
    /// Where an agent's answer may change a real server.
    pub enum AgentAction {
        /// Weights only.
        Weight = "weight",
        /// Health only.
        Health = "health",
        /// Both.
        Both = "both",
    }
}
