//! REQUIRETLS (RFC 8689): each condition by itself.

mod common;

use common::*;
use smtptls::{Code, Dnssec, Error, FingerprintOf, Level, Policy, Session, StsPolicy};

fn status(result: Result<(), Error>) -> String {
    match result {
        Ok(()) => "may be sent".to_string(),
        Err(error) => {
            assert_eq!((error.code(), error.action()), (Code::RequireTls, smtptls::Action::NextHost));
            assert!(!error.is_temporary() && error.tlsrpt().is_none());
            error.enhanced_status().unwrap().to_string()
        }
    }
}

/// R8689-2-3, R8689-4.2.1-5, R8689-4.2.1-6, R5248-2-1: TLS, MX validated, certificate verified, REQUIRETLS offered.
#[test]
fn conditions() {
    let leaf = authority().leaf(&[HOST]);
    let with_mx = |level: Level, mx: Dnssec| {
        let mut policy = Policy::new(level);
        policy.set_next_hop("example.test", None, mx).unwrap();
        policy
    };
    let sts = |mode: &str, mx: &str| {
        let mut policy = with_mx(Level::May, Dnssec::Insecure);
        let text = format!("version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: 86400\n");
        policy.set_sts(Some(StsPolicy::parse(text.as_bytes()).unwrap()));
        policy
    };
    let mut dane = with_mx(Level::Dane, Dnssec::Secure);
    dane.set_tlsa(None, Dnssec::Secure).unwrap().add_tlsa(leaf.tlsa(3, 1, 1));
    let mut dane_insecure = with_mx(Level::Dane, Dnssec::Insecure);
    dane_insecure.set_tlsa(None, Dnssec::Secure).unwrap().add_tlsa(leaf.tlsa(3, 1, 1));
    let mut pinned = with_mx(Level::Fingerprint, Dnssec::Secure);
    let digest = FingerprintOf::Certificate.fingerprint(smtptls::Digest::Sha256, &leaf.der).unwrap();
    pinned.add_fingerprint(FingerprintOf::Certificate, &digest).unwrap();
    let stranger = Authority::new("Stranger").leaf(&[HOST]);
    for (what, policy, leaf, want) in [
        ("verify, secure MX", with_mx(Level::Verify, Dnssec::Secure), &leaf, "may be sent"),
        ("verify, a configured relay", with_mx(Level::Verify, Dnssec::None), &leaf, "may be sent"),
        ("verify, insecure MX", with_mx(Level::Verify, Dnssec::Insecure), &leaf, "5.7.10"),
        ("verify, and nothing told of the MX", Policy::new(Level::Verify), &leaf, "5.7.10"),
        ("dane", dane, &leaf, "may be sent"),
        ("dane, insecure MX", dane_insecure, &leaf, "5.7.10"),
        ("MTA-STS", sts("enforce", HOST), &leaf, "may be sent"),
        ("MTA-STS, testing", sts("testing", HOST), &leaf, "may be sent"),
        ("MTA-STS, testing, and another host", sts("testing", "mx9.example.test"), &leaf, "5.7.10"),
        ("MTA-STS, none", sts("none", HOST), &leaf, "5.7.10"),
        ("may, and the certificate is good", with_mx(Level::May, Dnssec::Secure), &leaf, "may be sent"),
        ("may, and it is not", with_mx(Level::May, Dnssec::Secure), &stranger, "5.7.10"),
        ("fingerprint", pinned, &leaf, "5.7.10"),
    ] {
        let (session, result) = meet(&trusting(), &policy, HOST, leaf);
        result.unwrap();
        assert_eq!(status(session.check_requiretls(true)), want, "{what}");
        let not_offered = if want == "may be sent" { "5.7.30" } else { want };
        assert_eq!(status(session.check_requiretls(false)), not_offered, "{what}");
        assert!(session.error().is_none());
    }
    // No TLS at all.
    let session = Session::client(&trusting(), &with_mx(Level::May, Dnssec::Secure), HOST);
    assert_eq!(status(session.check_requiretls(true)), "5.7.10");
}
