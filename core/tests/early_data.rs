//! What a ClientHello of ours never has, whatever the server offers: early data, and bare keys in place of certificates.

mod common;
#[path = "common/peer.rs"]
mod peer;

use std::sync::Arc;

use common::*;
use smtptls::{Config, Dnssec, Entry, Level, Policy, Session};

/// Numbers of extensions in IANA's registry.
const CLIENT_CERTIFICATE_TYPE: u16 = 19;
const SERVER_CERTIFICATE_TYPE: u16 = 20;
const PRE_SHARED_KEY: u16 = 41;
const EARLY_DATA: u16 = 42;

/// The extensions of a ClientHello (RFC 8446 section 4.1.2), which is one record.
fn extensions(record: &[u8]) -> Vec<u16> {
    fn vector<'a>(rest: &mut &'a [u8], width: usize) -> &'a [u8] {
        let length = rest[..width].iter().fold(0, |length, octet| length * 256 + usize::from(*octet));
        let (found, behind) = rest[width..].split_at(length);
        *rest = behind;
        found
    }
    assert_eq!((record[0], record[5]), (22, 1));
    // Behind the headers, the version and the random octets.
    let mut rest = &record[5 + 4 + 2 + 32..];
    for width in [1, 2, 1] {
        vector(&mut rest, width);
    }
    let mut all = vector(&mut rest, 2);
    let mut found = Vec::new();
    while let [high, low, ..] = *all {
        found.push(u16::from_be_bytes([high, low]));
        all = &all[2..];
        vector(&mut all, 2);
    }
    found
}

/// R9325-3.10-1, R7671-5.1-1.
#[test]
fn neither_early_data_nor_bare_keys() {
    let leaf = authority().leaf(&[HOST]);
    let server = peer::configuration(peer::chain(&leaf), peer::key(&leaf), &rustls::version::TLS13);
    let mut server = Arc::unwrap_or_clone(server);
    server.max_early_data_size = u32::MAX;
    let server = Arc::new(server);
    let mut builder = Config::builder();
    builder.add_roots_pem(authority().pem.as_bytes()).unwrap().client_sessions(4);
    let config = builder.freeze().unwrap();
    // For a record like this one a bare key would do (RFC 7671 section 5.1).
    let mut policy = Policy::new(Level::Dane);
    policy.set_tlsa(None, Dnssec::Secure).unwrap().add_tlsa(leaf.tlsa(3, 1, 1));
    for resumed in [false, true, true] {
        let mut session = Session::client(&config, &policy, HOST);
        let _ = session.start(Entry::Handshake, 0).unwrap();
        let found = extensions(session.output());
        assert_eq!(found.contains(&PRE_SHARED_KEY), resumed, "{found:?}");
        for none in [EARLY_DATA, CLIENT_CERTIFICATE_TYPE, SERVER_CERTIFICATE_TYPE] {
            assert!(!found.contains(&none), "{none} of {found:?}");
        }
        peer::shake(&mut session, &server).unwrap();
        assert_eq!(session.info().unwrap().resumed(), resumed);
    }
}
