//! The queue of alert mails: one at a time, in order, bounded. A server that is down costs alerts, never time of anybody else.

use super::client::{Server, send};
use super::message::Alert;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;

/// The most alerts waiting.
pub const WAITING: usize = 256;

/// Who writes to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letterhead {
    /// The server.
    pub server: Server,
    /// `router_id`, in brackets before each subject.
    pub router: Option<String>,
    /// `notification_email_from`
    pub from: String,
    /// `notification_email`; nobody: no mail is sent.
    pub to: Vec<String>,
}

/// What became of the alerts.
#[derive(Debug, Default)]
pub struct MailCounts {
    /// Taken by the server.
    pub sent: AtomicU64,
    /// Refused by it, or it could not be reached.
    pub failed: AtomicU64,
    /// Dropped because too many were waiting.
    pub dropped: AtomicU64,
}

/// The queue. When all its clones are dropped, what waits is still sent.
#[derive(Debug, Clone)]
pub struct MailSender {
    queue: mpsc::Sender<Alert>,
    counts: Arc<MailCounts>,
    anybody: bool,
}

impl MailSender {
    /// Starts it. Gives the task too, so that the end can be waited for. Must be called on a runtime.
    pub fn start(head: Letterhead) -> (Self, tokio::task::JoinHandle<()>) {
        let (queue, mut alerts) = mpsc::channel::<Alert>(WAITING);
        let counts = Arc::new(MailCounts::default());
        let sender = Self { queue, counts: Arc::clone(&counts), anybody: !head.to.is_empty() };
        let task = tokio::spawn(async move {
            while let Some(alert) = alerts.recv().await {
                let message = alert.message(head.router.as_deref(), &head.from, &head.to, &crate::clock::rfc5322());
                match send(&head.server, &head.from, &head.to, &message).await {
                    Ok(()) => {
                        counts.sent.fetch_add(1, Ordering::Relaxed);
                        tracing::info!("SMTP alert successfully sent.");
                    }
                    Err(error) => {
                        counts.failed.fetch_add(1, Ordering::Relaxed);
                        tracing::info!("{error}");
                    }
                }
            }
        });
        (sender, task)
    }

    /// Puts an alert behind the others; nothing where there is nobody to write to. Never waits.
    pub fn alert(&self, alert: Alert) {
        if self.anybody
            && self.queue.try_send(alert).is_err()
            && self.counts.dropped.fetch_add(1, Ordering::Relaxed) == 0
        {
            tracing::warn!("Too many SMTP alerts are waiting; some are dropped");
        }
    }

    /// What became of the alerts so far.
    pub fn counts(&self) -> &MailCounts {
        &self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Subject;
    use crate::testing::{DEADLINE, runtime};
    use tokio::net::TcpListener;

    #[test]
    fn alerts_to_a_dead_server_are_counted_and_hold_up_nobody() {
        runtime().block_on(async {
            let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
            let server = Server { address, timeout: DEADLINE, helo: "x".into() };
            let head = Letterhead { server, router: None, from: "a@b".into(), to: vec!["c@d".into()] };
            let (sender, task) = MailSender::start(head.clone());
            for n in 0..=WAITING {
                sender.alert(Alert { subject: Subject::Other(n.to_string()), body: String::new() });
            }
            let counts = Arc::clone(&sender.counts);
            drop(sender);
            tokio::time::timeout(DEADLINE, task).await.unwrap().unwrap();
            assert_eq!(counts.failed.load(Ordering::Relaxed), WAITING as u64);
            assert_eq!((counts.dropped.load(Ordering::Relaxed), counts.sent.load(Ordering::Relaxed)), (1, 0));
            let (nobody, task) = MailSender::start(Letterhead { to: vec![], ..head });
            nobody.alert(Alert { subject: Subject::Other("x".into()), body: String::new() });
            let counts = Arc::clone(&nobody.counts);
            drop(nobody);
            task.await.unwrap();
            assert_eq!(counts.failed.load(Ordering::Relaxed), 0);
        });
    }
}
