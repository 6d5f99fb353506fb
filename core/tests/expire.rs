//! A session that carries no clock is told that the time allowed ran out: what it says to the peer, and what follows.

mod common;

use common::*;
use smtptls::{Action, Close, Code, Entry, Level, Progress};

/// RFC 5321 sections 3.8 and 4.5.3.2.7: a client from which a command was awaited is told.
#[test]
fn a_silent_client_gets_421() {
    for level in [Level::None, Level::May, Level::Encrypt] {
        let mut session = server(level);
        assert_eq!(session.start(Entry::Greeting, 0), Ok(Progress::WantOutput));
        take(&mut session);
        assert_eq!(session.start(Entry::Greeting, 0), Ok(Progress::WantInput));
        let error = session.expire();
        assert_eq!((error.code(), error.action()), (Code::Timeout, Action::Fail));
        assert!(error.message().contains("waiting for a command"), "{error}");
        assert_eq!(take(&mut session), b"421 4.4.2 Timeout exceeded, closing connection\r\n");
        // It is final, and once is enough.
        assert_eq!(session.start(Entry::Greeting, 0), Err(error.clone()));
        assert_eq!(session.expire(), error);
        assert!(session.output().is_empty() && session.error() == Some(&error));
    }
}

/// The rest of what it had to say comes first.
#[test]
fn answers_that_were_not_fetched_stay() {
    let mut session = server(Level::May);
    assert_eq!(session.start(Entry::Greeting, 0), Ok(Progress::WantOutput));
    assert_eq!(session.expire().code(), Code::Timeout);
    let said = String::from_utf8(take(&mut session)).unwrap();
    assert!(
        said.starts_with("220 ") && said.ends_with("\r\n421 4.4.2 Timeout exceeded, closing connection\r\n")
    );
}

/// A client, and whoever is in the handshake, says nothing more; what may be done next is as after a connection that
/// was lost.
#[test]
fn others_fall_silent() {
    for (level, action) in [(Level::May, Action::NextHost), (Level::Verify, Action::NextHost)] {
        let mut session = client(level);
        assert_eq!(session.start(Entry::Greeting, 0), Ok(Progress::WantInput));
        let error = session.expire();
        assert_eq!(
            (error.code(), error.action(), error.enhanced_status()),
            (Code::Timeout, action, Some("4.4.2"))
        );
        assert!(session.output().is_empty());
    }
    let mut session = client(Level::May);
    assert_eq!(session.start(Entry::Handshake, 0), Ok(Progress::WantOutput));
    take(&mut session);
    let error = session.expire();
    assert_eq!((error.code(), error.action()), (Code::Timeout, Action::Reconnect));
    assert!(error.message().contains("in the TLS handshake") && session.output().is_empty());
    let mut session = server(Level::May);
    assert_eq!(session.start(Entry::Handshake, 0), Ok(Progress::WantInput));
    assert_eq!(session.expire().code(), Code::Timeout);
    assert!(session.output().is_empty());
}

/// After `start` the program decides: the session is as it was, and so is one that is closed or goes on in plaintext.
#[test]
fn elsewhere_the_session_is_as_it_was() {
    let (mut c, mut s) = secured_pair();
    for session in [&mut c, &mut s] {
        assert_eq!(session.expire().code(), Code::Timeout);
        assert!(session.error().is_none() && session.is_tls());
    }
    assert_eq!(s.write(b"421 4.4.2 bye\r\n", false), Ok(Progress::Done(15)));
    assert_eq!(s.close(Close::Send), Ok(Progress::WantOutput));
    while give(&mut s, &mut c, usize::MAX) {}
    assert_eq!(read(&mut c, 100).unwrap(), b"421 4.4.2 bye\r\n");
    assert_eq!(s.close(Close::Send), Ok(Progress::Done(())));
    assert_eq!(s.expire().code(), Code::Timeout);
    assert!(s.error().is_none());

    let mut session = server(Level::May);
    let _ = session.start(Entry::Greeting, 0).unwrap();
    take(&mut session);
    feed(&mut session, b"MAIL FROM:<a@b.test>\r\n");
    let error = session.start(Entry::Greeting, 0).unwrap_err();
    assert_eq!(error.action(), Action::Continue);
    assert_eq!(session.expire(), error);
    assert_eq!(session.leftover(), b"MAIL FROM:<a@b.test>\r\n");
}

/// A server that answers 554 to all but QUIT does not wait for ever either, and says so inside TLS.
#[test]
fn refusing_ends_with_421() {
    let (mut c, mut s) = secured_pair();
    assert_eq!(s.refuse(), Ok(Progress::WantInput));
    assert_eq!(s.expire().code(), Code::Timeout);
    while give(&mut s, &mut c, usize::MAX) {}
    assert_eq!(read(&mut c, 200).unwrap(), b"421 4.4.2 Timeout exceeded, closing connection\r\n");
    assert_eq!(s.refuse().map_err(|error| error.code()), Ok(Progress::WantOutput));
}
