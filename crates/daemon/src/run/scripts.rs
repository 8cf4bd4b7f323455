//! From commands of the configuration to scripts that may be run: as whom, and whether they are safe.

use crate::plan::{Command, Plan};
use rvs_config::keepalived::value::User;
use rvs_host::script::security::RunAs;
use rvs_host::script::{Script, TrackedScript, check, default_user, run_as, supplementary_groups};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rvs_checker::Probe;

/// The scripts that may be run, by their commands.
#[derive(Debug, Default)]
pub(super) struct Scripts {
    allowed: HashMap<Command, Script>,
    user: Option<RunAs>,
}

/// Who runs scripts of which nothing is said, and how strictly they are judged.
struct Judge {
    user: RunAs,
    security: bool,
}

impl Scripts {
    /// Judges all commands of a plan. Tracked scripts that cannot be run are taken out of it.
    pub(super) fn of(plan: &mut Plan) -> (Self, BTreeMap<String, TrackedScript>) {
        let judge = Judge { user: user_of(plan), security: plan.options.security };
        warn(plan);
        judge.programs(plan);
        let mut scripts = Self { user: Some(judge.user), ..Self::default() };
        for command in plan.commands() {
            if !scripts.allowed.contains_key(command) {
                match judge.script(command) {
                    Ok(script) => drop(scripts.allowed.insert(command.clone(), script)),
                    Err(reason) => tracing::warn!(target: "Keepalived_vrrp", "{reason}; it will not be run"),
                }
            }
        }
        let mut tracked = BTreeMap::new();
        let mut unusable = Vec::new();
        for (name, (command, interval, timeout)) in &plan.scripts {
            match judge.script(command) {
                Ok(script) => {
                    let script = TrackedScript { script, interval: *interval, timeout: Some(*timeout) };
                    tracked.insert(name.clone(), script);
                }
                Err(reason) => {
                    tracing::warn!(target: "Keepalived_vrrp", "Disabling track script {name}: {reason}");
                    unusable.push(name.clone());
                }
            }
        }
        unusable.iter().for_each(|name| plan.forget_script(name));
        (scripts, tracked)
    }

    /// As whom programs of checks run that do not say it.
    pub(super) fn user(&self) -> RunAs {
        self.user.unwrap_or_else(|| default_user().0)
    }

    /// The script of a command, if it may be run.
    pub(super) fn get(&self, command: &Command) -> Option<&Script> {
        self.allowed.get(command)
    }
}

/// Scripts that are run though nobody looks whether others could change them.
fn warn(plan: &Plan) {
    if plan.options.security {
        return;
    }
    let of_balance: std::collections::HashSet<_> = plan.balance.commands().collect();
    if plan.commands().any(|command| !of_balance.contains(command)) || !plan.scripts.is_empty() {
        tracing::info!(
            target: "Keepalived_vrrp",
            "SECURITY VIOLATION - scripts are being executed but script_security not enabled."
        );
    }
    let mut checks = plan.balance.servers.iter().flat_map(|server| server.checks.values().flatten());
    if !of_balance.is_empty() || checks.any(|check| matches!(check.probe, Probe::Misc(_))) {
        tracing::info!(
            target: CHECKERS,
            "SECURITY VIOLATION - check scripts are being executed but script_security not enabled."
        );
    }
}

fn user_of(plan: &Plan) -> RunAs {
    let (standard, there) = default_user();
    match &plan.options.script_user {
        Some(user) => resolve(user).unwrap_or_else(|reason| {
            tracing::warn!(target: "Keepalived_vrrp", "script_user: {reason}");
            standard
        }),
        None => {
            if !there && (plan.commands().next().is_some() || !plan.scripts.is_empty()) {
                tracing::info!(
                    target: "Keepalived_vrrp",
                    "WARNING - default user 'keepalived_script' for script execution does not exist - please create."
                );
            }
            standard
        }
    }
}

fn resolve(user: &User) -> Result<RunAs, String> {
    run_as(&user.user, user.group.as_deref()).map_err(|error| error.to_string())
}

/// How the log names those who check.
const CHECKERS: &str = "Keepalived_healthcheckers";

impl Judge {
    /// Judges the programs of checks: those that may not be run are left out, the others have their links resolved and a user.
    fn programs(&self, plan: &mut Plan) {
        for server in &mut plan.balance.servers {
            let mut bad = Vec::new();
            for (real, checks) in &mut server.checks {
                for (at, check) in checks.iter_mut().enumerate() {
                    if !matches!(check.probe, Probe::Misc(_)) {
                        continue;
                    }
                    let Probe::Misc(misc) = &mut Arc::make_mut(check).probe else { continue };
                    let user = server.programs.get(&(*real, at)).cloned();
                    match self.script(&Command { words: misc.command.clone(), user }) {
                        Ok(script) => {
                            misc.user = Some((script.by.uid, script.by.gid));
                            misc.command = script.words;
                        }
                        Err(reason) => {
                            tracing::warn!(target: CHECKERS, "{reason}; it will not be run");
                            bad.push((*real, at));
                        }
                    }
                }
            }
            // From the last: places before it stay what they are.
            bad.into_iter().rev().for_each(|(real, at)| server.forget_check(real, at));
        }
    }

    fn script(&self, command: &Command) -> Result<Script, String> {
        let by = command.user.as_ref().map_or(Ok(self.user), resolve)?;
        let mut words = command.words.clone();
        let Some(program) = words.first_mut() else { return Err("there is no command".into()) };
        // Of this form nothing is run: the file is only to be there.
        if !program.starts_with('<') {
            match check(program, by) {
                Ok(path) => *program = path.display().to_string(),
                Err(complaint) if complaint.forbids(self.security) => return Err(complaint.to_string()),
                Err(complaint) => tracing::info!(target: "Keepalived_vrrp", "{complaint}"),
            }
        }
        let mut script = Script::new(words, by);
        if by.uid != 0 {
            script.groups = supplementary_groups(by);
        }
        Ok(script)
    }
}
