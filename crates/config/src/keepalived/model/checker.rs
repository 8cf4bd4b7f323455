//! The checks of real servers.

use super::rows::*;

block! {
    /// The pace of checks; each level has the one above it as default.
    pub struct Pace "" {
        /// Count as failed until the first success.
        alpha: Option<Switch> = "alpha";
        /// How long a connection may take to come about. 5 by default.
        connect_timeout: Option<CheckTime> = "connect_timeout";
        /// How often to try again before it counts as failed. 1 by default; 3 for DNS, 0 for programs.
        retry: Option<CountOrNone> = "retry" | "nb_get_retry";
        /// How long to wait before that. 1 by default; 3 for HTTP, delay_loop for DNS.
        delay_before_retry: Option<CheckTime> = "delay_before_retry";
        /// How long at most the first check is put off, at random. delay_loop by default.
        warmup: Option<CheckTime> = "warmup";
        /// How often to check. 60 by default.
        delay_loop: Option<CheckInterval> = "delay_loop";
    }
}

/// A time that may be 0.
pub type CheckTime = Seconds<0, 18_446_744_073_709_551_614>;
/// A time that may not.
pub type CheckInterval = Seconds<1, 18_446_744_073_709_551_614>;

block! {
    /// What all checks over the network have.
    pub struct Connect "" {
        /// Where to connect to. The real server by default.
        connect_ip: Option<IpAddr> = "connect_ip";
        /// The port. That of the real server by default.
        connect_port: Option<Port> = "connect_port";
        /// Where to connect from.
        bindto: Option<IpAddr> = "bindto";
        /// The interface to connect from.
        bind_if: Option<IfName> = "bind_if";
        /// The port to connect from.
        bind_port: Option<Port> = "bind_port";
        /// The firewall mark of the packets.
        fwmark: Option<Int<0, 4_294_967_295>> = "fwmark";
        /// Send the check through the forwarding method, to the virtual address on that real server.
        check_via_vip: Option<Switch> = "check_via_vip" [ours ""];
        /// Log every failure.
        log_all_failures: Option<Switch> = "log_all_failures";
        ..pace: Pace;
    }
}

block! {
    /// What checks over TLS have.
    pub struct Tls "" {
        /// Name the host in the handshake.
        enable_sni: Option<Switch> = "enable_sni";
        /// The name to use there; the virtual host by default.
        sni_name: Option<Text> = "sni_name" [newer "2.3.0"];
        /// Refuse certificates that no authority vouches for, that are expired or made out to another name.
        tls_verify: Option<Switch> = "tls_verify" [ours ""];
    }
}

block! {
    /// A page to ask for.
    pub struct Url "url" {
        /// Its path.
        path: Option<Text> = "path";
        /// The MD5 digest of its contents, as genhash prints it.
        digest: Option<Digest> = "digest";
        /// The status codes that are right. 200-299 by default.
        status_code: Option<StatusCodes> = "status_code";
        /// The virtual host.
        virtualhost: Option<Text> = "virtualhost";
        /// A regular expression that the contents must match.
        regex: Option<Text> = "regex";
        /// It must not match.
        regex_no_match: bool = "regex_no_match";
        /// Options of the expression.
        regex_options: Option<RegexOptions> = "regex_options";
        /// Where to begin to look.
        regex_min_offset: Option<CountOrNone> = "regex_min_offset";
        /// Where a match must have begun.
        regex_max_offset: Option<CountOrNone> = "regex_max_offset";
        /// Sizes of the stack of the expression.
        regex_stack: Option<Sizes> = "regex_stack" [no_effect "expressions are matched without a stack"];
        /// A connection that ends without a farewell of TLS counts as failed.
        tls_compliant: bool = "tls_compliant" [newer "2.2.8"];
    }
}

block! {
    /// Asks for pages.
    pub struct HttpCheck "HTTP_GET" {
        /// A page; several are asked for in turn.
        urls: Vec<Url> = "url";
        /// The virtual host.
        virtualhost: Option<Text> = "virtualhost";
        /// The version of HTTP.
        http_protocol: Option<HttpProtocol> = "http_protocol";
        /// A connection that ends without a farewell of TLS counts as failed.
        tls_compliant: bool = "tls_compliant" [newer "2.2.8"];
        /// After a failure ask for all pages without a pause.
        fast_recovery: Option<Switch> = "fast_recovery";
        ..tls: Tls;
        ..connect: Connect;
    }
}

block! {
    /// Connects by TCP.
    pub struct TcpCheck "TCP_CHECK" {
        ..connect: Connect;
    }
}

block! {
    /// One of several mail servers.
    pub struct SmtpHost "host" {
        ..connect: Connect;
    }
}

block! {
    /// Talks to a mail server.
    pub struct SmtpCheck "SMTP_CHECK" {
        /// The name to greet with.
        helo_name: Option<Text> = "helo_name";
        /// Another server that must answer.
        hosts: Vec<SmtpHost> = "host" [deprecated "use several SMTP_CHECK"];
        ..connect: Connect;
    }
}

block! {
    /// Asks a name server.
    pub struct DnsCheck "DNS_CHECK" {
        /// What for. SOA by default.
        kind: Option<DnsType> = "type";
        /// The name. The root by default.
        name: Option<Text> = "name";
        ..connect: Connect;
    }
}

block! {
    /// Runs a program.
    pub struct MiscCheck "MISC_CHECK" {
        /// The program.
        path: Option<Command> = "misc_path";
        /// How long it may take, in seconds.
        timeout: Option<Count> = "misc_timeout";
        /// Its exit status from 2 on is the weight plus 2.
        dynamic: bool = "misc_dynamic";
        /// On whose behalf it runs.
        user: Option<User> = "user";
        /// Log every failure.
        log_all_failures: Option<Switch> = "log_all_failures";
        ..pace: Pace;
    }
}

block! {
    /// Sends a datagram.
    pub struct UdpCheck "UDP_CHECK" {
        /// What to send; random bytes by default.
        payload: Option<Hex> = "payload";
        /// There must be an answer; with these bytes, if any are given.
        require_reply: Option<Reply> = "require_reply";
        /// The least length of the answer.
        min_reply_length: Option<Int<0, 65_535>> = "min_reply_length";
        /// The greatest. 255 by default.
        max_reply_length: Option<Int<0, 65_535>> = "max_reply_length";
        ..connect: Connect;
    }
}

block! {
    /// Sends an echo request.
    pub struct PingCheck "PING_CHECK" {
        ..connect: Connect;
    }
}

block! {
    /// Follows a session of bidirectional forwarding detection.
    pub struct BfdCheck "BFD_CHECK" {
        /// The name of its bfd_instance.
        name: Option<Name> = "name";
        /// Count as failed until the first success.
        alpha: Option<Switch> = "alpha";
    }
}

block! {
    /// Follows a file.
    pub struct FileCheck "FILE_CHECK" {
        /// The name of its track_file.
        track_file: Option<Name> = "track_file";
        /// What its number is multiplied by.
        weight: Option<Weight<2_147_483_647>> = "weight";
        /// The number changes the weight.
        dynamic: bool = "dynamic";
        /// Count as failed until the first success.
        alpha: Option<Switch> = "alpha";
    }
}

block! {
    /// Asks an agent on the real server, by the text protocol of HAProxy's agent check: `75%`, `drain`, `up`, `down`, `maint`.
    pub struct AgentCheck "AGENT_CHECK" {
        /// What to say first.
        send: Option<Text> = "send" [ours ""];
        /// What the answer may change. Both by default.
        applies_to: Option<AgentAction> = "applies_to" [ours ""];
        ..connect: Connect;
    }
}

block! {
    /// Asks by the health checking protocol of gRPC.
    pub struct GrpcCheck "GRPC_CHECK" {
        /// The service; the server as a whole by default.
        service: Option<Text> = "service" [ours ""];
        /// Use TLS.
        use_tls: Option<Switch> = "use_tls" [ours ""];
        /// The name of the host in the request.
        authority: Option<Text> = "authority" [ours ""];
        ..tls: Tls;
        ..connect: Connect;
    }
}

block! {
    /// Says PING to a Redis server.
    pub struct RedisCheck "REDIS_CHECK" {
        /// The user.
        username: Option<Text> = "username" [ours ""];
        /// The password.
        password: Option<Text> = "password" [ours ""];
        /// The role that the server must have: master or slave.
        role: Option<Text> = "role" [ours ""];
        ..connect: Connect;
    }
}

block! {
    /// Shakes hands with a MySQL or MariaDB server.
    pub struct MysqlCheck "MYSQL_CHECK" {
        /// The user to log in as; without one, the server's greeting is enough.
        username: Option<Text> = "username" [ours ""];
        /// The user's password; none by default.
        password: Option<Text> = "password" [ours ""];
        ..connect: Connect;
    }
}

block! {
    /// Shakes hands with a PostgreSQL server.
    pub struct PgsqlCheck "PGSQL_CHECK" {
        /// The user to name. `postgres` by default.
        username: Option<Text> = "username" [ours ""];
        /// The database to name.
        database: Option<Text> = "database" [ours ""];
        ..connect: Connect;
    }
}

block! {
    /// The checks of a real server; there may be several of each kind, and all must succeed.
    pub struct Checks "" {
        /// Connects by TCP.
        tcp: Vec<TcpCheck> = "TCP_CHECK";
        /// Asks for pages.
        http: Vec<HttpCheck> = "HTTP_GET";
        /// Asks for pages over TLS.
        ssl: Vec<HttpCheck> = "SSL_GET";
        /// Talks to a mail server.
        smtp: Vec<SmtpCheck> = "SMTP_CHECK";
        /// Asks a name server.
        dns: Vec<DnsCheck> = "DNS_CHECK";
        /// Runs a program.
        misc: Vec<MiscCheck> = "MISC_CHECK";
        /// Sends a datagram.
        udp: Vec<UdpCheck> = "UDP_CHECK";
        /// Sends an echo request.
        ping: Vec<PingCheck> = "PING_CHECK";
        /// Follows a session of bidirectional forwarding detection.
        bfd: Vec<BfdCheck> = "BFD_CHECK";
        /// Follows a file.
        file: Vec<FileCheck> = "FILE_CHECK";
        /// Asks an agent on the real server.
        agent: Vec<AgentCheck> = "AGENT_CHECK" [ours ""];
        /// Asks by the health checking protocol of gRPC.
        grpc: Vec<GrpcCheck> = "GRPC_CHECK" [ours ""];
        /// Says PING to a Redis server.
        redis: Vec<RedisCheck> = "REDIS_CHECK" [ours ""];
        /// Shakes hands with a MySQL or MariaDB server.
        mysql: Vec<MysqlCheck> = "MYSQL_CHECK" [ours ""];
        /// Shakes hands with a PostgreSQL server.
        pgsql: Vec<PgsqlCheck> = "PGSQL_CHECK" [ours ""];
    }
}

/// One check of whatever kind.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "each is the block of its name")]
pub enum Check<'a> {
    Tcp(&'a TcpCheck),
    Http(&'a HttpCheck),
    Ssl(&'a HttpCheck),
    Smtp(&'a SmtpCheck),
    Dns(&'a DnsCheck),
    Misc(&'a MiscCheck),
    Udp(&'a UdpCheck),
    Ping(&'a PingCheck),
    Bfd(&'a BfdCheck),
    File(&'a FileCheck),
    Agent(&'a AgentCheck),
    Grpc(&'a GrpcCheck),
    Redis(&'a RedisCheck),
    Mysql(&'a MysqlCheck),
    Pgsql(&'a PgsqlCheck),
}

impl Checks {
    /// All of them, kind by kind.
    pub fn iter(&self) -> impl Iterator<Item = Check<'_>> {
        let first = self.tcp.iter().map(Check::Tcp).chain(self.http.iter().map(Check::Http));
        let second = self.ssl.iter().map(Check::Ssl).chain(self.smtp.iter().map(Check::Smtp));
        let third = self.dns.iter().map(Check::Dns).chain(self.misc.iter().map(Check::Misc));
        let fourth = self.udp.iter().map(Check::Udp).chain(self.ping.iter().map(Check::Ping));
        let fifth = self.bfd.iter().map(Check::Bfd).chain(self.file.iter().map(Check::File));
        let sixth = self.agent.iter().map(Check::Agent).chain(self.grpc.iter().map(Check::Grpc));
        let last = self.redis.iter().map(Check::Redis).chain(self.mysql.iter().map(Check::Mysql));
        let all = first.chain(second).chain(third).chain(fourth).chain(fifth).chain(sixth).chain(last);
        all.chain(self.pgsql.iter().map(Check::Pgsql))
    }
}

impl<'a> Check<'a> {
    /// What it has in common with other checks over the network.
    pub fn connect(self) -> Option<&'a Connect> {
        Some(match self {
            Self::Tcp(check) => &check.connect,
            Self::Http(check) | Self::Ssl(check) => &check.connect,
            Self::Smtp(check) => &check.connect,
            Self::Dns(check) => &check.connect,
            Self::Udp(check) => &check.connect,
            Self::Ping(check) => &check.connect,
            Self::Agent(check) => &check.connect,
            Self::Grpc(check) => &check.connect,
            Self::Redis(check) => &check.connect,
            Self::Mysql(check) => &check.connect,
            Self::Pgsql(check) => &check.connect,
            Self::Misc(_) | Self::Bfd(_) | Self::File(_) => return None,
        })
    }

    /// Its pace, if it has one of its own.
    pub fn pace(self) -> Option<&'a Pace> {
        match self {
            Self::Misc(check) => Some(&check.pace),
            other => other.connect().map(|connect| &connect.pace),
        }
    }
}
