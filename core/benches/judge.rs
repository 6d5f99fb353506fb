//! What judging costs, in one run beside rustls' own verifier on the same chain: `cargo bench -p smtptls`.
#![allow(missing_docs)] // criterion_group! makes a function.

#[path = "../tests/common/mod.rs"]
mod common;

use std::hint::black_box;
use std::sync::Arc;

use common::*;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use smtptls::{Config, Dnssec, FingerprintOf, Level, Policy};

fn provider() -> rustls::crypto::CryptoProvider {
    #[cfg(feature = "aws-lc-rs")]
    return rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(not(feature = "aws-lc-rs"))]
    return rustls::crypto::ring::default_provider();
}

fn judging(criterion: &mut Criterion) {
    let root = Authority::new("Root");
    let inner = root.child("Intermediate");
    let leaf = inner.leaf(&[HOST, "mx2.example.test"]);
    let chain: Vec<&[u8]> = vec![&leaf.der, &inner.der];
    // As many anchors as a system has.
    let mut builder = Config::builder();
    builder.add_system_roots().unwrap();
    builder.add_roots_pem(root.pem.as_bytes()).unwrap();
    let config = builder.freeze().unwrap();

    let mut dane_ee = Policy::new(Level::Dane);
    dane_ee.set_tlsa(None, Dnssec::Secure).unwrap().add_tlsa(leaf.tlsa(3, 1, 1));
    let mut dane_ta = Policy::new(Level::Dane);
    dane_ta.set_tlsa(None, Dnssec::Secure).unwrap().add_tlsa(inner.tlsa(0, 1));
    let mut pinned = Policy::new(Level::Fingerprint);
    let digest = FingerprintOf::Certificate.fingerprint(smtptls::Digest::Sha256, &leaf.der).unwrap();
    pinned.add_fingerprint(FingerprintOf::Certificate, &digest).unwrap();

    let mut group = criterion.benchmark_group("judge");
    for (name, policy) in [
        ("verify", Policy::new(Level::Verify)),
        ("may", Policy::new(Level::May)),
        ("dane-ee", dane_ee),
        ("dane-ta", dane_ta),
        ("fingerprint", pinned),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| config.judge(&policy, HOST, black_box(&chain)).unwrap());
        });
    }

    // The others were met before: signatures that were found good are remembered.
    group.bench_function("verify, met for the first time", |bencher| {
        bencher.iter_batched(
            || builder.freeze().unwrap(),
            |config| config.judge(&Policy::new(Level::Verify), HOST, black_box(&chain)).unwrap(),
            BatchSize::SmallInput,
        );
    });

    let certificates: Vec<_> = chain.iter().map(|one| CertificateDer::from(one.to_vec())).collect();
    let mut store = RootCertStore::empty();
    let own = CertificateDer::from(root.der.clone());
    for one in rustls_native_certs::load_native_certs().certs.iter().chain([&own]) {
        let anchor: Option<TrustAnchor<'static>> =
            webpki::anchor_from_trusted_cert(one).ok().map(|anchor| anchor.to_owned());
        store.roots.extend(anchor);
    }
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::new(provider())).build().unwrap();
    let name = ServerName::try_from(HOST).unwrap();
    group.bench_function("rustls WebPkiServerVerifier", |bencher| {
        bencher.iter(|| {
            let (leaf, rest) = black_box(&certificates).split_first().unwrap();
            verifier.verify_server_cert(leaf, rest, &name, &[], UnixTime::now()).unwrap()
        });
    });
    group.finish();

    criterion.bench_function("load the system's roots", |bencher| {
        bencher.iter(|| {
            let mut builder = Config::builder();
            builder.add_system_roots().unwrap();
            builder.freeze().unwrap()
        });
    });
}

criterion_group!(benches, judging);
criterion_main!(benches);
