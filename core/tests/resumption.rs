//! A client's resumed sessions: judged anew, under the policy of now, from the chain that the first handshake saw.

mod common;
#[path = "common/peer.rs"]
mod peer;

use std::sync::Arc;

use common::*;
use rustls::{ServerConfig, SupportedProtocolVersion};
use smtptls::{Auth, Code, Config, Dnssec, Error, Level, Policy, Session, Tlsa};

const VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];

fn keeping(servers: usize) -> Config {
    let mut builder = Config::builder();
    builder.add_roots_pem(authority().pem.as_bytes()).unwrap();
    builder.client_sessions(servers);
    builder.freeze().unwrap()
}

fn server(leaf: &Leaf, version: &'static SupportedProtocolVersion) -> Arc<ServerConfig> {
    peer::configuration(peer::chain(leaf), peer::key(leaf), version)
}

/// Whether it was resumed, how it was judged, and the code of the error.
fn go(
    config: &Config,
    policy: &Policy,
    host: &str,
    server: &Arc<ServerConfig>,
) -> (bool, Auth, Option<Code>) {
    let mut client = Session::client(config, policy, host);
    let result = peer::shake(&mut client, server);
    let info = client.info().unwrap();
    assert!(info.peer_certificate(0).is_some() && info.peer_subject().is_some());
    (info.resumed(), info.auth(), result.err().as_ref().map(Error::code))
}

fn dane(record: Tlsa) -> Policy {
    let mut policy = Policy::new(Level::Dane);
    policy.set_tlsa(None, Dnssec::Secure).unwrap().add_tlsa(record);
    policy
}

/// SEC-10, SEC-11: stricter policy, other records, other names; and what is refused is forgotten.
#[test]
fn a_resumed_session_is_judged_anew() {
    for version in VERSIONS {
        let config = keeping(8);
        let stranger = Authority::new("Stranger");
        let leaf = stranger.leaf(&[HOST]);
        let server = server(&leaf, version);
        let (may, verify) = (Policy::new(Level::May), Policy::new(Level::Verify));
        assert_eq!(go(&config, &may, HOST, &server), (false, Auth::None, None));
        assert_eq!(go(&config, &may, HOST, &server), (true, Auth::None, None));
        assert_eq!(go(&config, &verify, HOST, &server), (true, Auth::None, Some(Code::CertUntrusted)));
        // A new handshake, in which the server could show a better certificate.
        assert_eq!(go(&config, &verify, HOST, &server), (false, Auth::None, Some(Code::CertUntrusted)));
        assert_eq!(go(&config, &may, HOST, &server), (false, Auth::None, None));

        let good = dane(leaf.tlsa(3, 1, 1));
        assert_eq!(go(&config, &good, HOST, &server), (true, Auth::DaneEe, None));
        let bad = dane(authority().leaf(&[HOST]).tlsa(3, 1, 1));
        assert_eq!(go(&config, &bad, HOST, &server), (true, Auth::None, Some(Code::DaneMismatch)));
        assert_eq!(go(&config, &good, HOST, &server), (false, Auth::DaneEe, None));

        let config = keeping(8);
        let server = self::server(&authority().leaf(&[HOST]), version);
        assert_eq!(go(&config, &verify, HOST, &server), (false, Auth::Pkix, None));
        assert_eq!(go(&config, &verify, HOST, &server), (true, Auth::Pkix, None));
        let mut other = Policy::new(Level::Verify);
        other.add_name("other.test").unwrap();
        assert_eq!(go(&config, &other, HOST, &server), (true, Auth::None, Some(Code::CertName)));
        assert_eq!(go(&config, &verify, HOST, &server), (false, Auth::Pkix, None));
    }
}

/// Sessions are kept by host and by SNI; a bounded number of them, and none by default.
#[test]
fn for_whom_sessions_are_kept() {
    for version in VERSIONS {
        let config = keeping(8);
        let server = server(&authority().leaf(&["*.example.test"]), version);
        let mut front = Policy::new(Level::May);
        front.set_sni(Some("front.example.test")).unwrap();
        let mut silent = Policy::new(Level::May);
        silent.set_sni(None).unwrap();
        for policy in [&Policy::new(Level::May), &front, &silent] {
            for host in ["a.example.test", "b.example.test", "127.0.0.1"] {
                // An address sends no SNI either way, so for it two of the policies are the same.
                let known = host == "127.0.0.1" && std::ptr::eq(policy, &silent);
                assert_eq!(go(&config, policy, host, &server).0, known, "{policy:?} {host}");
                assert!(go(&config, policy, host, &server).0);
            }
        }
        let none = keeping(0);
        for _ in 0..3 {
            assert!(!go(&none, &front, "a.example.test", &server).0);
        }
        let config = keeping(2);
        for n in 0..50 {
            go(&config, &front, &format!("host{n}.example.test"), &server);
        }
        assert!(!go(&config, &front, "host0.example.test", &server).0);
    }
}
