//! Alert mails: subjects and texts in the original's words, and the message as it goes over the line.

use std::fmt;

/// What an alert is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A virtual router and what it does: `Entering MASTER state`, `Stopping`, `Deleted`.
    Instance(String, String),
    /// A synchronised group likewise.
    Group(String, String),
    /// A real server of a virtual server, up or down.
    RealServer(String, String, bool),
    /// A virtual server, up or down.
    VirtualServer(String, bool),
    /// Anything else.
    Other(String),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |up: &bool| if *up { "UP" } else { "DOWN" };
        match self {
            Self::Instance(name, what) => write!(f, "VRRP Instance {name} - {what}"),
            Self::Group(name, what) => write!(f, "VRRP Group {name} - {what}"),
            Self::RealServer(name, service, up) => {
                write!(f, "Realserver {name} of virtual server {service} - {}", word(up))
            }
            Self::VirtualServer(name, up) => write!(f, "Virtualserver {name} - {}", word(up)),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// Texts of alerts.
pub mod text {
    /// A virtual router became master.
    pub const MASTER: &str = "=> VRRP Instance is now owning VRRP VIPs <=";
    /// A virtual router became backup.
    pub const BACKUP: &str = "=> VRRP Instance is no longer owning VRRP VIPs <=";
    /// A real server passed its check.
    pub const CHECK_UP: &str = "=> CHECK succeed on service <=";
}

/// An alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// What it is about.
    pub subject: Subject,
    /// What it says; usually one line.
    pub body: String,
}

impl Alert {
    /// The message, header and text, ready for DATA: lines end in CR LF, a line that begins with a dot has another before it,
    /// and the last line is a dot. `router`: stands in brackets before the subject. `date`: as RFC 5322 wants it.
    pub fn message(&self, router: Option<&str>, from: &str, to: &[String], date: &str) -> String {
        let router = router.map(|router| format!("[{router}] ")).unwrap_or_default();
        let subject = one_line(&format!("{router}{}", self.subject));
        let mut message = format!(
            "Date: {date}\r\nFrom: {}\r\nSubject: {subject}\r\nX-Mailer: Keepalived\r\nTo: {}\r\n\r\n",
            one_line(from),
            one_line(&to.join(", ")),
        );
        for line in self.body.lines() {
            if line.starts_with('.') {
                message.push('.');
            }
            message.push_str(line);
            message.push_str("\r\n");
        }
        message.push_str(".\r\n");
        message
    }
}

/// No line's end may get into a header or a command: what follows it would be another header or command.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_the_originals() {
        for (subject, text) in [
            (
                Subject::Instance("VI_1".into(), "Entering MASTER state".into()),
                "VRRP Instance VI_1 - Entering MASTER state",
            ),
            (Subject::Group("G".into(), "Stopping".into()), "VRRP Group G - Stopping"),
            (
                Subject::RealServer("[10.0.0.1]:tcp:80".into(), "[10.0.1.10]:tcp:80".into(), false),
                "Realserver [10.0.0.1]:tcp:80 of virtual server [10.0.1.10]:tcp:80 - DOWN",
            ),
            (Subject::VirtualServer("FWM 7".into(), true), "Virtualserver FWM 7 - UP"),
        ] {
            assert_eq!(subject.to_string(), text);
        }
    }

    #[test]
    fn nothing_in_a_message_can_end_it_or_add_a_header() {
        let alert = Alert { subject: Subject::Other("a\r\nBcc: x".into()), body: "one\n.\n.two\r\nthree".into() };
        let message = alert.message(Some("dr\n1"), "me@here", &["a@b".into(), "c@d".into()], "now");
        assert_eq!(
            message,
            "Date: now\r\nFrom: me@here\r\nSubject: [dr 1] a  Bcc: x\r\nX-Mailer: Keepalived\r\nTo: a@b, c@d\r\n\r\n\
             one\r\n..\r\n..two\r\nthree\r\n.\r\n"
        );
    }
}
