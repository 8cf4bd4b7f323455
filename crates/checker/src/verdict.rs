//! What a check has found out: health, and advice about the weight.

use crate::Reason;

/// Advice about the weight of a real server. Advice of several checks is added up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Advice {
    /// This weight in place of the configured one.
    Weight(i64),
    /// So much more or less than the configured weight.
    Add(i64),
    /// So many per cent of the configured weight.
    Percent(u16),
}

/// What an agent asks for besides health.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wish {
    /// To get no new connections, those there are going on.
    Drain,
    /// To get nothing.
    Maint,
    /// Neither.
    Ready,
}

/// Which expectation about a page was met, for the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Met {
    /// Its status.
    Status,
    /// Its digest.
    Digest,
    /// Its contents.
    Regex,
}

/// What a good run has found out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Finding {
    /// About the weight; `None`: nothing new.
    pub advice: Option<Advice>,
    /// What the agent asks for; `None`: nothing new.
    pub wish: Option<Wish>,
    /// Expectations about a page that were met.
    pub met: Vec<Met>,
}

/// What a check says about its real server when that changes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It has succeeded. `first`: its first run, for which nothing need have been wrong before.
    Up {
        /// This is the check's first verdict.
        first: bool,
        /// The body of the mail about it; `None`: not worth one, since nothing was wrong before.
        mail: Option<String>,
    },
    /// It has failed as often as it may.
    Down {
        /// This is the check's first verdict.
        first: bool,
        /// Why, the last time.
        reason: Reason,
        /// The body of the mail about it.
        mail: String,
    },
    /// The advice about the weight is now this one; health is as it was.
    Advice(Advice),
    /// The agent asks for this.
    Wish(Wish),
}
