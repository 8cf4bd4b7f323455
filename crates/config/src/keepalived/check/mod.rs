//! What goes with what: the checks that need more than one keyword.
//!
//! Everything is found in one pass. What cannot be meant is put right the way the original does, and told, so that a daemon can
//! run what is left; its texts are kept where people search logs for them.

mod checkers;
mod globals;
mod instance;
mod instances;
mod lvs;
mod routes;
mod tracked;

use super::{Config, Environment, Reports};

/// What the checks share.
struct Context<'a> {
    env: &'a Environment,
    reports: &'a mut Reports,
    /// Interfaces may come later.
    dynamic: bool,
}

impl Context<'_> {
    /// True if an interface is known not to exist, and must.
    fn lacks(&self, interface: &str) -> bool {
        !self.dynamic && self.env.lacks(interface)
    }
}

/// Checks a configuration and puts right what can be.
pub fn check(config: &mut Config, env: &Environment, reports: &mut Reports) {
    let dynamic = config.globals.dynamic_interfaces.is_some();
    let mut context = Context { env, reports, dynamic };
    globals::check(config, &mut context);
    tracked::check(config, &mut context);
    instance::check(config, &mut context);
    instances::check(config, &mut context);
    lvs::check(config, &mut context);
}

/// Keeps the first of several things with one name and calls `told` for each of the others.
fn first_of_name<T>(list: &mut Vec<T>, name: impl Fn(&T) -> &str, mut told: impl FnMut(&T)) {
    let mut seen = std::collections::HashSet::new();
    list.retain(|item| {
        let new = seen.insert(name(item).to_owned());
        if !new {
            told(item);
        }
        new
    });
}

#[cfg(test)]
mod tests;
