//! `virtual_server`, `real_server` and what belongs to them.

use super::checker::{Checks, Pace};
use super::rows::*;
use crate::keepalived::field::{Args, Out, Syntax, Value, Words};
use crate::keepalived::lang::Statement;
use crate::keepalived::report::Reports;
use crate::keepalived::span::Spans;

block! {
    /// Certificates for checks over TLS.
    pub struct Ssl "SSL" {
        /// The password of the key.
        password: Option<Text> = "password";
        /// The file with the authorities.
        ca: Option<Text> = "ca";
        /// The file with our certificate.
        certificate: Option<Text> = "certificate";
        /// The file with its key.
        key: Option<Text> = "key";
    }
}

/// Several addresses and marks that are one virtual server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServerGroup {
    /// Its name.
    pub name: Name,
    /// The addresses and marks.
    pub members: Lines<GroupMember>,
    /// Where it stands.
    pub spans: Spans,
}

impl Value for ServerGroup {
    fn syntax() -> Syntax {
        let lines = Some(<GroupMember as Words>::syntax());
        Syntax { words: <Name as Words>::syntax(), lines, block: None, repeats: false }
    }

    fn read(statement: &Statement, reports: &mut Reports) -> Option<Self> {
        let mut group = Self::default();
        group.spans.set_header(statement.span());
        match Name::parse(&mut Args::of(statement)) {
            Ok(name) => group.name = name,
            Err(bad) => {
                bad.report(reports);
                return None;
            }
        }
        match &statement.body {
            Some(body) => group.members.read_lines(body, reports),
            None => reports.error(statement.span(), "Missing '{' after 'virtual_server_group'"),
        }
        Some(group)
    }

    fn write(&self, keyword: &str, out: &mut Out) {
        let members = |out: &mut Out| {
            self.members.values().for_each(|member| out.line(&member.words()));
        };
        out.block(&[keyword.to_owned(), self.name.0.clone()], members);
    }
}

block! {
    /// Real servers that lose too many connections leave for a while.
    pub struct Outlier "outlier_ejection" {
        /// How many new connections in a row may be refused or stay without an answer.
        consecutive_failures: Option<Count> = "consecutive_failures" [ours ""];
        /// How long the first absence is; each further one is twice as long.
        base_ejection_time: Option<Seconds<1, 86_400_000_000>> = "base_ejection_time" [ours ""];
        /// How long an absence is at most.
        max_ejection_time: Option<Seconds<1, 86_400_000_000>> = "max_ejection_time" [ours ""];
        /// How much of the weight may be absent at once, in per cent. 10 by default.
        max_ejection_percent: Option<Int<0, 100>> = "max_ejection_percent" [ours ""];
    }
}

block! {
    /// A real server.
    pub struct RealServer "real_server" (endpoint: Endpoint) {
        /// Its share. 1 by default.
        weight: Option<Int<0, 2_147_483_647>> = "weight";
        /// How packets get to it.
        lvs_method: Option<Forward> = "lvs_method" | "lb_kind";
        /// More connections than this it does not get.
        uthreshold: Option<Int<0, 4_294_967_295>> = "uthreshold";
        /// At fewer than this it gets connections again.
        lthreshold: Option<Int<0, 4_294_967_295>> = "lthreshold";
        /// With a weight of 0 instead of not at all while it fails.
        inhibit_on_failure: Option<Switch> = "inhibit_on_failure";
        /// What to run when it comes.
        notify_up: Option<Command> = "notify_up";
        /// What to run when it goes.
        notify_down: Option<Command> = "notify_down";
        /// Send mails.
        smtp_alert: Option<Switch> = "smtp_alert";
        /// The virtual host of HTTP checks.
        virtualhost: Option<Text> = "virtualhost";
        /// How long its share grows after it has come back.
        slow_start: Option<Seconds<0, 86_400_000_000>> = "slow_start" [ours ""];
        /// Its name by SNMP.
        snmp_name: Option<Text> = "snmp_name" [no_effect "RVS has no SNMP agent; the name is shown with `--json`"];
        ..pace: Pace;
        ..checks: Checks;
    }
}

block! {
    /// A virtual server.
    pub struct VirtualServer "virtual_server" (key: ServiceKey) {
        /// Its protocol.
        protocol: Option<Protocol> = "protocol";
        /// Its scheduler. wlc by default.
        scheduler: Option<Scheduler> = "lvs_sched" | "lb_algo";
        /// How packets get to real servers. NAT by default.
        lvs_method: Option<Forward> = "lvs_method" | "lb_kind";
        /// How long a client keeps its real server. 360 if no number follows.
        persistence_timeout: Option<Persistence> = "persistence_timeout";
        /// Which clients are one.
        persistence_granularity: Option<Granularity> = "persistence_granularity";
        /// What else clients are known by: sip.
        persistence_engine: Option<Text> = "persistence_engine";
        /// One packet is one connection (UDP).
        ops: bool = "ops";
        /// Flag 1 of the scheduler.
        flag_1: bool = "flag-1" | "sh-fallback" | "mh-fallback";
        /// Flag 2 of the scheduler.
        flag_2: bool = "flag-2" | "sh-port" | "mh-port";
        /// Flag 3 of the scheduler.
        flag_3: bool = "flag-3";
        /// Known to the scheduler by its hash.
        hashed: bool = "hashed" [no_effect "every service is hashed"];
        /// The family of a service by mark whose real servers are all behind tunnels.
        ip_family: Option<Family> = "ip_family";
        /// Checks pause while this machine has not the address.
        ha_suspend: bool = "ha_suspend";
        /// At the end, run what would be run if everything failed.
        omega: bool = "omega";
        /// The least weight of all servers together. 1 by default.
        quorum: Option<Int<1, 2_147_483_647>> = "quorum";
        /// How much more or less before that counts. 0 by default.
        hysteresis: Option<CountOrNone> = "hysteresis";
        /// What to run when the quorum is reached.
        quorum_up: Option<Command> = "quorum_up";
        /// What to run when it is lost.
        quorum_down: Option<Command> = "quorum_down";
        /// The server for when the quorum is lost.
        sorry_server: Option<Endpoint> = "sorry_server";
        /// The sorry server has weight 0 instead of being away.
        sorry_server_inhibit: bool = "sorry_server_inhibit";
        /// How packets get to it.
        sorry_server_lvs_method: Option<Forward> = "sorry_server_lvs_method";
        /// The weight of real servers. 1 by default.
        weight: Option<Int<0, 2_147_483_647>> = "weight";
        /// More connections than this a real server does not get.
        uthreshold: Option<Int<0, 4_294_967_295>> = "uthreshold" [ours ""];
        /// At fewer than this it gets connections again.
        lthreshold: Option<Int<0, 4_294_967_295>> = "lthreshold" [ours ""];
        /// Failing real servers have weight 0 instead of being away.
        inhibit_on_failure: Option<Switch> = "inhibit_on_failure";
        /// Send mails.
        smtp_alert: Option<Switch> = "smtp_alert";
        /// The virtual host of HTTP checks.
        virtualhost: Option<Text> = "virtualhost";
        /// A name for those who look.
        service_type: Option<Text> = "service_type" [ours ""];
        /// Its name by SNMP.
        snmp_name: Option<Text> = "snmp_name" [no_effect "RVS has no SNMP agent; the name is shown with `--json`"];
        /// How long the share of a real server grows after it has come back.
        slow_start: Option<Seconds<0, 86_400_000_000>> = "slow_start" [ours ""];
        /// Real servers that lose too many connections leave for a while.
        outlier_ejection: Outlier = "outlier_ejection" [ours ""];
        /// A real server.
        real_servers: Vec<RealServer> = "real_server";
        ..pace: Pace;
    }
}

impl VirtualServer {
    /// As messages and notifications name it.
    pub fn text(&self) -> String {
        self.key.text(self.protocol)
    }

    /// How packets get to a real server.
    pub fn forward(&self, real: &RealServer) -> Forward {
        real.lvs_method.or(self.lvs_method).unwrap_or(Forward::Nat)
    }

    /// A real server as messages and notifications name it: without a port of its own it has that of the service.
    pub fn real_text(&self, real: &RealServer) -> String {
        let port = match &self.key {
            ServiceKey::Address(at) => real.endpoint.port.or(at.port),
            ServiceKey::Mark(_) | ServiceKey::Group(_) => real.endpoint.port,
        };
        let endpoint = Endpoint { port, ..real.endpoint };
        ServiceKey::Address(endpoint).text(self.protocol)
    }
}
