//! SEC-12: the peer goes away behind each octet of a whole session in memory: never a success with less than the whole, the
//! right phase in the error, nothing in plaintext behind STARTTLS, and no part of a record for the program.

mod common;

use common::*;
use smtptls::{
    Action, Close, Code, Config, Entry, Error, Level, Policy, Progress, Role, Session, TlsVersion,
};

const SAID: [&[u8]; 3] = [b"MAIL FROM:<a@b.test>\r\n", b"RCPT TO:<c@d.test>\r\n", b"DATA\r\n"];

/// What one side saw of a session whose peer went away, or did not.
#[derive(Debug)]
struct Outcome {
    start: Result<(), Error>,
    /// What it read after `start`, and how that ended: nothing after close_notify, else what `is_truncated` says.
    heard: Vec<u8>,
    ended: Option<bool>,
    /// What it sent from the beginning, and how much of what was for it came.
    sent: Vec<u8>,
    came: usize,
    /// More was to come.
    cut: bool,
}

fn configs(newest: TlsVersion) -> (Config, Config) {
    let leaf = authority().leaf(&[HOST]);
    let (mut ours, mut theirs) = (Config::builder(), Config::builder());
    ours.add_roots_pem(authority().pem.as_bytes()).unwrap().max_version(newest);
    theirs.hostname(HOST).unwrap().add_keypair_pem(leaf.chain.as_bytes(), leaf.key.as_bytes()).unwrap();
    // Tickets too.
    theirs.ticket_keys(&[&[7; 32]]).unwrap();
    (ours.freeze().unwrap(), theirs.freeze().unwrap())
}

/// One session from the greeting on; what comes to `role` ends behind so many octets.
fn session((ours, theirs): &(Config, Config), role: Role, most: usize) -> Outcome {
    let client = Session::client(ours, &Policy::new(Level::Verify), HOST);
    let server = Session::server(theirs, &Policy::new(Level::Encrypt));
    let (mut near, mut far) = if role == Role::Client { (client, server) } else { (server, client) };
    let (mut start, mut far_up, mut spoken, mut closed) = (None, false, false, false);
    let mut outcome =
        Outcome { start: Ok(()), heard: Vec::new(), ended: None, sent: Vec::new(), came: 0, cut: false };
    let mut idle = 0;
    while idle < 3 {
        // The program at the near end.
        if start.is_none() {
            start = match near.start(Entry::Greeting, 0) {
                Ok(Progress::Done(())) => Some(Ok(())),
                Ok(_) => None,
                Err(error) => Some(Err(error)),
            };
        }
        if start == Some(Ok(())) {
            let mut buffer = [0; 7];
            while outcome.ended.is_none() {
                match near.read(&mut buffer).unwrap() {
                    Progress::Done(0) => outcome.ended = Some(near.is_truncated()),
                    Progress::Done(count) => outcome.heard.extend_from_slice(&buffer[..count]),
                    _ => break,
                }
            }
            // A server answers the EHLO inside TLS, for which the client waits; a client asks.
            let line: &[u8] = if role == Role::Server { b"250 ok\r\n" } else { b"NOOP\r\n" };
            if !spoken && (role == Role::Client || outcome.heard.ends_with(b"\r\n")) {
                spoken = true;
                let _ = near.write(line, false).unwrap();
            }
        }
        // The one at the far end, who knows of nothing.
        if !far_up {
            far_up = far.start(Entry::Greeting, 0).is_ok_and(|progress| progress == Progress::Done(()));
        } else if !closed {
            let mut buffer = [0; 1000];
            let asked = matches!(far.read(&mut buffer), Ok(Progress::Done(1..)));
            if asked && buffer.starts_with(b"EHLO") {
                let _ = far.write(b"250 ok\r\n", false).unwrap();
            } else if asked || role == Role::Server {
                for line in SAID {
                    let _ = far.write(line, false).unwrap();
                }
                let _ = far.close(Close::Send).unwrap();
                closed = true;
            }
        }
        let output = take(&mut near);
        idle = if output.is_empty() && far.output().is_empty() { idle + 1 } else { 0 };
        outcome.sent.extend_from_slice(&output);
        if !output.is_empty() {
            feed(&mut far, &output);
        }
        let count = far.output().len().min(most - outcome.came);
        outcome.cut |= count < far.output().len();
        if count > 0 {
            let bytes = take(&mut far);
            feed(&mut near, &bytes[..count]);
            outcome.came += count;
        }
        if outcome.cut {
            far.sent(usize::MAX);
            near.feed(b"");
        }
    }
    outcome.start = start.expect("it knows how it ended");
    outcome
}

/// Behind STARTTLS of a client and behind the second 220 of a server there are records only (RFC 8446 section 5.1).
fn only_records(sent: &[u8], role: Role) -> bool {
    let text = String::from_utf8_lossy(sent);
    let begins = match role {
        Role::Client => text.find("STARTTLS\r\n").map(|at| at + 10),
        Role::Server => text.find("220 2.0.0 ").and_then(|at| Some(at + text[at..].find('\n')? + 1)),
    };
    // The text before it is ASCII, so its places are those of the octets.
    let mut rest = begins.map_or(&[][..], |at| &sent[at..]);
    while let [kind, 3, _, high, low, more @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if !(20..=23).contains(kind) || more.len() < length {
            return false;
        }
        rest = &more[length..];
    }
    rest.is_empty()
}

/// Where the session was: the words of its error.
fn phase(outcome: &Outcome) -> &'static str {
    let Err(error) = &outcome.start else { return "TLS" };
    let phases = [
        "greeting",
        "answered EHLO",
        "answered STARTTLS",
        "TLS handshake",
        "EHLO inside TLS",
        "before STARTTLS",
    ];
    let mut found = phases.into_iter().filter(|words| {
        error.message().ends_with(words) || error.message().contains(&format!("{words} was"))
    });
    found.next_back().unwrap_or_else(|| panic!("{error}"))
}

fn sweep(role: Role, newest: TlsVersion, phases: &[&str]) {
    let configs = configs(newest);
    let (mut seen, mut most) = (Vec::new(), 0);
    let whole = SAID.concat();
    loop {
        let outcome = session(&configs, role, most);
        assert!(only_records(&outcome.sent, role), "{most}: {outcome:?}");
        let mut heard = &outcome.heard[..];
        if role == Role::Server {
            // The EHLO inside TLS.
            heard = heard.iter().position(|octet| *octet == b'\n').map_or(&[][..], |end| &heard[end + 1..]);
        }
        let lines = SAID.iter().scan(Vec::new(), |said, line| {
            said.extend_from_slice(line);
            Some(said.clone())
        });
        assert!(
            heard.is_empty() || lines.into_iter().any(|said| said == heard),
            "{most}: part of a record: {}",
            String::from_utf8_lossy(heard)
        );
        // A signature is not always as long, and so not each session of those octets is as far.
        if !seen.contains(&phase(&outcome)) {
            seen.push(phase(&outcome));
        }
        if !outcome.cut {
            assert_eq!((outcome.start, outcome.ended), (Ok(()), Some(false)));
            assert_eq!(heard, whole);
            break;
        }
        match outcome.start {
            Ok(()) => assert_eq!(outcome.ended, Some(true), "{most}"),
            Err(error) => {
                let inside = error.message().ends_with("inside TLS");
                assert_eq!(error.code(), if inside { Code::Truncated } else { Code::Eof }, "{most}");
                let action = if role == Role::Client { Action::NextHost } else { Action::Fail };
                assert_eq!(error.action(), action, "{most}: {error}");
            }
        }
        most += 1;
    }
    assert_eq!(seen, phases, "each phase, and in this order");
    assert!(most > 400, "{most}");
}

const OF_A_CLIENT: &[&str] =
    &["greeting", "answered EHLO", "answered STARTTLS", "TLS handshake", "EHLO inside TLS", "TLS"];
const OF_A_SERVER: &[&str] = &["before STARTTLS", "TLS handshake", "TLS"];

#[test]
fn a_client_s_server_with_tls_1_2() {
    sweep(Role::Client, TlsVersion::Tls12, OF_A_CLIENT);
}

#[test]
fn a_client_s_server_with_tls_1_3() {
    sweep(Role::Client, TlsVersion::Tls13, OF_A_CLIENT);
}

#[test]
fn a_server_s_client_with_tls_1_2() {
    sweep(Role::Server, TlsVersion::Tls12, OF_A_SERVER);
}

#[test]
fn a_server_s_client_with_tls_1_3() {
    sweep(Role::Server, TlsVersion::Tls13, OF_A_SERVER);
}
