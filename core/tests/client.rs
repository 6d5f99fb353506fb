//! The client's dialogue up to TLS: what it sends, what it takes, and how it fails.

mod common;

use common::*;
use smtptls::{Action, Close, Code, Entry, Error, Level, Progress, Protocol, Session, Tlsrpt};

/// Plays a server's replies to a client that starts from the greeting; what the client sent, and how it ended.
fn play(level: Level, replies: &[&[u8]]) -> (String, Result<Progress, Error>) {
    play_session(client(level), replies)
}

fn play_session(mut session: Session, replies: &[&[u8]]) -> (String, Result<Progress, Error>) {
    let mut sent = Vec::new();
    for reply in replies {
        match step(&mut session, &mut sent) {
            Ok(Progress::WantInput) => feed(&mut session, reply),
            other => return (printable(&sent), other),
        }
    }
    let result = step(&mut session, &mut sent);
    (printable(&sent), result)
}

fn step(session: &mut Session, sent: &mut Vec<u8>) -> Result<Progress, Error> {
    loop {
        let result = session.start(Entry::Greeting, 0);
        sent.extend(take(session));
        if result != Ok(Progress::WantOutput) {
            return result;
        }
    }
}

/// SMTP as it is, TLS as one word.
fn printable(sent: &[u8]) -> String {
    match sent.windows(2).position(|window| window == [0x16, 0x03]) {
        Some(at) => format!("{}<TLS>", String::from_utf8_lossy(&sent[..at])),
        None => String::from_utf8_lossy(sent).into_owned(),
    }
}

const EHLO: &str = "EHLO client.example.test\r\n";
const OFFER: &[u8] = b"250-mx\r\n250-SIZE 1000\r\n250 STARTTLS\r\n";

/// R3207-4-1, R3207-4-11, R3207-2-4, R5321-4.2-1: after the last line of 220 the next bytes are a ClientHello.
#[test]
fn the_way_to_tls() {
    for go in [&b"220 go\r\n"[..], b"220-well\r\n220 go\r\n"] {
        let (sent, result) = play(Level::Verify, &[b"220-mx\r\n220 mx\r\n", OFFER, go]);
        assert_eq!(sent, format!("{EHLO}STARTTLS\r\n<TLS>"));
        assert_eq!(result, Ok(Progress::WantInput));
    }
}

/// R2033-ours-1: LMTP says LHLO.
#[test]
fn lmtp_says_lhlo_and_never_helo() {
    let mut session = client(Level::Encrypt);
    session.set_protocol(Protocol::Lmtp).unwrap();
    let (sent, result) = play_session(session, &[b"220 mx\r\n", b"500 what?\r\n"]);
    assert_eq!(sent, "LHLO client.example.test\r\n");
    assert_eq!(result.unwrap_err().code(), Code::Refused);
}

/// SEC-6, R3207-4-14, R3207-6-2: STARTTLS that is not offered, or mangled, or hidden behind HELO.
#[test]
fn not_offered() {
    let cases: [&[&[u8]]; 3] = [
        &[b"220 mx\r\n", b"250-mx\r\n250 SIZE\r\n"],
        &[b"220 mx\r\n", b"250-mx\r\n250-XXXXXXXX\r\n250 SIZE\r\n"],
        &[b"220 mx\r\n", b"502 what?\r\n", b"250 mx\r\n"],
    ];
    for replies in cases {
        for (level, action) in [
            (Level::May, Action::Continue),
            (Level::Encrypt, Action::NextHost),
            (Level::Verify, Action::NextHost),
        ] {
            let (sent, result) = play(level, replies);
            let error = result.unwrap_err();
            assert_eq!((error.code(), error.action()), (Code::NotOffered, action));
            assert_eq!(error.tlsrpt(), Some(Tlsrpt::StarttlsNotSupported));
            assert!(!sent.contains("STARTTLS") && !sent.contains("MAIL"), "{sent}");
        }
    }
}

/// SEC-5, R3207-4-5: only 220 starts TLS; what the policy allows after a refusal depends on the level.
#[test]
fn starttls_refused() {
    for (reply, code, at_may) in [
        (&b"454 4.7.0 later\r\n"[..], Code::Refused, Action::Continue),
        (b"500 what?\r\n", Code::Refused, Action::Continue),
        (b"501 no\r\n", Code::Refused, Action::Continue),
        (b"502 no\r\n", Code::Refused, Action::Continue),
        (b"530 no\r\n", Code::Refused, Action::Continue),
        (b"554 no\r\n", Code::Refused, Action::Continue),
        (b"421 bye\r\n", Code::Refused, Action::Reconnect),
        (b"221 bye\r\n", Code::SmtpSyntax, Action::Reconnect),
        (b"250 ok\r\n", Code::SmtpSyntax, Action::Reconnect),
        (b"354 go\r\n", Code::SmtpSyntax, Action::Reconnect),
    ] {
        for level in &BARE_LEVELS {
            let (sent, result) = play(*level, &[b"220 mx\r\n", OFFER, reply]);
            let error = result.unwrap_err();
            assert_eq!(error.code(), code, "{error}");
            let want = if *level == Level::May { at_may } else { Action::NextHost };
            assert_eq!(error.action(), want, "{error}");
            assert_eq!(error.tlsrpt(), Some(Tlsrpt::StarttlsNotSupported));
            assert_eq!(sent, format!("{EHLO}STARTTLS\r\n"));
        }
    }
}

/// SEC-3, SEC-4, R3207-6-6: plaintext behind 220, in the same segment or in the next one, whole or in part.
#[test]
fn plaintext_behind_220() {
    let cases: [&[&[u8]]; 4] = [
        &[b"220 go\r\n250-x\r\n250 AUTH PLAIN\r\n"],
        &[b"220 go\r\n250 AU"],
        &[b"220 go\r\n", b"250-x\r\n250 AUTH PLAIN\r\n"],
        &[b"220 go\r\n", b"2"],
    ];
    for tail in cases {
        for level in &BARE_LEVELS {
            let mut replies: Vec<&[u8]> = vec![b"220 mx\r\n", OFFER];
            replies.extend_from_slice(tail);
            let error = play(*level, &replies).1.unwrap_err();
            assert_eq!(
                (error.code(), error.action()),
                (Code::PlaintextInjected, Action::NextHost),
                "{error}"
            );
        }
    }
}

/// SEC-9: replies that nobody asked for.
#[test]
fn unsolicited_replies() {
    for replies in
        [&[&b"220 mx\r\n250 x\r\n"[..]][..], &[b"220 mx\r\n", b"250-mx\r\n250 STARTTLS\r\n220 go\r\n"]]
    {
        let error = play(Level::May, replies).1.unwrap_err();
        assert_eq!((error.code(), error.action()), (Code::Unsolicited, Action::NextHost));
    }
}

/// R5321-4.2-2, SEC-8: what is no SMTP has its own codes, and the words say what it was.
#[test]
fn what_is_no_reply() {
    let long = [b'2'; 3000];
    let endless = b"250-x\r\n".repeat(200);
    for (reply, code, words) in [
        (&b"SSH-2.0-x\r\n"[..], Code::SmtpSyntax, "SSH-2.0-x"),
        (b"220 a\0b\r\n", Code::SmtpSyntax, "NUL"),
        (b"220 a\rb\r\n", Code::SmtpSyntax, "CR without LF"),
        (b"220 a\n", Code::SmtpSyntax, "LF without CR"),
        (b"220-a\r\n250 b\r\n", Code::SmtpSyntax, "changes its code"),
        (b"250 a\r\n", Code::SmtpSyntax, "its greeting was \"250 a\""),
        (b"421 a\r\n", Code::Refused, "421 a"),
        (b"554 a\r\n", Code::Refused, "554 a"),
        (&long, Code::TooLong, "2048"),
        (&endless, Code::TooLong, "100 lines"),
    ] {
        let error = play(Level::May, &[reply]).1.unwrap_err();
        assert_eq!((error.code(), error.action()), (code, Action::NextHost), "{error}");
        assert!(error.message().contains(words), "{error}");
        assert_eq!(error.tlsrpt(), None);
    }
}

/// SEC-12: the end in the middle of things names the stage.
#[test]
fn the_peer_goes_away() {
    for (replies, words) in [
        (&[][..], "greeting"),
        (&[&b"220 mx\r\n"[..]][..], "EHLO"),
        (&[b"220 mx\r\n", b"250-mx"], "EHLO"),
        (&[b"220 mx\r\n", OFFER], "STARTTLS"),
        (&[b"220 mx\r\n", OFFER, b"220 go\r\n"], "handshake"),
    ] {
        let mut all: Vec<&[u8]> = replies.to_vec();
        all.push(b"");
        let mut session = client(Level::May);
        let mut sent = Vec::new();
        for reply in &all {
            assert_eq!(step(&mut session, &mut sent), Ok(Progress::WantInput));
            session.feed(reply);
        }
        let error = step(&mut session, &mut sent).unwrap_err();
        assert_eq!(error.code(), Code::Eof);
        assert!(error.message().contains(words), "{error}");
    }
}

/// R3207-4.2-2, SEC-1: bytes that the program read and did not use are an injection, before a byte is sent.
#[test]
fn unread_bytes_are_refused_before_a_byte_is_sent() {
    for entry in Entry::ALL {
        for mut session in [client(Level::May), server(Level::May)] {
            let error = session.start(*entry, 3).unwrap_err();
            assert_eq!(error.code(), Code::PlaintextInjected);
            assert!(session.output().is_empty());
        }
    }
    let mut session = client(Level::May);
    feed(&mut session, b"250 x\r\n");
    assert_eq!(session.start(Entry::Command, 0).unwrap_err().code(), Code::PlaintextInjected);
    assert!(session.output().is_empty());
}

/// R3207-4-12: a mistake on this side is found before STARTTLS is sent.
#[test]
fn local_mistakes_come_first() {
    let rootless = smtptls::Config::builder().freeze().unwrap();
    let verify = smtptls::Policy::new(Level::Verify);
    for (mut session, code) in [
        (Session::client(&rootless, &verify, HOST), Code::NoRoots),
        (Session::client(&trusting(), &verify, "no host\n"), Code::Argument),
        (Session::server(&server_config(), &verify), Code::Argument),
        (Session::server(&rootless, &smtptls::Policy::new(Level::Encrypt)), Code::NoKeypair),
    ] {
        let error = session.start(Entry::Command, 0).unwrap_err();
        assert_eq!((error.code(), error.action()), (code, Action::Fail), "{error}");
        assert!(session.output().is_empty());
        // A session that failed stays failed.
        assert_eq!(session.start(Entry::Command, 0).unwrap_err(), error);
        assert!(session.read(&mut [0; 10]).is_err());
        assert!(session.write(b"x", false).is_err());
    }
}

/// R3207-4-5: leaving in plaintext, after STARTTLS was refused.
#[test]
fn refuse_in_plaintext_says_quit() {
    let mut session = client(Level::Verify);
    let mut sent = Vec::new();
    for reply in [&b"220 mx\r\n"[..], OFFER, b"454 later\r\n"] {
        assert_eq!(step(&mut session, &mut sent), Ok(Progress::WantInput));
        feed(&mut session, reply);
    }
    step(&mut session, &mut sent).unwrap_err();
    assert_eq!(session.refuse(), Ok(Progress::WantOutput));
    assert_eq!(take(&mut session), b"QUIT\r\n");
    assert_eq!(session.refuse(), Ok(Progress::Done(())));
}

/// SEC-7: leaving after any failure puts no byte in clear on a connection that cannot be used.
#[test]
fn refuse_is_harmless_where_nothing_can_be_said() {
    for tail in [&b"220 go\r\n250 x\r\n"[..], b"421 bye\r\n", b"999\r\n", b"220 go\r\n"] {
        let mut session = client(Level::Verify);
        let mut sent = Vec::new();
        for reply in [&b"220 mx\r\n"[..], OFFER, tail, b"\x80\x80\x80\x80\x80\x80"] {
            if step(&mut session, &mut sent).is_ok() {
                feed(&mut session, reply);
            }
        }
        assert!(step(&mut session, &mut sent).is_err());
        take(&mut session);
        assert_eq!(session.refuse(), Ok(Progress::Done(())));
        assert!(session.output().is_empty());
    }
}

/// SEC-20: what the peer said is escaped.
#[test]
fn the_peer_s_text_is_escaped() {
    let error = play(Level::May, &[b"554 \x1b[31mred\xff\r\n"]).1.unwrap_err();
    assert!(error.message().contains("\\x1b[31mred\\xff"), "{error}");
}

/// `Done` means that TLS is up, whatever was called in between.
#[test]
fn start_behind_close_is_no_success() {
    for (mut session, entry) in [
        (client(Level::Verify), Entry::Greeting),
        (client(Level::May), Entry::Handshake),
        (server(Level::May), Entry::Greeting),
    ] {
        let _ = session.start(entry, 0).unwrap();
        take(&mut session);
        assert_eq!(session.close(Close::Send), Ok(Progress::Done(())));
        assert_eq!(session.start(entry, 0).unwrap_err().code(), Code::State);
        assert!(!session.is_tls());
    }
}
