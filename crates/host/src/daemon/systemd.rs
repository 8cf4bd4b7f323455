//! Telling systemd how it goes (`Type=notify`).

use crate::clock;
use crate::log::address;
use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The way to systemd; nothing where there is none.
#[derive(Debug, Default)]
pub struct Systemd(Option<(UnixDatagram, SocketAddr)>);

impl Systemd {
    /// As the environment says (`NOTIFY_SOCKET`).
    pub fn from_environment() -> Self {
        std::env::var("NOTIFY_SOCKET").ok().and_then(|name| Self::at(&name).ok()).unwrap_or_default()
    }

    /// By a socket's name: a path, or `@name`.
    pub fn at(name: &str) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self(Some((socket, address(name)?))))
    }

    /// Everything runs.
    pub fn ready(&self) {
        self.say("READY=1");
    }

    /// A reload has begun; [`Systemd::ready`] ends it.
    pub fn reloading(&self) {
        self.say(&format!("RELOADING=1\nMONOTONIC_USEC={}", clock::now().nanos() / 1000));
    }

    /// The end has begun.
    pub fn stopping(&self) {
        self.say("STOPPING=1");
    }

    /// A line for `systemctl status`.
    pub fn status(&self, text: &str) {
        self.say(&format!("STATUS={}", text.replace('\n', " ")));
    }

    /// Which process is the daemon, when it has detached.
    pub fn main_process(&self) {
        self.say(&format!("MAINPID={}", std::process::id()));
    }

    /// The daemon is alive; to be said at least twice in each [`watchdog`] period.
    pub fn alive(&self) {
        self.say("WATCHDOG=1");
    }

    fn say(&self, text: &str) {
        if let Some((socket, to)) = &self.0 {
            // systemd kills what does not report; there is nothing else to be done here.
            let _ = socket.send_to_addr(text.as_bytes(), to);
        }
    }
}

/// How long systemd waits for a sign of life of this process, if it does.
pub fn watchdog() -> Option<Duration> {
    period(
        std::env::var("WATCHDOG_USEC").ok().as_deref(),
        std::env::var("WATCHDOG_PID").ok().as_deref(),
        std::process::id(),
    )
}

fn period(micros: Option<&str>, pid: Option<&str>, own: u32) -> Option<Duration> {
    let ours = pid.is_none_or(|pid| pid.parse() == Ok(own));
    let micros = micros?.parse().ok().filter(|micros| *micros > 0)?;
    ours.then(|| Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_hears_each_word() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let server = UnixDatagram::bind(&path).unwrap();
        let hear = || {
            let mut buffer = [0; 256];
            let length = server.recv(&mut buffer).unwrap();
            String::from_utf8_lossy(&buffer[..length]).into_owned()
        };
        let systemd = Systemd::at(path.to_str().unwrap()).unwrap();
        systemd.ready();
        assert_eq!(hear(), "READY=1");
        systemd.status("MASTER 3/4\nx");
        assert_eq!(hear(), "STATUS=MASTER 3/4 x");
        systemd.reloading();
        let text = hear();
        let micros: u64 = text.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().parse().unwrap();
        assert!(micros > 0 && micros <= clock::now().nanos() / 1000);
        systemd.stopping();
        systemd.alive();
        systemd.main_process();
        assert_eq!(
            [hear(), hear(), hear()],
            ["STOPPING=1".into(), "WATCHDOG=1".into(), format!("MAINPID={}", std::process::id())]
        );
        Systemd::default().ready();
    }

    #[test]
    fn the_watchdog_is_for_the_process_it_names() {
        assert_eq!(period(Some("3000000"), None, 7), Some(Duration::from_secs(3)));
        assert_eq!(period(Some("3000000"), Some("7"), 7), Some(Duration::from_secs(3)));
        for (micros, pid) in [(None, None), (Some("0"), None), (Some("x"), None), (Some("1"), Some("8"))] {
            assert_eq!(period(micros, pid, 7), None);
        }
    }
}
