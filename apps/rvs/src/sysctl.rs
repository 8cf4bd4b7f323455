//! `rvs sysctl`: reads and changes the settings of the director, in the manner of sysctl(8).

use crate::cli::Sysctl;
use crate::report;
use rvs_config::sysctl::{self, PREFIX};
use rvs_core::settings::{ALL, Rule, Setting, Settings};
use rvs_dataplane::Error;
use rvs_dataplane::kernel::Director;
use serde_json::{Map, Value};

/// What is to be done to a setting.
struct Step<'a> {
    setting: &'static Setting,
    /// The new value; `None`: only to be shown.
    value: Option<&'a str>,
}

/// Carries the command out; what it prints. All values are assigned, in order, or none.
///
/// # Errors
/// An unknown name or a wrong value, named; those of the data plane.
pub fn run(command: &Sysctl, json: bool) -> Result<String, Error> {
    let mut steps = Vec::new();
    if command.all {
        steps.extend(ALL.iter().map(|setting| Step { setting, value: None }));
    }
    for argument in &command.settings {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (argument.as_str(), None),
        };
        if command.write && value.is_none() {
            return Err(Error::State(format!("`{argument}` must be NAME=VALUE")));
        }
        let setting = sysctl::find(name.trim()).map_err(wrong)?;
        steps.push(Step { setting, value });
    }
    let changes = steps.iter().any(|step| step.value.is_some());
    let (settings, short) = if changes { change(&steps)? } else { present()? };
    Ok(if json { as_json(&steps, &settings, short) } else { as_text(command, &steps, &settings, short) })
}

fn wrong(error: sysctl::Wrong) -> Error {
    Error::State(error.to_string())
}

fn assign(settings: &mut Settings, steps: &[Step<'_>]) -> Result<(), Error> {
    let assignments = steps.iter().filter_map(|step| Some((step.setting, step.value?)));
    assignments.into_iter().try_for_each(|(setting, value)| sysctl::assign(settings, setting, value)).map_err(wrong)
}

fn change(steps: &[Step<'_>]) -> Result<(Settings, bool), Error> {
    // What is wrong anyway must not bring a director into being.
    assign(&mut Director::initial_settings(), steps)?;
    let mut director = Director::open()?;
    director.change_settings(|settings| assign(settings, steps))?;
    Ok((director.settings()?, director.is_short()?))
}

fn present() -> Result<(Settings, bool), Error> {
    Ok(match Director::existing()? {
        Some(director) => (director.settings()?, director.is_short()?),
        None => (Director::initial_settings(), false),
    })
}

fn as_text(command: &Sysctl, steps: &[Step<'_>], settings: &Settings, short: bool) -> String {
    let line = |step: &Step<'_>| {
        let value = sysctl::show(settings, step.setting, short);
        if command.values { format!("{value}\n") } else { format!("{PREFIX}{} = {value}\n", step.setting.name) }
    };
    steps.iter().map(line).collect()
}

/// Numbers as numbers, two of them as a list, a list of CPUs as text.
fn as_json(steps: &[Step<'_>], settings: &Settings, short: bool) -> String {
    let number = |text: &str| text.parse::<i64>().map_or_else(|_| Value::from(text), Value::from);
    let value = |setting: &Setting| {
        let text = sysctl::show(settings, setting, short);
        match setting.rule {
            Rule::Cpus | Rule::Ports => Value::from(text),
            Rule::Pair => text.split('\t').map(number).collect(),
            _ => number(&text),
        }
    };
    let object: Map<String, Value> = steps.iter().map(|s| (s.setting.name.to_owned(), value(s.setting))).collect();
    report::json(&Value::Object(object))
}
