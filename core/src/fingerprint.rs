//! Fingerprints of certificates and of public keys.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// What a fingerprint is the digest of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(i32)]
pub enum FingerprintOf {
    /// The whole certificate.
    Certificate = 0,
    /// The public key, as SubjectPublicKeyInfo.
    PublicKey = 1,
}

impl FingerprintOf {
    /// Both of them.
    pub const ALL: &'static [FingerprintOf] = &[FingerprintOf::Certificate, FingerprintOf::PublicKey];

    /// The number, the same in C and in Python.
    pub fn number(self) -> i32 {
        self as i32
    }
}

/// `sha256:` and lower case hex. The algorithm stands in front, so that another may follow.
pub(crate) fn fingerprint(der: &[u8]) -> String {
    let mut text = String::from("sha256:");
    for byte in Sha256::digest(der) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
