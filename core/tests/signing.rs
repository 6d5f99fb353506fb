//! A private key that is elsewhere: `start` says `WantSignature`, the program has the key sign, and the handshake goes
//! on as if the key were here.

mod common;
#[path = "common/peer.rs"]
mod peer;

use common::*;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256, RsaKeySize};
use rustls::SignatureScheme;
use smtptls::{
    ClientAuth, Code, Config, ConfigBuilder, Entry, Error, Level, Policy, Progress, Session,
    SignatureRequest, TlsVersion,
};

/// A leaf with this key, for a server or a client.
fn leaf_with(key: &KeyPair) -> Leaf {
    let params = CertificateParams::new(vec![HOST.to_string()]).unwrap();
    let certificate = params.signed_by(key, &authority().issuer).unwrap();
    Leaf { chain: certificate.pem(), key: key.serialize_pem(), der: certificate.der().to_vec() }
}

/// One of each kind of key: the name, the leaf, the algorithm by which a handshake of TLS 1.2 and of 1.3 is signed.
fn kinds() -> Vec<(&'static str, Leaf, &'static str)> {
    let rsa = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    vec![
        ("P-256", leaf_with(&KeyPair::generate().unwrap()), "ECDSA"),
        ("P-384", leaf_with(&KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap()), "ECDSA"),
        ("Ed25519", leaf_with(&KeyPair::generate_for(&PKCS_ED25519).unwrap()), "ED25519"),
        ("RSA", leaf_with(&rsa), "RSA-PSS"),
    ]
}

/// The process that has the key.
fn sign(leaf: &Leaf, request: &SignatureRequest) -> Vec<u8> {
    assert_eq!(request.certificate(), leaf.der);
    let scheme = SignatureScheme::from(request.scheme());
    peer::key(leaf).choose_scheme(&[scheme]).unwrap().sign(request.message()).unwrap()
}

fn elsewhere(leaf: &Leaf, change: impl FnOnce(&mut ConfigBuilder)) -> Config {
    let mut builder = Config::builder();
    builder.hostname(HOST).unwrap();
    builder.add_roots_pem(authority().pem.as_bytes()).unwrap();
    builder.add_certificate_pem(leaf.chain.as_bytes()).unwrap();
    change(&mut builder);
    builder.freeze().unwrap()
}

/// Starts a session, signs for it when it asks, and counts how often that was.
fn start(session: &mut Session, entry: Entry, leaf: Option<&Leaf>, asked: &mut usize) -> Result<bool, Error> {
    match session.start(entry, 0)? {
        Progress::Done(()) => Ok(true),
        Progress::WantSignature => {
            *asked += 1;
            // It waits, however often it is called.
            assert_eq!(session.start(entry, 0), Ok(Progress::WantSignature));
            let request = session.signature_request().unwrap().clone();
            session.set_signature(&sign(leaf.expect("nobody should sign"), &request)).unwrap();
            assert_eq!(session.signature_request(), None);
            Ok(false)
        }
        _ => Ok(false),
    }
}

/// Both to their end. How often the client and the server wanted a signature.
fn shake(
    client: (&mut Session, Option<&Leaf>),
    server: (&mut Session, Option<&Leaf>),
    entry: Entry,
    piece: usize,
) -> Result<(usize, usize), Error> {
    let (mut by_client, mut by_server) = (0, 0);
    let (mut c, mut s, mut answered) = (false, false, false);
    for _ in 0..1_000_000 {
        if !c {
            c = start(client.0, entry, client.1, &mut by_client)?;
            if c {
                let _ = client.0.flush()?;
            }
        }
        if !s {
            s = start(server.0, entry, server.1, &mut by_server)?;
        } else if entry == Entry::Greeting && !answered {
            // The client's EHLO inside TLS is for the server's program.
            answered = read(server.0, 1000)?.ends_with(b"\n");
            if answered {
                let _ = server.0.write(b"250 mx.example.test\r\n", false)?;
            }
        }
        let up = give(client.0, server.0, piece);
        let down = give(server.0, client.0, piece);
        if c && s && !up && !down {
            return Ok((by_client, by_server));
        }
    }
    panic!("they never came to an end");
}

fn converse(client: &mut Session, server: &mut Session) {
    let _ = client.write(b"NOOP\r\n", false).unwrap();
    give(client, server, usize::MAX);
    assert_eq!(read(server, 6).unwrap(), b"NOOP\r\n");
    let _ = server.write(b"250 Ok\r\n", false).unwrap();
    give(server, client, usize::MAX);
    assert_eq!(read(client, 8).unwrap(), b"250 Ok\r\n");
}

/// A server's key: versions x kinds of key x entries x pieces, each signed once; then as any other session.
#[test]
fn a_server_whose_key_is_elsewhere() {
    for (what, leaf, algorithm) in kinds() {
        for version in TlsVersion::ALL {
            let config = elsewhere(&leaf, |builder| _ = builder.max_version(*version));
            for (entry, piece) in
                [(Entry::Handshake, usize::MAX), (Entry::Greeting, usize::MAX), (Entry::Handshake, 1)]
            {
                let mut c = client(Level::Verify);
                let mut s = Session::server(&config, &Policy::new(Level::May));
                let asked = shake((&mut c, None), (&mut s, Some(&leaf)), entry, piece).unwrap();
                assert_eq!(asked, (0, 1), "{what} {version:?} {entry:?}");
                for session in [&c, &s] {
                    assert_eq!(session.info().unwrap().server_signature(), Some(algorithm), "{what}");
                }
                if entry == Entry::Handshake {
                    converse(&mut c, &mut s);
                }
            }
        }
    }
}

/// A HelloRetryRequest leaves before the question, and is not said again behind the answer (RFC 8446 section 4.1.4).
#[test]
fn a_hello_retry_request_is_said_once() {
    let leaf = authority().leaf(&[HOST]);
    let config = elsewhere(&leaf, |builder| _ = builder.groups("secp384r1").unwrap());
    let (mut c, mut s) = (client(Level::Verify), Session::server(&config, &Policy::new(Level::May)));
    let asked = shake((&mut c, None), (&mut s, Some(&leaf)), Entry::Handshake, usize::MAX).unwrap();
    assert_eq!(asked, (0, 1));
    assert_eq!(c.info().unwrap().group(), Some("secp384r1"));
    converse(&mut c, &mut s);
}

/// A client's key. Its hello left long before, and the second connection of rustls must make the same one.
#[test]
fn a_client_whose_key_is_elsewhere() {
    for (what, leaf, algorithm) in kinds() {
        for version in TlsVersion::ALL {
            for groups in ["X25519", "X25519MLKEM768:X25519", "P-384"] {
                for piece in [usize::MAX, 1] {
                    let own = authority().leaf(&[HOST]);
                    let mut server = Config::builder();
                    server.add_keypair_pem(own.chain.as_bytes(), own.key.as_bytes()).unwrap();
                    server.add_roots_pem(authority().pem.as_bytes()).unwrap();
                    server.client_auth(ClientAuth::Require, true).max_version(*version);
                    if groups != "P-384" {
                        // So that a HelloRetryRequest is among what is replayed.
                        server.groups("P-384:X25519").unwrap();
                    }
                    let server = server.freeze().unwrap();
                    let config = elsewhere(&leaf, |builder| {
                        builder.groups(&format!("{groups}:P-384")).unwrap();
                        builder.client_sessions(10);
                    });
                    if cfg!(not(feature = "aws-lc-rs")) && groups.contains("MLKEM") {
                        continue;
                    }
                    for _ in 0..2 {
                        let mut c = Session::client(&config, &Policy::new(Level::Verify), HOST);
                        let mut s = Session::server(&server, &Policy::new(Level::May));
                        let asked =
                            shake((&mut c, Some(&leaf)), (&mut s, None), Entry::Handshake, piece).unwrap();
                        assert_eq!(asked, (1, 0), "{what} {version:?}");
                        let info = s.info().unwrap();
                        assert_eq!(info.client_signature(), Some(algorithm), "{what}");
                        assert!(!info.resumed());
                        converse(&mut c, &mut s);
                    }
                }
            }
        }
    }
}

/// Nothing that depends on the signature leaves before it is there; what comes meanwhile waits; the answer is checked.
#[test]
fn while_the_signature_is_awaited() {
    let leaf = authority().leaf(&[HOST]);
    let config = elsewhere(&leaf, |_| {});
    let (mut c, mut s) = (client(Level::Verify), Session::server(&config, &Policy::new(Level::May)));
    assert_eq!(s.set_signature(b"x").unwrap_err().code(), Code::State);
    assert_eq!(s.start(Entry::Handshake, 0), Ok(Progress::WantInput));
    assert_eq!(s.set_signature(b"x").unwrap_err().code(), Code::State);
    let _ = c.start(Entry::Handshake, 0).unwrap();
    assert!(give(&mut c, &mut s, usize::MAX));
    assert_eq!(s.start(Entry::Handshake, 0), Ok(Progress::WantSignature));
    assert!(s.output().is_empty());
    let request = s.signature_request().unwrap().clone();
    assert_eq!((request.algorithm(), request.digest()), ("ECDSA", Some("SHA256")));
    assert!(request.message().windows(34).any(|part| part == b"TLS 1.3, server CertificateVerify\0"));

    let good = sign(&leaf, &request);
    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 1;
    for wrong in [&b""[..], b"rubbish", &bad, &[0x30; 5000]] {
        assert_eq!(s.set_signature(wrong).unwrap_err().code(), Code::KeyMismatch);
        assert_eq!(s.signature_request(), Some(&request));
    }
    // A middlebox's ChangeCipherSpec, as some clients send it early (RFC 8446 appendix D.4).
    feed(&mut s, &[20, 3, 3, 0, 1, 1]);
    s.set_signature(&good).unwrap();
    assert_eq!(s.set_signature(&good).unwrap_err().code(), Code::State);
    let asked = shake((&mut c, None), (&mut s, None), Entry::Handshake, usize::MAX).unwrap();
    assert_eq!(asked, (0, 0));
    converse(&mut c, &mut s);
}

/// The client leaves while the key's owner thinks.
#[test]
fn a_peer_that_leaves_meanwhile() {
    let leaf = authority().leaf(&[HOST]);
    let config = elsewhere(&leaf, |_| {});
    let (mut c, mut s) = (client(Level::Verify), Session::server(&config, &Policy::new(Level::May)));
    let _ = c.start(Entry::Handshake, 0).unwrap();
    give(&mut c, &mut s, usize::MAX);
    assert_eq!(s.start(Entry::Handshake, 0), Ok(Progress::WantSignature));
    s.feed(b"");
    let request = s.signature_request().unwrap().clone();
    s.set_signature(&sign(&leaf, &request)).unwrap();
    // The server's flight, for nobody.
    assert_eq!(s.start(Entry::Handshake, 0), Ok(Progress::WantOutput));
    take(&mut s);
    assert_eq!(s.start(Entry::Handshake, 0).unwrap_err().code(), Code::Eof);
}

/// Key pairs that are exchanged between question and answer are asked for anew, and nothing is signed with the wrong
/// key.
#[test]
fn pairs_that_are_exchanged_meanwhile() {
    let (old, new) = (authority().leaf(&[HOST]), authority().leaf(&[HOST]));
    let config = elsewhere(&old, |_| {});
    let (mut c, mut s) = (client(Level::Verify), Session::server(&config, &Policy::new(Level::May)));
    let _ = c.start(Entry::Handshake, 0).unwrap();
    give(&mut c, &mut s, usize::MAX);
    assert_eq!(s.start(Entry::Handshake, 0), Ok(Progress::WantSignature));
    let request = s.signature_request().unwrap().clone();
    s.set_signature(&sign(&old, &request)).unwrap();
    let mut builder = Config::builder();
    builder.add_certificate_pem(new.chain.as_bytes()).unwrap();
    config.replace_keypairs(&builder).unwrap();
    let asked = shake((&mut c, None), (&mut s, Some(&new)), Entry::Handshake, usize::MAX).unwrap();
    assert_eq!(asked, (0, 1));
    assert_eq!(c.info().unwrap().peer_certificate(0), Some(&new.der[..]));

    // And one that is here in their place needs nobody.
    let here = authority().leaf(&[HOST]);
    let mut builder = Config::builder();
    builder.add_keypair_pem(here.chain.as_bytes(), here.key.as_bytes()).unwrap();
    config.replace_keypairs(&builder).unwrap();
    let (mut c, mut s) = (client(Level::Verify), Session::server(&config, &Policy::new(Level::May)));
    let asked = shake((&mut c, None), (&mut s, None), Entry::Handshake, usize::MAX).unwrap();
    assert_eq!(asked, (0, 0));

    // A configuration that never had one makes its connections without the means.
    let mut builder = Config::builder();
    builder.add_certificate_pem(new.chain.as_bytes()).unwrap();
    assert_eq!(serving(&here).replace_keypairs(&builder).unwrap_err().code(), Code::State);
}

/// A resumed session is not signed.
#[test]
fn resumption_needs_no_signature() {
    let leaf = authority().leaf(&[HOST]);
    for version in TlsVersion::ALL {
        let config = elsewhere(&leaf, |builder| {
            builder.ticket_keys(&[&[7; 32]]).unwrap().max_version(*version);
        });
        let mut client = Config::builder();
        client.add_roots_pem(authority().pem.as_bytes()).unwrap().client_sessions(10);
        let client = client.freeze().unwrap();
        for expected in [(0, 1), (0, 0)] {
            let mut c = Session::client(&client, &Policy::new(Level::Verify), HOST);
            let mut s = Session::server(&config, &Policy::new(Level::May));
            let asked = shake((&mut c, None), (&mut s, Some(&leaf)), Entry::Handshake, usize::MAX).unwrap();
            assert_eq!(asked, expected, "{version:?}");
            assert_eq!(s.info().unwrap().resumed(), expected == (0, 0));
            converse(&mut c, &mut s);
        }
    }
}

/// Many handshakes wait at once, and are answered in another order: each has its own tape.
#[test]
fn many_wait_at_once() {
    let leaf = authority().leaf(&[HOST]);
    let config = elsewhere(&leaf, |_| {});
    let mut pairs: Vec<(Session, Session)> = (0..20)
        .map(|_| (client(Level::Verify), Session::server(&config, &Policy::new(Level::May))))
        .collect();
    for (c, s) in &mut pairs {
        let _ = c.start(Entry::Handshake, 0).unwrap();
        give(c, s, usize::MAX);
        assert_eq!(s.start(Entry::Handshake, 0), Ok(Progress::WantSignature));
    }
    let messages: std::collections::HashSet<_> =
        pairs.iter().map(|(_, s)| s.signature_request().unwrap().message().to_vec()).collect();
    assert_eq!(messages.len(), 20, "no two handshakes are alike");
    for (c, s) in pairs.iter_mut().rev() {
        let asked = shake((c, None), (s, Some(&leaf)), Entry::Handshake, usize::MAX).unwrap();
        assert_eq!(asked, (0, 1));
        converse(c, s);
    }
}

/// What is no certificate, or has a key that cannot sign, is told at once, with its source.
#[test]
fn certificates_that_cannot_be_used() {
    let error = Config::builder().add_certificate_pem(b"rubbish").map(drop).unwrap_err();
    assert_eq!(error.code(), Code::CertificateParse);
    let error = Config::builder().add_certificate_file("/nonexistent/chain.pem").map(drop).unwrap_err();
    assert_eq!(error.code(), Code::File);
    assert!(error.message().contains("/nonexistent/chain.pem"), "{}", error.message());
}

/// A ticket that becomes good between question and answer: the handshake comes out as a resumption, and what goes wrong
/// in it later is an error and no question.
#[test]
fn a_question_that_is_not_asked_again() {
    let leaf = authority().leaf(&[HOST]);
    let config = elsewhere(&leaf, |builder| _ = builder.ticket_keys(&[&[7; 32]]).unwrap());
    let mut client = Config::builder();
    client.add_roots_pem(authority().pem.as_bytes()).unwrap();
    client.client_sessions(10);
    let client = client.freeze().unwrap();
    let pair = || {
        let c = Session::client(&client, &Policy::new(Level::Verify), HOST);
        (c, Session::server(&config, &Policy::new(Level::May)))
    };
    let (mut c, mut s) = pair();
    shake((&mut c, None), (&mut s, Some(&leaf)), Entry::Handshake, usize::MAX).unwrap();
    converse(&mut c, &mut s);
    config.set_ticket_keys(&[&[8; 32]]).unwrap();

    let (mut c, mut s) = pair();
    let _ = c.start(Entry::Handshake, 0).unwrap();
    give(&mut c, &mut s, usize::MAX);
    assert_eq!(s.start(Entry::Handshake, 0), Ok(Progress::WantSignature));
    config.set_ticket_keys(&[&[8; 32], &[7; 32]]).unwrap();
    let request = s.signature_request().unwrap().clone();
    s.set_signature(&sign(&leaf, &request)).unwrap();
    assert_eq!(s.start(Entry::Handshake, 0), Ok(Progress::WantOutput));
    // In place of Finished.
    feed(&mut s, &[&[0x17, 3, 3, 0, 32][..], &[0; 32]].concat());
    let error = loop {
        take(&mut s);
        match s.start(Entry::Handshake, 0) {
            Ok(Progress::WantOutput) => {}
            other => break other.unwrap_err(),
        }
    };
    assert_eq!(error.code(), Code::Handshake);
}
