//! Info as bytes, and what it says of odd peers.

mod common;
#[path = "common/peer.rs"]
mod peer;

use common::*;
use proptest::prelude::*;
use rcgen::{DistinguishedName, DnType, KeyPair};
use smtptls::{Code, Dnssec, Info, Level, Policy, Session};

/// What one process writes another reads: all of it, whatever the session.
#[test]
fn to_bytes_and_back() {
    let leaf = authority().leaf(&[HOST]).with(&[authority()]);
    let mut dane = Policy::new(Level::Dane);
    dane.set_tlsa(None, Dnssec::Secure).unwrap().add_tlsa(authority().tlsa(0, 1));
    dane.set_next_hop("example.test", None, Dnssec::Insecure).unwrap();
    for policy in [Policy::new(Level::May), Policy::new(Level::Verify), dane] {
        for (host, leaf) in [(HOST, &leaf), (HOST, &self_signed(expired))] {
            let mut client = Session::client(&trusting(), &policy, host);
            let mut server = Session::server(&serving(leaf), &Policy::new(Level::May));
            let _ = start_both(&mut client, &mut server, smtptls::Entry::Handshake, usize::MAX);
            for session in [&client, &server] {
                let info = session.info().unwrap();
                let again = Info::from_bytes(&info.to_bytes()).unwrap();
                assert_eq!(&again, info);
                assert_eq!(again.summary(), info.summary());
                assert_eq!(again.peer_chain_pem(), info.peer_chain_pem());
                assert_eq!(again.server_end_point(), info.server_end_point());
            }
        }
    }
}

fn info() -> Info {
    let mut client = client(Level::Verify);
    start_both(&mut client, &mut server(Level::May), smtptls::Entry::Handshake, usize::MAX).0.unwrap();
    client.info().unwrap().clone()
}

/// Fields of a newer writer are passed over; what is cut off or is none of ours is refused.
#[test]
fn other_bytes() {
    let bytes = info().to_bytes();
    let newer = [&bytes[..], &[200, 0, 0, 0, 3, 1, 2, 3]].concat();
    assert_eq!(Info::from_bytes(&newer).unwrap(), info_of(&bytes));
    for end in 0..bytes.len() {
        if let Ok(cut) = Info::from_bytes(&bytes[..end]) {
            assert_ne!(cut, info_of(&bytes), "at {end}");
        }
    }
    for bad in [&b""[..], b"smtptls-info\x02", b"smtptls-info\x01", &vec![0; 2 << 20]] {
        assert_eq!(Info::from_bytes(bad).unwrap_err().code(), Code::Argument);
    }
}

fn info_of(bytes: &[u8]) -> Info {
    Info::from_bytes(bytes).unwrap()
}

/// SEC-20: nothing from a certificate breaks a line of a log.
#[test]
fn names_are_escaped() {
    let leaf = authority().leaf_with(&[HOST], |params| {
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "a\r\nb\u{1b}[2Jc\u{e9}");
    });
    let (session, result) = meet(&trusting(), &Policy::new(Level::Verify), HOST, &leaf);
    result.unwrap();
    let info = session.info().unwrap();
    assert_eq!(info.peer_common_name().as_deref(), Some("a\\r\\nb\\x1b[2Jc\\xc3\\xa9"));
    for text in [info.peer_subject().unwrap(), info.peer_common_name().unwrap()] {
        assert!(!text.chars().any(char::is_control), "{text:?}");
    }
}

/// R5929-4-1: the digest is that of the certificate's signature; with Ed25519 the binding is not defined.
#[test]
fn server_end_point() {
    for (algorithm, length) in [
        (&rcgen::PKCS_ECDSA_P256_SHA256, Some(32)),
        (&rcgen::PKCS_ECDSA_P384_SHA384, Some(48)),
        (&rcgen::PKCS_ED25519, None),
    ] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let params = rcgen::CertificateParams::new(vec![HOST.to_string()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let leaf =
            Leaf { chain: certificate.pem(), key: key.serialize_pem(), der: certificate.der().to_vec() };
        let mut client = Session::client(&trusting(), &Policy::new(Level::May), HOST);
        let mut server = Session::server(&serving(&leaf), &Policy::new(Level::May));
        start_both(&mut client, &mut server, smtptls::Entry::Handshake, usize::MAX).0.unwrap();
        for session in [&client, &server] {
            assert_eq!(session.info().unwrap().server_end_point().map(|binding| binding.len()), length);
        }
    }
}

proptest! {
    #[test]
    fn any_bytes(tail in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..4000, octet: u8) {
        let _ = Info::from_bytes(&tail);
        let mut bytes = info().to_bytes();
        let at = at % bytes.len();
        bytes[at] = octet;
        if let Ok(info) = Info::from_bytes(&bytes) {
            let _ = (info.summary(), info.peer_subject(), info.peer_names(), info.server_end_point(), info.peer_chain_pem());
            prop_assert_eq!(&Info::from_bytes(&info.to_bytes()).unwrap(), &info);
        }
        let _ = Info::from_bytes(&[&b"smtptls-info\x01"[..], &tail].concat());
    }
}
