//! Who is told of what happens to virtual servers: scripts, a FIFO, an operator by mail. And the settings that say what is told
//! at the start and at the end, and what becomes of a dead server.

use crate::LIMIT;
use crate::service::{Keeper, kill_web, script, start_web};
use anyhow::{Context as _, Result, ensure};
use lab::topology::{Topology, VIP};
use lab::{Family, Netns, eventually, start};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A mail server that takes everything and remembers the mails.
struct MailServer {
    mails: Arc<Mutex<Vec<String>>>,
}

/// Port of the mail server on the director's loopback.
const MAIL: u16 = 2525;

impl MailServer {
    /// Its thread ends with the test's process.
    fn start(ns: &Netns) -> Result<Self> {
        let listener = ns.enter(|| TcpListener::bind(("127.0.0.1", MAIL)))??;
        let mails: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&mails);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if let Ok(mail) = Self::take(&stream) {
                    kept.lock().unwrap().push(mail);
                }
            }
        });
        Ok(Self { mails })
    }

    fn take(mut stream: &TcpStream) -> Result<String> {
        let (mut mail, mut in_data) = (String::new(), false);
        stream.write_all(b"220 test\r\n")?;
        let lines = BufReader::new(stream.try_clone()?).lines();
        for line in lines {
            let line = line?;
            match (in_data, line.as_str()) {
                (true, ".") => {
                    in_data = false;
                    stream.write_all(b"250 taken\r\n")?;
                }
                (true, _) => mail += &format!("{line}\n"),
                (false, "DATA") => {
                    in_data = true;
                    stream.write_all(b"354 go on\r\n")?;
                }
                (false, "QUIT") => {
                    stream.write_all(b"221 bye\r\n")?;
                    return Ok(mail);
                }
                _ => stream.write_all(b"250 well\r\n")?,
            }
        }
        anyhow::bail!("it ended without a word")
    }

    fn has(&self, parts: &[&str]) -> Result<()> {
        let mails = self.mails.lock().unwrap();
        let found = mails.iter().any(|mail| parts.iter().all(|part| mail.contains(part)));
        ensure!(found, "no mail with {parts:?} in {mails:#?}");
        Ok(())
    }
}

#[test]
fn scripts_fifo_and_mail_in_order_and_alpha_omega_inhibit() -> Result<()> {
    let Some(lab) = start(Topology::nat().http().servers(2))? else { return Ok(()) };
    let [one, two] = [1, 2].map(|n| Family::V4.server(n).to_string());
    let out = lab.dir().join("out");
    let note = script(&lab, "note.sh", &format!("echo \"$@\" >> {}", out.display()))?;
    let reader = script(&lab, "reader.sh", &format!("exec cat \"$1\" >> {}.fifo", out.display()))?;
    let mail = MailServer::start(&lab.director())?;
    let check = "TCP_CHECK {\n connect_timeout 2\n retry 1\n delay_before_retry 1\n }";
    let real = |address: &str, name: &str, more: &str| {
        format!(
            "real_server {address} 80 {{\n weight 2\n notify_up \"{note} up {name}\"\n notify_down \"{note} down {name}\"\n {more}\n \
             {check}\n }}\n"
        )
    };
    let text = format!(
        "global_defs {{\n script_user root\n smtp_server 127.0.0.1 {MAIL}\n notification_email_from lvs@example.org\n \
         notification_email {{\n ops@example.org\n }}\n lvs_notify_fifo {dir}/fifo\n lvs_notify_fifo_script {reader}\n}}\n\
         virtual_server {VIP} 80 {{\n delay_loop 1\n lvs_sched rr\n lvs_method NAT\n protocol TCP\n alpha\n omega\n smtp_alert\n \
         quorum_up \"{note} quorum up\"\n quorum_down \"{note} quorum down\"\n {}{}}}\n",
        real(&one, "rs1", ""),
        real(&two, "rs2", "inhibit_on_failure"),
        dir = lab.dir().display(),
    );
    kill_web(&lab, 2)?;
    let keeper = Keeper::start(&lab, "only", &text, "")?;
    let (rs1, rs2, quiet) = (format!("{one}:80 2"), format!("{two}:80 2"), format!("{two}:80 0"));
    // With alpha nobody serves before its first success.
    keeper.has(&[&rs1, &quiet])?;
    eventually(LIMIT, || keeper.said(&format!("TCP_CHECK on service [{two}]:tcp:80 failed.")))?;
    let web = start_web(&lab, 2)?;
    keeper.has(&[&rs1, &rs2])?;
    kill_web(&lab, 1)?;
    keeper.has(&[&rs2])?;
    kill_web(&lab, 2)?;
    keeper.has(&[&quiet])?;
    let again = start_web(&lab, 1)?;
    keeper.has(&[&rs1, &quiet])?;

    let (vs, rs) = (format!("[{VIP}]:tcp:80"), |address: &str| format!("[{address}]:tcp:80"));
    eventually(LIMIT, || {
        let of = |address: &str| format!("Realserver {} of virtual server {vs} - ", rs(address));
        mail.has(&[&format!("{}DOWN", of(&one)), "=> TCP CHECK failed on service <=", "ops@example.org"])?;
        mail.has(&[&format!("{}UP", of(&two)), "=> TCP CHECK succeed on service <="])?;
        mail.has(&[&format!("Virtualserver {vs} - DOWN")])
    })?;
    // With omega the end is told like a failure of all.
    ensure!(keeper.stop()? == 0);
    drop((web, again));
    let told = fs::read_to_string(&out)?;
    let of = |name: &str| told.lines().filter(|line| line.ends_with(name)).map(str::to_owned).collect::<Vec<_>>();
    let quorum: Vec<&str> = told.lines().filter(|line| line.starts_with("quorum")).collect();
    ensure!(of("rs1") == ["up rs1", "down rs1", "up rs1", "down rs1"], "{told}");
    ensure!(of("rs2").starts_with(&["down rs2".to_owned(), "up rs2".to_owned(), "down rs2".to_owned()]), "{told}");
    ensure!(quorum == ["quorum up", "quorum down", "quorum up", "quorum down"], "{told}");
    let lines = fs::read_to_string(format!("{}.fifo", out.display()))?;
    let at = |text: String| lines.find(&text).with_context(|| format!("`{text}` was not told:\n{lines}"));
    let up = at(format!("RS {} {vs} UP\n", rs(&one)))?;
    let down = at(format!("RS {} {vs} DOWN\n", rs(&one)))?;
    ensure!(up < down, "{lines}");
    at(format!("VS {vs} UP\n"))?;
    at(format!("VS {vs} DOWN\n"))?;
    Ok(())
}
