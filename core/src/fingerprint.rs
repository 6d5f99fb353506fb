//! Fingerprints of certificates and of public keys: made, read, compared.

use std::fmt::Write as _;

use sha2::Digest as _;

use crate::error::{Failure, escape};
use crate::x509::Skeleton;
use crate::{Code, Error};

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

    /// The fingerprint of a certificate in DER: the algorithm, a colon and lower case hex. Nothing if no public key
    /// can be found in it.
    pub fn fingerprint(self, digest: Digest, certificate: &[u8]) -> Option<String> {
        Some(format!("{}:{}", digest.name(), hex(&digest.of(self.octets(certificate)?))))
    }

    /// The octets that the digest is made of.
    pub(crate) fn octets(self, certificate: &[u8]) -> Option<&[u8]> {
        match self {
            FingerprintOf::Certificate => Some(certificate),
            FingerprintOf::PublicKey => Skeleton::parse(certificate).map(|skeleton| skeleton.public_key),
        }
    }
}

/// A digest algorithm, numbered as TLS numbers hashes (RFC 5246 section 7.4.1.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(i32)]
pub enum Digest {
    /// SHA-1: for old tables only. It is broken for collisions, and nobody should make new entries with it.
    Sha1 = 2,
    /// SHA-256.
    #[default]
    Sha256 = 4,
    /// SHA-384.
    Sha384 = 5,
    /// SHA-512.
    Sha512 = 6,
}

impl Digest {
    /// Every algorithm.
    pub const ALL: &'static [Digest] = &[Digest::Sha1, Digest::Sha256, Digest::Sha384, Digest::Sha512];

    /// The name: `sha256`.
    pub fn name(self) -> &'static str {
        match self {
            Digest::Sha1 => "sha1",
            Digest::Sha256 => "sha256",
            Digest::Sha384 => "sha384",
            Digest::Sha512 => "sha512",
        }
    }

    /// The number, the same in C and in Python.
    pub fn number(self) -> i32 {
        self as i32
    }

    /// The algorithm of that name.
    pub fn from_name(name: &str) -> Option<Digest> {
        Digest::ALL.iter().copied().find(|digest| digest.name() == name)
    }

    /// How many octets it has.
    fn length(self) -> usize {
        match self {
            Digest::Sha1 => 20,
            Digest::Sha256 => 32,
            Digest::Sha384 => 48,
            Digest::Sha512 => 64,
        }
    }

    pub(crate) fn of(self, octets: &[u8]) -> Vec<u8> {
        match self {
            Digest::Sha1 => sha1::Sha1::digest(octets).to_vec(),
            Digest::Sha256 => sha2::Sha256::digest(octets).to_vec(),
            Digest::Sha384 => sha2::Sha384::digest(octets).to_vec(),
            Digest::Sha512 => sha2::Sha512::digest(octets).to_vec(),
        }
    }
}

/// An expected fingerprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    of: FingerprintOf,
    digest: Digest,
    octets: Vec<u8>,
}

impl Fingerprint {
    /// Reads `sha256:` and hex digits of either case, with colons between the octets or without. Where the
    /// algorithm is left out, as in Postfix's tables, the length tells it.
    pub fn parse(of: FingerprintOf, text: &str) -> Result<Fingerprint, Error> {
        let unfit = |why: String| {
            let message = format!("\"{}\" is no fingerprint: {why}", escape(text.as_bytes()));
            Error::local(Code::Argument, message)
        };
        let (digest, hex) = match text.split_once(':').map(|(name, hex)| (Digest::from_name(name), hex)) {
            Some((Some(digest), hex)) => (Some(digest), hex),
            _ => (None, text),
        };
        let octets = unhex(&hex.replace(':', "")).filter(|_| well_separated(hex)).ok_or_else(|| {
            let known: Vec<_> = Digest::ALL.iter().map(|digest| digest.name()).collect();
            unfit(format!("it is one of {}, a colon, and pairs of hex digits", known.join(", ")))
        })?;
        let digest = digest.or(Digest::ALL.iter().copied().find(|digest| digest.length() == octets.len()));
        match digest {
            Some(digest) if digest.length() == octets.len() => Ok(Fingerprint { of, digest, octets }),
            Some(digest) => {
                let (name, wants) = (digest.name(), digest.length());
                Err(unfit(format!("{name} has {wants} octets, and here are {}", octets.len())))
            }
            None => Err(unfit(format!("no algorithm has {} octets", octets.len()))),
        }
    }

    /// Whether it is this certificate's.
    pub fn fits(&self, certificate: &[u8]) -> bool {
        self.of.octets(certificate).is_some_and(|octets| self.digest.of(octets) == self.octets)
    }

    /// The failure of a certificate that has none of the expected ones.
    pub fn missing(certificate: &[u8]) -> Failure {
        let of = |of: FingerprintOf| {
            of.fingerprint(Digest::Sha256, certificate).unwrap_or_else(|| "unreadable".to_string())
        };
        let message = format!(
            "the peer's certificate has none of the expected fingerprints: its own is {}, its key's is {}",
            of(FingerprintOf::Certificate),
            of(FingerprintOf::PublicKey)
        );
        Failure::new(Code::Fingerprint, message)
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{}", self.digest.name(), hex(&self.octets))
    }
}

/// Colons stand between octets, everywhere or nowhere.
fn well_separated(hex: &str) -> bool {
    !hex.contains(':') || hex.split(':').all(|octet| octet.len() == 2)
}

pub(crate) fn hex(octets: &[u8]) -> String {
    let mut text = String::with_capacity(2 * octets.len());
    for octet in octets {
        // Writing to a String cannot fail.
        let _ = write!(text, "{octet:02x}");
    }
    text
}

/// Pairs of hex digits of either case; nothing if there is anything else.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if digits.len() % 2 != 0 {
        return None;
    }
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    digits.chunks(2).map(|pair| Some(value(pair[0])? << 4 | value(pair[1])?)).collect()
}
