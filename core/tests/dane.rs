//! DANE for SMTP: RFC 7672 and RFC 7671, with chains of our own. The first table has the cases of OpenSSL's test of
//! DANE, made anew.

mod common;

use common::*;
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, NameConstraints};
use smtptls::{Action, Auth, Code, Config, Dnssec, Level, Policy, Session, Tlsa, Tlsrpt};

/// Nobody is trusted but by the records.
fn nobody() -> Config {
    Config::builder().freeze().unwrap()
}

fn dane(records: &[Tlsa]) -> Policy {
    let mut policy = Policy::new(Level::Dane);
    policy.set_tlsa(None, Dnssec::Secure).unwrap();
    for record in records {
        policy.add_tlsa(record.clone());
    }
    policy
}

/// The outcome in one word, with the depth of the record or of the doubt.
fn verdict(records: &[Tlsa], leaf: &Leaf) -> String {
    let (session, result) = meet(&nobody(), &dane(records), HOST, leaf);
    tell(&session, result)
}

fn tell(session: &Session, result: Result<(), smtptls::Error>) -> String {
    let info = session.info().unwrap();
    match result {
        Ok(()) => {
            assert!(info.auth() == Auth::DaneTa || info.auth() == Auth::DaneEe, "{:?}", info.auth());
            assert!(info.trusted() && info.doubt().is_none());
            format!("{} {}", info.auth().name(), info.tlsa_depth().unwrap())
        }
        Err(error) => {
            assert_eq!(error.action(), Action::NextHost);
            assert_eq!(error.enhanced_status(), Some("4.7.5"));
            assert!(info.matched_tlsa().is_none() || error.code() == Code::CertName, "{error}");
            assert_eq!(info.auth(), Auth::None);
            let kind = error.tlsrpt().map(|kind| kind.name()).unwrap_or_default();
            format!(
                "{} {} {kind}",
                error.code().name().trim_start_matches("SMTPTLS_ERR_"),
                info.doubt_depth().unwrap()
            )
        }
    }
}

fn zeros(usage: u8, selector: u8, matching: u8) -> Tlsa {
    let length = if matching == 2 { 64 } else { 32 };
    Tlsa::new(usage, selector, matching, &vec![0; length])
}

const NO_MATCH: &str = "DANE_MISMATCH 0 certificate-not-trusted";
const WRONG_NAME: &str = "CERT_NAME 0 certificate-host-mismatch";

/// R7672-3.1.1-1, R7672-3.1.2-1, R7672-3.2-1, R7672-3.2-2, R7671-5.2.2-1, R7671-5.2.3-1, R6698-4.1-1: every usage,
/// selector and matching type over a chain of leaf, two authorities and root.
#[test]
fn every_kind_of_record() {
    let root = Authority::new("DANE Root");
    let upper = root.child("Upper");
    let lower = upper.child("Lower");
    let bare = lower.leaf(&[HOST]);
    let whole = bare.with(&[&lower, &upper, &root]);
    let rootless = bare.with(&[&lower, &upper]);
    for selector in [0, 1] {
        for matching in [0, 1, 2] {
            let of = |leaf: &Leaf| leaf.tlsa(3, selector, matching);
            let ta = |authority: &Authority| authority.tlsa(selector, matching);
            let label = format!("{selector} {matching}");
            for chain in [&whole, &rootless, &bare] {
                assert_eq!(verdict(&[of(&bare)], chain), "dane-ee 0", "3 {label}");
            }
            assert_eq!(verdict(&[ta(&lower)], &whole), "dane-ta 1", "2 {label}");
            assert_eq!(verdict(&[ta(&upper)], &whole), "dane-ta 2", "2 {label}");
            assert_eq!(verdict(&[ta(&root)], &whole), "dane-ta 3", "2 {label}");
            // R7672-3.1.2-3: a digest of what is not in the chain matches nothing; the thing itself does.
            let missing = if matching == 0 { "dane-ta 3" } else { NO_MATCH };
            assert_eq!(verdict(&[ta(&root)], &rootless), missing, "2 {label}");
            let missing = if matching == 0 { "dane-ta 1" } else { NO_MATCH };
            assert_eq!(verdict(&[ta(&lower)], &bare), missing, "2 {label}");
            // An authority that has nothing to do with it.
            let other = Authority::new("Other");
            assert_eq!(verdict(&[ta(&other)], &whole), NO_MATCH, "2 {label}");
            assert_eq!(verdict(&[ta(&other)], &bare.with(&[&other])), NO_MATCH, "2 {label}");
            // The leaf itself is never matched by usage 2, nor an authority by usage 3.
            let leaf_as_authority = Tlsa { usage: 2, ..of(&bare) };
            assert_eq!(verdict(&[leaf_as_authority], &whole), NO_MATCH, "2 {label} of the leaf");
            let authority_as_leaf = Tlsa { usage: 3, ..ta(&lower) };
            assert_eq!(verdict(&[authority_as_leaf], &whole), NO_MATCH, "3 {label} of an authority");
            // One of several is enough, of either usage.
            if matching != 0 {
                assert_eq!(verdict(&[zeros(3, selector, matching), ta(&lower)], &whole), "dane-ta 1");
                assert_eq!(verdict(&[of(&bare), zeros(2, selector, matching)], &whole), "dane-ee 0");
                assert_eq!(
                    verdict(&[zeros(3, selector, matching), zeros(2, selector, matching)], &whole),
                    NO_MATCH
                );
            }
        }
    }
}

/// R7672-5-1, R7671 section 9: of digests only the strongest counts, for each usage and selector by itself.
#[test]
fn digest_agility() {
    let leaf = authority().leaf(&[HOST]);
    let (full, short, long) = (leaf.tlsa(3, 1, 0), leaf.tlsa(3, 1, 1), leaf.tlsa(3, 1, 2));
    assert_eq!(verdict(&[short.clone(), zeros(3, 1, 2)], &leaf), NO_MATCH);
    assert_eq!(verdict(&[zeros(3, 1, 1), long.clone()], &leaf), "dane-ee 0");
    assert_eq!(verdict(&[full, zeros(3, 1, 2)], &leaf), "dane-ee 0");
    assert_eq!(verdict(&[leaf.tlsa(3, 0, 1), zeros(3, 1, 2)], &leaf), "dane-ee 0");
    // What is unusable does not outdo: a SHA-512 of 63 octets.
    assert_eq!(verdict(&[short.clone(), Tlsa::new(3, 1, 2, &[0; 63])], &leaf), "dane-ee 0");
    assert_eq!(verdict(&[short, Tlsa::new(2, 1, 2, &[0; 64])], &leaf), "dane-ee 0");
}

/// R7672-3.1.1-1, R7672-3.2.1-1: DANE-EE asks for no name, no date, no chain, no purpose.
#[test]
fn the_server_s_own_record_is_all_there_is() {
    let oddities: [(&str, Leaf); 7] = [
        ("expired", authority().leaf_with(&[HOST], expired)),
        ("wrong name", authority().leaf(&["other.test"])),
        ("no name", authority().leaf(&[])),
        ("self-signed", self_signed(|_| {})),
        ("authority", self_signed(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained))),
        (
            "for clients",
            authority().leaf_with(&[HOST], |params| {
                params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
            }),
        ),
        (
            "critical extension",
            authority().leaf_with(&[HOST], |params| {
                let mut extension = rcgen::CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
                extension.set_criticality(true);
                params.custom_extensions = vec![extension];
            }),
        ),
    ];
    for (what, leaf) in &oddities {
        for record in [leaf.tlsa(3, 1, 1), leaf.tlsa(3, 0, 1), leaf.tlsa(3, 0, 2)] {
            assert_eq!(verdict(&[record], leaf), "dane-ee 0", "{what}");
        }
    }
}

/// R7672-3.1.2-2: below the authority everything is checked: signatures, dates, purposes, constraints.
#[test]
fn the_chain_below_an_authority() {
    let root = Authority::new("DANE Root");
    let record = [root.tlsa(0, 1)];
    let judged = |leaf: &Leaf| verdict(&record, leaf);

    let expired_leaf = root.leaf_with(&[HOST], expired).with(&[&root]);
    assert_eq!(judged(&expired_leaf), "CERT_TIME 0 certificate-expired");
    let old = root.child_with("Old", expired);
    assert_eq!(judged(&old.leaf(&[HOST]).with(&[&old, &root])), "CERT_TIME 1 certificate-expired");
    // RFC 7671 section 5.2: the authority's own dates are not asked for.
    let old_root = Authority::new_with("Old Root", expired);
    let leaf = old_root.leaf(&[HOST]).with(&[&old_root]);
    assert_eq!(verdict(&[old_root.tlsa(0, 1)], &leaf), "dane-ta 1");

    let for_clients = root.leaf_with(&[HOST], |params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    });
    assert_eq!(judged(&for_clients.with(&[&root])), "CERT_INVALID 0 validation-failure");

    // R7672-3.2.2-1: the name counts here.
    assert_eq!(judged(&root.leaf(&["other.test"]).with(&[&root])), WRONG_NAME);
    assert_eq!(judged(&root.leaf(&["*.example.test"]).with(&[&root])), "dane-ta 1");
    assert_eq!(judged(&root.leaf(&["*.test"]).with(&[&root])), WRONG_NAME);

    // A leaf that plays authority.
    let leaf = root.leaf(&["authority.test"]);
    let key = KeyPair::from_pem(&leaf.key).unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "leaf");
    let fake =
        Authority { pem: leaf.chain.clone(), der: leaf.der.clone(), issuer: rcgen::Issuer::new(params, key) };
    assert_eq!(judged(&fake.leaf(&[HOST]).with(&[&fake, &root])), "CERT_UNTRUSTED 1 certificate-not-trusted");
    // And as the authority of a record it is none: it matches, and may sign nothing.
    assert_eq!(verdict(&[fake.tlsa(0, 1)], &fake.leaf(&[HOST]).with(&[&fake])), NO_MATCH);
}

/// R7672-3.1.2-2: the authority's own limits hold: how long a path, for which names.
#[test]
fn limits_of_the_authority() {
    let narrow =
        Authority::new_with("Narrow", |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let below = narrow.child("Below");
    for selector in [0, 1] {
        let record = [narrow.tlsa(selector, 1)];
        assert_eq!(verdict(&record, &narrow.leaf(&[HOST]).with(&[&narrow])), "dane-ta 1");
        let long = below.leaf(&[HOST]).with(&[&below, &narrow]);
        assert!(verdict(&record, &long).starts_with("CERT_UNTRUSTED"), "{}", verdict(&record, &long));
    }
    let limited = Authority::new_with("Limited", |params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![rcgen::GeneralSubtree::DnsName("other.test".to_string())],
            excluded_subtrees: Vec::new(),
        });
    });
    let leaf = limited.leaf(&[HOST]).with(&[&limited]);
    assert!(verdict(&[limited.tlsa(0, 1)], &leaf).starts_with("CERT_UNTRUSTED"));
}

/// More authorities than usual between the leaf and that of the record.
#[test]
fn long_chains_below_an_authority() {
    for most in [None, Some(9), Some(8)] {
        let root = Authority::new_with("DANE Root", |params| {
            if let Some(most) = most {
                params.is_ca = IsCa::Ca(BasicConstraints::Constrained(most));
            }
        });
        let mut above = vec![root.child("Top")];
        for n in 0..8 {
            above.push(above[n].child(&format!("Below {n}")));
        }
        let mut behind: Vec<_> = above.iter().rev().collect();
        let leaf = above[8].leaf(&[HOST]).with(&behind);
        behind.push(&root);
        let with_root = above[8].leaf(&[HOST]).with(&behind);
        let want = if most == Some(8) { "CERT_INVALID 0 validation-failure" } else { "dane-ta 10" };
        assert_eq!(verdict(&[root.tlsa(0, 0)], &leaf), want, "{most:?}");
        assert_eq!(verdict(&[root.tlsa(0, 1)], &with_root), want, "{most:?}");
        assert_eq!(verdict(&[root.tlsa(1, 0)], &leaf), "dane-ta 10", "a key has no limits");
        assert_eq!(
            verdict(&[Authority::new("DANE Root").tlsa(1, 0)], &leaf).split(' ').next(),
            Some("DANE_MISMATCH")
        );
    }
}

/// R7671-5.2.2-1, R7671-5.2.3-1: a whole certificate or key in the DNS; and a cross-signed authority in the chain.
#[test]
fn what_is_only_in_the_dns() {
    let root = Authority::new("DANE Root");
    let lower = root.child("Lower");
    let leaf = lower.leaf(&[HOST]);
    // The certificate that the key signed is the topmost.
    assert_eq!(verdict(&[root.tlsa(1, 0)], &leaf.with(&[&lower])), "dane-ta 2");
    assert_eq!(verdict(&[lower.tlsa(1, 0)], &leaf), "dane-ta 1");
    assert_eq!(verdict(&[root.tlsa(1, 0)], &leaf), NO_MATCH);
    let old = root.child_with("Old", expired);
    let below_old = old.leaf(&[HOST]).with(&[&old]);
    assert_eq!(verdict(&[root.tlsa(1, 0)], &below_old), "CERT_TIME 1 certificate-expired");
    assert_eq!(verdict(&[root.tlsa(0, 0)], &below_old), "CERT_TIME 1 certificate-expired");
    let other_name = lower.leaf(&["other.test"]).with(&[&lower]);
    assert_eq!(verdict(&[root.tlsa(1, 0)], &other_name), WRONG_NAME);
    // The root of the record, and in the chain a certificate for the same key by somebody else.
    let stranger = Authority::new("Stranger");
    let twin = KeyPair::from_pem(&root.issuer.key().serialize_pem()).unwrap();
    let cross = stranger.vouch("DANE Root", twin, |_| {});
    let crossed = leaf.with(&[&lower, &cross]);
    assert_eq!(verdict(&[root.tlsa(0, 0)], &crossed), "dane-ta 2");
    assert_eq!(verdict(&[root.tlsa(1, 1)], &crossed), "dane-ta 2");
    assert_eq!(verdict(&[root.tlsa(0, 1)], &crossed), NO_MATCH);
    assert_eq!(verdict(&[stranger.tlsa(0, 0)], &crossed), "dane-ta 3");
}

/// RFC 7671 section 5.2: a self-signed leaf is not its own authority, even sent twice.
#[test]
fn a_leaf_is_no_authority() {
    let leaf = self_signed(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    let twice = Leaf { chain: format!("{0}{0}", leaf.chain), ..leaf.clone() };
    for record in [leaf.tlsa(2, 0, 1), leaf.tlsa(2, 1, 1), leaf.tlsa(2, 0, 0)] {
        assert_eq!(verdict(std::slice::from_ref(&record), &leaf), NO_MATCH, "{record}");
        assert_eq!(verdict(&[record], &twice), NO_MATCH);
    }
}

/// R7672-3.1.2-1: a public authority does not help, and a private one needs none.
#[test]
fn trust_anchors_play_no_part() {
    let private = Authority::new("Private");
    let leaf = authority().leaf(&[HOST]).with(&[authority()]);
    let (session, result) = meet(&trusting(), &dane(&[private.tlsa(0, 1)]), HOST, &leaf);
    assert_eq!(tell(&session, result), NO_MATCH);
    let leaf = private.leaf(&[HOST]).with(&[&private]);
    let (session, result) = meet(&trusting(), &dane(&[private.tlsa(0, 1)]), HOST, &leaf);
    assert_eq!(tell(&session, result), "dane-ta 1");
}

/// R7672-3.2.2-1 to R7672-3.2.2-4, R7672-8.1-1: the names of RFC 7672 section 3.2.2. Mail for exchange.example.org; its
/// name is an alias of expanded.example.net; MX hosts mx10 and mx15, of which mx15 is an alias of mx15.example.net.
#[test]
fn names_under_dane_ta() {
    let root = Authority::new("DANE Root");
    const DOMAIN: &str = "exchange.example.org";
    const EXPANDED: &str = "expanded.example.net";
    for (host, base, next_hop, mx, certificate, fits) in [
        ("mx10.example.com", None, Some(DOMAIN), Dnssec::Secure, "mx10.example.com", true),
        ("mx10.example.com", None, Some(DOMAIN), Dnssec::Secure, DOMAIN, true),
        ("mx10.example.com", None, Some(DOMAIN), Dnssec::Secure, EXPANDED, true),
        ("mx10.example.com", None, Some(DOMAIN), Dnssec::Secure, "mx15.example.com", false),
        ("mx10.example.com", None, Some(DOMAIN), Dnssec::Secure, "example.org", false),
        // The base domain is where the alias leads; the name of the MX record itself is no reference then.
        (
            "mx15.example.com",
            Some("mx15.example.net"),
            Some(DOMAIN),
            Dnssec::Secure,
            "mx15.example.net",
            true,
        ),
        (
            "mx15.example.com",
            Some("mx15.example.net"),
            Some(DOMAIN),
            Dnssec::Secure,
            "mx15.example.com",
            false,
        ),
        ("mx15.example.com", Some("mx15.example.net"), Some(DOMAIN), Dnssec::Secure, DOMAIN, true),
        // By insecure MX records: the host alone.
        ("mx10.example.com", None, Some(DOMAIN), Dnssec::Insecure, "mx10.example.com", true),
        ("mx10.example.com", None, Some(DOMAIN), Dnssec::Insecure, DOMAIN, false),
        ("mx10.example.com", None, Some(DOMAIN), Dnssec::Insecure, EXPANDED, false),
        // No MX records: the name before and after its aliases.
        ("relay.example.com", Some("relay.example.net"), None, Dnssec::None, "relay.example.net", true),
        ("relay.example.com", Some("relay.example.net"), None, Dnssec::None, "relay.example.com", true),
        ("relay.example.com", Some("relay.example.net"), None, Dnssec::None, "other.example.net", false),
    ] {
        let mut policy = dane(&[root.tlsa(0, 1)]);
        policy.set_tlsa(base, Dnssec::Secure).unwrap();
        if let Some(next_hop) = next_hop {
            policy.set_next_hop(next_hop, Some(EXPANDED), mx).unwrap();
        }
        let leaf = root.leaf(&[certificate]).with(&[&root]);
        let mut client = Session::client(&nobody(), &policy, host);
        let mut server = Session::server(&serving(&leaf), &Policy::new(Level::May));
        let (up, _) = start_both(&mut client, &mut server, smtptls::Entry::Handshake, usize::MAX);
        assert_eq!(up.is_ok(), fits, "{host} {base:?} {next_hop:?} {mx:?} {certificate}: {up:?}");
        let info = client.info().unwrap();
        assert_eq!(server.info().unwrap().server_name(), Some(base.unwrap_or(host)));
        // R7672-2.2.1-2: an insecure MX answer is no proof for the domain.
        assert_eq!(info.secured(), fits && mx != Dnssec::Insecure);
    }
}

/// R7672-3.2.3-1, R7672-3.2.3-2: the common name by opt-in, and only without a subjectAltName.
#[test]
fn common_names_by_opt_in() {
    let root = Authority::new("DANE Root");
    let named = |names: &[&str], common: &str| {
        let leaf = root.leaf_with(names, |params| {
            params.distinguished_name = DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, common);
        });
        leaf.with(&[&root])
    };
    for (leaf, allowed, fits) in [
        (named(&[], HOST), false, false),
        (named(&[], HOST), true, true),
        (named(&[], "*.example.test"), true, true),
        (named(&[], "other.test"), true, false),
        (named(&["other.test"], HOST), true, false),
    ] {
        let mut policy = dane(&[root.tlsa(0, 1)]);
        policy.allow_common_names(allowed);
        let (session, result) = meet(&nobody(), &policy, HOST, &leaf);
        assert_eq!(tell(&session, result) == "dane-ta 1", fits);
        // Never where trust anchors are what counts (R7817-3-8).
        let mut policy = Policy::new(Level::Verify);
        policy.allow_common_names(allowed);
        assert!(meet(&trusting_pem(&root.pem), &policy, HOST, &leaf).1.is_err());
    }
}

/// R7672-2.2-2, R7672-3.1.3-1, R6698-2.1-1: records that are unusable, each of which still forces TLS.
#[test]
fn unusable_records() {
    let leaf = authority().leaf(&[HOST]);
    let good = leaf.tlsa(3, 1, 1);
    let with = |usage, selector, matching, data: &[u8]| Tlsa::new(usage, selector, matching, data);
    let unusable = [
        with(0, 0, 1, &good.data),
        with(1, 1, 1, &good.data),
        with(4, 1, 1, &good.data),
        with(255, 1, 1, &good.data),
        with(3, 2, 1, &good.data),
        with(3, 255, 1, &good.data),
        with(3, 1, 3, &good.data),
        with(3, 1, 255, &good.data),
        with(3, 1, 1, &good.data[..31]),
        with(3, 1, 1, &[&good.data[..], &[0]].concat()),
        with(3, 1, 1, &[]),
        with(3, 1, 2, &[0; 32]),
        with(3, 0, 0, &[]),
        with(3, 0, 0, b"no certificate"),
        with(2, 1, 0, b"no key"),
        with(2, 0, 0, &[&leaf.der[..], &[0]].concat()),
    ];
    for record in &unusable {
        assert!(record.unusable().is_some(), "{record}");
        let policy = dane(std::slice::from_ref(record));
        assert_eq!(policy.effective_level(HOST), Ok(Level::Encrypt), "{record}");
        let (session, result) = meet(&nobody(), &policy, HOST, &self_signed(|_| {}));
        result.unwrap();
        assert_eq!(session.info().unwrap().level(), Level::Encrypt);
        assert!(!session.info().unwrap().secured());
        assert_eq!(session.reports()[0].kind(), Tlsrpt::TlsaInvalid);
        assert_eq!(session.reports()[0].reason(), "all-TLSA-records-unusable");
        // Beside a usable one it changes nothing.
        assert_eq!(verdict(&[record.clone(), good.clone()], &leaf), "dane-ee 0", "{record}");
        assert_eq!(verdict(&[record.clone(), zeros(3, 1, 1)], &leaf), NO_MATCH, "{record}");
    }
    assert!(good.unusable().is_none());
}
