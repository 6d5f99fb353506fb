//! What a policy comes to before the connection: the effective level, by local level, DANE, MTA-STS and message.

mod common;

use common::*;
use smtptls::{Action, Code, Dnssec, Entry, Error, Level, Policy, Session, StsPolicy, Tlsa, Tlsrpt};

const MX: &str = "mx1.example.test";

fn sts(mode: &str, mx: &str) -> StsPolicy {
    StsPolicy::parse(format!("version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: 86400\n").as_bytes()).unwrap()
}

fn usable() -> Tlsa {
    Tlsa::new(3, 1, 1, &[7; 32])
}

/// The effective level, or code, action and report.
fn tell(policy: &Policy) -> String {
    word(policy.effective_level(MX))
}

fn word(result: Result<Level, Error>) -> String {
    match result {
        Ok(level) => level.name().to_string(),
        Err(error) => {
            let code = error.code().name().trim_start_matches("SMTPTLS_ERR_");
            let kind = error.tlsrpt().map(|kind| kind.name()).unwrap_or("none");
            assert!(error.is_temporary());
            format!("{code} {} {kind}", error.action().name())
        }
    }
}

const LOOKUP: &str = "DNSSEC next-host dnssec-invalid";
const REQUIRED: &str = "DANE_REQUIRED next-host dane-required";

/// R7672-2.1-1, R7672-2.1-2, R7672-2.2-1 to R7672-2.2-5, R7672-2.2.1-2, R7672-2.2.1-3, R7672-2.2.2-1, R7672-2.2.3-4,
/// R6698-4.1-1: MX, address and TLSA status, the records, and what dane and dane-only come to.
#[test]
fn dnssec_and_levels() {
    use Dnssec::{Bogus, Error, Insecure, None, Secure};
    let all: &[Tlsa] = &[usable(), Tlsa::new(0, 0, 1, &[7; 32])];
    let unusable = &all[1..];
    let tlsa_invalid = "DANE_REQUIRED next-host tlsa-invalid";
    for (mx, address, status, records, dane, only) in [
        (Secure, Secure, Secure, all, "dane", "dane-only"),
        (None, None, Secure, all, "dane", "dane-only"),
        (Secure, Secure, Secure, unusable, "encrypt", tlsa_invalid),
        (Secure, Secure, Secure, &[], "may", REQUIRED),
        (Secure, Secure, Insecure, &[], "may", REQUIRED),
        // Records without security are no records.
        (Secure, Secure, Insecure, all, "may", REQUIRED),
        (Secure, Insecure, Insecure, unusable, "may", REQUIRED),
        // Below an insecure address no lookup is made; if it was and is secure, it counts.
        (Secure, Insecure, None, &[], "may", REQUIRED),
        (Secure, Insecure, Secure, all, "dane", "dane-only"),
        // An insecure MX answer leaves the host's own records, and mandatory DANE waits.
        (Insecure, Secure, Secure, all, "dane", REQUIRED),
        (Insecure, None, None, &[], "may", REQUIRED),
        // A failed lookup may hide records: never plaintext.
        (Secure, Secure, Bogus, &[], LOOKUP, LOOKUP),
        (Secure, Secure, Error, &[], LOOKUP, LOOKUP),
        (Secure, Secure, Error, all, LOOKUP, LOOKUP),
        (Secure, Error, Secure, all, LOOKUP, LOOKUP),
        (Secure, Bogus, None, &[], LOOKUP, LOOKUP),
        (Bogus, Secure, Secure, all, LOOKUP, LOOKUP),
        (Error, None, None, &[], LOOKUP, LOOKUP),
    ] {
        for (level, want) in [(Level::Dane, dane), (Level::DaneOnly, only)] {
            let mut policy = Policy::new(level);
            policy.set_next_hop("example.test", Option::None, mx).unwrap();
            policy.set_address_dnssec(address);
            policy.set_tlsa(Option::None, status).unwrap();
            for record in records {
                policy.add_tlsa(record.clone());
            }
            assert_eq!(tell(&policy), want, "{level:?} {mx:?} {address:?} {status:?} {records:?}");
        }
    }
}

/// No status has a default: a program that forgets what its resolver said finds out.
#[test]
fn a_forgotten_status_is_an_error() {
    for level in [Level::Dane, Level::DaneOnly] {
        assert_eq!(tell(&Policy::new(level)), "ARGUMENT fail none");
        let mut policy = Policy::new(level);
        policy.add_tlsa(usable());
        assert_eq!(tell(&policy), "ARGUMENT fail none");
    }
}

/// R7672-2.2-6: an address literal has no TLSA records.
#[test]
fn addresses_have_no_dane() {
    for host in ["[192.0.2.1]", "192.0.2.1", "[IPv6:2001:db8::1]"] {
        assert_eq!(word(Policy::new(Level::Dane).effective_level(host)), "may");
        assert_eq!(word(Policy::new(Level::DaneOnly).effective_level(host)), REQUIRED);
    }
}

/// R8461-2-1, R8461-5-1, R8461-5-2, R8689-3-1, and the order of precedence: local level, `TLS-Required: No`, DANE,
/// MTA-STS, local default.
#[test]
fn who_outweighs_whom() {
    let (enforce, testing, none) = (sts("enforce", MX), sts("testing", MX), sts("none", MX));
    let (elsewhere, astray) = (sts("enforce", "mx9.example.test"), sts("testing", "mx9.example.test"));
    const MISMATCH: &str = "STS_MX next-host validation-failure";
    // What DANE has: nothing secure, usable records, only unusable ones, a failed lookup.
    #[derive(Clone, Copy)]
    enum Dns {
        Nothing,
        Usable,
        Unusable,
        Failed,
    }
    for (level, dns, sts, optional, want) in [
        (Level::May, Dns::Nothing, None, None, "may"),
        (Level::May, Dns::Nothing, Some(&enforce), None, "verify"),
        (Level::May, Dns::Nothing, Some(&testing), None, "may"),
        (Level::May, Dns::Nothing, Some(&none), None, "may"),
        (Level::May, Dns::Nothing, Some(&elsewhere), None, MISMATCH),
        (Level::May, Dns::Nothing, Some(&astray), None, "may"),
        (Level::Encrypt, Dns::Nothing, Some(&enforce), None, "verify"),
        (Level::Encrypt, Dns::Nothing, Some(&testing), None, "encrypt"),
        (Level::Encrypt, Dns::Nothing, Some(&elsewhere), None, MISMATCH),
        (Level::Dane, Dns::Nothing, Some(&enforce), None, "verify"),
        (Level::Dane, Dns::Nothing, Some(&elsewhere), None, MISMATCH),
        (Level::Dane, Dns::Usable, Some(&enforce), None, "dane"),
        (Level::Dane, Dns::Usable, Some(&elsewhere), None, "dane"),
        (Level::Dane, Dns::Unusable, Some(&enforce), None, "encrypt"),
        (Level::Dane, Dns::Failed, Some(&enforce), None, LOOKUP),
        (Level::DaneOnly, Dns::Usable, Some(&elsewhere), None, "dane-only"),
        (Level::DaneOnly, Dns::Nothing, Some(&enforce), None, REQUIRED),
        (Level::Verify, Dns::Usable, Some(&elsewhere), None, "verify"),
        (Level::None, Dns::Usable, Some(&enforce), None, "none"),
        // TLS is not used at other levels' request for DANE.
        (Level::May, Dns::Usable, None, None, "may"),
        (Level::May, Dns::Failed, None, None, "may"),
        // The message says TLS-Required: No.
        (Level::May, Dns::Nothing, Some(&enforce), Some(false), "may"),
        (Level::Dane, Dns::Usable, Some(&elsewhere), Some(false), "may"),
        (Level::Dane, Dns::Failed, None, Some(false), "may"),
        (Level::Encrypt, Dns::Nothing, Some(&enforce), Some(false), "encrypt"),
        (Level::DaneOnly, Dns::Usable, None, Some(false), "dane-only"),
        (Level::DaneOnly, Dns::Nothing, None, Some(false), REQUIRED),
        (Level::Verify, Dns::Nothing, None, Some(false), "verify"),
        (Level::Verify, Dns::Nothing, None, Some(true), "may"),
        (Level::DaneOnly, Dns::Failed, None, Some(true), "may"),
        (Level::None, Dns::Nothing, None, Some(true), "none"),
    ] {
        let mut policy = Policy::new(level);
        let (status, record) = match dns {
            Dns::Nothing => (Dnssec::Insecure, None),
            Dns::Usable => (Dnssec::Secure, Some(usable())),
            Dns::Unusable => (Dnssec::Secure, Some(Tlsa::new(1, 1, 1, &[7; 32]))),
            Dns::Failed => (Dnssec::Error, None),
        };
        policy.set_tlsa(None, status).unwrap();
        if let Some(record) = record {
            policy.add_tlsa(record);
        }
        policy.set_sts(sts.cloned());
        if let Some(always) = optional {
            policy.set_tls_optional(always);
        }
        assert_eq!(tell(&policy), want, "{level:?} {sts:?} {optional:?}");
    }
}

/// R8461-4-1, R8461-4.2-1: under enforce the certificate must be for the MX host; other names do not count.
#[test]
fn enforce_asks_for_the_mx_host() {
    let mut policy = Policy::new(Level::May);
    policy.set_sts(Some(sts("enforce", "*.example.test")));
    policy.add_name("mx2.example.test").unwrap();
    for (names, code) in [
        (&[MX][..], None),
        (&["*.example.test"], None),
        (&["mx2.example.test"], Some(Code::CertName)),
        (&["example.test"], Some(Code::CertName)),
        (&[], Some(Code::CertName)),
    ] {
        let (session, result) = meet(&trusting(), &policy, MX, &authority().leaf(names));
        assert_eq!(result.as_ref().err().map(Error::code), code, "{names:?}");
        assert_eq!(session.info().unwrap().level(), Level::Verify);
        if let Err(error) = result {
            assert_eq!(error.action(), Action::NextHost);
        }
    }
    let stranger = Authority::new("Stranger");
    let result = meet(&trusting(), &policy, MX, &stranger.leaf(&[MX])).1;
    assert_eq!(result.unwrap_err().code(), Code::CertUntrusted);
    let result = meet(&trusting(), &policy, MX, &authority().leaf_with(&[MX], expired)).1;
    assert_eq!(result.unwrap_err().code(), Code::CertTime);
}

/// R8461-5-2, R8460-4.3-2: under testing mail goes on, and each failure is told; under none nothing is.
#[test]
fn testing_delivers_and_reports() {
    let stranger = Authority::new("Stranger");
    let bad = stranger.leaf_with(&["other.test"], expired);
    let kinds = |session: &Session| -> Vec<_> {
        session.reports().iter().map(|report| report.kind().name()).collect()
    };
    for (mode, mx, leaf, want) in [
        ("testing", MX, authority().leaf(&[MX]), &[][..]),
        ("testing", "mx9.example.test", authority().leaf(&[MX]), &["validation-failure"]),
        ("testing", MX, bad.clone(), &["certificate-expired", "certificate-host-mismatch"]),
        ("none", MX, bad.clone(), &[]),
    ] {
        let mut policy = Policy::new(Level::May);
        policy.set_sts(Some(sts(mode, mx)));
        let (session, result) = meet(&trusting(), &policy, MX, &leaf);
        result.unwrap();
        assert_eq!(session.info().unwrap().level(), Level::May);
        assert_eq!(kinds(&session), want, "{mode} {mx}");
    }
    // Enforced, the same failures end it, and both are reported.
    let mut policy = Policy::new(Level::May);
    policy.set_sts(Some(sts("enforce", MX)));
    let (session, result) = meet(&trusting(), &policy, MX, &bad);
    assert_eq!(result.unwrap_err().code(), Code::CertTime);
    assert_eq!(kinds(&session), ["certificate-expired", "certificate-host-mismatch"]);
}

/// R8461-5-1: a host that the policy does not name gets no byte, at any entry.
#[test]
fn no_byte_to_a_host_that_must_not_have_mail() {
    let mut astray = Policy::new(Level::May);
    astray.set_sts(Some(sts("enforce", "mx9.example.test")));
    let mut bogus = Policy::new(Level::Dane);
    bogus.set_tlsa(None, Dnssec::Bogus).unwrap();
    let mut nothing = Policy::new(Level::DaneOnly);
    nothing.set_tlsa(None, Dnssec::Secure).unwrap();
    for (policy, code, kind) in [
        (&astray, Code::StsMx, Tlsrpt::ValidationFailure),
        (&bogus, Code::Dnssec, Tlsrpt::DnssecInvalid),
        (&nothing, Code::DaneRequired, Tlsrpt::DaneRequired),
    ] {
        for entry in Entry::ALL {
            let mut session = Session::client(&trusting(), policy, MX);
            let error = session.start(*entry, 0).unwrap_err();
            assert_eq!((error.code(), error.action(), error.tlsrpt()), (code, Action::NextHost, Some(kind)));
            assert!(session.output().is_empty());
            assert_eq!(session.reports().len(), 1);
            assert!(!error.tlsrpt_reason().unwrap().is_empty());
        }
    }
}

/// Level none: the dialogue goes on in plaintext, and STARTTLS is not sent even where it is offered.
#[test]
fn level_none() {
    let mut session = Session::client(&trusting(), &Policy::new(Level::None), MX);
    let _ = session.start(Entry::Greeting, 0).unwrap();
    feed(&mut session, b"220 mx\r\n");
    let _ = session.start(Entry::Greeting, 0).unwrap();
    assert!(take(&mut session).starts_with(b"EHLO "));
    feed(&mut session, b"250-mx\r\n250 STARTTLS\r\n");
    let error = session.start(Entry::Greeting, 0).unwrap_err();
    assert_eq!((error.code(), error.action(), error.tlsrpt()), (Code::NotWanted, Action::Continue, None));
    assert!(session.output().is_empty() && !session.is_tls());

    let mut session = Session::client(&trusting(), &Policy::new(Level::None), MX);
    let error = session.start(Entry::Command, 0).unwrap_err();
    assert_eq!((error.code(), error.action()), (Code::NotWanted, Action::Continue));
    assert!(session.output().is_empty());

    let mut session = Session::client(&trusting(), &Policy::new(Level::None), MX);
    assert_eq!(session.start(Entry::Handshake, 0).unwrap_err().code(), Code::Argument);

    // A server does not offer it, and answers it as a command that it does not have.
    let mut session = server(Level::None);
    let _ = session.start(Entry::Greeting, 0).unwrap();
    take(&mut session);
    feed(&mut session, b"EHLO a\r\n");
    let _ = session.start(Entry::Greeting, 0).unwrap();
    assert!(!String::from_utf8(take(&mut session)).unwrap().contains("STARTTLS"));
    feed(&mut session, b"STARTTLS\r\n");
    let _ = session.start(Entry::Greeting, 0).unwrap();
    assert!(take(&mut session).starts_with(b"502 5.5.1 "));
}

/// `secure` asks for the next hop, and will not take the name of an MX host for it.
#[test]
fn level_secure() {
    assert_eq!(tell(&Policy::new(Level::Secure)), "ARGUMENT fail none");
    let mut policy = Policy::new(Level::Secure);
    policy.set_next_hop("example.test", None, Dnssec::None).unwrap();
    let other_domain = "mx.provider.test";
    for (names, fits) in [
        (&["example.test"][..], true),
        (&["mx.example.test"], true),
        (&["a.b.example.test"], true),
        (&["*.example.test"], true),
        (&[other_domain], false),
        (&["badexample.test"], false),
    ] {
        let (session, result) = meet(&trusting(), &policy, other_domain, &authority().leaf(names));
        assert_eq!(result.is_ok(), fits, "{names:?}");
        assert_eq!(session.info().unwrap().level(), Level::Secure);
        assert_eq!(session.info().unwrap().secured(), fits);
    }
    // Names that were added take its place.
    let mut policy = Policy::new(Level::Secure);
    policy.add_name(other_domain).unwrap();
    meet(&trusting(), &policy, "unknown.test", &authority().leaf(&[other_domain])).1.unwrap();
    // At the DANE levels the DNS gives the names, and nobody else.
    let mut policy = Policy::new(Level::Dane);
    policy.set_tlsa(None, Dnssec::Secure).unwrap().add_tlsa(usable()).add_name("a.test").unwrap();
    assert_eq!(tell(&policy), "ARGUMENT fail none");
}

/// R3207-6-2: whatever the level comes to decides about plaintext, and not the level that was asked for.
#[test]
fn plaintext_follows_the_effective_level() {
    let mut unusable = Policy::new(Level::Dane);
    unusable.set_tlsa(None, Dnssec::Secure).unwrap().add_tlsa(Tlsa::new(0, 0, 1, &[7; 32]));
    let mut insecure = Policy::new(Level::Dane);
    insecure.set_tlsa(None, Dnssec::Insecure).unwrap();
    let mut enforced = Policy::new(Level::May);
    enforced.set_sts(Some(sts("enforce", MX)));
    let mut testing = Policy::new(Level::May);
    testing.set_sts(Some(sts("testing", MX)));
    for (policy, action) in [
        (&unusable, Action::NextHost),
        (&enforced, Action::NextHost),
        (&insecure, Action::Continue),
        (&testing, Action::Continue),
    ] {
        let mut session = Session::client(&trusting(), policy, MX);
        let _ = session.start(Entry::Greeting, 0).unwrap();
        feed(&mut session, b"220 mx\r\n");
        let _ = session.start(Entry::Greeting, 0).unwrap();
        take(&mut session);
        feed(&mut session, b"250 mx\r\n");
        let error = session.start(Entry::Greeting, 0).unwrap_err();
        assert_eq!((error.code(), error.action()), (Code::NotOffered, action));
        assert_eq!(error.enhanced_status(), Some("4.7.4"));
    }
}
