//! Whom a configuration trusts: directories, revocation lists, and chains that are odd and real.

mod common;

use common::*;
use rcgen::{
    BasicConstraints, CertificateRevocationListParams, GeneralSubtree, IsCa, KeyIdMethod, KeyPair,
    KeyUsagePurpose, NameConstraints, RevocationReason, RevokedCertParams, SerialNumber, date_time_ymd,
};
use smtptls::{Action, Code, Config, Level, Policy, Session};

/// The outcome at level verify: ok, or code and depth.
fn verify(config: &Config, leaf: &Leaf) -> String {
    let (session, result) = meet(config, &Policy::new(Level::Verify), HOST, leaf);
    tell(&session, result)
}

fn tell(session: &Session, result: Result<(), smtptls::Error>) -> String {
    match result {
        Ok(()) => "ok".to_string(),
        Err(error) => {
            assert_eq!(error.action(), Action::NextHost);
            let depth = session.info().unwrap().doubt_depth().unwrap();
            format!("{} {depth}", error.code().name().trim_start_matches("SMTPTLS_ERR_"))
        }
    }
}

/// Order, surplus, gaps: what servers send.
#[test]
fn order_and_surplus() {
    let root = Authority::new("Root");
    let (upper, other) = (root.child("Upper"), Authority::new("Other"));
    let lower = upper.child("Lower");
    let leaf = lower.leaf(&[HOST]);
    let config = trusting_pem(&root.pem);
    for (chain, want) in [
        (leaf.with(&[&lower, &upper]), "ok"),
        (leaf.with(&[&lower, &upper, &root]), "ok"),
        (leaf.with(&[&upper, &lower]), "ok"),
        (leaf.with(&[&root, &other, &upper, &other, &lower]), "ok"),
        (leaf.with(&[&lower, &lower, &upper, &upper]), "ok"),
        (leaf.with(&[&lower]), "CERT_UNTRUSTED 1"),
        (leaf.with(&[&upper]), "CERT_UNTRUSTED 0"),
        (leaf.with(&[]), "CERT_UNTRUSTED 0"),
        (leaf.with(&[&other, &root]), "CERT_UNTRUSTED 0"),
    ] {
        assert_eq!(verify(&config, &chain), want);
    }
    // An anchor in the middle ends the path.
    assert_eq!(verify(&trusting_pem(&lower.pem), &leaf), "ok");
    assert_eq!(verify(&trusting_pem(&upper.pem), &leaf.with(&[&lower])), "ok");
}

/// Cross-signed: one way leads nowhere, or has expired, and another to an anchor.
#[test]
fn cross_signed() {
    let (old, new) = (Authority::new("Old Root"), Authority::new("New Root"));
    let lower = new.child("Lower");
    let leaf = lower.leaf(&[HOST]);
    let twin = || KeyPair::from_pem(&new.issuer.key().serialize_pem()).unwrap();
    let cross = old.vouch("New Root", twin(), |_| {});
    let gone = old.vouch("New Root", twin(), expired);
    for (anchor, chain, want) in [
        (&old, leaf.with(&[&lower, &cross]), "ok"),
        (&new, leaf.with(&[&lower, &cross]), "ok"),
        (&new, leaf.with(&[&lower, &gone]), "ok"),
        (&old, leaf.with(&[&lower, &gone, &cross]), "ok"),
        (&old, leaf.with(&[&lower, &gone]), "CERT_TIME 2"),
        (&old, leaf.with(&[&lower]), "CERT_UNTRUSTED 1"),
    ] {
        assert_eq!(verify(&trusting_pem(&anchor.pem), &chain), want);
    }
}

/// The first failure, nearest to the leaf, with its depth.
#[test]
fn failures_and_their_depth() {
    let root = Authority::new("Root");
    let config = trusting_pem(&root.pem);
    let not_yet = |params: &mut rcgen::CertificateParams| {
        (params.not_before, params.not_after) = (date_time_ymd(3001, 1, 1), date_time_ymd(3002, 1, 1));
    };
    let old = root.child_with("Old", expired);
    let early = root.child_with("Early", not_yet);
    let narrow =
        root.child_with("Narrow", |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let below_narrow = narrow.child("Below Narrow");
    let below_old = old.child("Below Old");
    let no_ca = root.child_with("No CA", |params| params.is_ca = IsCa::ExplicitNoCa);
    let mute = root.child_with("Mute", |params| params.key_usages = vec![KeyUsagePurpose::CrlSign]);
    let limited = root.child_with("Limited", |params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("other.test".to_string())],
            excluded_subtrees: Vec::new(),
        });
    });
    let allowed = root.child_with("Allowed", |params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("example.test".to_string())],
            excluded_subtrees: vec![GeneralSubtree::DnsName("a.example.test".to_string())],
        });
    });
    let at = |authority: &Authority, rest: &[&Authority]| {
        let mut all = vec![authority];
        all.extend(rest);
        authority.leaf(&[HOST]).with(&all)
    };
    for (chain, want) in [
        (at(&old, &[]), "CERT_TIME 1"),
        (at(&early, &[]), "CERT_TIME 1"),
        (at(&below_old, &[&old]), "CERT_TIME 2"),
        (old.leaf_with(&[HOST], expired).with(&[&old]), "CERT_TIME 0"),
        (at(&narrow, &[]), "ok"),
        (at(&below_narrow, &[&narrow]), "CERT_UNTRUSTED 2"),
        (at(&no_ca, &[]), "CERT_UNTRUSTED 1"),
        (at(&mute, &[]), "CERT_UNTRUSTED 1"),
        (at(&limited, &[]), "CERT_UNTRUSTED 0"),
        (at(&allowed, &[]), "ok"),
    ] {
        let (session, result) = meet(&config, &Policy::new(Level::Verify), HOST, &chain);
        let told = result.as_ref().err().map(ToString::to_string);
        assert_eq!(tell(&session, result), want, "{told:?}");
    }
    // A signature that is not its issuer's: a chain with the name of the authority, and another key.
    let impostor = Authority::new("Root");
    assert_eq!(verify(&config, &impostor.leaf(&[HOST]).with(&[&impostor])), "CERT_UNTRUSTED 1");
    assert_eq!(verify(&config, &impostor.leaf(&[HOST])), "CERT_UNTRUSTED 0");
}

/// Seven intermediates and more, each still checked.
#[test]
fn long_chains() {
    let root = Authority::new("Root");
    let config = trusting_pem(&root.pem);
    for length in [6, 7, 8, 12, 20] {
        for spoilt in [None, Some(1), Some(length / 2), Some(length)] {
            let mut above: Vec<Authority> = Vec::new();
            // `depth` counts from the leaf, and they are made from the root.
            for depth in (1..=length).rev() {
                let parent = above.last().unwrap_or(&root);
                let name = format!("Depth {depth}");
                let child = match spoilt == Some(depth) {
                    true => parent.child_with(&name, expired),
                    false => parent.child(&name),
                };
                above.push(child);
            }
            let leaf = above[length - 1].leaf(&[HOST]);
            let mut shuffled: Vec<_> = above.iter().collect();
            shuffled.swap(0, length / 3);
            for order in [above.iter().rev().collect::<Vec<_>>(), above.iter().collect(), shuffled] {
                let got = verify(&config, &leaf.with(&order));
                match spoilt {
                    None => assert_eq!(got, "ok", "{length}"),
                    Some(depth) => assert_ne!(got, "ok", "{length}, spoilt at {depth}"),
                }
            }
            // Nothing above, no trust.
            assert_ne!(verify(&config, &leaf.with(&above[1..].iter().collect::<Vec<_>>())), "ok");
        }
    }
    // Limits hold in the upper part too: of length, of use, of names.
    let spoils: [fn(&mut rcgen::CertificateParams); 4] = [
        |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(3)),
        |params| params.is_ca = IsCa::ExplicitNoCa,
        |params| params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth],
        |params| {
            params.name_constraints = Some(NameConstraints {
                permitted_subtrees: vec![GeneralSubtree::DnsName("other.test".to_string())],
                excluded_subtrees: Vec::new(),
            });
        },
    ];
    for spoil in spoils {
        let mut above = vec![root.child_with("Top", spoil)];
        for n in 0..8 {
            above.push(above[n].child(&format!("Below {n}")));
        }
        let leaf = above[8].leaf(&[HOST]).with(&above.iter().rev().collect::<Vec<_>>());
        assert_ne!(verify(&config, &leaf), "ok");
    }
}

/// A chain of 100 certificates, and a certificate of tens of kilobytes: a verdict, in bounded time.
#[test]
fn floods_of_certificates() {
    let root = Authority::new("Root");
    let leaf = root.leaf(&[HOST]);
    let others: Vec<_> = (0..99).map(|n| Authority::new(&format!("{n}"))).collect();
    assert_eq!(verify(&trusting_pem(&root.pem), &leaf.with(&others.iter().collect::<Vec<_>>())), "ok");
    // All of one name, so that each could be the issuer.
    let same: Vec<_> = (0..99).map(|_| Authority::new("Root")).collect();
    let config = trusting_pem(&Authority::new("Anchor").pem);
    // It gives up after so many signatures.
    assert_eq!(verify(&config, &leaf.with(&same.iter().collect::<Vec<_>>())), "CERT_INVALID 0");
    // Each signs the other with two names: paths without number.
    let (a, b) = (Authority::new("A"), Authority::new("B"));
    let mut maze = Vec::new();
    for _ in 0..40 {
        maze.push(a.vouch("B", KeyPair::from_pem(&b.issuer.key().serialize_pem()).unwrap(), |_| {}));
        maze.push(b.vouch("A", KeyPair::from_pem(&a.issuer.key().serialize_pem()).unwrap(), |_| {}));
    }
    let lost = a.leaf(&[HOST]).with(&maze.iter().collect::<Vec<_>>());
    assert_ne!(verify(&config, &lost), "ok");

    let names: Vec<String> = (0..1500).map(|n| format!("host-number-{n}.example.test")).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.push(HOST);
    let large = root.leaf(&names);
    assert!(large.der.len() > 40_000);
    assert_eq!(verify(&trusting_pem(&root.pem), &large), "ok");
    names.pop();
    assert_eq!(verify(&trusting_pem(&root.pem), &root.leaf(&names)), "CERT_NAME 0");
}

/// Directories, as `openssl rehash` fills them and as people do.
#[test]
fn roots_of_a_directory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let from = |path: &std::path::Path| {
        let mut builder = Config::builder();
        let result = builder.add_roots_directory(path).map(drop);
        (result, builder.freeze())
    };
    // Empty, or no directory: an error, and the configuration stays unusable.
    for bad in [path.to_path_buf(), path.join("missing")] {
        let (result, frozen) = from(&bad);
        let code = result.unwrap_err().code();
        assert!(matches!(code, Code::File | Code::CertificateParse));
        assert_eq!(frozen.err().unwrap().code(), code);
    }
    let other = Authority::new("Other");
    std::fs::write(path.join("authority.pem"), &authority().pem).unwrap();
    std::fs::write(path.join("two.crt"), format!("{}{}", other.pem, authority().pem)).unwrap();
    std::fs::create_dir(path.join("folder")).unwrap();
    std::os::unix::fs::symlink("authority.pem", path.join("0123abcd.0")).unwrap();
    let config = from(path).1.unwrap();
    assert_eq!(verify(&config, &authority().leaf(&[HOST])), "ok");
    assert_eq!(verify(&config, &other.leaf(&[HOST])), "ok");
    assert_eq!(verify(&config, &Authority::new("Nobody").leaf(&[HOST])), "CERT_UNTRUSTED 0");
    // One damaged file poisons all of it.
    let whole = &authority().pem;
    std::fs::write(path.join("damaged.pem"), &whole[..whole.len() - 40]).unwrap();
    let (result, frozen) = from(path);
    let error = result.unwrap_err();
    assert_eq!(error.code(), Code::CertificateParse);
    assert!(error.message().contains("damaged.pem"), "{error}");
    assert!(frozen.is_err());
    std::fs::write(
        path.join("damaged.pem"),
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    assert_eq!(from(path).0.unwrap_err().code(), Code::CertificateParse);
}

/// A root that failed to load poisons the configuration, whatever else is in it.
#[test]
fn a_failed_root_poisons() {
    let mut builder = Config::builder();
    builder.add_roots_pem(authority().pem.as_bytes()).unwrap();
    let code = builder.add_roots_file("/no/such/file").err().unwrap().code();
    builder.add_roots_pem(authority().pem.as_bytes()).unwrap();
    let error = builder.freeze().err().unwrap();
    assert_eq!((error.code(), error.os()), (code, Some(2)));
    assert_eq!(error.enhanced_status(), Some("4.3.5"));
}

fn list(issuer: &Authority, serials: &[u64], next_update: i32) -> rcgen::CertificateRevocationList {
    list_of(2020, issuer, serials, next_update)
}

/// A list that was issued in this year.
fn list_of(
    this_update: i32,
    issuer: &Authority,
    serials: &[u64],
    next_update: i32,
) -> rcgen::CertificateRevocationList {
    let revoked = |serial: &u64| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: date_time_ymd(2020, 1, 1),
        reason_code: Some(RevocationReason::KeyCompromise),
        invalidity_date: None,
    };
    CertificateRevocationListParams {
        this_update: date_time_ymd(this_update, 1, 1),
        next_update: date_time_ymd(next_update, 1, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: serials.iter().map(revoked).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    }
    .signed_by(&issuer.issuer)
    .unwrap()
}

/// Revocation lists, from PEM and from DER, from memory and from files; and their expiry.
#[test]
fn revocation() {
    let signing = |params: &mut rcgen::CertificateParams| {
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    };
    let root = Authority::new_with("Root", signing);
    let numbered = |serial: u64| {
        move |params: &mut rcgen::CertificateParams| params.serial_number = Some(SerialNumber::from(serial))
    };
    let lower = root.child_with("Lower", |params| {
        signing(params);
        numbered(0x7001)(params);
    });
    let leaf = lower.leaf_with(&[HOST], numbered(0x8002)).with(&[&lower]);
    let folder = tempfile::tempdir().unwrap();
    for (lists, want) in [
        (vec![], "ok"),
        (vec![list(&lower, &[], 3000)], "ok"),
        (vec![list(&lower, &[1, 2, 3], 3000), list(&root, &[4], 3000)], "ok"),
        (vec![list(&lower, &[1, 0x8002], 3000)], "CERT_REVOKED 0"),
        (vec![list(&lower, &[], 3000), list(&root, &[0x7001], 3000)], "CERT_REVOKED 1"),
        // Of another authority, or with the right number of another's.
        (vec![list(&root, &[0x8002], 3000)], "ok"),
        (vec![list(&Authority::new_with("Other", signing), &[0x8002], 3000)], "ok"),
        // A list that has run out says nothing, so nothing passes.
        (vec![list(&lower, &[], 2021)], "CRL_EXPIRED 0"),
        (vec![list(&lower, &[0x8002], 2021)], "CRL_EXPIRED 0"),
        // Of several lists of one authority the newest counts, in whatever order they came.
        (vec![list(&lower, &[], 3000), list_of(2022, &lower, &[0x8002], 3000)], "CERT_REVOKED 0"),
        (vec![list_of(2022, &lower, &[0x8002], 3000), list(&lower, &[], 3000)], "CERT_REVOKED 0"),
        (vec![list(&lower, &[0x8002], 3000), list_of(2022, &lower, &[], 3000)], "ok"),
        (vec![list(&lower, &[], 2021), list_of(2022, &lower, &[], 3000)], "ok"),
        // A list with the authority's name and another's signature.
        (vec![list(&Authority::new_with("Lower", signing), &[], 3000)], "CERT_INVALID 0"),
    ] {
        for (form, label) in [(0, "PEM"), (1, "DER"), (2, "file")] {
            let mut builder = Config::builder();
            builder.add_roots_pem(root.pem.as_bytes()).unwrap();
            for (n, one) in lists.iter().enumerate() {
                let path = folder.path().join(format!("{n}.crl"));
                match form {
                    0 => builder.add_crl_pem(one.pem().unwrap().as_bytes()).map(drop).unwrap(),
                    1 => builder.add_crl_pem(one.der()).map(drop).unwrap(),
                    _ => {
                        std::fs::write(&path, one.pem().unwrap()).unwrap();
                        builder.add_crl_file(&path).map(drop).unwrap();
                    }
                }
            }
            let config = builder.freeze().unwrap();
            assert_eq!(verify(&config, &leaf), want, "{label}");
            // Opportunistic TLS never fails for it.
            meet(&config, &Policy::new(Level::Encrypt), HOST, &leaf).1.unwrap();
        }
    }
    // What is no list: named, and the configuration stays unusable.
    let whole = list(&root, &[], 3000).pem().unwrap();
    for bad in [
        &b""[..],
        b"no list",
        authority().pem.as_bytes(),
        &whole.as_bytes()[..whole.len() - 30],
        b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
        &[0x30, 0x03, 1, 2, 3],
        &authority().der,
    ] {
        let mut builder = Config::builder();
        assert_eq!(builder.add_crl_pem(bad).err().map(|error| error.code()), Some(Code::CrlParse));
        assert_eq!(builder.freeze().err().map(|error| error.code()), Some(Code::CrlParse));
    }
    let mut builder = Config::builder();
    assert_eq!(builder.add_crl_file("/no/such/list").err().map(|error| error.code()), Some(Code::File));
}
