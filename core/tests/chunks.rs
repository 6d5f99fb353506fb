//! However the bytes are cut, the same happens: whole dialogues, TLS included, in one piece, byte by byte and at
//! random places.

mod common;

use common::*;
use proptest::prelude::*;
use smtptls::{Close, Code, Entry, Level, Progress, Session};

/// What a whole conversation comes to: each thing that a program sees, on both sides.
#[derive(Debug, PartialEq)]
struct Story {
    reply: String,
    summary: String,
    server_heard: Vec<u8>,
    client_heard: Vec<u8>,
    ends: (bool, bool),
    leftover: Vec<u8>,
}

/// A conversation from the greeting to the last close, its bytes moved in pieces of the sizes that `cut` gives.
fn converse(mut cut: impl FnMut() -> usize) -> Story {
    let (mut c, mut s) = (client(Level::Verify), server(Level::Encrypt));
    let (mut up, mut down) = (Progress::WantInput, Progress::WantInput);
    let mut command = Vec::new();
    while up != Progress::Done(()) {
        up = c.start(Entry::Greeting, 0).unwrap();
        give(&mut c, &mut s, cut());
        if down != Progress::Done(()) {
            down = s.start(Entry::Greeting, 0).unwrap();
        } else if !command.ends_with(b"\n") {
            command.extend(read(&mut s, 1000).unwrap());
            if command.ends_with(b"\n") {
                let _ = s.write(b"250-mx.example.test\r\n250 SIZE 1000\r\n", false).unwrap();
            }
        }
        give(&mut s, &mut c, cut());
    }
    let mail = b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n".repeat(900);
    let answers = b"250 2.1.0 Ok\r\n".repeat(900);
    let (mut server_heard, mut client_heard) = (command, Vec::new());
    let (mut to_say, mut to_answer) = (&mail[..], &answers[..]);
    while server_heard.len() < mail.len() + 26 || client_heard.len() < answers.len() {
        if let Progress::Done(count) = c.write(to_say, false).unwrap() {
            to_say = &to_say[count..];
        }
        if let Progress::Done(count) = s.write(to_answer, false).unwrap() {
            to_answer = &to_answer[count..];
        }
        give(&mut c, &mut s, cut());
        give(&mut s, &mut c, cut());
        server_heard.extend(read(&mut s, usize::MAX).unwrap());
        client_heard.extend(read(&mut c, usize::MAX).unwrap());
    }
    let _ = c.close(Close::Half).unwrap();
    while give(&mut c, &mut s, cut()) {}
    for piece in b"plaintext behind close_notify".chunks(cut()) {
        feed(&mut s, piece);
    }
    let ends = (s.read(&mut [0; 9]) == Ok(Progress::Done(0)), s.is_truncated());
    Story {
        reply: c.reply().unwrap().to_string(),
        summary: c.info().unwrap().summary(),
        server_heard,
        client_heard,
        ends,
        leftover: s.leftover().to_vec(),
    }
}

#[test]
fn byte_by_byte_is_as_in_one_piece() {
    let whole = converse(|| usize::MAX);
    assert_eq!(whole.ends, (true, false));
    assert_eq!(whole.leftover, b"plaintext behind close_notify");
    assert_eq!(converse(|| 1), whole);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn cut_at_random_is_as_in_one_piece(cuts in prop::collection::vec(1usize..3000, 1..50)) {
        let mut cuts = cuts.into_iter().cycle();
        let whole = converse(|| usize::MAX);
        prop_assert_eq!(converse(move || cuts.next().unwrap()), whole);
    }

    /// What a peer says in plaintext ends the same way however each line is cut, for good replies and bad ones.
    #[test]
    fn replies_cut_at_random(
        script in prop::collection::vec("(220|250|421|454|999|2x0)[- ][a-zA-Z ]{0,9}(\r\n|\n|\0\r\n)", 1..6),
        cuts in prop::collection::vec(1usize..9, 1..20),
    ) {
        let mut cuts = cuts.into_iter().cycle();
        let whole = play(&script, || usize::MAX);
        prop_assert_eq!(&play(&script, || 1), &whole);
        prop_assert_eq!(&play(&script, move || cuts.next().unwrap()), &whole);
    }

    /// SEC-8: random bytes never panic, never hang, and never bring a session up.
    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..3000), at in 0usize..3) {
        let entry = Entry::ALL[at];
        for mut session in [client(Level::May), server(Level::May)] {
            let _ = session.start(entry, 0);
            take(&mut session);
            feed(&mut session, &bytes);
            session.feed(b"");
            let mut result = session.start(entry, 0);
            while result == Ok(Progress::WantOutput) {
                take(&mut session);
                result = session.start(entry, 0);
            }
            prop_assert!(result.is_err());
            prop_assert!(session.read(&mut [0; 10]).is_err());
        }
    }
}

/// Each line of the script in pieces, one after each wish for input; what was sent, and how it ended.
fn play(script: &[String], mut cut: impl FnMut() -> usize) -> (Vec<u8>, String) {
    let mut session: Session = client(Level::May);
    let mut sent = Vec::new();
    let mut lines = script.iter().map(|line| line.as_bytes());
    let mut line = lines.next().unwrap_or_default();
    loop {
        let result = session.start(Entry::Greeting, 0);
        sent.extend(take(&mut session));
        match result {
            Ok(Progress::WantOutput) => {}
            Ok(Progress::WantInput) => {
                let (piece, rest) = line.split_at(cut().min(line.len()));
                // An empty piece, behind the last line, is the end of input.
                session.feed(piece);
                line = if rest.is_empty() { lines.next().unwrap_or_default() } else { rest };
            }
            Ok(other) => panic!("{other:?}"),
            Err(error) => {
                assert_ne!(error.code(), Code::Internal, "{error}");
                // A ClientHello is random.
                let text = sent.iter().position(|byte| *byte == 0x16).unwrap_or(sent.len());
                return (sent[..text].to_vec(), error.code().name().to_string());
            }
        }
    }
}
