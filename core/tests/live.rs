//! What changes on a live configuration: key pairs and ticket keys.

mod common;

use std::path::Path;

use common::*;
use smtptls::{Code, Config, Entry, FingerprintOf, Level, Policy, Progress, Session, TlsVersion};

/// A client that keeps sessions.
fn keeping() -> Config {
    let mut builder = Config::builder();
    builder.add_roots_pem(authority().pem.as_bytes()).unwrap();
    builder.client_sessions(8);
    builder.freeze().unwrap()
}

/// One session, with what comes behind its handshake: whether it was resumed, and the server's certificate.
fn go(client: &Config, server: &Config) -> (bool, String) {
    let mut c = Session::client(client, &Policy::new(Level::Verify), HOST);
    let mut s = Session::server(server, &Policy::new(Level::May));
    let (up, down) = start_both(&mut c, &mut s, Entry::Handshake, usize::MAX);
    up.unwrap();
    down.unwrap();
    assert_eq!(s.write(b"250 hello\r\n", false).unwrap(), Progress::Done(11));
    while give(&mut s, &mut c, usize::MAX) {}
    assert_eq!(read(&mut c, 11).unwrap(), b"250 hello\r\n");
    let (ours, theirs) = (c.info().unwrap(), s.info().unwrap());
    assert_eq!(ours.resumed(), theirs.resumed());
    assert_eq!(ours.channel_binding(), theirs.channel_binding());
    let digest = smtptls::Digest::Sha256;
    (ours.resumed(), ours.peer_fingerprint(FingerprintOf::Certificate, digest).unwrap())
}

fn digest(leaf: &Leaf) -> String {
    FingerprintOf::Certificate.fingerprint(smtptls::Digest::Sha256, &leaf.der).unwrap()
}

fn write(folder: &Path, leaf: &Leaf) {
    std::fs::write(folder.join("chain.pem"), &leaf.chain).unwrap();
    std::fs::write(folder.join("key.pem"), &leaf.key).unwrap();
}

/// Renewed files are seen by sessions that begin afterwards; a bad one leaves the old pair serving and says why.
#[test]
fn key_pairs_are_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (authority().leaf(&[HOST]), authority().leaf(&[HOST]));
    write(folder.path(), &first);
    let mut builder = Config::builder();
    builder.add_keypair_file(folder.path().join("chain.pem"), folder.path().join("key.pem")).unwrap();
    let config = builder.freeze().unwrap();
    let client = trusting();
    assert_eq!(go(&client, &config).1, digest(&first));
    let mut begun = Session::server(&config, &Policy::new(Level::May));

    write(folder.path(), &second);
    assert_eq!(go(&client, &config).1, digest(&first), "not before it is asked for");
    // A session of before may be on its way; it is served too.
    let _ = begun.start(Entry::Greeting, 0).unwrap();
    config.reload_keypairs().unwrap();
    assert_eq!(go(&client, &config).1, digest(&second));

    std::fs::write(folder.path().join("key.pem"), &first.key).unwrap();
    let error = config.reload_keypairs().unwrap_err();
    assert_eq!(error.code(), Code::KeyMismatch);
    assert!(error.message().contains("key.pem"), "{error}");
    assert_eq!(go(&client, &config).1, digest(&second));
    std::fs::remove_file(folder.path().join("chain.pem")).unwrap();
    assert_eq!(config.reload_keypairs().unwrap_err().os(), Some(2));
    assert_eq!(go(&client, &config).1, digest(&second));
}

/// Pairs from memory, for a program that reads no files any more; nothing that is bad, or nothing at all, is taken.
#[test]
fn key_pairs_are_exchanged() {
    let (first, second) = (authority().leaf(&[HOST]), authority().leaf(&[HOST]));
    let config = serving(&first);
    config.reload_keypairs().unwrap();
    let client = trusting();
    assert_eq!(go(&client, &config).1, digest(&first));
    let mut next = Config::builder();
    assert_eq!(config.replace_keypairs(&next).unwrap_err().code(), Code::NoKeypair);
    next.add_keypair_pem(second.chain.as_bytes(), second.key.as_bytes()).unwrap();
    config.replace_keypairs(&next).unwrap();
    assert_eq!(go(&client, &config).1, digest(&second));
    let mut bad = Config::builder();
    bad.add_keypair_pem(first.chain.as_bytes(), first.key.as_bytes()).unwrap();
    assert!(bad.add_keypair_pem(first.chain.as_bytes(), second.key.as_bytes()).is_err());
    assert_eq!(config.replace_keypairs(&bad).unwrap_err().code(), Code::KeyMismatch);
    assert_eq!(go(&client, &config).1, digest(&second));
    // A configuration without any gets its first, and offers STARTTLS from then on.
    let bare = Config::builder().freeze().unwrap();
    assert!(!bare.has_keypair());
    bare.replace_keypairs(&next).unwrap();
    assert!(bare.has_keypair());
    assert_eq!(go(&client, &bare).1, digest(&second));
}

fn server(leaf: &Leaf, version: TlsVersion, keys: &[&[u8]], service: &str) -> Config {
    let mut builder = Config::builder();
    builder.add_keypair_pem(leaf.chain.as_bytes(), leaf.key.as_bytes()).unwrap();
    builder.service(service).ticket_keys(keys).unwrap().max_version(version);
    builder.freeze().unwrap()
}

const OLD: &[u8] = &[1; 32];
const NEW: &[u8] = &[2; 32];
const NEXT: &[u8] = &[3; 32];

/// Servers with the same keys resume each other's sessions, and after rotation those of the key before.
#[test]
fn tickets_and_their_keys() {
    let leaf = authority().leaf(&[HOST]);
    for version in TlsVersion::ALL {
        let (one, two) = (server(&leaf, *version, &[OLD], "smtp"), server(&leaf, *version, &[OLD], "smtp"));
        let client = keeping();
        assert!(!go(&client, &one).0);
        assert!(go(&client, &two).0, "{version:?}: the same keys");
        assert!(go(&client, &one).0, "{version:?}: the ticket of a resumed session");
        two.set_ticket_keys(&[NEW, OLD]).unwrap();
        assert!(go(&client, &two).0, "{version:?}: the old key still opens");
        assert!(!go(&client, &one).0, "{version:?}: its new ticket is not for those that have not rotated");
        one.set_ticket_keys(&[NEW, OLD]).unwrap();
        assert!(go(&client, &two).0);
        for server in [&one, &two] {
            server.set_ticket_keys(&[NEXT, NEW]).unwrap();
        }
        assert!(go(&client, &one).0);
        for server in [&one, &two] {
            server.set_ticket_keys(&[OLD]).unwrap();
        }
        assert!(!go(&client, &one).0, "{version:?}: the key of its ticket is gone");
        one.set_ticket_keys(&[]).unwrap();
        assert!(!go(&client, &one).0);
        assert!(!go(&client, &one).0, "{version:?}: without keys there are no tickets");
    }
}

/// A ticket of one service is nothing to another with the same keys; nor one whose time is over, or that was changed.
#[test]
fn tickets_of_others() {
    let leaf = authority().leaf(&[HOST]);
    for version in TlsVersion::ALL {
        let (smtp, other) =
            (server(&leaf, *version, &[OLD], "smtp"), server(&leaf, *version, &[OLD], "submission"));
        let client = keeping();
        go(&client, &smtp);
        assert!(!go(&client, &other).0, "{version:?}");
        let mut builder = Config::builder();
        builder.add_keypair_pem(leaf.chain.as_bytes(), leaf.key.as_bytes()).unwrap();
        builder.ticket_keys(&[OLD]).unwrap().ticket_lifetime(0).max_version(*version);
        let brief = builder.freeze().unwrap();
        let client = keeping();
        go(&client, &brief);
        assert!(!go(&client, &brief).0, "{version:?}: over at once");
    }
}

/// How many tickets, at TLS 1.3.
#[test]
fn number_of_tickets() {
    let leaf = authority().leaf(&[HOST]);
    for (count, sessions) in [(0, 0), (1, 1), (2, 2), (9, 2)] {
        let mut builder = Config::builder();
        builder.add_keypair_pem(leaf.chain.as_bytes(), leaf.key.as_bytes()).unwrap();
        builder.ticket_keys(&[OLD]).unwrap().tickets(count);
        let gives = builder.freeze().unwrap();
        let takes = server(&leaf, TlsVersion::Tls13, &[OLD], "smtp");
        takes.set_ticket_keys(&[NEW, OLD]).unwrap();
        let client = keeping();
        go(&client, &gives);
        // Those that are given now fit nobody else.
        takes.set_ticket_keys(&[OLD]).unwrap();
        let mut none = Config::builder();
        none.add_keypair_pem(leaf.chain.as_bytes(), leaf.key.as_bytes()).unwrap();
        none.ticket_keys(&[OLD]).unwrap().tickets(0);
        let none = none.freeze().unwrap();
        let resumed = (0..4).filter(|_| go(&client, &none).0).count();
        assert_eq!(resumed, sessions, "{count}");
    }
}

/// Two hosts with one file, rotated on one of them first; and after two rotations an old ticket is dead.
#[test]
fn keys_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tickets");
    let key = |octet: u8| format!("{octet:02x}").repeat(32);
    let write = |current: u8, next: u8, previous: Option<u8>| {
        let previous = previous.map(|octet| format!("previous {}\n", key(octet))).unwrap_or_default();
        std::fs::write(&path, format!("current {}\nnext {}\n{previous}", key(current), key(next))).unwrap();
    };
    let leaf = authority().leaf(&[HOST]);
    let host = || {
        let mut builder = Config::builder();
        builder.add_keypair_pem(leaf.chain.as_bytes(), leaf.key.as_bytes()).unwrap();
        builder.ticket_key_file(&path).unwrap();
        builder.freeze().unwrap()
    };
    write(1, 2, None);
    let (one, two) = (host(), host());
    let (client, still) = (keeping(), keeping());
    assert!(!go(&client, &one).0 && !go(&still, &one).0);
    assert!(go(&client, &two).0);
    write(2, 3, Some(1));
    one.reload_ticket_keys().unwrap();
    assert!(go(&client, &one).0, "the previous key still opens");
    assert!(go(&client, &two).0, "the next key opens before its time");
    write(3, 4, Some(2));
    one.reload_ticket_keys().unwrap();
    assert!(!go(&still, &one).0, "two rotations end a ticket");
    std::fs::write(&path, "current 12\n").unwrap();
    let error = one.reload_ticket_keys().unwrap_err();
    assert_eq!(error.code(), Code::KeyParse);
    assert!(error.message().contains("tickets: line 1"), "{error}");
    assert!(go(&still, &one).0, "the old keys stay");
    assert_eq!(server_config().reload_ticket_keys().unwrap_err().code(), Code::State);
    let mut builder = Config::builder();
    assert_eq!(
        builder.ticket_key_file(folder.path().join("none")).err().map(|error| error.code()),
        Some(Code::File)
    );
    assert!(builder.freeze().is_err());
}

#[test]
fn keys_of_another_length() {
    for key in [&[][..], &[0; 31], &[0; 33], &[0; 64]] {
        let mut builder = Config::builder();
        assert_eq!(builder.ticket_keys(&[OLD, key]).err().map(|error| error.code()), Some(Code::Argument));
        assert_eq!(builder.freeze().err().map(|error| error.code()), Some(Code::Argument));
        let config = server_config();
        assert_eq!(config.set_ticket_keys(&[key]).unwrap_err().code(), Code::Argument);
    }
}
