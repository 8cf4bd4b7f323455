//! keepalived's language against what was recorded from the original, against the original itself, and against nonsense.

mod arbitrary;
mod language;
mod original;
mod recorded;
mod reload;
mod support;
