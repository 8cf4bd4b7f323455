//! The text of HAProxy's agent check: one line of words about weight, administrative state and health.

use super::{Gathered, Step, Talk};
use crate::Reason;
use crate::params::{Agent, AgentScope};
use crate::reason::quoted;
use crate::verdict::{Advice, Finding, Wish};

/// Bytes of the line.
const LIMIT: usize = 1 << 10;
/// Per cent of the configured weight that an agent may ask for.
const MAX_PERCENT: u16 = 25_600;

/// Asks an agent.
#[derive(Clone, Debug)]
pub(crate) struct AgentTalk {
    agent: Agent,
    heard: Gathered<LIMIT>,
}

impl AgentTalk {
    /// This one.
    pub(crate) fn new(agent: &Agent) -> Self {
        Self { agent: agent.clone(), heard: Gathered::default() }
    }
}

impl Talk for AgentTalk {
    fn open(&mut self) -> Step {
        match &self.agent.send {
            Some(text) => Step::Say(text.clone().into_bytes()),
            None => Step::Wait,
        }
    }

    fn hear(&mut self, bytes: &[u8]) -> Step {
        if let Err(reason) = self.heard.add(bytes) {
            return Step::Fail(reason);
        }
        match self.heard.line() {
            Some(line) => read(&line, self.agent.scope),
            None => Step::Wait,
        }
    }

    fn ended(&mut self) -> Step {
        if self.heard.bytes().is_empty() {
            return Step::Fail(Reason::ClosedEarly);
        }
        read(self.heard.bytes(), self.agent.scope)
    }
}

/// Makes something of the line. A word that is not known makes the answer worthless, so that a misconfigured port is noticed.
fn read(line: &[u8], scope: AgentScope) -> Step {
    let text = String::from_utf8_lossy(line).to_ascii_lowercase();
    let words = text.split('#').next().unwrap_or_default();
    let words = words.split([' ', ',', '\t', '\r']).filter(|word| !word.is_empty());
    let (mut finding, mut failed, mut any) = (Finding::default(), false, false);
    for word in words {
        any = true;
        match word {
            "up" => failed = false,
            "down" | "fail" | "stopped" => failed = true,
            "ready" => finding.wish = Some(Wish::Ready),
            "drain" => finding.wish = Some(Wish::Drain),
            "maint" => finding.wish = Some(Wish::Maint),
            _ if word.starts_with("maxconn:") => {}
            _ => match word.strip_suffix('%').and_then(|number| number.parse::<u16>().ok()) {
                Some(percent) => finding.advice = Some(Advice::Percent(percent.min(MAX_PERCENT))),
                None => return Step::malformed("a word that no agent says"),
            },
        }
    }
    if !any {
        return Step::malformed("an agent's line without words");
    }
    if scope == AgentScope::Weight {
        finding.wish = None;
        failed = false;
    } else if scope == AgentScope::Health {
        finding.advice = None;
    }
    if failed { Step::Fail(Reason::NotServing(quoted(line))) } else { Step::Pass(Vec::new(), finding) }
}
