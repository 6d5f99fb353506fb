//! From the handshake on: two sessions back to back, each entry, what is forgotten, and how they end.

mod common;

use common::*;
use smtptls::{Auth, Close, Code, Entry, FingerprintOf, Level, Progress, Session};

/// R3207-5-1, R3207-4.2-4, R3207-4.2-6: the RFC's dialogue; the client says EHLO again.
#[test]
fn from_the_greeting() {
    let (mut c, mut s) = (client(Level::Verify), server(Level::Encrypt));
    let (mut up, mut down) = (Progress::WantInput, Progress::WantInput);
    while up != Progress::Done(()) {
        up = c.start(Entry::Greeting, 0).unwrap();
        give(&mut c, &mut s, usize::MAX);
        if down != Progress::Done(()) {
            down = s.start(Entry::Greeting, 0).unwrap();
        }
        // The server's program answers the EHLO that comes in TLS.
        if down == Progress::Done(()) && s.pending() > 0 {
            assert_eq!(read(&mut s, 1000).unwrap(), b"EHLO client.example.test\r\n");
            assert_eq!(s.write(b"250-mx.example.test\r\n250 STARTTLS\r\n", false), Ok(Progress::Done(35)));
        }
        give(&mut s, &mut c, usize::MAX);
    }
    // R3207-4.2-11: STARTTLS offered inside TLS is shown, and nothing comes of it.
    assert_eq!(c.reply(), Some("250-mx.example.test\n250 STARTTLS"));
    let info = c.info().unwrap();
    assert_eq!((info.auth(), info.level(), info.version()), (Auth::Pkix, Level::Verify, "TLSv1.3"));
    assert_eq!(s.info().unwrap().server_name(), Some(HOST));
}

/// R3207-4.2-7, R3207-4.2-8, R8314-3.3-1, R8314-3.3-3: from the command and from the handshake on; both know whether TLS
/// is active, and STARTTLS inside TLS is refused.
#[test]
fn from_the_command_and_from_the_handshake() {
    for entry in [Entry::Command, Entry::Handshake] {
        let (mut c, mut s) = (client(Level::Verify), server(Level::May));
        assert!(!c.is_tls() && !s.is_tls());
        let (up, down) = start_both(&mut c, &mut s, entry, usize::MAX);
        up.unwrap();
        down.unwrap();
        assert!(c.is_tls() && s.is_tls());
        // R3207-4.2-1: the server says nothing of its own.
        assert!(take(&mut s).is_empty());
        assert_eq!(c.start(entry, 0).unwrap_err().code(), Code::State);
        // R3207-4.2-10: the program on the server read STARTTLS inside TLS.
        assert_eq!(s.start(Entry::Command, 0).unwrap_err().code(), Code::State);
        give(&mut s, &mut c, usize::MAX);
        assert_eq!(read(&mut c, 100).unwrap(), b"503 5.5.1 TLS is already active\r\n");
        assert_eq!(c.write(b"NOOP\r\n", false), Ok(Progress::Done(6)));
        give(&mut c, &mut s, usize::MAX);
        assert_eq!(read(&mut s, 100).unwrap(), b"NOOP\r\n");
    }
}

/// R3207-4.2-2, R3207-4.2-3, R3207-6-6: what was learnt before TLS cannot be seen after.
#[test]
fn forgetting() {
    let (mut c, mut s) = (client(Level::May), server(Level::May));
    while s.start(Entry::Greeting, 0) == Ok(Progress::WantOutput) {
        give(&mut s, &mut c, usize::MAX);
    }
    let mut seen = (false, false);
    for _ in 0..20 {
        let _ = c.start(Entry::Greeting, 0).unwrap();
        let _ = if s.is_tls() { Progress::Done(()) } else { s.start(Entry::Greeting, 0).unwrap() };
        seen.0 |= c.reply().is_some();
        seen.1 |= s.hello().is_some();
        give(&mut c, &mut s, usize::MAX);
        give(&mut s, &mut c, usize::MAX);
    }
    assert_eq!(seen, (true, true));
    assert!(c.is_tls() && s.is_tls());
    assert_eq!((c.reply(), s.hello()), (None, None));
    assert!(c.leftover().is_empty() && s.leftover().is_empty());
}

/// R3207-4.1-1, R3207-4.1-3, SEC-13: the handshake ends, the verdict is an error, Info is there, and nothing but
/// QUIT passes.
#[test]
fn a_verdict_and_a_polite_end() {
    let mut s = Session::server(&serving(&authority().leaf(&["other.example.test"])), &policy(Level::May));
    let mut c = client(Level::Verify);
    let (up, down) = start_both(&mut c, &mut s, Entry::Command, usize::MAX);
    down.unwrap();
    let error = up.unwrap_err();
    assert_eq!(error.code(), Code::CertName);
    assert!(error.message().contains("other.example.test"), "{error}");
    let info = c.info().unwrap();
    assert!(info.trusted() && !info.name_matched() && info.auth() == Auth::None);
    assert_eq!(c.write(b"MAIL", false).unwrap_err().code(), Code::CertName);
    assert_eq!(c.read(&mut [0; 10]).unwrap_err().code(), Code::CertName);
    assert_eq!(c.refuse(), Ok(Progress::WantOutput));
    give(&mut c, &mut s, usize::MAX);
    assert_eq!(c.refuse(), Ok(Progress::Done(())));
    assert_eq!(read(&mut s, 100).unwrap(), b"QUIT\r\n");
    assert_eq!(s.read(&mut [0; 10]), Ok(Progress::Done(0)));
    assert!(!s.is_truncated());
}

fn policy(level: Level) -> smtptls::Policy {
    smtptls::Policy::new(level)
}

/// R3207-4.1-4: a server that refuses answers 554 to all but QUIT.
#[test]
fn a_server_refuses() {
    let (mut c, mut s) = secured_pair();
    let mut answers = Vec::new();
    for command in [&b"EHLO a\r\n"[..], b"NOOP\r\nRSET\r\n", b"xyz\nabc\r\n", b"\0\r\n", b"QUIT\r\n"] {
        assert_eq!(s.refuse(), Ok(Progress::WantInput));
        assert_eq!(c.write(command, false), Ok(Progress::Done(command.len())));
        give(&mut c, &mut s, usize::MAX);
        while s.refuse() == Ok(Progress::WantOutput) {
            give(&mut s, &mut c, usize::MAX);
        }
        answers.extend(read(&mut c, 1000).unwrap());
    }
    let answers = String::from_utf8(answers).unwrap();
    let lines: Vec<_> = answers.lines().collect();
    assert_eq!(lines.len(), 6, "{answers}");
    assert!(lines[..5].iter().all(|line| *line == "554 5.7.0 Command refused due to lack of security"));
    assert_eq!(lines[5], "221 2.0.0 Bye");
    assert_eq!(s.refuse(), Ok(Progress::Done(())));
    assert_eq!(s.read(&mut [0; 10]).unwrap_err().code(), Code::State);
}

/// A program that must go on all the same says so.
#[test]
fn insecure_continue() {
    let mut s = Session::server(&serving(&authority().leaf(&["other.example.test"])), &policy(Level::May));
    let mut c = client(Level::Verify);
    assert_eq!(c.insecure_continue().unwrap_err().code(), Code::State);
    start_both(&mut c, &mut s, Entry::Command, usize::MAX).0.unwrap_err();
    c.insecure_continue().unwrap();
    assert_eq!(c.write(b"EHLO a\r\n", false), Ok(Progress::Done(8)));
    give(&mut c, &mut s, usize::MAX);
    assert_eq!(read(&mut s, 100).unwrap(), b"EHLO a\r\n");
    assert_eq!(c.info().unwrap().auth(), Auth::None);
}

/// The client's Finished waits for the EHLO that follows it: one segment less.
#[test]
fn finished_and_ehlo_leave_together() {
    let (mut c, mut s) = (client(Level::Verify), server(Level::May));
    let mut flights = Vec::new();
    loop {
        let done = c.start(Entry::Command, 0).unwrap() == Progress::Done(());
        let flight = take(&mut c);
        if !flight.is_empty() {
            // A lone ChangeCipherSpec is no flight.
            assert_ne!(flight, [20, 3, 3, 0, 1, 1]);
            let at = flights.len();
            flights.push(flight.len());
            if at == 0 {
                // The server's program has read STARTTLS.
                assert_eq!(flight, b"STARTTLS\r\n");
            } else {
                feed(&mut s, &flight);
            }
        }
        if done {
            break;
        }
        if !s.is_tls() {
            let _ = s.start(Entry::Command, 0).unwrap();
        }
        give(&mut s, &mut c, 700);
    }
    assert_eq!(flights.len(), 2, "STARTTLS and ClientHello went, Finished waits: {flights:?}");
    assert_eq!(c.write(b"EHLO a\r\n", false), Ok(Progress::Done(8)));
    give(&mut c, &mut s, usize::MAX);
    assert_eq!(s.start(Entry::Command, 0), Ok(Progress::Done(())));
    assert_eq!(read(&mut s, 100).unwrap(), b"EHLO a\r\n");
}

/// A program that reads before it writes lets Finished go.
#[test]
fn reading_lets_finished_go() {
    let (mut c, mut s) = (client(Level::Verify), server(Level::May));
    start_until_the_client_is_done(&mut c, &mut s);
    assert!(c.output().is_empty() && !s.is_tls());
    assert_eq!(c.read(&mut [0; 10]), Ok(Progress::WantOutput));
    give(&mut c, &mut s, usize::MAX);
    assert_eq!(s.start(Entry::Command, 0), Ok(Progress::Done(())));
}

fn start_until_the_client_is_done(c: &mut Session, s: &mut Session) {
    let mut begun = false;
    while c.start(Entry::Command, 0).unwrap() != Progress::Done(()) {
        if !begun {
            assert_eq!(take(c), b"STARTTLS\r\n");
            begun = true;
        }
        give(c, s, usize::MAX);
        let _ = s.start(Entry::Command, 0).unwrap();
        give(s, c, usize::MAX);
    }
}

/// Bytes that follow close_notify are kept for the caller (Exim goes on in plaintext there).
#[test]
fn what_follows_close_notify_is_left_over() {
    let (mut c, mut s) = secured_pair();
    assert_eq!(c.write(b"QUIT\r\n", false), Ok(Progress::Done(6)));
    assert_eq!(c.close(Close::Half), Ok(Progress::WantOutput));
    let mut bytes = take(&mut c);
    bytes.extend_from_slice(b"EHLO again\r\n");
    feed(&mut s, &bytes);
    assert_eq!(read(&mut s, 100).unwrap(), b"QUIT\r\n");
    assert_eq!(s.read(&mut [0; 10]), Ok(Progress::Done(0)));
    assert!(!s.is_truncated());
    assert_eq!(s.leftover(), b"EHLO again\r\n");
    // R8314-3.4-1: the answer; and a half close goes on reading.
    assert_eq!(s.write(b"221 bye\r\n", false), Ok(Progress::Done(9)));
    assert_eq!(s.close(Close::Send), Ok(Progress::WantOutput));
    give(&mut s, &mut c, usize::MAX);
    assert_eq!(read(&mut c, 100).unwrap(), b"221 bye\r\n");
    assert_eq!(c.close(Close::Wait), Ok(Progress::Done(())));
}

/// SEC-12: the end without close_notify is a fact, and `close` says so.
#[test]
fn truncation_is_told() {
    let (mut c, mut s) = secured_pair();
    assert_eq!(c.write(b"DATA\r\n", false), Ok(Progress::Done(6)));
    give(&mut c, &mut s, usize::MAX);
    s.feed(b"");
    assert_eq!(read(&mut s, 100).unwrap(), b"DATA\r\n");
    assert_eq!(s.read(&mut [0; 10]), Ok(Progress::Done(0)));
    assert!(s.is_truncated());
    assert_eq!(s.close(Close::Send).unwrap_err().code(), Code::Truncated);
}

/// SEC-7: after a broken record nothing goes on.
#[test]
fn a_broken_record_ends_it() {
    let (mut c, mut s) = secured_pair();
    assert_eq!(c.write(b"MAIL FROM:<a@b>\r\n", false), Ok(Progress::Done(17)));
    let mut bytes = take(&mut c);
    *bytes.last_mut().unwrap() ^= 1;
    feed(&mut s, &bytes);
    let error = s.read(&mut [0; 100]).unwrap_err();
    assert_eq!(error.code(), Code::Tls);
    // Whatever is called next, nothing goes on and nothing panics.
    assert_eq!(s.write(b"x", false).unwrap_err(), error);
    assert_eq!(s.read(&mut [0; 100]).unwrap_err(), error);
    assert_eq!(s.pending(), 0);
    for how in Close::ALL {
        assert!(s.close(*how).is_ok());
    }
    assert!(s.refuse().is_ok());
    // The alert tells the client.
    give(&mut s, &mut c, usize::MAX);
    let error = c.read(&mut [0; 100]).unwrap_err();
    assert_eq!((error.code(), error.alert()), (Code::Alert, Some(20)));
}

/// `more` gathers lines into one record; without it what was gathered leaves at once.
#[test]
fn more_gathers() {
    let (mut c, mut s) = secured_pair();
    for line in [&b"MAIL FROM:<a@b>\r\n"[..], b"RCPT TO:<c@d>\r\n"] {
        assert_eq!(c.write(line, true), Ok(Progress::Done(line.len())));
        assert!(c.output().is_empty());
    }
    assert_eq!(c.write(b"DATA\r\n", false), Ok(Progress::Done(6)));
    let bytes = take(&mut c);
    let length = usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
    assert_eq!(bytes.len(), 5 + length, "one record");
    feed(&mut s, &bytes);
    assert_eq!(read(&mut s, 100).unwrap(), b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n");
    // Reading lets go what was gathered.
    assert_eq!(c.write(b"NOOP\r\n", true), Ok(Progress::Done(6)));
    assert_eq!(c.read(&mut [0; 10]), Ok(Progress::WantOutput));
    give(&mut c, &mut s, usize::MAX);
    assert_eq!(s.pending(), 6);
    // And so does close.
    assert_eq!(c.write(b"QUIT\r\n", true), Ok(Progress::Done(6)));
    assert_eq!(c.close(Close::Send), Ok(Progress::WantOutput));
    give(&mut c, &mut s, usize::MAX);
    assert_eq!(read(&mut s, 100).unwrap(), b"NOOP\r\nQUIT\r\n");
}

/// SEC-8: what a session holds is bounded, both ways, and nothing is lost.
#[test]
fn bulk_is_bounded() {
    let (mut c, mut s) = secured_pair();
    let message: Vec<u8> = (0..3_000_000u32).map(|n| n.to_le_bytes()[1]).collect();
    let (mut written, mut got) = (0, Vec::new());
    while got.len() < message.len() {
        while written < message.len() {
            match c.write(&message[written..(written + 50_000).min(message.len())], false).unwrap() {
                Progress::Done(count) => written += count,
                _ => break,
            }
        }
        assert!(c.output().len() < 200_000);
        while give(&mut c, &mut s, 30_000) {}
        got.extend(read(&mut s, 20_000).unwrap());
    }
    assert!(got == message);
}

/// R9266-2-1: both sides have the same channel binding; and Info knows the peer.
#[test]
fn info() {
    let (c, s) = secured_pair();
    let (client, server) = (c.info().unwrap(), s.info().unwrap());
    assert!(client.channel_binding().is_some());
    assert_eq!(client.channel_binding(), server.channel_binding());
    assert_eq!(client.peer_subject().as_deref(), Some("CN=leaf"));
    assert_eq!(client.peer_issuer().as_deref(), Some("CN=Test Root"));
    assert!(client.peer_certificate(0).is_some() && client.peer_certificate(1).is_none());
    let of = |of| client.peer_fingerprint(of, smtptls::Digest::Sha256).unwrap();
    assert!(
        of(FingerprintOf::Certificate).starts_with("sha256:") && of(FingerprintOf::PublicKey).len() == 71
    );
    assert_ne!(of(FingerprintOf::Certificate), of(FingerprintOf::PublicKey));
    assert_eq!(client.summary(), server.summary());
    assert_eq!(
        client.summary(),
        "TLSv1.3 with cipher TLS_AES_128_GCM_SHA256 (128/128 bits) key-exchange X25519 \
         server-signature ECDSA (prime256v1) server-digest SHA256"
    );
    assert_eq!(client.exim_cipher(), "TLS1.3:TLS_AES_128_GCM_SHA256:128");
    // R8314-4.3-1.
    assert_eq!(client.received_clause(), "tls TLS_AES_128_GCM_SHA256 group x25519");
    assert_eq!((client.peer_key_algorithm(), client.peer_key_bits()), (Some("ECDSA"), Some(256)));
    assert_eq!(client.peer_names(), [format!("DNS:{HOST}")]);
    assert_eq!(client.peer_common_name().as_deref(), Some("leaf"));
    assert_eq!(client.peer_issuer_common_name().as_deref(), Some("Test Root"));
    // R5929-4-1: both sides have the digest of the server's certificate.
    let digest = of(FingerprintOf::Certificate).split_off("sha256:".len());
    let hex = |octets: Vec<u8>| octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
    assert_eq!(client.server_end_point().map(hex), Some(digest));
    assert_eq!(client.server_end_point(), server.server_end_point());
    assert_eq!((server.certificate_present(), server.auth(), server.resumed()), (false, Auth::None, false));
}

/// RFC 8446 section 6.1: what a peer sends behind our close_notify, garbage too, gets no further word.
#[test]
fn garbage_behind_close_notify() {
    for how in [Close::Half, Close::Wait] {
        let (mut client, _server) = secured_pair();
        let _ = client.close(how);
        let _ = take(&mut client);
        feed(
            &mut client,
            &[
                23, 3, 3, 0, 30, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
                22, 23, 24, 25, 26, 27, 28, 29, 30,
            ],
        );
        let error = match how {
            Close::Half => client.read(&mut [0; 10]).map(drop),
            _ => client.close(how).map(drop),
        };
        assert_eq!(error.unwrap_err().code(), Code::Tls);
        assert!(client.output().is_empty());
    }
}

/// A session that was closed before it began is closed.
#[test]
fn closed_before_it_began() {
    let mut session = client(Level::Verify);
    let _ = session.close(Close::Send).unwrap();
    assert_eq!(session.start(Entry::Greeting, 0).unwrap_err().code(), Code::State);
}
