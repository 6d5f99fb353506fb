//! Opportunistic TLS never fails because of a certificate, since the alternative is plaintext; but the peer must have
//! the key in it.

mod common;
#[path = "common/peer.rs"]
mod peer;

use common::*;
use pki_types::CertificateDer;
use rcgen::{BasicConstraints, CustomExtension, IsCa};
use rustls::SupportedProtocolVersion;
use smtptls::{Auth, Code, Dnssec, FingerprintOf, Level, Policy, Session, Tlsa};

const VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];

/// Tag, header and value of the first element.
fn element(der: &[u8]) -> (u8, usize, usize) {
    match der[1] {
        short @ 0..=0x7f => (der[0], 2, usize::from(short)),
        0x81 => (der[0], 3, usize::from(der[2])),
        0x82 => (der[0], 4, usize::from(der[2]) << 8 | usize::from(der[3])),
        other => panic!("a length of form {other:#x}"),
    }
}

fn sequence(contents: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(contents.len()).unwrap().to_be_bytes();
    let header: &[u8] = match contents.len() {
        0..=0x7f => &[0x30, low],
        0x80..=0xff => &[0x30, 0x81, low],
        _ => &[0x30, 0x82, high, low],
    };
    [header, contents].concat()
}

/// The elements of a sequence.
fn elements(der: &[u8]) -> Vec<Vec<u8>> {
    let (_, header, length) = element(der);
    let (mut rest, mut found) = (&der[header..header + length], Vec::new());
    while !rest.is_empty() {
        let (_, header, length) = element(rest);
        found.push(rest[..header + length].to_vec());
        rest = &rest[header + length..];
    }
    found
}

/// The same certificate without version and extensions: X.509 v1. Its signature is not right any more.
fn version_1(der: &[u8]) -> Vec<u8> {
    let mut outer = elements(der);
    let inner: Vec<_> =
        elements(&outer[0]).into_iter().filter(|one| one[0] != 0xa0 && one[0] != 0xa3).collect();
    outer[0] = sequence(&inner.concat());
    sequence(&outer.concat())
}

/// The same certificate with dates that are none.
fn undated(der: &[u8]) -> Vec<u8> {
    let mut outer = elements(der);
    let mut inner = elements(&outer[0]);
    let dates = inner.iter_mut().find(|one| one[0] == 0x30 && [0x17, 0x18].contains(&one[2])).unwrap();
    for octet in &mut dates[4..8] {
        *octet = b'9';
    }
    outer[0] = sequence(&inner.concat());
    sequence(&outer.concat())
}

fn extension(oid: &[u64], critical: bool) -> impl Fn(&mut rcgen::CertificateParams) {
    move |params| {
        let mut extension = CustomExtension::from_oid_content(oid, vec![0x05, 0x00, 0xff]);
        extension.set_criticality(critical);
        params.subject_alt_names = Vec::new();
        params.extended_key_usages = Vec::new();
        params.custom_extensions = vec![extension];
    }
}

/// What mail servers show, each with its key.
fn oddities()
-> Vec<(&'static str, Vec<CertificateDer<'static>>, std::sync::Arc<dyn rustls::sign::SigningKey>)> {
    let a = authority();
    let plain = a.leaf(&[HOST]);
    let mut found = Vec::new();
    let mut add = |what, leaf: &Leaf| found.push((what, peer::chain(leaf), peer::key(leaf)));
    add("expired", &a.leaf_with(&[HOST], expired));
    add("no name", &a.leaf(&[]));
    add("self-signed", &self_signed(|_| {}));
    add("authority", &self_signed(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)));
    add("unreadable names", &a.leaf_with(&[], extension(&[2, 5, 29, 17], false)));
    add("unreadable usage", &a.leaf_with(&[], extension(&[2, 5, 29, 15], true)));
    add("unreadable constraints", &a.leaf_with(&[], extension(&[2, 5, 29, 19], true)));
    add("unknown critical extension", &a.leaf_with(&[], extension(&[1, 2, 3, 4], true)));
    let short = peer::ShortKey::new();
    found.push(("RSA-1024", vec![short.certificate(a, HOST)], std::sync::Arc::new(short)));
    for (what, der) in [("version 1", version_1(&plain.der)), ("no dates", undated(&plain.der))] {
        found.push((what, vec![CertificateDer::from(der)], peer::key(&plain)));
    }
    found
}

/// R3207-4.1-2, R7672-3.1.1-2: at may and encrypt each brings TLS up, and Info says what is wrong; at verify each is
/// refused. A handshake that is not signed with the key in the certificate fails at every level.
#[test]
fn any_certificate_and_its_key() {
    for (what, chain, key) in oddities() {
        for version in VERSIONS {
            let honest = peer::configuration(chain.clone(), key.clone(), version);
            let forged =
                peer::configuration(chain.clone(), std::sync::Arc::new(peer::Forged(key.clone())), version);
            for level in [Level::May, Level::Encrypt, Level::Verify] {
                let mut client = Session::client(&trusting(), &Policy::new(level), HOST);
                let result = peer::shake(&mut client, &honest);
                let info = client.info().unwrap_or_else(|| panic!("{what} at {level:?}: {result:?}"));
                assert_eq!(result.is_ok(), level != Level::Verify, "{what} at {level:?}: {result:?}");
                assert!(info.certificate_present() && info.auth() == Auth::None, "{what}");
                assert!(info.doubt().is_some() && info.doubt_depth() == Some(0), "{what}");

                let mut client = Session::client(&trusting(), &Policy::new(level), HOST);
                let error = peer::shake(&mut client, &forged).unwrap_err();
                assert_eq!(error.code(), Code::Handshake, "{what} at {level:?}: {error}");
                assert!(client.info().is_none());
                let action =
                    if level == Level::May { smtptls::Action::Reconnect } else { smtptls::Action::NextHost };
                assert_eq!(error.action(), action);
            }
        }
    }
}

/// R7672-3.1.1-1, R7672-3.1.1-2, R9325-4.5-1: a record or a fingerprint vouches for any of them, but for a key that is
/// too short; and never for a wrong signature.
#[test]
fn vouched_for_all_the_same() {
    for (what, chain, key) in oddities() {
        let mut dane = Policy::new(Level::DaneOnly);
        dane.set_tlsa(None, Dnssec::Secure).unwrap().add_tlsa(Tlsa::of(3, 1, 1, &chain[0]).unwrap());
        let mut pinned = Policy::new(Level::Fingerprint);
        let digest = FingerprintOf::Certificate.fingerprint(smtptls::Digest::Sha256, &chain[0]).unwrap();
        pinned.add_fingerprint(FingerprintOf::Certificate, &digest).unwrap();
        for policy in [&dane, &pinned] {
            let honest = peer::configuration(chain.clone(), key.clone(), VERSIONS[0]);
            let mut client = Session::client(&trusting(), policy, HOST);
            let result = peer::shake(&mut client, &honest);
            match what {
                "RSA-1024" => {
                    let error = result.unwrap_err();
                    assert_eq!(error.code(), Code::CertInvalid);
                    assert!(error.message().contains("1024"), "{error}");
                }
                _ => result.unwrap_or_else(|error| panic!("{what}: {error}")),
            }
            let forged = std::sync::Arc::new(peer::Forged(key.clone()));
            let forged = peer::configuration(chain.clone(), forged, VERSIONS[0]);
            let mut client = Session::client(&trusting(), policy, HOST);
            assert_eq!(peer::shake(&mut client, &forged).unwrap_err().code(), Code::Handshake, "{what}");
        }
    }
}
