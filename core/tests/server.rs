//! The server's dialogue up to TLS: what it answers, and when it hands over.

mod common;

use common::*;
use smtptls::{Action, Code, Config, Entry, Error, Level, Policy, Progress, Protocol, Session};

/// Says all of `input` to a server that starts from the greeting; what it answered behind the greeting, and how it
/// ended.
fn say_to(mut session: Session, input: &[u8]) -> (String, Result<Progress, Error>, Session) {
    let mut answered = Vec::new();
    let mut fed = false;
    loop {
        let result = session.start(Entry::Greeting, 0);
        let output = take(&mut session);
        answered.extend(output);
        match result {
            Ok(Progress::WantOutput) => {}
            Ok(Progress::WantInput) if !fed => {
                assert!(answered.starts_with(b"220 mx.example.test E") || answered.starts_with(b"220 "));
                answered.clear();
                feed(&mut session, input);
                fed = true;
            }
            other => return (String::from_utf8_lossy(&answered).into_owned(), other, session),
        }
    }
}

fn answer(level: Level, input: &str) -> String {
    say_to(server(level), input.as_bytes()).0
}

/// R3207-4-8, R3207-4-10, R2034-4-1: the table of verbs where TLS is required, and where it is not.
#[test]
fn verbs_before_tls() {
    const REQUIRED: &str = "530 5.7.0 Must issue a STARTTLS command first\r\n";
    for (line, offered, required) in [
        ("HELO a", "250 mx.example.test\r\n", REQUIRED),
        ("NOOP", "250 2.0.0 ", "250 2.0.0 "),
        ("RSET", "250 2.0.0 ", REQUIRED),
        ("QUIT", "221 2.0.0 ", "221 2.0.0 "),
        ("STARTTLS", "220 2.0.0 ", "220 2.0.0 "),
        ("starttls ", "220 2.0.0 ", "220 2.0.0 "),
        ("STARTTLS x", "501 5.5.4 ", "501 5.5.4 "),
        ("EHLO", "501 5.5.4 ", "501 5.5.4 "),
        ("LHLO a", "500 5.5.2 ", REQUIRED),
        ("MAIL FROM:<a@b>", "", REQUIRED),
        ("RCPT TO:<a@b>", "", REQUIRED),
        ("DATA", "", REQUIRED),
        ("BDAT 1", "", REQUIRED),
        ("VRFY a", "", REQUIRED),
        ("EXPN a", "", REQUIRED),
        ("HELP", "", REQUIRED),
        ("AUTH PLAIN", "", REQUIRED),
        ("ETRN a", "", REQUIRED),
        ("FOO", "", REQUIRED),
        ("", "", REQUIRED),
    ] {
        for (level, want) in [(Level::May, offered), (Level::Encrypt, required)] {
            let got = answer(level, &format!("{line}\r\n"));
            assert!(
                got.starts_with(want) && (!want.is_empty() || got.is_empty()),
                "{line} at {level:?}: {got}"
            );
        }
    }
}

/// R3207-2-2, R3207-4.2-9, R3207-3-1, R5321-4.2.4-1: the keyword has no parameter, and stands only where it works.
#[test]
fn what_ehlo_lists() {
    let mut session = server(Level::May);
    session.add_extension("SIZE 1000").unwrap();
    let (got, ..) = say_to(session, b"EHLO a\r\n");
    assert_eq!(
        got,
        "250-mx.example.test\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250-SIZE 1000\r\n250 STARTTLS\r\n"
    );
    let mut builder = Config::builder();
    builder.hostname(HOST).unwrap();
    let keyless = builder.freeze().unwrap();
    let session = || Session::server(&keyless, &Policy::new(Level::May));
    let (got, ..) = say_to(session(), b"EHLO a\r\n");
    assert!(!got.contains("STARTTLS"), "{got}");
    assert!(say_to(session(), b"STARTTLS\r\n").0.starts_with("502 5.5.1 "));
    for line in ["", "STARTTLS", "X starttls", " X", "X\r\nY", "X\u{e9}"] {
        assert_eq!(server(Level::May).add_extension(line).unwrap_err().code(), Code::Argument, "{line}");
    }
}

/// R3207-4-3: a parameter changes nothing, and STARTTLS may be asked for again.
#[test]
fn a_parameter_and_again() {
    let (got, result, _) = say_to(server(Level::May), b"STARTTLS now\r\nSTARTTLS\r\n");
    assert!(got.starts_with("501 5.5.4 ") && got.contains("\r\n220 2.0.0 "), "{got}");
    assert_eq!(result, Ok(Progress::WantInput));
}

/// R2033-4.1-1.
#[test]
fn lmtp_knows_lhlo_only() {
    for (line, want) in [("LHLO a", "250-"), ("EHLO a", "500 5.5.2 "), ("HELO a", "500 5.5.2 ")] {
        let mut session = server(Level::May);
        session.set_protocol(Protocol::Lmtp).unwrap();
        let got = say_to(session, format!("{line}\r\n").as_bytes()).0;
        assert!(got.starts_with(want), "{line}: {got}");
    }
}

/// R5321-4.5.3-1, R5321-4.2-2: a bad line gets 500, and the next one is heard.
#[test]
fn bad_lines_and_resynchronisation() {
    let long = "x".repeat(10_000);
    let noop = format!("NOOP {}", "x".repeat(600));
    for bad in [&long, &noop, "NO\0OP", "NO\rOP"] {
        let got = answer(Level::May, &format!("{bad}\r\nNOOP\r\n"));
        assert!(got.starts_with("500 5.5.2 ") && got.ends_with("250 2.0.0 OK\r\n"), "{bad}: {got}");
        assert_eq!(got.lines().count(), 2);
    }
    // What follows a bare LF is no command of its own.
    let got = answer(Level::May, "NOOP\nRSET\r\nNOOP\r\n");
    assert!(got.starts_with("500 5.5.2 ") && got.ends_with("250 2.0.0 OK\r\n"), "{got}");
    assert_eq!(got.lines().count(), 2, "{got}");
}

/// SEC-1 (CVE-2011-0411), R3207-4.2-2: what stands behind STARTTLS is never executed.
#[test]
fn command_injection() {
    for tail in ["RSET\r\n", "M", "\x16\x03\x01"] {
        let (got, result, session) = say_to(server(Level::May), format!("STARTTLS\r\n{tail}").as_bytes());
        assert_eq!(got, "554 5.5.0 Input behind STARTTLS: protocol synchronization error\r\n");
        assert_eq!(result.unwrap_err().code(), Code::PlaintextInjected);
        assert!(session.leftover().is_empty());
    }
}

/// SEC-2: text instead of a ClientHello gets no SMTP reply.
#[test]
fn plaintext_instead_of_a_client_hello() {
    let (got, result, mut session) = say_to(server(Level::May), b"STARTTLS\r\n");
    assert!(got.starts_with("220 2.0.0 "));
    assert_eq!(result, Ok(Progress::WantInput));
    feed(&mut session, b"EHLO x\r\n");
    let error = session.start(Entry::Greeting, 0).unwrap_err();
    assert_eq!((error.code(), error.action()), (Code::PlaintextInjected, Action::Fail));
    assert!(session.output().is_empty());
}

/// A server that does not require TLS hands the first other command over, with all that came behind it.
#[test]
fn the_client_goes_on_in_plaintext() {
    let input = b"EHLO c.example\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n";
    let (_, result, session) = say_to(server(Level::May), input);
    let error = result.unwrap_err();
    assert_eq!((error.code(), error.action()), (Code::NotRequested, Action::Continue));
    assert_eq!(session.leftover(), &input[16..]);
    assert_eq!(session.hello(), Some("EHLO c.example"));
    assert!(error.message().contains("MAIL FROM:<a@b>"), "{error}");
}

/// R2920-3.1-1: a group of commands, STARTTLS last.
#[test]
fn pipelined_up_to_starttls() {
    let (got, result, _) = say_to(server(Level::May), b"EHLO a\r\nNOOP\r\nRSET\r\nSTARTTLS\r\n");
    assert!(got.ends_with("250 2.0.0 OK\r\n250 2.0.0 OK\r\n220 2.0.0 Ready to start TLS\r\n"), "{got}");
    assert_eq!(result, Ok(Progress::WantInput));
}

/// R3207-4-2, R3207-4-3, R3207-4-4: the STARTTLS that the program has read.
#[test]
fn from_the_command() {
    let keyless = Config::builder().freeze().unwrap();
    let may = Policy::new(Level::May);
    for (mut session, line, want, code) in [
        (server(Level::May), None, "220 2.0.0 ", None),
        (server(Level::May), Some("STARTTLS\r\n"), "220 2.0.0 ", None),
        (server(Level::May), Some("starttls  "), "220 2.0.0 ", None),
        (server(Level::May), Some("STARTTLS now"), "501 5.5.4 ", Some(Code::SmtpSyntax)),
        (Session::server(&keyless, &may), None, "454 4.7.0 ", Some(Code::NoKeypair)),
    ] {
        if let Some(line) = line {
            session.set_command(line).unwrap();
        }
        let result = session.start(Entry::Command, 0);
        let output = take(&mut session);
        assert!(output.starts_with(want.as_bytes()), "{}", String::from_utf8_lossy(&output));
        match code {
            None => assert_eq!(result, Ok(Progress::WantOutput)),
            Some(code) => {
                let error = result.unwrap_err();
                assert_eq!((error.code(), error.action()), (code, Action::Continue));
            }
        }
    }
    assert_eq!(server(Level::May).set_command("MAIL FROM:<a>").unwrap_err().code(), Code::Argument);
}

/// QUIT before TLS ends it.
#[test]
fn quit_ends_it() {
    let (got, result, _) = say_to(server(Level::Encrypt), b"QUIT\r\n");
    assert_eq!(got, "221 2.0.0 Bye\r\n");
    assert_eq!(result.unwrap_err().code(), Code::Eof);
}

/// SEC-8: a client that asks and does not listen.
#[test]
fn answers_that_nobody_takes_are_bounded() {
    let mut session = server(Level::May);
    let _ = session.start(Entry::Greeting, 0).unwrap();
    let flood = b"EHLO c\r\n".repeat(10_000);
    feed(&mut session, &flood);
    let mut answers = 0;
    while let Progress::WantOutput = session.start(Entry::Greeting, 0).unwrap() {
        assert!(session.output().len() < 70_000, "{}", session.output().len());
        let output = take(&mut session);
        answers += output.windows(4).filter(|window| *window == b"250 ").count();
    }
    assert_eq!(answers, 10_000);
}
