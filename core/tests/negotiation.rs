//! Versions, cipher suites and groups: what a configuration offers, and what comes of it.

mod common;

use common::*;
use smtptls::{Code, Config, ConfigBuilder, Entry, Error, Level, Policy, Progress, Session, TlsVersion};

fn builder() -> ConfigBuilder {
    let mut builder = Config::builder();
    let leaf = authority().leaf(&[HOST]);
    builder.add_roots_pem(authority().pem.as_bytes()).unwrap();
    builder.add_keypair_pem(leaf.chain.as_bytes(), leaf.key.as_bytes()).unwrap();
    builder
}

fn with(change: impl FnOnce(&mut ConfigBuilder)) -> Config {
    let mut builder = builder();
    change(&mut builder);
    builder.freeze().unwrap()
}

/// What client and server come to, as cipher and group; or the error of the client.
fn meet(client: &Config, server: &Config) -> Result<(String, String, Session), Error> {
    let mut c = Session::client(client, &Policy::new(Level::Encrypt), HOST);
    let mut s = Session::server(server, &Policy::new(Level::May));
    start_both(&mut c, &mut s, Entry::Handshake, usize::MAX).0?;
    let info = c.info().unwrap();
    let (cipher, group) = (info.cipher().to_string(), info.group().unwrap().to_string());
    assert_eq!(s.info().unwrap().summary(), info.summary());
    Ok((cipher, group, c))
}

/// The first flight of a client.
fn hello(config: &Config) -> Vec<u8> {
    let mut client = Session::client(config, &Policy::new(Level::May), HOST);
    let _ = client.start(Entry::Handshake, 0).unwrap();
    take(&mut client)
}

/// R8314-4-1, R9325-3.1-1: the newest version that both have, between bounds.
#[test]
fn versions() {
    use TlsVersion::{Tls12, Tls13};
    let of = |least, most| {
        with(|builder| {
            builder.min_version(least).max_version(most);
        })
    };
    for (client, server, want) in [
        (of(Tls12, Tls13), of(Tls12, Tls13), Some("TLSv1.3")),
        (of(Tls12, Tls12), of(Tls12, Tls13), Some("TLSv1.2")),
        (of(Tls12, Tls13), of(Tls12, Tls12), Some("TLSv1.2")),
        (of(Tls13, Tls13), of(Tls12, Tls13), Some("TLSv1.3")),
        (of(Tls13, Tls13), of(Tls12, Tls12), None),
        (of(Tls12, Tls12), of(Tls13, Tls13), None),
    ] {
        let met = meet(&client, &server);
        assert_eq!(met.as_ref().ok().map(|met| met.2.info().unwrap().version()), want);
        if let Err(error) = met {
            assert!(error.message().contains("older than 1.2") || error.code() == Code::Alert, "{error}");
        }
    }
    let mut none = builder();
    none.min_version(Tls13).max_version(Tls12);
    assert_eq!(none.freeze().err().map(|error| error.code()), Some(Code::Argument));
}

/// Suites by the names of IANA and of OpenSSL, in any case; a list is for the versions that it names suites of.
#[test]
fn ciphers() {
    let of = |list: &str| {
        with(|builder| assert_eq!(builder.ciphers(list).unwrap(), Vec::<String>::new(), "{list}"))
    };
    let old = with(|builder| {
        builder.max_version(TlsVersion::Tls12);
    });
    let new = with(|_| {});
    for (list, at_13, at_12) in [
        ("TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
        (
            "tls_chacha20_poly1305_sha256",
            "TLS_CHACHA20_POLY1305_SHA256",
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        ),
        (
            "ECDHE-ECDSA-AES256-GCM-SHA384",
            "TLS_AES_128_GCM_SHA256",
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        ),
        (
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256, ecdhe-rsa-aes128-gcm-sha256",
            "TLS_AES_128_GCM_SHA256",
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        ),
    ] {
        let config = of(list);
        assert_eq!(meet(&config, &new).unwrap().0, at_13, "{list}");
        assert_eq!(meet(&config, &old).unwrap().0, at_12, "{list}");
    }
    // Words that name nothing are told one by one, and nothing at all is refused.
    let mut some = builder();
    assert_eq!(
        some.ciphers("HIGH:!aNULL:TLS_AES_128_GCM_SHA256:RC4-SHA\u{7}").unwrap(),
        ["HIGH", "!aNULL", "RC4-SHA\\x07"]
    );
    for nothing in ["", " : ,", "HIGH:!aNULL", "TLS_RSA_WITH_AES_128_CBC_SHA"] {
        let mut none = builder();
        assert_eq!(none.ciphers(nothing).unwrap_err().code(), Code::Argument);
        assert_eq!(none.freeze().err().map(|error| error.code()), Some(Code::Argument), "spoilt");
    }
}

/// RFC 9325 section 4.2: AES-128-GCM first, and the server's order counts, also where both have all.
#[test]
fn cipher_preference() {
    let of = |list: &str| with(|builder| assert!(builder.ciphers(list).unwrap().is_empty(), "{list}"));
    let any = with(|_| {});
    assert_eq!(meet(&any, &any).unwrap().0, "TLS_AES_128_GCM_SHA256");
    let strong = "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256";
    let quick = "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384";
    assert_eq!(meet(&of(strong), &any).unwrap().0, "TLS_AES_128_GCM_SHA256");
    assert_eq!(meet(&of(quick), &of(strong)).unwrap().0, "TLS_AES_256_GCM_SHA384");
    assert_eq!(meet(&of(strong), &of(quick)).unwrap().0, "TLS_CHACHA20_POLY1305_SHA256");
    let old = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256";
    let old = with(|builder| drop(builder.max_version(TlsVersion::Tls12).ciphers(old).unwrap()));
    assert_eq!(meet(&old, &any).unwrap().0, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256");
}

/// Groups: the order is the preference, and the first has the key share.
#[test]
fn groups() {
    let of = |list: &str| with(|builder| assert!(builder.groups(list).unwrap().is_empty(), "{list}"));
    let any = with(|_| {});
    for (list, want) in [
        ("x25519", "x25519"),
        ("X25519", "x25519"),
        ("P-256", "secp256r1"),
        ("prime256v1:x25519", "secp256r1"),
        ("secp384r1", "secp384r1"),
    ] {
        assert_eq!(meet(&of(list), &any).unwrap().1, want, "{list}");
        // From the server's side by a HelloRetryRequest, unless the client's key share will do.
        let first = if list.contains("x25519") { "x25519" } else { want };
        assert_eq!(meet(&any, &of(list)).unwrap().1, first, "{list}");
    }
    let mut some = builder();
    assert_eq!(some.groups("x25519:ffdhe2048:brainpoolP256r1").unwrap(), ["ffdhe2048", "brainpoolP256r1"]);
    let mut none = builder();
    assert_eq!(none.groups("X448").unwrap_err().code(), Code::Argument);
    assert!(none.freeze().is_err());
}

/// The default ClientHello fits a segment; one list makes it begin with X25519MLKEM768.
#[cfg(feature = "aws-lc-rs")]
#[test]
fn post_quantum_by_choice() {
    const SEGMENT: usize = 1400;
    let (small, any) = (with(|_| {}), with(|_| {}));
    assert!(hello(&small).len() < 600, "{}", hello(&small).len());
    assert_eq!(meet(&small, &any).unwrap().1, "x25519");
    let first = with(|builder| drop(builder.groups("X25519MLKEM768:x25519").unwrap()));
    assert!(hello(&first).len() > SEGMENT);
    assert_eq!(meet(&first, &any).unwrap().1, "X25519MLKEM768");
    // A server that will have nothing else gets it at the second try.
    let only = with(|builder| drop(builder.groups("X25519MLKEM768").unwrap()));
    assert_eq!(meet(&small, &only).unwrap().1, "X25519MLKEM768");
}

/// RFC 5246 section 7.4.1.3, RFC 8446 section 4.1.1: a client that no key pair fits hears handshake_failure (40), and the
/// server's error says what was missing.
#[test]
fn no_key_that_fits() {
    let client = with(|builder| {
        builder.max_version(TlsVersion::Tls12);
        builder.ciphers("ECDHE-RSA-AES128-GCM-SHA256").unwrap();
    });
    let mut c = Session::client(&client, &Policy::new(Level::Encrypt), HOST);
    let mut s = Session::server(&with(|_| {}), &Policy::new(Level::May));
    let (up, down) = start_both(&mut c, &mut s, Entry::Handshake, usize::MAX);
    assert_eq!(up.unwrap_err().alert(), Some(40));
    let error = down.unwrap_err();
    assert_eq!(error.code(), Code::Handshake);
    assert!(error.message().contains("in common"), "{error}");
}

/// RFC 7301 section 3.2: a server of more than mail takes the first of its own protocols that is offered.
#[test]
fn one_of_many_protocols() {
    let client = with(|config| {
        config.alpn(&[b"h2", b"smtp"]).unwrap();
    });
    let server = |many: bool| {
        with(|config| {
            config.alpn(&[b"smtp"]).unwrap().alpn_of_many(many);
        })
    };
    let (.., session) = meet(&client, &server(true)).unwrap();
    assert_eq!(session.info().unwrap().alpn(), Some(b"smtp".as_slice()));
    assert!(meet(&client, &server(false)).is_err());
}

/// A server that chooses its configuration by name sees the name before it has one, however the octets are cut.
#[test]
fn the_name_that_a_client_asks_for() {
    let hello = hello(&with(|_| {}));
    for length in 0..hello.len() {
        assert!(matches!(Session::asked_for(&hello[..length]), Progress::WantInput), "{length}");
    }
    let Progress::Done(name) = Session::asked_for(&hello) else { panic!("the hello is whole") };
    assert_eq!(name.as_deref(), Some(HOST));
    assert!(matches!(Session::asked_for(b"EHLO client.example\r\n"), Progress::Done(None)));
    // One that never ends, an octet in a record: it asks for nothing, and is not read again and again.
    let endless = [22, 3, 1, 0, 1, 1].repeat(6_000);
    assert!(matches!(Session::asked_for(&endless), Progress::Done(None)));
}

/// A key pair takes the place of the one whose key is of the same kind, and of no other; and DER is as good as PEM.
#[test]
fn a_key_pair_is_renewed() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for (n, name) in ["old.example.test", HOST].iter().enumerate() {
        let leaf = authority().leaf(&[name]);
        let (chain, key) = (folder.path().join(format!("{n}.pem")), folder.path().join(format!("{n}.key")));
        std::fs::write(&chain, &leaf.chain).unwrap();
        std::fs::write(&key, &leaf.key).unwrap();
        files.push((chain, key));
    }
    let mut builder = Config::builder();
    for (chain, key) in &files {
        builder.replace_keypair_file(chain, key).unwrap();
    }
    let client = Config::builder().add_roots_der(&authority().der).unwrap().freeze().unwrap();
    let mut c = Session::client(&client, Policy::new(Level::Verify).set_sni(None).unwrap(), HOST);
    let mut s = Session::server(&builder.freeze().unwrap(), &Policy::new(Level::May));
    start_both(&mut c, &mut s, Entry::Handshake, usize::MAX).0.unwrap();
    let twice = [authority().der.as_slice(), authority().der.as_slice()].concat();
    assert!(Config::builder().add_roots_der(&twice).is_ok());
    for bad in [&twice[..twice.len() - 1], b"", b"-----BEGIN CERTIFICATE-----"] {
        let error = Config::builder().add_roots_der(bad).map(drop).unwrap_err();
        assert_eq!(error.code(), Code::CertificateParse);
    }
}
