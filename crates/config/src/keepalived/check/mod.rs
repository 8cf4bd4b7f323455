//! What goes with what.
use super::{Config, Environment, Reports};

/// Checks.
pub fn check(_config: &mut Config, _env: &Environment, _reports: &mut Reports) {}
