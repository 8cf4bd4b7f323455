//! Mails about transitions, to a small server that takes what it is told; the original's for the same configuration beside ours.

use crate::config::{Dialect, VIP, instance};
use crate::{LIMIT, master};
use anyhow::{Result, ensure};
use lab::eventually;
use lab::pair::{Pair, Side, Whose, start};
use lab::wait::secs;
use nix::sys::signal::Signal;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};

/// A mail as it came.
#[derive(Debug, PartialEq, Eq)]
struct Mail {
    from: String,
    to: Vec<String>,
    subject: String,
    /// The lines behind the headers that are not empty.
    body: Vec<String>,
}

/// Takes one mail.
fn receive(listener: &TcpListener) -> Result<Mail> {
    let (stream, _) = eventually(LIMIT, || Ok(listener.accept()?))?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(secs(20)))?;
    let mut mail = Mail { from: String::new(), to: Vec::new(), subject: String::new(), body: Vec::new() };
    let mut writer: TcpStream = stream.try_clone()?;
    let mut lines = BufReader::new(stream).lines();
    let (mut data, mut headers) = (false, true);
    writer.write_all(b"220 lab\r\n")?;
    while let Some(line) = lines.next().transpose()? {
        if data {
            match line.as_str() {
                "." => {
                    data = false;
                    writer.write_all(b"250 taken\r\n")?;
                }
                "" => headers = false,
                line if headers => {
                    if let Some(subject) = line.strip_prefix("Subject: ") {
                        subject.clone_into(&mut mail.subject);
                    }
                }
                line => mail.body.push(line.to_owned()),
            }
            continue;
        }
        let (answer, end) = match line.split(':').next().unwrap_or_default() {
            "MAIL FROM" => {
                line.clone_into(&mut mail.from);
                ("250 ok\r\n", false)
            }
            "RCPT TO" => {
                mail.to.push(line);
                ("250 ok\r\n", false)
            }
            "DATA" => {
                data = true;
                ("354 go\r\n", false)
            }
            "QUIT" => ("221 bye\r\n", true),
            _ => ("250 lab\r\n", false),
        };
        writer.write_all(answer.as_bytes())?;
        if end {
            break;
        }
    }
    Ok(mail)
}

/// The mails of a run from backup to master, and of its end, which the original does not wait for.
fn mails(pair: &Pair, whose: Whose, listener: &TcpListener) -> Result<Vec<Mail>> {
    let globals = "global_defs {\n router_id dr\n notification_email {\n ops@example.org\n boss@example.org\n }\n \
                   notification_email_from lb@example.org\n smtp_server 10.0.1.100 2525\n smtp_connect_timeout 10\n}\n";
    let config = format!("{globals}{}", instance(Dialect::V3, Side::A, 150, "smtp_alert\n"));
    let a = pair.keepalived(Side::A, whose, &config)?;
    let mut mails = vec![receive(listener)?];
    master(pair, Side::A, VIP)?;
    mails.push(receive(listener)?);
    if whose == Whose::Ours {
        a.signal(Signal::SIGTERM)?;
        mails.push(receive(listener)?);
    }
    ensure!(a.stop()? == 0);
    Ok(mails)
}

#[test]
fn transitions_are_mailed_as_the_original_mails_them() -> Result<()> {
    let Some(pair) = start()? else { return Ok(()) };
    let listener = pair.client().enter(|| TcpListener::bind("10.0.1.100:2525"))??;
    listener.set_nonblocking(true)?;
    let ours = mails(&pair, Whose::Ours, &listener)?;
    let subjects: Vec<&str> = ours.iter().map(|mail| mail.subject.as_str()).collect();
    let states = ["Entering BACKUP state", "Entering MASTER state", "Stopping"];
    let expected: Vec<String> = states.iter().map(|state| format!("[dr] VRRP Instance VI_1 - {state}")).collect();
    ensure!(subjects == expected, "{ours:?}");
    ensure!(ours.iter().all(|mail| mail.to.len() == 2), "{ours:?}");
    let theirs = mails(&pair, Whose::Original, &listener)?;
    ensure!(ours[..2] == theirs, "{ours:#?}\n{theirs:#?}");
    Ok(())
}

#[test]
fn a_mail_server_that_is_down_holds_up_nobody() -> Result<()> {
    let Some(pair) = start()? else { return Ok(()) };
    // Nothing listens there, and nothing answers.
    for server in ["10.0.1.100 2525", "192.0.2.1 25"] {
        let globals = format!(
            "global_defs {{\n notification_email {{\n ops@example.org\n }}\n smtp_server {server}\n smtp_connect_timeout 1\n}}\n"
        );
        let config = format!("{globals}{}", instance(Dialect::V3, Side::A, 150, "smtp_alert\n"));
        let a = pair.keepalived(Side::A, Whose::Ours, &config)?;
        master(&pair, Side::A, VIP)?;
        ensure!(a.stop()? == 0);
        ensure!(!pair.has(Side::A, VIP)?, "the address stayed");
    }
    Ok(())
}
