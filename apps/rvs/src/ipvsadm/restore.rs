//! Saved rules put into force: all of them, or none.

use super::{NO_DATAPLANE, REFUSED, access, daemon_refusal, with_dataplane};
use crate::world::{Access, World};
use rvs_config::ipvsadm::restore::{DaemonOrder, Rule};
use rvs_config::ipvsadm::{Script, ScriptError, messages, read_script};
use rvs_dataplane::{Dataplane, UpdateError};
use rvs_intent::{Edit, Refusal};

/// What ends a complaint about rules.
const NOTHING: &str = "nothing was restored";

/// Rules as they were read, ready to be applied.
pub(super) struct Prepared {
    script: Script,
    /// The rules' edits.
    pub(super) edits: Vec<Edit>,
    /// The file they were read from.
    file: Option<String>,
}

impl Prepared {
    /// Checks the text of rules. They are added to the table, or put in its place.
    ///
    /// # Errors
    /// The exit status; the complaint has been made.
    pub(super) fn new(
        bytes: &[u8],
        file: Option<String>,
        replace: bool,
        ending: &str,
        world: &mut World<'_>,
    ) -> Result<Self, i32> {
        let mut script = match read_script(&String::from_utf8_lossy(bytes), world.names) {
            Ok(script) => script,
            Err(ScriptError { line, error }) => {
                let text = complaint(file.as_deref(), line, &error.text, ending);
                return Err(world.fail(error.status, &text));
            }
        };
        if replace {
            // It stands on no line.
            script.rules.insert(0, Rule { line: 0, edit: Edit::Flush });
        }
        let edits = script.rules.iter().map(|rule| rule.edit.clone()).collect();
        Ok(Self { script, edits, file })
    }

    /// Reads standard input.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(super) fn from_stdin(replace: bool, ending: &str, world: &mut World<'_>) -> Result<Self, i32> {
        let mut bytes = Vec::new();
        if let Err(error) = world.stdin.read_to_end(&mut bytes) {
            return Err(world.fail(NO_DATAPLANE, &format!("cannot read the rules: {error}")));
        }
        let file = world.stdin_name.clone();
        Self::new(&bytes, file, replace, ending, world)
    }

    /// Complains of a rule that is refused.
    pub(super) fn refused(&self, index: usize, refusal: &Refusal, ending: &str, world: &mut World<'_>) -> i32 {
        let (line, text) = match self.script.rules.get(index) {
            Some(rule) => (rule.line, messages::refusal(&rule.edit, refusal)),
            None => (0, refusal.to_string()),
        };
        world.fail(REFUSED, &complaint(self.file.as_deref(), line, &text, ending))
    }

    fn access(&self) -> Access {
        let create = self.edits.iter().any(|edit| access(edit) == Access::Create);
        if create { Access::Create } else { Access::Existing }
    }
}

/// `FILE: line 3: why; nothing was restored`.
fn complaint(file: Option<&str>, line: usize, text: &str, ending: &str) -> String {
    let file = file.map_or(String::new(), |file| format!("{file}: "));
    format!("{file}line {line}: {}; {ending}", text.trim_end())
}

/// Applies the rules of standard input, all or none: in addition to the table, or in its place.
pub(crate) fn restore(world: &mut World<'_>, replace: bool) -> i32 {
    let prepared = match Prepared::from_stdin(replace, NOTHING, world) {
        Ok(prepared) => prepared,
        Err(status) => return status,
    };
    with_dataplane(world, prepared.access(), |dataplane, world| {
        let carried_out = match orders(dataplane, &prepared.script) {
            Ok(carried_out) => carried_out,
            Err((line, text)) => {
                return world.fail(REFUSED, &complaint(prepared.file.as_deref(), line, &text, NOTHING));
            }
        };
        let updated = if prepared.edits.is_empty() { Ok(()) } else { dataplane.update(&prepared.edits) };
        if updated.is_err() {
            undo(dataplane, &carried_out);
        }
        match updated {
            Ok(()) => 0,
            Err(UpdateError::Refused { index, refusal }) => prepared.refused(index, &refusal, NOTHING, world),
            Err(UpdateError::Failed(error)) => world.fail(REFUSED, &format!("{error}; {NOTHING}")),
        }
    })
}

/// Carries out the orders to daemons, or none of them. What takes each of them back.
fn orders(dataplane: &mut dyn Dataplane, script: &Script) -> Result<Vec<DaemonOrder>, (usize, String)> {
    let mut back = Vec::new();
    for (line, order) in &script.daemons {
        let running = dataplane.daemons().unwrap_or_default();
        let (done, undone) = match order {
            DaemonOrder::Start(daemon) => (dataplane.start_daemon(daemon), Some(DaemonOrder::Stop(daemon.role))),
            DaemonOrder::Stop(role) => {
                let stopped = running.into_iter().find(|daemon| daemon.role == *role);
                (dataplane.stop_daemon(*role), stopped.map(DaemonOrder::Start))
            }
        };
        if let Err(error) = done {
            undo(dataplane, &back);
            let text = match error {
                UpdateError::Refused { refusal, .. } => daemon_refusal(&refusal),
                UpdateError::Failed(error) => error.to_string(),
            };
            return Err((*line, text));
        }
        back.extend(undone);
    }
    Ok(back)
}

/// Takes back what was done, the last first.
fn undo(dataplane: &mut dyn Dataplane, back: &[DaemonOrder]) {
    for order in back.iter().rev() {
        // What was possible a moment ago is so again; if not, the complaint about the rule itself says more.
        let _ = match order {
            DaemonOrder::Start(daemon) => dataplane.start_daemon(daemon),
            DaemonOrder::Stop(role) => dataplane.stop_daemon(*role),
        };
    }
}
