//! Telling scripts, FIFOs and mails what happens to virtual routers.

use super::scripts::Scripts;
use crate::keeper::Telling;
use crate::plan::{Command, Fifos, Notifies, Plan, Recipient};
use rvs_host::mail::{Alert, Letterhead, MailSender, Server, Subject, text};
use rvs_host::notify::{Fifo, Job, Notice, Queues};
use rvs_host::script::Script;
use rvs_vrrp::{Event, Notify, State};
use std::path::PathBuf;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long a notify script may take.
const LONGEST: Duration = Duration::from_secs(60);
/// How long the address of the mail server may take to be found.
const LOOK_UP: Duration = Duration::from_secs(5);

/// Everybody who is told.
#[derive(Debug, Default)]
pub(super) struct Notifier {
    notifies: Notifies,
    scripts: Scripts,
    queues: Queues,
    fifos: Vec<(PathBuf, Option<Command>, Fifo)>,
    mail: Option<(MailSender, JoinHandle<()>)>,
    no_fault_mails: bool,
}

impl Notifier {
    /// Takes over what a plan says. FIFOs that are as they were go on.
    pub(super) async fn set(&mut self, plan: &Plan, scripts: Scripts) {
        let mut fifos = Vec::new();
        for (path, reader) in plan.notifies.all_fifos() {
            let kept = self.fifos.iter().position(|(known, by, _)| (known, by) == (path, reader));
            match kept {
                Some(at) => fifos.push(self.fifos.swap_remove(at)),
                None => fifos.extend(open(path, reader, &scripts)),
            }
        }
        self.fifos = fifos;
        self.notifies = plan.notifies.clone();
        self.scripts = scripts;
        self.no_fault_mails = plan.options.no_fault_mails;
        self.mail = mailer(plan).await;
    }

    /// Tells everybody: the script of this event first, then the one of all events, then the FIFOs.
    pub(super) fn tell(&mut self, notify: &Notify) {
        let notice = notice(notify);
        let queue = notice.queue();
        if let Some(recipient) = self.notifies.recipient(notify.group, &notify.name) {
            let mut jobs = Vec::new();
            jobs.extend(recipient.special(notify.event).and_then(|command| self.scripts.get(command)).cloned());
            let general = recipient.general(notify.event).and_then(|command| self.scripts.get(command));
            jobs.extend(general.map(|script: &Script| script.clone().with(notice.arguments())));
            for script in jobs {
                self.queues.push(&queue, Job { script, timeout: LONGEST });
            }
            self.write(notify, recipient);
        }
        self.pass_on(&notice.line(false), &self.notifies.fifos);
    }

    /// Writes a line to these FIFOs.
    fn pass_on(&self, line: &[u8], to: &Fifos) {
        for (path, reader, fifo) in &self.fifos {
            if to.0.iter().any(|(wanted, by)| (wanted, by) == (path, reader)) {
                fifo.tell(line.to_vec());
            }
        }
    }

    /// Tells what happens to virtual servers.
    pub(super) fn tell_of_servers(&mut self, telling: Telling) {
        match telling {
            Telling::Run(command, queue) => {
                if let Some(script) = self.scripts.get(&command).cloned() {
                    self.queues.push(&queue, Job { script, timeout: LONGEST });
                }
            }
            Telling::Line(line) => self.pass_on(format!("{line}\n").as_bytes(), &self.notifies.lvs_fifos),
            Telling::Mail { subject, body } => {
                if let Some((mail, _)) = &self.mail {
                    mail.alert(Alert { subject: Subject::Other(subject), body });
                }
            }
        }
    }

    fn write(&self, notify: &Notify, recipient: &Recipient) {
        let Some((mail, _)) = self.mail.as_ref().filter(|_| recipient.mail) else { return };
        let (what, body) = match notify.event {
            Event::Entered(State::Master) => ("Entering MASTER state", text::MASTER),
            Event::Entered(State::Backup) => ("Entering BACKUP state", text::BACKUP),
            Event::Entered(State::Fault) if !self.no_fault_mails => ("Entering FAULT state", text::BACKUP),
            Event::Stop => ("Stopping", text::BACKUP),
            Event::Deleted => ("Deleted", text::BACKUP),
            _ => return,
        };
        let (name, what) = (notify.name.to_string(), what.to_owned());
        let subject = if notify.group { Subject::Group(name, what) } else { Subject::Instance(name, what) };
        mail.alert(Alert { subject, body: body.to_owned() });
    }

    /// Its scripts, for what is run at the very end.
    pub(super) fn scripts_mut(&mut self) -> &mut Scripts {
        &mut self.scripts
    }

    /// Writes a state to the FIFOs only, as after a reload.
    pub(super) fn write_state(&self, notify: &Notify) {
        self.pass_on(&notice(notify).line(false), &self.notifies.fifos);
    }

    /// Lets scripts and mails that are on their way come to their end, at most so long.
    pub(super) async fn finish(&mut self, longest: Duration) {
        if !self.queues.finish(longest).await {
            tracing::warn!("Notify scripts that took longer than {longest:?} were ended");
        }
        if let Some((sender, task)) = self.mail.take() {
            drop(sender);
            // What the server does not take in this time is lost, and its own log line has said so.
            let _ = tokio::time::timeout(longest, task).await;
        }
    }
}

fn notice(notify: &Notify) -> Notice {
    let (name, state) = (notify.name.to_string(), notify.event.word().to_owned());
    if notify.group {
        Notice::Group { name, state }
    } else {
        Notice::Instance { name, state, priority: notify.priority }
    }
}

fn open(
    path: &std::path::Path,
    reader: &Option<Command>,
    scripts: &Scripts,
) -> Option<(PathBuf, Option<Command>, Fifo)> {
    let script = reader.as_ref().and_then(|command| scripts.get(command)).cloned();
    match Fifo::open(path, script) {
        Ok(fifo) => Some((path.to_owned(), reader.clone(), fifo)),
        Err(error) => {
            tracing::warn!("Unable to open notify FIFO {}: {error}", path.display());
            None
        }
    }
}

async fn mailer(plan: &Plan) -> Option<(MailSender, JoinHandle<()>)> {
    let mail = plan.options.mail.as_ref().filter(|mail| !mail.to.is_empty())?;
    let (host, port) = &mail.server;
    let found = tokio::time::timeout(LOOK_UP, look_up(host.clone(), *port)).await;
    let Some(address) = found.ok().flatten() else {
        tracing::warn!("The address of the SMTP server {host} cannot be found; no mails will be sent");
        return None;
    };
    let own = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
    Some(MailSender::start(Letterhead {
        server: Server { address, timeout: mail.timeout, helo: mail.helo.clone().unwrap_or_else(|| own.clone()) },
        router: Some(plan.options.router_id.clone().unwrap_or_else(|| own.clone())),
        from: mail.from.clone().unwrap_or_else(|| format!("keepalived@{own}")),
        to: mail.to.clone(),
    }))
}

/// The resolver of the C library waits, so it has a thread of its own.
async fn look_up(host: String, port: u16) -> Option<std::net::SocketAddr> {
    use std::net::ToSocketAddrs as _;
    let find = move || (host.as_str(), port).to_socket_addrs().ok().and_then(|mut found| found.next());
    tokio::task::spawn_blocking(find).await.ok().flatten()
}
