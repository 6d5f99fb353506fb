//! What can be wrong with a configuration, each with its own code and with the file in the message.

mod common;

use std::path::PathBuf;

use common::*;
use smtptls::{Code, Config, ConfigBuilder, TlsVersion};

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Files {
        Files(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

const ENCRYPTED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
const OLD_ENCRYPTED: &str = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";

#[test]
fn bad_key_pairs() {
    let files = Files::new();
    let (leaf, other) = (authority().leaf(&[HOST]), authority().leaf(&[HOST]));
    let chain = files.write("chain.pem", &leaf.chain);
    let key = files.write("leaf.key", &leaf.key);
    let missing = files.0.path().join("missing.pem");
    let cases = [
        (&missing, &key, Code::File, "missing.pem"),
        (&chain, &missing, Code::File, "missing.pem"),
        (&files.0.path().to_path_buf(), &key, Code::File, "directory"),
        (&key, &key, Code::CertificateParse, "no certificate in"),
        (&files.write("empty.pem", ""), &key, Code::CertificateParse, "empty.pem"),
        (
            &files.write("noise.pem", "-----BEGIN CERTIFICATE-----\n%%\n-----END CERTIFICATE-----\n"),
            &key,
            Code::CertificateParse,
            "noise.pem",
        ),
        (
            &files.write("short.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            &key,
            Code::CertificateParse,
            "short.pem",
        ),
        (&chain, &chain, Code::KeyParse, "no private key in"),
        (
            &chain,
            &files.write("bad.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
            Code::KeyParse,
            "bad.key",
        ),
        (&chain, &files.write("other.key", &other.key), Code::KeyMismatch, "other.key"),
        (&chain, &files.write("enc.key", ENCRYPTED), Code::KeyEncrypted, "enc.key"),
        (&chain, &files.write("old.key", OLD_ENCRYPTED), Code::KeyEncrypted, "old.key"),
    ];
    for (chain, key, code, words) in cases {
        let mut builder = Config::builder();
        let error = builder.add_keypair_file(chain, key).err().unwrap();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.message().contains(words), "{error}");
        // A call that failed spoils the configuration for good.
        assert_eq!(builder.freeze().err(), Some(error));
    }
    assert_eq!(Config::builder().add_keypair_file(&missing, &key).err().unwrap().os(), Some(2));
}

#[test]
fn bad_roots() {
    let files = Files::new();
    for (path, code) in [
        (files.0.path().join("missing.pem"), Code::File),
        (files.write("empty.pem", ""), Code::CertificateParse),
        (files.write("key.pem", &authority().leaf(&[HOST]).key), Code::CertificateParse),
        (files.write("cut.pem", &authority().pem[..200]), Code::CertificateParse),
    ] {
        let mut builder = Config::builder();
        let error = builder.add_roots_file(&path).err().unwrap();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.message().contains(path.to_str().unwrap()), "{error}");
        assert_eq!(builder.freeze().err().unwrap().code(), code);
    }
}

/// One file, key and chain in either order.
#[test]
fn one_file_in_either_order() {
    let files = Files::new();
    let leaf = authority().leaf(&[HOST]);
    for text in [format!("{}{}", leaf.chain, leaf.key), format!("{}{}", leaf.key, leaf.chain)] {
        let path = files.write("both.pem", &text);
        let mut builder = Config::builder();
        builder.add_keypair_file(&path, &path).unwrap();
        assert!(builder.freeze().unwrap().has_keypair());
    }
}

/// The system's store, or a word about it where a system has none.
#[test]
fn system_roots() {
    let mut builder = Config::builder();
    if let Err(error) = builder.add_system_roots() {
        assert_eq!(error.code(), Code::NoRoots);
        assert!(error.message().contains("trust store"), "{error}");
    }
}

#[test]
fn hostnames() {
    for name in ["", "a b", "a\r\nMAIL", "é", &"x".repeat(256)] {
        assert_eq!(Config::builder().hostname(name).err().unwrap().code(), Code::Argument);
    }
    assert!(!Config::builder().freeze().unwrap().hostname().is_empty());
}

/// R8996-1, R9325-3.1-1: 1.3 where both can, and a minimum of 1.3 refuses 1.2.
#[test]
fn versions() {
    use smtptls::{Entry, Level, Policy, Session};
    let leaf = authority().leaf(&[HOST]);
    let make = |version| {
        let mut builder = Config::builder();
        builder.min_version(version).add_roots_pem(authority().pem.as_bytes()).unwrap();
        builder.add_keypair_pem(leaf.chain.as_bytes(), leaf.key.as_bytes()).unwrap();
        builder.freeze().unwrap()
    };
    for version in TlsVersion::ALL {
        let mut c = Session::client(&make(*version), &Policy::new(Level::Verify), HOST);
        let mut s = Session::server(&make(*version), &Policy::new(Level::May));
        start_both(&mut c, &mut s, Entry::Handshake, usize::MAX).0.unwrap();
        assert_eq!(c.info().unwrap().version(), "TLSv1.3");
    }
}

/// SEC-8: a path may name a device that never ends, and whose size is 0.
#[cfg(target_os = "linux")]
#[test]
fn files_without_an_end() {
    let zero = std::path::Path::new("/dev/zero");
    for add in [
        (|builder, path| builder.add_roots_file(path).map(drop)) as fn(&mut ConfigBuilder, _) -> _,
        |builder, path| builder.add_keypair_file(path, path).map(drop),
        |builder, path| builder.ticket_key_file(path).map(drop),
        |builder, path| builder.add_crl_file(path).map(drop),
    ] {
        let mut builder = Config::builder();
        let error = add(&mut builder, zero).unwrap_err();
        assert_eq!(error.code(), Code::File, "{error}");
        assert!(error.message().contains("/dev/zero is larger than"), "{error}");
    }
}
