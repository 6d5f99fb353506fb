//! A server's key pairs, staples and application protocols; and the switches of its dialogue.

mod common;
#[path = "common/peer.rs"]
mod peer;

use std::sync::Arc;

use common::*;
use pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};
use smtptls::{Code, Config, ConfigBuilder, Entry, Level, Policy, Progress, Protocol, Session};

/// What a rustls client was shown.
#[derive(Debug, Default)]
struct Shown(std::sync::Mutex<(Vec<u8>, Vec<u8>)>);

impl ServerCertVerifier for Shown {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        staple: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.0.lock().unwrap() = (leaf.to_vec(), staple.to_vec());
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        peer::provider().signature_verification_algorithms.supported_schemes()
    }
}

/// A rustls client with these protocols asks for this name: the certificate and the staple, or the server's error.
fn ask(config: &Config, name: &str, alpn: &[&[u8]]) -> Result<(Vec<u8>, Vec<u8>), smtptls::Error> {
    let shown = Arc::new(Shown::default());
    let mut client = ClientConfig::builder_with_provider(Arc::new(peer::provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(shown.clone())
        .with_no_client_auth();
    client.alpn_protocols = alpn.iter().map(|one| one.to_vec()).collect();
    let name = ServerName::try_from(name.to_string()).unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    let mut server = Session::server(config, &Policy::new(Level::May));
    let _ = server.start(Entry::Handshake, 0)?;
    for _ in 0..10 {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        if !bytes.is_empty() {
            feed(&mut server, &bytes);
        }
        if server.start(Entry::Handshake, 0)? == Progress::Done(()) {
            break;
        }
        let output = take(&mut server);
        let mut rest = &output[..];
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets().unwrap();
        }
    }
    let agreed = client.alpn_protocol().map(<[u8]>::to_vec);
    assert_eq!(server.info().unwrap().alpn().map(<[u8]>::to_vec), agreed);
    let shown = shown.0.lock().unwrap();
    Ok(shown.clone())
}

fn add(builder: &mut ConfigBuilder, leaf: &Leaf) {
    builder.add_keypair_pem(leaf.chain.as_bytes(), leaf.key.as_bytes()).unwrap();
}

/// Names that a pair is given besides its own, and `.example.com` for any below; the nearest fits best.
#[test]
fn names_of_key_pairs() {
    let leaves: Vec<_> = ["first.test", "second.test", "third.test", "*.wild.test"]
        .map(|name| authority().leaf(&[name]))
        .into();
    let mut builder = Config::builder();
    add(&mut builder, &leaves[0]);
    add(&mut builder, &leaves[1]);
    builder.add_keypair_name(".example.test").unwrap().add_keypair_name("Alias.Test").unwrap();
    add(&mut builder, &leaves[2]);
    builder.add_keypair_name(".deep.example.test").unwrap();
    add(&mut builder, &leaves[3]);
    builder.add_keypair_name(".wild.test").unwrap();
    let config = builder.freeze().unwrap();
    for (name, n) in [
        ("first.test", 0),
        ("second.test", 1),
        ("alias.test", 1),
        ("mx.example.test", 1),
        ("a.b.example.test", 1),
        ("mx.deep.example.test", 2),
        ("deep.example.test", 1),
        ("example.test", 0),
        ("a.wild.test", 3),
        ("a.b.wild.test", 3),
        ("unknown.test", 0),
    ] {
        assert_eq!(ask(&config, name, &[]).unwrap().0, leaves[n].der, "{name}");
    }
    let mut none = Config::builder();
    assert_eq!(none.add_keypair_name("a.test").err().map(|error| error.code()), Some(Code::State));
    let mut bad = Config::builder();
    add(&mut bad, &leaves[0]);
    assert_eq!(bad.add_keypair_name("a b").err().map(|error| error.code()), Some(Code::Argument));
}

/// Files with several key pairs, keys before or behind their chains; errors name the line.
#[test]
fn mixed_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chains.pem");
    let (one, two) = (authority().leaf(&["one.test"]).with(&[authority()]), authority().leaf(&["two.test"]));
    let load = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let mut builder = Config::builder();
        builder.add_keypairs_file(&path)?;
        builder.freeze()
    };
    for text in [
        format!("{}{}{}{}", one.key, one.chain, two.key, two.chain),
        format!("{}{}{}{}", one.chain, one.key, two.chain, two.key),
        format!("a comment\n{}\n{}\r\n\n{}text\n{}", one.key, one.chain, two.key, two.chain),
    ] {
        let config = load(&text).unwrap();
        for (name, leaf) in [("one.test", &one), ("two.test", &two), ("unknown.test", &one)] {
            assert_eq!(ask(&config, name, &[]).unwrap().0, leaf.der, "{name}");
        }
    }
    let line = |text: &str| text.lines().count() + 1;
    for (text, code, words) in [
        (String::new(), Code::CertificateParse, "no key pair in".to_string()),
        (one.key.clone(), Code::CertificateParse, "line 1: this private key has no certificate".to_string()),
        (one.chain.clone(), Code::KeyParse, "no private key behind them".to_string()),
        (
            format!("{}{}{}", one.key, one.chain, two.key),
            Code::CertificateParse,
            format!("line {}", line(&format!("{}{}", one.key, one.chain))),
        ),
        (
            format!("{}{}{}{}", one.key, one.chain, one.key, two.chain),
            Code::KeyMismatch,
            format!("line {}", line(&format!("{}{}", one.key, one.chain))),
        ),
        (
            format!("{}{}{}{}", one.chain, one.key, two.chain, one.key),
            Code::KeyMismatch,
            "is not the key of the first certificate".to_string(),
        ),
        (
            format!("{}{}", one.key, &one.chain[..one.chain.len() - 40]),
            Code::CertificateParse,
            "damaged".to_string(),
        ),
    ] {
        let error = load(&text).err().unwrap();
        assert_eq!(error.code(), code, "{error}");
        assert!(
            error.message().contains(&words) && error.message().contains("chains.pem"),
            "{error} ({words})"
        );
    }
}

/// A staple beside its pair, read again with it.
#[test]
fn ocsp_staples() {
    let folder = tempfile::tempdir().unwrap();
    let (chain, key, staple) =
        (folder.path().join("chain.pem"), folder.path().join("key.pem"), folder.path().join("staple.der"));
    let leaf = authority().leaf(&[HOST]);
    std::fs::write(&chain, &leaf.chain).unwrap();
    std::fs::write(&key, &leaf.key).unwrap();
    std::fs::write(&staple, [0x30, 1, 2, 3]).unwrap();
    let mut builder = Config::builder();
    builder.add_keypair_file(&chain, &key).unwrap().set_ocsp_file(&staple).unwrap();
    let config = builder.freeze().unwrap();
    assert_eq!(ask(&config, HOST, &[]).unwrap().1, [0x30, 1, 2, 3]);
    std::fs::write(&staple, [0x30, 9]).unwrap();
    config.reload_keypairs().unwrap();
    assert_eq!(ask(&config, HOST, &[]).unwrap().1, [0x30, 9]);
    std::fs::write(&staple, b"no staple").unwrap();
    assert!(config.reload_keypairs().unwrap_err().message().contains("staple.der"));
    assert_eq!(ask(&config, HOST, &[]).unwrap().1, [0x30, 9]);
    std::fs::remove_file(&staple).unwrap();
    assert_eq!(config.reload_keypairs().unwrap_err().code(), Code::File);
}

/// R9325-3.8-1: without protocols of its own a server ignores ALPN; with some it is as strict as Exim.
#[test]
fn application_protocols() {
    let leaf = authority().leaf(&[HOST]);
    let with = |protocols: &[&[u8]]| {
        let mut builder = Config::builder();
        add(&mut builder, &leaf);
        builder.alpn(protocols).unwrap();
        builder.freeze().unwrap()
    };
    let (indifferent, strict) = (with(&[]), with(&[b"smtp", b"esmtp"]));
    for (offered, fits) in [
        (&[][..], true),
        (&[&b"smtp"[..]], true),
        (&[&b"esmtp"[..]], true),
        (&[&b"http/1.1"[..]], false),
        (&[&b"http/1.1"[..], &b"smtp"[..]], false),
        (&[&b"smtp"[..], &b"esmtp"[..]], false),
    ] {
        assert!(ask(&indifferent, HOST, offered).is_ok());
        let asked = ask(&strict, HOST, offered);
        assert_eq!(asked.is_ok(), fits, "{offered:?}");
        if let Err(error) = asked {
            assert_eq!(error.code(), Code::Handshake);
        }
    }
    for bad in [&b""[..], &[b'x'; 256]] {
        let mut builder = Config::builder();
        assert_eq!(builder.alpn(&[bad]).err().map(|error| error.code()), Some(Code::Argument));
    }
}

/// What a server in plaintext answers, one reply for each command.
fn answers(session: &mut Session, commands: &[&str]) -> Vec<String> {
    let _ = session.start(Entry::Greeting, 0);
    let mut replies = vec![String::from_utf8(take(session)).unwrap()];
    for command in commands {
        feed(session, format!("{command}\r\n").as_bytes());
        let _ = session.start(Entry::Greeting, 0);
        replies.push(String::from_utf8(take(session)).unwrap());
    }
    replies
}

#[test]
fn greeting_text() {
    let mut session = server(Level::May);
    session.set_greeting("ESMTP ready, no UBE").unwrap();
    assert_eq!(answers(&mut session, &[])[0], format!("220 {HOST} ESMTP ready, no UBE\r\n"));
    assert_eq!(session.set_greeting("late").unwrap_err().code(), Code::State);
    for bad in ["", "a\r\nb", "\u{e9}", &"x".repeat(401)] {
        assert_eq!(server(Level::May).set_greeting(bad).unwrap_err().code(), Code::Argument);
    }
    let mut lmtp = server(Level::May);
    lmtp.set_protocol(Protocol::Lmtp).unwrap();
    assert_eq!(answers(&mut lmtp, &[])[0], format!("220 {HOST} LMTP\r\n"));
}

/// R3207-3-1, R3207-4-4: not offered and 454 while it cannot be had, also to those who ask all the same; where it is
/// required, nothing else can be had.
#[test]
fn not_now() {
    for (level, noop, helo, mail) in
        [(Level::May, "250 ", "250 ", ""), (Level::Encrypt, "250 ", "530 5.7.0 ", "530 5.7.0 ")]
    {
        let mut session = server(level);
        session.set_not_now().unwrap();
        let commands = ["EHLO a", "STARTTLS", "STARTTLS now", "NOOP", "HELO a", "STARTTLS", "MAIL FROM:<a>"];
        let replies = answers(&mut session, &commands);
        assert!(!replies[1].contains("STARTTLS"), "{}", replies[1]);
        let starts = ["220 ", "250-", "454 4.7.0 ", "501 5.5.4 ", noop, helo, "454 4.7.0 ", mail];
        for (reply, start) in replies.iter().zip(starts) {
            assert!(reply.starts_with(start), "{level:?}: {reply} for {start}");
        }
        let mut session = server(level);
        session.set_not_now().unwrap();
        let error = session.start(Entry::Command, 0).unwrap_err();
        assert_eq!((error.code(), error.action()), (Code::NoKeypair, smtptls::Action::Continue));
        assert!(take(&mut session).starts_with(b"454 4.7.0 "));
    }
}

/// R3207-4-9: Postfix's larger list.
#[test]
fn exempt_more() {
    let mut session = server(Level::Encrypt);
    session.set_exempt_more(true).unwrap();
    let replies = answers(
        &mut session,
        &["HELO a", "help me", "MAIL FROM:<a>", "AUTH PLAIN", "XCLIENT ADDR=[UNAVAILABLE]"],
    );
    for (reply, start) in replies.iter().zip(["220 ", "250 ", "214 2.0.0 ", "530 5.7.0 ", "530 5.7.0 ", ""]) {
        assert!(reply.starts_with(start), "{reply} for {start}");
    }
    assert_eq!(session.error().map(smtptls::Error::code), Some(Code::NotRequested));
    assert!(session.leftover().starts_with(b"XCLIENT"));
    let mut session = server(Level::Encrypt);
    let replies = answers(&mut session, &["HELO a", "HELP", "XCLIENT a"]);
    assert!(replies[1..].iter().all(|reply| reply.starts_with("530 5.7.0 ")), "{replies:?}");
}

/// SEC-1: with `discard` injected commands are dropped: nothing of them is answered, in plaintext or in TLS.
#[test]
fn discard() {
    let mut c = client(Level::Verify);
    let mut s = server(Level::May);
    s.set_discard(true).unwrap();
    let _ = s.start(Entry::Greeting, 0).unwrap();
    take(&mut s);
    feed(&mut s, b"STARTTLS\r\nRSET\r\nEHLO injected\r\n");
    let _ = s.start(Entry::Greeting, 0).unwrap();
    let reply = take(&mut s);
    assert!(reply.starts_with(b"220 2.0.0 ") && reply.iter().filter(|octet| **octet == b'\n').count() == 1);
    let (mut up, mut down) = (false, false);
    for _ in 0..10 {
        if !up && c.start(Entry::Handshake, 0).unwrap() == Progress::Done(()) {
            up = true;
            let _ = c.flush().unwrap();
        }
        give(&mut c, &mut s, usize::MAX);
        down = down || s.start(Entry::Greeting, 0).unwrap() == Progress::Done(());
        give(&mut s, &mut c, usize::MAX);
    }
    assert!(up && down);
    assert!(read(&mut s, 100).unwrap().is_empty() && s.hello().is_none(), "nothing of it came through");

    // What its program had read is the program's to drop.
    let mut s = server(Level::May);
    s.set_discard(true).unwrap();
    assert_eq!(s.start(Entry::Command, 6), Ok(Progress::WantOutput));
    assert!(take(&mut s).starts_with(b"220 2.0.0 "));
}

/// The banner of a server on port 465 leaves with its Finished, before the client's, where that can be; and else behind
/// the handshake.
#[test]
fn banner_at_half_a_round_trip() {
    use smtptls::{ClientAuth, TlsVersion};
    const BANNER: &[u8] = b"220 mx.example.test ESMTP\r\n";
    let leaf = authority().leaf(&[HOST]);
    for (version, auth, early) in [
        (TlsVersion::Tls13, ClientAuth::None, true),
        (TlsVersion::Tls13, ClientAuth::Ask, false),
        (TlsVersion::Tls12, ClientAuth::None, false),
    ] {
        let mut builder = Config::builder();
        add(&mut builder, &leaf);
        builder.max_version(version).client_auth(auth, false).ticket_keys(&[&[7; 32]]).unwrap();
        let config = builder.freeze().unwrap();
        let mut c = client(Level::Verify);
        let mut s = Session::server(&config, &Policy::new(Level::May));
        s.set_banner(BANNER).unwrap();
        let _ = c.start(Entry::Handshake, 0).unwrap();
        let _ = s.start(Entry::Handshake, 0).unwrap();
        while give(&mut c, &mut s, usize::MAX) {}
        let _ = s.start(Entry::Handshake, 0).unwrap();
        // One flight of the server is all that the client sees.
        while give(&mut s, &mut c, usize::MAX) {}
        let done = c.start(Entry::Handshake, 0).unwrap();
        if early {
            // Its own Finished still waits to be sent.
            assert_ne!(done, Progress::WantInput);
            let finished = take(&mut c);
            assert_eq!(c.start(Entry::Handshake, 0), Ok(Progress::Done(())));
            assert_eq!(read(&mut c, 100).unwrap(), BANNER);
            feed(&mut s, &finished);
            assert_ne!(s.start(Entry::Handshake, 0), Ok(Progress::WantInput));
            continue;
        }
        for _ in 0..5 {
            while give(&mut c, &mut s, usize::MAX) {}
            let _ = s.start(Entry::Handshake, 0);
            while give(&mut s, &mut c, usize::MAX) {}
            let _ = c.start(Entry::Handshake, 0);
        }
        assert_eq!(read(&mut c, 100).unwrap(), BANNER, "{version:?} {auth:?}");
    }
    let mut s = server(Level::May);
    for bad in [&b""[..], &[b'x'; 2001]] {
        assert_eq!(s.set_banner(bad).unwrap_err().code(), Code::Argument);
    }
}
