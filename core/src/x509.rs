//! What is read out of a certificate besides its path: its parts as they stand, names for people, limits.

use rsa::pkcs1::RsaPssParams;
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::asn1::{BitStringRef, ObjectIdentifier, UintRef};
use x509_cert::der::{Decode as _, Encode as _, Reader as _, SliceReader, Tag, TagNumber};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName};
use x509_cert::spki::SubjectPublicKeyInfoRef;

use crate::Digest;

const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const NAME_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.30");
const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");

/// RFC 9325 section 4.5: the fewest bits of an RSA key whose signatures prove anything.
pub(crate) const SHORTEST_RSA: usize = 2048;

/// The parts of a certificate as they stand in it, each with its tag and length, and none of them understood.
/// So it can be had of a certificate whose dates, names or extensions make no sense.
pub(crate) struct Skeleton<'a> {
    /// What the issuer signed.
    pub signed: &'a [u8],
    /// How: an AlgorithmIdentifier.
    pub algorithm: &'a [u8],
    pub signature: &'a [u8],
    pub serial: &'a [u8],
    pub issuer: &'a [u8],
    pub subject: &'a [u8],
    /// SubjectPublicKeyInfo.
    pub public_key: &'a [u8],
}

impl<'a> Skeleton<'a> {
    pub fn parse(der: &'a [u8]) -> Option<Skeleton<'a>> {
        type Result<T> = x509_cert::der::Result<T>;
        let outer = |reader: &mut SliceReader<'a>| -> Result<(&'a [u8], &'a [u8], &'a [u8])> {
            reader.sequence(|reader| {
                let signed = reader.tlv_bytes()?;
                let algorithm = reader.tlv_bytes()?;
                Ok((signed, algorithm, BitStringRef::decode(reader)?.raw_bytes()))
            })
        };
        let (signed, algorithm, signature) = outer(&mut SliceReader::new(der).ok()?).ok()?;
        let inner = |reader: &mut SliceReader<'a>| -> Result<[&'a [u8]; 4]> {
            reader.sequence(|reader| {
                let version = Tag::ContextSpecific { constructed: true, number: TagNumber(0) };
                if Tag::peek(reader)? == version {
                    reader.tlv_bytes()?;
                }
                let serial = reader.tlv_bytes()?;
                let _algorithm = reader.tlv_bytes()?;
                let issuer = reader.tlv_bytes()?;
                let _validity = reader.tlv_bytes()?;
                let parts = [serial, issuer, reader.tlv_bytes()?, reader.tlv_bytes()?];
                while !reader.is_finished() {
                    reader.tlv_bytes()?;
                }
                Ok(parts)
            })
        };
        let [serial, issuer, subject, public_key] = inner(&mut SliceReader::new(signed).ok()?).ok()?;
        Some(Skeleton { signed, algorithm, signature, serial, issuer, subject, public_key })
    }
}

/// What a tag and its length hold: webpki wants some things without.
pub(crate) fn contents(der: &[u8]) -> Option<&[u8]> {
    let mut reader = SliceReader::new(der).ok()?;
    let any = x509_cert::der::asn1::AnyRef::decode(&mut reader).ok()?;
    Some(any.value())
}

/// What a public key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// As OpenSSL names its signatures.
    pub algorithm: &'static str,
    /// As OpenSSL names it.
    pub curve: Option<&'static str>,
    pub bits: usize,
}

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");

/// Curves, by the parameters of a key; and the algorithms that are curves.
#[rustfmt::skip]
const CURVES: &[(&str, Key)] = &[
    ("1.2.840.10045.3.1.7", Key { algorithm: "ECDSA", curve: Some("prime256v1"), bits: 256 }),
    ("1.3.132.0.34",        Key { algorithm: "ECDSA", curve: Some("secp384r1"), bits: 384 }),
    ("1.3.132.0.35",        Key { algorithm: "ECDSA", curve: Some("secp521r1"), bits: 521 }),
    ("1.3.101.112",         Key { algorithm: "ED25519", curve: None, bits: 256 }),
    ("1.3.101.113",         Key { algorithm: "ED448", curve: None, bits: 456 }),
];

impl Key {
    /// What this SubjectPublicKeyInfo is; nothing if it is of a kind that no mail server has.
    pub fn of(public_key: &[u8]) -> Option<Key> {
        if let Some(bits) = rsa_bits(public_key) {
            return Some(Key { algorithm: "RSA", curve: None, bits });
        }
        let spki = SubjectPublicKeyInfoRef::from_der(public_key).ok()?;
        let oid = match spki.algorithm.oid {
            EC_PUBLIC_KEY => spki.algorithm.parameters?.decode_as::<ObjectIdentifier>().ok()?,
            oid => oid,
        };
        let oid = oid.to_string();
        CURVES.iter().find(|(known, _)| *known == oid).map(|(_, key)| *key)
    }
}

/// The digests of signature algorithms, for channel bindings (RFC 5929 section 4.1): of one that is broken, SHA-256.
#[rustfmt::skip]
const SIGNATURE_DIGESTS: &[(&str, Digest)] = &[
    ("1.2.840.113549.1.1.4",  Digest::Sha256), // MD5 with RSA
    ("1.2.840.113549.1.1.5",  Digest::Sha256), // SHA-1 with RSA
    ("1.2.840.113549.1.1.11", Digest::Sha256),
    ("1.2.840.113549.1.1.12", Digest::Sha384),
    ("1.2.840.113549.1.1.13", Digest::Sha512),
    ("1.2.840.10045.4.1",     Digest::Sha256), // ECDSA with SHA-1
    ("1.2.840.10045.4.3.2",   Digest::Sha256),
    ("1.2.840.10045.4.3.3",   Digest::Sha384),
    ("1.2.840.10045.4.3.4",   Digest::Sha512),
];

/// RSA-PSS names its digest in its parameters.
const RSA_PSS: &str = "1.2.840.113549.1.1.10";
#[rustfmt::skip]
const PSS_DIGESTS: &[(&str, Digest)] = &[
    ("1.3.14.3.2.26",          Digest::Sha256), // SHA-1
    ("2.16.840.1.101.3.4.2.1", Digest::Sha256),
    ("2.16.840.1.101.3.4.2.2", Digest::Sha384),
    ("2.16.840.1.101.3.4.2.3", Digest::Sha512),
];

/// The length of the modulus of an RSA key; nothing if the key is of another kind.
pub(crate) fn rsa_bits(public_key: &[u8]) -> Option<usize> {
    let modulus = rsa_numbers(public_key)?.0;
    let unused = modulus.first().map_or(0, |octet| octet.leading_zeros() as usize);
    Some(modulus.len() * 8 - unused)
}

/// Modulus and exponent of an RSA key, each without leading zeros.
pub(crate) fn rsa_numbers(public_key: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let spki = SubjectPublicKeyInfoRef::from_der(public_key).ok()?;
    if spki.algorithm.oid != RSA_ENCRYPTION {
        return None;
    }
    let mut reader = SliceReader::new(spki.subject_public_key.as_bytes()?).ok()?;
    // RSAPublicKey ::= SEQUENCE { modulus INTEGER, publicExponent INTEGER } (RFC 8017 appendix A.1.1)
    reader
        .sequence(|reader| {
            let modulus = UintRef::decode(reader)?.as_bytes().to_vec();
            Ok::<_, x509_cert::der::Error>((modulus, UintRef::decode(reader)?.as_bytes().to_vec()))
        })
        .ok()
}

/// A certificate read without judging it: X.509 v1 and broken extensions are fine.
pub(crate) struct Certificate(CertificateInner<Raw>);

impl Certificate {
    pub fn parse(der: &[u8]) -> Option<Certificate> {
        CertificateInner::<Raw>::from_der(der).ok().map(Certificate)
    }

    /// As in RFC 4514, fit for one line of a log.
    pub fn subject(&self) -> String {
        printable(&self.0.tbs_certificate().subject().to_string())
    }

    /// As in RFC 4514, fit for one line of a log.
    pub fn issuer(&self) -> String {
        printable(&self.0.tbs_certificate().issuer().to_string())
    }

    /// When it begins and ends, in seconds since 1970.
    pub fn dates(&self) -> (u64, u64) {
        let validity = self.0.tbs_certificate().validity();
        let seconds = |time: &x509_cert::time::Time| time.to_unix_duration().as_secs();
        (seconds(&validity.not_before), seconds(&validity.not_after))
    }

    /// The most specific common name of the subject.
    pub fn common_name(&self) -> Option<String> {
        common_name(self.0.tbs_certificate().subject())
    }

    /// The most specific common name of the issuer.
    pub fn issuer_common_name(&self) -> Option<String> {
        common_name(self.0.tbs_certificate().issuer())
    }

    /// The names in subjectAltName, escaped, with their kind before them as OpenSSL prints it.
    pub fn alt_names(&self) -> Vec<String> {
        let names = self.extension(SUBJECT_ALT_NAME).map(SubjectAltName::from_der);
        let Some(Ok(SubjectAltName(names))) = names else { return Vec::new() };
        let text = |kind: &str, name: &str| Some(format!("{kind}:{}", crate::error::escape(name.as_bytes())));
        names
            .iter()
            .filter_map(|name| match name {
                GeneralName::DnsName(name) => text("DNS", name.as_str()),
                GeneralName::Rfc822Name(name) => text("email", name.as_str()),
                GeneralName::UniformResourceIdentifier(name) => text("URI", name.as_str()),
                GeneralName::IpAddress(octets) => {
                    address(octets.as_bytes()).map(|address| format!("IP:{address}"))
                }
                _ => None,
            })
            .collect()
    }

    /// The digest of the algorithm that signed it, for channel bindings. Nothing where it has none of its own.
    pub fn signature_digest(&self) -> Option<Digest> {
        let algorithm = self.0.signature_algorithm();
        let (oid, table) = match algorithm.oid.to_string() {
            oid if oid == RSA_PSS => {
                let der = algorithm.parameters.as_ref()?.to_der().ok()?;
                let parameters = RsaPssParams::try_from(der.as_slice()).ok()?;
                // With two digests, the binding is not defined.
                let mask = parameters.mask_gen.parameters?.oid;
                (Some(parameters.hash.oid).filter(|oid| *oid == mask)?.to_string(), PSS_DIGESTS)
            }
            oid => (oid, SIGNATURE_DIGESTS),
        };
        table.iter().find(|(known, _)| *known == oid).map(|(_, digest)| *digest)
    }

    /// Whether it has a subjectAltName, whatever is in it.
    pub fn has_alt_names(&self) -> bool {
        self.extension(SUBJECT_ALT_NAME).is_some()
    }

    /// Whether names below it are limited.
    pub fn has_name_constraints(&self) -> bool {
        self.extension(NAME_CONSTRAINTS).is_some()
    }

    /// Whether it may sign certificates (RFC 5280 sections 4.2.1.3 and 4.2.1.9). One of X.509 v1 cannot say, and
    /// is one if it signed itself.
    pub fn is_authority(&self) -> bool {
        let certificate = self.0.tbs_certificate();
        if certificate.extensions().is_none() {
            return certificate.subject() == certificate.issuer();
        }
        let signs = match self.extension(KEY_USAGE) {
            Some(usage) => KeyUsage::from_der(usage).is_ok_and(|usage| usage.key_cert_sign()),
            None => true,
        };
        signs && self.basic_constraints().is_some_and(|constraints| constraints.ca)
    }

    /// How many authorities may stand between it and the leaf.
    pub fn path_length(&self) -> Option<usize> {
        self.basic_constraints()?.path_len_constraint.map(usize::from)
    }

    fn basic_constraints(&self) -> Option<BasicConstraints> {
        BasicConstraints::from_der(self.extension(BASIC_CONSTRAINTS)?).ok()
    }

    /// Whether it is good for servers: it does not say what it is for, or says so.
    pub fn is_for_servers(&self) -> bool {
        match self.extension(EXTENDED_KEY_USAGE).map(ExtendedKeyUsage::from_der) {
            None => true,
            Some(Ok(purposes)) => purposes.0.contains(&SERVER_AUTH),
            Some(Err(_)) => false,
        }
    }

    /// Whether all its critical extensions are ones that this file or webpki reads.
    pub fn is_understood(&self) -> bool {
        let known = [BASIC_CONSTRAINTS, KEY_USAGE, EXTENDED_KEY_USAGE, NAME_CONSTRAINTS, SUBJECT_ALT_NAME];
        let extensions = self.0.tbs_certificate().extensions();
        extensions.is_none_or(|list| list.iter().all(|one| !one.critical || known.contains(&one.extn_id)))
    }

    fn extension(&self, oid: ObjectIdentifier) -> Option<&[u8]> {
        let extensions = self.0.tbs_certificate().extensions()?;
        extensions.iter().find(|one| one.extn_id == oid).map(|one| one.extn_value.as_bytes())
    }
}

fn common_name(name: &x509_cert::name::Name) -> Option<String> {
    let values = name.iter().filter(|value| value.oid == COMMON_NAME);
    let octets = values.last()?.value.value();
    std::str::from_utf8(octets).ok().map(str::to_string)
}

fn address(octets: &[u8]) -> Option<std::net::IpAddr> {
    match octets.len() {
        4 => <[u8; 4]>::try_from(octets).ok().map(Into::into),
        16 => <[u8; 16]>::try_from(octets).ok().map(Into::into),
        _ => None,
    }
}

/// Control characters as RFC 4514 section 2.4 writes them, a backslash and two hexadecimal digits an octet:
/// a name must not break a log or a header apart.
fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            let mut octets = [0; 4];
            for octet in character.encode_utf8(&mut octets).bytes() {
                printable.push_str(&format!("\\{octet:02X}"));
            }
        } else {
            printable.push(character);
        }
    }
    printable
}
