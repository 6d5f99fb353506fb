//! What is read out of a certificate besides its path: its parts as they stand, names for people, limits.

use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::asn1::{BitStringRef, ObjectIdentifier, UintRef};
use x509_cert::der::{Decode as _, Reader as _, SliceReader, Tag, TagNumber};
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};
use x509_cert::spki::SubjectPublicKeyInfoRef;

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
        let subject = self.0.tbs_certificate().subject();
        let values = subject.iter().filter(|value| value.oid == COMMON_NAME);
        let octets = values.last()?.value.value();
        std::str::from_utf8(octets).ok().map(str::to_string)
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
