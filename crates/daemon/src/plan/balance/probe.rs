//! What each kind of check asks.

use super::super::notify::Command;
use super::check::target;
use rvs_checker::{
    Agent, AgentScope, Bfd, Dns, DnsType, File, Grpc, Http, HttpVersion, Misc, Mysql, Pattern, Pgsql, Probe, Redis,
    Smtp, Tls, Udp, UdpReply, Url,
};
use rvs_config::keepalived::Config;
use rvs_config::keepalived::model::checker::{self as blocks, Check};
use rvs_config::keepalived::model::server::{RealServer, VirtualServer};
use rvs_config::keepalived::value::choice::{self, AgentAction, HttpProtocol};
use rvs_config::keepalived::value::{Int, Text};
use std::net::SocketAddr;
use std::time::Duration;

/// What is sent where nothing is said: nothing that any protocol knows, and the same each time, so that equal checks are one.
const NOISE: [u8; 8] = [0xd6, 0x4b, 0x9a, 0x13, 0x7e, 0xc5, 0x20, 0xf1];

fn text(text: &Option<Text>) -> Option<String> {
    text.as_ref().map(|text| text.0.clone())
}

/// `Err`: why the check cannot be done.
pub(super) fn probe(
    check: Check<'_>,
    block: &VirtualServer,
    real: &RealServer,
    config: &Config,
) -> Result<Probe, String> {
    Ok(match check {
        Check::Tcp(_) => Probe::Tcp,
        Check::Http(check) => Probe::Http(http(check, block, real, false)?),
        Check::Ssl(check) => Probe::Http(http(check, block, real, true)?),
        Check::Smtp(check) => Probe::Smtp(smtp(check, real, config)?),
        Check::Dns(check) => Probe::Dns(Dns {
            kind: check.kind.map_or(DnsType::Soa, kind),
            name: check.name.as_ref().map_or(String::new(), |name| name.0.trim_end_matches('.').to_owned()),
        }),
        Check::Misc(check) => Probe::Misc(misc(check, block, real)?),
        Check::Udp(check) => Probe::Udp(udp(check)),
        Check::Ping(_) => Probe::Ping,
        Check::Bfd(check) => Probe::Bfd(Bfd { name: check.name.as_ref().ok_or("BFD_CHECK has no name")?.0.clone() }),
        Check::File(check) => Probe::File(file(check, config)?),
        Check::Agent(check) => Probe::Agent(Agent {
            send: text(&check.send),
            scope: match check.applies_to {
                Some(AgentAction::Weight) => AgentScope::Weight,
                Some(AgentAction::Health) => AgentScope::Health,
                Some(AgentAction::Both) | None => AgentScope::Both,
            },
        }),
        Check::Grpc(check) => {
            let authority = text(&check.authority);
            let tls =
                check.use_tls.is_some_and(|switch| switch.0).then(|| tls(&check.tls, authority.as_deref(), false));
            Probe::Grpc(Grpc { service: text(&check.service).unwrap_or_default(), authority, tls })
        }
        Check::Redis(check) => Probe::Redis(Redis {
            username: text(&check.username),
            password: text(&check.password),
            role: text(&check.role),
        }),
        Check::Mysql(check) => Probe::Mysql(Mysql { username: text(&check.username), password: text(&check.password) }),
        Check::Pgsql(check) => Probe::Pgsql(Pgsql {
            username: text(&check.username).unwrap_or_else(|| "postgres".to_owned()),
            database: text(&check.database),
            ssl_request: false,
        }),
    })
}

const fn kind(kind: choice::DnsType) -> DnsType {
    match kind {
        choice::DnsType::A => DnsType::A,
        choice::DnsType::Ns => DnsType::Ns,
        choice::DnsType::Cname => DnsType::Cname,
        choice::DnsType::Soa => DnsType::Soa,
        choice::DnsType::Mx => DnsType::Mx,
        choice::DnsType::Txt => DnsType::Txt,
        choice::DnsType::Aaaa => DnsType::Aaaa,
    }
}

fn tls(block: &blocks::Tls, virtualhost: Option<&str>, compliant: bool) -> Tls {
    let named = block.enable_sni.is_some_and(|switch| switch.0) || block.sni_name.is_some();
    Tls {
        sni: text(&block.sni_name).or_else(|| virtualhost.map(str::to_owned)).filter(|_| named),
        verify: block.tls_verify.is_some_and(|switch| switch.0),
        compliant,
    }
}

fn http(block: &blocks::HttpCheck, server: &VirtualServer, real: &RealServer, ssl: bool) -> Result<Http, String> {
    let virtualhost =
        text(&block.virtualhost).or_else(|| text(&real.virtualhost)).or_else(|| text(&server.virtualhost));
    let urls: Vec<Url> = block.urls.iter().map(url).collect::<Result<_, _>>()?;
    let first = || block.urls.first().and_then(|url| text(&url.virtualhost));
    let host = virtualhost.clone().or_else(first);
    let compliant = block.tls_compliant || block.urls.iter().any(|url| url.tls_compliant);
    Ok(Http {
        urls,
        version: match block.http_protocol {
            None | Some(HttpProtocol::Http10) => HttpVersion::Http10,
            Some(HttpProtocol::Http10Close) => HttpVersion::Http10Close,
            Some(HttpProtocol::Http11) => HttpVersion::Http11,
            Some(HttpProtocol::Http2) => HttpVersion::Http2,
        },
        virtualhost,
        fast_recovery: block.fast_recovery.is_some_and(|switch| switch.0),
        tls: ssl.then(|| tls(&block.tls, host.as_deref(), compliant)),
    })
}

fn url(block: &blocks::Url) -> Result<Url, String> {
    let pattern = match &block.regex {
        None => None,
        Some(expression) => {
            let mut pattern = Pattern {
                expression: expression.0.clone(),
                no_match: block.regex_no_match,
                min_offset: block.regex_min_offset.map_or(0, Int::to),
                max_offset: block.regex_max_offset.map(Int::to),
                ..Pattern::default()
            };
            for word in block.regex_options.iter().flat_map(|options| &options.0) {
                pattern.set_option(word)?;
            }
            Some(pattern)
        }
    };
    let ranges = block.status_code.iter().flat_map(|codes| &codes.0);
    Ok(Url {
        path: text(&block.path).unwrap_or_default(),
        digest: block.digest.as_ref().map(|digest| digest.0),
        status: ranges.map(|range| (*range.start(), *range.end())).collect(),
        virtualhost: text(&block.virtualhost),
        pattern,
    })
}

fn smtp(block: &blocks::SmtpCheck, real: &RealServer, config: &Config) -> Result<Smtp, String> {
    let helo = text(&block.helo_name).or_else(|| text(&config.globals.smtp_helo_name));
    let address = SocketAddr::new(real.endpoint.address, real.endpoint.port.unwrap_or(25));
    let hosts = block.hosts.iter().map(|host| target(&host.connect, address, &Probe::Tcp, &[]));
    Ok(Smtp {
        helo: helo.unwrap_or_else(|| "smtpchecker.keepalived.org".to_owned()),
        hosts: hosts.collect::<Result<_, _>>()?,
    })
}

fn udp(block: &blocks::UdpCheck) -> Udp {
    let bounded = block.min_reply_length.is_some() || block.max_reply_length.is_some();
    let reply = block.require_reply.as_ref().map(|reply| reply.0.as_ref());
    let wanted = reply.or(bounded.then_some(None)).map(|hex| UdpReply {
        pattern: hex.map_or(Vec::new(), |hex| hex.bytes.iter().copied().zip(hex.mask.iter().copied()).collect()),
        min: block.min_reply_length.map_or(0, Int::to),
        max: block.max_reply_length.map_or(255, Int::to),
    });
    Udp { payload: block.payload.as_ref().map_or(NOISE.to_vec(), |hex| hex.bytes.clone()), reply: wanted }
}

/// Who runs it is found out when scripts are judged; until then the words are as they are configured.
fn misc(block: &blocks::MiscCheck, server: &VirtualServer, real: &RealServer) -> Result<Misc, String> {
    let command = Command::of(block.path.as_ref().ok_or("MISC_CHECK has no misc_path")?);
    let delay = [&block.pace, &real.pace, &server.pace].into_iter().find_map(|level| level.delay_loop);
    let standard = delay.map_or(Duration::from_secs(60), |time| time.duration());
    Ok(Misc {
        command: command.words,
        user: None,
        timeout: block.timeout.map_or(standard, |seconds| Duration::from_secs(seconds.to())),
        dynamic: block.dynamic,
    })
}

fn file(block: &blocks::FileCheck, config: &Config) -> Result<File, String> {
    let name = block.track_file.as_ref().ok_or("FILE_CHECK has no track_file")?.0.clone();
    let tracked = config.track_files.iter().find(|file| file.name.0 == name).and_then(|file| file.weight);
    let weight = block.weight.or(tracked).map_or(1, |weight| if weight.reverse { -weight.value } else { weight.value });
    // A number that changes nothing would not be dynamic.
    let weight = if block.dynamic && weight == 0 { 1 } else { weight };
    Ok(File { name, weight })
}
