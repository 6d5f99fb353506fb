//! The cryptography under rustls: aws-lc-rs, or ring where the feature asks for a small build.

use rustls::crypto::CryptoProvider;

#[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
compile_error!("smtptls needs one of the features `aws-lc-rs` (the default) and `ring`");

/// A provider of our own for each configuration: nothing process-wide is installed.
///
/// With aws-lc-rs the client's first key share is X25519MLKEM768, by the feature `prefer-post-quantum`.
pub(crate) fn provider() -> CryptoProvider {
    #[cfg(feature = "aws-lc-rs")]
    return rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(not(feature = "aws-lc-rs"))]
    return rustls::crypto::ring::default_provider();
}
