//! A server that asks for client certificates: judged after the handshake, and never a failure in it.

mod common;

use common::*;
use rcgen::ExtendedKeyUsagePurpose;
use smtptls::{
    Auth, ClientAuth, Code, Config, Entry, Error, FingerprintOf, Level, Policy, Session, TlsVersion,
};

fn for_clients(authority: &Authority) -> Leaf {
    authority.leaf_with(&["client.example.test"], |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    })
}

fn server(mode: ClientAuth, version: TlsVersion) -> Config {
    let leaf = authority().leaf(&[HOST]);
    let mut builder = Config::builder();
    builder.add_keypair_pem(leaf.chain.as_bytes(), leaf.key.as_bytes()).unwrap();
    builder.add_roots_pem(authority().pem.as_bytes()).unwrap();
    builder.client_auth(mode, true).max_version(version);
    builder.freeze().unwrap()
}

fn client(leaf: Option<&Leaf>) -> Config {
    let mut builder = Config::builder();
    builder.add_roots_pem(authority().pem.as_bytes()).unwrap();
    if let Some(leaf) = leaf {
        builder.add_keypair_pem(leaf.chain.as_bytes(), leaf.key.as_bytes()).unwrap();
    }
    builder.freeze().unwrap()
}

/// The server's session, and how each side ended.
fn meet(
    client: &Config,
    server: &Config,
    policy: &Policy,
) -> (Session, Result<(), Error>, Result<(), Error>) {
    let mut c = Session::client(client, &Policy::new(Level::Verify), HOST);
    let mut s = Session::server(server, policy);
    let (up, down) = start_both(&mut c, &mut s, Entry::Handshake, usize::MAX);
    (s, up, down)
}

/// R3207-4.1-6, R3207-6-7, R8314-4.2-1: modes x certificates. Without being asked a client shows none.
#[test]
fn modes_and_certificates() {
    let good = for_clients(authority());
    let stranger = for_clients(&Authority::new("Stranger"));
    let old = authority().leaf_with(&["client.example.test"], |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        expired(params);
    });
    let for_servers = authority().leaf(&["client.example.test"]);
    let unsaid = authority().leaf_with(&[], |params| params.extended_key_usages = Vec::new());
    for version in TlsVersion::ALL {
        for (what, leaf, failure) in [
            ("none", None, Some(Code::CertRequired)),
            ("good", Some(&good), None),
            ("for anything", Some(&unsaid), None),
            ("of a stranger", Some(&stranger), Some(Code::CertUntrusted)),
            ("expired", Some(&old), Some(Code::CertTime)),
            ("for servers", Some(&for_servers), Some(Code::CertInvalid)),
        ] {
            for mode in ClientAuth::ALL {
                let (session, up, down) =
                    meet(&client(leaf), &server(*mode, *version), &Policy::new(Level::May));
                up.unwrap_or_else(|error| panic!("{what} {mode:?}: {error}"));
                let info = session.info().unwrap();
                let asked = *mode != ClientAuth::None;
                assert_eq!(info.certificate_present(), asked && leaf.is_some(), "{what} {mode:?}");
                assert_eq!(info.trusted(), asked && failure.is_none(), "{what} {mode:?}");
                assert_eq!(info.auth() == Auth::Pkix, asked && failure.is_none());
                assert_eq!(info.client_signature(), (asked && leaf.is_some()).then_some("ECDSA"));
                assert_eq!(info.server_signature(), Some("ECDSA"));
                match (failure, mode) {
                    (Some(code), ClientAuth::Require) => {
                        let error = down.unwrap_err();
                        assert_eq!((error.code(), error.action()), (code, smtptls::Action::Fail), "{what}");
                        assert_eq!((error.tlsrpt(), error.enhanced_status()), (None, None));
                    }
                    _ => down.unwrap_or_else(|error| panic!("{what} {mode:?}: {error}")),
                }
            }
        }
    }
}

/// R3207-4.1-4: after the verdict, 554 to all but QUIT, inside TLS.
#[test]
fn refused_inside_tls() {
    let mut c = Session::client(&client(None), &Policy::new(Level::Verify), HOST);
    let mut s = Session::server(&server(ClientAuth::Require, TlsVersion::Tls13), &Policy::new(Level::May));
    let (up, down) = start_both(&mut c, &mut s, Entry::Handshake, usize::MAX);
    up.unwrap();
    assert_eq!(down.unwrap_err().code(), Code::CertRequired);
    let _ = s.refuse().unwrap();
    for (command, reply) in
        [("EHLO a", "554 5.7.0 "), ("MAIL FROM:<a>", "554 5.7.0 "), ("QUIT", "221 2.0.0 ")]
    {
        let _ = c.write(format!("{command}\r\n").as_bytes(), false).unwrap();
        while give(&mut c, &mut s, usize::MAX) {}
        let _ = s.refuse().unwrap();
        while give(&mut s, &mut c, usize::MAX) {}
        let text = String::from_utf8(read(&mut c, 4000).unwrap()).unwrap();
        assert!(text.starts_with(reply), "{command}: {text}");
    }
}

/// Fingerprints of certificate and of key let a client in that no authority vouches for.
#[test]
fn fingerprints() {
    let own = self_signed(|_| {});
    let config = server(ClientAuth::Require, TlsVersion::Tls13);
    for of in FingerprintOf::ALL {
        let digest = of.fingerprint(smtptls::Digest::Sha256, &own.der).unwrap();
        let mut policy = Policy::new(Level::May);
        policy.add_fingerprint(*of, &digest).unwrap();
        let (session, _, down) = meet(&client(Some(&own)), &config, &policy);
        down.unwrap();
        let info = session.info().unwrap();
        assert_eq!((info.auth(), info.matched_fingerprint()), (Auth::Fingerprint, Some(digest.as_str())));
        assert_eq!(info.peer_fingerprint(*of, smtptls::Digest::Sha256), Some(digest));
        // One that is vouched for still is.
        let (session, _, down) = meet(&client(Some(&for_clients(authority()))), &config, &policy);
        down.unwrap();
        assert_eq!(session.info().unwrap().auth(), Auth::Pkix);
    }
    let (_, _, down) = meet(&client(Some(&own)), &config, &Policy::new(Level::May));
    assert_eq!(down.unwrap_err().code(), Code::CertUntrusted);
}

/// A resumed client is judged anew, from the certificate in its ticket: a root that is gone is missed.
#[test]
fn resumed_clients() {
    let good = for_clients(authority());
    for version in TlsVersion::ALL {
        let with_roots = |roots: &str| {
            let leaf = authority().leaf(&[HOST]);
            let mut builder = Config::builder();
            builder.add_keypair_pem(leaf.chain.as_bytes(), leaf.key.as_bytes()).unwrap();
            builder.add_roots_pem(roots.as_bytes()).unwrap();
            builder.client_auth(ClientAuth::Require, false).max_version(*version);
            builder.ticket_keys(&[&[7; 32]]).unwrap();
            builder.freeze().unwrap()
        };
        let mut builder = Config::builder();
        builder.add_roots_pem(authority().pem.as_bytes()).unwrap();
        builder.add_keypair_pem(good.chain.as_bytes(), good.key.as_bytes()).unwrap();
        builder.client_sessions(4);
        let client = builder.freeze().unwrap();
        let first = with_roots(&authority().pem);
        for resumed in [false, true] {
            let mut c = Session::client(&client, &Policy::new(Level::Verify), HOST);
            let mut s = Session::server(&first, &Policy::new(Level::May));
            let (up, down) = start_both(&mut c, &mut s, Entry::Handshake, usize::MAX);
            up.unwrap();
            down.unwrap();
            let info = s.info().unwrap();
            assert_eq!((info.resumed(), info.auth()), (resumed, Auth::Pkix), "{version:?}");
            assert!(info.peer_subject().is_some());
            let _ = s.write(b"x", false).unwrap();
            while give(&mut s, &mut c, usize::MAX) {}
            assert_eq!(read(&mut c, 1).unwrap(), b"x");
        }
        let (_, _, down) = meet(&client, &with_roots(&Authority::new("Other").pem), &Policy::new(Level::May));
        assert_eq!(down.unwrap_err().code(), Code::CertUntrusted, "{version:?}");
    }
}

/// R3207-4.1-7: what a Received header may say of the client, in Postfix's words; a name cannot end the comment.
#[test]
fn what_received_may_say_of_the_client() {
    let named = |name: &str| {
        authority().leaf_with(&["client.example.test"], |params| {
            params.distinguished_name.push(rcgen::DnType::CommonName, name);
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        })
    };
    let server = server(ClientAuth::Ask, TlsVersion::Tls13);
    for (leaf, expected) in [
        (Some(named("client")), Some("Client CN \"client\", Issuer \"Test Root\" (verified OK)")),
        (
            Some(for_clients(&Authority::new("Stranger"))),
            Some("Client CN \"leaf\", Issuer \"Stranger\" (not verified)"),
        ),
        (
            Some(named("a\" (verified OK))\r\nX: \\(é")),
            Some(
                "Client CN \"a\\\" \\(verified OK\\)\\)\\r\\nX: \\\\\\(\\xc3\\xa9\", Issuer \"Test Root\" (verified OK)",
            ),
        ),
        (None, None),
    ] {
        let client = client(leaf.as_ref());
        let mut c = Session::client(&client, &Policy::new(Level::Verify), HOST);
        let mut s = Session::server(&server, &Policy::new(Level::May));
        let (up, down) = start_both(&mut c, &mut s, Entry::Handshake, usize::MAX);
        up.unwrap();
        down.unwrap();
        assert_eq!(s.info().unwrap().received_client().as_deref(), expected);
        assert_eq!(c.info().unwrap().received_client(), None);
    }
}
