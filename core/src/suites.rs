//! Cipher suites, key exchange groups and signature schemes: their names at IANA and at OpenSSL, and lists of them.

use std::ffi::CStr;

use rustls::SupportedCipherSuite;
use rustls::crypto::SupportedKxGroup;

/// A cipher suite.
pub(crate) struct Suite {
    pub number: u16,
    /// The name in IANA's registry.
    pub iana: &'static CStr,
    pub openssl: &'static CStr,
    /// The strength of the cipher.
    pub bits: u32,
}

#[rustfmt::skip]
const SUITES: &[Suite] = &[
    Suite { number: 0x1301, bits: 128, iana: c"TLS_AES_128_GCM_SHA256", openssl: c"TLS_AES_128_GCM_SHA256" },
    Suite { number: 0x1302, bits: 256, iana: c"TLS_AES_256_GCM_SHA384", openssl: c"TLS_AES_256_GCM_SHA384" },
    Suite { number: 0x1303, bits: 256, iana: c"TLS_CHACHA20_POLY1305_SHA256", openssl: c"TLS_CHACHA20_POLY1305_SHA256" },
    Suite { number: 0xc02b, bits: 128, iana: c"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", openssl: c"ECDHE-ECDSA-AES128-GCM-SHA256" },
    Suite { number: 0xc02c, bits: 256, iana: c"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", openssl: c"ECDHE-ECDSA-AES256-GCM-SHA384" },
    Suite { number: 0xc02f, bits: 128, iana: c"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", openssl: c"ECDHE-RSA-AES128-GCM-SHA256" },
    Suite { number: 0xc030, bits: 256, iana: c"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", openssl: c"ECDHE-RSA-AES256-GCM-SHA384" },
    Suite { number: 0xcca8, bits: 256, iana: c"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", openssl: c"ECDHE-RSA-CHACHA20-POLY1305" },
    Suite { number: 0xcca9, bits: 256, iana: c"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", openssl: c"ECDHE-ECDSA-CHACHA20-POLY1305" },
];

/// A key exchange group.
pub(crate) struct Group {
    pub number: u16,
    /// The name in IANA's registry.
    pub iana: &'static CStr,
    /// How OpenSSL prints it.
    pub openssl: &'static CStr,
    others: &'static [&'static str],
}

#[rustfmt::skip]
const GROUPS: &[Group] = &[
    Group { number: 0x001d, iana: c"x25519", openssl: c"X25519", others: &[] },
    Group { number: 0x11ec, iana: c"X25519MLKEM768", openssl: c"X25519MLKEM768", others: &[] },
    Group { number: 0x0017, iana: c"secp256r1", openssl: c"prime256v1", others: &["P-256"] },
    Group { number: 0x0018, iana: c"secp384r1", openssl: c"secp384r1", others: &["P-384"] },
    Group { number: 0x11eb, iana: c"SecP256r1MLKEM768", openssl: c"SecP256r1MLKEM768", others: &[] },
    Group { number: 0x0201, iana: c"MLKEM768", openssl: c"MLKEM768", others: &[] },
    Group { number: 0x0202, iana: c"MLKEM1024", openssl: c"MLKEM1024", others: &[] },
];

/// A signature scheme of the handshake.
pub(crate) struct Scheme {
    pub number: u16,
    /// The algorithm, as OpenSSL and Postfix name it.
    algorithm: &'static CStr,
    /// Its digest; empty where it is part of the algorithm.
    digest: &'static CStr,
}

impl Scheme {
    pub fn c_algorithm(&self) -> &'static CStr {
        self.algorithm
    }

    pub fn c_digest(&self) -> Option<&'static CStr> {
        Some(self.digest).filter(|digest| !digest.is_empty())
    }

    pub fn algorithm(&self) -> &'static str {
        self.algorithm.to_str().unwrap_or_default()
    }

    pub fn digest(&self) -> Option<&'static str> {
        self.c_digest().and_then(|digest| digest.to_str().ok())
    }
}

#[rustfmt::skip]
const SCHEMES: &[Scheme] = &[
    Scheme { number: 0x0401, algorithm: c"RSA", digest: c"SHA256" },
    Scheme { number: 0x0501, algorithm: c"RSA", digest: c"SHA384" },
    Scheme { number: 0x0601, algorithm: c"RSA", digest: c"SHA512" },
    Scheme { number: 0x0403, algorithm: c"ECDSA", digest: c"SHA256" },
    Scheme { number: 0x0503, algorithm: c"ECDSA", digest: c"SHA384" },
    Scheme { number: 0x0603, algorithm: c"ECDSA", digest: c"SHA512" },
    Scheme { number: 0x0804, algorithm: c"RSA-PSS", digest: c"SHA256" },
    Scheme { number: 0x0805, algorithm: c"RSA-PSS", digest: c"SHA384" },
    Scheme { number: 0x0806, algorithm: c"RSA-PSS", digest: c"SHA512" },
    Scheme { number: 0x0807, algorithm: c"ED25519", digest: c"" },
];

pub(crate) fn suite(number: u16) -> Option<&'static Suite> {
    SUITES.iter().find(|suite| suite.number == number)
}

pub(crate) fn group(number: u16) -> Option<&'static Group> {
    GROUPS.iter().find(|group| group.number == number)
}

pub(crate) fn scheme(number: u16) -> Option<&'static Scheme> {
    SCHEMES.iter().find(|scheme| scheme.number == number)
}

/// The words of a list, separated by colons, commas or blanks.
fn words(list: &str) -> impl Iterator<Item = &str> {
    list.split([':', ',', ' ', '\t', '\n', '\r']).filter(|word| !word.is_empty())
}

fn is(name: &CStr, word: &str) -> bool {
    name.to_bytes().eq_ignore_ascii_case(word.as_bytes())
}

/// The suites of a list among `all`, in its order, and the words that name none.
///
/// A list is for the versions of TLS that it names suites of: one without a suite of TLS 1.3 leaves those as they
/// are, as OpenSSL has it, and the other way round.
pub(crate) fn suites_of(
    list: &str,
    all: &[SupportedCipherSuite],
) -> (Vec<SupportedCipherSuite>, Vec<String>) {
    let (mut chosen, mut unknown) = (Vec::<SupportedCipherSuite>::new(), Vec::new());
    for word in words(list) {
        let known = SUITES.iter().find(|suite| is(suite.iana, word) || is(suite.openssl, word));
        let found = known.and_then(|known| all.iter().find(|one| u16::from(one.suite()) == known.number));
        match found {
            Some(suite) if !chosen.contains(suite) => chosen.push(*suite),
            Some(_) => {}
            None => unknown.push(crate::error::escape(word.as_bytes())),
        }
    }
    if chosen.is_empty() {
        return (chosen, unknown);
    }
    let names =
        |version: &rustls::SupportedProtocolVersion| chosen.iter().any(|suite| suite.version() == version);
    let named: Vec<_> =
        [&rustls::version::TLS13, &rustls::version::TLS12].into_iter().filter(|one| names(one)).collect();
    let rest = all.iter().filter(|suite| !named.contains(&suite.version())).copied();
    let rest: Vec<_> = rest.collect();
    chosen.extend(rest);
    (chosen, unknown)
}

/// The groups of a list among `all`, in its order, and the words that name none.
pub(crate) fn groups_of(
    list: &str,
    all: &[&'static dyn SupportedKxGroup],
) -> (Vec<&'static dyn SupportedKxGroup>, Vec<String>) {
    let (mut chosen, mut unknown) = (Vec::<&'static dyn SupportedKxGroup>::new(), Vec::new());
    for word in words(list) {
        let known = GROUPS.iter().find(|group| {
            is(group.iana, word)
                || is(group.openssl, word)
                || group.others.iter().any(|other| other.eq_ignore_ascii_case(word))
        });
        let found = known.and_then(|known| all.iter().find(|one| u16::from(one.name()) == known.number));
        match found {
            Some(group) if !chosen.iter().any(|one| one.name() == group.name()) => chosen.push(*group),
            Some(_) => {}
            None => unknown.push(crate::error::escape(word.as_bytes())),
        }
    }
    (chosen, unknown)
}
