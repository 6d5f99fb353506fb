//! Judging the peer at each level: chains, names, trust.

mod common;

use common::*;
use rcgen::{BasicConstraints, IsCa, date_time_ymd};
use smtptls::{Auth, Code, Config, Entry, Level, Policy, Session, Tlsrpt};

/// R3207-4.1-2, R7817-3-1, R7817-3-8, R7817-3-9, R9525-6-1: chain x level. At may and encrypt every chain brings
/// TLS up, and Info says what is wrong with it.
#[test]
fn chains_and_levels() {
    let other = Authority::new("Other Root");
    let a = authority();
    type Case = (&'static str, Leaf, Option<(Code, Tlsrpt)>);
    let cases: Vec<Case> = vec![
        ("right", a.leaf(&[HOST]), None),
        ("several names", a.leaf(&["a.example.test", HOST]), None),
        ("upper case", a.leaf(&["MX.Example.Test"]), None),
        ("wildcard", a.leaf(&["*.example.test"]), None),
        (
            "wildcard for one label only",
            a.leaf(&["*.test"]),
            Some((Code::CertName, Tlsrpt::CertificateHostMismatch)),
        ),
        (
            "wrong name",
            a.leaf(&["mx2.example.test"]),
            Some((Code::CertName, Tlsrpt::CertificateHostMismatch)),
        ),
        ("an address", a.leaf(&["127.0.0.1"]), Some((Code::CertName, Tlsrpt::CertificateHostMismatch))),
        (
            "name in CN only",
            a.leaf_with(&[], |params| {
                params.distinguished_name = rcgen::DistinguishedName::new();
                params.distinguished_name.push(rcgen::DnType::CommonName, HOST);
            }),
            Some((Code::CertName, Tlsrpt::CertificateHostMismatch)),
        ),
        (
            "unknown authority",
            other.leaf(&[HOST]),
            Some((Code::CertUntrusted, Tlsrpt::CertificateNotTrusted)),
        ),
        ("self-signed", self_signed(|_| {}), Some((Code::CertUntrusted, Tlsrpt::CertificateNotTrusted))),
        (
            "self-signed authority",
            self_signed(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
            Some((Code::CertUntrusted, Tlsrpt::CertificateNotTrusted)),
        ),
        (
            "expired",
            a.leaf_with(&[HOST], |params| {
                (params.not_before, params.not_after) =
                    (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
            }),
            Some((Code::CertTime, Tlsrpt::CertificateExpired)),
        ),
        (
            "not valid yet",
            a.leaf_with(&[HOST], |params| {
                (params.not_before, params.not_after) =
                    (date_time_ymd(3001, 1, 1), date_time_ymd(3002, 1, 1));
            }),
            Some((Code::CertTime, Tlsrpt::ValidationFailure)),
        ),
        (
            "for clients only",
            a.leaf_with(&[HOST], |params| {
                params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
            }),
            Some((Code::CertInvalid, Tlsrpt::ValidationFailure)),
        ),
    ];
    for (name, leaf, failure) in &cases {
        for level in &BARE_LEVELS {
            let (session, result) = meet(&trusting(), &Policy::new(*level), HOST, leaf);
            let info = session.info().unwrap();
            assert_eq!(info.level(), *level);
            assert_eq!(info.auth(), if failure.is_none() { Auth::Pkix } else { Auth::None }, "{name}");
            assert_eq!(info.doubt().is_some(), failure.is_some(), "{name}");
            match failure {
                Some((code, tlsrpt)) if *level == Level::Verify => {
                    let error = result.unwrap_err();
                    assert_eq!((error.code(), error.tlsrpt()), (*code, Some(*tlsrpt)), "{name}: {error}");
                    assert_eq!(error.action(), smtptls::Action::NextHost);
                }
                _ => result.unwrap_or_else(|error| panic!("{name} at {level:?}: {error}")),
            }
        }
    }
}

/// A certificate made by `openssl req -x509`, which is its own authority, is trusted where it is an anchor; and only
/// that one.
#[test]
fn a_leaf_that_is_an_anchor() {
    for is_ca in [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
        let leaf = self_signed(|params| params.is_ca = is_ca);
        let twin = self_signed(|params| params.is_ca = is_ca);
        let mut builder = Config::builder();
        builder.add_roots_pem(leaf.chain.as_bytes()).unwrap();
        let config = builder.freeze().unwrap();
        let verify = Policy::new(Level::Verify);
        meet(&config, &verify, HOST, &leaf).1.unwrap();
        assert_eq!(meet(&config, &verify, "other.test", &leaf).1.unwrap_err().code(), Code::CertName);
        assert_eq!(meet(&config, &verify, HOST, &twin).1.unwrap_err().code(), Code::CertUntrusted);
        let expired = self_signed(|params| {
            params.is_ca = is_ca;
            (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
        });
        let mut builder = Config::builder();
        builder.add_roots_pem(expired.chain.as_bytes()).unwrap();
        let config = builder.freeze().unwrap();
        assert_eq!(meet(&config, &verify, HOST, &expired).1.unwrap_err().code(), Code::CertTime);
    }
}

/// Names apart from the host: added ones take its place; `.example.test` is any host below; an IP address is
/// compared with addresses only (R9525-6-2).
#[test]
fn names_of_the_policy() {
    let leaf = authority().leaf(&["mx.example.test", "127.0.0.1"]);
    let wild = authority().leaf(&["*.example.test"]);
    for (host, names, leaf, fits) in [
        ("mx.example.test", &[][..], &leaf, true),
        ("MX.EXAMPLE.TEST.", &[], &leaf, true),
        ("127.0.0.1", &[], &leaf, true),
        ("[127.0.0.1]", &[], &leaf, true),
        ("127.0.0.2", &[], &leaf, false),
        ("localhost", &["mx.example.test"], &leaf, true),
        ("localhost", &["a.test", "mx.example.test"], &leaf, true),
        ("mx.example.test", &["other.test"], &leaf, false),
        ("localhost", &[".example.test"], &leaf, true),
        ("localhost", &[".example.test"], &wild, true),
        ("localhost", &[".test"], &leaf, true),
        ("localhost", &[".mx.example.test"], &leaf, false),
        ("localhost", &[".ample.test"], &leaf, false),
    ] {
        let mut policy = Policy::new(Level::Verify);
        for name in names {
            policy.add_name(name).unwrap();
        }
        let result = meet(&trusting(), &policy, host, leaf).1;
        assert_eq!(result.is_ok(), fits, "{host} {names:?}: {result:?}");
    }
    for name in ["", "a b", "a\0b", "é .test"] {
        assert_eq!(Policy::new(Level::Verify).add_name(name).unwrap_err().code(), Code::Argument);
    }
}

/// SNI is set apart from the names, and can be off.
#[test]
fn sni() {
    let leaf = authority().leaf(&[HOST]);
    for (host, sni, want) in [
        (HOST, Some(None), None),
        (HOST, Some(Some("sni.example.test")), Some("sni.example.test")),
        (HOST, None, Some(HOST)),
        ("127.0.0.1", None, None),
        ("/run/lmtp.sock", None, None),
    ] {
        let mut policy = Policy::new(Level::Encrypt);
        if let Some(sni) = sni {
            policy.set_sni(sni).unwrap();
        }
        let mut c = Session::client(&trusting(), &policy, host);
        let mut s = Session::server(&serving(&leaf), &Policy::new(Level::May));
        start_both(&mut c, &mut s, Entry::Handshake, usize::MAX).0.unwrap();
        assert_eq!(s.info().unwrap().server_name(), want);
    }
    assert_eq!(Policy::new(Level::May).set_sni(Some("127.0.0.1")).unwrap_err().code(), Code::Argument);
}

/// Several key pairs: by name, by wildcard, and the first for the rest (R7672-8.1-3, R8461-7.1-3); at verify, from the
/// handshake on, as on port 465 (R8314-3.3-2).
#[test]
fn several_key_pairs() {
    let mut builder = Config::builder();
    for names in [&["first.test"][..], &["second.test", "third.test"], &["*.wild.test"]] {
        let leaf = authority().leaf(names);
        builder.add_keypair_pem(leaf.chain.as_bytes(), leaf.key.as_bytes()).unwrap();
    }
    let config = builder.freeze().unwrap();
    for (host, fits) in [
        ("first.test", true),
        ("second.test", true),
        ("THIRD.test", true),
        ("a.wild.test", true),
        ("unknown.test", false),
    ] {
        let mut c = Session::client(&trusting(), &Policy::new(Level::Verify), host);
        let mut s = Session::server(&config, &Policy::new(Level::May));
        let (up, down) = start_both(&mut c, &mut s, Entry::Handshake, usize::MAX);
        down.unwrap();
        assert_eq!(up.is_ok(), fits, "{host}");
        if !fits {
            assert!(up.unwrap_err().message().contains("first.test"));
        }
    }
}

/// A chain without a handshake comes to the same verdict.
#[test]
fn offline() {
    let other = Authority::new("Other Root");
    for (leaf, names) in
        [(authority().leaf(&[HOST]), HOST), (other.leaf(&[HOST]), HOST), (authority().leaf(&["a.test"]), "")]
    {
        for level in &BARE_LEVELS {
            let policy = Policy::new(*level);
            let (session, result) = meet(&trusting(), &policy, HOST, &leaf);
            let judged = trusting().judge(&policy, HOST, &[&leaf.der]);
            assert_eq!(judged.as_ref().err(), result.as_ref().err(), "{names}");
            assert_eq!(judged.unwrap_or(Auth::None), session.info().unwrap().auth());
        }
    }
    let nobody = Config::builder().freeze().unwrap();
    let verify = Policy::new(Level::Verify);
    assert_eq!(nobody.judge(&verify, HOST, &[]).unwrap_err().code(), Code::NoRoots);
    assert_eq!(trusting().judge(&verify, HOST, &[]).unwrap_err().code(), Code::CertInvalid);
    assert_eq!(trusting().judge(&verify, HOST, &[b"no certificate"]).unwrap_err().code(), Code::CertInvalid);
}

/// A chain is judged as it would be at another time.
#[test]
fn at_another_time() {
    let day = |year| date_time_ymd(year, 1, 1).unix_timestamp() as u64;
    let leaf = authority().leaf_with(&[HOST], |params| {
        (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2003, 1, 1));
    });
    let verify = Policy::new(Level::Verify);
    let judged = |now| trusting().judge_at(&verify, HOST, &[&leaf.der], now).map_err(|error| error.code());
    assert_eq!(trusting().judge(&verify, HOST, &[&leaf.der]).unwrap_err().code(), Code::CertTime);
    assert_eq!(judged(day(2002)), Ok(Auth::Pkix));
    assert_eq!(judged(day(2000)), Err(Code::CertTime));
    assert_eq!(judged(day(2004)), Err(Code::CertTime));
}

/// SEC-11: signatures that were found good are remembered, and nothing else is.
#[test]
fn a_chain_that_was_good_is_judged_anew() {
    let inner = authority().child("Intermediate");
    let leaf = inner.leaf(&[HOST]);
    let (config, verify) = (trusting(), Policy::new(Level::Verify));
    let code = |host, chain: &[&[u8]]| config.judge(&verify, host, chain).map_err(|error| error.code());
    for _ in 0..2 {
        assert_eq!(code(HOST, &[&leaf.der, &inner.der]), Ok(Auth::Pkix));
    }
    assert_eq!(code("other.example.test", &[&leaf.der, &inner.der]), Err(Code::CertName));
    assert_eq!(code(HOST, &[&leaf.der]), Err(Code::CertUntrusted));
    let later = config.judge_at(&verify, HOST, &[&leaf.der, &inner.der], 100_000_000_000);
    assert_eq!(later.unwrap_err().code(), Code::CertTime);
    // An octet less or more of the signature, of what is signed, and of who signed it.
    for (which, from_end) in [(0, 1), (0, 200), (1, 1)] {
        let mut chain = [leaf.der.clone(), inner.der.clone()];
        let at = chain[which].len() - from_end;
        chain[which][at] ^= 1;
        assert!(code(HOST, &[&chain[0], &chain[1]]).is_err(), "{which} {from_end}");
    }
    let other = Authority::new("Other Root").child("Intermediate");
    assert_eq!(code(HOST, &[&leaf.der, &other.der]), Err(Code::CertUntrusted));
    // A list that comes later is for a configuration that is made later, and that one knows nothing.
    let mut builder = Config::builder();
    builder.add_roots_pem(Authority::new("Other Root").pem.as_bytes()).unwrap();
    let error = builder.freeze().unwrap().judge(&verify, HOST, &[&leaf.der, &inner.der]).unwrap_err();
    assert_eq!(error.code(), Code::CertUntrusted);
}

/// As Exim's tls_verify_hosts without tls_verify_cert_hostnames: the chain counts, and the name does not. Such a peer is
/// not the destination's for all we know.
#[test]
fn any_name_of_a_trusted_authority() {
    let policy = |any: bool| {
        let mut policy = Policy::new(Level::Verify);
        policy.set_insecure_any_name(any);
        policy
    };
    let other = authority().leaf(&["other.example.test"]);
    let (session, result) = meet(&trusting(), &policy(true), HOST, &other);
    result.unwrap();
    let info = session.info().unwrap();
    assert_eq!((info.auth(), info.name_matched(), info.secured()), (Auth::Pkix, false, false));
    assert!(session.check_requiretls(true).is_err());
    let (_, result) = meet(&trusting(), &policy(false), HOST, &other);
    assert_eq!(result.unwrap_err().code(), Code::CertName);
    let (_, result) = meet(&trusting(), &policy(true), HOST, &Authority::new("Other Root").leaf(&[HOST]));
    assert_eq!(result.unwrap_err().code(), Code::CertUntrusted);
    // One with the right name is as secure as ever.
    let (session, result) = meet(&trusting(), &policy(true), HOST, &authority().leaf(&[HOST]));
    result.unwrap();
    assert!(session.info().unwrap().secured());
    // A host that is no name at all, such as the path of a socket.
    let (_, result) = meet(&trusting(), &policy(true), "/run/mail", &other);
    result.unwrap();
}
