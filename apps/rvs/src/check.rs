//! `rvs check`, and `rvs drain`, `rvs maint` and `rvs ready`: how the virtual servers of the running keepalived stand, and what
//! an administrator decides about their real servers. The daemon is asked; nothing is changed behind its back.

use crate::report;
use rvs_daemon::run::request;
use rvs_dataplane::Error;
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Time between two looks at the connections.
const STEP: Duration = Duration::from_millis(500);
/// Status when connections are left.
const LEFT: i32 = 1;

/// Where the daemon is asked.
#[derive(clap::Args, Clone, Debug)]
pub struct Socket {
    /// The socket of the daemon: its pid file's path, ending in `.sock` [default: /run/keepalived.sock]
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::FilePath)]
    socket: Option<PathBuf>,
}

/// Which real server, and whether to wait.
#[derive(clap::Args, Clone, Debug)]
pub struct Decision {
    /// The virtual server, as the log names it, or ADDRESS:PORT, tcp/ADDRESS:PORT, fwmark:N, or the name of a group.
    #[arg(value_name = "SERVICE")]
    service: String,
    /// The real server, as the log names it, or ADDRESS:PORT, or its address.
    #[arg(value_name = "REAL")]
    real: String,
    /// Wait until it has no connections.
    #[arg(long)]
    wait: bool,
    /// With --wait: not longer than this.
    #[arg(long, value_name = "SECONDS", requires = "wait")]
    timeout: Option<u64>,
    /// Why, for the log and those who look.
    #[arg(long, value_name = "TEXT", default_value = "")]
    why: String,
    /// Where the daemon is.
    #[command(flatten)]
    socket: Socket,
}

fn asked(socket: &Socket, question: &Value) -> Result<Value, Error> {
    request(socket.socket.as_deref(), question).map_err(|error| Error::State(error.to_string()))
}

/// How the virtual servers stand.
///
/// # Errors
/// The daemon does not answer.
pub fn show(socket: &Socket, as_json: bool) -> Result<String, Error> {
    if as_json {
        return Ok(report::json(&asked(socket, &json!({ "ask": "check" }))?));
    }
    let page = asked(socket, &json!({ "ask": "check", "as": "table" }))?;
    Ok(page["table"].as_str().unwrap_or_default().to_owned())
}

/// What is known of the real server.
fn look(decision: &Decision, decided: &Value) -> Result<Value, Error> {
    let status = asked(&decision.socket, &json!({ "ask": "check" }))?;
    let by_name = |list: &Value, name: &Value| {
        list.as_array().into_iter().flatten().find(|item| item["name"] == *name).cloned().unwrap_or_default()
    };
    let service = by_name(&status["virtual_servers"], &decided["service"]);
    Ok(by_name(&service["real_servers"], &decided["real"]))
}

/// Sets `state` (`drain`, `maint`, `ready`), and waits if that is wanted; the exit status: 1 when connections are left.
///
/// # Errors
/// The daemon does not answer, or there is no such real server.
pub fn decide(state: &str, decision: &Decision, as_json: bool, out: &mut dyn Write) -> Result<i32, Error> {
    let Decision { service, real, why, .. } = decision;
    let question = json!({ "ask": "decide", "state": state, "service": service, "real": real, "why": why });
    let decided = asked(&decision.socket, &question)?;
    let began = Instant::now();
    let limit = decision.timeout.map(Duration::from_secs);
    let (server, left) = loop {
        let server = look(decision, &decided)?;
        let count = |name: &str| server[name].as_u64().unwrap_or(0);
        // As `ipvsadm --drain`: what is over is not waited for.
        let idle = count("inactive_connections").saturating_sub(count("connections_over"));
        let left = count("active_connections") + idle;
        let time_up = limit.is_some_and(|limit| began.elapsed() >= limit);
        if !decision.wait || left == 0 || time_up {
            break (server, left);
        }
        std::thread::sleep(limit.map_or(STEP, |limit| limit.saturating_sub(began.elapsed()).min(STEP)));
    };
    let text = if as_json {
        report::json(&json!({
            "service": decided["service"],
            "real": decided["real"],
            "state": state,
            "health": server["health"],
            "weight_in_table": server["weight_in_table"],
            "active_connections": server["active_connections"],
            "inactive_connections": server["inactive_connections"],
            "connections_over": server["connections_over"],
            "waited_seconds": began.elapsed().as_secs(),
        }))
    } else {
        let name = |value: &Value| value.as_str().unwrap_or("?").to_owned();
        let over = match server["connections_over"].as_u64() {
            None | Some(0) => String::new(),
            Some(over) => format!(" ({over} of them over)"),
        };
        format!(
            "{} of {}: {state}; health {}; {} active and {} inactive connections{over}\n",
            name(&decided["real"]),
            name(&decided["service"]),
            name(&server["health"]),
            server["active_connections"],
            server["inactive_connections"],
        )
    };
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(crate::stream::unwritten)?;
    Ok(if decision.wait && left > 0 { LEFT } else { 0 })
}
