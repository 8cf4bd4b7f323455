//! Routers as a whole: the RFC's table, the recorded sequences of the original, groups, reloads, bad input.

mod bad_input;
mod common;
mod groups;
mod recorded;
mod reload;
mod tracking;
mod transitions;
