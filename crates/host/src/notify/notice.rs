//! What is told to scripts and FIFOs, in the original's words.

use std::fmt;

/// Something to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Of a virtual router: its name, the word for what happened, its priority.
    Instance {
        /// `VI_1`
        name: String,
        /// `MASTER`, `BACKUP`, `FAULT`, `STOP`, `DELETED` and so on.
        state: String,
        /// Its effective priority.
        priority: u8,
    },
    /// Of a synchronised group. The original says priority 0.
    Group {
        /// `G`
        name: String,
        /// As above.
        state: String,
    },
    /// Of a virtual server: its name as in the log, `UP` or `DOWN`.
    VirtualServer {
        /// `[192.0.2.1]:tcp:80`
        name: String,
        /// Up.
        up: bool,
    },
    /// Of a real server: its name, its virtual server's, `UP` or `DOWN`.
    RealServer {
        /// `[10.0.0.1]:tcp:80`
        name: String,
        /// `[192.0.2.1]:tcp:80`
        service: String,
        /// Up.
        up: bool,
    },
}

impl Notice {
    /// The queue it belongs to: what is told of one name stays in order.
    pub fn queue(&self) -> String {
        match self {
            Self::Instance { name, .. } => format!("instance {name}"),
            Self::Group { name, .. } => format!("group {name}"),
            Self::VirtualServer { name, .. } => format!("virtual server {name}"),
            Self::RealServer { name, service, .. } => format!("real server {name} of {service}"),
        }
    }

    /// What is put behind the arguments of a general script (`notify`): `INSTANCE VI_1 MASTER 100`. Scripts for one state, and
    /// those of servers, get nothing.
    pub fn arguments(&self) -> Vec<String> {
        match self {
            Self::Instance { name, state, priority } => {
                vec!["INSTANCE".into(), name.clone(), state.clone(), priority.to_string()]
            }
            Self::Group { name, state } => vec!["GROUP".into(), name.clone(), state.clone(), "0".into()],
            Self::VirtualServer { .. } | Self::RealServer { .. } => Vec::new(),
        }
    }

    /// The line for a FIFO, with its end. With `nul`, lines of servers end in a NUL byte after the line's end, as the original
    /// writes them.
    pub fn line(&self, nul: bool) -> Vec<u8> {
        let server = matches!(self, Self::VirtualServer { .. } | Self::RealServer { .. });
        let mut line = format!("{self}\n").into_bytes();
        line.extend((nul && server).then_some(0));
        line
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |up: &bool| if *up { "UP" } else { "DOWN" };
        match self {
            Self::Instance { name, state, priority } => write!(f, "INSTANCE \"{name}\" {state} {priority}"),
            Self::Group { name, state } => write!(f, "GROUP \"{name}\" {state} 0"),
            Self::VirtualServer { name, up } => write!(f, "VS {name} {}", word(up)),
            Self::RealServer { name, service, up } => write!(f, "RS {name} {service} {}", word(up)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_arguments_are_the_originals() {
        let instance = Notice::Instance { name: "VI_1".into(), state: "MASTER".into(), priority: 100 };
        assert_eq!(instance.line(true), b"INSTANCE \"VI_1\" MASTER 100\n");
        assert_eq!(instance.arguments(), ["INSTANCE", "VI_1", "MASTER", "100"]);
        let group = Notice::Group { name: "G".into(), state: "BACKUP".into() };
        assert_eq!(group.line(false), b"GROUP \"G\" BACKUP 0\n");
        assert_eq!(group.arguments(), ["GROUP", "G", "BACKUP", "0"]);
        let service = "[192.168.201.15]:tcp:80".to_owned();
        let vs = Notice::VirtualServer { name: service.clone(), up: true };
        assert_eq!(vs.line(true), b"VS [192.168.201.15]:tcp:80 UP\n\0");
        let rs = Notice::RealServer { name: "[1.2.3.4]:tcp:80".into(), service, up: false };
        assert_eq!(rs.line(false), b"RS [1.2.3.4]:tcp:80 [192.168.201.15]:tcp:80 DOWN\n");
        assert!(rs.arguments().is_empty());
    }
}
