//! The cryptography under rustls: aws-lc-rs, or ring where the feature asks for a small build.

use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::{CipherSuite, NamedGroup};

#[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
compile_error!("smtptls needs one of the features `aws-lc-rs` (the default) and `ring`");

/// A provider of our own for each configuration: nothing process-wide is installed.
///
/// AES-128-GCM with SHA-256 comes first, as in RFC 9325 section 4.2: processors have instructions for SHA-256 and none for
/// SHA-384, so a server's part of a handshake takes a quarter less, and all suites are good.
pub(crate) fn provider() -> CryptoProvider {
    #[cfg(feature = "aws-lc-rs")]
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(not(feature = "aws-lc-rs"))]
    let mut provider = rustls::crypto::ring::default_provider();
    // Stable: the rest stays in the provider's order, and each version of TLS picks its own.
    provider.cipher_suites.sort_by_key(|suite| !FIRST.contains(&suite.suite()));
    provider
}

const FIRST: [CipherSuite; 3] = [
    CipherSuite::TLS13_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
];

/// Every group there is.
pub(crate) fn all_groups() -> &'static [&'static dyn SupportedKxGroup] {
    #[cfg(feature = "aws-lc-rs")]
    return rustls::crypto::aws_lc_rs::ALL_KX_GROUPS;
    #[cfg(not(feature = "aws-lc-rs"))]
    return rustls::crypto::ring::ALL_KX_GROUPS;
}

/// The groups that a client offers by default, its key share being for the first: X25519, and X25519MLKEM768 for
/// servers that ask for it by a HelloRetryRequest, as OpenSSL 3.5 does.
///
/// A key share of X25519MLKEM768 makes the ClientHello longer than a segment. Some SMTP servers, and boxes before
/// them, cannot take that; at level `may` mail would then go in plaintext, which is worse than a key exchange
/// that only a quantum computer breaks. It also costs a fifth of a handshake.
pub(crate) fn client_groups() -> Vec<&'static dyn SupportedKxGroup> {
    let mut groups = provider().kx_groups;
    // Stable: the rest stays in the provider's order.
    groups.sort_by_key(|group| group.name() != NamedGroup::X25519);
    groups
}
