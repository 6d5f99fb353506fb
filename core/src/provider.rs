//! The cryptography under rustls: aws-lc-rs, or ring where the feature asks for a small build.

use rustls::NamedGroup;
use rustls::crypto::{CryptoProvider, SupportedKxGroup};

#[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
compile_error!("smtptls needs one of the features `aws-lc-rs` (the default) and `ring`");

/// A provider of our own for each configuration: nothing process-wide is installed.
pub(crate) fn provider() -> CryptoProvider {
    #[cfg(feature = "aws-lc-rs")]
    return rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(not(feature = "aws-lc-rs"))]
    return rustls::crypto::ring::default_provider();
}

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
