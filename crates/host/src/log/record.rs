//! A line for the log, and the forms it takes: for people, for syslog, for the journal, as JSON.

use crate::clock::Calendar;
use std::fmt::Write as _;
use tracing::Level;

/// The longest message kept; more is cut off.
const LONGEST: usize = 8192;

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// Seconds and microseconds since 1970.
    pub(crate) time: (u64, u32),
    /// How far local time is ahead, in seconds.
    pub(crate) offset: i64,
    pub(crate) level: Level,
    /// Who speaks, as syslog shows it: `Keepalived_vrrp`.
    pub(crate) ident: String,
    pub(crate) message: String,
    pub(crate) fields: Vec<(&'static str, String)>,
}

impl Record {
    /// The message with its fields behind it. Control characters, which could forge lines, become spaces.
    pub(crate) fn text(&self) -> String {
        let mut text = self.message.clone();
        for (name, value) in &self.fields {
            // Writing to a string cannot fail.
            let _ = write!(text, " {name}={value}");
        }
        let end = (0..=LONGEST.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.chars().map(|char| if char.is_control() && char != '\t' { ' ' } else { char }).collect()
    }

    /// syslog's severity. What is told only on demand (`-D`) is informational, as in the original.
    pub(crate) const fn severity(&self) -> u8 {
        match self.level {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO | Level::DEBUG => 6,
            Level::TRACE => 7,
        }
    }

    /// `Mon Nov 21 15:14:40 2026: message`, for the console and for files.
    pub(crate) fn plain(&self) -> String {
        let now = Calendar::at(self.time.0.saturating_add_signed(self.offset));
        let Calendar { year, day, hour, minute, second, .. } = now;
        let (weekday, month) = (now.weekday_name(), now.month_name());
        format!("{weekday} {month} {day:2} {hour:02}:{minute:02}:{second:02} {year}: {}\n", self.text())
    }

    /// `<30>Nov 21 15:14:40 Keepalived[123]: message`: RFC 3164, as sent to `/dev/log`. `facility`: 0 to 23.
    pub(crate) fn syslog(&self, facility: u8, pid: u32) -> String {
        let now = Calendar::at(self.time.0.saturating_add_signed(self.offset));
        let Calendar { day, hour, minute, second, .. } = now;
        let priority = u16::from(facility) * 8 + u16::from(self.severity());
        let month = now.month_name();
        format!("<{priority}>{month} {day:2} {hour:02}:{minute:02}:{second:02} {}[{pid}]: {}", self.ident, self.text())
    }

    /// The journal's native form: one `NAME=value` a line; values have no line's end.
    pub(crate) fn journal(&self, facility: u8, pid: u32) -> String {
        format!(
            "MESSAGE={}\nPRIORITY={}\nSYSLOG_FACILITY={facility}\nSYSLOG_IDENTIFIER={}\nSYSLOG_PID={pid}\n",
            self.text(),
            self.severity(),
            self.ident
        )
    }

    /// One JSON object a line, time in UTC. Fields of the event stand beside `time`, `level`, `ident` and `message`.
    pub(crate) fn json(&self) -> String {
        let Calendar { year, month, day, hour, minute, second, .. } = Calendar::at(self.time.0);
        let micros = self.time.1;
        let mut object = serde_json::Map::new();
        object.extend(self.fields.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into())));
        let time = format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z");
        object.insert("time".into(), time.into());
        object.insert("level".into(), self.level.as_str().to_ascii_lowercase().into());
        object.insert("ident".into(), self.ident.as_str().into());
        object.insert("message".into(), self.message.as_str().into());
        format!("{}\n", serde_json::Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(message: &str) -> Record {
        Record {
            time: (1_735_689_645, 37),
            offset: 3600,
            level: Level::INFO,
            ident: "Keepalived_vrrp".into(),
            message: message.into(),
            fields: vec![],
        }
    }

    #[test]
    fn sentences_pass_unchanged_in_every_form() {
        let line = record("(VI_1) Entering MASTER STATE");
        assert_eq!(line.plain(), "Wed Jan  1 01:00:45 2025: (VI_1) Entering MASTER STATE\n");
        assert_eq!(line.syslog(3, 42), "<30>Jan  1 01:00:45 Keepalived_vrrp[42]: (VI_1) Entering MASTER STATE");
        assert_eq!(
            line.journal(3, 42),
            "MESSAGE=(VI_1) Entering MASTER STATE\nPRIORITY=6\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=Keepalived_vrrp\nSYSLOG_PID=42\n"
        );
        let value: serde_json::Value = serde_json::from_str(&line.json()).unwrap();
        assert_eq!(value["message"], "(VI_1) Entering MASTER STATE");
        assert_eq!((&value["time"], &value["level"]), (&"2025-01-01T00:00:45.000037Z".into(), &"info".into()));
    }

    #[test]
    fn fields_follow_and_nothing_forges_a_line() {
        let mut line = record("bad\nKeepalived: forged\u{1b}[31m");
        line.fields = vec![("why", "a\nb".into())];
        assert_eq!(line.text(), "bad Keepalived: forged [31m why=a b");
        assert_eq!(line.plain().lines().count(), 1);
        assert_eq!(line.json().lines().count(), 1);
        assert_eq!(line.journal(3, 1).lines().count(), 5);
    }

    #[test]
    fn long_messages_are_cut_at_a_character() {
        let text = record(&"ä".repeat(LONGEST)).text();
        assert_eq!(text.len(), LONGEST);
        assert!(text.chars().all(|char| char == 'ä'));
        let odd = record(&format!("a{}", "ä".repeat(LONGEST))).text();
        assert_eq!(odd.len(), LONGEST - 1);
    }
}
