//! Tests of [`super`], against a small server that speaks as it is told.

use super::*;
use crate::mail::{Alert, Subject};
use crate::testing::{DEADLINE, runtime};
use tokio::net::TcpListener;

/// Answers each line by the longest key that it begins with; keeps all that it is told.
async fn serve(listener: TcpListener, answers: Vec<(&'static str, &'static str)>) -> String {
    let (stream, _) = listener.accept().await.unwrap();
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    let mut told = String::new();
    let mut in_data = false;
    let answer = |line: &str| {
        let fitting = answers.iter().filter(|(key, _)| line.starts_with(key));
        fitting.max_by_key(|(key, _)| key.len()).map_or("500 what\r\n", |(_, answer)| *answer)
    };
    writer.write_all(answer("CONNECT").as_bytes()).await.unwrap();
    while let Ok(Some(line)) = lines.next_line().await {
        told.push_str(&line);
        told.push('\n');
        if in_data && line != "." {
            continue;
        }
        in_data = line == "DATA" && answer("DATA").starts_with('3');
        if writer.write_all(answer(&line).as_bytes()).await.is_err() {
            break;
        }
    }
    told
}

fn polite() -> Vec<(&'static str, &'static str)> {
    vec![
        ("CONNECT", "220-hello\r\n220 there\r\n"),
        ("HELO", "250-a\r\n250 b\r\n"),
        ("MAIL", "250 ok\r\n"),
        ("RCPT", "250 ok\r\n"),
        ("DATA", "354 go\r\n"),
        (".", "250 taken\r\n"),
        ("QUIT", "221 bye\r\n"),
    ]
}

fn exchange(answers: Vec<(&'static str, &'static str)>, patience: Duration) -> (Result<(), MailError>, String) {
    runtime().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(serve(listener, answers));
        let to = ["one@example.org".to_owned(), "Two <two@example.org>".to_owned()];
        let alert = Alert {
            subject: Subject::Instance("VI_1".into(), "Entering MASTER state".into()),
            body: crate::mail::text::MASTER.into(),
        };
        let message = alert.message(Some("dr"), "keepalived@dr", &to, "Mon, 01 Jan 2024 00:00:00 +0000");
        let how = Server { address, timeout: patience, helo: "dr.example.org".into() };
        let result = send(&how, "keepalived@dr", &to, &message).await;
        (result, tokio::time::timeout(DEADLINE, server).await.unwrap().unwrap())
    })
}

#[test]
fn the_whole_dialogue() {
    let (result, told) = exchange(polite(), DEADLINE);
    assert_eq!(result, Ok(()));
    assert_eq!(
        told,
        "HELO dr.example.org\nMAIL FROM:<keepalived@dr>\nRCPT TO:<one@example.org>\nRCPT TO:<two@example.org>\nDATA\n\
         Date: Mon, 01 Jan 2024 00:00:00 +0000\nFrom: keepalived@dr\nSubject: [dr] VRRP Instance VI_1 - Entering MASTER state\n\
         X-Mailer: Keepalived\nTo: one@example.org, Two <two@example.org>\n\n=> VRRP Instance is now owning VRRP VIPs <=\n.\nQUIT\n"
    );
}

#[test]
fn a_refusal_names_step_and_number() {
    for (key, step) in [("HELO", "HELO"), ("MAIL", "MAIL"), ("RCPT", "RCPT"), ("DATA", "DATA"), (".", "DOT")] {
        let mut answers = polite();
        answers.retain(|(which, _)| *which != key);
        answers.push((key, "550 no\r\n"));
        let (result, _) = exchange(answers, DEADLINE);
        let text = result.unwrap_err().to_string();
        assert!(text.starts_with(&format!("Error processing {step} cmd on SMTP server 127.0.0.1:")), "{text}");
        assert!(text.ends_with("SMTP status code = 550"), "{text}");
    }
}

#[test]
fn a_server_that_does_not_want_to_talk_says_so() {
    let mut answers = polite();
    answers[0].1 = "554 go away\r\n";
    let text = exchange(answers, DEADLINE).0.unwrap_err().to_string();
    assert!(
        text.starts_with("Error connecting SMTP server 127.0.0.1:") && text.ends_with(". SMTP status code = 554"),
        "{text}"
    );
}

#[test]
fn one_bad_recipient_does_not_keep_the_mail_from_the_other() {
    let mut answers = polite();
    answers.push(("RCPT TO:<one", "550 unknown\r\n"));
    let (result, told) = exchange(answers, DEADLINE);
    assert_eq!(result, Ok(()));
    assert!(told.ends_with("QUIT\n"));
}

#[test]
fn silence_garbage_and_endless_answers_are_errors() {
    let mut silent = polite();
    silent[2].1 = "";
    assert!(matches!(exchange(silent, Duration::from_millis(50)).0, Err(MailError::Timeout(..))));
    let mut garbage = polite();
    garbage[0].1 = "hello there\r\n";
    assert!(matches!(exchange(garbage, DEADLINE).0, Err(MailError::Broken(..))));
    let mut endless = polite();
    endless[1].1 = Box::leak("250-more\r\n".repeat(20_000).into_boxed_str());
    assert!(matches!(exchange(endless, DEADLINE).0, Err(MailError::Broken(..))));
}

#[test]
fn nobody_there_is_an_error() {
    let result = runtime().block_on(async {
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        send(&Server { address, timeout: DEADLINE, helo: "x".into() }, "a", &["b".into()], ".\r\n").await
    });
    assert!(matches!(result, Err(MailError::Connect(..))));
}
