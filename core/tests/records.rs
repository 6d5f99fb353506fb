//! TLSA records, fingerprints and names as text: every form that is accepted, every mistake, and print and parse.

mod common;

use common::*;
use proptest::prelude::*;
use smtptls::{Code, Digest, FingerprintOf, Level, Policy, Tlsa};

/// R6698-2.2-1: the presentation form and the wire form.
#[test]
fn forms_of_tlsa_records() {
    let record = Tlsa::new(3, 1, 1, &[0xab; 32]);
    let hex = "ab".repeat(32);
    for text in [
        format!("3 1 1 {hex}"),
        format!("3 1 1 {}", hex.to_uppercase()),
        format!("  3\t1 \n 1   {hex} "),
        format!("3 1 1 {} {}", &hex[..7], &hex[7..]),
        format!("03 001 1 {hex}"),
    ] {
        assert_eq!(text.parse::<Tlsa>().as_ref(), Ok(&record), "{text}");
    }
    assert_eq!(record.to_string(), format!("3 1 1 {hex}"));
    assert_eq!(Tlsa::from_rdata(&[&[3, 1, 1][..], &[0xab; 32]].concat()), Ok(record));
    // Without data it is unusable, and no mistake.
    for empty in ["3 1 1".parse::<Tlsa>().unwrap(), Tlsa::from_rdata(&[3, 1, 1]).unwrap()] {
        assert!(empty.unusable().is_some());
    }
    for text in [
        "",
        "3",
        "3 1",
        "3 1 x ab",
        "256 1 1 ab",
        "-1 1 1 ab",
        "+3 1 1 ab",
        "3 1 1 abc",
        "3 1 1 xy",
        "3 1 1 0xab",
        "3 1 1 \u{e9}\u{e9}",
    ] {
        let error = text.parse::<Tlsa>().unwrap_err();
        assert_eq!(error.code(), Code::Argument, "{text}");
    }
    assert_eq!("3 1 0 ".repeat(1 << 18).parse::<Tlsa>().unwrap_err().code(), Code::Argument);
    for rdata in [&[][..], &[3], &[3, 1]] {
        assert_eq!(Tlsa::from_rdata(rdata).unwrap_err().code(), Code::Argument);
    }
}

/// RFC 7671 section 10.1: what a domain publishes for its certificate.
#[test]
fn records_of_a_certificate() {
    let leaf = authority().leaf(&[HOST]);
    let record = Tlsa::of(3, 1, 1, &leaf.der).unwrap();
    assert_eq!(
        format!("sha256:{}", record.to_string().split(' ').nth(3).unwrap()),
        FingerprintOf::PublicKey.fingerprint(Digest::Sha256, &leaf.der).unwrap()
    );
    assert!(Tlsa::of(3, 0, 0, &leaf.der).unwrap().data == leaf.der);
    for (usage, selector, matching) in [(0, 0, 1), (1, 1, 1), (4, 0, 1), (3, 2, 1), (3, 1, 3)] {
        assert_eq!(Tlsa::of(usage, selector, matching, &leaf.der), None);
    }
    assert_eq!(Tlsa::of(3, 1, 1, b"no certificate"), None);
}

/// Fingerprints as they stand in tables: either case, with colons or without, with the algorithm or by length.
#[test]
fn fingerprints_of_tables() {
    let leaf = self_signed(expired);
    let nobody = smtptls::Config::builder().freeze().unwrap();
    for of in FingerprintOf::ALL {
        for digest in Digest::ALL {
            let text = of.fingerprint(*digest, &leaf.der).unwrap();
            let hex = text.split_once(':').unwrap().1;
            let colons: Vec<_> =
                hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap()).collect();
            let colons = colons.join(":");
            for form in [
                text.clone(),
                hex.to_string(),
                hex.to_uppercase(),
                colons.clone(),
                colons.to_uppercase(),
                format!("{}:{}", digest.name(), colons.to_uppercase()),
            ] {
                let mut policy = Policy::new(Level::Fingerprint);
                policy.add_fingerprint(*of, &form).unwrap();
                // Names, dates and issuers do not count.
                let (session, result) = meet(&nobody, &policy, "whatever.test", &leaf);
                result.unwrap_or_else(|error| panic!("{form}: {error}"));
                let info = session.info().unwrap();
                // R8314-5.4-1: told apart from a certificate of a trusted authority.
                assert_eq!(info.auth(), smtptls::Auth::Fingerprint);
                assert_eq!(info.matched_fingerprint(), Some(text.as_str()));
                assert_eq!(info.peer_fingerprint(*of, *digest).as_deref(), Some(text.as_str()));
                assert!(info.secured() && info.doubt().is_none());
            }
            let other = of.fingerprint(*digest, &authority().der).unwrap();
            let mut policy = Policy::new(Level::Fingerprint);
            policy.add_fingerprint(*of, &other).unwrap();
            let (session, result) = meet(&trusting(), &policy, HOST, &authority().leaf(&[HOST]));
            assert_eq!(result.unwrap_err().code(), Code::Fingerprint);
            assert!(!session.info().unwrap().secured());
            policy.add_fingerprint(*of, &text).unwrap();
            meet(&nobody, &policy, HOST, &leaf).1.unwrap();
        }
    }
    let hex = "ab".repeat(32);
    for text in [
        "".to_string(),
        "sha256:".to_string(),
        format!("md5:{}", "ab".repeat(16)),
        "ab".repeat(16),
        format!("sha1:{hex}"),
        format!("sha256:{}", &hex[1..]),
        format!("sha256:{}", &hex[2..]),
        format!("sha256:{hex}ab"),
        format!("sha256 {hex}"),
        format!("{}:{}", &hex[..31], &hex[31..]),
        format!("{}:", hex),
        "\u{e9}".repeat(32),
        "a".repeat(1 << 20),
    ] {
        let mut policy = Policy::new(Level::Fingerprint);
        let error = policy.add_fingerprint(FingerprintOf::Certificate, &text);
        assert_eq!(error.unwrap_err().code(), Code::Argument, "{}", &text[..text.len().min(80)]);
    }
    // Without one the level cannot be met.
    let error = Policy::new(Level::Fingerprint).effective_level(HOST).unwrap_err();
    assert_eq!(error.code(), Code::Argument);
}

/// R9525-6-1: U-labels are made A-labels, for the certificate and for SNI.
#[test]
fn internationalized_names() {
    let leaf = authority().leaf(&["xn--bcher-kva.example"]);
    for host in
        ["b\u{fc}cher.example", "B\u{dc}CHER.EXAMPLE.", "xn--bcher-kva.example", "XN--BCHER-KVA.example"]
    {
        let mut client = smtptls::Session::client(&trusting(), &Policy::new(Level::Verify), host);
        let mut server = smtptls::Session::server(&serving(&leaf), &Policy::new(Level::May));
        start_both(&mut client, &mut server, smtptls::Entry::Handshake, usize::MAX).0.unwrap();
        let sni = server.info().unwrap().server_name().map(str::to_ascii_lowercase);
        assert_eq!(sni.as_deref(), Some("xn--bcher-kva.example"));
    }
    let mut policy = Policy::new(Level::Verify);
    policy.add_name("b\u{fc}cher.example").unwrap();
    meet(&trusting(), &policy, "other.test", &leaf).1.unwrap();
    let result = meet(&trusting(), &Policy::new(Level::Verify), "b\u{fa}cher.example", &leaf).1;
    assert_eq!(result.unwrap_err().code(), Code::CertName);
}

proptest! {
    /// Whatever comes: no panic, and print and parse.
    #[test]
    fn tlsa_round_trips(usage: u8, selector: u8, matching: u8, data in proptest::collection::vec(any::<u8>(), 0..100)) {
        let record = Tlsa::new(usage, selector, matching, &data);
        prop_assert_eq!(record.to_string().parse::<Tlsa>().unwrap(), record.clone());
        prop_assert_eq!(Tlsa::from_rdata(&record.to_rdata()).unwrap(), record.clone());
        let _ = record.unusable();
    }

    #[test]
    fn any_text(text in ".{0,80}", near in "[0-9a-fA-F: ]{0,70}") {
        for text in [text, near] {
            let _ = text.parse::<Tlsa>();
            let _ = format!("3 1 1 {text}").parse::<Tlsa>();
            let mut policy = Policy::new(Level::Fingerprint);
            let _ = policy.add_fingerprint(FingerprintOf::PublicKey, &text);
            let _ = policy.add_fingerprint(FingerprintOf::PublicKey, &format!("sha1:{text}"));
            let _ = policy.add_name(&text);
            let _ = policy.set_sni(Some(&text));
            let _ = policy.set_next_hop(&text, Some(&text), smtptls::Dnssec::Secure);
            let _ = policy.set_tlsa(Some(&text), smtptls::Dnssec::Secure);
            let _ = policy.effective_level(&text);
        }
    }

    /// A record is never taken for a certificate, nor a certificate for a record, by chance.
    #[test]
    fn certificates_of_any_octets(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(FingerprintOf::PublicKey.fingerprint(Digest::Sha256, &octets), None);
        prop_assert!(FingerprintOf::Certificate.fingerprint(Digest::Sha1, &octets).is_some());
    }
}
