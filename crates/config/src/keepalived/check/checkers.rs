//! The checks of a real server.

use super::Context;
use crate::keepalived::model::bfd::Bfd;
use crate::keepalived::model::checker::{Connect, HttpCheck};
use crate::keepalived::model::server::RealServer;
use crate::keepalived::model::track::TrackFile;
use crate::keepalived::report::Reports;
use crate::keepalived::span::Span;
use std::collections::HashSet;

/// The names that checks can refer to.
pub(super) struct Names {
    files: HashSet<String>,
    bfds: HashSet<String>,
}

impl Names {
    pub(super) fn of(files: &[TrackFile], bfds: &[Bfd]) -> Self {
        Self {
            files: files.iter().map(|item| item.name.0.clone()).collect(),
            bfds: bfds.iter().map(|item| item.name.0.clone()).collect(),
        }
    }
}

pub(super) fn check(real: &mut RealServer, names: &Names, context: &mut Context<'_>) {
    let reports = &mut *context.reports;
    let checks = &mut real.checks;
    checks.http.retain_mut(|check| http(check, reports));
    checks.ssl.retain_mut(|check| http(check, reports));
    checks.misc.retain(|check| {
        let good = check.path.is_some();
        if !good {
            let text = "No script path has been specified for MISC_CHECKER - skipping";
            reports.error(check.spans.header(), text);
        }
        good
    });
    checks.bfd.retain(|check| {
        let told = match &check.name {
            None => Some("No name has been specified for BFD_CHECKER - skipping".to_owned()),
            Some(name) if !names.bfds.contains(&name.0) => Some(format!("BFD instance {name} not found - skipping")),
            Some(_) => None,
        };
        let good = told.is_none();
        told.into_iter().for_each(|text| reports.error(check.spans.header(), text));
        good
    });
    checks.file.retain(|check| {
        let told = match &check.track_file {
            None => Some("FILE_CHECK has no track_file specified - ignoring".to_owned()),
            Some(name) if !names.files.contains(&name.0) => Some(format!("track_file {name} not found")),
            Some(_) => None,
        };
        let good = told.is_none();
        told.into_iter().for_each(|text| reports.error(check.spans.header(), text));
        good
    });
    checks.udp.iter_mut().for_each(|check| {
        let (least, most) =
            (check.min_reply_length.map_or(0, |n| n.get()), check.max_reply_length.map_or(255, |n| n.get()));
        if least > most {
            reports.warning(
                check.spans.header(),
                format!("min_reply_length {least} is greater than max_reply_length {most}"),
            );
        }
    });
    families(real, reports);
}

fn http(check: &mut HttpCheck, reports: &mut Reports) -> bool {
    check.urls.retain(|url| {
        let good = url.path.is_some();
        if !good {
            reports.error(url.spans.header(), "HTTP/SSL_GET checker url has no path - ignoring");
        }
        if url.regex.is_none() && (url.regex_no_match || url.regex_options.is_some()) {
            reports.notice(url.spans.header(), "options of a regular expression without `regex` have no effect");
        }
        good
    });
    if check.urls.is_empty() {
        reports.error(check.spans.header(), "HTTP/SSL_GET checker has no urls specified - ignoring");
    }
    !check.urls.is_empty()
}

/// Where a check connects from must be of the family of where it connects to.
fn families(real: &mut RealServer, reports: &mut Reports) {
    let address = real.endpoint.address;
    let mut one = |connect: &mut Connect, span: Span| {
        let to = connect.connect_ip.unwrap_or(address);
        if let Some(from) = connect.bindto.filter(|from| from.is_ipv6() != to.is_ipv6()) {
            let text = format!("bindto address {from} does not match address family of connect_ip - skipping");
            let at = if connect.spans.of("bindto").is_none() { span } else { connect.spans.of("bindto") };
            reports.error(at, text);
            connect.bindto = None;
        }
    };
    let checks = &mut real.checks;
    macro_rules! each {
        ($($kind:ident),*) => {
            $(checks.$kind.iter_mut().for_each(|check| one(&mut check.connect, check.spans.header()));)*
        };
    }
    each!(tcp, http, ssl, smtp, dns, udp, ping, agent, grpc, redis, mysql, pgsql);
    for check in &mut checks.smtp {
        check.hosts.iter_mut().for_each(|host| one(&mut host.connect, host.spans.header()));
    }
}
